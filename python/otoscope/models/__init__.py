"""Models that listen: ours, bundles, and a zoo of models by others; and one that writes tunes.

Excerpts are [batch, 1, frame, mel], standardised; outputs [batch, output]. What writes tunes is in
`otoscope.models.folkrnn`.
"""

from __future__ import annotations

from otoscope.models.bundle import load_bundle, read_card, save_bundle
from otoscope.models.folkrnn import (
    FolkModel,
    FolkRNN,
    SampledTune,
    Sampling,
    import_folkrnn,
    load_folkrnn,
    save_folkrnn,
)
from otoscope.models.listener import Listener
from otoscope.models.loading import load
from otoscope.models.ngram import KneserNey
from otoscope.models.svdnet import SVDNet
from otoscope.models.timeline import Timeline, timeline
from otoscope.models.zoo import describe

__all__ = [
    "FolkModel",
    "FolkRNN",
    "KneserNey",
    "Listener",
    "SVDNet",
    "SampledTune",
    "Sampling",
    "Timeline",
    "describe",
    "import_folkrnn",
    "load",
    "load_bundle",
    "load_folkrnn",
    "read_card",
    "save_bundle",
    "save_folkrnn",
    "timeline",
]

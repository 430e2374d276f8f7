"""Listening models: networks of otoscope, bundles, and a zoo of published models.

Excerpts are [batch, 1, frame, mel], standardised; outputs are [batch, output].
"""

from __future__ import annotations

from otoscope.models.bundle import load_bundle, read_card, save_bundle
from otoscope.models.import_svdnet import import_svdnet
from otoscope.models.listener import Listener
from otoscope.models.loading import load
from otoscope.models.svdnet import SVDNet
from otoscope.models.timeline import Timeline, timeline
from otoscope.models.waveform import WaveformListener
from otoscope.models.zoo import describe

__all__ = [
    "Listener",
    "SVDNet",
    "Timeline",
    "WaveformListener",
    "describe",
    "import_svdnet",
    "load",
    "load_bundle",
    "read_card",
    "save_bundle",
    "timeline",
]

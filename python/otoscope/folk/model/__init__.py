"""Folk-rnn: a recurrent network that writes tunes, token by token (paper D)."""

from __future__ import annotations

from otoscope.folk.model.bundle import FolkModel, load_folkrnn, save_folkrnn
from otoscope.folk.model.kneser_ney import KneserNey
from otoscope.folk.model.likelihood import nats_per_token, surprise
from otoscope.folk.model.network import FolkRNN
from otoscope.folk.model.pickles import import_folkrnn
from otoscope.folk.model.sampler import SampledTune, sample, sample_stream
from otoscope.folk.model.settings import Sampling

__all__ = [
    "FolkModel",
    "FolkRNN",
    "KneserNey",
    "SampledTune",
    "Sampling",
    "import_folkrnn",
    "load_folkrnn",
    "nats_per_token",
    "sample",
    "sample_stream",
    "save_folkrnn",
    "surprise",
]

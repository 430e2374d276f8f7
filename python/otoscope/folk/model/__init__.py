"""The folk-rnn network (paper D): model files, likelihood, sampling, and an n-gram baseline."""

from __future__ import annotations

from otoscope.folk.model.bundle import FolkModel, load_folkrnn, save_folkrnn
from otoscope.folk.model.config import SamplingConfig
from otoscope.folk.model.kneser_ney import KneserNey
from otoscope.folk.model.likelihood import nats_per_token, surprise
from otoscope.folk.model.network import FolkRNN
from otoscope.folk.model.pickles import import_folkrnn
from otoscope.folk.model.sampler import SampledTune, sample, sample_stream

__all__ = [
    "FolkModel",
    "FolkRNN",
    "KneserNey",
    "SampledTune",
    "SamplingConfig",
    "import_folkrnn",
    "load_folkrnn",
    "nats_per_token",
    "sample",
    "sample_stream",
    "save_folkrnn",
    "surprise",
]

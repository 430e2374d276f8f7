"""Folk-rnn: a recurrent network that writes tunes, token by token (paper D)."""

from __future__ import annotations

from otoscope.models.folkrnn.bundle import FolkModel, load_folkrnn, save_folkrnn
from otoscope.models.folkrnn.likelihood import nats_per_token, surprise
from otoscope.models.folkrnn.network import FolkRNN
from otoscope.models.folkrnn.pickles import import_folkrnn
from otoscope.models.folkrnn.sampler import SampledTune, sample, sample_stream
from otoscope.models.folkrnn.settings import Sampling

__all__ = [
    "FolkModel",
    "FolkRNN",
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

from .bundle import FolkModel, load_folkrnn, save_folkrnn
from .config import SamplingConfig
from .hidden import embed_tunes, freeze_units, hidden_states
from .kneser_ney import KneserNey
from .likelihood import nats_per_token, note_nats, surprise
from .network import FolkRNN
from .pickles import import_folkrnn
from .position import PositionReader
from .sampler import SampledTune, sample, sample_stream

__all__ = [
    "FolkModel",
    "FolkRNN",
    "KneserNey",
    "PositionReader",
    "SampledTune",
    "SamplingConfig",
    "embed_tunes",
    "freeze_units",
    "hidden_states",
    "import_folkrnn",
    "load_folkrnn",
    "nats_per_token",
    "note_nats",
    "sample",
    "sample_stream",
    "save_folkrnn",
    "surprise",
]

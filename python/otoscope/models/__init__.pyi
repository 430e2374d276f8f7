from . import zoo
from .bundle import load_bundle, read_card, save_bundle
from .svdnet_import import import_svdnet
from .listener import Listener
from .loading import load
from .svdnet import SVDNet
from .timelines import Timeline, timeline
from .waveform import WaveformListener
from .zoo import describe

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

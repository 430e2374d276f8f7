from . import zoo
from .bundle import load_bundle, read_card, save_bundle
from .generator import MelCritic, MelGenerator
from .generator_bundle import TrainedGenerator, load_generator, save_generator
from .svdnet_import import import_svdnet
from .listener import Listener
from .loading import load
from .svdnet import SVDNet
from .timelines import Timeline, timeline
from .waveform import WaveformListener
from .zoo import describe

__all__ = [
    "Listener",
    "MelCritic",
    "MelGenerator",
    "SVDNet",
    "Timeline",
    "TrainedGenerator",
    "WaveformListener",
    "describe",
    "import_svdnet",
    "load",
    "load_bundle",
    "load_generator",
    "read_card",
    "save_bundle",
    "save_generator",
    "timeline",
]

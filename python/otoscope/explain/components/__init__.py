"""Components: the parts of a sound that an explanation of a model of waveforms ranks.

``|`` joins lists, ``*`` crosses them, and ``[...]`` selects from them: ``stems(...) * time(5)``.
Together the components add up to the sound.
"""

from otoscope.explain.components.base import COMPONENTS, Components, resolve
from otoscope.explain.components.sources import hpss, stems
from otoscope.explain.components.spectral import bands, grid
from otoscope.explain.components.temporal import beats, every, onsets, time

__all__ = [
    "COMPONENTS",
    "Components",
    "bands",
    "beats",
    "every",
    "grid",
    "hpss",
    "onsets",
    "resolve",
    "stems",
    "time",
]

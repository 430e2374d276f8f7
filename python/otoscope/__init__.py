"""Look into machine-listening models: what they hear, what they rely on, what fools them.

Rooms are imported when they are first asked for: ``import otoscope`` alone does not load torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otoscope import (
        adapters,
        attack,
        data,
        errors,
        experiments,
        explain,
        intervene,
        metrics,
        models,
        native,
        notation,
        ops,
        protocols,
        records,
        report,
        signal,
        taps,
        train,
    )
    from otoscope.attack import AttackResult, Goal, Hearing, MagnitudeAdversary, WaveformPGD
    from otoscope.errors import CudaUnavailable, MissingExtra, ParameterError
    from otoscope.explain import ActivationMaximiser, Explanation, SoundLIME, content, segments
    from otoscope.metrics import FrechetDistance
    from otoscope.models import zoo
    from otoscope.ops import occlude
    from otoscope.protocols import ListeningModel, Patch
    from otoscope.taps import Tap
else:  # type checkers would take any name for one that __getattr__ knows
    _ROOMS = {
        "ActivationMaximiser": "explain",
        "AttackResult": "attack",
        "CudaUnavailable": "errors",
        "Explanation": "explain",
        "FrechetDistance": "metrics",
        "Goal": "attack",
        "Hearing": "attack",
        "ListeningModel": "protocols",
        "MagnitudeAdversary": "attack",
        "MissingExtra": "errors",
        "ParameterError": "errors",
        "Patch": "protocols",
        "SoundLIME": "explain",
        "Tap": "taps",
        "WaveformPGD": "attack",
        "content": "explain",
        "occlude": "ops",
        "segments": "explain",
        "zoo": "models",
    }

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        room = import_module(f"{__name__}.{_ROOMS.get(name, name)}")
        globals()[name] = found = getattr(room, name) if name in _ROOMS else room
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


__all__ = [
    "ActivationMaximiser",
    "AttackResult",
    "CudaUnavailable",
    "Explanation",
    "FrechetDistance",
    "Goal",
    "Hearing",
    "ListeningModel",
    "MagnitudeAdversary",
    "MissingExtra",
    "ParameterError",
    "Patch",
    "SoundLIME",
    "Tap",
    "WaveformPGD",
    "adapters",
    "attack",
    "content",
    "data",
    "errors",
    "experiments",
    "explain",
    "intervene",
    "metrics",
    "models",
    "native",
    "notation",
    "occlude",
    "ops",
    "protocols",
    "records",
    "report",
    "segments",
    "signal",
    "taps",
    "train",
    "zoo",
]

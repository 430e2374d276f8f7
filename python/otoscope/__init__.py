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
        explain,
        folk,
        intervene,
        metrics,
        models,
        native,
        ops,
        papers,
        protocols,
        records,
        report,
        signal,
        taps,
        train,
        workflows,
    )
    from otoscope.attack import AttackResult, Goal, MagnitudeAdversary, WaveformPGD
    from otoscope.errors import CudaUnavailable, MissingExtra, ParameterError
    from otoscope.explain import ActivationMaximiser, Explanation, SoundLIME, content, segments
    from otoscope.intervene import (
        BitDepth,
        CodecRoundTrip,
        Crop,
        Equaliser,
        FeatureDilation,
        Gain,
        HighPass,
        Interrogation,
        InterrogationSettings,
        LeadingSilence,
        LowPass,
        Pitch,
        Polarity,
        Resample,
        Reverb,
        Tempo,
        WhiteNoise,
    )
    from otoscope.metrics import FrechetDistance
    from otoscope.models import zoo
    from otoscope.ops import occlude
    from otoscope.protocols import ListeningModel, Patch, SoundClassifier
    from otoscope.taps import Tap
else:  # type checkers would take any name for one that __getattr__ knows
    _ROOMS = {
        "ActivationMaximiser": "explain",
        "AttackResult": "attack",
        "BitDepth": "intervene",
        "CodecRoundTrip": "intervene",
        "Crop": "intervene",
        "CudaUnavailable": "errors",
        "Equaliser": "intervene",
        "Explanation": "explain",
        "FeatureDilation": "intervene",
        "FrechetDistance": "metrics",
        "Gain": "intervene",
        "Goal": "attack",
        "HighPass": "intervene",
        "Interrogation": "intervene",
        "InterrogationSettings": "intervene",
        "LeadingSilence": "intervene",
        "ListeningModel": "protocols",
        "LowPass": "intervene",
        "MagnitudeAdversary": "attack",
        "MissingExtra": "errors",
        "ParameterError": "errors",
        "Patch": "protocols",
        "Pitch": "intervene",
        "Polarity": "intervene",
        "Resample": "intervene",
        "Reverb": "intervene",
        "SoundClassifier": "protocols",
        "SoundLIME": "explain",
        "Tap": "taps",
        "Tempo": "intervene",
        "WaveformPGD": "attack",
        "WhiteNoise": "intervene",
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
    "BitDepth",
    "CodecRoundTrip",
    "Crop",
    "CudaUnavailable",
    "Equaliser",
    "Explanation",
    "FeatureDilation",
    "FrechetDistance",
    "Gain",
    "Goal",
    "HighPass",
    "Interrogation",
    "InterrogationSettings",
    "LeadingSilence",
    "ListeningModel",
    "LowPass",
    "MagnitudeAdversary",
    "MissingExtra",
    "ParameterError",
    "Patch",
    "Pitch",
    "Polarity",
    "Resample",
    "Reverb",
    "SoundClassifier",
    "SoundLIME",
    "Tap",
    "Tempo",
    "WaveformPGD",
    "WhiteNoise",
    "adapters",
    "attack",
    "content",
    "data",
    "errors",
    "explain",
    "folk",
    "intervene",
    "metrics",
    "models",
    "native",
    "occlude",
    "ops",
    "papers",
    "protocols",
    "records",
    "report",
    "segments",
    "signal",
    "taps",
    "train",
    "workflows",
    "zoo",
]

"""Look into machine-listening models: what they hear, what they rely on, what fools them."""

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
    report,
    signal,
    train,
)
from otoscope.errors import CudaUnavailable, MissingExtra, ParameterError
from otoscope.explain import Explanation, SoundLIME, content, segments
from otoscope.models import zoo
from otoscope.ops import occlude
from otoscope.protocols import ListeningModel, Patch

__all__ = [
    "CudaUnavailable",
    "Explanation",
    "ListeningModel",
    "MissingExtra",
    "ParameterError",
    "Patch",
    "SoundLIME",
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
    "report",
    "segments",
    "signal",
    "train",
    "zoo",
]

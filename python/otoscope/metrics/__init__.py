"""Measures of what models and explanations are worth.

The metrics for torchmetrics, `FrechetDistance` and `KernelDistance`, are loaded when they are asked
for: torchmetrics takes seconds, and the functions do without it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from otoscope.metrics import statistics
from otoscope.metrics.feature_set import FeatureSet, FewRows
from otoscope.metrics.gaussian import frechet_distance
from otoscope.metrics.interval import Interval
from otoscope.metrics.kernel import kernel_distance
from otoscope.metrics.resampling import (
    Extrapolation,
    frechet_infinity,
    frechet_interval,
    frechet_of,
)
from otoscope.metrics.statistics import Statistics

if TYPE_CHECKING:
    from otoscope.metrics.frechet import FrechetDistance
    from otoscope.metrics.kernel_metric import KernelDistance
else:
    _METRICS = {"FrechetDistance": "frechet", "KernelDistance": "kernel_metric"}

    def __getattr__(name: str) -> object:
        if name not in _METRICS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(f"{__name__}.{_METRICS[name]}"), name)
        globals()[name] = found
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


__all__ = [
    "Extrapolation",
    "FeatureSet",
    "FewRows",
    "FrechetDistance",
    "Interval",
    "KernelDistance",
    "Statistics",
    "frechet_distance",
    "frechet_infinity",
    "frechet_interval",
    "frechet_of",
    "kernel_distance",
    "statistics",
]

"""Distances between sets of features, and files of their statistics.

`FrechetDistance` and `KernelDistance` are imported at their first use: torchmetrics takes seconds
to import, and the functions do not need it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from otoscope.metrics import statistics
from otoscope.metrics.feature_set import FeatureSet, FewRows
from otoscope.metrics.gaussian import frechet_distance
from otoscope.metrics.kernel import kernel_distance, kernel_interval
from otoscope.metrics.resampling import (
    Extrapolation,
    Interval,
    frechet_infinity,
    frechet_interval,
    frechet_of,
)
from otoscope.metrics.statistics import Statistics

if TYPE_CHECKING:
    from otoscope.metrics.distances import FrechetDistance, KernelDistance
else:

    def __getattr__(name: str) -> object:
        if name not in ("FrechetDistance", "KernelDistance"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = metric = getattr(import_module(f"{__name__}.distances"), name)
        return metric

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
    "kernel_interval",
    "statistics",
]

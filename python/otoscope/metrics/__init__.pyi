from . import statistics
from .distances import FrechetDistance, KernelDistance
from .feature_set import FeatureSet, FewRows
from .gaussian import frechet_distance
from .interval import Interval
from .kernel import kernel_distance, kernel_interval
from .resampling import (
    Extrapolation,
    frechet_infinity,
    frechet_interval,
    frechet_of,
)
from .statistics import Statistics

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

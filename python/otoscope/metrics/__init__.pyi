from . import statistics
from .distances import FrechetDistance, KernelDistance
from .feature_set import FeatureSet, FewRows
from .gaussian import frechet_distance
from .halves import half_sample_intervals
from .interval import Interval
from .kernel import kernel_distance, kernel_interval
from .kernel_audio import kernel_audio_distance, median_distance
from .mauve import MauveScore, mauve_score
from .neighbours import NeighbourScores, neighbour_scores
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
    "MauveScore",
    "NeighbourScores",
    "Statistics",
    "frechet_distance",
    "frechet_infinity",
    "frechet_interval",
    "frechet_of",
    "half_sample_intervals",
    "kernel_audio_distance",
    "kernel_distance",
    "kernel_interval",
    "mauve_score",
    "median_distance",
    "neighbour_scores",
    "statistics",
]

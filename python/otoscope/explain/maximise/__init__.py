"""Activation maximisation: inputs that drive one unit of a network furthest, and their ranking."""

from otoscope.explain.maximise.ascent import Stopping
from otoscope.explain.maximise.doubt import SettingIntervals, setting_intervals
from otoscope.explain.maximise.extremes import ExtremeExcerpt, Extremes, find_extremes
from otoscope.explain.maximise.fourier import FourierPrior
from otoscope.explain.maximise.generated import GeneratorPrior
from otoscope.explain.maximise.maco import MacoPrior
from otoscope.explain.maximise.maximiser import ActivationMaximiser
from otoscope.explain.maximise.priors import Prior, RawPrior
from otoscope.explain.maximise.ranking import (
    GridResult,
    RankedResult,
    Ranking,
    scalar_frechet,
)
from otoscope.explain.maximise.result import MaximisationResult, Setting
from otoscope.explain.maximise.scaled import ScaledPrior
from otoscope.explain.maximise.unit import Unit

__all__ = [
    "ActivationMaximiser",
    "ExtremeExcerpt",
    "Extremes",
    "FourierPrior",
    "GeneratorPrior",
    "GridResult",
    "MacoPrior",
    "MaximisationResult",
    "Prior",
    "RankedResult",
    "Ranking",
    "RawPrior",
    "ScaledPrior",
    "Setting",
    "SettingIntervals",
    "Stopping",
    "Unit",
    "find_extremes",
    "scalar_frechet",
    "setting_intervals",
]

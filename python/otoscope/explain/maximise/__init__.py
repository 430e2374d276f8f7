"""Activation maximisation: inputs that drive one unit of a network furthest, and how to choose."""

from otoscope.explain.maximise.extremes import Extreme, Extremes, extremes
from otoscope.explain.maximise.fourier import FourierPrior
from otoscope.explain.maximise.grid import Grid
from otoscope.explain.maximise.maximised import Maximised, Setting
from otoscope.explain.maximise.maximiser import ActivationMaximiser
from otoscope.explain.maximise.priors import Prior, RawPrior
from otoscope.explain.maximise.ranking import Ranked, Ranking, scalar_frechet
from otoscope.explain.maximise.unit import Unit

__all__ = [
    "ActivationMaximiser",
    "Extreme",
    "Extremes",
    "FourierPrior",
    "Grid",
    "Maximised",
    "Prior",
    "Ranked",
    "Ranking",
    "RawPrior",
    "Setting",
    "Unit",
    "extremes",
    "scalar_frechet",
]

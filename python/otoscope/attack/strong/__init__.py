"""Strong attacks, which choose their own steps: the measure of a model's robustness."""

from __future__ import annotations

from otoscope.attack.strong.apgd import APGD
from otoscope.attack.strong.carlini import CarliniWagner, IterativeClipping
from otoscope.attack.strong.curve import RobustnessCurve, robustness_curve
from otoscope.attack.strong.ensemble import Ensemble, EnsembleResult, strong
from otoscope.attack.strong.fab import FABT
from otoscope.attack.strong.least_norm import LeastNorm, LeastNormResult
from otoscope.attack.strong.square import Square
from otoscope.attack.strong.universal import Universal, UniversalResult

__all__ = [
    "APGD",
    "FABT",
    "CarliniWagner",
    "Ensemble",
    "EnsembleResult",
    "IterativeClipping",
    "LeastNorm",
    "LeastNormResult",
    "RobustnessCurve",
    "Square",
    "Universal",
    "UniversalResult",
    "robustness_curve",
    "strong",
]

"""Strong attacks, which choose their own steps: the measure of a model's robustness."""

from __future__ import annotations

from otoscope.attack.strong.apgd import APGD
from otoscope.attack.strong.carlini import CarliniWagner, IterativeClipping
from otoscope.attack.strong.fab import FABT
from otoscope.attack.strong.square import Square

__all__ = ["APGD", "FABT", "CarliniWagner", "IterativeClipping", "Square"]

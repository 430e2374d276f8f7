"""Explanations: segments, contents, designs, surrogates, SoundLIME, activation maximisation."""

from otoscope.explain import content, segments
from otoscope.explain.evaluator import Evaluator
from otoscope.explain.fit import Fit
from otoscope.explain.maximise import ActivationMaximiser, FourierPrior, Prior, RawPrior
from otoscope.explain.query import FewEffectiveSamples
from otoscope.explain.result import Explanation
from otoscope.explain.settings import ExplanationSettings
from otoscope.explain.soundlime import SoundLIME
from otoscope.explain.surrogate import ForwardSelection, WeightedRidge

__all__ = [
    "ActivationMaximiser",
    "Evaluator",
    "Explanation",
    "ExplanationSettings",
    "FewEffectiveSamples",
    "Fit",
    "ForwardSelection",
    "FourierPrior",
    "Prior",
    "RawPrior",
    "SoundLIME",
    "WeightedRidge",
    "content",
    "segments",
]

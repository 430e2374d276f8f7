"""Explanations: segments, content, designs, surrogates, SoundLIME, maximisation."""

from otoscope.explain import content, segments
from otoscope.explain.evaluator import Evaluator
from otoscope.explain.explanation import Explanation, Settings
from otoscope.explain.fit import Fit
from otoscope.explain.kernel import FewEffectiveSamples
from otoscope.explain.maximise import ActivationMaximiser, FourierPrior, Prior, RawPrior
from otoscope.explain.soundlime import SoundLIME
from otoscope.explain.surrogate import ForwardSelection, WeightedRidge

__all__ = [
    "ActivationMaximiser",
    "Evaluator",
    "Explanation",
    "FewEffectiveSamples",
    "Fit",
    "ForwardSelection",
    "FourierPrior",
    "Prior",
    "RawPrior",
    "Settings",
    "SoundLIME",
    "WeightedRidge",
    "content",
    "segments",
]

"""Explanations: segments, content, designs, surrogates, SoundLIME."""

from otoscope.explain import content, segments
from otoscope.explain.evaluator import Evaluator
from otoscope.explain.explanation import Explanation, Settings
from otoscope.explain.fit import Fit
from otoscope.explain.kernel import FewEffectiveSamples
from otoscope.explain.soundlime import SoundLIME
from otoscope.explain.surrogate import ForwardSelection, WeightedRidge

__all__ = [
    "Evaluator",
    "Explanation",
    "FewEffectiveSamples",
    "Fit",
    "ForwardSelection",
    "Settings",
    "SoundLIME",
    "WeightedRidge",
    "content",
    "segments",
]

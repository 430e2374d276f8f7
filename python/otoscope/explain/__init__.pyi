from . import components, content, segments
from .evaluator import Evaluator, PlainPasses
from .fit.evidence import Evidence
from .fit.contributions import Fit
from .maximise import ActivationMaximiser, FourierPrior, Prior, RawPrior, ScaledPrior
from .components.mixture import Mixture
from .query import FewEffectiveSamples
from .result import Explanation
from .settings import ExplanationSettings
from .soundlime import SoundLIME
from .fit.surrogate import ForwardSelection, WeightedRidge

__all__ = [
    "ActivationMaximiser",
    "Evaluator",
    "Evidence",
    "Explanation",
    "ExplanationSettings",
    "FewEffectiveSamples",
    "Fit",
    "ForwardSelection",
    "FourierPrior",
    "Mixture",
    "PlainPasses",
    "Prior",
    "RawPrior",
    "ScaledPrior",
    "SoundLIME",
    "WeightedRidge",
    "components",
    "content",
    "segments",
]

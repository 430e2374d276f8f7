from . import components, content, evaluation, segments, selection
from .evaluation import ExplanationReport, explanation_report
from .fit.decisive import DecisiveSet, DecisiveSets, SharedSet, decisive_sets, shared_sets
from .evaluator import Evaluator, PlainPasses
from .fit.evidence import Evidence
from .fit.contributions import Fit
from .maximise import (
    ActivationMaximiser,
    FourierPrior,
    GeneratorPrior,
    MacoPrior,
    Prior,
    RawPrior,
    ScaledPrior,
)
from .components.mixture import Mixture
from .query import FewEffectiveSamples
from .result import Explanation
from .selection import ContentChoice, choose_content
from .settings import ExplanationSettings
from .soundlime import SoundLIME
from .fit.surrogate import ForwardSelection, WeightedRidge
from .transfer import Transfer, transfer_set

__all__ = [
    "ActivationMaximiser",
    "ContentChoice",
    "DecisiveSet",
    "DecisiveSets",
    "Evaluator",
    "Evidence",
    "Explanation",
    "ExplanationReport",
    "ExplanationSettings",
    "FewEffectiveSamples",
    "Fit",
    "ForwardSelection",
    "FourierPrior",
    "GeneratorPrior",
    "Mixture",
    "PlainPasses",
    "MacoPrior",
    "Prior",
    "RawPrior",
    "ScaledPrior",
    "SharedSet",
    "SoundLIME",
    "Transfer",
    "WeightedRidge",
    "choose_content",
    "components",
    "content",
    "decisive_sets",
    "evaluation",
    "explanation_report",
    "segments",
    "selection",
    "shared_sets",
    "transfer_set",
]

"""Measures of explanations: faithfulness, stability, dependence on the weights, localisation.

Whatever occludes runs on the occlusion operator and the shared forward pass, and looks up what the
explanation's own table holds. Measures that take arrays only are in `otoscope.metrics`.
"""

from otoscope.explain.evaluation.attribution import Attribution, read_attribution
from otoscope.explain.evaluation.faithfulness import Faithfulness, faithfulness
from otoscope.explain.evaluation.judgement import ExplanationReport, explanation_report
from otoscope.explain.evaluation.stability import Stability, stability, weight_randomisation

__all__ = [
    "Attribution",
    "ExplanationReport",
    "Faithfulness",
    "Stability",
    "explanation_report",
    "faithfulness",
    "read_attribution",
    "stability",
    "weight_randomisation",
]

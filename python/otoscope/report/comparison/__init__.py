"""Comparisons: the page of one excerpt, and what explanations agree on."""

from otoscope.report.comparison.consensus import agreement, agreement_numbers, overall_agreement
from otoscope.report.comparison.page import save_comparison

__all__ = [
    "agreement",
    "agreement_numbers",
    "overall_agreement",
    "save_comparison",
]

"""Reports: results as pages to read and to hear, with all sentences, number formats and charts.

A report is one HTML file that needs no network. Times are seconds of the recording.
"""

from __future__ import annotations

from otoscope.report.adversary import save_adversary
from otoscope.report.charts import OutputCurve
from otoscope.report.comparison import agreement, save_comparison
from otoscope.report.explanation import save_html
from otoscope.report.index import IndexRow, save_index
from otoscope.report.interrogation.page import save_interrogation
from otoscope.report.interrogation.verdict import VerdictText, interrogation_record, verdict_text
from otoscope.report.maximisation import save_maximisation
from otoscope.report.summary import save_summary

__all__ = [
    "IndexRow",
    "OutputCurve",
    "VerdictText",
    "agreement",
    "interrogation_record",
    "save_adversary",
    "save_comparison",
    "save_html",
    "save_index",
    "save_interrogation",
    "save_maximisation",
    "save_summary",
    "verdict_text",
]

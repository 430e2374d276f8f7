"""Reports: explanations as pages to read and to hear.

A report is one HTML file that needs no network. Pictures are [frame, mel] as in a `Patch`; times
are seconds of the recording.
"""

from __future__ import annotations

from otoscope.report.adversary import save_adversary
from otoscope.report.curve import Curve
from otoscope.report.interrogation import save_interrogation
from otoscope.report.maximisation import save_maximisation
from otoscope.report.page import IndexRow, save_html, save_index

__all__ = [
    "Curve",
    "IndexRow",
    "save_adversary",
    "save_html",
    "save_index",
    "save_interrogation",
    "save_maximisation",
]

"""Results in notebooks and papers: the top of their reports, and figures."""

from __future__ import annotations

from otoscope.report.notebook.plots import plot
from otoscope.report.notebook.tops import headline, html

__all__ = ["headline", "html", "plot"]

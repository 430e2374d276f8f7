"""Printed output of otoscope interrogate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from otoscope.cli.output import console

if TYPE_CHECKING:
    from otoscope.intervene import InterrogationResult
    from otoscope.workflows import SizeResult

__all__ = ["show_interrogation", "show_size"]


def show_interrogation(result: InterrogationResult) -> None:
    """Print the verdict, the bound and the table of changes of an interrogation."""
    from otoscope.report import verdict_text
    from otoscope.report.interrogation import text
    from otoscope.report.interrogation.verdict import gloss

    out, verdict = console(), verdict_text(result)
    out.print(text.typeset(verdict.sentence, is_sentence=True))
    if meaning := gloss(verdict):
        out.print(meaning)
    out.print(text.bound_text(result))
    if least := text.min_score_text(result):
        out.print(least)
    headings, *rows = text.change_table(result)
    table = Table(*headings, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    out.print(table, soft_wrap=False)
    parts = {
        "Evidence": verdict.evidence,
        "Not supported": verdict.not_supported,
        "Cautions": verdict.cautions,
    }
    for heading, lines in parts.items():
        if lines:
            out.print(f"{heading}:")
        for line in lines:
            out.print(f"  {text.typeset(line, is_sentence=True)}")


def show_size(size: SizeResult) -> None:
    """Print how many items clear a system, and what the items at hand are good for."""
    from otoscope.intervene.statistics.power import POWER
    from otoscope.workflows.interrogate.size import CORRELATION, size_table

    out = console()
    classes = f" of {size.n_classes} classes" * (size.n_classes > 1)
    out.print(
        f"{size.n_items:,} items{classes} in {size.n_groups:,} groups, {size.n_doses} doses. "
        f"Needed to clear a system whose score does not move, with probability {POWER:g}, by the "
        "fraction of items that are right at only one of a dose and its placebo:"
    )
    headings, *rows = size_table(size)
    table = Table(*headings, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    out.print(table, soft_wrap=False)
    chances = [
        f"{one.probability:.0%} if {one.flips:.0%} flip"
        for one in size.needed
        if one.bound == size.max_drop
    ]
    if chances:
        out.print(
            f"These items clear it at {size.max_drop:g} points with a probability of at least "
            f"{', '.join(chances)}."
        )
    out.print(
        f"Answers of one group are taken to flip with a correlation of {CORRELATION:g}; a pilot "
        "run tells how many flip, and an undecided verdict how many items it lacks."
    )

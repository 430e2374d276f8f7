"""Rank tunes by a judge: against the reference tunes in the meter of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from otoscope.errors import ParameterError
from otoscope.folk.abc import Tune
from otoscope.folk.metrics import Judge, Judgement
from otoscope.folk.workflows.book_tunes import read_book_tunes

__all__ = ["Ranked", "rank_tunes"]


@dataclass(frozen=True)
class Ranked:
    """Place of a tune in a ranking.

    Parameters
    ----------
    index : int
        Number of the tune among those that were ranked, from 0.
    judgement : Judgement, optional
        Screens and grades; None if it is no tune, or too few reference tunes have its meter.
    """

    index: int
    judgement: Judgement | None


def rank_tunes(tunes: Sequence[Tune | None], reference: Sequence[str]) -> list[Ranked]:
    """Rank tunes: fewest failed screens first, then the highest grade; None comes last."""
    books = [book for source in reference for book in read_book_tunes(source)]
    known = [(book.title, book.tune) for book in books if isinstance(book.tune, Tune)]
    judges: dict[str, Judge | ParameterError] = {}
    ranked = []
    for index, tune in enumerate(tunes):
        judgement = None
        if tune is not None:
            meter = tune.meter.text
            if meter not in judges:
                judges[meter] = _judge(known, meter)
            judge = judges[meter]
            judgement = judge(tune) if isinstance(judge, Judge) else None
        ranked.append(Ranked(index, judgement))
    if all(one.judgement is None for one in ranked):
        first = next((err for err in judges.values() if isinstance(err, ParameterError)), None)
        raise ParameterError(f"no tune can be judged: {first or 'none can be read'}")
    return sorted(ranked, key=_order)


def _judge(known: Sequence[tuple[str, Tune]], meter: str) -> Judge | ParameterError:
    """Return the judge of a meter, or the reason why there is none."""
    try:
        return Judge(known, preset=meter)
    except ParameterError as err:
        return err


def _order(one: Ranked) -> tuple[float, float, int]:
    if one.judgement is None:
        return float("inf"), 0.0, one.index
    return *one.judgement.order, one.index

"""Decisive sets and interactions: sentences, tables and players of what is enough and needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from otoscope.explain import (
    DecisiveSet,
    DecisiveSets,
    Explanation,
    SharedSet,
    Transfer,
    decisive_sets,
    shared_sets,
)
from otoscope.explain.fit.decisive import decision_of
from otoscope.report.numbers import UNKNOWN, number, signed
from otoscope.report.sentences import join, place, places
from otoscope.report.sounds import Sound, decisive_players

__all__ = [
    "DecisiveView",
    "InteractionRow",
    "SharedRow",
    "TransferTable",
    "decisive_view",
    "interaction_rows",
    "sets_in_common",
    "shared_rows",
    "transfer_table",
]

_LISTED = 6  # sets of one size that are written out
_MOST_ROWS = 12  # of a comparison, sets of each kind; those that hold most often come first
_LARGEST_MATRIX = 16  # segments


@dataclass(frozen=True)
class DecisiveView:
    """Sentences on the smallest sets, the sets by place, and their players."""

    heading: str
    sufficient: str
    flipping: str
    ties: list[tuple[str, list[str]]]
    players: list[Sound]


@dataclass(frozen=True)
class InteractionRow:
    """Interactions of one segment with all: place, and text, side and strength of each cell."""

    place: str
    cells: list[tuple[str, str, str]]


@dataclass(frozen=True)
class SharedRow:
    """A set, its role, and under how many of the explanations it holds."""

    kind: str
    places: str
    held: list[str]
    count: str


@dataclass(frozen=True)
class TransferTable:
    """Answers of several models to the smallest sufficient sound of each explanation."""

    models: list[str]
    rows: list[list[str]]


def sets_of(explanation: Explanation) -> DecisiveSets | None:
    """Return the decisive sets; None where no threshold of an answer is known."""
    return None if decision_of(explanation) is None else decisive_sets(explanation)


def decisive_view(explanation: Explanation) -> DecisiveView | None:
    """Describe the smallest sets; None where no threshold of an answer is known."""
    sets = sets_of(explanation)
    if sets is None:
        return None
    rule = "highest of the outputs"
    if sets.decision != "highest":
        rule = f"{'at least' if sets.is_reached else 'below'} {number(sets.decision)}"
    ties = [
        (heading, _listed(explanation, found))
        for heading, found in (
            ("Each of these is enough alone", sets.sufficient),
            ("Without each of these the answer changes", sets.flipping),
        )
        if len(found) > 1
    ]
    return DecisiveView(
        heading=f"The answer is “{sets.answer}” ({rule})",
        sufficient=_sufficient(explanation, sets),
        flipping=_flipping(explanation, sets),
        ties=ties,
        players=decisive_players(explanation),
    )


def interaction_rows(explanation: Explanation) -> list[InteractionRow]:
    """Lay out the pairwise interactions; none if they are not known or too many to print."""
    index = explanation.interactions
    if index is None or not 2 <= len(index) <= _LARGEST_MATRIX:
        return []
    largest = max(float(index.abs().max()), explanation.rounding, 1e-300)
    rows = []
    for i, extent in enumerate(explanation.extents):
        cells = []
        for j in range(len(index)):
            value = float(index[i, j])
            side = "for" if value >= 0 else "against"
            text = "" if i == j else signed(value)
            cells.append((text, side, f"{abs(value) / largest:.0%}"))
        rows.append(InteractionRow(place(explanation, extent), cells))
    return rows


def sets_in_common(explanations: Sequence[Explanation]) -> tuple[SharedSet, ...]:
    """Count under how many explanations of one excerpt each smallest set holds.

    Parameters
    ----------
    explanations : sequence of Explanation
        Explanations by several contents or models.

    Returns
    -------
    tuple of SharedSet
        See `shared_sets`; empty if the segments differ or a threshold is not known.

    Examples
    --------
    >>> sets_in_common([])
    ()
    """
    explanations = list(explanations)
    is_known = all(decision_of(explanation) is not None for explanation in explanations)
    alike = {(e.extents, e.segment_ids.numpy().tobytes()) for e in explanations}
    return shared_sets(explanations) if is_known and len(alike) == 1 else ()


def shared_rows(explanations: Sequence[Explanation]) -> list[SharedRow]:
    """Lay out the sets of `sets_in_common`."""
    first = explanations[0]
    rows = []
    for shared in _first_of_each(sets_in_common(explanations)):
        held, known = shared.count
        rows.append(
            SharedRow(
                kind="alone keeps the answer"
                if shared.kind == "sufficient"
                else "removed changes the answer",
                places=_named(first, shared.segments),
                held=[{True: "yes", False: "no", None: "not computed"}[h] for h in shared.holds],
                count=f"{held} of {known}",
            )
        )
    return rows


def _first_of_each(sets: Sequence[SharedSet]) -> list[SharedSet]:
    kinds = ("sufficient", "flipping")
    return [s for kind in kinds for s in [s for s in sets if s.kind == kind][:_MOST_ROWS]]


def transfer_table(transfers: Sequence[Sequence[Transfer | None]]) -> TransferTable | None:
    """Lay out what each model says of each sufficient sound; None if none was asked."""
    answers = [transfer for row in transfers for transfer in row if transfer]
    if not answers:
        return None
    names = [
        next((t.model for t in column if t), "another") for column in zip(*transfers, strict=True)
    ]

    def cell(transfer: Transfer | None) -> str:
        if transfer is None:
            return UNKNOWN
        answer = "accepts" if transfer.accepts else "does not"
        outputs = f"{number(transfer.output_set)}; whole {number(transfer.output_excerpt)}"
        return f"{answer} ({outputs})"

    return TransferTable(names, [[cell(transfer) for transfer in row] for row in transfers])


def _sufficient(explanation: Explanation, sets: DecisiveSets) -> str:
    first = sets.sufficient[0]
    if not first.segments:
        return (
            f"No part of the excerpt is needed: with everything replaced “{sets.target}” is "
            f"{number(first.output)}, and the answer is the same."
        )
    return (
        f"With {_named(explanation, first.segments)} alone “{sets.target}” is "
        f"{number(first.output)}: the same answer. {_count(sets.sufficient, 'is enough')}"
        f"{_bound(sets.sufficient_is_exact)}"
    )


def _flipping(explanation: Explanation, sets: DecisiveSets) -> str:
    if not sets.flipping:
        every = "" if sets.flipping_is_exact else " that was tried"
        return f"No removal{every} changes it."
    first = sets.flipping[0]
    return (
        f"Without {_named(explanation, first.segments)} “{sets.target}” is "
        f"{number(first.output)}: another answer. {_count(sets.flipping, 'changes it')}"
        f"{_bound(sets.flipping_is_exact)}"
    )


def _count(sets: Sequence[DecisiveSet], does: str) -> str:
    """Say that no smaller set is decisive, and how many of this size are."""
    size, n_sets = len(sets[0].segments), len(sets)
    segments = "1 segment" if size == 1 else f"{size} segments"
    others = f", nor are there others of {segments}"
    if n_sets > 1:
        others = f"; {n_sets} sets of {segments} do it"
    return f"Nothing smaller {does}{others}"


def _bound(is_exact: bool) -> str:
    return "." if is_exact else ", among the coalitions that were evaluated."


def _listed(explanation: Explanation, sets: Sequence[DecisiveSet]) -> list[str]:
    """Write sets of one size with their outputs; the last line counts the others."""
    lines = [f"{_named(explanation, s.segments)} ({number(s.output)})" for s in sets[:_LISTED]]
    if len(sets) > _LISTED:
        lines.append(f"and {len(sets) - _LISTED} more")
    return lines


def _named(explanation: Explanation, segments: Sequence[int]) -> str:
    return join(places(explanation, segments)) if segments else "nothing"

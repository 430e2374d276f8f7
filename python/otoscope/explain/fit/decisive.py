"""Decisive sets: the smallest sets of segments that keep the answer alone, or change it by absence.

They are read from the table of coalitions that an explanation holds; the model is not called. A
sufficient set keeps the answer with all other segments replaced; a flipping set changes it when its
own segments are replaced and the others stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from otoscope.errors import Advice, Argument, ParameterError
from otoscope.explain.fit.evidence import is_probability
from otoscope.explain.settings import Decision, read_decision

if TYPE_CHECKING:
    from otoscope.explain.result import Explanation

__all__ = [
    "DecisiveSet",
    "DecisiveSets",
    "SharedSet",
    "decision_of",
    "decisive_sets",
    "shared_sets",
]


@dataclass(frozen=True)
class DecisiveSet:
    """Hold one set of segments, with the output that makes it decisive.

    Parameters
    ----------
    segments : tuple of int
        Ids of the segments, in their order; empty if the answer needs no segment at all.
    output : float
        Output of the answer's target with only these segments (sufficient), or without them
        (flipping).

    Examples
    --------
    >>> DecisiveSet((2, 5), 0.71).segments
    (2, 5)
    """

    segments: tuple[int, ...]
    output: float


@dataclass(frozen=True)
class DecisiveSets:
    """Hold the smallest sufficient and flipping sets of an explanation, all of that size.

    Parameters
    ----------
    target : str
        Target that the answer is about.
    decision : float or "highest"
        Threshold of the answer; or the answer is the target with the highest output.
    is_reached : bool
        Whether the output for the whole excerpt reaches the threshold; True for "highest".
    sufficient, flipping : tuple of DecisiveSet
        All smallest sets, by how clearly they decide. No flipping set: the answer never changes.
    sufficient_is_exact, flipping_is_exact : bool
        Whether all coalitions of this size and of smaller ones (larger ones, for flipping sets)
        were evaluated. Otherwise smaller sets, and more of them, may exist.

    Examples
    --------
    >>> sets = DecisiveSets("singing", 0.5, True, (DecisiveSet((2,), 0.71),), (), True, True)
    >>> sets.answer
    'singing'
    """

    target: str
    decision: Decision
    is_reached: bool
    sufficient: tuple[DecisiveSet, ...]
    flipping: tuple[DecisiveSet, ...]
    sufficient_is_exact: bool
    flipping_is_exact: bool

    @property
    def answer(self) -> str:
        """The model's answer for the whole excerpt, in words."""
        return self.target if self.is_reached else f"not {self.target}"


@dataclass(frozen=True)
class SharedSet:
    """Count the explanations under which one decisive set holds.

    Parameters
    ----------
    kind : {"sufficient", "flipping"}
        Role of the set.
    segments : tuple of int
        Ids of the segments.
    holds : tuple of bool or None
        Whether it holds in each explanation; None where its coalition was not evaluated.

    Examples
    --------
    >>> SharedSet("sufficient", (2,), (True, False, None)).count
    (1, 2)
    """

    kind: Literal["sufficient", "flipping"]
    segments: tuple[int, ...]
    holds: tuple[bool | None, ...]

    @property
    def count(self) -> tuple[int, int]:
        """Number of explanations in which it holds, and of those in which that is known."""
        known = [held for held in self.holds if held is not None]
        return sum(known), len(known)


def decisive_sets(explanation: Explanation, *, decision: Decision | None = None) -> DecisiveSets:
    """Find the smallest sets of segments that keep the answer, and that change it.

    Parameters
    ----------
    explanation : Explanation
        Explanation of the target shown. The designs "exact" and, for single segments,
        "leave_one_out" give exact sets; others the smallest sets among the coalitions drawn.
    decision : float or "highest", optional
        Threshold: the answer is whether the output reaches it. "highest": the answer is the target
        with the highest output of those explained. By default that of the settings; else 0.5 for
        probabilities and 0 for log-odds.

    Returns
    -------
    DecisiveSets
        All smallest sets of both kinds.

    Raises
    ------
    ParameterError
        If the outputs are no probabilities and no threshold is given, or "highest" is asked of one
        target.

    Notes
    -----
    Where a coalition was drawn several times with different content (fresh noise), the answer must
    hold, or change, each time; its output is the mean.

    FreqReX (arXiv 2601.16675) approximates such sets, in frequency.

    Examples
    --------
    >>> from otoscope.explain import SoundLIME
    >>> from otoscope.protocols import Patch
    >>> def both(batch):  # of the first two quarters
    ...     return batch[:, 0, 0] * batch[:, 0, 1]
    >>> lime = SoundLIME(both, segments="temporal:4", content=0.0)
    >>> sets = decisive_sets(lime.explain(Patch(torch.ones(4, 1))))
    >>> [s.segments for s in sets.sufficient], [s.segments for s in sets.flipping]
    ([(0, 1)], [(0,), (1,)])
    """
    decision = decision_of(explanation) if decision is None else read_decision(decision)
    if decision is None:
        low, high = float(explanation.outputs.min()), float(explanation.outputs.max())
        raise ParameterError(
            f"the outputs lie in [{low:.4g}, {high:.4g}] and are no probabilities, so that the "
            "threshold of an answer is not known",
            advice=Advice("give it by ", Argument("decision", 0.0)),
        )
    column, margins = _margins(explanation, decision)
    keep, rows = explanation.keep.unique(dim=0, return_inverse=True)
    n, count = keep.shape[1], torch.zeros(len(keep), dtype=torch.float64)
    count.index_add_(0, rows, torch.ones(len(rows), dtype=torch.float64))
    outputs = count.new_zeros(len(keep)).index_add_(0, rows, explanation.outputs[:, column]) / count
    holds = torch.ones(len(keep), dtype=torch.bool).index_put_((rows[margins < 0],), _no())
    holds[keep.all(1)] = True  # whatever a model that is not deterministic says
    changes = torch.ones(len(keep), dtype=torch.bool).index_put_((rows[margins >= 0],), _no())
    mean_margins = count.new_zeros(len(keep)).index_add_(0, rows, margins) / count
    sufficient, is_exact = _smallest(keep, holds, outputs, mean_margins)
    flipping, flipping_is_exact = _smallest(~keep, changes, outputs, -mean_margins)
    whole = explanation.outputs[explanation.keep.all(1).nonzero()[0, 0], column]
    return DecisiveSets(
        target=explanation.targets[column],
        decision=decision,
        is_reached=decision == "highest" or float(whole) >= decision,
        sufficient=sufficient,
        flipping=flipping,
        sufficient_is_exact=is_exact,
        flipping_is_exact=flipping_is_exact if flipping else len(keep) == 2**n,
    )


def shared_sets(
    explanations: Sequence[Explanation], *, decision: Decision | None = None
) -> tuple[SharedSet, ...]:
    """Count under how many explanations of one excerpt, by several contents, each set holds.

    Parameters
    ----------
    explanations : sequence of Explanation
        Explanations by several contents or models, with the same segments.
    decision : float or "highest", optional
        See `decisive_sets`.

    Returns
    -------
    tuple of SharedSet
        Every smallest set of any explanation; sufficient ones first, then by the number of
        explanations in which they hold.

    Raises
    ------
    ParameterError
        If the segments differ, or a threshold is not known.

    Examples
    --------
    >>> from otoscope.explain import SoundLIME
    >>> from otoscope.protocols import Patch
    >>> explained = [
    ...     SoundLIME(torch.nn.Flatten(), segments="temporal:4", content=content, target=3).explain(
    ...         Patch(torch.ones(4, 1))
    ...     )
    ...     for content in (0.0, 0.9)
    ... ]
    >>> [(s.kind, s.segments, s.count) for s in shared_sets(explained)]
    [('sufficient', (3,), (2, 2)), ('sufficient', (), (1, 2)), ('flipping', (3,), (1, 2))]
    """
    first = explanations[0]
    for other in explanations[1:]:
        if other.extents != first.extents or not torch.equal(other.segment_ids, first.segment_ids):
            raise ParameterError(
                f"the segments differ: {first.settings.segments} and {other.settings.segments}; "
                "sets are compared on the same segments"
            )
    sets = [decisive_sets(explanation, decision=decision) for explanation in explanations]
    shared = []
    for kind in ("sufficient", "flipping"):
        found = {s.segments: None for each in sets for s in getattr(each, kind)}
        of_kind = []
        for segments in found:
            holds = tuple(
                _holds(explanation, each.decision, segments, kind)
                for explanation, each in zip(explanations, sets, strict=True)
            )
            of_kind.append(SharedSet(kind, segments, holds))
        shared += sorted(of_kind, key=lambda s: (-s.count[0], len(s.segments), s.segments))
    return tuple(shared)


def decision_of(explanation: Explanation) -> Decision | None:
    """Return the decision of the settings, or that of probabilities or log-odds, if any."""
    if explanation.settings.decision is not None:
        return read_decision(explanation.settings.decision)
    if explanation.settings.link == "log_odds":
        return 0.0
    return 0.5 if is_probability(explanation) else None


def _margins(explanation: Explanation, decision: Decision) -> tuple[int, Tensor]:
    """Return the answer's column, and how far each row is on the answer's side: >= 0 keeps it."""
    outputs = explanation.outputs
    whole = outputs[explanation.keep.all(1).nonzero()[0, 0]]
    if decision != "highest":
        column = explanation.selected
        if whole[column] >= decision:
            return column, outputs[:, column] - decision
        below = decision - outputs[:, column]
        return column, below.where(below != 0, -torch.finfo(below.dtype).tiny)
    if outputs.shape[1] < 2:
        raise ParameterError(
            f"decision is 'highest', and only {explanation.target!r} was explained",
            advice=Advice("explain all outputs: ", Argument("target", "a list of them")),
        )
    column = int(whole.argmax())
    others = torch.cat([outputs[:, :column], outputs[:, column + 1 :]], 1)
    return column, outputs[:, column] - others.amax(1)


def _smallest(
    members: Tensor, is_decisive: Tensor, outputs: Tensor, margins: Tensor
) -> tuple[tuple[DecisiveSet, ...], bool]:
    """List the smallest decisive sets, clearest first, and whether smaller ones are excluded."""
    sizes, n = members.sum(1), members.shape[1]
    if not is_decisive.any():
        return (), False
    size = int(sizes[is_decisive].min())
    rows = (is_decisive & (sizes == size)).nonzero()[:, 0]
    is_exact = all(int((sizes == smaller).sum()) == comb(n, smaller) for smaller in range(size + 1))
    found = []
    for row in rows.tolist():
        segments = tuple(members[row].nonzero()[:, 0].tolist())
        clearness = round(float(margins[row]), 9)  # rounding decides no order
        found.append((-clearness, segments, DecisiveSet(segments, float(outputs[row]))))
    return tuple(one for *_, one in sorted(found, key=lambda entry: entry[:2])), is_exact


def _holds(
    explanation: Explanation, decision: Decision, segments: Sequence[int], kind: str
) -> bool | None:
    """Whether a set is sufficient, or flips the answer; None if its coalition is not there."""
    keep = torch.zeros(len(explanation.extents), dtype=torch.bool)
    keep[list(segments)] = True
    rows = (explanation.keep == (keep if kind == "sufficient" else ~keep)).all(1)
    if not rows.any():
        return None
    margins = _margins(explanation, decision)[1][rows]
    return bool((margins >= 0).all() if kind == "sufficient" else (margins < 0).all())


def _no() -> Tensor:
    return torch.tensor(False)

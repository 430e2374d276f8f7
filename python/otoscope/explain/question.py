"""One patch ready to be asked about, and the explanation that the model's outputs give."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from otoscope import ops, records
from otoscope.explain.design import Design, distinct
from otoscope.explain.explanation import Explanation, Settings
from otoscope.explain.fit import SHAPLEY_DESIGNS, fit_table
from otoscope.explain.kernel import FewEffectiveSamples, Kernel, effective_samples, kernel_weights
from otoscope.explain.segments import Segments
from otoscope.protocols import Patch

__all__ = ["Question", "answers", "asked_together", "contents"]


@dataclass(frozen=True, eq=False)
class Question:
    """What does the model say of a patch without some of its segments: all that is needed to ask.

    Parameters
    ----------
    patch : Patch
        To explain.
    values : Tensor [frame, mel]
        The patch's, of the model's type.
    segments : Segments
        Its parts.
    content : Tensor or ops.Noise
        What stands where a part is taken away; broadcasts to the values.
    design : Design
        Which parts to take away.

    Examples
    --------
    >>> from otoscope.explain.design import draw_design
    >>> from otoscope.explain.segments import temporal
    >>> patch = Patch(torch.zeros(4, 1))
    >>> one = Question(
    ...     patch, patch.values, temporal(2)(patch), torch.tensor(0.0), draw_design("exact", 2)
    ... )
    >>> one.is_like(one)
    True
    """

    patch: Patch
    values: Tensor
    segments: Segments
    content: Tensor | ops.Noise
    design: Design

    def is_like(self, other: Question) -> bool:
        """Whether both can be asked at once: same coalitions of the same segments, no noise.

        Parameters
        ----------
        other : Question
            About another patch.

        Returns
        -------
        bool
            True if only the values differ.

        Examples
        --------
        >>> from otoscope.explain.design import draw_design
        >>> from otoscope.explain.segments import temporal
        >>> patch, zero = Patch(torch.zeros(4, 1)), torch.tensor(0.0)
        >>> two, four = (
        ...     Question(patch, patch.values, temporal(n)(patch), zero, draw_design("exact", n))
        ...     for n in (2, 4)
        ... )
        >>> two.is_like(four)
        False
        """
        mine, theirs = self.segments.map.ids, other.segments.map.ids
        bits = self.design.coalitions.bits, other.design.coalitions.bits
        return (
            isinstance(self.content, Tensor)
            and isinstance(other.content, Tensor)
            and self.values.dtype == other.values.dtype
            and mine.device == theirs.device
            and torch.equal(mine, theirs)
            and torch.equal(*bits)
        )


def asked_together(questions: Sequence[Question]) -> Iterator[list[Question]]:
    """Group questions that can be asked at once, without changing their order.

    Parameters
    ----------
    questions : sequence of Question
        In order.

    Yields
    ------
    list of Question
        Neighbours that are alike.

    Examples
    --------
    >>> list(asked_together([]))
    []
    """
    group: list[Question] = []
    for question in questions:
        if group and not question.is_like(group[0]):
            yield group
            group = []
        group.append(question)
    if group:
        yield group


def contents(questions: Sequence[Question]) -> Tensor | ops.Noise:
    """Put the contents of alike questions together.

    Parameters
    ----------
    questions : sequence of Question
        Alike; only a single one may have noise.

    Returns
    -------
    Tensor [excerpt, frame, mel] or ops.Noise
        Of the values' type and shape.

    Examples
    --------
    >>> contents([])
    Traceback (most recent call last):
    ...
    IndexError: list index out of range
    """
    only = questions[0].content
    if isinstance(only, ops.Noise):
        return only
    return torch.stack(
        [
            question.content.to(question.values).expand_as(question.values)
            for question in questions
            if isinstance(question.content, Tensor)
        ]
    )


def answers(
    questions: Sequence[Question],
    names: list[str],
    outputs: Tensor,
    plan: str,
    settings: Settings,
    surrogate: BaseEstimator,
) -> list[Explanation]:
    """Explain the outputs of questions that were asked together.

    Parameters
    ----------
    questions : sequence of Question
        Alike.
    names : list of str
        Of the targets.
    outputs : Tensor [excerpt, coalition, target], float64
        The model's.
    plan : str
        How they were had.
    settings : Settings
        Kernel and design.
    surrogate : estimator
        Fitted for each excerpt and target.

    Returns
    -------
    list of Explanation
        One a question, of all targets.

    Warns
    -----
    FewEffectiveSamples
        If the fit rests on fewer coalitions than twice the number of segments.

    Examples
    --------
    >>> answers.__name__  # used by `SoundLIME`
    'answers'
    """
    design = questions[0].design.cpu()
    keep = design.coalitions.unpack()
    weights = design.counts * _locality(settings, keep)
    coalition = distinct(design.coalitions.bits)[1]
    effective = effective_samples(coalition.bincount(weights))
    _warn(settings, effective, design)
    columns = outputs.transpose(0, 1).flatten(1)  # all excerpts and targets are fitted at once
    fits = fit_table(design, weights, columns, names * len(questions), surrogate)
    versions = records.versions()
    return [
        Explanation(
            fits=fits[i * len(names) : (i + 1) * len(names)],
            patch=question.patch,
            extents=question.segments.extents,
            segment_ids=question.segments.map.ids.cpu(),
            keep=keep,
            counts=design.counts,
            weights=weights,
            outputs=outputs[i],
            n_samples=design.n_samples,
            effective_samples=effective,
            plan=plan,
            settings=settings,
            versions=versions,
        )
        for i, question in enumerate(questions)
    ]


def _locality(settings: Settings, keep: Tensor) -> Tensor:
    """The kernel's weights; the designs for Shapley values drew by theirs already."""
    if settings.design in SHAPLEY_DESIGNS:
        return torch.ones(len(keep), dtype=torch.float64)
    width = settings.kernel_width
    return kernel_weights(
        keep.sum(1), keep.shape[1], kernel=cast(Kernel, settings.kernel), width=width
    )


def _warn(settings: Settings, effective: float, design: Design) -> None:
    n_segments, n_coalitions = design.coalitions.n_segments, len(design.coalitions)
    is_estimate = design.kind in SHAPLEY_DESIGNS
    if effective >= 2 * n_segments or design.kind == "leave_one_out":
        return  # leaving one out, nothing is averaged
    if design.is_complete and (is_estimate or effective >= n_coalitions / 2):
        return  # the values are exact, or there are no more coalitions of so few segments
    wider = "a wider kernel_width" + (" or kernel='cosine'" if settings.kernel == "l2" else "")
    remedy = "more n_samples" if is_estimate else wider
    warnings.warn(
        f"the surrogate rests on {effective:.3g} effective coalitions for {n_segments} "
        f"segments, which is below 2 a segment; use {remedy}",
        FewEffectiveSamples,
        stacklevel=5,
    )

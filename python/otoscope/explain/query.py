"""Queries: patches ready to be evaluated, and explanations from the model's outputs for them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor

from otoscope import ops, records
from otoscope.errors import ParameterError
from otoscope.explain.design import SHAPLEY_DESIGNS, Design, distinct
from otoscope.explain.fit import Surrogate, fit_table
from otoscope.explain.kernel import Kernel, effective_samples, kernel_weights
from otoscope.explain.result import Explanation
from otoscope.explain.segments import Segments
from otoscope.explain.settings import ExplanationSettings
from otoscope.protocols import Patch
from otoscope.protocols.patch import as_tensor

__all__ = [
    "FewEffectiveSamples",
    "Query",
    "as_patch",
    "explain_outputs",
    "group_queries",
    "stack_contents",
]


@dataclass(frozen=True, eq=False)
class Query:
    """Hold a patch with its segments, content and design, ready to be evaluated."""

    patch: Patch
    values: Tensor  # [frame, mel], of the model's type
    segments: Segments
    content: Tensor | ops.Noise
    design: Design

    def shares_table(self, other: Query) -> bool:
        """Tell whether both have the same coalitions of the same segments, and no noise."""
        own, others = self.segments.map.ids, other.segments.map.ids
        return (
            isinstance(self.content, Tensor)
            and isinstance(other.content, Tensor)
            and self.values.dtype == other.values.dtype
            and own.device == others.device
            and torch.equal(own, others)
            and torch.equal(self.design.coalitions.bits, other.design.coalitions.bits)
        )


def group_queries(queries: Sequence[Query]) -> Iterator[list[Query]]:
    """Group neighbours that share a table, without changing their order."""
    group: list[Query] = []
    for query in queries:
        if group and not query.shares_table(group[0]):
            yield group
            group = []
        group.append(query)
    if group:
        yield group


def stack_contents(group: Sequence[Query]) -> Tensor | ops.Noise:
    """Stack the contents of a group, [excerpt, frame, mel]; noise comes alone."""
    first = group[0].content
    if isinstance(first, ops.Noise):
        return first
    return torch.stack(
        [
            query.content.to(query.values).expand_as(query.values)
            for query in group
            if isinstance(query.content, Tensor)
        ]
    )


def as_patch(value: object) -> Patch:
    """Return a patch, made from a tensor if need be."""
    if isinstance(value, Patch):
        return value
    if isinstance(value, Tensor | np.ndarray):
        return Patch(as_tensor("patch", value))
    raise ParameterError(
        f"patch is {value!r}, must be a Patch or a Tensor [frame, mel]; "
        "model.patch(path) cuts one from a sound file"
    )


class FewEffectiveSamples(UserWarning):
    """Warns that a surrogate rests on too few effective coalitions to be trusted."""


def explain_outputs(
    queries: Sequence[Query],
    names: list[str],
    outputs: Tensor,
    plan: str,
    settings: ExplanationSettings,
    surrogate: Surrogate,
) -> list[Explanation]:
    """Explain the outputs [excerpt, coalition, target], float64, of queries that share a table."""
    design = queries[0].design.cpu()
    keep = design.coalitions.unpack()
    weights = design.counts * _kernel_of_coalitions(settings, keep)
    coalition = distinct(design.coalitions.bits)[1]
    effective = effective_samples(coalition.bincount(weights))
    _warn_if_few(settings, effective, design)
    columns = outputs.transpose(0, 1).flatten(1)  # all excerpts and targets are fitted at once
    fits = fit_table(design, weights, columns, names * len(queries), surrogate)
    return [
        Explanation(
            fits=fits[i * len(names) : (i + 1) * len(names)],
            patch=query.patch,
            extents=query.segments.extents,
            segment_ids=query.segments.map.ids.cpu(),
            keep=keep,
            counts=design.counts,
            weights=weights,
            outputs=outputs[i],
            n_samples=design.n_samples,
            effective_samples=effective,
            plan=plan,
            settings=settings,
            versions=records.versions(),
        )
        for i, query in enumerate(queries)
    ]


def _kernel_of_coalitions(settings: ExplanationSettings, keep: Tensor) -> Tensor:
    """Return the kernel's weights; 1 if the design draws coalitions by the Shapley kernel."""
    if settings.design in SHAPLEY_DESIGNS:
        return torch.ones(len(keep), dtype=torch.float64)
    kernel = cast(Kernel, settings.kernel)
    return kernel_weights(keep.sum(1), keep.shape[1], kernel=kernel, width=settings.kernel_width)


def _warn_if_few(settings: ExplanationSettings, effective: float, design: Design) -> None:
    n_segments, n_coalitions = design.coalitions.n_segments, len(design.coalitions)
    is_estimate = design.kind in SHAPLEY_DESIGNS
    if effective >= 2 * n_segments or design.kind == "leave_one_out":
        return  # leaving one out, nothing is averaged
    if design.is_complete and (is_estimate or effective >= n_coalitions / 2):
        return  # the values are exact, or few segments have no more coalitions
    wider = "a wider kernel_width" + (" or kernel='cosine'" if settings.kernel == "l2" else "")
    remedy = "more n_samples" if is_estimate else wider
    warnings.warn(
        f"the surrogate rests on {effective:.3g} effective coalitions for {n_segments} "
        f"segments, fewer than 2 per segment; use {remedy}",
        FewEffectiveSamples,
        stacklevel=5,
    )

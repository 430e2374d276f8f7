"""Queries: patches ready to be evaluated, and explanations from the model's outputs for them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from torch import Tensor

from otoscope import ops, records
from otoscope.errors import Advice, Argument, ParameterError
from otoscope.explain.components.mixture import Mixture
from otoscope.explain.design import SHAPLEY_DESIGNS, Design, distinct
from otoscope.explain.fit.contributions import Surrogate, fit_table
from otoscope.explain.fit.kernel import Kernel, effective_samples, kernel_weights
from otoscope.explain.result import Explanation
from otoscope.explain.segments import Segments
from otoscope.explain.settings import ExplanationSettings
from otoscope.protocols import InputLayout, Patch, device_of
from otoscope.protocols.layout import HOUSE
from otoscope.protocols.patch import as_tensor
from otoscope.signal.mel.domain import Domain

__all__ = [
    "FewEffectiveSamples",
    "Query",
    "as_patches",
    "explain_outputs",
    "for_model",
    "group_queries",
    "require_finite",
    "require_same_device",
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
    settings: ExplanationSettings
    mixture: Mixture | None = None  # of a sound
    shown_ids: Tensor | None = None  # [frame, mel] of the patch, if `segments` are of a mixture

    @property
    def n_channels(self) -> int | None:
        """Number of channels of a sound, 0 for [sample]; None for a patch."""
        return None if self.mixture is None else self.mixture.n_channels

    def shares_table(self, other: Query) -> bool:
        """Tell whether both have the same coalitions of the same segments, and no noise."""
        own, others = self.segments.map.ids, other.segments.map.ids
        return (
            isinstance(self.content, Tensor)
            and isinstance(other.content, Tensor)
            and self.values.dtype == other.values.dtype
            and self.n_channels == other.n_channels
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
    contents = [(query.content, query.values) for query in group]
    return torch.stack([_expanded(x, to) for x, to in contents if isinstance(x, Tensor)])


def _expanded(content: Tensor, values: Tensor) -> Tensor:
    try:
        return content.to(values).expand_as(values)
    except RuntimeError:
        raise ParameterError(
            f"content has shape {tuple(content.shape)}, the patch {tuple(values.shape)}"
        ) from None


def as_patches(value: object, layout: InputLayout | None) -> tuple[list[Patch], bool]:
    """Return patches, made from arrays in a model's layout if need be, and whether it is one."""
    if isinstance(value, np.ndarray):
        value = as_tensor("patch", value)
    if isinstance(value, Tensor):
        pictures, is_batch = (layout or HOUSE).pictures(value)
        named = None if layout is None else "frame mel"
        return [Patch(picture, layout=named) for picture in pictures], not is_batch
    if isinstance(value, Patch):
        return [value], True
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ParameterError(
            f"patch is {value!r}, must be a Patch, a Tensor [frame, mel], or a sound: a file's "
            "name or (y, sr)"
        )
    if isinstance(value, Mapping):  # as a feature extractor returns
        keys = [*map(repr, value)]
        raise ParameterError(
            f"patch is a {type(value).__name__} of {', '.join(keys) or 'nothing'}; give one of its "
            f"arrays, as with [{keys[0] if keys else '...'}]"
        )
    items = [as_patches(item, layout) for item in value]
    return [patch for patches, _ in items for patch in patches], False


def for_model(patch: Patch, model: object, layout: InputLayout) -> Patch:
    """Complete a patch by the model's domain; refuse one of another device, layout or size."""
    require_same_device(model, patch.values)
    shape, n_mels = tuple(patch.values.shape), getattr(model, "n_mels", None)
    if layout.is_sound and shape[1] != 1:
        raise ParameterError(
            f"layout is {str(layout)!r}, the patch is a picture {shape}; give the sound [sample], "
            "or name frame and mel in the layout"
        )
    if isinstance(n_mels, int) and n_mels != shape[1] and n_mels == shape[0]:
        raise ParameterError(
            f"the patch is [frame, mel] = {shape}, and {n_mels} is the number of bands of the "
            "model: it is transposed",
            advice=Advice("name its axes with ", Argument("layout", "mel frame"), " of Patch"),
        )
    domain = getattr(model, "domain", None)
    is_known = patch.domain is not None or not isinstance(domain, Domain)
    return patch if is_known else replace(patch, domain=domain)


def require_finite(
    outputs: Tensor, targets: list[str], coalitions: ops.Coalitions, segments: Segments
) -> None:
    """Refuse outputs [coalition, target] that are NaN or infinite.

    The message names the excerpt as it is, if its output is one of them, else the first coalition.
    """
    is_bad = ~outputs.isfinite()
    if not is_bad.any():
        return
    keep = coalitions.unpack()
    untouched = (keep.all(1).cpu() & is_bad.any(1).cpu()).nonzero()[:, 0]
    row = int(untouched[0]) if len(untouched) else int(is_bad.any(1).nonzero()[0, 0])
    column = int(is_bad[row].nonzero()[0, 0])
    given = f"output {targets[column]!r} is {float(outputs[row, column])} for the excerpt"
    if len(untouched):
        raise ParameterError(
            f"{given} as it is, with nothing occluded: check the model, and the sound for silence "
            "or other values that it cannot take"
        )
    kept = [e.name for e, stays in zip(segments.extents, keep[row].tolist(), strict=True) if stays]
    off = [e.name for e in segments.extents if e.name not in kept]
    which = (
        f"without {', '.join(off)}" if len(off) <= len(kept) else f"with {', '.join(kept)} alone"
    )
    raise ParameterError(
        f"{given} {which if kept else 'with every segment replaced'}; each coalition needs a "
        "finite output: check the model and the content"
    )


def require_same_device(model: object, patch: Tensor) -> None:
    """Refuse a model and a patch on different devices."""
    device = device_of(model, default=patch.device)
    if device != patch.device:
        raise ParameterError(
            f"the model is on {device}, the patch on {patch.device}; move one of them: "
            f"model.to({str(patch.device)!r}) or values.to({str(device)!r})"
        )


class FewEffectiveSamples(UserWarning):
    """Warns that a surrogate rests on too few effective coalitions to be trusted."""


def explain_outputs(
    queries: Sequence[Query],
    names: list[str],
    outputs: Tensor,
    plan: str,
    passes: float,
    surrogate: Surrogate,
) -> list[Explanation]:
    """Explain the outputs [excerpt, coalition, target], float64, of queries that share a table."""
    design, settings = queries[0].design.cpu(), queries[0].settings
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
            segment_ids=query.segments.map.ids.cpu()
            if query.shown_ids is None
            else query.shown_ids,
            keep=keep,
            counts=design.counts,
            weights=weights,
            outputs=outputs[i],
            n_samples=design.n_samples,
            effective_samples=effective,
            plan=plan,
            passes=passes,
            settings=settings,
            versions=records.versions(),
            mixture=query.mixture and query.mixture.to("cpu"),
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

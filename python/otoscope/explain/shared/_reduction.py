"""Operations over the plane: sums, means, maxima and dense layers.

The contribution of a tile is computed once per variant; a sample's value is the sum (or maximum) of
the contributions of its variants.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from otoscope.explain.shared._blocks import Blocks, Range, Source, is_plain
from otoscope.explain.shared._crew import for_each
from otoscope.explain.shared._factored import (
    COLUMN,
    ROW,
    Axis,
    FactoredTensor,
    MixesSamples,
    NotShareable,
)
from otoscope.explain.shared._handlers import Arguments, WorkCount, constant, factored_of, handles
from otoscope.explain.shared._layout import Layout
from otoscope.explain.shared._pointwise import along_features, elementwise
from otoscope.explain.shared._scan import Scan

_PLANE = (ROW, COLUMN)
_WORTH_ONEDNN = 4096  # elements of a matrix
_MOST_PACKED = 1 << 22  # elements of a matrix that is kept in another order
_PACKED = WeakIdKeyDictionary()


def combine_tiles(tensor: FactoredTensor, table: Tensor, mode: str) -> tuple[Tensor, Layout]:
    """Combine contributions [excerpt, variant of tile, feature] over all tiles, by "sum" or "max".

    Returns rows [excerpt, variant + 1, feature] of the layout of one position, and that layout.
    """
    tiles = tensor.layout
    layout = tiles.whole
    bags = tiles.contribution_of_sample[
        torch.from_numpy(layout.groups[0].sample_of_variant).to(tiles.samples.device)
    ]
    rows = table.new_zeros(len(table), len(bags) + 1, table.shape[-1])
    for excerpt, contributions in enumerate(table):
        rows[excerpt, :-1] = F.embedding_bag(bags, contributions, mode=mode)
        if mode == "max" and (is_nan := contributions.isnan()).any():  # embedding_bag skips NaN
            nan = contributions.masked_fill(~is_nan, 0)
            rows[excerpt, :-1] += F.embedding_bag(bags, nan, mode="sum")
    return rows, layout


def tile_contributions(tensor: FactoredTensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply a function [excerpt, variant, position, feature] -> [.., feature] to each group."""
    groups, source = tensor.layout.groups, tensor.source
    if isinstance(source, Blocks):
        parts = source.map(lambda rows, part: function(rows.unflatten(1, (part[2] - part[1], -1))))
        return torch.cat(parts, 1)
    return torch.cat(
        [
            function(
                source[:, group.start : group.start + group.n_rows].unflatten(1, (-1, group.area))
            )
            for group in groups
        ],
        1,
    )


@handles("mean", "sum", "amax", "amin")
def reduction(a: Arguments, work: WorkCount) -> FactoredTensor:
    """Take the mean, sum, maximum or minimum over features and the plane."""
    tensor, op = factored_of(a, "self"), a["op"]
    dims = a.get("dim")
    if dims is None or dims == []:
        raise MixesSamples("mixes samples")
    chosen = sorted(tensor.dimension(d) for d in ([dims] if isinstance(dims, int) else dims))
    reduce: Callable[..., Tensor] = getattr(torch, op)
    plane = [axis for dim in chosen for axis in tensor.dims[dim] if axis in _PLANE]
    for dim in chosen:
        if features := [axis for axis in tensor.dims[dim] if axis not in _PLANE]:
            tensor = _without_features(tensor, dim, features, reduce)
    others = [axis for axis in _PLANE if axis not in plane and tensor.size_of(axis) != 1]
    if plane and not others:
        tensor = _over_plane(tensor, op)
    elif plane:
        tensor = _over_axis(tensor, plane[0], reduce)
    kept = [
        1 if i in chosen else size
        for i, size in enumerate(tensor.sizes)
        if a["keepdim"] or i not in chosen
    ]
    return tensor.reshape_to(kept)


def _without_features(
    tensor: FactoredTensor, dim: int, features: list[Axis], reduce: Callable[..., Tensor]
) -> FactoredTensor:
    places = [tensor.features.index(axis) + 2 for axis in features]
    sizes = [axis.size for axis in tensor.features]
    kept = tuple(axis for axis in tensor.features if axis not in features)

    def over_features(rows: Tensor) -> Tensor:
        reduced = reduce(rows.unflatten(2, sizes), dim=places)
        return reduced.flatten(2) if kept else reduced[..., None]

    dims = list(tensor.dims)
    dims[dim] = tuple(axis for axis in tensor.dims[dim] if axis not in features)
    return FactoredTensor(tensor.map_rows(over_features), tensor.layout, kept, tuple(dims))


def _over_plane(tensor: FactoredTensor, op: str) -> FactoredTensor:
    area = tensor.layout.area
    dims = tuple(tuple(axis for axis in dim if axis not in _PLANE) for dim in tensor.dims)
    if op in ("mean", "sum"):
        scale = 1 / area if op == "mean" else 1.0
        table = tile_contributions(tensor, lambda rows: rows.sum(2) * scale)
        rows, layout = combine_tiles(tensor, table, "sum")
    else:
        sign = 1.0 if op == "amax" else -1.0
        table = tile_contributions(tensor, lambda rows: (rows * sign).amax(2))
        rows, layout = combine_tiles(tensor, table, "max")
        rows *= sign
    return FactoredTensor(rows, layout, tensor.features, dims)


def _over_axis(tensor: FactoredTensor, axis: Axis, reduce: Callable[..., Tensor]) -> FactoredTensor:
    row, column = (
        Scan(tuple(range(size)), kernel=size if mine is axis else 1)
        for mine, size in zip(_PLANE, tensor.layout.size, strict=True)
    )
    dims = tuple(tuple(a for a in dim if a is not axis) for dim in tensor.dims)
    place = 2 if axis is ROW else 3
    if len(tensor.layout.edges[_PLANE.index(axis)]) == 2 and isinstance(tensor.source, Blocks):
        # no tile ends within the axis: a block holds all that is reduced
        target = tensor.layout.after_windows((row, column))
        return FactoredTensor(
            _within_tiles(tensor.source, target, partial(reduce, dim=place)),
            target,
            tensor.features,
            dims,
        )
    windows = tensor.windows((row, column), 0.0)
    rows = windows.map(lambda part: reduce(part, dim=place, keepdim=True))
    return FactoredTensor(rows, windows.target, tensor.features, dims)


def _within_tiles(source: Blocks, target: Layout, reduce: Callable[[Tensor], Tensor]) -> Source:
    """Reduce an axis along which every tile is whole: blocks stay blocks."""

    def compute(part: Range) -> Tensor:
        height, width = source.layout.groups[part[0]].shape
        tiles = source[part].unflatten(1, (part[2] - part[1], height, width))
        return reduce(tiles).flatten(1, 2)

    blocks = Blocks(target, source.widths, compute, source.first.device)
    return blocks.matrix() if blocks.is_small else blocks


@handles("max", "min")
def extreme(a: Arguments, work: WorkCount) -> FactoredTensor | list[FactoredTensor | None]:
    """Take the maximum or minimum of two, or along a dimension; its index is not available."""
    if "dim" not in a:
        if "other" in a:
            op = torch.maximum if a["op"] == "max" else torch.minimum
            return elementwise(op, (a["self"], a["other"]), {})
        raise MixesSamples("mixes samples")
    return [reduction({**a, "op": "amax" if a["op"] == "max" else "amin"}, work), None]


@handles("std", "var", "logsumexp", "norm", "linalg_vector_norm")
def statistic(a: Arguments, work: WorkCount) -> FactoredTensor:
    """Reduce one dimension of features."""
    tensor, dims = factored_of(a, "self"), a.get("dim")
    dims = [dims] if isinstance(dims, int) else dims
    if not dims or len(dims) != 1:
        raise NotShareable("reduces several dimensions")
    dim = tensor.dimension(dims[0])
    options: dict[str, Any] = {
        name: a[name] for name in ("correction", "unbiased", "ord", "p") if a.get(name) is not None
    }
    name = "linalg.vector_norm" if a["op"] == "linalg_vector_norm" else a["op"]
    function = partial(torch.linalg.vector_norm if "." in name else getattr(torch, name), **options)
    result = along_features(tensor, dim, partial(function, dim=-1, keepdim=True), 1)
    sizes = result.sizes
    return result if a["keepdim"] else result.reshape_to([*sizes[:dim], *sizes[dim + 1 :]])


@handles("linear")
def linear(a: Arguments, work: WorkCount) -> FactoredTensor:
    """Multiply the last dimension by a matrix, per position or over the whole plane."""
    weight, bias = constant(a["weight"]), constant(a["bias"])
    if weight is None or weight.ndim != 2:
        raise NotShareable("multiplies two tensors that depend on the segments")
    tensor = factored_of(a, "input")
    last = tensor.dimension(-1)
    present = [axis for axis in _PLANE if tensor.size_of(axis) != 1]
    inside = [axis for axis in tensor.dims[last] if axis in _PLANE]
    if (
        inside
        and inside == [a for a in tensor.dims[last] if a in present]
        and len(inside) == len(present)
    ):
        return _over_tiles(tensor, weight, bias, work)
    for axis in inside:
        tensor = tensor.to_features(axis)
    out = along_features(tensor, last, lambda rows: multiplied(rows, weight, bias), len(weight))
    others = math.prod(tensor.sizes[:last]) // math.prod(
        tensor.size_of(a) for dim in tensor.dims[:last] for a in dim if a in _PLANE
    )
    work.add(out, weight.numel() * others)
    return out


def multiplied(rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Multiply rows [..., feature] by a matrix, with the faster of torch's two libraries.

    oneDNN has AVX-512 for every processor, MKL's products use it on Intel's only.
    """
    known = (rows, weight) if bias is None else (rows, weight, bias)
    has_onednn = torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled
    if weight.numel() >= _WORTH_ONEDNN and has_onednn and is_plain(*known):
        product: Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")
        return product
    return F.linear(rows, weight, bias)


def _are_equal(matrix: Tensor, other: Tensor) -> bool:
    """Compare matrices of one shape, eight bytes at a time where their rows allow it."""
    if matrix.shape != other.shape or matrix.dtype != other.dtype:
        return False
    whole = matrix.shape[1] * matrix.element_size() % 8 == 0
    if whole and matrix.is_contiguous() and other.is_contiguous():
        matrix, other = matrix.view(torch.int64), other.view(torch.int64)
    parts = zip(matrix.tensor_split(8), other.tensor_split(8), strict=True)
    return all(for_each(list(parts), lambda pair: torch.equal(*pair)))


def _packed(weight: Tensor, sizes: tuple[int, ...], places: tuple[int, ...]) -> Tensor:
    """Order a matrix [output, axes] of axes of some sizes as [axes in those places, output].

    The last result for a matrix is kept while the matrix is as it was, and there.
    """
    key, known = (sizes, places), _PACKED.get(weight)
    if known is not None and known[0] == key and _are_equal(known[1], weight):
        kept: Tensor = known[2]
        return kept
    packed = weight.T.reshape(*sizes, len(weight)).permute(*places, -1).contiguous()
    if weight.numel() <= _MOST_PACKED and not (torch.is_grad_enabled() and weight.requires_grad):
        _PACKED[weight] = key, weight.detach().clone(), packed
    return packed


def _tiles(layout: Layout) -> Iterator[tuple[int, int, int, int, int]]:
    """Yield the number, height, width, and first and last row + 1 of each tile, by its rows."""
    for group in layout.groups:
        start = group.start
        counts = np.bincount(group.tile_of_variant, minlength=len(group.tiles))
        for number, count in zip(group.tiles, counts, strict=True):
            end = start + int(count) * group.area
            yield int(number), *group.shape, start, end
            start = end


def _over_tiles(
    tensor: FactoredTensor, weight: Tensor, bias: Tensor | None, work: WorkCount
) -> FactoredTensor:
    """Split the matrix into the parts that belong to tiles, and add the tiles' contributions."""
    last = len(tensor.dims) - 1
    axes = tensor.dims[last]
    if any(axis not in axes for axis in tensor.features):
        raise NotShareable("multiplies features apart from the plane")
    stored = (*(axis for axis in _PLANE if axis in axes), *tensor.features)
    sizes = tuple(tensor.size_of(axis) for axis in axes)
    places = tuple(axes.index(axis) for axis in stored)
    plane = _packed(weight, sizes, places).view(*tensor.layout.size, -1, len(weight))
    tops, lefts = tensor.layout.edges
    rows_of_tiles = tensor.rows  # computed once, before threads read them

    def contribution(tile: tuple[int, int, int, int, int]) -> Tensor:
        number, h, w, start, end = tile
        row, column = divmod(number, len(lefts) - 1)
        rows = rows_of_tiles[:, start:end].unflatten(1, (-1, h * w))
        part = plane[tops[row] : tops[row] + h, lefts[column] : lefts[column] + w]
        product: Tensor = rows.flatten(2) @ part.flatten(0, 2)
        return product

    parts = for_each(list(_tiles(tensor.layout)), contribution)
    rows, layout = combine_tiles(tensor, torch.cat(parts, 1), "sum")
    if bias is not None:
        rows += bias
    new = Axis(len(weight))
    out = FactoredTensor(rows, layout, (new,), (*tensor.dims[:last], (new,)))
    work.done += tensor.layout.n_rows * weight.numel() // tensor.layout.area
    work.plain += len(tensor.layout.samples) * weight.numel()
    return out


@handles("matmul", "mm")
def matmul(a: Arguments, work: WorkCount) -> FactoredTensor:
    """Multiply by a constant matrix from the right."""
    name = "tensor2" if "tensor2" in a else ("mat2" if "mat2" in a else "other")
    matrix = constant(a[name])
    if matrix is None or matrix.ndim != 2:
        raise NotShareable("multiplies two tensors that depend on the segments")
    return linear({"input": factored_of(a, "self"), "weight": matrix.T, "bias": None}, work)


@handles("addmm")
def addmm(a: Arguments, work: WorkCount) -> FactoredTensor:
    """Multiply by a constant matrix and add a constant."""
    matrix, bias = constant(a["mat2"]), constant(a["self"])
    if matrix is None or a["beta"] != 1 or a["alpha"] != 1:
        raise NotShareable("multiplies two tensors that depend on the segments")
    if bias is not None and bias.ndim > 1 and len(bias) > 1:
        raise NotShareable("adds a value per sample")
    return linear({"input": factored_of(a, "mat1"), "weight": matrix.T, "bias": bias}, work)

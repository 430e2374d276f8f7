"""Operations over the plane: the sums, means and dense layers that need no sample by itself.

What a tile contributes is computed once a variant; a sample's value is the sum of what it looks up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from otoscope.explain.shared._layout import Layout
from otoscope.explain.shared._pointwise import along_features, elementwise
from otoscope.explain.shared._registry import Arguments, Work, constant, handles, sheet_of
from otoscope.explain.shared._samples import Scan
from otoscope.explain.shared._sheet import COLUMN, ROW, Axis, MixesSamples, NotLocal, Sheet

_PLANE = (ROW, COLUMN)


def looked_up(sheet: Sheet, table: Tensor, mode: str) -> tuple[Tensor, Layout]:
    """Combine what a sample's variants contribute, over all tiles.

    Parameters
    ----------
    sheet : Sheet
        Whose layout it is.
    table : Tensor [excerpt, variant of tile, feature]
        Contributions, in the order of the layout's groups.
    mode : {"sum", "max"}
        How they combine.

    Returns
    -------
    rows : Tensor [excerpt, sample + 1, feature]
        One a sample (the spare row is last).
    layout : Layout
        A plane of one position that sees everything.
    """
    old = sheet.layout
    layout = old.whole
    bags = old.bags[torch.from_numpy(layout.groups[0].sample_of).to(old.samples.device)]
    rows = table.new_zeros(len(table), len(bags) + 1, table.shape[-1])
    for excerpt, contributions in enumerate(table):
        rows[excerpt, :-1] = F.embedding_bag(bags, contributions, mode=mode)
        if mode == "max" and (lost := contributions.isnan()).any():  # it passes over NaN
            nan = contributions.masked_fill(~lost, 0)
            rows[excerpt, :-1] += F.embedding_bag(bags, nan, mode="sum")
    return rows, layout


def tables(sheet: Sheet, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply a function [excerpt, variant, position, feature] -> [.., feature] to each group."""
    parts = []
    for group in sheet.layout.groups:
        rows = sheet.rows[:, group.start : group.start + group.n_rows]
        parts.append(function(rows.unflatten(1, (len(group.tile_of), -1))))
    return torch.cat(parts, 1)


@handles("mean", "sum", "amax", "amin")
def reduction(a: Arguments, work: Work) -> Sheet:
    """Average, add up, or take the largest or smallest, over features and the plane."""
    sheet, op = sheet_of(a, "self"), a["op"]
    dims = a.get("dim")
    if dims is None or dims == []:
        raise MixesSamples("mixes samples")
    chosen = sorted(sheet.dimension(d) for d in ([dims] if isinstance(dims, int) else dims))
    reduce: Callable[..., Tensor] = getattr(torch, op)
    plane = [axis for dim in chosen for axis in sheet.dims[dim] if axis in _PLANE]
    for dim in chosen:
        if features := [axis for axis in sheet.dims[dim] if axis not in _PLANE]:
            sheet = _without_features(sheet, dim, features, reduce)
    others = [axis for axis in _PLANE if axis not in plane and sheet.size_of(axis) != 1]
    if plane and not others:
        sheet = _over_plane(sheet, op)
    elif plane:
        sheet = _over_axis(sheet, plane[0], reduce)
    kept = [
        1 if i in chosen else size
        for i, size in enumerate(sheet.sizes)
        if a["keepdim"] or i not in chosen
    ]
    return sheet.reshaped(kept)


def _without_features(
    sheet: Sheet, dim: int, features: list[Axis], reduce: Callable[..., Tensor]
) -> Sheet:
    places = [sheet.features.index(axis) + 2 for axis in features]
    rows = reduce(sheet.rows.unflatten(2, [axis.size for axis in sheet.features]), dim=places)
    kept = tuple(axis for axis in sheet.features if axis not in features)
    dims = list(sheet.dims)
    dims[dim] = tuple(axis for axis in sheet.dims[dim] if axis not in features)
    return Sheet(rows.flatten(2) if kept else rows[..., None], sheet.layout, kept, tuple(dims))


def _over_plane(sheet: Sheet, op: str) -> Sheet:
    area = sheet.layout.area
    dims = tuple(tuple(axis for axis in dim if axis not in _PLANE) for dim in sheet.dims)
    if op in ("mean", "sum"):
        scale = 1 / area if op == "mean" else 1.0
        table = tables(sheet, lambda rows: rows.sum(2) * scale)
        rows, layout = looked_up(sheet, table, "sum")
    else:
        sign = 1.0 if op == "amax" else -1.0
        table = tables(sheet, lambda rows: (rows * sign).amax(2))
        rows, layout = looked_up(sheet, table, "max")
        rows *= sign
    return Sheet(rows, layout, sheet.features, dims)


def _over_axis(sheet: Sheet, axis: Axis, reduce: Callable[..., Tensor]) -> Sheet:
    row, column = (
        Scan(tuple(range(size)), kernel=size if mine is axis else 1)
        for mine, size in zip(_PLANE, sheet.layout.size, strict=True)
    )
    windows = sheet.windows((row, column), 0.0)
    place = 2 if axis is ROW else 3
    rows = windows.map(lambda part: reduce(part, dim=place, keepdim=True))
    dims = tuple(tuple(a for a in dim if a is not axis) for dim in sheet.dims)
    return Sheet(rows, windows.target, sheet.features, dims)


@handles("max", "min")
def extreme(a: Arguments, work: Work) -> Sheet | list[Sheet | None]:
    """Take the larger of two, or the largest along a dimension; where it is, nobody may ask."""
    if "dim" not in a:
        if "other" in a:
            op = torch.maximum if a["op"] == "max" else torch.minimum
            return elementwise(op, (a["self"], a["other"]), {})
        raise MixesSamples("mixes samples")
    return [reduction({**a, "op": "amax" if a["op"] == "max" else "amin"}, work), None]


@handles("std", "var", "logsumexp", "norm", "linalg_vector_norm")
def statistic(a: Arguments, work: Work) -> Sheet:
    """Reduce one dimension of features."""
    sheet, dims = sheet_of(a, "self"), a.get("dim")
    dims = [dims] if isinstance(dims, int) else dims
    if not dims or len(dims) != 1:
        raise NotLocal("reduces several dimensions")
    dim = sheet.dimension(dims[0])
    options: dict[str, Any] = {
        name: a[name] for name in ("correction", "unbiased", "ord", "p") if a.get(name) is not None
    }
    name = "linalg.vector_norm" if a["op"] == "linalg_vector_norm" else a["op"]
    function = partial(torch.linalg.vector_norm if "." in name else getattr(torch, name), **options)
    done = along_features(sheet, dim, lambda rows: function(rows, dim=-1, keepdim=True))
    sizes = done.sizes
    return done if a["keepdim"] else done.reshaped([*sizes[:dim], *sizes[dim + 1 :]])


@handles("linear")
def linear(a: Arguments, work: Work) -> Sheet:
    """Multiply the last dimension by a matrix: at each position, or over the whole plane."""
    weight, bias = constant(a["weight"]), constant(a["bias"])
    if weight is None or weight.ndim != 2:
        raise NotLocal("multiplies two things that depend on the segments")
    sheet = sheet_of(a, "input")
    last = sheet.dimension(-1)
    present = [axis for axis in _PLANE if sheet.size_of(axis) != 1]
    inside = [axis for axis in sheet.dims[last] if axis in _PLANE]
    if (
        inside
        and inside == [a for a in sheet.dims[last] if a in present]
        and len(inside) == len(present)
    ):
        return _over_tiles(sheet, weight, bias, work)
    for axis in inside:
        sheet = sheet.absorbed(axis)
    out = along_features(sheet, last, lambda rows: F.linear(rows, weight, bias))
    others = math.prod(sheet.sizes[:last]) // math.prod(
        sheet.size_of(a) for dim in sheet.dims[:last] for a in dim if a in _PLANE
    )
    work.add(out, weight.numel() * others)
    return out


def _over_tiles(sheet: Sheet, weight: Tensor, bias: Tensor | None, work: Work) -> Sheet:
    """Split the matrix into parts that belong to tiles."""
    last = len(sheet.dims) - 1
    axes = sheet.dims[last]
    if any(axis not in axes for axis in sheet.features):
        raise NotLocal("multiplies features apart from the plane")
    stored = (*(axis for axis in _PLANE if axis in axes), *sheet.features)
    split = weight.T.reshape(*(sheet.size_of(axis) for axis in axes), len(weight))
    split = split.permute(*(axes.index(axis) for axis in stored), -1)
    plane = split.reshape(*sheet.layout.size, -1, len(weight))  # [row, column, feature, output]
    parts = []
    tops, lefts = sheet.layout.edges
    for group in sheet.layout.groups:
        (h, w), start = group.shape, group.start
        for number, tile in enumerate(group.tiles):
            row, column = divmod(int(tile), len(lefts) - 1)
            count = int(np.count_nonzero(group.tile_of == number))
            rows = sheet.rows[:, start : start + count * h * w].unflatten(1, (count, h * w))
            part = plane[tops[row] : tops[row] + h, lefts[column] : lefts[column] + w]
            parts.append(rows.flatten(2) @ part.flatten(0, 2))
            start += count * h * w
    rows, layout = looked_up(sheet, torch.cat(parts, 1), "sum")
    if bias is not None:
        rows += bias
    new = Axis(len(weight))
    out = Sheet(rows, layout, (new,), (*sheet.dims[:last], (new,)))
    work.done += sheet.layout.n_rows * weight.numel() // sheet.layout.area
    work.plain += len(sheet.layout.samples) * weight.numel()
    return out


@handles("matmul", "mm")
def matmul(a: Arguments, work: Work) -> Sheet:
    """Multiply by a constant matrix from the right."""
    name = "tensor2" if "tensor2" in a else ("mat2" if "mat2" in a else "other")
    matrix = constant(a[name])
    if matrix is None or matrix.ndim != 2:
        raise NotLocal("multiplies two things that depend on the segments")
    return linear({"input": sheet_of(a, "self"), "weight": matrix.T, "bias": None}, work)


@handles("addmm")
def addmm(a: Arguments, work: Work) -> Sheet:
    """Multiply by a constant matrix and add a constant."""
    matrix, bias = constant(a["mat2"]), constant(a["self"])
    if matrix is None or a["beta"] != 1 or a["alpha"] != 1:
        raise NotLocal("multiplies two things that depend on the segments")
    if bias is not None and bias.ndim > 1 and len(bias) > 1:
        raise NotLocal("adds a value a sample")
    return linear({"input": sheet_of(a, "mat1"), "weight": matrix.T, "bias": bias}, work)

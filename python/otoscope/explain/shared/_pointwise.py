"""Operations on every position by itself: elementwise ones, and those over features only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from otoscope.explain.shared._registry import (
    Arguments,
    Work,
    constant,
    handles,
    required,
    sheet_of,
)
from otoscope.explain.shared._sheet import COLUMN, ROW, Axis, MixesSamples, NotLocal, Sheet


def elementwise(op: Callable[..., Tensor], args: Sequence[Any], kwargs: Arguments) -> Sheet:
    """Apply an elementwise operation to sheets, constants and numbers.

    Parameters
    ----------
    op : callable
        Of ATen, with the tag ``pointwise``.
    args : sequence
        As the graph has them, at least one of them a `Sheet`.
    kwargs : dict
        Options that are no tensors.

    Returns
    -------
    Sheet
        The tensor that broadcasting gives.

    Raises
    ------
    NotLocal
        If sheets lie on different planes, or constants have a value a sample.
    MixesSamples
        If broadcasting meets one sheet's samples with another's features.
    """
    if any(isinstance(value, (Sheet, Tensor)) for value in kwargs.values()):
        raise NotLocal("has a tensor for an option")
    sheets = [arg for arg in args if isinstance(arg, Sheet)]
    if len({len(sheet.dims) for sheet in sheets}) > 1:  # one's samples lie along another's features
        raise MixesSamples("mixes samples")
    sizes = torch.broadcast_shapes(*(sheet.sizes for sheet in sheets))
    aligned = align([expanded(sheet, sizes, sheets) for sheet in sheets])
    following, taken = iter(aligned), []
    for arg in args:
        if isinstance(arg, Sheet):
            taken.append(next(following).rows)
        elif isinstance(arg, Tensor) and arg.ndim:
            taken.append(aligned[0].like_plane(arg))
        else:
            taken.append(arg)
    return aligned[0].with_rows(op(*taken, **kwargs))


def align(sheets: Sequence[Sheet], last: int | None = None) -> list[Sheet]:
    """Bring sheets of equal sizes to one layout and one order of features.

    Parameters
    ----------
    sheets : sequence of Sheet
        Of the same tensor shape, but for the dimension ``last``.
    last : int, optional
        Whose features shall come last in a row.

    Returns
    -------
    list of Sheet
        The same values.

    Raises
    ------
    NotLocal
        If they lie on different planes.
    """
    ordered = [sheet.in_order(*([] if last is None else [last])) for sheet in sheets]
    if len(ordered) == 1:
        return ordered
    if len({_pattern(sheet, last) for sheet in ordered}) != 1:
        raise NotLocal("combines different planes")
    layout = ordered[0].layout
    for sheet in ordered[1:]:
        if sheet.layout is not layout:
            layout = layout.joined(sheet.layout)
    return [sheet.moved(layout) for sheet in ordered]


def _pattern(sheet: Sheet, last: int | None) -> tuple[object, ...]:
    """Where the plane's axes are among the dimensions."""
    parts: list[object] = [sheet.layout.size]
    for dim, axes in enumerate(sheet.dims):
        run = 1
        for axis in axes:
            if axis in (ROW, COLUMN):
                parts += [run, "row" if axis is ROW else "column"]
                run = 1
            elif dim != last:
                run *= axis.size
        parts += [run, "next"]
    return tuple(parts)


def expanded(sheet: Sheet, sizes: Sequence[int], others: Sequence[Sheet]) -> Sheet:
    """Repeat values along dimensions of size 1, where others have features or part of the plane."""
    for dim, (size, own) in enumerate(zip(sizes, sheet.sizes, strict=True)):
        like = next((other.dims[dim] for other in others if other.sizes[dim] == size), ())
        if size != own and like in ((ROW,), (COLUMN,)):
            sheet = sheet.spread(like[0], size, dim)
        elif size != own:
            if any(axis in like for axis in (ROW, COLUMN)):
                raise NotLocal("repeats values over the plane")
            new = Axis(size)
            rows = sheet.rows.repeat_interleave(size, 2)
            dims = (*sheet.dims[:dim], (new,), *sheet.dims[dim + 1 :])
            sheet = Sheet(rows, sheet.layout, (*sheet.features, new), dims)
    return sheet


def features_last(sheet: Sheet, dim: int) -> tuple[Sheet, Tensor]:
    """Lay out a dimension of features last: the sheet, and rows [excerpt, row, rest, feature]."""
    if not sheet.only_features(dim):
        raise NotLocal("works along the plane")
    ordered = sheet.in_order(dim)
    return ordered, ordered.rows.unflatten(2, (-1, ordered.sizes[dim]))


def along_features(sheet: Sheet, dim: int, function: Callable[[Tensor], Tensor]) -> Sheet:
    """Apply a function along a dimension of features; its size may change."""
    ordered, rows = features_last(sheet, dim)
    done = function(rows)
    if done.shape[-1] == rows.shape[-1]:
        return ordered.with_rows(done.flatten(2))
    new = () if done.shape[-1] == 1 else (Axis(done.shape[-1]),)
    rest = tuple(axis for axis in ordered.features if axis not in ordered.dims[dim])
    dims = (*ordered.dims[:dim], new, *ordered.dims[dim + 1 :])
    return Sheet(done.flatten(2), ordered.layout, rest + new, dims)


@handles("cat", "concat", "concatenate")
def concatenate(a: Arguments, work: Work) -> Sheet:
    """Put features behind each other."""
    sheets = a["tensors"]
    if not all(isinstance(sheet, Sheet) for sheet in sheets):
        raise NotLocal("appends a constant")
    dim = sheets[0].dimension(a["dim"])
    if not all(sheet.only_features(dim) for sheet in sheets):
        raise NotLocal("appends along the plane")
    aligned = align(sheets, dim)
    parts = [sheet.rows.unflatten(2, (-1, sheet.sizes[dim])) for sheet in aligned]
    rows, first = torch.cat(parts, -1), aligned[0]
    new = Axis(rows.shape[-1])
    rest = tuple(axis for axis in first.features if axis not in first.dims[dim])
    dims = (*first.dims[:dim], (new,), *first.dims[dim + 1 :])
    return Sheet(rows.flatten(2), first.layout, (*rest, new), dims)


@handles("stack")
def stack(a: Arguments, work: Work) -> Sheet:
    """Put tensors side by side as a new dimension."""
    sheets = a["tensors"]
    if not all(isinstance(sheet, Sheet) for sheet in sheets):
        raise NotLocal("appends a constant")
    dim = a["dim"] % (len(sheets[0].dims) + 2)
    if dim == 0:
        raise MixesSamples("mixes samples")
    raised = [
        sheet.reshaped([*sheet.sizes[: dim - 1], 1, *sheet.sizes[dim - 1 :]]) for sheet in sheets
    ]
    return concatenate({"tensors": raised, "dim": dim}, work)


@handles("batch_norm")
def batch_norm(a: Arguments, work: Work) -> Sheet:
    """Normalise by the statistics of the training."""
    sheet = sheet_of(a, "input")
    mean, variance = constant(a["running_mean"]), constant(a["running_var"])
    if a["training"] or mean is None or variance is None:
        raise MixesSamples("normalises over samples")
    scale = (variance + a["eps"]).rsqrt()
    if (weight := constant(a["weight"])) is not None:
        scale = scale * weight
    shift = -mean * scale
    if (bias := constant(a["bias"])) is not None:
        shift = shift + bias
    shape = (-1, *(1,) * (len(sheet.dims) - 1))
    rows = sheet.rows * sheet.like_plane(scale.reshape(shape))
    return sheet.with_rows(rows.add_(sheet.like_plane(shift.reshape(shape))))


@handles("layer_norm")
def layer_norm(a: Arguments, work: Work) -> Sheet:
    """Normalise the features of the last dimensions at each position."""
    sheet, shape = sheet_of(a, "input"), list(a["normalized_shape"])
    weight, bias = (
        None if (t := constant(a[n])) is None else t.flatten() for n in ("weight", "bias")
    )
    merged = sheet.reshaped([*sheet.sizes[: -len(shape)], int(torch.Size(shape).numel())])
    size = merged.sizes[-1]
    done = along_features(
        merged,
        len(merged.dims) - 1,
        lambda rows: F.layer_norm(rows, (size,), weight, bias, a["eps"]),
    )
    return done.reshaped(sheet.sizes)


@handles("softmax", "log_softmax", "_softmax", "_log_softmax")
def softmax(a: Arguments, work: Work) -> Sheet:
    """Normalise exponentials along features."""
    sheet = sheet_of(a, "self")
    function = F.log_softmax if "log" in a["op"] else F.softmax
    return along_features(sheet, sheet.dimension(a["dim"]), lambda rows: function(rows, dim=-1))


@handles("glu")
def glu(a: Arguments, work: Work) -> Sheet:
    """Gate half of the features by the other half."""
    sheet = sheet_of(a, "self")
    return along_features(sheet, sheet.dimension(a["dim"]), lambda rows: F.glu(rows, dim=-1))


@handles("prelu")
def prelu(a: Arguments, work: Work) -> Sheet:
    """Scale negative values, by channel."""
    sheet, weight = sheet_of(a, "self"), required(a["weight"])
    slope = weight.reshape(-1, *(1,) * (len(sheet.dims) - 1))
    rows = torch.where(sheet.rows > 0, sheet.rows, sheet.rows * sheet.like_plane(slope))
    return sheet.with_rows(rows)

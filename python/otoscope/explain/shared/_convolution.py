"""Convolution, pooling and padding: operations on windows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from otoscope.explain.shared._factored import COLUMN, ROW, Axis, FactoredTensor, NotShareable
from otoscope.explain.shared._handlers import (
    Arguments,
    WorkCount,
    constant,
    factored_of,
    handles,
    required,
)
from otoscope.explain.shared._layout import Layout
from otoscope.explain.shared._scan import PADDING, Scan

_VECTOR = 16  # numbers in a register of AVX-512


def on_plane(tensor: FactoredTensor, rank: int) -> tuple[FactoredTensor, list[Axis]]:
    """Bring a tensor to [features, plane...]; return it and the axes of its last dimensions.

    Plane axes among the channels become features.
    """
    if len(tensor.dims) != rank + 1:
        raise NotShareable("is not called on a batch")
    for axis in (ROW, COLUMN):
        if axis in tensor.dims[0]:
            tensor = tensor.to_features(axis)
    free = [a for a in (ROW, COLUMN) if not any(a in dim for dim in tensor.dims)]
    axes: list[Axis] = []
    for dim in tensor.dims[1:]:
        if dim in ((ROW,), (COLUMN,)):
            axes.append(dim[0])
        elif not dim and free:
            axes.append(free.pop())
        else:
            raise NotShareable("has windows that move over features")
    if any(tensor.size_of(a) != 1 for a in (ROW, COLUMN) if a not in axes):
        raise NotShareable("has windows that move over one axis of two")
    return tensor.ordered(), axes


def scans_of(
    tensor: FactoredTensor, axes: Sequence[Axis], scans: Sequence[Scan]
) -> tuple[Scan, Scan]:
    """Order the scans of some axes as (ROW, COLUMN); the other axes are read as they are."""
    by_axis = dict(zip(axes, scans, strict=True))
    row, column = (by_axis.get(a, Scan(tuple(range(tensor.size_of(a))))) for a in (ROW, COLUMN))
    return row, column


def per_axis(value: int | Sequence[int], rank: int) -> list[int]:
    """Return one number per axis."""
    values = [value] if isinstance(value, int) else list(value)
    return values * rank if len(values) == 1 else values


def padded(size: int, before: int, after: int) -> tuple[int, ...]:
    """Return the sources of an axis between constant padding."""
    return (PADDING,) * before + tuple(range(size)) + (PADDING,) * after


def as_plane(values: Sequence[int], axes: Sequence[Axis]) -> tuple[int, int]:
    """Order numbers of some axes as (ROW, COLUMN); the other axes get 1."""
    by_axis = dict(zip(axes, values, strict=True))
    return by_axis.get(ROW, 1), by_axis.get(COLUMN, 1)


@handles("conv1d", "conv2d")
def convolution(a: Arguments, work: WorkCount) -> FactoredTensor:
    """Convolve the windows of every tile."""
    weight, bias = required(a["weight"]), constant(a["bias"])
    rank = weight.ndim - 2
    tensor, weight = _features_as_channels(factored_of(a, "input"), weight, a["padding"])
    tensor, axes = on_plane(tensor, rank)
    stride, dilation = per_axis(a["stride"], rank), per_axis(a["dilation"], rank)
    kernel = list(weight.shape[2:])
    scans = []
    for i, axis in enumerate(axes):
        before, after = _padding(a["padding"], i, rank, dilation[i] * (kernel[i] - 1))
        places = padded(tensor.size_of(axis), before, after)
        scans.append(Scan(places, kernel[i], stride[i], dilation[i]))
    order = sorted(range(rank), key=lambda i: axes[i] is COLUMN)
    flat = weight.permute(0, 1, *(i + 2 for i in order))
    flat = flat.reshape(*weight.shape[:2], *as_plane(kernel, axes))
    strides, dilations = as_plane(stride, axes), as_plane(dilation, axes)
    memory, more = _storage(flat, a["groups"], strides, dilations)
    flat = (F.pad(flat, more) if more else flat).contiguous(memory_format=memory)
    spans = tuple(d * (k - 1) + 1 for d, k in zip(dilations, flat.shape[2:], strict=True))

    def convolve(part: Tensor) -> Tensor:
        # a single window needs no stride; with one, oneDNN (torch 2.13) reads beyond its channel
        steps = [
            1 if n == s else step for n, s, step in zip(part.shape[2:], spans, strides, strict=True)
        ]
        part = (F.pad(part, more) if more else part).contiguous(memory_format=memory)
        return F.conv2d(part, flat, bias, steps, 0, dilations, a["groups"])

    windows = tensor.windows(scans_of(tensor, axes, scans), 0.0)
    rows = None
    if (
        weight.shape[1] == 1
        and a["groups"] == len(weight)
        and _are_lines(tensor, flat, strides, dilations)
    ):
        rows = windows.weigh(flat.flatten(1).T.contiguous(), bias)
    if rows is None:
        rows = windows.map(convolve)
    out = FactoredTensor.of(rows, windows.target, [len(weight)], *((axis,) for axis in axes))
    work.add(out, weight.numel())
    return out


def _storage(
    weight: Tensor, groups: int, strides: tuple[int, int], dilations: tuple[int, int]
) -> tuple[torch.memory_format, tuple[int, ...]]:
    """Choose the memory format, and the number of zero channels to append.

    With channels last, oneDNN (torch 2.13, AVX-512) reads uninitialised memory, or writes beyond
    its own, for some shapes: the result is NaN, or the process ends. It was not seen in 28,000
    random shapes whose channels fill vectors of 16 and whose windows move by 1, nor in 33,000 with
    contiguous windows.
    """
    channels = weight.shape[1]
    missing = -channels % _VECTOR
    moves_by_one = strides == dilations == (1, 1)
    few = groups == 1 and missing * _VECTOR <= channels
    if weight.device.type != "cpu" or (moves_by_one and not missing):
        return torch.channels_last, ()
    if moves_by_one and few:
        return torch.channels_last, (0, 0, 0, 0, 0, missing)
    return torch.contiguous_format, ()


def _are_lines(
    tensor: FactoredTensor, weight: Tensor, strides: tuple[int, int], dilations: tuple[int, int]
) -> bool:
    """Tell whether windows are lines of neighbours along the only axis of several positions."""
    return (1, 1) == strides == dilations and any(
        size == 1 == taps for size, taps in zip(tensor.layout.size, weight.shape[2:], strict=True)
    )


def _features_as_channels(
    tensor: FactoredTensor, weight: Tensor, padding: str | Sequence[int]
) -> tuple[FactoredTensor, Tensor]:
    """Count features that one window covers whole among the channels: no window moves over them."""
    rank = weight.ndim - 2
    if len(tensor.dims) != rank + 1:
        raise NotShareable("is not called on a batch")
    for dim in range(1, rank + 1):
        axes, spans = tensor.dims[dim], weight.shape[dim + 1] == tensor.sizes[dim]
        is_padded = any(_padding(padding, dim - 1, rank, weight.shape[dim + 1] - 1))
        if axes and tensor.only_features(dim) and spans and not is_padded:
            dims = list(tensor.dims)
            dims[0], dims[dim] = dims[0] + axes, ()
            tensor = replace(tensor, dims=tuple(dims))
            # [out, in, .., k, ..] -> [out, in * k, .., 1, ..]
            weight = weight.movedim(dim + 1, 2).flatten(1, 2).unsqueeze(dim + 1)
    return tensor, weight


def _padding(padding: str | int | Sequence[int], i: int, rank: int, same: int) -> tuple[int, int]:
    if padding == "same":
        return same // 2, same - same // 2
    if isinstance(padding, str):
        return 0, 0
    value = per_axis(padding, rank)[i]
    return value, value


def _pool_scans(
    tensor: FactoredTensor, axes: Sequence[Axis], a: Arguments, dilation: Sequence[int]
) -> list[Scan]:
    rank = len(axes)
    kernel, padding = per_axis(a["kernel_size"], rank), per_axis(a["padding"], rank)
    stride = per_axis(a["stride"], rank) if a["stride"] else kernel
    scans = []
    for i, axis in enumerate(axes):
        size = tensor.size_of(axis)
        reach = size + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1
        after = padding[i]
        if a["ceil_mode"]:  # one more window, if it begins before the end
            windows = -(-reach // stride[i])
            if windows * stride[i] < size + padding[i]:
                after += windows * stride[i] - reach
            after = max(after, padding[i])
        scans.append(Scan(padded(size, padding[i], after), kernel[i], stride[i], dilation[i]))
    return scans


@handles("max_pool1d", "max_pool2d")
def max_pool(a: Arguments, work: WorkCount) -> FactoredTensor:
    """Take the maximum of every window; padding is -inf."""
    rank = 1 if "1d" in a["op"] else 2
    tensor, axes = on_plane(factored_of(a, "self"), rank)
    scans = _pool_scans(tensor, axes, a, per_axis(a["dilation"], rank))
    row, column = scans_of(tensor, axes, scans)
    kernel, stride = (row.kernel, column.kernel), (row.stride, column.stride)
    dilation = (row.dilation, column.dilation)
    windows = tensor.windows((row, column), -math.inf)
    rows = windows.map(lambda part: F.max_pool2d(part, kernel, stride, 0, dilation))
    return FactoredTensor(
        rows, windows.target, tensor.features, (tensor.dims[0], *_dims_after(axes, windows.target))
    )


@handles("avg_pool1d", "avg_pool2d")
def average_pool(a: Arguments, work: WorkCount) -> FactoredTensor:
    """Average every window over the cells that the arguments count."""
    rank = 1 if "1d" in a["op"] else 2
    tensor, axes = on_plane(factored_of(a, "self"), rank)
    return _averaged(tensor, axes, a, _pool_scans(tensor, axes, a, [1] * rank))


def _averaged(
    tensor: FactoredTensor, axes: Sequence[Axis], a: Arguments, scans: Sequence[Scan]
) -> FactoredTensor:
    paddings = per_axis(a["padding"], len(axes))
    counts = []
    for scan, axis, padding in zip(scans, axes, paddings, strict=True):
        place = torch.arange(scan.size)[:, None] * scan.stride + torch.arange(scan.kernel)
        low, high = (0, tensor.size_of(axis) + 2 * padding)
        if not a["count_include_pad"]:
            low, high = padding, padding + tensor.size_of(axis)
        counts.append(((place >= low) & (place < high)).sum(1))
    by_axis = dict(zip(axes, counts, strict=True))
    row, column = scans_of(tensor, axes, scans)
    ones = {axis: torch.ones(scan.size) for axis, scan in ((ROW, row), (COLUMN, column))}
    divisor = torch.outer(*(by_axis.get(axis, ones[axis]).double() for axis in (ROW, COLUMN)))
    if a.get("divisor_override"):
        divisor = torch.full_like(divisor, a["divisor_override"])
    whole = row.kernel * column.kernel
    kernel, stride = (row.kernel, column.kernel), (row.stride, column.stride)
    windows = tensor.windows((row, column), 0.0)
    rows = windows.map(lambda part: F.avg_pool2d(part, kernel, stride))
    dims = (tensor.dims[0], *_dims_after(axes, windows.target))
    averaged = FactoredTensor(rows, windows.target, tensor.features, dims)
    if (divisor != whole).any():
        factor = (whole / divisor).flatten().to(tensor.rows)[windows.target.position_of_row]
        averaged = averaged.with_rows(averaged.map_rows(torch.mul, factor[None, :, None]))
    return averaged


@handles("adaptive_avg_pool1d", "adaptive_avg_pool2d")
def adaptive_average_pool(a: Arguments, work: WorkCount) -> FactoredTensor:
    """Average windows of equal size."""
    rank = 1 if "1d" in a["op"] else 2
    tensor, axes = on_plane(factored_of(a, "self"), rank)
    scans = _adaptive_scans(tensor, axes, per_axis(a["output_size"], rank))
    return _averaged(tensor, axes, {"padding": 0, "count_include_pad": True}, scans)


@handles("adaptive_max_pool1d", "adaptive_max_pool2d")
def adaptive_max_pool(a: Arguments, work: WorkCount) -> list[FactoredTensor | None]:
    """Take the maximum of windows of equal size; its index is not available."""
    rank = 1 if "1d" in a["op"] else 2
    tensor, axes = on_plane(factored_of(a, "self"), rank)
    scans = _adaptive_scans(tensor, axes, per_axis(a["output_size"], rank))
    pool = {
        "self": tensor,
        "op": a["op"],
        "kernel_size": [scan.kernel for scan in scans],
        "stride": [scan.stride for scan in scans],
        "padding": 0,
        "dilation": 1,
        "ceil_mode": False,
    }
    return [max_pool(pool, work), None]


def _adaptive_scans(
    tensor: FactoredTensor, axes: Sequence[Axis], sizes: Sequence[int]
) -> list[Scan]:
    scans = []
    for axis, size in zip(axes, sizes, strict=True):
        whole = tensor.size_of(axis)
        if whole % size:
            raise NotShareable("has windows of unequal sizes")
        scans.append(Scan(tuple(range(whole)), whole // size, whole // size))
    return scans


def _dims_after(axes: Sequence[Axis], layout: Layout) -> tuple[tuple[Axis, ...], ...]:
    sizes = dict(zip((ROW, COLUMN), layout.size, strict=True))
    return tuple((axis,) if sizes[axis] != 1 else () for axis in axes)


@handles("pad", "constant_pad_nd")
def pad(a: Arguments, work: WorkCount) -> FactoredTensor:
    """Pad the plane by a constant or by its own values."""
    tensor, amounts, mode = factored_of(a, "self"), list(a["pad"]), a.get("mode", "constant")
    scans = {axis: Scan(tuple(range(tensor.size_of(axis)))) for axis in (ROW, COLUMN)}
    new_dims = list(tensor.dims)
    for i in range(len(amounts) // 2):
        before, after = amounts[2 * i : 2 * i + 2]
        dim = len(tensor.dims) - 1 - i
        if before == after == 0:
            continue
        if tensor.dims[dim] not in ((ROW,), (COLUMN,)) or min(before, after) < 0:
            raise NotShareable("pads features")
        axis = tensor.dims[dim][0]
        scans[axis] = Scan(_around(tensor.size_of(axis), before, after, mode))
        new_dims[dim] = (axis,)
    windows = tensor.windows((scans[ROW], scans[COLUMN]), float(a["value"] or 0.0))
    return FactoredTensor(windows.gather(), windows.target, tensor.features, tuple(new_dims))


def _around(size: int, before: int, after: int, mode: str) -> tuple[int, ...]:
    if mode == "constant":
        return padded(size, before, after)
    inside = torch.arange(size).double()[None, None]
    around: Tensor = F.pad(inside, (before, after), mode=mode)
    return tuple(around[0, 0].long().tolist())

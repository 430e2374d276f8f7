"""Operations per position: elementwise ones, and those over features only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from otoscope.explain.shared._blocks import Depthwise, Gathered, Source, matrix, per_row
from otoscope.explain.shared._factored import (
    COLUMN,
    ROW,
    Axis,
    FactoredTensor,
    MixesSamples,
    NotShareable,
)
from otoscope.explain.shared._handlers import (
    Arguments,
    WorkCount,
    constant,
    factored_of,
    handles,
    required,
)


def elementwise(
    op: Callable[..., Tensor], args: Sequence[Any], kwargs: Arguments
) -> FactoredTensor:
    """Apply an elementwise ATen operation to factored tensors, constants and numbers."""
    if any(isinstance(value, (FactoredTensor, Tensor)) for value in kwargs.values()):
        raise NotShareable("has a tensor for an option")
    tensors = [arg for arg in args if isinstance(arg, FactoredTensor)]
    if len({len(tensor.dims) for tensor in tensors}) > 1:  # samples would meet features
        raise MixesSamples("mixes samples")
    sizes = np.broadcast_shapes(*(tensor.sizes for tensor in tensors))
    aligned = align([expanded(tensor, sizes, tensors) for tensor in tensors])
    following, sources, places = iter(aligned), list[Source](), list[int]()
    for place, arg in enumerate(args):
        if isinstance(arg, FactoredTensor):
            sources.append(next(following).source)
            places.append(place)
        elif isinstance(arg, Tensor) and arg.ndim:
            sources.append(aligned[0].constant_rows(arg)[None])
            places.append(place)

    def apply(*rows: Tensor) -> Tensor:
        operands = list(args)
        for place, operand in zip(places, rows, strict=True):
            operands[place] = operand
        return op(*operands, **kwargs)

    if isinstance(op, torch._ops.OpOverload) and op._schema.is_mutable:
        return aligned[0].with_rows(apply(*map(matrix, sources)))  # what it writes may be read

    if op is torch.ops.aten.add.Tensor and not kwargs and len(sources) == 2:
        for sums, skip in (sources, reversed(sources)):
            if isinstance(sums, Depthwise) and sums.takes(skip):
                return aligned[0].with_rows(sums.plus(cast(Gathered, skip)))
    return aligned[0].with_rows(per_row(apply, aligned[0].layout, *sources))


def align(tensors: Sequence[FactoredTensor], last: int | None = None) -> list[FactoredTensor]:
    """Bring tensors of equal sizes, except in dimension ``last``, to one layout and feature order.

    The features of ``last`` come last in a row.
    """
    ordered = [tensor.ordered(*([] if last is None else [last])) for tensor in tensors]
    if len(ordered) == 1:
        return ordered
    if len({_pattern(tensor, last) for tensor in ordered}) != 1:
        raise NotShareable("combines different planes")
    layout = ordered[0].layout
    for tensor in ordered[1:]:
        if tensor.layout is not layout:
            layout = layout.refined(tensor.layout)
    return [tensor.on_layout(layout) for tensor in ordered]


def _pattern(tensor: FactoredTensor, last: int | None) -> tuple[object, ...]:
    """Return the places of the plane's axes among the dimensions, to be compared."""
    parts: list[object] = [tensor.layout.size]
    for dim, axes in enumerate(tensor.dims):
        run = 1
        for axis in axes:
            if axis in (ROW, COLUMN):
                parts += [run, "row" if axis is ROW else "column"]
                run = 1
            elif dim != last:
                run *= axis.size
        parts += [run, "next"]
    return tuple(parts)


def expanded(
    tensor: FactoredTensor, sizes: Sequence[int], others: Sequence[FactoredTensor]
) -> FactoredTensor:
    """Repeat values along dimensions of size 1 where others have features or a plane axis."""
    for dim, (size, own) in enumerate(zip(sizes, tensor.sizes, strict=True)):
        like = next((other.dims[dim] for other in others if other.sizes[dim] == size), ())
        if size != own and like in ((ROW,), (COLUMN,)):
            tensor = tensor.repeat_along(like[0], size, dim)
        elif size != own:
            if any(axis in like for axis in (ROW, COLUMN)):
                raise NotShareable("repeats values over the plane")
            new = Axis(size)
            repeated = tensor.map_rows(partial(torch.repeat_interleave, repeats=size, dim=2))
            dims = (*tensor.dims[:dim], (new,), *tensor.dims[dim + 1 :])
            tensor = FactoredTensor(repeated, tensor.layout, (*tensor.features, new), dims)
    return tensor


def along_features(
    tensor: FactoredTensor, dim: int, function: Callable[[Tensor], Tensor], size: int
) -> FactoredTensor:
    """Apply a function along a dimension of features; it gives ``size`` of them."""
    if not tensor.only_features(dim):
        raise NotShareable("works along the plane")
    ordered, n = tensor.ordered(dim), tensor.sizes[dim]
    source = ordered.map_rows(lambda rows: function(rows.unflatten(2, (-1, n))).flatten(2))
    if size == n:
        return ordered.with_rows(source)
    new = () if size == 1 else (Axis(size),)
    rest = tuple(axis for axis in ordered.features if axis not in ordered.dims[dim])
    dims = (*ordered.dims[:dim], new, *ordered.dims[dim + 1 :])
    return FactoredTensor(source, ordered.layout, rest + new, dims)


@handles("cat", "concat", "concatenate")
def concatenate(a: Arguments, work: WorkCount) -> FactoredTensor:
    """Concatenate along features."""
    tensors = a["tensors"]
    if not all(isinstance(tensor, FactoredTensor) for tensor in tensors):
        raise NotShareable("appends a constant")
    dim = tensors[0].dimension(a["dim"])
    if not all(tensor.only_features(dim) for tensor in tensors):
        raise NotShareable("appends along the plane")
    aligned = align(tensors, dim)
    sizes, first = [tensor.sizes[dim] for tensor in aligned], aligned[0]

    def join(*rows: Tensor) -> Tensor:
        parts = [r.unflatten(2, (-1, size)) for r, size in zip(rows, sizes, strict=True)]
        return torch.cat(parts, -1).flatten(2)

    new = Axis(sum(sizes))
    rest = tuple(axis for axis in first.features if axis not in first.dims[dim])
    dims = (*first.dims[:dim], (new,), *first.dims[dim + 1 :])
    source = per_row(join, first.layout, *(tensor.source for tensor in aligned))
    return FactoredTensor(source, first.layout, (*rest, new), dims)


@handles("stack")
def stack(a: Arguments, work: WorkCount) -> FactoredTensor:
    """Stack along a new dimension."""
    tensors = a["tensors"]
    if not all(isinstance(tensor, FactoredTensor) for tensor in tensors):
        raise NotShareable("appends a constant")
    dim = a["dim"] % (len(tensors[0].dims) + 2)
    if dim == 0:
        raise MixesSamples("mixes samples")
    raised = [
        tensor.reshape_to([*tensor.sizes[: dim - 1], 1, *tensor.sizes[dim - 1 :]])
        for tensor in tensors
    ]
    return concatenate({"tensors": raised, "dim": dim}, work)


@handles("batch_norm")
def batch_norm(a: Arguments, work: WorkCount) -> FactoredTensor:
    """Normalise by the running statistics."""
    tensor = factored_of(a, "input")
    mean, variance = constant(a["running_mean"]), constant(a["running_var"])
    if a["training"] or mean is None or variance is None:
        raise MixesSamples("normalises over samples")
    scale = (variance + a["eps"]).rsqrt()
    if (weight := constant(a["weight"])) is not None:
        scale = scale * weight
    shift = -mean * scale
    if (bias := constant(a["bias"])) is not None:
        shift = shift + bias
    shape = (-1, *(1,) * (len(tensor.dims) - 1))
    constants = (tensor.constant_rows(t.reshape(shape))[None] for t in (scale, shift))
    return tensor.with_rows(
        tensor.map_rows(lambda rows, scale, shift: (rows * scale).add_(shift), *constants)
    )


@handles("layer_norm")
def layer_norm(a: Arguments, work: WorkCount) -> FactoredTensor:
    """Normalise the features of the last dimensions at each position."""
    tensor, shape = factored_of(a, "input"), list(a["normalized_shape"])
    weight, bias = (
        None if (t := constant(a[n])) is None else t.flatten() for n in ("weight", "bias")
    )
    merged = tensor.reshape_to([*tensor.sizes[: -len(shape)], int(torch.Size(shape).numel())])
    size = merged.sizes[-1]
    normalised = along_features(
        merged,
        len(merged.dims) - 1,
        lambda rows: F.layer_norm(rows, (size,), weight, bias, a["eps"]),
        size,
    )
    return normalised.reshape_to(tensor.sizes)


@handles("softmax", "log_softmax", "_softmax", "_log_softmax")
def softmax(a: Arguments, work: WorkCount) -> FactoredTensor:
    """Normalise exponentials along features."""
    tensor = factored_of(a, "self")
    function, dim = F.log_softmax if "log" in a["op"] else F.softmax, tensor.dimension(a["dim"])
    return along_features(tensor, dim, partial(function, dim=-1), tensor.sizes[dim])


@handles("glu")
def glu(a: Arguments, work: WorkCount) -> FactoredTensor:
    """Gate half of the features by the other half."""
    tensor = factored_of(a, "self")
    dim = tensor.dimension(a["dim"])
    return along_features(tensor, dim, partial(F.glu, dim=-1), tensor.sizes[dim] // 2)


@handles("prelu")
def prelu(a: Arguments, work: WorkCount) -> FactoredTensor:
    """Scale negative values per channel."""
    tensor, weight = factored_of(a, "self"), required(a["weight"])
    slope = weight.reshape(-1, *(1,) * (len(tensor.dims) - 1))
    slopes = tensor.constant_rows(slope)[None]
    return tensor.with_rows(
        tensor.map_rows(lambda rows, slopes: torch.where(rows > 0, rows, rows * slopes), slopes)
    )

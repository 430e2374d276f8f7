"""Operations that regroup axes, repeat values, or select positions of an axis."""

from __future__ import annotations

import math
from collections.abc import Sequence

from otoscope.explain.shared._factored import FactoredTensor, NotShareable
from otoscope.explain.shared._handlers import Arguments, WorkCount, factored_of, handles
from otoscope.explain.shared._pointwise import expanded


@handles("contiguous", "clone", "detach", "alias", "lift_fresh")
def same(a: Arguments, work: WorkCount) -> FactoredTensor:
    """Return the tensor itself."""
    return factored_of(a, "self")


@handles("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout")
def dropout(a: Arguments, work: WorkCount) -> FactoredTensor:
    """Do nothing, as in eval mode."""
    if a["train"]:
        raise NotShareable("is random")
    return factored_of(a, "input")


@handles("permute")
def permute(a: Arguments, work: WorkCount) -> FactoredTensor:
    """Reorder dimensions."""
    return factored_of(a, "self").permute(a["dims"])


@handles("transpose", "swapaxes", "swapdims", "mT")
def transpose(a: Arguments, work: WorkCount) -> FactoredTensor:
    """Swap two dimensions, the last two by default."""
    tensor = factored_of(a, "self")
    rank = len(tensor.dims) + 1
    dims: list[int] = [a.get(f"dim{i}", a.get(f"axis{i}", i - 2)) for i in (0, 1)]  # type: ignore[misc]
    first, second = dims
    order = list(range(rank))
    order[first], order[second] = order[second], order[first]
    return tensor.permute(order)


@handles("movedim", "moveaxis")
def movedim(a: Arguments, work: WorkCount) -> FactoredTensor:
    """Move dimensions elsewhere."""
    tensor = factored_of(a, "self")
    rank = len(tensor.dims) + 1
    sources, targets = (
        [dim % rank for dim in ([a[name]] if isinstance(a[name], int) else a[name])]
        for name in ("source", "destination")
    )
    rest = iter(dim for dim in range(rank) if dim not in sources)
    moved = dict(zip(targets, sources, strict=True))
    return tensor.permute([moved[dim] if dim in moved else next(rest) for dim in range(rank)])


@handles("view", "reshape", "_unsafe_view")
def view(a: Arguments, work: WorkCount) -> FactoredTensor:
    """Regroup the axes; the sample's dimension stays."""
    tensor = factored_of(a, "self")
    if "dtype" in a:
        raise NotShareable("reads bits as another type")
    sizes = list(a["size"] if "size" in a else a["shape"])
    total = work.batch * math.prod(tensor.sizes)
    if -1 in sizes:
        sizes[sizes.index(-1)] = -total // math.prod(sizes)
    if not sizes or sizes[0] != work.batch:
        raise NotShareable("reshapes across samples")
    return tensor.reshape_to(sizes[1:])


@handles("view_as", "reshape_as")
def view_as(a: Arguments, work: WorkCount) -> FactoredTensor:
    """Regroup the axes to the sizes of another tensor."""
    return factored_of(a, "self").reshape_to(factored_of(a, "other").sizes)


@handles("flatten")
def flatten(a: Arguments, work: WorkCount) -> FactoredTensor:
    """Merge adjacent dimensions."""
    tensor = factored_of(a, "self")
    first, last = tensor.dimension(a["start_dim"]), tensor.dimension(a["end_dim"])
    sizes = tensor.sizes
    return tensor.reshape_to(
        [*sizes[:first], math.prod(sizes[first : last + 1]), *sizes[last + 1 :]]
    )


@handles("unflatten")
def unflatten(a: Arguments, work: WorkCount) -> FactoredTensor:
    """Split a dimension."""
    tensor = factored_of(a, "self")
    dim, parts = tensor.dimension(a["dim"]), list(a["sizes"])
    if -1 in parts:
        parts[parts.index(-1)] = -tensor.sizes[dim] // math.prod(parts)
    return tensor.reshape_to([*tensor.sizes[:dim], *parts, *tensor.sizes[dim + 1 :]])


@handles("unsqueeze")
def unsqueeze(a: Arguments, work: WorkCount) -> FactoredTensor:
    """Insert a dimension of size 1."""
    tensor = factored_of(a, "self")
    dim = a["dim"] % (len(tensor.dims) + 2)
    if dim == 0:
        raise NotShareable("moves the sample's dimension")
    return tensor.reshape_to([*tensor.sizes[: dim - 1], 1, *tensor.sizes[dim - 1 :]])


@handles("squeeze")
def squeeze(a: Arguments, work: WorkCount) -> FactoredTensor:
    """Drop dimensions of size 1."""
    tensor = factored_of(a, "self")
    dims = a.get("dim")
    if dims is None:
        dims = range(1, len(tensor.dims) + 1)
    chosen = [tensor.dimension(dim) for dim in ([dims] if isinstance(dims, int) else dims)]
    return tensor.reshape_to(
        [size for i, size in enumerate(tensor.sizes) if not (i in chosen and size == 1)]
    )


@handles("expand", "expand_as")
def expand(a: Arguments, work: WorkCount) -> FactoredTensor:
    """Repeat values along dimensions of size 1."""
    tensor = factored_of(a, "self")
    sizes = a["size"] if "size" in a else [work.batch, *factored_of(a, "other").sizes]
    own = [work.batch, *tensor.sizes]
    if len(sizes) != len(own):
        raise NotShareable("repeats samples")
    expanded_sizes = [old if size == -1 else size for size, old in zip(sizes, own, strict=True)]
    return _repeated(tensor, expanded_sizes[1:])


@handles("repeat")
def repeat(a: Arguments, work: WorkCount) -> FactoredTensor:
    """Repeat values along dimensions of size 1."""
    tensor, (samples, *repeats) = factored_of(a, "self"), a["repeats"]
    if samples != 1 or len(repeats) != len(tensor.dims):
        raise NotShareable("repeats samples")
    if any(n != 1 != size for n, size in zip(repeats, tensor.sizes, strict=True)):
        raise NotShareable("repeats more than one value")
    return _repeated(tensor, [n * size for n, size in zip(repeats, tensor.sizes, strict=True)])


def _repeated(tensor: FactoredTensor, sizes: Sequence[int]) -> FactoredTensor:
    if tensor.layout.area == 1 and tuple(sizes) != tensor.sizes:
        raise NotShareable("repeats values over the plane")
    return expanded(tensor, sizes, [])


@handles("select")
def select(a: Arguments, work: WorkCount) -> FactoredTensor:
    """Take one position of a dimension, and drop it."""
    tensor = factored_of(a, "self")
    dim = tensor.dimension(a["dim"])
    taken = _taken(tensor, dim, [a["index"] % tensor.sizes[dim]])
    return taken.reshape_to([size for i, size in enumerate(taken.sizes) if i != dim])


@handles("slice")
def take_slice(a: Arguments, work: WorkCount) -> FactoredTensor:
    """Select positions of a dimension at equal steps."""
    tensor = factored_of(a, "self")
    if a["dim"] == 0 and range(work.batch)[a["start"] : a["end"] : a["step"]] == range(work.batch):
        return tensor
    dim = tensor.dimension(a["dim"])
    return _taken(tensor, dim, range(tensor.sizes[dim])[a["start"] : a["end"] : a["step"]])


@handles("narrow")
def narrow(a: Arguments, work: WorkCount) -> FactoredTensor:
    """Select adjacent positions of a dimension."""
    tensor = factored_of(a, "self")
    dim = tensor.dimension(a["dim"])
    start = int(a["start"]) % tensor.sizes[dim]
    return _taken(tensor, dim, range(start, start + a["length"]))


@handles("chunk")
def chunk(a: Arguments, work: WorkCount) -> list[FactoredTensor]:
    """Cut a dimension into parts of equal size."""
    tensor = factored_of(a, "self")
    dim = tensor.dimension(a["dim"])
    return _parts(tensor, dim, -(-tensor.sizes[dim] // a["chunks"]))


@handles("split")
def split(a: Arguments, work: WorkCount) -> list[FactoredTensor]:
    """Cut a dimension into parts of a given size."""
    tensor, size = factored_of(a, "self"), a["split_size"]
    return _parts(tensor, tensor.dimension(a["dim"]), size)


@handles("split_with_sizes")
def split_with_sizes(a: Arguments, work: WorkCount) -> list[FactoredTensor]:
    """Cut a dimension into parts of given sizes."""
    tensor = factored_of(a, "self")
    return _parts(tensor, tensor.dimension(a["dim"]), a["split_sizes"])


@handles("unbind")
def unbind(a: Arguments, work: WorkCount) -> list[FactoredTensor]:
    """Take every position of a dimension by itself."""
    tensor = factored_of(a, "self")
    dim = tensor.dimension(a["dim"])
    one = {"self": tensor, "dim": a["dim"]}
    return [select({**one, "index": i}, work) for i in range(tensor.sizes[dim])]


def _parts(tensor: FactoredTensor, dim: int, sizes: int | Sequence[int]) -> list[FactoredTensor]:
    whole = tensor.sizes[dim]
    if isinstance(sizes, int):
        sizes = [sizes] * -(-whole // sizes)
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    return [
        _taken(tensor, dim, range(start, min(start + size, whole)))
        for start, size in zip(starts, sizes, strict=True)
    ]


def _taken(tensor: FactoredTensor, dim: int, positions: Sequence[int]) -> FactoredTensor:
    if len(positions) == tensor.sizes[dim] and list(positions) == list(range(len(positions))):
        return tensor
    if len(tensor.dims[dim]) != 1 or not len(positions):
        raise NotShareable("takes a part of several axes")
    return tensor.select(tensor.dims[dim][0], list(positions))

"""Operations that only name the axes anew, or take some positions of one."""

from __future__ import annotations

import math
from collections.abc import Sequence

from otoscope.explain.shared._pointwise import expanded
from otoscope.explain.shared._registry import Arguments, Work, handles, sheet_of
from otoscope.explain.shared._sheet import NotLocal, Sheet


@handles("contiguous", "clone", "detach", "alias", "lift_fresh")
def same(a: Arguments, work: Work) -> Sheet:
    """Values stay as they are."""
    return sheet_of(a, "self")


@handles("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout")
def dropout(a: Arguments, work: Work) -> Sheet:
    """Do nothing, as in eval mode."""
    if a["train"]:
        raise NotLocal("is random")
    return sheet_of(a, "input")


@handles("permute")
def permute(a: Arguments, work: Work) -> Sheet:
    """Reorder dimensions."""
    return sheet_of(a, "self").permuted(a["dims"])


@handles("transpose", "swapaxes", "swapdims", "mT")
def transpose(a: Arguments, work: Work) -> Sheet:
    """Swap two dimensions, the last two by default."""
    sheet = sheet_of(a, "self")
    rank = len(sheet.dims) + 1
    dims: list[int] = [a.get(f"dim{i}", a.get(f"axis{i}", i - 2)) for i in (0, 1)]  # type: ignore[misc]
    first, second = dims
    order = list(range(rank))
    order[first], order[second] = order[second], order[first]
    return sheet.permuted(order)


@handles("movedim", "moveaxis")
def movedim(a: Arguments, work: Work) -> Sheet:
    """Move dimensions elsewhere."""
    sheet = sheet_of(a, "self")
    rank = len(sheet.dims) + 1
    sources, targets = (
        [dim % rank for dim in ([a[name]] if isinstance(a[name], int) else a[name])]
        for name in ("source", "destination")
    )
    rest = iter(dim for dim in range(rank) if dim not in sources)
    moved = dict(zip(targets, sources, strict=True))
    return sheet.permuted([moved[dim] if dim in moved else next(rest) for dim in range(rank)])


@handles("view", "reshape", "_unsafe_view")
def view(a: Arguments, work: Work) -> Sheet:
    """Group the axes anew; the sample's dimension stays."""
    sheet = sheet_of(a, "self")
    if "dtype" in a:
        raise NotLocal("reads bits as another type")
    sizes = list(a["size"] if "size" in a else a["shape"])
    total = work.batch * math.prod(sheet.sizes)
    if -1 in sizes:
        sizes[sizes.index(-1)] = -total // math.prod(sizes)
    if not sizes or sizes[0] != work.batch:
        raise NotLocal("reshapes across samples")
    return sheet.reshaped(sizes[1:])


@handles("view_as", "reshape_as")
def view_as(a: Arguments, work: Work) -> Sheet:
    """Group the axes as another's."""
    return sheet_of(a, "self").reshaped(sheet_of(a, "other").sizes)


@handles("flatten")
def flatten(a: Arguments, work: Work) -> Sheet:
    """Merge dimensions next to each other."""
    sheet = sheet_of(a, "self")
    first, last = sheet.dimension(a["start_dim"]), sheet.dimension(a["end_dim"])
    sizes = sheet.sizes
    return sheet.reshaped([*sizes[:first], math.prod(sizes[first : last + 1]), *sizes[last + 1 :]])


@handles("unflatten")
def unflatten(a: Arguments, work: Work) -> Sheet:
    """Split a dimension."""
    sheet = sheet_of(a, "self")
    dim, parts = sheet.dimension(a["dim"]), list(a["sizes"])
    if -1 in parts:
        parts[parts.index(-1)] = -sheet.sizes[dim] // math.prod(parts)
    return sheet.reshaped([*sheet.sizes[:dim], *parts, *sheet.sizes[dim + 1 :]])


@handles("unsqueeze")
def unsqueeze(a: Arguments, work: Work) -> Sheet:
    """Insert a dimension of size 1."""
    sheet = sheet_of(a, "self")
    dim = a["dim"] % (len(sheet.dims) + 2)
    if dim == 0:
        raise NotLocal("moves the sample's dimension")
    return sheet.reshaped([*sheet.sizes[: dim - 1], 1, *sheet.sizes[dim - 1 :]])


@handles("squeeze")
def squeeze(a: Arguments, work: Work) -> Sheet:
    """Drop dimensions of size 1."""
    sheet = sheet_of(a, "self")
    dims = a.get("dim")
    if dims is None:
        dims = range(1, len(sheet.dims) + 1)
    chosen = [sheet.dimension(dim) for dim in ([dims] if isinstance(dims, int) else dims)]
    return sheet.reshaped(
        [size for i, size in enumerate(sheet.sizes) if not (i in chosen and size == 1)]
    )


@handles("expand", "expand_as")
def expand(a: Arguments, work: Work) -> Sheet:
    """Repeat values along dimensions of size 1."""
    sheet = sheet_of(a, "self")
    sizes = a["size"] if "size" in a else [work.batch, *sheet_of(a, "other").sizes]
    own = [work.batch, *sheet.sizes]
    if len(sizes) != len(own):
        raise NotLocal("repeats samples")
    wanted = [old if size == -1 else size for size, old in zip(sizes, own, strict=True)]
    return _repeated(sheet, wanted[1:])


@handles("repeat")
def repeat(a: Arguments, work: Work) -> Sheet:
    """Repeat values along dimensions of size 1."""
    sheet, (samples, *repeats) = sheet_of(a, "self"), a["repeats"]
    if samples != 1 or len(repeats) != len(sheet.dims):
        raise NotLocal("repeats samples")
    if any(n != 1 != size for n, size in zip(repeats, sheet.sizes, strict=True)):
        raise NotLocal("repeats more than one value")
    return _repeated(sheet, [n * size for n, size in zip(repeats, sheet.sizes, strict=True)])


def _repeated(sheet: Sheet, sizes: Sequence[int]) -> Sheet:
    if sheet.layout.area == 1 and tuple(sizes) != sheet.sizes:
        raise NotLocal("repeats values over the plane")
    return expanded(sheet, sizes, [])


@handles("select")
def select(a: Arguments, work: Work) -> Sheet:
    """Take one position of a dimension, and drop it."""
    sheet = sheet_of(a, "self")
    dim = sheet.dimension(a["dim"])
    taken = _taken(sheet, dim, [a["index"] % sheet.sizes[dim]])
    return taken.reshaped([size for i, size in enumerate(taken.sizes) if i != dim])


@handles("slice")
def take_slice(a: Arguments, work: Work) -> Sheet:
    """Take every so many positions of a dimension."""
    sheet = sheet_of(a, "self")
    if a["dim"] == 0 and range(work.batch)[a["start"] : a["end"] : a["step"]] == range(work.batch):
        return sheet
    dim = sheet.dimension(a["dim"])
    return _taken(sheet, dim, range(sheet.sizes[dim])[a["start"] : a["end"] : a["step"]])


@handles("narrow")
def narrow(a: Arguments, work: Work) -> Sheet:
    """Take positions next to each other."""
    sheet = sheet_of(a, "self")
    dim = sheet.dimension(a["dim"])
    start = int(a["start"]) % sheet.sizes[dim]
    return _taken(sheet, dim, range(start, start + a["length"]))


@handles("chunk")
def chunk(a: Arguments, work: Work) -> list[Sheet]:
    """Cut a dimension into parts of equal size."""
    sheet = sheet_of(a, "self")
    dim = sheet.dimension(a["dim"])
    return _parts(sheet, dim, -(-sheet.sizes[dim] // a["chunks"]))


@handles("split")
def split(a: Arguments, work: Work) -> list[Sheet]:
    """Cut a dimension into parts of a given size."""
    sheet, size = sheet_of(a, "self"), a["split_size"]
    return _parts(sheet, sheet.dimension(a["dim"]), size)


@handles("split_with_sizes")
def split_with_sizes(a: Arguments, work: Work) -> list[Sheet]:
    """Cut a dimension into parts of given sizes."""
    sheet = sheet_of(a, "self")
    return _parts(sheet, sheet.dimension(a["dim"]), a["split_sizes"])


@handles("unbind")
def unbind(a: Arguments, work: Work) -> list[Sheet]:
    """Take every position of a dimension by itself."""
    sheet = sheet_of(a, "self")
    dim = sheet.dimension(a["dim"])
    one = {"self": sheet, "dim": a["dim"]}
    return [select({**one, "index": i}, work) for i in range(sheet.sizes[dim])]


def _parts(sheet: Sheet, dim: int, sizes: int | Sequence[int]) -> list[Sheet]:
    whole = sheet.sizes[dim]
    if isinstance(sizes, int):
        sizes = [sizes] * -(-whole // sizes)
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    return [
        _taken(sheet, dim, range(start, min(start + size, whole)))
        for start, size in zip(starts, sizes, strict=True)
    ]


def _taken(sheet: Sheet, dim: int, positions: Sequence[int]) -> Sheet:
    if len(positions) == sheet.sizes[dim] and list(positions) == list(range(len(positions))):
        return sheet
    if len(sheet.dims[dim]) != 1 or not len(positions):
        raise NotLocal("takes a part of several axes")
    return sheet.indexed(sheet.dims[dim][0], list(positions))

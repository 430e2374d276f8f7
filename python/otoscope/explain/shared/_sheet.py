"""A tensor of the shared forward pass: every different value once, and which axis is which.

The network sees [sample, dimension, ...]. A `Sheet` holds instead, for each excerpt, the rows of a
`Layout`; features lie within a row. Each of the network's dimensions is a product of axes,
row-major: of the plane's two (`ROW`, `COLUMN`) and of features. So transposing and reshaping move
no data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from otoscope.explain.shared._layout import Layout
from otoscope.explain.shared._samples import Scan

__all__ = ["COLUMN", "ROW", "Axis", "MixesSamples", "NotLocal", "Sheet"]

_CACHED = 1 << 20  # elements of windows at once on a CPU: they stay in its caches
_AT_ONCE = 1 << 26  # on a GPU
_WORTH = 0.7  # of a plain evaluation's values; more, and sharing them only costs time


class NotLocal(Exception):
    """An operation that needs whole samples: from here on they go through one by one."""


class MixesSamples(NotLocal):
    """An operation whose result for one sample depends on the others of its batch."""


@dataclass(frozen=True, eq=False)
class Axis:
    """A feature axis of a given size; each is itself alone."""

    size: int


ROW, COLUMN = Axis(0), Axis(0)  # of the plane: their sizes are the layout's
_PLANE = (ROW, COLUMN)

Dimension = tuple[Axis, ...]


@dataclass(frozen=True, eq=False)
class Sheet:
    """The values of one tensor for all samples.

    Parameters
    ----------
    rows : Tensor [excerpt, row + 1, feature]
        The values; the spare last row is written when windows need padding.
    layout : Layout
        Which row belongs where.
    features : tuple of Axis
        Of a row, row-major.
    dims : tuple of tuple of Axis
        The tensor's dimensions after the sample. Axes of size 1 are left out.
    """

    rows: Tensor
    layout: Layout
    features: tuple[Axis, ...]
    dims: tuple[Dimension, ...]

    @classmethod
    def of(cls, rows: Tensor, layout: Layout, sizes: Sequence[int], *dims: Dimension) -> Sheet:
        """Make a sheet whose dimensions are new feature axes, or the plane's given in ``dims``.

        Parameters
        ----------
        rows : Tensor [excerpt, row + 1, feature]
            The values.
        layout : Layout
            Which row belongs where.
        sizes : sequence of int
            Of the feature dimensions, which come first.
        *dims : tuple of Axis
            The dimensions after them.

        Returns
        -------
        Sheet
            Of these.
        """
        features = tuple(Axis(size) for size in sizes)
        leading = tuple((axis,) if axis.size != 1 else () for axis in features)
        kept = tuple(axis for axis in features if axis.size != 1)
        return cls(rows, layout, kept, leading + tuple(_real(dim, layout) for dim in dims))

    def size_of(self, axis: Axis) -> int:
        """How long an axis is."""
        if axis is ROW:
            return self.layout.size[0]
        return self.layout.size[1] if axis is COLUMN else axis.size

    @property
    def sizes(self) -> tuple[int, ...]:
        """Of the dimensions after the sample."""
        return tuple(math.prod(self.size_of(axis) for axis in dim) for dim in self.dims)

    def dimension(self, dim: int) -> int:
        """Number a dimension of the network's among ours: the sample's is none of them."""
        rank = len(self.dims) + 1
        if dim % rank == 0:
            raise MixesSamples("mixes samples")
        return dim % rank - 1

    def with_rows(self, rows: Tensor) -> Sheet:
        """Put other values in the same places."""
        return replace(self, rows=rows)

    def only_features(self, *dims: int) -> bool:
        """Whether some dimensions hold no axis of the plane."""
        return not any(axis in _PLANE for dim in dims for axis in self.dims[dim])

    # -- order and shape ------------------------------------------------------------------------

    def permuted(self, order: Sequence[int]) -> Sheet:
        """Reorder the dimensions, given as the network does, with the sample's."""
        rank = len(self.dims) + 1
        whole = [dim % rank for dim in order]
        if whole[0] != 0:
            raise NotLocal("moves the sample's dimension")
        return replace(self, dims=tuple(self.dims[dim - 1] for dim in whole[1:]))

    def reshaped(self, sizes: Sequence[int]) -> Sheet:
        """Group the axes into dimensions of other sizes; features may be split."""
        axes = [axis for dim in self.dims for axis in dim]
        features, dims = list(self.features), []
        for size in sizes:
            group: list[Axis] = []
            while (length := math.prod(map(self.size_of, group))) != size:
                if size % length or not axes:
                    raise NotLocal("reshapes across the plane")
                axis, missing = axes.pop(0), size // length
                if missing % self.size_of(axis):
                    if axis in _PLANE or axis.size % missing:
                        raise NotLocal("reshapes across the plane")
                    parts = [Axis(missing), Axis(axis.size // missing)]
                    at = features.index(axis)
                    features[at : at + 1] = parts
                    axes.insert(0, parts[1])
                    axis = parts[0]
                group.append(axis)
            dims.append(tuple(group))
        if axes:
            raise NotLocal("reshapes across samples")
        return replace(self, features=tuple(features), dims=tuple(dims))

    def in_order(self, *dims: int) -> Sheet:
        """Lay out the features of a row as the dimensions have them, some dimensions last."""
        first = [dim for dim in range(len(self.dims)) if dim not in dims]
        order = tuple(a for dim in (*first, *dims) for a in self.dims[dim] if a not in _PLANE)
        if order == self.features:
            return self
        sizes = [axis.size for axis in self.features]
        places = [self.features.index(axis) + 2 for axis in order]
        rows = self.rows.unflatten(2, sizes).permute(0, 1, *places).flatten(2)
        return replace(self, rows=rows, features=order)

    def like_plane(self, constant: Tensor) -> Tensor:
        """Bring a constant that broadcasts against the tensor to [row or 1, feature]."""
        if constant.ndim > len(self.dims):
            if constant.ndim > len(self.dims) + 1 or constant.shape[0] != 1:
                raise NotLocal("adds a value a sample")
            constant = constant[0]
        shape = (1,) * (len(self.dims) - constant.ndim) + tuple(constant.shape)
        if any(c not in (1, size) for c, size in zip(shape, self.sizes, strict=True)):
            raise NotLocal("repeats values")
        whole = constant.reshape(shape).expand(self.sizes)
        axes = [axis for dim in self.dims for axis in dim]
        whole = whole.reshape([self.size_of(axis) for axis in axes])  # a view, or small
        present = [axis for axis in _PLANE if axis in axes]
        whole = whole.permute([axes.index(axis) for axis in (*present, *self.features)])
        flat = whole.reshape(-1, math.prod(axis.size for axis in self.features))
        varies = any(
            size != 1 and any(axis in _PLANE for axis in dim)
            for size, dim in zip(shape, self.dims, strict=True)
        )
        return flat[self.layout.position] if varies else flat[:1]

    # -- other places ---------------------------------------------------------------------------

    def windows(self, scans: tuple[Scan, Scan], fill: float) -> Windows:
        """Read the values under windows that move over the plane."""
        target = _worth_it(self.layout.scanned(scans))
        self.rows[:, -1] = fill
        return Windows(self.rows, target, self.layout.windows(target, scans))

    def moved(self, target: Layout) -> Sheet:
        """Repeat values for the tiles and variants of a finer layout."""
        if _worth_it(target) is self.layout:
            return self
        height, width = (Scan(tuple(range(size))) for size in self.layout.size)
        indices = self.layout.windows(target, (height, width))
        windows = Windows(self.rows, target, indices)
        return replace(self, rows=windows.map(lambda part: part), layout=target)

    def indexed(self, axis: Axis, positions: Sequence[int]) -> Sheet:
        """Take some positions of an axis."""
        if axis in _PLANE:
            scans = tuple(
                Scan(tuple(positions) if axis is mine else tuple(range(size)))
                for mine, size in zip(_PLANE, self.layout.size, strict=True)
            )
            windows = self.windows((scans[0], scans[1]), 0.0)
            rows, layout = windows.map(lambda part: part), windows.target
            return replace(
                self, rows=rows, layout=layout, dims=tuple(_real(d, layout) for d in self.dims)
            )
        at, new = self.features.index(axis), Axis(len(positions))
        sizes = [a.size for a in self.features]
        index = torch.as_tensor(positions, device=self.rows.device)
        rows = self.rows.unflatten(2, sizes).index_select(2 + at, index).flatten(2)
        kept = () if new.size == 1 else (new,)
        features = self.features[:at] + kept + self.features[at + 1 :]
        dims = tuple(
            tuple(a for old in dim for a in (kept if old is axis else (old,))) for dim in self.dims
        )
        return Sheet(rows, self.layout, features, dims)

    def spread(self, axis: Axis, size: int, dim: int) -> Sheet:
        """Repeat values along an axis of the plane that has size 1, as a dimension of size 1."""
        if self.size_of(axis) != 1:
            raise NotLocal("repeats values over the plane")
        scans = tuple(
            Scan((0,) * size if mine is axis else tuple(range(whole)))
            for mine, whole in zip(_PLANE, self.layout.size, strict=True)
        )
        windows = self.windows((scans[0], scans[1]), 0.0)
        dims = (*self.dims[:dim], (axis,), *self.dims[dim + 1 :])
        return Sheet(windows.map(lambda part: part), windows.target, self.features, dims)

    def absorbed(self, axis: Axis) -> Sheet:
        """Turn an axis of the plane into one of features."""
        size = self.size_of(axis)
        scans = tuple(
            Scan(tuple(range(whole)), kernel=whole if mine is axis else 1)
            for mine, whole in zip(_PLANE, self.layout.size, strict=True)
        )
        windows = self.windows((scans[0], scans[1]), 0.0)
        new = Axis(size)
        dims = tuple(tuple(new if a is axis else a for a in dim) for dim in self.dims)
        row_is = axis is ROW

        def merge(part: Tensor) -> Tensor:
            moved = part if row_is else part.transpose(2, 3)  # [.., feature, absorbed, kept]
            merged = moved.flatten(1, 2)
            return merged.unsqueeze(2 if row_is else 3)

        rows = windows.map(merge)
        return Sheet(rows, windows.target, (*self.features, new), dims)

    def dense(self, samples: Tensor) -> Tensor:
        """Write some samples out as the network has them.

        Parameters
        ----------
        samples : Tensor [sample], int64
            Which.

        Returns
        -------
        Tensor [excerpt, sample, dimension, ...]
            Contiguous.
        """
        rows = self.layout.look_up[samples]  # [sample, position]
        values = self.rows[:, rows]  # [excerpt, sample, position, feature]
        sizes = [axis.size for axis in self.features]
        whole = values.unflatten(3, sizes) if sizes else values[..., 0]
        whole = whole.unflatten(2, self.layout.size)
        stored = (*_PLANE, *self.features)
        axes = [axis for dim in self.dims for axis in dim]
        absent = [axis for axis in _PLANE if axis not in axes]
        order = [stored.index(axis) + 2 for axis in (*axes, *absent)]
        written: Tensor = whole.permute(0, 1, *order).reshape(*whole.shape[:2], *self.sizes)
        return written


@dataclass(frozen=True, eq=False)
class Windows:
    """What lies under the windows of each tile, group by group."""

    source: Tensor
    target: Layout
    indices: list[Tensor]

    def parts(self) -> Iterator[Tensor]:
        """Windows of some variants: Tensor [excerpt * variant, feature, place, place]."""
        n, _, features = self.source.shape
        most = _CACHED if self.source.device.type == "cpu" else _AT_ONCE
        for index in self.indices:
            step = max(1, most // max(1, n * features * index[0].numel()))
            for part in index.split(step):
                read = self.source.index_select(1, part.reshape(-1))
                yield read.view(n * len(part), *part.shape[1:], features).permute(0, 3, 1, 2)

    def map(self, function: Callable[[Tensor], Tensor]) -> Tensor:
        """Apply a function to all windows: what it gives is the target's rows.

        Parameters
        ----------
        function : callable
            [variant, feature, place, place] -> [variant, feature, row, column].

        Returns
        -------
        Tensor [excerpt, row + 1, feature]
            The rows of the target.
        """
        n, groups = len(self.source), []
        for part in self.parts():
            done = function(part).permute(0, 2, 3, 1)
            groups.append(done.reshape(n, -1, done.shape[-1]))
        spare = groups[0].new_zeros(n, 1, groups[0].shape[-1])
        return torch.cat([*groups, spare], 1)


def _worth_it(layout: Layout) -> Layout:
    if layout.area > 1 and layout.n_rows > _WORTH * layout.area * len(layout.samples):
        raise NotLocal("sees too much to share")
    return layout


def _real(dim: Dimension, layout: Layout) -> Dimension:
    """Leave out the plane's axes of size 1."""
    sizes = dict(zip(_PLANE, layout.size, strict=True))
    return tuple(axis for axis in dim if sizes.get(axis, 2) != 1)

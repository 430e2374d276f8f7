"""Factored tensors: a tensor of the network for all samples, each different value stored once.

The network sees [sample, dimension, ...]. A `FactoredTensor` stores, for each excerpt, the rows of
a `Layout`, and the features of a position within a row. Each of the network's dimensions is a
product of axes, row-major: of the plane's two (`ROW`, `COLUMN`) and of feature axes. Transposing
and reshaping therefore move no data: they regroup axes.

Example: a batch [sample, 4 channels, 6 frames, 1] is stored as [excerpt, row + 1, 4] with
``features = (C,)`` and ``dims = ((C,), (ROW,), ())``; flattened, ``dims = ((C, ROW),)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from otoscope.explain.shared._blocks import (
    Blocks,
    Depthwise,
    Gathered,
    Range,
    Source,
    is_plain,
    matrix,
    per_row,
)
from otoscope.explain.shared._layout import Layout
from otoscope.explain.shared._scan import PADDING, Scan, Scans

__all__ = ["COLUMN", "ROW", "Axis", "FactoredTensor", "MixesSamples", "NotShareable"]

_WORTH = 0.7  # fraction of a plain evaluation's values above which sharing only costs time


class NotShareable(Exception):
    """Raised by an operation that needs whole samples: from there on they are evaluated plainly."""


class MixesSamples(NotShareable):
    """Raised by an operation whose result for a sample depends on the others of its batch."""


@dataclass(frozen=True, eq=False)
class Axis:
    """An axis of a given size; compared by identity."""

    size: int


ROW, COLUMN = Axis(0), Axis(0)  # the plane's axes: their sizes are the layout's
_PLANE = (ROW, COLUMN)

Dimension = tuple[Axis, ...]


@dataclass(frozen=True, eq=False)
class FactoredTensor:
    """The values of one tensor for all samples; see the module.

    Invariants: the sizes of ``features`` multiply to the last axis of ``rows``; every feature axis,
    and every axis of the plane whose size is not 1, is in exactly one of ``dims``.
    """

    source: Source  # [excerpt, row + 1, feature]; the spare row is written before windows read it
    layout: Layout
    features: tuple[Axis, ...]  # axes of a row, row-major
    dims: tuple[Dimension, ...]  # axes of each dimension after the sample, without size 1

    @classmethod
    def of(
        cls, rows: Source, layout: Layout, sizes: Sequence[int], *dims: Dimension
    ) -> FactoredTensor:
        """Make a tensor of feature dimensions of the given sizes, followed by ``dims``."""
        features = tuple(Axis(size) for size in sizes)
        leading = tuple((axis,) if axis.size != 1 else () for axis in features)
        kept = tuple(axis for axis in features if axis.size != 1)
        return cls(
            rows, layout, kept, leading + tuple(_without_unit_axes(dim, layout) for dim in dims)
        )

    @property
    def rows(self) -> Tensor:
        """The values as one matrix [excerpt, row + 1, feature]."""
        return matrix(self.source)

    @property
    def dtype(self) -> torch.dtype:
        """Type of the values."""
        return (self.source.first if isinstance(self.source, Blocks) else self.source).dtype

    def size_of(self, axis: Axis) -> int:
        """Return the size of an axis."""
        if axis is ROW:
            return self.layout.size[0]
        return self.layout.size[1] if axis is COLUMN else axis.size

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sizes of the dimensions after the sample."""
        return tuple(math.prod(self.size_of(axis) for axis in dim) for dim in self.dims)

    def dimension(self, dim: int) -> int:
        """Convert a dimension of the network to an index of ``dims``; refuse the sample's, 0."""
        rank = len(self.dims) + 1
        if dim % rank == 0:
            raise MixesSamples("mixes samples")
        return dim % rank - 1

    def with_rows(self, source: Source) -> FactoredTensor:
        """Replace the values; layout and axes stay."""
        return replace(self, source=source)

    def map_rows(self, function: Callable[..., Tensor], *others: Source) -> Source:
        """Apply a function to each row, and the same row of others."""
        return per_row(function, self.layout, self.source, *others)

    def only_features(self, *dims: int) -> bool:
        """Tell whether some dimensions hold feature axes only."""
        return not any(axis in _PLANE for dim in dims for axis in self.dims[dim])

    def permute(self, order: Sequence[int]) -> FactoredTensor:
        """Reorder the dimensions; ``order`` counts the sample's as 0."""
        rank = len(self.dims) + 1
        whole = [dim % rank for dim in order]
        if whole[0] != 0:
            raise NotShareable("moves the sample's dimension")
        return replace(self, dims=tuple(self.dims[dim - 1] for dim in whole[1:]))

    def reshape_to(self, sizes: Sequence[int]) -> FactoredTensor:
        """Group the axes into dimensions of other sizes; feature axes may be split."""
        axes = [axis for dim in self.dims for axis in dim]
        features, dims = list(self.features), []
        for size in sizes:
            group: list[Axis] = []
            while (length := math.prod(map(self.size_of, group))) != size:
                if size % length or not axes:
                    raise NotShareable("reshapes across the plane")
                axis, missing = axes.pop(0), size // length
                if missing % self.size_of(axis):
                    if axis in _PLANE or axis.size % missing:
                        raise NotShareable("reshapes across the plane")
                    parts = [Axis(missing), Axis(axis.size // missing)]
                    at = features.index(axis)
                    features[at : at + 1] = parts
                    axes.insert(0, parts[1])
                    axis = parts[0]
                group.append(axis)
            dims.append(tuple(group))
        if axes:
            raise NotShareable("reshapes across samples")
        return replace(self, features=tuple(features), dims=tuple(dims))

    def ordered(self, *dims: int) -> FactoredTensor:
        """Order the features of a row as the dimensions do, those of the given dimensions last."""
        first = [dim for dim in range(len(self.dims)) if dim not in dims]
        order = tuple(a for dim in (*first, *dims) for a in self.dims[dim] if a not in _PLANE)
        if order == self.features:
            return self
        sizes = [axis.size for axis in self.features]
        places = [self.features.index(axis) + 2 for axis in order]
        source = self.map_rows(
            lambda rows: rows.unflatten(2, sizes).permute(0, 1, *places).flatten(2)
        )
        return replace(self, source=source, features=order)

    def constant_rows(self, constant: Tensor) -> Tensor:
        """Return a constant that broadcasts against the tensor as [row + 1 or 1, feature]."""
        if constant.ndim > len(self.dims):
            if constant.ndim > len(self.dims) + 1 or constant.shape[0] != 1:
                raise NotShareable("adds a value per sample")
            constant = constant[0]
        shape = (1,) * (len(self.dims) - constant.ndim) + tuple(constant.shape)
        if any(c not in (1, size) for c, size in zip(shape, self.sizes, strict=True)):
            raise NotShareable("repeats values")
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
        return flat[self.layout.position_of_row] if varies else flat[:1]

    def windows(self, scans: Scans, fill: float) -> Windows:
        """Read the values under windows that move over the plane; padding reads ``fill``."""
        target = _require_sharing(self.layout.after_windows(scans))
        indices = self.layout.window_rows(target, scans)
        fill *= any(PADDING in scan.sources for scan in scans)
        if not fill and isinstance(self.source, Gathered) and not self.source.is_stored:
            rows, gathered = self.source.rows, self.source.index
            return Windows(
                rows,
                target,
                [gathered.index_select(0, index.flatten()).view_as(index) for index in indices],
                fill,
            )
        rows = self.rows
        rows[:, -1] = 0
        return Windows(rows, target, indices, fill)

    def on_layout(self, target: Layout) -> FactoredTensor:
        """Repeat values for the tiles and variants of a finer layout."""
        if _require_sharing(target) is self.layout:
            return self
        height, width = (Scan(tuple(range(size))) for size in self.layout.size)
        indices = self.layout.window_rows(target, (height, width))
        source = Windows(self.rows, target, indices, 0.0).gather()
        return replace(self, source=source, layout=target)

    def select(self, axis: Axis, positions: Sequence[int]) -> FactoredTensor:
        """Select positions of an axis."""
        if axis in _PLANE:
            scans = tuple(
                Scan(tuple(positions) if axis is own else tuple(range(size)))
                for own, size in zip(_PLANE, self.layout.size, strict=True)
            )
            windows = self.windows((scans[0], scans[1]), 0.0)
            source, layout = windows.gather(), windows.target
            return replace(
                self,
                source=source,
                layout=layout,
                dims=tuple(_without_unit_axes(d, layout) for d in self.dims),
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
        return FactoredTensor(rows, self.layout, features, dims)

    def repeat_along(self, axis: Axis, size: int, dim: int) -> FactoredTensor:
        """Repeat values along an axis of the plane that has size 1, as has dimension ``dim``."""
        if self.size_of(axis) != 1:
            raise NotShareable("repeats values over the plane")
        scans = tuple(
            Scan((0,) * size if own is axis else tuple(range(whole)))
            for own, whole in zip(_PLANE, self.layout.size, strict=True)
        )
        windows = self.windows((scans[0], scans[1]), 0.0)
        dims = (*self.dims[:dim], (axis,), *self.dims[dim + 1 :])
        return FactoredTensor(windows.gather(), windows.target, self.features, dims)

    def to_features(self, axis: Axis) -> FactoredTensor:
        """Turn an axis of the plane into a feature axis."""
        size = self.size_of(axis)
        scans = tuple(
            Scan(tuple(range(whole)), kernel=whole if own is axis else 1)
            for own, whole in zip(_PLANE, self.layout.size, strict=True)
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
        return FactoredTensor(rows, windows.target, (*self.features, new), dims)

    def materialise(self, samples: Tensor) -> Tensor:
        """Write some samples as the network has them: Tensor [excerpt, sample, dimension, ...]."""
        rows = self.layout.row_of_sample[samples]  # [sample, position]
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
    """The rows under the windows of each tile of a target layout, group by group."""

    source: Tensor  # [excerpt, row + 1, feature]
    target: Layout
    indices: list[Tensor]  # per group of the target, [variant, place, place]: rows of the source
    fill: float  # what padding reads

    def gather(self) -> Source:
        """Return what windows of one place read."""
        if self.fill:
            return self.map(lambda part: part)
        spare = self.indices[0].new_tensor([self.source.shape[1] - 1])
        index = torch.cat([*(index.reshape(-1) for index in self.indices), spare])
        blocks = Gathered(self.target, self.source, index)
        return blocks.matrix() if blocks.is_small else blocks

    def weigh(self, taps: Tensor, bias: Tensor | None) -> Source | None:
        """Sum over the taps [tap, channel] of each window, if a kernel can, and windows are lines.

        Lines: their stride is 1, and they move over the only axis that has more than one position.
        """
        known = (self.source, taps) if bias is None else (self.source, taps, bias)
        if self.fill or not is_plain(*known):
            return None
        lines = [index.flatten(1) for index in self.indices]
        blocks = Depthwise(self.target, self.source, lines, taps, bias)
        return blocks.matrix() if blocks.is_small else blocks

    def map(self, function: Callable[[Tensor], Tensor]) -> Source:
        """Apply a function to all windows; return the target's rows.

        The function maps [variant, feature, place, place] to [variant, feature, row, column].
        """
        n, _, n_features = self.source.shape

        def compute(part: Range) -> Tensor:
            number, start, end = part
            index = self.indices[number][start:end]
            read = self.source.index_select(1, index.reshape(-1))
            windows = read.view(n * len(index), *index.shape[1:], n_features).permute(0, 3, 1, 2)
            done = function(windows).permute(0, 2, 3, 1)
            return done.reshape(n, -1, done.shape[-1])

        widths = [n * n_features * index[0].numel() for index in self.indices]
        if not self.fill:
            blocks = Blocks(self.target, widths, compute, self.source.device)
            return blocks.matrix() if blocks.is_small else blocks
        self.source[:, -1] = self.fill
        rows = Blocks(self.target, widths, compute, self.source.device).matrix()
        self.source[:, -1] = 0  # as deferred windows read it
        return rows


def _require_sharing(layout: Layout) -> Layout:
    """Return a layout with clearly fewer rows than samples * positions, or raise."""
    if layout.area > 1 and layout.n_rows > _WORTH * layout.area * len(layout.samples):
        raise NotShareable("sees too much to share")
    return layout


def _without_unit_axes(dim: Dimension, layout: Layout) -> Dimension:
    """Drop the plane's axes of size 1."""
    sizes = dict(zip(_PLANE, layout.size, strict=True))
    return tuple(axis for axis in dim if sizes.get(axis, 2) != 1)

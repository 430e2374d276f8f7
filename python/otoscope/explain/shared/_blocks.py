"""Rows in blocks that stay in a processor's caches: several operations at a time, none stored.

The rows of a large layout are `Blocks` until something reads them as one matrix, as windows do. An
operation per position then only composes functions of a block; a sum over tiles reads the blocks
as they come. A block is some variants of a group of tiles, so it holds tiles whole.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeAlias, TypeVar, cast

import torch
from torch import Tensor

from otoscope.explain.shared._crew import for_each
from otoscope.explain.shared._layout import Layout
from otoscope.native import host_kernel

__all__ = ["Blocks", "Depthwise", "Gathered", "Range", "Source", "is_plain", "matrix", "per_row"]

Range: TypeAlias = tuple[int, int, int]
"""A group of a layout, and its variants from the second number to before the third."""

Result = TypeVar("Result")

_CACHED = 1 << 19  # elements of the largest tensor of a block on a CPU; fewer repay no thread
_AT_ONCE = 1 << 26  # on a GPU, where few large calls are faster
_LARGE = 1 << 23  # bytes of a matrix from which it has pages of its own
_PAGE = 1 << 21  # bytes of a huge page
_MOST_SKIPS = 4  # of the kernel
_DEFERRED = 1 << 18  # elements of a matrix from which it is not stored


class Blocks:
    """Rows [excerpt, row, feature] of a layout that are computed when they are read.

    Parameters
    ----------
    layout : Layout
        Layout of the rows.
    widths : sequence of int
        Elements, per variant of each group, of the largest tensor that a block is computed from.
    compute : callable
        `Range` -> Tensor [excerpt, rows of that range, feature]; None of a subclass that overrides
        ``_compute``, since a method of its own would keep it and what it reads until a collection.
    device : torch.device
        Device of the rows.
    """

    def __init__(
        self,
        layout: Layout,
        widths: Sequence[int],
        compute: Callable[[Range], Tensor] | None,
        device: torch.device,
    ) -> None:
        self.layout, self.widths, self._function = layout, list(widths), compute
        all_widths = sum(
            width * len(group.tile_of_variant)
            for width, group in zip(widths, layout.groups, strict=True)
        )
        self._most = _CACHED if device.type == "cpu" else _AT_ONCE
        self._matrix: Tensor | None = None
        # tells type and features; of a large layout little is computed before threads share it
        self._first = next(self.ranges()) if all_widths <= self._most else (0, 0, 1)
        self.first = self._compute(self._first)
        size = len(self.first) * self.first.shape[-1]
        groups = layout.groups
        self.widths = [max(w, size * g.area) for w, g in zip(widths, groups, strict=True)]
        self.is_small = device.type != "cpu" or size * layout.n_rows < _DEFERRED

    def __getitem__(self, part: Range) -> Tensor:
        """Compute a block."""
        if self._matrix is not None:
            return rows_of(self._matrix, self.layout, part)
        return self.first if part == self._first else self._compute(part)

    def ranges(self) -> Iterator[Range]:
        """Cut the layout into blocks, in the order of their rows."""
        for number, (group, width) in enumerate(zip(self.layout.groups, self.widths, strict=True)):
            n, step = len(group.tile_of_variant), max(1, self._most // max(1, width))
            for start in range(0, n, step):
                yield number, start, min(start + step, n)

    def map(self, function: Callable[[Tensor, Range], Result]) -> list[Result]:
        """Apply a function to each block."""
        return for_each(list(self.ranges()), lambda part: function(self[part], part))

    def _compute(self, part: Range) -> Tensor:
        return cast("Callable[[Range], Tensor]", self._function)(part)

    def _forget(self) -> None:
        """Release what blocks are computed from, once all rows are stored."""
        self._function = None

    def _write(self, rows: Tensor, part: Range) -> None:
        """Write a block into the matrix."""
        rows_of(rows, self.layout, part).copy_(self[part])

    @property
    def is_stored(self) -> bool:
        """Tell whether the rows were computed as one matrix."""
        return self._matrix is not None

    def matrix(self) -> Tensor:
        """Compute all rows once: Tensor [excerpt, row + 1, feature]."""
        if self._matrix is None:
            n, _, n_features = self.first.shape
            rows = _empty_like(self.first, (n, self.layout.n_rows + 1, n_features))
            rows[:, -1] = 0
            for_each(list(self.ranges()), partial(self._write, rows))
            self._matrix = rows
            self._forget()
        return self._matrix


class Gathered(Blocks):
    """Rows that are ``rows[:, index]``, for each row of a layout and the spare one.

    Windows over them read ``rows``. The spare row of ``rows`` is 0.
    """

    def __init__(self, layout: Layout, rows: Tensor, index: Tensor) -> None:
        self.rows, self.index = rows, index
        widths = [len(rows) * rows.shape[-1] * group.area for group in layout.groups]
        super().__init__(layout, widths, None, rows.device)

    def _compute(self, part: Range) -> Tensor:
        return self.rows.index_select(1, rows_of(self.index[None], self.layout, part)[0])

    def _forget(self) -> None:
        del self.rows, self.index


class Depthwise(Blocks):
    """Rows that are sums over the taps of windows, and rows of other matrices added to them.

    A kernel on the CPU reads the windows where they are; none is written.

    Parameters
    ----------
    layout : Layout
        Layout of the rows.
    rows : Tensor [excerpt, row + 1, channel]
        What the windows read, contiguous float32.
    windows : sequence of Tensor
        Rows of each group's windows [variant, place].
    taps : Tensor [tap, channel]
        Weights, contiguous.
    bias : Tensor [channel], optional
        Constant that is added.
    skips : sequence of Gathered
        Rows that are added.
    """

    def __init__(
        self,
        layout: Layout,
        rows: Tensor,
        windows: Sequence[Tensor],
        taps: Tensor,
        bias: Tensor | None,
        skips: Sequence[Gathered] = (),
    ) -> None:
        self.rows, self.windows, self.taps, self.bias = rows, windows, taps, bias
        self.skips = tuple(skips)
        self._kernel = host_kernel("depthwise")
        widths = [len(rows) * rows.shape[-1] * group.area for group in layout.groups]
        super().__init__(layout, widths, None, rows.device)

    def plus(self, skip: Gathered) -> Depthwise:
        """Add rows of another matrix."""
        return Depthwise(
            self.layout, self.rows, self.windows, self.taps, self.bias, (*self.skips, skip)
        )

    def takes(self, skip: Source) -> bool:
        """Tell whether `plus` can add these rows."""
        return (
            isinstance(skip, Gathered)
            and not (self.is_stored or skip.is_stored)
            and len(self.skips) < _MOST_SKIPS
            and is_plain(skip.rows)
            and skip.first.shape == self.first.shape
        )

    def _compute(self, part: Range) -> Tensor:
        number, start, end = part
        n_rows = (end - start) * self.layout.groups[number].area
        sums = self.rows.new_empty(len(self.rows), n_rows, self.rows.shape[-1])
        self._write_sums(part, sums)
        return sums

    def _forget(self) -> None:
        del self.rows, self.windows, self.skips

    def _write(self, rows: Tensor, part: Range) -> None:
        self._write_sums(part, rows_of(rows, self.layout, part))

    def _write_sums(self, part: Range, sums: Tensor) -> None:
        number, start, end = part
        size = end - start, self.layout.groups[number].area
        windows = self.windows[number][start:end]
        indices = [rows_of(s.index[None], self.layout, part).view(size) for s in self.skips]
        threads = torch.get_num_threads()
        for excerpt, (rows, out) in enumerate(zip(self.rows, sums, strict=True)):
            skips = [skip.rows[excerpt] for skip in self.skips]
            out = out.view(*size, -1)
            self._kernel(rows, windows, self.taps, self.bias, skips, indices, out, threads)


def _empty_like(example: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Reserve a matrix of the example's type, in huge pages where the system has them.

    Memory costs most when its pages are first written: 512 times as rarely in pages of 2 MB.
    """
    size = math.prod(shape)
    n_bytes = size * example.element_size()
    if example.device.type != "cpu" or n_bytes < _LARGE or not hasattr(mmap, "MADV_HUGEPAGE"):
        return example.new_empty(shape)
    room = n_bytes + 2 * _PAGE - n_bytes % _PAGE  # whole pages, wherever they begin
    memory = mmap.mmap(-1, room, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_HUGEPAGE)
    begin = -torch.frombuffer(memory, dtype=torch.uint8).data_ptr() % _PAGE
    return torch.frombuffer(memory, dtype=example.dtype, count=size, offset=begin).view(shape)


def is_plain(*tensors: Tensor) -> bool:
    """Tell whether kernels of the CPU can read tensors: float32, contiguous, without gradients."""
    return all(
        tensor.device.type == "cpu"
        and tensor.dtype == torch.float32
        and tensor.is_contiguous()
        and not (torch.is_grad_enabled() and tensor.requires_grad)
        for tensor in tensors
    )


Source: TypeAlias = Tensor | Blocks
"""Rows of a layout, [excerpt, row + 1, feature]; or one row for all positions, [1, 1, feature]."""


def matrix(source: Source) -> Tensor:
    """Return rows as one matrix."""
    return source.matrix() if isinstance(source, Blocks) else source


def per_row(function: Callable[..., Tensor], layout: Layout, *sources: Source) -> Source:
    """Apply a function to each row of a layout; rows may get other features."""
    deferred = [source for source in sources if isinstance(source, Blocks)]
    examples = [source.first if isinstance(source, Blocks) else source for source in sources]
    size = max(len(example) * example.shape[-1] for example in examples)
    device = examples[0].device
    if not deferred and (device.type != "cpu" or size * layout.n_rows < _DEFERRED):
        return function(*sources)

    def compute(part: Range) -> Tensor:
        return function(
            *(
                source[part] if isinstance(source, Blocks) else rows_of(source, layout, part)
                for source in sources
            )
        )

    widths = [
        max([size * group.area, *(blocks.widths[number] for blocks in deferred)])
        for number, group in enumerate(layout.groups)
    ]
    return Blocks(layout, widths, compute, device)


def rows_of(rows: Tensor, layout: Layout, part: Range) -> Tensor:
    """View the rows of a block."""
    if rows.shape[1] == 1 and layout.n_rows > 0:
        return rows
    number, start, end = part
    group = layout.groups[number]
    return rows[:, group.start + start * group.area : group.start + end * group.area]

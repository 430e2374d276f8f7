"""Rows in blocks that stay in a processor's caches: several operations at a time, none stored.

The rows of a large layout are `Blocks` until something reads them as one matrix, as windows do. An
operation per position then only composes functions of a block; a sum over tiles reads the blocks
as they come. A block is some variants of a group of tiles, so it holds tiles whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias, TypeVar

import torch
from torch import Tensor

from otoscope.explain.shared._layout import Layout

__all__ = ["Blocks", "Gathered", "Range", "Source", "matrix", "per_row"]

Range: TypeAlias = tuple[int, int, int]
"""A group of a layout, and its variants from the second number to before the third."""

Result = TypeVar("Result")

_CACHED = 1 << 19  # elements of the largest tensor of a block on a CPU
_AT_ONCE = 1 << 26  # on a GPU, where few large calls are faster
_DEFERRED = 1 << 20  # elements of a matrix from which it is not stored


class Blocks:
    """Rows [excerpt, row, feature] of a layout that are computed when they are read.

    Parameters
    ----------
    layout : Layout
        Layout of the rows.
    widths : sequence of int
        Elements, per variant of each group, of the largest tensor that a block is computed from.
    compute : callable
        `Range` -> Tensor [excerpt, rows of that range, feature].
    device : torch.device
        Device of the rows.
    """

    def __init__(
        self,
        layout: Layout,
        widths: Sequence[int],
        compute: Callable[[Range], Tensor],
        device: torch.device,
    ) -> None:
        self.layout, self.widths, self._compute = layout, list(widths), compute
        self._most = _CACHED if device.type == "cpu" else _AT_ONCE
        self._matrix: Tensor | None = None
        self._first = next(self.ranges())
        self.first = compute(self._first)  # tells type and features
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
        """Apply a function to each block, in as many threads as torch has."""
        ranges, n_threads = list(self.ranges()), torch.get_num_threads()
        if n_threads == 1 or len(ranges) < 8 * n_threads:
            return [function(self[part], part) for part in ranges]
        grad = torch.is_grad_enabled()

        def apply(part: Range) -> Result:
            with torch.set_grad_enabled(grad):
                return function(self[part], part)

        with ThreadPoolExecutor(
            n_threads, initializer=torch.set_num_threads, initargs=(1,)
        ) as pool:
            results = list(pool.map(apply, ranges))
        torch.set_num_threads(n_threads)  # also of threads that begin later
        return results

    @property
    def is_stored(self) -> bool:
        """Tell whether the rows were computed as one matrix."""
        return self._matrix is not None

    def matrix(self) -> Tensor:
        """Compute all rows once: Tensor [excerpt, row + 1, feature]."""
        if self._matrix is None:
            n, _, n_features = self.first.shape
            rows = self.first.new_empty(n, self.layout.n_rows + 1, n_features)
            rows[:, -1] = 0
            self.map(lambda block, part: rows_of(rows, self.layout, part).copy_(block))
            self._matrix = rows
            del self._compute  # what it reads need no longer be kept
        return self._matrix


class Gathered(Blocks):
    """Rows that are ``rows[:, index]``, for each row of a layout and the spare one.

    Windows over them read ``rows``. The spare row of ``rows`` is 0.
    """

    def __init__(self, layout: Layout, rows: Tensor, index: Tensor) -> None:
        self.rows, self.index = rows, index
        widths = [len(rows) * rows.shape[-1] * group.area for group in layout.groups]
        super().__init__(layout, widths, self._gather, rows.device)

    def _gather(self, part: Range) -> Tensor:
        return self.rows.index_select(1, rows_of(self.index[None], self.layout, part)[0])


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

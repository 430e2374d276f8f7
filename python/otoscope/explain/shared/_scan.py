"""Scans: windows that move over one axis of a plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["PADDING", "Booleans", "Integers", "Scan", "Scans"]

Integers: TypeAlias = NDArray[np.int64]
Booleans: TypeAlias = NDArray[np.bool_]

PADDING = -1
"""Source of a place that holds a constant."""


@dataclass(frozen=True)
class Scan:
    """Windows along one axis: window w reads the places ``w * stride + k * dilation``, k < kernel.

    A place is a position of the padded axis; ``sources[place]`` is an input position or `PADDING`.

    Examples
    --------
    >>> Scan((PADDING, 0, 1, 2, PADDING), kernel=3, stride=2).reads().tolist()
    [[-1, 0, 1], [1, 2, -1]]
    """

    sources: tuple[int, ...]
    kernel: int = 1
    stride: int = 1
    dilation: int = 1

    @property
    def size(self) -> int:
        """Number of windows."""
        return max(
            0, (len(self.sources) - self.dilation * (self.kernel - 1) - 1) // self.stride + 1
        )

    def reads(self) -> Integers:
        """Return the input positions that each window reads: array [window, kernel]."""
        window = np.arange(self.size)[:, None] * self.stride
        places: Integers = window + np.arange(self.kernel) * self.dilation
        return np.asarray(self.sources, np.int64)[places]

    def span(self, size: int) -> int:
        """Return the number of places that ``size`` consecutive windows cover."""
        return (size - 1) * self.stride + self.dilation * (self.kernel - 1) + 1


Scans: TypeAlias = tuple[Scan, Scan]
"""Scans along the rows and the columns of a plane."""

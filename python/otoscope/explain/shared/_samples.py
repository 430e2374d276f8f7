"""What differs between samples, and how windows move over an axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["PADDING", "Booleans", "Integers", "Samples", "Scan"]

Integers: TypeAlias = NDArray[np.int64]
Booleans: TypeAlias = NDArray[np.bool_]

PADDING = -1  # where a scan reads a constant


class Samples:
    """The coalitions of an explanation, and how they differ on some of the segments.

    Parameters
    ----------
    words : Tensor [sample, word], int64
        Packed bits, 64 segments a word.
    n_segments : int
        Number of segments.

    Examples
    --------
    >>> import torch
    >>> exact = Samples(torch.arange(8)[:, None], 3)
    >>> variant, first = exact.restricted(np.array([True, False, True]))
    >>> variant.tolist(), first.tolist()
    ([0, 1, 0, 1, 2, 3, 2, 3], [0, 1, 4, 5])
    """

    def __init__(self, words: Tensor, n_segments: int) -> None:
        self.words = words.cpu().numpy()
        self.n_segments = n_segments
        self.device = words.device
        self._known: dict[bytes, tuple[Integers, Integers]] = {}

    def __len__(self) -> int:
        """Count the samples."""
        return len(self.words)

    def restricted(self, sees: Booleans) -> tuple[Integers, Integers]:
        """Number the different restrictions of the samples to some segments.

        Parameters
        ----------
        sees : array [segment], bool
            The segments that count.

        Returns
        -------
        variant : array [sample], int64
            Which restriction each sample has.
        first : array [variant], int64
            The first sample that has it.
        """
        mask = np.zeros(self.words.shape[1] * 8, np.uint8)
        packed = np.packbits(sees, bitorder="little")
        mask[: len(packed)] = packed
        key = mask.tobytes()
        if key not in self._known:
            seen = self.words & mask.view("<i8")
            axis = None if seen.shape[1] == 1 else 0
            _, first, variant = np.unique(seen, return_index=True, return_inverse=True, axis=axis)
            self._known[key] = variant.reshape(-1).astype(np.int64), first.astype(np.int64)
        return self._known[key]


@dataclass(frozen=True)
class Scan:
    """How windows move along one axis.

    Parameters
    ----------
    sources : tuple of int
        The input position at each place of the padded axis; `PADDING` for a constant.
    kernel, stride, dilation : int
        Of the windows, in places.

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
        """How many windows there are."""
        return max(
            0, (len(self.sources) - self.dilation * (self.kernel - 1) - 1) // self.stride + 1
        )

    def reads(self) -> Integers:
        """What each window reads: array [window, kernel] of positions."""
        window = np.arange(self.size)[:, None] * self.stride
        places: Integers = window + np.arange(self.kernel) * self.dilation
        return np.asarray(self.sources, np.int64)[places]

    def span(self, size: int) -> int:
        """How many places ``size`` windows in a row cover."""
        return (size - 1) * self.stride + self.dilation * (self.kernel - 1) + 1

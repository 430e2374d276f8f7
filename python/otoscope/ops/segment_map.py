"""Validate segment maps, which assign each cell of a patch to a segment."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.ops.library import has_numbers, require_tensor

__all__ = ["SegmentMap"]


_UNSIGNED = (torch.uint16, torch.uint32, torch.uint64)


@dataclass(frozen=True)
class SegmentMap:
    """Validated segment of each cell of a patch.

    Validation reads all ids, which on a GPU waits for the device: make a map once and use it for
    every call.

    Parameters
    ----------
    ids : Tensor [frame, mel], any integer type
        Segment of each cell, 0 .. n - 1; kept as contiguous int32.
    n : int, optional
        Number of segments; by default the largest id + 1. A segment may have no cells.

    Raises
    ------
    ParameterError
        If the ids are not two-dimensional integers, or one is outside 0 .. n - 1.

    Notes
    -----
    The ids of a tensor that is traced or on ``meta`` cannot be read: ``n`` must be given, and the
    kernels check the ids.

    Examples
    --------
    >>> SegmentMap(torch.tensor([[0, 0, 1], [2, 2, 1]])).n
    3
    """

    ids: Tensor
    n: int = -1

    def __post_init__(self) -> None:
        ids = self.ids
        require_tensor("segment", ids)
        if ids.ndim != 2 or ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool:
            raise ParameterError(
                f"segment is {ids.dtype} {tuple(ids.shape)}; it must be integer [frame, mel]"
            )
        ids = ids.long() if ids.dtype in _UNSIGNED else ids  # torch compares none of these
        if has_numbers(ids) and ids.numel():
            low, high = (int(x) for x in ids.aminmax())
        elif self.n >= 0:
            low, high = 0, self.n - 1
        else:
            raise ParameterError(
                f"segment is {tuple(ids.shape)} on {ids.device}: it holds no number that tells how "
                "many segments there are; give n="
            )
        n = high + 1 if self.n == -1 else self.n
        if low < 0 or high >= n:
            raise ParameterError(
                f"segment holds {low if low < 0 else high}; ids must be in 0 to {n - 1}"
            )
        object.__setattr__(self, "ids", ids.to(torch.int32).contiguous())
        object.__setattr__(self, "n", n)

    def to(self, device: torch.device | str) -> SegmentMap:
        """Move the map to a device, without validating it again.

        Parameters
        ----------
        device : device or str
            Device of the patches.

        Returns
        -------
        SegmentMap
            The same map on the device.

        Examples
        --------
        >>> SegmentMap(torch.tensor([[0, 1]])).to("cpu").n
        2
        """
        moved = object.__new__(SegmentMap)
        object.__setattr__(moved, "ids", self.ids.to(device))
        object.__setattr__(moved, "n", self.n)
        return moved

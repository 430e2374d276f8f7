"""From what a user writes to a segmentation: its name, a label map, or the segmentation itself."""

from __future__ import annotations

import re
from collections.abc import Callable

from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.explain.segments import (
    Segmentation,
    beats,
    from_labels,
    grid,
    onsets,
    spectral,
    temporal,
)

__all__ = ["resolve_segments"]

_BY_FORM: dict[str, Callable[..., Segmentation]] = {
    r"temporal:(\d+)": temporal,
    r"spectral:(\d+)": spectral,
    r"grid:(\d+)x(\d+)": grid,
    "beats": beats,
    "onsets": onsets,
}


def resolve_segments(segments: Segmentation | Tensor | str) -> Segmentation:
    """Find the segmentation that a user means.

    Parameters
    ----------
    segments : Segmentation, Tensor [frame, mel] or str
        "temporal:10", "spectral:8", "grid:6x4" (time x mel), "beats" or "onsets"; a label map; or
        a segmentation, which is returned as it is.

    Returns
    -------
    Segmentation
        For one patch after another.

    Raises
    ------
    ParameterError
        If it is none of these.

    Examples
    --------
    >>> str(resolve_segments("temporal:10"))
    'temporal(10)'
    """
    if isinstance(segments, Tensor):
        return from_labels(segments)
    if isinstance(segments, str):
        for form, cut in _BY_FORM.items():
            if found := re.fullmatch(form, segments, re.ASCII):
                return cut(*map(int, found.groups()))
        raise ParameterError(
            f"segments is {segments!r}; write temporal:10, spectral:8, grid:6x4, beats or onsets"
        )
    if not callable(segments):
        raise ParameterError(
            f"segments is {segments!r}; give a name such as 'temporal:10', segments.grid(6, 4) "
            "or another of that module, or a label map [frame, mel]"
        )
    return segments

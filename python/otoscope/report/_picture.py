"""Geometry of a report: loudness as a picture, segments as outlines, sound and curves as lines.

Pictures have one unit a frame to the right and one a band downwards, the lowest band at the bottom.
Places along an axis are percent of its length.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.protocols import Patch

__all__ = [
    "Stretch",
    "Tick",
    "loudness_png",
    "mask_png",
    "mel_ticks",
    "outline",
    "polyline",
    "stretches",
    "ticks",
    "time_span",
    "waveform",
]

_ROUND_HZ = (50, 100, 200, 500, 1000, 2000, 5000, 10000)


@dataclass(frozen=True)
class Tick:
    """A mark on an axis.

    Parameters
    ----------
    at : float
        Percent of the axis from its low end.
    label : str
        What it says.
    """

    at: float
    label: str


@dataclass(frozen=True)
class Stretch:
    """A part of the time axis.

    Parameters
    ----------
    start, end : float
        Percent of the picture's width.
    """

    start: float
    end: float


def loudness_png(patch: Patch) -> str:
    """Draw log-mel values as the luminance of a mask: white is loud.

    Parameters
    ----------
    patch : Patch
        With its domain, if known, the standardisation is undone.

    Returns
    -------
    str
        A PNG of one pixel a cell, as a data URI.
    """
    values = patch.values.detach().cpu().double()
    shown = values if patch.domain is None else patch.domain.log_mel(values)
    low, high = np.quantile(shown.numpy(), [0.15, 0.999])
    loud = ((shown - low) / max(high - low, 1e-9)).clamp(0, 1) ** 1.5  # quiet cells recede
    return mask_png(loud)


def mask_png(values: Tensor) -> str:
    """Draw values [frame, band] in [0, 1] as the luminance of a mask: a PNG, as a data URI."""
    from matplotlib.image import imsave

    grey = (255 * values.T.flip(0)).round().to(torch.uint8).numpy()
    buffer = io.BytesIO()
    imsave(buffer, np.repeat(grey[:, :, None], 3, axis=2), format="png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def outline(cells: Tensor) -> str:
    """Trace a set of cells as an SVG path of rectangles, as few as runs of equal columns allow.

    Parameters
    ----------
    cells : Tensor [frame, mel], bool
        True belongs to it.

    Returns
    -------
    str
        For the attribute ``d``; empty if there is no cell.

    Examples
    --------
    >>> outline(torch.tensor([[False, True], [False, True], [False, False]]))
    'M0 0H2V1H0Z'
    """
    n_bands = cells.shape[1]
    columns, lengths = torch.unique_consecutive(cells, dim=0, return_counts=True)
    path, left = "", 0
    for column, length in zip(columns, lengths.tolist(), strict=True):
        edges = torch.nn.functional.pad(column.int(), (1, 1)).diff().nonzero()[:, 0].tolist()
        for low, high in zip(edges[::2], edges[1::2], strict=True):
            path += f"M{left} {n_bands - high}H{left + length}V{n_bands - low}H{left}Z"
        left += length
    return path


def time_span(patch: Patch) -> tuple[float, float]:
    """First and last second of a patch, or its frames where the rate is not known."""
    duration = patch.duration
    return (0, patch.values.shape[0]) if duration is None else (patch.start, patch.start + duration)


def stretches(patch: Patch, seconds: Sequence[tuple[float, float]]) -> list[Stretch]:
    """Place stretches of the recording on the picture; what lies outside is left out."""
    if patch.duration is None:
        raise ParameterError("truth is in seconds, and the patch has no sr and hop_length")
    found = []
    for start, end in seconds:
        if not start < end:
            raise ParameterError(f"truth holds ({start}, {end}); start must be before end, in s")
        first, last = (
            min(100.0, max(0.0, 100 * (time - patch.start) / patch.duration))
            for time in (start, end)
        )
        if first < last:
            found.append(Stretch(first, last))
    return found


def ticks(low: float, high: float, *, most: int = 8) -> list[Tick]:
    """Mark round numbers in [low, high], ``low < high``."""
    from matplotlib.ticker import MaxNLocator

    found = MaxNLocator(nbins=most, steps=[1, 2, 5, 10]).tick_values(low, high)
    rounding = 1e-9 * (high - low)
    return [
        Tick(100 * (value - low) / (high - low), f"{value:g}".replace("-", "\N{MINUS SIGN}"))
        for value in np.asarray(found).tolist()
        if low - rounding <= value <= high + rounding
    ]


def mel_ticks(patch: Patch) -> list[Tick]:
    """Mark round frequencies, or bands where the patch does not know its frequencies."""
    n_bands = patch.values.shape[1]
    if patch.mel_hz is None:
        return ticks(0, n_bands, most=5)
    centres = patch.mel_hz.double().numpy()
    marks: list[Tick] = []
    for hz in _ROUND_HZ:
        at = 100 * (float(np.interp(hz, centres, np.arange(n_bands))) + 0.5) / n_bands
        if centres[0] <= hz <= centres[-1] and (not marks or at - marks[-1].at >= 8):
            marks.append(Tick(at, f"{hz}" if hz < 1000 else f"{hz // 1000}k"))
    return marks


def waveform(patch: Patch, *, n_columns: int = 800) -> str:
    """Trace the extremes of the sound over each 1 / ``n_columns`` of the patch.

    Parameters
    ----------
    patch : Patch
        With sound and frame rate.
    n_columns : int
        Units to the right; the sound's peak is at most 1 unit above or below 0.

    Returns
    -------
    str
        For the attribute ``d`` of a filled SVG path.
    """
    if patch.y is None or patch.hop_length is None:
        return ""
    n_samples = patch.values.shape[0] * patch.hop_length
    y = patch.y[:n_samples].numpy()
    y = y / max(float(np.abs(y).max(initial=0)), 1e-9)
    edges = np.linspace(0, n_samples, n_columns + 1).astype(int)
    parts = [y[a : max(b, a + 1)] for a, b in pairwise(edges.tolist()) if a < len(y)]
    upper = [f"{x} {-part.max() - 0.01:.3f}" for x, part in enumerate(parts)]
    lower = [f"{x} {-part.min() + 0.01:.3f}" for x, part in enumerate(parts)]
    return "M" + "L".join(upper + lower[::-1]) + "Z"


def polyline(x: Iterable[float], y: Iterable[float]) -> str:
    """Join points, in percent, by an SVG path; y counts upwards."""
    return "M" + "L".join(f"{a:.2f} {100 - b:.2f}" for a, b in zip(x, y, strict=True))

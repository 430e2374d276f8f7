"""Geometry of a page: spectrograms as masks, segments as outlines, sounds and curves as paths.

A spectrogram is drawn with one unit per frame to the right and one unit per band upwards. Positions
along an axis are percent of its length.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.protocols import Patch
from otoscope.report.numbers import Tick, ticks

__all__ = [
    "Panel",
    "TimeSpan",
    "loudness_png",
    "mask_png",
    "mel_ticks",
    "outline",
    "polyline",
    "time_span",
    "time_spans",
    "time_unit",
    "wave_path",
    "waveform",
]

_PIXELS = (4096, 1024)  # more than a screen shows
_ROUND_HZ = (50, 100, 200, 500, 1000, 2000, 5000, 10000)


@dataclass(frozen=True)
class TimeSpan:
    """A part of the time axis, percent of its length."""

    start: float
    end: float


@dataclass(frozen=True)
class Panel:
    """One of several spectrograms on a common time axis: its mask as PNG, and frames and bands.

    ``wave`` is the path of the waveform to draw below it, if any.
    """

    label: str
    spoken: str
    key: str
    png: str
    size: tuple[int, ...]
    wave: str = ""


def loudness_png(patch: Patch) -> str:
    """Draw log-mel values, without the standardisation if the domain is known; white is loud."""
    values = patch.values.detach().cpu().double()
    shown = values if patch.domain is None else patch.domain.log_mel(values)
    low, high = np.quantile(shown.numpy(), [0.15, 0.999])
    loud = ((shown - low) / max(high - low, 1e-9)).clamp(0, 1) ** 1.5  # quiet cells recede
    return mask_png(loud)


def mask_png(values: Tensor) -> str:
    """Draw values [frame, band] in [0, 1] as luminance: a PNG of one pixel per cell, data URI.

    Beyond 4096 frames or 1024 bands a pixel is the largest of several cells.
    """
    from PIL import Image

    size = (min(len(values), _PIXELS[0]), min(values.shape[1], _PIXELS[1]))
    if size != tuple(values.shape):
        values = F.adaptive_max_pool2d(values[None], size)[0]
    grey = (255 * values.T.flip(0)).round().to(torch.uint8).numpy()
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, format="png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def outline(cells: Tensor) -> str:
    """Trace the cells [frame, mel] that are True as an SVG path of few rectangles."""
    n_bands = cells.shape[1]
    columns, lengths = torch.unique_consecutive(cells, dim=0, return_counts=True)
    path, left = "", 0
    for column, length in zip(columns, lengths.tolist(), strict=True):
        edges = F.pad(column.int(), (1, 1)).diff().nonzero()[:, 0].tolist()
        for low, high in zip(edges[::2], edges[1::2], strict=True):
            path += f"M{left} {n_bands - high}H{left + length}V{n_bands - low}H{left}Z"
        left += length
    return path


def time_span(patch: Patch) -> tuple[float, float]:
    """Return the ends of the time axis of a patch, in `time_unit`."""
    if patch.duration is not None:
        return patch.start, patch.start + patch.duration
    return 0, len(patch.values) * (patch.hop_length or 1)


def time_unit(patch: Patch) -> str:
    """Name the unit of the time axis: seconds; without a rate samples, of frames alone frames."""
    if patch.duration is not None:
        return "s"
    return "frame" if patch.hop_length is None else "sample"


def time_spans(patch: Patch, seconds: Sequence[tuple[float, float]]) -> list[TimeSpan]:
    """Place intervals of the recording on the time axis; parts outside the patch are dropped."""
    if patch.duration is None:
        raise ParameterError("truth is in seconds, and the patch has no sr and hop_length")
    spans = []
    for start, end in seconds:
        if not start < end:
            raise ParameterError(f"truth holds ({start}, {end}); start must be before end, in s")
        first, last = (
            min(100.0, max(0.0, 100 * (time - patch.start) / patch.duration))
            for time in (start, end)
        )
        if first < last:
            spans.append(TimeSpan(first, last))
    return spans


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


def waveform(patch: Patch) -> str:
    """Trace the sound of a patch, see `wave_path`; empty if it has none."""
    if patch.y is None or patch.hop_length is None:
        return ""
    return wave_path(patch.y, len(patch.values) * patch.hop_length)


def wave_path(samples: Tensor, n_samples: int, *, n_columns: int = 800) -> str:
    """Trace the extremes of samples per column as a filled SVG path, their peak 1 unit from 0.

    The columns divide ``n_samples``, the length of the time axis.
    """
    y = samples[:n_samples].numpy()
    y = y / max(float(np.abs(y).max(initial=0)), 1e-9)
    edges = np.linspace(0, n_samples, n_columns + 1).astype(int)
    parts = [y[a : max(b, a + 1)] for a, b in pairwise(edges.tolist()) if a < len(y)]
    upper = [f"{x} {-part.max() - 0.01:.3f}" for x, part in enumerate(parts)]
    lower = [f"{x} {-part.min() + 0.01:.3f}" for x, part in enumerate(parts)]
    return "M" + "L".join(upper + lower[::-1]) + "Z"


def polyline(x: Iterable[float], y: Iterable[float]) -> str:
    """Join points, percent from the left and from the bottom, by an SVG path."""
    return "M" + "L".join(f"{a:.2f} {100 - b:.2f}" for a, b in zip(x, y, strict=True))

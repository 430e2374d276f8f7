"""Components in frequency: masks of the short-time spectrum that add up to 1 in each bin.

The masked spectra are inverted by least squares, so that each component is a sound; their sum is
the sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.explain.components.base import COMPONENTS, Components, Excerpt, Part
from otoscope.signal.listen import sound_of, spectrum_of, window_length
from otoscope.signal.mel.filterbank import mel_centres

__all__ = ["bands", "grid"]


@dataclass(frozen=True)
class _Bands(Components):
    name: str
    n: int | None = None
    edges: tuple[float, ...] | None = None

    rank = 2

    def __str__(self) -> str:
        return self.name

    def split(self, part: Part, excerpt: Excerpt) -> list[Part]:
        """Filter a part by each mask; a filtered part is longer by a window at both ends."""
        edges = self._edges(excerpt)
        sr = excerpt.rate(str(self))
        n_fft = window_length(sr)
        for low, high in pairwise(edges):
            if high - low < sr / n_fft:
                raise ParameterError(
                    f"components {self}: the band {low:.0f}-{high:.0f} Hz is narrower than a bin "
                    f"of {sr / n_fft:.1f} Hz; use fewer or wider bands"
                )
        masks = _masks(edges, sr=sr, n_fft=n_fft)
        begin = max(0, part.first - n_fft)
        end = min(excerpt.n_samples, part.first + part.kept.shape[-1] + n_fft)
        both = torch.stack([part.kept, part.replaced])
        both = F.pad(both, (part.first - begin, end - part.first - part.kept.shape[-1]))
        spectrum = spectrum_of(both, n_fft)
        return [
            replace(
                part,
                kept=filtered[0],
                replaced=filtered[1],
                first=begin,
                labels=(*part.labels, ("band", f"band {i}")),
                hz=(edges[i], edges[i + 1]),
            )
            for i, filtered in enumerate(
                sound_of(spectrum * mask, n_fft, end - begin) for mask in masks
            )
        ]

    def _edges(self, excerpt: Excerpt) -> list[float]:
        nyquist = excerpt.rate(str(self)) / 2
        if self.n is not None:
            inner = mel_centres(self.n - 1, fmin=0, fmax=nyquist, htk=False) if self.n > 1 else ()
            return [0.0, *map(float, inner), nyquist]
        assert self.edges is not None  # noqa: S101 - for mypy
        if self.edges[-2] >= nyquist:
            raise ParameterError(
                f"components {self} begin a band at {self.edges[-2]:g} Hz; the sound ends at "
                f"{nyquist:g} Hz"
            )
        return [*self.edges[:-1], min(self.edges[-1], nyquist)]


def bands(n: int | Sequence[float]) -> Components:
    """Split into frequency bands.

    Parameters
    ----------
    n : int or sequence of float
        Number of bands of equal width on the mel scale, up to half the sampling rate; or their
        borders in Hz, rising. The highest may lie above half the sampling rate.

    Returns
    -------
    Components
        One component per band. At a border the masks cross over two bins.

    Raises
    ------
    ParameterError
        If a number is out of range, or borders do not rise.

    Examples
    --------
    >>> str(bands(4)), str(bands([0, 300, 3000, 24000]))
    ('bands(4)', 'bands([0, 300, 3000, 24000])')
    """
    if isinstance(n, int | np.integer):
        if n < 1:
            raise ParameterError(f"n is {n}, must be >= 1")
        return _Bands(f"bands({n})", n=int(n))
    edges = tuple(float(edge) for edge in n)
    if len(edges) < 2 or edges[0] < 0 or not (np.diff(edges) > 0).all():
        raise ParameterError(f"borders are {list(edges)}; give Hz that rise from >= 0")
    return _Bands(f"bands([{', '.join(f'{edge:g}' for edge in edges)}])", edges=edges)


def grid(n_time: int, n_bands: int) -> Components:
    """Split in time and frequency: ``time(n_time) * bands(n_bands)``.

    Parameters
    ----------
    n_time, n_bands : int
        Number of blocks in time, and of bands.

    Returns
    -------
    Components
        One component per rectangle, time first.

    Examples
    --------
    >>> str(grid(6, 4))
    'time(6) * bands(4)'
    """
    from otoscope.explain.components.temporal import time

    return time(n_time) * bands(n_bands)


def _masks(edges: Sequence[float], *, sr: float, n_fft: int) -> Tensor:
    """Make masks [band, bin] of ramps of two bins, centred on the borders inside the spectrum."""
    hz = torch.fft.rfftfreq(n_fft, 1 / sr, dtype=torch.float64)
    width = sr / n_fft
    steps = [
        torch.ones_like(hz)
        if edge <= 0
        else torch.zeros_like(hz)
        if edge >= sr / 2
        else ((hz - edge) / (2 * width) + 0.5).clamp(0, 1)
        for edge in edges
    ]
    return torch.stack([low - high for low, high in pairwise(steps)])


COMPONENTS.add("bands", bands, "frequency bands", "bands:8")
COMPONENTS.add("grid", grid, "rectangles, time x frequency", "grid:6x4")

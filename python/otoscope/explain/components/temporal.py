"""Components in time: windows with cross-fades that add up to 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from otoscope.errors import Advice, Argument, ParameterError
from otoscope.explain.components.base import COMPONENTS, Components, Excerpt, Part

__all__ = ["beats", "every", "onsets", "time"]

FADE = 0.005
"""Seconds of a cross-fade."""


@dataclass(frozen=True)
class _Windows(Components):
    """Windows between borders, which are numbered per excerpt."""

    name: str
    label: str
    fade: float
    n: int | None = None
    edges: tuple[float, ...] | None = None
    step: float | None = None
    events: Literal["beat", "onset"] | None = None

    rank = 3

    def __str__(self) -> str:
        return self.name

    def split(self, part: Part, excerpt: Excerpt) -> list[Part]:
        """Multiply a part by each window; samples where the window is 0 are left out."""
        borders = self._borders(excerpt)
        half = self.fade * (excerpt.sr or 0) / 2
        parts = []
        for i, (start, end) in enumerate(pairwise(borders)):
            rise = 0.0 if start == 0 else half
            fall = 0.0 if end == excerpt.n_samples else half
            first = max(part.first, int(np.ceil(start - rise)), 0)
            last = part.first + part.kept.shape[-1]
            last = min(last, int(np.ceil(end + fall)), excerpt.n_samples)
            if first >= last:
                raise ParameterError(
                    f"components {self}: {self.label} {i} has no sample of the sound, or none of "
                    "the part that it is crossed with"
                )
            n = torch.arange(first, last, dtype=torch.float64)
            window = _step(n, start, rise) - _step(n, end, fall)
            inside = slice(first - part.first, last - part.first)
            parts.append(
                replace(
                    part,
                    kept=part.kept[..., inside] * window,
                    replaced=part.replaced[..., inside] * window,
                    first=first,
                    labels=(*part.labels, ("time", f"{self.label} {i}")),
                    seconds=None if excerpt.sr is None else (start / excerpt.sr, end / excerpt.sr),
                )
            )
        return parts

    def _borders(self, excerpt: Excerpt) -> list[float]:
        """Return the borders in samples, rising."""
        n_samples = excerpt.n_samples
        if self.n is not None:
            if self.n > n_samples:
                raise ParameterError(f"components {self} cut {n_samples} samples; use at most that")
            return [round(i * n_samples / self.n) for i in range(self.n + 1)]
        sr = excerpt.rate(str(self))
        if self.edges is not None:
            if self.edges[-1] * sr > n_samples + 0.5:
                raise ParameterError(
                    f"components {self} end at {self.edges[-1]:g} s, the sound at "
                    f"{n_samples / sr:g} s"
                )
            return [min(edge * sr, n_samples) for edge in self.edges]
        if self.step is not None:
            n_whole = max(1, round(n_samples / (self.step * sr) - 1e-6))
            return [*(i * self.step * sr for i in range(n_whole)), n_samples]
        found = sorted({round(time * sr) for time in self._events(excerpt.y, sr)})
        inner = [border for border in found if 0 < border < n_samples]
        if not inner:
            raise ParameterError(
                f"no {self.events} was found in the sound",
                advice=Advice("choose ", Argument("components", "time:10")),
            )
        return [0, *inner, n_samples]

    def _events(self, y: Tensor, sr: float) -> list[float]:
        from otoscope.explain.segments import EVENT_TIMES

        assert self.events is not None  # noqa: S101 - for mypy
        mono = y if y.ndim == 1 else y.mean(0)
        times: list[float] = EVENT_TIMES[self.events](mono.float(), sr).tolist()
        return times


def time(n: int | Sequence[float], fade: float = FADE) -> Components:
    """Split in time, with cross-fades.

    Parameters
    ----------
    n : int or sequence of float
        Number of blocks of equal length; or borders in seconds from the start of the sound, rising.
    fade : float
        Length of the cross-fade at each border, in seconds, >= 0. The windows add up to 1.

    Returns
    -------
    Components
        One component per block.

    Raises
    ------
    ParameterError
        If a number is out of range, or borders do not rise.

    Examples
    --------
    >>> str(time(5)), str(time([0, 0.5, 2.0]))
    ('time(5)', 'time([0, 0.5, 2])')
    """
    if not 0 <= fade < float("inf"):
        raise ParameterError(f"fade is {fade}, must be seconds, >= 0")
    faded = "" if fade == FADE else f", {fade:g}"
    if isinstance(n, int | np.integer):
        if n < 1:
            raise ParameterError(f"n is {n}, must be >= 1")
        return _Windows(f"time({n}{faded})", "time", fade, n=int(n))
    edges = tuple(float(edge) for edge in n)
    if len(edges) < 2 or edges[0] < 0 or not (np.diff(edges) > 0).all():
        raise ParameterError(f"borders are {list(edges)}; give seconds that rise from >= 0")
    text = ", ".join(f"{edge:g}" for edge in edges)
    return _Windows(f"time([{text}]{faded})", "time", fade, edges=edges)


def every(seconds: float, fade: float = FADE) -> Components:
    """Split in time into blocks of a given length.

    Parameters
    ----------
    seconds : float
        Length of a block, > 0; the last may be up to half a block shorter or longer.
    fade : float
        Length of the cross-fade at each border, in seconds, >= 0.

    Returns
    -------
    Components
        One component per block.

    References
    ----------
    Bolaños et al. (2025) :cite:`bolanos2025` cut blocks of 0.1 s.

    Examples
    --------
    >>> str(every(0.1))
    'every(0.1)'
    """
    if not (0 < seconds < float("inf") and 0 <= fade < float("inf")):
        raise ParameterError(f"seconds is {seconds} and fade {fade}; must be > 0 and >= 0")
    faded = "" if fade == FADE else f", {fade:g}"
    return _Windows(f"every({seconds:g}{faded})", "time", fade, step=seconds)


def beats(fade: float = FADE) -> Components:
    """Split in time at the beats of the sound, as librosa tracks them.

    Parameters
    ----------
    fade : float
        Length of the cross-fade at each border, in seconds, >= 0.

    Returns
    -------
    Components
        Components from beat to beat; a sound without a beat is refused.

    References
    ----------
    Ellis (2007) :cite:`ellis2007`.

    Examples
    --------
    >>> str(beats())
    'beats()'
    """
    return _Windows("beats()", "beat", fade, events="beat")


def onsets(fade: float = FADE) -> Components:
    """Split in time at the onsets of the sound, each moved back to a minimum of energy.

    Parameters
    ----------
    fade : float
        Length of the cross-fade at each border, in seconds, >= 0.

    Returns
    -------
    Components
        Components from onset to onset; a sound without an onset is refused.

    References
    ----------
    Böck and Widmer (2013) :cite:`boeck2013`.

    Examples
    --------
    >>> str(onsets())
    'onsets()'
    """
    return _Windows("onsets()", "onset", fade, events="onset")


def _step(n: Tensor, border: float, half: float) -> Tensor:
    """Rise from 0 to 1 around a border, over ``half`` samples to each side, as a raised cosine."""
    if half == 0:
        return (n >= border).double()
    phase = ((n - border) / half).clamp(-1, 1)
    return 0.5 + 0.5 * torch.sin(phase * torch.pi / 2)


COMPONENTS.add("time", time, "blocks in time, with cross-fades", "time:10")
COMPONENTS.add("every", every, "blocks of some seconds", "every:0.1")
COMPONENTS.add("beats", beats, "from beat to beat")
COMPONENTS.add("onsets", onsets, "from onset to onset")

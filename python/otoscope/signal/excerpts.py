"""Excerpts of a spectrogram [frame, mel]: pad, cut and slide."""

from __future__ import annotations

import torch
from torch import Tensor

from otoscope.errors import ParameterError

__all__ = ["cut", "pad", "sliding"]


def pad(values: Tensor, before: int, after: int, *, floor: Tensor) -> Tensor:
    """Add frames of silence (``floor`` [mel]) before and after a spectrogram [frame, mel].

    Silence in standardised values is not 0; ``floor`` is in the domain of ``values``.
    """
    row = floor.to(values)
    return torch.cat([row.expand(before, -1), values, row.expand(after, -1)])


def cut(values: Tensor, first: int, n_frames: int, *, floor: Tensor) -> Tensor:
    """Copy an excerpt of ``n_frames`` frames from frame ``first``, which may be negative.

    Frames outside the spectrogram are silence; an excerpt without any frame inside is refused.
    """
    last = first + n_frames
    inside = values[max(first, 0) : max(last, 0)]
    if len(inside) == 0:
        raise ParameterError(
            f"frames {first} to {last} lie outside the spectrogram, which has {len(values)}"
        )
    return pad(inside, max(-first, 0), max(last - len(values), 0), floor=floor)


def sliding(values: Tensor, n_frames: int, *, hop: int = 1) -> Tensor:
    """View a spectrogram as excerpts [excerpt, n_frames, mel]; excerpt i starts at i * hop.

    For one prediction per frame, labelled at the centre of the excerpt as in Schlueter and Grill
    (2015), use ``sliding(pad(values, n // 2, n // 2, floor=floor), n)`` with odd n.
    """
    if not 1 <= n_frames <= len(values):
        raise ParameterError(f"n_frames is {n_frames}, must be in [1, {len(values)}]")
    return values.unfold(0, n_frames, hop).mT

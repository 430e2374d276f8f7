"""Excerpts of a long spectrogram [frame, mel]: cut, padded with the floor, or sliding."""

from __future__ import annotations

import torch
from torch import Tensor

from otoscope.errors import ParameterError

__all__ = ["cut", "pad", "sliding"]


def pad(values: Tensor, before: int, after: int, *, floor: Tensor) -> Tensor:
    """Add frames of silence.

    Parameters
    ----------
    values : Tensor [frame, mel]
        In any domain.
    before, after : int
        Frames to add, >= 0.
    floor : Tensor [mel]
        Silence in the domain of ``values``: in a standardised one it is not 0.

    Returns
    -------
    Tensor [before + frame + after, mel]
        The padded picture.

    Examples
    --------
    >>> import torch
    >>> pad(torch.ones(1, 2), 1, 0, floor=torch.tensor([-3.0, -4.0]))
    tensor([[-3., -4.],
            [ 1.,  1.]])
    """
    row = floor.to(values)
    return torch.cat([row.expand(before, -1), values, row.expand(after, -1)])


def cut(values: Tensor, first: int, n_frames: int, *, floor: Tensor) -> Tensor:
    """Cut an excerpt; where the picture has no frames, it is silence.

    Parameters
    ----------
    values : Tensor [frame, mel]
        In any domain.
    first : int
        Index of the first frame; may be negative.
    n_frames : int
        Length of the excerpt, >= 1.
    floor : Tensor [mel]
        Silence in the domain of ``values``.

    Returns
    -------
    Tensor [n_frames, mel]
        A copy.

    Raises
    ------
    ParameterError
        If no frame of the excerpt lies in the picture.

    Examples
    --------
    >>> import torch
    >>> cut(torch.ones(3, 1), 2, 2, floor=torch.zeros(1))
    tensor([[1.],
            [0.]])
    """
    last = first + n_frames
    inside = values[max(first, 0) : max(last, 0)]
    if len(inside) == 0:
        raise ParameterError(
            f"frames {first} to {last} lie outside the picture, which has {len(values)}"
        )
    return pad(inside, max(-first, 0), max(last - len(values), 0), floor=floor)


def sliding(values: Tensor, n_frames: int, *, hop: int = 1) -> Tensor:
    """View a spectrogram as overlapping excerpts, without a copy.

    Parameters
    ----------
    values : Tensor [frame, mel]
        In any domain, at least ``n_frames`` long.
    n_frames : int
        Length of an excerpt, >= 1.
    hop : int
        Frames from one excerpt to the next, >= 1.

    Returns
    -------
    Tensor [excerpt, n_frames, mel]
        A view: excerpt i starts at frame ``i * hop``.

    Raises
    ------
    ParameterError
        If the spectrogram is shorter than one excerpt.

    Notes
    -----
    One prediction a frame, labelled at the excerpt's centre, as in Schlueter and Grill (2015):
    ``sliding(pad(values, n // 2, n // 2, floor=floor), n)`` for odd n.

    Examples
    --------
    >>> import torch
    >>> sliding(torch.zeros(137, 80), 115).shape
    torch.Size([23, 115, 80])
    """
    if not 1 <= n_frames <= len(values):
        raise ParameterError(f"n_frames is {n_frames}, must be in [1, {len(values)}]")
    return values.unfold(0, n_frames, hop).mT

"""Recursive high-pass and low-pass filters from what they must stop and keep.

Chebyshev's second kind: equal ripples where it stops, none where it passes, so that what is kept
keeps its level.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from otoscope.errors import ParameterError

__all__ = ["recursive_filter", "sections"]


def recursive_filter(
    y: Tensor,
    *,
    sr: float,
    stop_hz: float,
    pass_hz: float,
    stop_db: float,
    pass_db: float = 1.0,
    zero_phase: bool = False,
) -> Tensor:
    """Filter with the smallest filter that stops and keeps what it must.

    Parameters
    ----------
    y : Tensor [..., sample]
        Sound, at least one sample.
    sr : float
        Samples a second.
    stop_hz, pass_hz : float
        Edges, in (0, sr / 2): a high-pass where ``stop_hz < pass_hz``, else a low-pass.
    stop_db : float
        Least attenuation of what it stops, dB, > ``pass_db``.
    pass_db : float
        Greatest attenuation of what it keeps, dB, > 0; only the edge has it.
    zero_phase : bool
        Filter forward and backward, each with half of the attenuation.

    Returns
    -------
    Tensor [..., sample]
        Computed in float64 on the CPU. It starts as if the first sample had always been: a
        constant offset makes no click.

    Raises
    ------
    ParameterError
        If the edges or levels are out of range.

    Examples
    --------
    >>> y = torch.ones(8000)
    >>> left = recursive_filter(y, sr=8000, stop_hz=20, pass_hz=40, stop_db=30)
    >>> bool(left.abs().max() < 0.04)
    True
    """
    from scipy.signal import sosfilt, sosfilt_zi, sosfiltfilt

    halves = 2 if zero_phase else 1
    sos = sections(sr, stop_hz, pass_hz, stop_db / halves, pass_db / halves)
    sound = y.detach().cpu().double().numpy()
    if zero_phase:
        ringing = min(sound.shape[-1] - 1, round(sr / abs(pass_hz - stop_hz)))
        filtered = sosfiltfilt(sos, sound, padlen=ringing)
    else:
        lead = (1,) * (sound.ndim - 1)
        state = sosfilt_zi(sos).reshape(len(sos), *lead, 2) * sound[..., :1]
        filtered, _ = sosfilt(sos, sound, zi=state)
    return torch.from_numpy(filtered.copy()).to(y)


@lru_cache(maxsize=64)
def sections(
    sr: float, stop_hz: float, pass_hz: float, stop_db: float, pass_db: float
) -> NDArray[np.float64]:
    """Design the filter.

    Parameters
    ----------
    sr : float
        Samples a second.
    stop_hz, pass_hz : float
        Edges, in (0, sr / 2).
    stop_db, pass_db : float
        Least and greatest attenuation, dB, ``stop_db > pass_db > 0``.

    Returns
    -------
    array [section, 6]
        Second-order sections as scipy has them.

    Raises
    ------
    ParameterError
        If the edges or levels are out of range.

    Examples
    --------
    >>> len(sections(22050, 20, 40, 30, 1)), len(sections(22050, 19, 20, 60, 1))
    (2, 13)
    """
    if stop_hz == pass_hz or not all(0 < edge < sr / 2 for edge in (stop_hz, pass_hz)):
        raise ParameterError(
            f"stop_hz is {stop_hz:g}, pass_hz {pass_hz:g}; they must differ and lie in "
            f"(0, {sr / 2:g}) at a sampling rate of {sr:g} Hz"
        )
    if not 0 < pass_db < stop_db < float("inf"):
        raise ParameterError(
            f"stop_db is {stop_db}, pass_db {pass_db}; must be stop_db > pass_db > 0"
        )
    from scipy.signal import iirdesign

    sos = iirdesign(pass_hz, stop_hz, pass_db, stop_db, ftype="cheby2", output="sos", fs=sr)
    return np.asarray(sos, dtype=np.float64)

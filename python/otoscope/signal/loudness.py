"""Loudness of a mono sound by ITU-R BS.1770, and sounds at one loudness."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.signal.audio.files import resampled

__all__ = ["loudness", "match_loudness"]

_SR = 48_000  # of the coefficients
_HEAD = (1.53512485958697, -2.69169618940638, 1.19839281085285)
_RLB = (1.0, -2.0, 1.0)
_STAGES = (  # b0, b1, b2, 1, a1, a2 of annex 1, tables 1 and 2
    (*_HEAD, 1.0, -1.69065929318241, 0.73248077421585),
    (*_RLB, 1.0, -1.99004745483398, 0.99007225036621),
)
_OFFSET = -0.691
_BLOCK, _STEP = 0.4, 0.1  # seconds
_ABSOLUTE, _RELATIVE = -70.0, -10.0
_PEAK_DB = -1.0  # largest peak of matched sounds

Floats = NDArray[np.float64]


def loudness(y: Tensor, sr: float) -> float:
    """Measure the integrated, gated loudness of a mono sound.

    Parameters
    ----------
    y : Tensor [sample]
        Waveform.
    sr : float
        Sample rate in Hz.

    Returns
    -------
    float
        Loudness in LUFS; -inf for silence, or if no block of 400 ms is above -70 LUFS.

    Raises
    ------
    ParameterError
        If ``y`` is empty or not [sample].

    Notes
    -----
    A sound shorter than 400 ms is one block. It is resampled to 48 kHz, for which the filters are
    tabled.

    References
    ----------
    ITU-R BS.1770-4 :cite:`itu1770`, annex 1.

    Examples
    --------
    >>> import torch
    >>> tone = torch.sin(2 * math.pi * 997 * torch.arange(48000) / 48000)
    >>> round(loudness(tone, 48000), 1)
    -3.0
    """
    from scipy.signal import sosfilt

    if y.ndim != 1 or len(y) == 0:
        raise ParameterError(f"y has shape {tuple(y.shape)}, must be [sample], not empty")
    at_rate = resampled(y.float(), sr, _SR).double().numpy()
    weighted = sosfilt(np.array(_STAGES), at_rate)
    n, step = round(_BLOCK * _SR), round(_STEP * _SR)
    sums = np.concatenate([[0.0], np.cumsum(weighted**2)])
    firsts = np.arange(0, max(1, len(weighted) - n + 1), step)
    lasts = np.minimum(firsts + n, len(weighted))
    power: Floats = np.maximum((sums[lasts] - sums[firsts]) / (lasts - firsts), 0)
    power = power[_levels(power) > _ABSOLUTE]
    if len(power) == 0:
        return -math.inf
    power = power[_levels(power) > _mean_level(power) + _RELATIVE]
    return _mean_level(power)


def match_loudness(
    sounds: Sequence[Tensor], sr: float, *, target: float = -23.0
) -> tuple[list[Tensor], float]:
    """Bring sounds to one loudness, without clipping.

    Parameters
    ----------
    sounds : sequence of Tensor [sample]
        Waveforms at one rate; none is silent.
    sr : float
        Sample rate in Hz.
    target : float
        Loudness in LUFS. If a sound would peak above -1 dB of full scale, all become quieter.

    Returns
    -------
    sounds : list of Tensor [sample]
        Waveforms of equal loudness.
    level : float
        Their loudness in LUFS.

    Raises
    ------
    ParameterError
        If a sound is silent; the message has its number, from 0.

    Examples
    --------
    >>> import torch
    >>> quiet = 0.01 * torch.sin(torch.arange(8000) / 3)
    >>> (a, b), level = match_loudness([quiet, 50 * quiet], 8000)
    >>> bool((a - b).abs().max() < 1e-5), level
    (True, -23.0)
    """
    full, levels = list[Tensor](), list[float]()
    for i, y in enumerate(sounds):
        peak = float(y.abs().max()) if len(y) else 0.0
        full.append(y / peak if peak else y)
        levels.append(loudness(full[-1], sr) if peak else -math.inf)
        if math.isinf(levels[-1]):
            raise ParameterError(f"sound {i} is silent: it has no loudness")
    level = min([target, *(own + _PEAK_DB for own in levels)])
    gains = [10 ** ((level - own) / 20) for own in levels]
    return [y * gain for y, gain in zip(full, gains, strict=True)], level


def _levels(power: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        levels: Floats = _OFFSET + 10 * np.log10(power)
    return levels


def _mean_level(power: Floats) -> float:
    return float(_OFFSET + 10 * np.log10(power.mean()))

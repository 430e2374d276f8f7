"""Onsets and beats of a sound: librosa's methods and settings, without its compiled functions.

librosa compiles those with numba: 20 s on a new machine, and processes that do so at the same time
may read each other's unfinished results and crash.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from torch import Tensor

from otoscope.signal.mel.frontend import FrontEnd
from otoscope.signal.mel.presets import librosa_mel
from otoscope.signal.rhythm.periodicity import onset_strength

__all__ = ["beat_times", "onset_times"]

_HOP = 512  # samples
_ABOVE_MEAN = 0.07  # of the largest onset strength: a peak exceeds the mean around it by this
_USUAL_BPM, _LARGEST_BPM = 120.0, 320.0
_TEMPO_SECONDS = 8.0  # that the tempo is heard in
_TIGHTNESS = 100.0  # weight of a steady tempo against strong onsets

_Floats = NDArray[np.float64]
_Frames = NDArray[np.int64]


def onset_times(y: Tensor, sr: float) -> _Floats:
    """Find the onsets of a sound [sample], each moved back to a minimum of onset strength.

    Parameters
    ----------
    y : Tensor [sample]
        Sound, finite.
    sr : float
        Sample rate in Hz.

    Returns
    -------
    ndarray [onset]
        Times in seconds, those of ``librosa.onset.onset_detect(backtrack=True)``.

    References
    ----------
    Böck and Widmer (2013) :cite:`boeck2013`.

    Examples
    --------
    >>> import torch
    >>> click = torch.zeros(22050).index_fill(0, torch.tensor(11025), 1.0)
    >>> onset_times(click, 22050).round(2)
    array([0.49])
    """
    strength = onset_strength(y, _front_end(sr), aggregate="mean").cpu().numpy()
    if not strength.any():
        return np.zeros(0)
    strength /= strength.max()
    rising, falling = strength[2:] > strength[1:-1], strength[1:-1] <= strength[:-2]
    minima = np.concatenate([[0], 1 + np.flatnonzero(falling & rising)])
    peaks = _peaks(strength, sr)
    return _seconds(minima[np.searchsorted(minima, peaks, side="right") - 1], sr)


def beat_times(y: Tensor, sr: float) -> _Floats:
    """Track the beats of a sound [sample].

    Parameters
    ----------
    y : Tensor [sample]
        Sound, finite.
    sr : float
        Sample rate in Hz.

    Returns
    -------
    ndarray [beat]
        Times in seconds, those of ``librosa.beat.beat_track``.

    References
    ----------
    Ellis (2007) :cite:`ellis2007`.

    Examples
    --------
    >>> import torch
    >>> clicks = torch.zeros(8, 11025).index_fill(1, torch.tensor(5000), 1.0).flatten()
    >>> np.diff(beat_times(clicks, 22050)).round(1)
    array([0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5])
    """
    strength = onset_strength(y, _front_end(sr)).cpu().numpy()
    if not strength.any():
        return np.zeros(0)
    period = _period(strength, sr)
    offsets = np.arange(-period, period + 1)
    window = np.exp(-0.5 * (32 * offsets / period) ** 2)
    score = np.convolve(strength / strength.std(ddof=1), window)[period : period + len(strength)]
    return _seconds(_audible(_best_sequence(score, period), score), sr)


def _peaks(strength: _Floats, sr: float) -> _Frames:
    """Find frames that are the maximum of 30 ms and exceed the mean of 200 ms, 30 ms apart."""
    near, far = (int(seconds * sr // _HOP) for seconds in (0.03, 0.1))
    padded = np.concatenate([np.full(near, -np.inf), strength])
    maximum = sliding_window_view(padded, near + 1).max(-1)
    total = np.concatenate([[0.0], strength.cumsum()])
    frames = np.arange(len(strength))
    first, end = np.maximum(frames - far, 0), np.minimum(frames + far + 1, len(strength))
    mean = (total[end] - total[first]) / (end - first)
    peaks: list[int] = []
    for frame in np.flatnonzero((strength == maximum) & (strength >= mean + _ABOVE_MEAN)).tolist():
        if not peaks or frame > peaks[-1] + near:
            peaks.append(frame)
    return np.array(peaks, np.int64)


def _period(strength: _Floats, sr: float) -> int:
    """Find the lag of the largest mean autocorrelation, weighted by how usual the tempo is."""
    n = max(2, int(_TEMPO_SECONDS * sr) // _HOP)
    ends = np.pad(strength, n // 2, mode="linear_ramp", end_values=0)
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
    frames = sliding_window_view(ends, n)[: len(strength)] * taper
    power = np.abs(np.fft.rfft(frames, 2 * n)) ** 2
    lags = np.fft.irfft(power)[:, :n]
    similar = (lags / np.maximum(lags[:, :1], np.finfo(float).tiny)).mean(0)[1:]
    bpm = 60 * sr / _HOP / np.arange(1, n)
    usual = np.where(bpm < _LARGEST_BPM, -0.5 * np.log2(bpm / _USUAL_BPM) ** 2, -np.inf)
    return 1 + int(np.argmax(np.log1p(1e6 * similar) + usual))


def _best_sequence(score: _Floats, period: int) -> _Frames:
    """Choose the frames with the largest sum of scores at steps of about a period."""
    steps = np.arange(max(1, round(period / 2)), 2 * period + 1)
    cost = _TIGHTNESS * (np.log(steps) - np.log(period)) ** 2
    total, previous = score.copy(), np.full(len(score), -1)
    for frame in range(steps[0], len(score)):
        reached = steps[: frame - steps[0] + 1]  # from the nearest to the first frame
        sums = total[frame - reached] - cost[: len(reached)]
        best = int(sums.argmax())
        total[frame] += sums[best]
        previous[frame] = frame - reached[best]
    previous[: np.argmax(score >= 0.01 * score.max())] = -1  # no beat precedes the first onset
    beats = [_last(total)]
    while (frame := int(previous[beats[-1]])) >= 0:
        beats.append(frame)
    return np.array(beats[::-1])


def _last(total: _Floats) -> int:
    """Find the last maximum that is no less than half of what is usual."""
    rises = np.diff(total) > 0
    maxima = 1 + np.flatnonzero(rises & np.append(~rises[1:], True))
    large = maxima[total[maxima] >= 0.5 * np.median(total[maxima])] if len(maxima) else maxima
    return int(large[-1]) if len(large) else len(total) - 1


def _audible(beats: _Frames, score: _Floats) -> _Frames:
    """Remove beats before the first and after the last loud frame."""
    smooth = np.convolve(score[beats], np.hanning(5))[2 : len(score) + 2]
    loud = np.flatnonzero(score > 0.5 * np.sqrt(np.mean(smooth**2)))
    return beats[(beats >= loud[0]) & (beats <= loud[-1])] if len(loud) else beats[:0]


@lru_cache(maxsize=4)
def _front_end(sr: float) -> FrontEnd:
    return librosa_mel(sr=sr, hop_length=_HOP)  # type: ignore[arg-type]


def _seconds(frames: _Frames, sr: float) -> _Floats:
    return frames * _HOP / sr

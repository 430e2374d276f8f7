"""Songs as stems with known ground truth: sung intervals, and the level of the voice.

Waveforms are float32 [sample] in [-1, 1]; times are in seconds; an interval (start, end) excludes
its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from otoscope.errors import ParameterError

__all__ = ["Song", "SungInterval", "frame_truth", "mix_stems"]

SungInterval = tuple[float, float]


@dataclass(frozen=True)
class Song:
    """Voice and backing stems, and the sung intervals.

    Parameters
    ----------
    voice, backing : ndarray [sample], float32
        Stems at their level in the mix.
    sr : int
        Sample rate in Hz.
    sung : tuple of (start, end)
        Sung intervals in seconds, ascending, without overlap.
    snr_db : float
        Level of the voice in the sung intervals over the backing of the whole song, in dB.

    Examples
    --------
    >>> stem = np.zeros(4, np.float32)
    >>> Song(stem, stem, sr=4, sung=((0.0, 0.5),), snr_db=0.0).frames(4).tolist()
    [True, True, False, False]
    """

    voice: NDArray[np.float32]
    backing: NDArray[np.float32]
    sr: int
    sung: tuple[SungInterval, ...]
    snr_db: float

    @property
    def mix(self) -> NDArray[np.float32]:
        """Sum of the stems, float32 [sample]."""
        return self.voice + self.backing

    def frames(self, frame_rate: float) -> NDArray[np.bool_]:
        """Label each whole frame, at ``frame_rate`` frames per second, as sung or not."""
        n_frames = int(len(self.voice) * frame_rate / self.sr)
        return frame_truth(self.sung, n_frames, frame_rate)


def frame_truth(
    intervals: Sequence[SungInterval], n_frames: int, frame_rate: float, *, offset: float = 0.0
) -> NDArray[np.bool_]:
    """Label frames by the intervals that contain their times.

    Parameters
    ----------
    intervals : sequence of (start, end)
        Intervals in seconds, without their ends.
    n_frames : int
        Number of frames.
    frame_rate : float
        Frames per second, > 0.
    offset : float, default 0.0
        Time of frame 0 in seconds; half a window for frames that are not centred.

    Returns
    -------
    ndarray [frame], bool
        True where ``offset + frame / frame_rate`` is in an interval.

    Raises
    ------
    ParameterError
        If ``frame_rate`` is not positive, ``n_frames`` is negative, or an interval ends before its
        start.

    Examples
    --------
    >>> frame_truth([(0.1, 0.3)], 5, 10.0).tolist()
    [False, True, True, False, False]
    """
    if frame_rate <= 0 or n_frames < 0:
        raise ParameterError(
            f"frame_rate is {frame_rate} and n_frames {n_frames}; "
            "must be frame_rate > 0 and n_frames >= 0"
        )
    time = offset + np.arange(n_frames) / frame_rate
    truth = np.zeros(n_frames, bool)
    for start, end in intervals:
        if end < start:
            raise ParameterError(f"interval ({start}, {end}) ends before it starts")
        truth |= (start <= time) & (time < end)
    return truth


def mix_stems(
    voice: NDArray[np.floating],
    backing: NDArray[np.floating],
    *,
    sr: int,
    sung: Sequence[SungInterval],
    snr_db: float,
    peak: float = 0.9,
) -> Song:
    """Mix voice and backing at a signal-to-noise ratio, scaled to a peak.

    Parameters
    ----------
    voice, backing : ndarray [sample]
        Stems of the same length.
    sr : int
        Sample rate in Hz.
    sung : sequence of (start, end)
        Sung intervals in seconds, where the level of the voice is measured.
    snr_db : float
        Level of the voice over the backing of the whole song, in dB.
    peak : float, default 0.9
        Largest absolute value of the mix.

    Returns
    -------
    Song
        Scaled stems.

    Raises
    ------
    ParameterError
        If the lengths differ, or a stem is silent where its level is measured.

    Examples
    --------
    >>> tone = np.ones(8)
    >>> song = mix_stems(tone, tone, sr=8, sung=[(0.0, 1.0)], snr_db=20.0)
    >>> float(song.voice[0] / song.backing[0])
    10.0
    """
    if voice.shape != backing.shape:
        raise ParameterError(
            f"voice has shape {voice.shape}, backing has {backing.shape}; must be equal"
        )
    voice_level = _rms(voice[frame_truth(sung, len(voice), sr)])
    backing_level = _rms(backing)
    if not (voice_level > 0 and backing_level > 0):
        raise ParameterError(
            f"voice has level {voice_level} in the sung intervals, backing {backing_level}; "
            "must be > 0: a silent stem has no ratio to the other"
        )
    voice = voice * (backing_level / voice_level * 10 ** (snr_db / 20))
    gain = peak / np.abs(voice + backing).max()
    return Song(
        voice=(gain * voice).astype(np.float32),
        backing=(gain * backing).astype(np.float32),
        sr=sr,
        sung=tuple((float(start), float(end)) for start, end in sung),
        snr_db=float(snr_db),
    )


def _rms(y: NDArray[np.floating]) -> float:
    return float(np.sqrt(np.mean(np.square(y, dtype=np.float64)))) if y.size else 0.0

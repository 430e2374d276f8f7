"""A song as stems whose truth is known: what is sung, when, and how loud against the rest.

Sounds are float32 [sample] in [-1, 1]; times are seconds; an interval is (start, end), half open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from otoscope.errors import ParameterError

__all__ = ["Interval", "Song", "frame_truth", "mix_stems"]

Interval = tuple[float, float]


@dataclass(frozen=True)
class Song:
    """Two stems that add up to the mix, and the intervals in which the voice sings.

    Parameters
    ----------
    voice, backing : ndarray [sample], float32
        The stems, at the level they have in the mix.
    sr : int
        Samples a second.
    sung : tuple of (start, end)
        Seconds, ascending, not overlapping.
    snr_db : float
        Level of the voice over its sung intervals against the backing over the whole song.

    Examples
    --------
    >>> stem = np.zeros(4, np.float32)
    >>> Song(stem, stem, sr=4, sung=((0.0, 0.5),), snr_db=0.0).frames(4).tolist()
    [True, True, False, False]
    """

    voice: NDArray[np.float32]
    backing: NDArray[np.float32]
    sr: int
    sung: tuple[Interval, ...]
    snr_db: float

    @property
    def mix(self) -> NDArray[np.float32]:
        """The sum of the stems, float32 [sample]."""
        return self.voice + self.backing

    def frames(self, frame_rate: float) -> NDArray[np.bool_]:
        """Say of each frame of the song whether it is sung.

        Parameters
        ----------
        frame_rate : float
            Frames a second, > 0.

        Returns
        -------
        ndarray [frame], bool
            As many frames as the song has whole ones.

        Examples
        --------
        >>> stem = np.zeros(4, np.float32)
        >>> Song(stem, stem, sr=4, sung=((0.5, 1.0),), snr_db=0.0).frames(2).tolist()
        [False, True]
        """
        n_frames = int(len(self.voice) * frame_rate / self.sr)
        return frame_truth(self.sung, n_frames, frame_rate)


def frame_truth(
    intervals: Sequence[Interval], n_frames: int, frame_rate: float, *, offset: float = 0.0
) -> NDArray[np.bool_]:
    """Sample intervals at a frame rate.

    Parameters
    ----------
    intervals : sequence of (start, end)
        Seconds; the start belongs to the interval, the end does not.
    n_frames : int
        Frames wanted.
    frame_rate : float
        Frames a second, > 0.
    offset : float, default 0.0
        Seconds at which frame 0 looks: half a window, for frames that are not centred.

    Returns
    -------
    ndarray [frame], bool
        True where time ``offset + frame / frame_rate`` lies in an interval.

    Raises
    ------
    ParameterError
        If ``frame_rate`` is not positive, ``n_frames`` is negative or an interval ends before it
        starts.

    Examples
    --------
    >>> frame_truth([(0.1, 0.3)], 5, 10.0).tolist()
    [False, True, True, False, False]
    """
    if frame_rate <= 0 or n_frames < 0:
        raise ParameterError(
            f"frame_rate is {frame_rate} and n_frames {n_frames}: need a positive rate, no negative"
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
    sung: Sequence[Interval],
    snr_db: float,
    peak: float = 0.9,
) -> Song:
    """Set the voice against the backing at a level, and the mix to a peak.

    Parameters
    ----------
    voice, backing : ndarray [sample]
        Stems of one length.
    sr : int
        Samples a second.
    sung : sequence of (start, end)
        Seconds in which the voice sings; its level is measured there only.
    snr_db : float
        Wanted level of the voice, in dB over the backing's over the whole length.
    peak : float, default 0.9
        Largest absolute value of the mix.

    Returns
    -------
    Song
        The stems, scaled.

    Raises
    ------
    ParameterError
        If lengths differ, or either stem is silent where its level is measured.

    Examples
    --------
    >>> tone = np.ones(8)
    >>> song = mix_stems(tone, tone, sr=8, sung=[(0.0, 1.0)], snr_db=20.0)
    >>> float(song.voice[0] / song.backing[0])
    10.0
    """
    if voice.shape != backing.shape:
        raise ParameterError(f"voice has shape {voice.shape}, backing has {backing.shape}")
    voice_level = _rms(voice[frame_truth(sung, len(voice), sr)])
    backing_level = _rms(backing)
    if not (voice_level > 0 and backing_level > 0):
        raise ParameterError(
            f"voice has level {voice_level} where sung, backing {backing_level}: "
            "a silent stem has no ratio to the other"
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

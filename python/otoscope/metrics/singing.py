"""Frame-wise scores of singing-voice detection, as the literature computes them.

Probabilities are smoothed by a running median; a frame is called sung if its probability exceeds a
threshold, which is chosen on other songs; the frames of all songs are counted together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # imports its modules lazily
from numpy.typing import ArrayLike, NDArray

from otoscope.errors import ParameterError

__all__ = [
    "THRESHOLDS",
    "SingingScores",
    "choose_threshold",
    "count_runs",
    "singing_scores",
    "smooth",
]

_TAIL = (1e-5, 1e-4, 1e-3)
THRESHOLDS = (*_TAIL, *(k / 100 for k in range(1, 100)), *(1 - t for t in reversed(_TAIL)))
"""The 105 thresholds among which Schlueter and Grill choose."""


@dataclass(frozen=True)
class SingingScores:
    """Counts of frames, and the scores made of them.

    Parameters
    ----------
    true_positives, false_positives, true_negatives, false_negatives : int
        Numbers of frames; positive is sung.

    Examples
    --------
    >>> SingingScores(3, 1, 5, 1).error
    0.2
    """

    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return (
            self.true_positives + self.false_positives + self.true_negatives + self.false_negatives
        )

    @property
    def precision(self) -> float:
        """Fraction of the frames called sung that are; NaN without any."""
        return _ratio(self.true_positives, self.false_positives)

    @property
    def recall(self) -> float:
        """Fraction of the sung frames that are called sung; NaN without any."""
        return _ratio(self.true_positives, self.false_negatives)

    @property
    def specificity(self) -> float:
        """Fraction of the other frames that are not called sung; NaN without any."""
        return _ratio(self.true_negatives, self.false_positives)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; NaN if no frame is sung or called sung."""
        return _ratio(2 * self.true_positives, self.false_positives + self.false_negatives)

    @property
    def error(self) -> float:
        """Fraction of all frames that are wrong; NaN without any."""
        wrong = self.false_positives + self.false_negatives
        return _ratio(wrong, self.true_positives + self.true_negatives)


def smooth(probabilities: ArrayLike, n_frames: int = 56) -> NDArray[np.float64]:
    """Smooth probabilities [frame] of one song by a running median.

    Parameters
    ----------
    probabilities : array [frame]
        Probabilities of singing, one per frame.
    n_frames : int
        Length of the median, >= 1; 56 frames are 0.8 s at 70 frames per second. An even number
        reaches one frame further back than ahead, and takes the upper one of the two middle
        values, as ``scipy.ndimage.median_filter`` does. The outermost values are repeated.

    Returns
    -------
    ndarray [frame], float64
        Medians.

    Raises
    ------
    ParameterError
        If ``probabilities`` is not [frame] or ``n_frames`` is below 1.

    Examples
    --------
    >>> smooth([0.0, 1.0, 0.0, 0.0], 3).tolist()
    [0.0, 0.0, 0.0, 0.0]
    """
    p = np.asarray(probabilities, np.float64)
    if p.ndim != 1 or n_frames < 1:
        raise ParameterError(
            f"probabilities have shape {p.shape} and n_frames is {n_frames}; "
            "must be [frame] and >= 1"
        )
    return np.asarray(scipy.ndimage.median_filter(p, n_frames, mode="nearest"))


def choose_threshold(
    probabilities: Sequence[ArrayLike],
    truth: Sequence[ArrayLike],
    thresholds: Sequence[float] = THRESHOLDS,
) -> float:
    """Return the threshold with the fewest wrong frames; of equal ones, the nearest to 0.5.

    Parameters
    ----------
    probabilities : sequence of array [frame]
        Probabilities of singing of each song, already smoothed.
    truth : sequence of array [frame], bool
        True where a frame is sung.
    thresholds : sequence of float
        Candidates.

    Returns
    -------
    float
        Threshold.

    Raises
    ------
    ParameterError
        If the songs do not match, or hold no frame or values that are NaN.

    Examples
    --------
    >>> choose_threshold([[0.1, 0.2, 0.3]], [[False, False, True]])
    0.29
    """
    p, sung = _pooled(probabilities, truth)
    positive, negative = np.sort(p[sung]), np.sort(p[~sung])
    candidates = np.array(thresholds)
    missed = np.searchsorted(positive, candidates, side="right")  # p > threshold is called sung
    false = len(negative) - np.searchsorted(negative, candidates, side="right")
    wrong = missed + false
    best = np.flatnonzero(wrong == wrong.min())
    return float(candidates[best[np.abs(candidates[best] - 0.5).argmin()]])


def singing_scores(
    probabilities: Sequence[ArrayLike], truth: Sequence[ArrayLike], threshold: float
) -> SingingScores:
    """Count the frames of all songs together.

    Parameters
    ----------
    probabilities : sequence of array [frame]
        Probabilities of singing of each song, already smoothed.
    truth : sequence of array [frame], bool
        True where a frame is sung.
    threshold : float
        A frame is called sung if its probability exceeds it (strictly).

    Returns
    -------
    SingingScores
        Counts; precision, recall, specificity, F1 and error are properties.

    Raises
    ------
    ParameterError
        If the songs do not match, or hold no frame or values that are NaN.

    References
    ----------
    Schlüter and Grill (2015) :cite:`schlueter2015`, section 5.

    Examples
    --------
    >>> singing_scores([[0.2, 0.8], [0.5]], [[False, True], [True]], 0.5).recall
    0.5
    """
    p, sung = _pooled(probabilities, truth)
    called = p > threshold
    return SingingScores(
        int((called & sung).sum()),
        int((called & ~sung).sum()),
        int((~called & ~sung).sum()),
        int((~called & sung).sum()),
    )


def count_runs(probabilities: ArrayLike, threshold: float) -> int:
    """Count the runs of frames [frame] whose probability exceeds a threshold: alarms.

    Examples
    --------
    >>> count_runs([0.9, 0.9, 0.1, 0.9], 0.5)
    2
    """
    called = np.asarray(probabilities) > threshold
    return int(np.count_nonzero(called & ~np.concatenate([[False], called[:-1]])))


def _pooled(
    probabilities: Sequence[ArrayLike], truth: Sequence[ArrayLike]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    if len(probabilities) != len(truth) or not len(truth):
        raise ParameterError(
            f"there are {len(probabilities)} songs of probabilities and {len(truth)} of truth; "
            "must be as many, and one at least"
        )
    p = [np.asarray(song, np.float64) for song in probabilities]
    sung = [np.asarray(song, bool) for song in truth]
    for index, (of_model, of_truth) in enumerate(zip(p, sung, strict=True)):
        if of_model.shape != of_truth.shape or of_model.ndim != 1:
            raise ParameterError(
                f"song {index} has probabilities {of_model.shape} and truth {of_truth.shape}; "
                "both must be [frame]"
            )
        if np.isnan(of_model).any():
            raise ParameterError(f"song {index} has {np.isnan(of_model).sum()} NaN probabilities")
    if not sum(map(len, p)):
        raise ParameterError("the songs have no frames")
    return np.concatenate(p), np.concatenate(sung)


def _ratio(part: int, rest: int) -> float:
    return part / (part + rest) if part + rest else float("nan")

"""Transfer: score a system on a second data set with the same labels, without what both share.

Items of the second set that the first holds too are left out: those of the same name, and sounds
whose bands rise and fall together, as those of two encodings of one recording do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import hypot
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from otoscope.documents import document
from otoscope.errors import ParameterError
from otoscope.intervene.base import Intervention
from otoscope.intervene.interrogation.items import Features, Sounds, as_items
from otoscope.intervene.statistics.bootstrap import GroupBootstrap
from otoscope.intervene.transforms.features import FeatureDilation
from otoscope.intervene.transforms.filters import Gain
from otoscope.metrics import Interval
from otoscope.progress import Progress, silent, tracked

if TYPE_CHECKING:
    from otoscope.intervene.interrogation.interrogation import Interrogation

__all__ = ["Overlap", "TransferResult", "transfer"]

_RATE = 10  # frames per second of a fingerprint
_BANDS = np.geomspace(80, 3600, 9)  # Hz
_SHIFT = 2 * _RATE  # frames by which two recordings of one sound may begin apart
_FLOOR = 1e-6  # of the largest power of a band


@dataclass(frozen=True)
class Overlap:
    """An item of the second set that the first holds; ``by`` is "name" or "sound".

    ``similarity`` is the correlation of sounds in [-1, 1]; 1 for names.
    """

    name: str
    of: str
    by: str
    similarity: float = 1.0


@dataclass(frozen=True)
class TransferResult:
    """Scores of a system on two data sets.

    Parameters
    ----------
    labels : tuple of str
        Labels that both sets have; the scores are over these.
    home, away : Interval
        Score on the first and on the second set, unchanged.
    change : Interval
        Second score minus the first; the sets are independent.
    n_home, n_away : int
        Number of items that are scored.
    overlap : tuple of Overlap
        Items of the second set that are left out, because the first holds them.
    missing : tuple of str
        Labels of the first set that the second does not have.
    unknown : mapping of str to int
        Labels that only the second set has, with the number of its items, which are left out.

    Examples
    --------
    >>> interrogation.transfer(sounds, labels).change.value  # doctest: +SKIP
    -0.21
    """

    labels: tuple[str, ...]
    home: Interval
    away: Interval
    change: Interval
    n_home: int
    n_away: int
    overlap: tuple[Overlap, ...]
    missing: tuple[str, ...]
    unknown: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Return everything in JSON's types."""
        return document("otoscope.Transfer", 1, vars(self))


def transfer(  # noqa: PLR0913 - what is tested, and what counts as known
    interrogation: Interrogation,
    audio: Any,
    labels: Sequence[str],
    *,
    groups: Sequence[str] | None = None,
    known: Sequence[str] = (),
    by_name: bool = True,
    least_similarity: float = 0.8,
    unchanged: Intervention | None = None,
    progress: Progress = silent,
) -> TransferResult:
    """Score the system on a second data set, whose items are unchanged.

    Parameters
    ----------
    interrogation : Interrogation
        Interrogation of the system on the first data set; needs labels.
    audio
        Second data set, as for `Interrogation`: sounds, or features.
    labels : sequence of str
        Its right answers.
    groups : sequence of str, optional
        Its groups, such as artists.
    known : sequence of str
        Names of further items that the system has met, such as those of its training.
    by_name : bool
        Whether items of one name are one: the last part of a path, without suffix and case. False
        for sets that number their files alike.
    least_similarity : float
        Correlation in (0, 1] from which two sounds are one.
    unchanged : FeatureDilation, optional
        For features: the intervention whose dose 0 selects the unchanged ones. Features of one dose
        are unchanged.
    progress : Progress
        True shows bars.

    Returns
    -------
    TransferResult
        Both scores, and what was left out.

    Raises
    ------
    ParameterError
        If the first set has no labels, the sets share fewer than two labels, nothing of a shared
        label is left, or the second set is of another kind than the first.

    Notes
    -----
    Sounds are compared by the differences of the levels of eight bands at ten frames per second,
    shifted by up to 2 s. A loop that two pieces share may look like one recording; an excerpt from
    another place of a recording does not.

    Examples
    --------
    >>> interrogation.transfer(sounds, labels).missing  # doctest: +SKIP
    ('Jive',)
    """
    home, away = interrogation.items, _second(interrogation, audio, labels, groups)
    if interrogation.labels is None:
        raise ParameterError("a transfer needs the labels of the first data set")
    if not 0 < least_similarity <= 1:
        raise ParameterError(f"least_similarity is {least_similarity}, must be in (0, 1]")
    own, others = set(interrogation.labels), Counter(map(str, labels))
    shared = tuple(sorted(own & set(others)))
    if len(shared) < 2:
        raise ParameterError(
            f"the data sets share {len(shared)} labels; the first has {', '.join(sorted(own))}, "
            f"the second {', '.join(sorted(others))}; need two"
        )
    at_home = [i for i, label in enumerate(interrogation.labels) if label in shared]
    candidates = [i for i, label in enumerate(labels) if str(label) in shared]
    overlap = _overlap(home, away, candidates, known, by_name, least_similarity, progress)
    left = [i for i in candidates if i not in overlap]
    if lost := sorted(set(shared) - {str(labels[i]) for i in left}):
        raise ParameterError(
            f"of {lost[0]!r} nothing is left: all its items are in the first data set too, by name "
            "or by sound; if names that are equal mean different sounds, say so (by_name)"
        )
    scores = []
    for items, chosen, of_items, of_groups in (
        (home, at_home, interrogation.labels, interrogation.groups),
        (away, left, list(map(str, labels)), groups),
    ):
        own_labels = [of_items[i] for i in chosen]
        own_groups = None if of_groups is None else [str(of_groups[i]) for i in chosen]
        kept = items.keep(chosen)
        scores.append(_score(interrogation, kept, own_labels, own_groups, unchanged, progress))
    return TransferResult(
        shared,
        scores[0],
        scores[1],
        _difference(*scores),
        len(at_home),
        len(left),
        tuple(overlap.values()),
        tuple(sorted(own - set(others))),
        {label: others[label] for label in sorted(set(others) - own)},
    )


def _second(
    interrogation: Interrogation, audio: Any, labels: Sequence[str], groups: Sequence[str] | None
) -> Sounds | Features:
    """Make items of the second data set."""
    home = interrogation.items
    away = as_items(audio, sr=getattr(home, "sr", None), cache=None)
    if type(away) is not type(home):
        raise ParameterError("one data set holds sounds and the other features; need one kind")
    for name, column in {"labels": labels, "groups": groups}.items():
        if column is not None and len(column) != len(away.names):
            raise ParameterError(f"{name} has {len(column)} entries for {len(away.names)} items")
    return away


def _score(
    interrogation: Interrogation,
    items: Sounds | Features,
    labels: Sequence[str],
    groups: Sequence[str] | None,
    unchanged: Intervention | None,
    progress: Progress,
) -> Interval:
    """Score the system on unchanged items; whole sounds, unless a duration is set."""
    settings, right = interrogation.settings, []
    off = Gain(0) if isinstance(items, Sounds) else unchanged and unchanged.with_dose(0)
    if isinstance(items, Features) and items.survey()[0][0] == 1:
        off = FeatureDilation(0, available=(0,))
    if off is None:
        raise ParameterError("unchanged is None; it says which features are unchanged")
    for index in tracked(progress, range(len(items.names)), "answers"):
        rendering = items.rendered(index, [(off, 0)], settings.duration)
        right.append(interrogation._labeller(rendering)[0] == labels[index])
    metric = settings.metric_with(labels)
    scores = GroupBootstrap(labels, groups, metric, n_draws=settings.n_draws, seed=settings.seed)
    return scores.estimate(right)


def _difference(home: Interval, away: Interval) -> Interval:
    """Subtract two independent scores: the bounds' distances add like deviations."""
    value = away.value - home.value
    low = value - hypot(away.value - away.low, home.high - home.value)
    high = value + hypot(away.high - away.value, home.value - home.low)
    return Interval(value, low, high, home.level)


def _overlap(
    home: Sounds | Features,
    away: Sounds | Features,
    candidates: Sequence[int],
    known: Sequence[str],
    by_name: bool,
    least_similarity: float,
    progress: Progress,
) -> dict[int, Overlap]:
    """Find the candidates that the first set holds, by their number in the second."""
    overlap: dict[int, Overlap] = {}
    if by_name:
        names = {_key(name): name for name in (*known, *home.names)}
        for index in candidates:
            if (own := names.get(_key(away.names[index]))) is not None:
                overlap[index] = Overlap(away.names[index], own, "name")
    if isinstance(home, Sounds) and isinstance(away, Sounds):
        others = [index for index in candidates if index not in overlap]
        prints = [
            fingerprint(home.sound(index), home.sr)
            for index in tracked(progress, range(len(home.names)), "fingerprints")
        ]
        for index in tracked(progress, others, "comparisons"):
            similar = similarities(fingerprint(away.sound(index), away.sr), prints)
            best = int(similar.argmax())
            if similar[best] >= least_similarity:
                name, value = home.names[best], round(float(similar[best]), 3)
                overlap[index] = Overlap(away.names[index], name, "sound", value)
    return dict(sorted(overlap.items()))


def _key(name: str) -> str:
    return PurePath(name.replace("\\", "/")).stem.casefold()


def fingerprint(y: Tensor, sr: float) -> NDArray[np.float64]:
    """Describe how the levels of bands rise and fall: [frame, band], ten frames per second."""
    hop = round(sr / _RATE)
    if len(y) < 4 * hop:
        return np.zeros((1, len(_BANDS) - 1))
    frames = y.double().unfold(0, 2 * hop, hop) * torch.hann_window(2 * hop, dtype=torch.float64)
    power = torch.fft.rfft(frames).abs().square().numpy()
    hz = np.fft.rfftfreq(2 * hop, 1 / sr)
    bands = np.stack(
        [power[:, (hz >= low) & (hz < high)].sum(1) for low, high in pairwise(_BANDS)], 1
    )
    largest = bands.max()
    if not largest > 0:
        return np.zeros((1, len(_BANDS) - 1))
    changes = np.diff(np.log10(bands + _FLOOR * largest), axis=0)
    return np.asarray(changes - changes.mean(0))


def similarities(
    one: NDArray[np.float64], others: Sequence[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Correlate a fingerprint with others, each at its best shift of up to 2 s: [other]."""
    n = max(len(one), *(len(other) for other in others)) + _SHIFT
    spectrum = np.fft.rfft(one, n, axis=0)
    result = np.zeros(len(others))
    for place, other in enumerate(others):
        norm = np.linalg.norm(one) * np.linalg.norm(other)
        if norm > 0:
            product = (spectrum.conj() * np.fft.rfft(other, n, axis=0)).sum(1)
            correlation = np.fft.irfft(product, n)
            reached = np.concatenate([correlation[: _SHIFT + 1], correlation[-_SHIFT:]])
            result[place] = reached.max() / norm
    return result

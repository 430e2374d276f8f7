"""All measures that papers cite, between two sets of features, with intervals over files.

All intervals are by random halves of the files; a bootstrap would repeat rows, and so bias them.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from typing import TypedDict, TypeVar

from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.metrics import (
    FewRows,
    Interval,
    frechet_infinity,
    frechet_interval,
    half_sample_intervals,
    mauve_score,
    median_distance,
    neighbour_scores,
)
from otoscope.metrics.gaussian import distance
from otoscope.metrics.halves import LEAST, group_numbers
from otoscope.metrics.kernel import Gaussian, KernelSums, Polynomial, kernel_bounds
from otoscope.metrics.kernel_audio import KAD_SCALE
from otoscope.progress import Progress, silent
from otoscope.report.distance.page import Measure
from otoscope.workflows.stats import StatsResult

__all__ = ["cited_measures", "why_no_interval"]

_K = 5  # neighbours
_RESTING = 5  # files that a score counts: intervals of fewer hold the truth too seldom
_SCORES = (
    ("precision", f"generated rows within {_K} neighbours of real ones"),
    ("recall", f"real rows within {_K} neighbours of generated ones"),
    ("density", "mean number of real neighbourhoods around a generated row, over its limit"),
    ("coverage", "real rows that have a generated one in their neighbourhood"),
)

T = TypeVar("T")


def cited_measures(
    real: StatsResult,
    generated: StatsResult,
    *,
    interval: bool = False,
    seed: int = 0,
    progress: Progress = silent,
) -> tuple[Measure, ...]:
    """Compute all measures from features that were extracted once.

    Parameters
    ----------
    real, generated : StatsResult
        Statistics, with the features of the excerpts where measures beside FAD are wanted.
    interval : bool
        Compute 95 % intervals over files too.
    seed : int
        Random seed of halves, clusters and subsets.
    progress : bool or callable
        True shows bars over "half samples" and "sizes".

    Returns
    -------
    tuple of Measure
        FAD, FAD without end, KID, KAD, MAD, precision, recall, density, coverage. Those that cannot
        be computed say why.

    References
    ----------
    Gui et al. (2024) :cite:`gui2024`: FAD of music, and of single songs.
    """
    value = float(distance(real.statistics.normal(), generated.statistics.normal()))
    frechet = Measure("FAD", "Fréchet distance", value)
    sets, reason = _attempt(lambda: _Sets.of(real, generated))
    unknown = _unknown(reason)
    if sets is None:
        return (replace(frechet, reason=reason * interval), *unknown)
    about: _Wishes = {"interval": interval, "progress": progress}
    parts: list[tuple[list[Measure] | None, str]] = [
        _attempt(lambda: [_with_frechet(frechet, sets, seed, **about)]),
        _attempt(lambda: [_infinity(unknown[0], sets, seed, **about)]),
        _attempt(lambda: _kernels(unknown[1:3], sets, seed, interval=interval)),
        _attempt(lambda: [_mauve(unknown[3], sets, seed, **about)]),
        _attempt(lambda: _neighbours(unknown[4:], sets, seed, **about)),
    ]
    places = ((frechet,), unknown[:1], unknown[1:3], unknown[3:4], unknown[4:])
    return tuple(
        measure
        for (computed, why), place in zip(parts, places, strict=True)
        for measure in (computed or [replace(it, reason=why) for it in place])
    )


class _Wishes(TypedDict):
    interval: bool
    progress: Progress


@dataclass(frozen=True, eq=False)
class _Sets:
    """Features of both sides [row, column], and the file of each row."""

    rows: tuple[Tensor, Tensor]
    songs: tuple[Tensor, Tensor]

    @classmethod
    def of(cls, real: StatsResult, generated: StatsResult) -> _Sets:
        rows = real.rows(), generated.rows()
        named = (("real", rows[0], real), ("generated", rows[1], generated))
        songs = [group_numbers(name, x, side.song_of_row()) for name, x, side in named]
        return cls(rows, (songs[0], songs[1]))

    @property
    def lack(self) -> str:
        """Reason why there is no interval, if there is one."""
        return why_no_interval(*(int(songs.max()) + 1 for songs in self.songs))


def why_no_interval(n_real: int | None, n_generated: int | None) -> str:
    """Say which side has too few files for an interval; empty if both have enough."""
    for name, n in (("real", n_real), ("generated", n_generated)):
        if n is not None and n < LEAST:
            return f"the {name} side has {n} files; an interval takes {LEAST} or more"
    return ""


def _unknown(reason: str) -> tuple[Measure, ...]:
    names = (
        ("FAD infinity", "FAD extrapolated to infinitely many generated rows"),
        ("KID", "kernel distance, polynomial kernel"),
        ("KAD", "kernel audio distance, Gaussian kernel, 100 times"),
        ("MAD", "MAUVE audio divergence"),
        *_SCORES,
    )
    return tuple(Measure(name, meaning, None, reason=reason) for name, meaning in names)


def _with_frechet(
    measure: Measure, sets: _Sets, seed: int, *, interval: bool, progress: Progress
) -> Measure:
    """Add the interval of sets of this size."""
    if not interval or sets.lack:
        return replace(measure, reason=sets.lack * interval)
    with _few_rows_known():
        bounds = frechet_interval(*sets.rows, groups=sets.songs, seed=seed, progress=progress)
    return _bounded(measure, bounds, 0.0)


def _infinity(
    measure: Measure, sets: _Sets, seed: int, *, interval: bool, progress: Progress
) -> Measure:
    with _few_rows_known():
        found = frechet_infinity(sets.rows[0], sets.rows[1], seed=seed, progress=progress)
    why = "it extrapolates over excerpts of the same files: no interval over other files is known"
    return replace(measure, value=found.value, reason=why * interval)


def _kernels(
    measures: tuple[Measure, ...], sets: _Sets, seed: int, *, interval: bool
) -> list[Measure]:
    """Compute both kernel distances, with intervals from sums over pairs of files."""
    bandwidth = median_distance(sets.rows[0])
    kernels: list[tuple[Polynomial | Gaussian, float]]
    kernels = [(Polynomial(), 1.0), (Gaussian(bandwidth), float(KAD_SCALE))]
    computed = []
    for measure, (kernel, scale) in zip(measures, kernels, strict=True):
        if interval and not sets.lack:
            it = kernel_bounds(*sets.rows, kernel, groups=sets.songs, seed=seed)
            low, high = scale * it.low, scale * it.high
            computed.append(replace(measure, value=scale * it.value, low=low, high=high))
        else:
            value = scale * float(KernelSums.of(*sets.rows, kernel).whole())
            computed.append(replace(measure, value=value, reason=sets.lack * interval))
    kad = f"kernel audio distance, Gaussian kernel of bandwidth {bandwidth:.3g}, 100 times"
    return [computed[0], replace(computed[1], meaning=kad)]


def _mauve(
    measure: Measure, sets: _Sets, seed: int, *, interval: bool, progress: Progress
) -> Measure:
    whole = mauve_score(*sets.rows, seed=seed)
    meaning = f"MAUVE audio divergence, {whole.n_clusters} clusters"
    made = replace(measure, meaning=meaning, value=whole.divergence)
    if not interval or sets.lack:
        return replace(made, reason=sets.lack * interval)
    seeds = count(seed)  # the clusters' own chance is part of the doubt

    def score(real: Tensor, generated: Tensor) -> list[float]:
        return [mauve_score(real, generated, restarts=1, seed=next(seeds)).divergence]

    (bounds,) = _halves(score, sets, seed, progress)
    reach = (bounds.high - bounds.low) / 2
    around = Interval(whole.divergence, whole.divergence - reach, whole.divergence + reach, 0.95)
    return _bounded(made, around, 0.0)


def _neighbours(
    measures: tuple[Measure, ...], sets: _Sets, seed: int, *, interval: bool, progress: Progress
) -> list[Measure]:
    def score(real: Tensor, generated: Tensor) -> list[float]:
        return list(vars(neighbour_scores(real, generated, k=_K)).values())

    values = score(*sets.rows)
    made = [replace(it, value=value) for it, value in zip(measures, values, strict=True)]
    if not interval or sets.lack:
        return [replace(it, reason=sets.lack * interval) for it in made]
    bounds = _halves(score, sets, seed, progress)
    tops = (1.0, 1.0, math.inf, 1.0)
    n_files = min(int(songs.max()) + 1 for songs in sets.songs)
    return [
        _bounded(it, bound, 0.0, top)
        if bound.value * n_files >= _RESTING
        else replace(it, reason=f"it counts fewer than {_RESTING} files, too few for an interval")
        for it, bound, top in zip(made, bounds, tops, strict=True)
    ]


def _halves(
    score: Callable[[Tensor, Tensor], list[float]], sets: _Sets, seed: int, progress: Progress
) -> tuple[Interval, ...]:
    return half_sample_intervals(score, *sets.rows, groups=sets.songs, seed=seed, progress=progress)


def _bounded(measure: Measure, interval: Interval, low: float, high: float = math.inf) -> Measure:
    """Add bounds, within the range of the measure."""
    return replace(measure, low=max(low, interval.low), high=min(high, interval.high))


@contextmanager
def _few_rows_known() -> Iterator[None]:
    """Silence the warning of few rows, which is among the notes of the result."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewRows)
        yield


def _attempt(compute: Callable[[], T]) -> tuple[T | None, str]:
    """Compute, or say why it cannot be computed."""
    try:
        return compute(), ""
    except ParameterError as err:
        return None, str(err)

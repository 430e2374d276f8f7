"""Distances between two populations of tunes, beside the distances between real tunes.

Each tune i becomes a vector x_i, and each population its mean vector, m = mean_i x_i. With m and m'
the means of two populations:

- category (meter, mode, form, ...): x_i is one-hot, so m is a distribution over the categories;
  total variation = sum_j |m_j - m'_j| / 2.
- scale degrees: x_i is the tune's distribution over the twelve degrees; total variation.
- number (notes, range, ...): with v_1 < v_2 < ... the values that occur, x_ij = 1 if the value of
  tune i is <= v_j, else 0, so m is the cumulative distribution function.
  Kolmogorov-Smirnov = max_j |m_j - m'_j|, and
  Wasserstein = sum_j |m_j - m'_j| (v_(j+1) - v_j), the area between the two curves.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from otoscope.errors import ParameterError, require_extra
from otoscope.folk.abc import Key
from otoscope.folk.metrics.check import TuneCheck
from otoscope.folk.metrics.features import DEGREES, TuneFeatures
from otoscope.metrics import Interval
from otoscope.seeds import numpy_generator

__all__ = ["AspectFigure", "PopulationDistance", "compare_tunes", "tune_figures"]

Array: TypeAlias = "NDArray[np.float64]"
Tokens: TypeAlias = "Sequence[Sequence[str] | None]"
DistanceKind: TypeAlias = Literal["total variation", "Kolmogorov-Smirnov", "Wasserstein"]

_LEVEL: Final = 0.95
_CATEGORIES: Final[dict[str, Callable[[TuneFeatures], str]]] = {
    "meter": lambda features: features.meter,
    "mode": lambda features: Key.parse(features.key).mode,
    "form": lambda features: features.form,
    "last degree": lambda features: features.last,
    "cadence": lambda features: f"{features.before_last}-{features.last}",
    "valid": lambda features: str(not any(measure.is_wrong for measure in features.measures)),
}
_DISTRIBUTIONS: Final[dict[str, Callable[[TuneFeatures], dict[str, float]]]] = {
    "degrees by count": lambda features: features.degrees_by_count,
    "degrees by duration": lambda features: features.degrees_by_duration,
}
_NUMBERS: Final[dict[str, Callable[[TuneFeatures], float]]] = {
    "measures": lambda features: len(features.measures),
    "parts": lambda features: len(features.parts),
    "repeats": lambda features: sum(part.is_repeated for part in features.parts),
    "notes": lambda features: features.notes,
    "range": lambda features: features.range,
    "accidentals": lambda features: features.accidentals,
}


_DEFINITIONS: Final = {
    "meter": "meter of the header",
    "mode": "mode of the key",
    "form": "parts as letters, repeated ones twice",
    "last degree": "scale degree of the last note, repeats played",
    "cadence": "scale degrees of the last two different notes",
    "valid": "whether the bars add up",
    "degrees by count": "scale degrees of the notes, repeats played, each tune counting the same",
    "degrees by duration": "the same, each note counting by its duration",
    "measures": "number of measures as written",
    "parts": "number of segments between repeat marks, a full bar or longer",
    "repeats": "number of these that are repeated",
    "notes": "number of notes as written",
    "range": "lowest to highest note, in semitones",
    "accidentals": "fraction of notes outside the key",
    "tokens": "number of tokens on root C (v2), without boundaries",
    "pitch tokens": "pitches as tokens on root C, each tune counting the same",
    "first pitch": "first pitch token",
    "last pitch": "last pitch token",
}
_PITCH: Final = re.compile(r"[\^_=]*[A-Ga-g][,']*")


@dataclass(frozen=True)
class AspectFigure:
    """Bars of the categories of one aspect, or the steps of its distributions.

    Parameters
    ----------
    aspect, definition : str
        Name of the aspect, and what is counted.
    labels : tuple of str
        Categories; empty for numbers.
    values : tuple of float
        Values that occur, in ascending order; empty for categories.
    generated, held_out : tuple of float
        Fraction of the tunes in each category, or at most as large as each value.

    Examples
    --------
    >>> AspectFigure("meter", "meter of the header", ("4/4", "6/8"), (), (1.0, 0.0), (0.5, 0.5))
    ... # doctest: +ELLIPSIS
    AspectFigure(aspect='meter', ...)
    """

    aspect: str
    definition: str
    labels: tuple[str, ...]
    values: tuple[float, ...]
    generated: tuple[float, ...]
    held_out: tuple[float, ...]


@dataclass(frozen=True)
class PopulationDistance:
    """Distance of generated tunes from held-out real ones in one aspect.

    Parameters
    ----------
    aspect : str
        Aspect of the tunes: "meter", "mode", ..., "notes".
    kind : {"total variation", "Kolmogorov-Smirnov", "Wasserstein"}
        The first two are in [0, 1]; the last is in the unit of ``aspect``.
    value : Interval
        Distance of generated from held-out tunes, with bootstrap bounds corrected for their bias.
    p : float
        p value of a permutation test of which tunes are generated.
    p_holm : float
        p value corrected for the number of distances (Holm).
    floor : Interval, optional
        Distance of as many training tunes as there are generated ones (or all, if fewer) from the
        held-out tunes: mean over draws, and bounds of 95 % of the draws; None without training
        tunes.

    Examples
    --------
    >>> value = Interval(0.1, 0.0, 0.2, 0.95)
    >>> PopulationDistance("mode", "total variation", value, 0.3, 1.0, None).p
    0.3
    """

    aspect: str
    kind: DistanceKind
    value: Interval
    p: float
    p_holm: float
    floor: Interval | None


@dataclass(frozen=True, eq=False)
class _Aspect:
    """Vectors [tune, column] of all tunes; for Wasserstein, the width v_(j+1) - v_j per column."""

    name: str
    kind: DistanceKind
    vectors: Array
    labels: Sequence[str] = ()
    widths: Array | float = 0.5
    values: Array | None = None

    def norm(self, difference: Array) -> Array:
        """Return the distance for differences [..., column] between means."""
        if self.kind == "Kolmogorov-Smirnov":
            return np.asarray(np.abs(difference).max(-1, initial=0.0))
        return np.asarray((np.abs(difference) * self.widths).sum(-1))


def compare_tunes(
    generated: Sequence[TuneCheck],
    held_out: Sequence[TuneCheck],
    train: Sequence[TuneCheck] = (),
    *,
    tokens: Sequence[Tokens] = (),
    n_draws: int = 2000,
    seed: int = 0,
) -> tuple[PopulationDistance, ...]:
    """Compare generated tunes with real ones that their model has not seen.

    Parameters
    ----------
    generated, held_out : sequence of TuneCheck
        At least two tunes each; tunes that cannot be read are left out.
    train : sequence of TuneCheck
        Real tunes for the noise floor.
    tokens : sequence of sequences of (sequence of str, optional)
        Tokens on root C (v2) of each tune of the three populations, None for a tune that has none;
        without them, the aspects of tokens are left out.
    n_draws : int
        Number of draws of the bootstrap, of the permutation test and of the floor, at least 1.
    seed : int
        Random seed of the draws.

    Returns
    -------
    tuple of PopulationDistance
        Total variation of categories and scale degrees; Kolmogorov-Smirnov and Wasserstein
        distances of numbers.

    Raises
    ------
    ParameterError
        If there are too few tunes, or ``n_draws`` is below 1.
    MissingExtra
        If statsmodels is not installed.

    References
    ----------
    Sturm et al. (2016) :cite:`sturm2016folkrnn`: generated tunes as a population.

    Examples
    --------
    >>> checks = [check_tune(tune) for tune in tunes]  # doctest: +SKIP
    >>> compare_tunes(checks[:60], checks[60:])[0].aspect  # doctest: +SKIP
    'meter'
    """
    sizes, aspects = _prepared((generated, held_out, train), tokens)
    if min(sizes[:2]) < 2 or n_draws < 1:
        raise ParameterError(
            f"{sizes[0]} generated and {sizes[1]} held-out tunes can be read, n_draws is "
            f"{n_draws}; need at least 2 tunes of each, and 1 draw"
        )
    rng = numpy_generator(seed)
    distances = [_distance(aspect, sizes, n_draws, rng) for aspect in aspects]
    multitest: Any = require_extra("statsmodels.stats.multitest", "horse")
    corrected = multitest.multipletests([p for _, p, _ in distances], method="holm")[1]
    return tuple(
        PopulationDistance(aspect.name, aspect.kind, value, p, float(p_holm), floor)
        for aspect, (value, p, floor), p_holm in zip(aspects, distances, corrected, strict=True)
    )


def tune_figures(
    generated: Sequence[TuneCheck],
    held_out: Sequence[TuneCheck],
    *,
    tokens: Sequence[Tokens] = (),
) -> tuple[AspectFigure, ...]:
    """Compute what is drawn of two populations.

    Parameters
    ----------
    generated, held_out : sequence of TuneCheck
        At least one tune each that can be read.
    tokens : sequence of sequences of (sequence of str, optional)
        Tokens of each tune of the two populations, as in `compare_tunes`.

    Returns
    -------
    tuple of AspectFigure
        One figure for each aspect of `compare_tunes`.

    Raises
    ------
    ParameterError
        If a population has no tune that can be read.

    Examples
    --------
    >>> checks = [check_tune(tune) for tune in tunes]  # doctest: +SKIP
    >>> tune_figures(checks[:60], checks[60:])[0].labels  # doctest: +SKIP
    ('2/4', '4/4', '6/8')
    """
    sizes, aspects = _prepared((generated, held_out), tokens)
    if min(sizes) < 1:
        raise ParameterError(f"{sizes[0]} and {sizes[1]} tunes can be read; need one of each")
    return tuple(_figure(aspect, sizes[0]) for aspect in aspects if aspect.kind != "Wasserstein")


def _figure(aspect: _Aspect, n_generated: int) -> AspectFigure:
    ours, theirs = np.split(aspect.vectors, [n_generated])
    means = [tuple(vectors.mean(0).tolist()) for vectors in (ours, theirs)]
    values = () if aspect.values is None else tuple(aspect.values.tolist())
    definition = _DEFINITIONS[aspect.name]
    return AspectFigure(aspect.name, definition, tuple(aspect.labels), values, means[0], means[1])


def _prepared(
    populations: Sequence[Sequence[TuneCheck]], tokens: Sequence[Tokens]
) -> tuple[list[int], list[_Aspect]]:
    """Return the numbers of tunes that can be read, and their aspects."""
    features = [[check.features for check in checks if check.features] for checks in populations]
    sizes = [len(population) for population in features]
    tunes = [tune for population in features for tune in population]
    if not tunes:
        return sizes, []
    aspects = list(_aspects(tunes))
    if tokens:
        read = [
            row
            for checks, rows in zip(populations, tokens, strict=True)
            for check, row in zip(checks, rows, strict=True)
            if check.features
        ]
        aspects += _aspects_of_tokens(read)
    return sizes, aspects


def _aspects(tunes: Sequence[TuneFeatures]) -> Iterator[_Aspect]:
    for name, category in _CATEGORIES.items():
        yield _of_categories(name, [category(tune) for tune in tunes])
    for name, distribution in _DISTRIBUTIONS.items():
        yield _of_distributions(name, [distribution(tune) for tune in tunes], DEGREES)
    for name, number in _NUMBERS.items():
        yield from _of_numbers(name, [number(tune) for tune in tunes])


def _aspects_of_tokens(rows: Tokens) -> Iterator[_Aspect]:
    """Yield the aspects of tokens; a tune without tokens has none of them."""
    yield from _of_numbers("tokens", [len(row or ()) for row in rows])
    pitches = [[token for token in row or () if _PITCH.fullmatch(token)] for row in rows]
    counts = [Counter(row) for row in pitches]
    fractions = [{p: n / count.total() for p, n in count.items()} for count in counts]
    names = sorted({p for count in counts for p in count}, key=_height)
    yield _of_distributions("pitch tokens", fractions, names)
    for name, place in (("first pitch", 0), ("last pitch", -1)):
        yield _of_categories(name, [row[place] if row else "" for row in pitches])


def _height(pitch: str) -> tuple[float, str]:
    """Order pitch tokens from low to high."""
    letter = pitch.strip("=^_,'")
    octave = letter.islower() + pitch.count("'") - pitch.count(",")
    sign = pitch.count("^") - pitch.count("_")
    return 7 * octave + "CDEFGAB".index(letter.upper()) + 0.3 * sign, pitch


def _of_categories(name: str, categories: Sequence[str]) -> _Aspect:
    labels, indices = np.unique(categories, return_inverse=True)
    return _Aspect(name, "total variation", np.eye(len(labels))[indices], labels.tolist())


def _of_distributions(
    name: str, rows: Sequence[Mapping[str, float]], labels: Sequence[str]
) -> _Aspect:
    vectors = np.array([[row.get(label, 0.0) for label in labels] for row in rows])
    return _Aspect(name, "total variation", vectors.reshape(len(rows), -1), labels)


def _of_numbers(name: str, numbers: Sequence[float]) -> Iterator[_Aspect]:
    values = np.array(numbers, dtype=np.float64)
    grid = np.unique(values)
    steps = (values[:, None] <= grid[:-1]).astype(np.float64)  # at the last value all are 1
    yield _Aspect(name, "Kolmogorov-Smirnov", steps, values=grid)
    yield _Aspect(name, "Wasserstein", steps, widths=np.diff(grid))


def _distance(
    aspect: _Aspect, sizes: Sequence[int], n_draws: int, rng: np.random.Generator
) -> tuple[Interval, float, Interval | None]:
    """Return the distance with its bounds, the p value, and the noise floor."""
    n, m, n_train = sizes
    generated, held_out, train = np.split(aspect.vectors, [n, n + m])
    value = float(aspect.norm(generated.mean(0) - held_out.mean(0)))

    resampled = aspect.norm(
        _resampled(generated, n_draws, rng) - _resampled(held_out, n_draws, rng)
    )
    bias = float(resampled.mean()) - value  # resampling adds noise, and noise adds distance
    low, high = np.quantile(resampled, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2]) - bias
    interval = Interval(value, max(float(low), 0.0), float(high), _LEVEL)

    pooled = aspect.vectors[: n + m]
    first = _subset_means(pooled, n, n_draws, rng)
    second = (pooled.sum(0) - n * first) / m
    permuted = aspect.norm(first - second)
    p = (1 + int((permuted >= value - 1e-12).sum())) / (1 + n_draws)
    if not n_train:
        return interval, p, None
    floors = aspect.norm(_subset_means(train, min(n, n_train), n_draws, rng) - held_out.mean(0))
    bounds = np.quantile(floors, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return interval, p, Interval(float(floors.mean()), float(bounds[0]), float(bounds[1]), _LEVEL)


def _resampled(vectors: Array, n_draws: int, rng: np.random.Generator) -> Array:
    """Return means [draw, column] of bootstrap samples (drawn with replacement)."""
    counts = rng.multinomial(len(vectors), np.full(len(vectors), 1 / len(vectors)), size=n_draws)
    return counts @ vectors / len(vectors)


def _subset_means(vectors: Array, size: int, n_draws: int, rng: np.random.Generator) -> Array:
    """Return means [draw, column] of ``size`` vectors drawn without replacement."""
    chosen = np.broadcast_to(np.arange(len(vectors)) < size, (n_draws, len(vectors)))
    return rng.permuted(chosen, axis=1) @ vectors / size

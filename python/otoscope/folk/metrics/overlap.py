"""Overlap of two sets of tunes: distances between tunes of one set, and between the two sets.

Each tune has nine features. A feature's intra-set distances are the Euclidean ones between all
pairs of tunes of a set, its inter-set distances those between a tune of one set and a tune of the
other. With p and q the densities of intra- and inter-set distances (Gaussian kernels):

- Kullback-Leibler = integral of p log(p / q), in nats;
- overlapped area = integral of min(p, q), in [0, 1]; what is compared is 1 - overlapped area.

Sets alike in mean and in variety have 0 in both. A set that is less varied than the other, or lies
elsewhere, has nearer pairs inside than across. Both numbers are of generated tunes (intra) and of
generated with held-out tunes (inter).

Where tunes of one set differ much from each other, a shift of all of them hardly changes these
distances: a jig and a reel have other lengths, in whatever order. So transitions are compared once
more, without what the tune's own notes give in any order: with T the matrix of a tune's transitions
and v its fractions, x = T - v v^T. With m and m' the means of x in two sets,

- order beyond chance = sum_ij |m_ij - m'_ij| / 2.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from math import log2
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from otoscope.errors import ParameterError
from otoscope.folk.abc import Tune
from otoscope.folk.metrics.aspects import (
    Array,
    Aspect,
    DistanceKind,
    PopulationDistance,
    correct_together,
    distance_of,
    summarise_draws,
)
from otoscope.seeds import numpy_generator

__all__ = ["DensityFigure", "PairMelody", "compare_pairs", "density_overlap", "pair_features"]

_Indices: TypeAlias = "NDArray[np.int64]"

_MOST_TUNES: Final = 200  # of a set: all pairs are compared in each draw
_MOST_TRAIN: Final = 1000
_MOST_DRAWS: Final = 500  # of the bootstrap and of the floor; the permutations need all
_BINS: Final = 256  # up to the longest distance; as many before, and twice as many after
_GRID: Final = 4 * _BINS
_SHOWN: Final = 128  # points of a figure
_TINY: Final = 1e-12  # of the highest density: less is rounding
_KINDS: Final[tuple[DistanceKind, ...]] = ("Kullback-Leibler", "1 - overlapped area")
_ORDERS: Final = {2: 1, 8: 7}  # transitions, and what they are transitions of
_PITCHES: Final = 12
_LENGTHS: Final = tuple(
    Fraction(*length)
    for length in (
        *((1, 1), (1, 2), (1, 4), (1, 8), (1, 16)),
        *((3, 4), (3, 8), (3, 16), (3, 32)),
        *((1, 3), (1, 6), (1, 12)),
    )
)
"""Whole to 16th notes, dotted half to dotted 16th, triplet half to eighth, in whole notes."""

_DEFINITIONS: Final = {
    "pitch count": "number of different pitches",
    "pitch classes": "fractions of the 12 pitch classes, counted from the tonic",
    "pitch transitions": "fractions of the 144 pairs of successive pitch classes",
    "pitch range": "lowest to highest note, in semitones",
    "mean interval": "mean of the absolute intervals, in semitones",
    "note count": "number of notes",
    "mean onset gap": "mean time between successive onsets, in whole notes",
    "note lengths": "fractions of 12 lengths: plain, dotted and triplet",
    "length transitions": "fractions of the 144 pairs of successive lengths",
}


@dataclass(frozen=True)
class DensityFigure:
    """Densities of the distances between tunes, in one feature.

    Parameters
    ----------
    aspect, definition : str
        Name and definition of the feature.
    distances : tuple of float
        Distances, in ascending order.
    generated, held_out, between : tuple of float
        Densities at these distances: of pairs of generated tunes, of held-out tunes, and of a
        generated with a held-out tune.

    Examples
    --------
    >>> DensityFigure("note count", "", (0.0, 1.0), (1.0, 0.0), (1.0, 0.0), (0.5, 0.5)).between
    (0.5, 0.5)
    """

    aspect: str
    definition: str
    distances: tuple[float, ...]
    generated: tuple[float, ...]
    held_out: tuple[float, ...]
    between: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class PairMelody:
    """Melody of a tune as its features need it: small, so that many tunes can wait for a draw."""

    pitches: array[int]
    lengths: bytes  # numbers of the notes' lengths among the twelve
    mean_gap: float  # 0 of fewer than two notes
    tonic: int  # pitch class; 0 without tonic

    @classmethod
    def of(cls, tune: Tune | PairMelody) -> PairMelody:
        """Return the melody of a tune; a melody itself."""
        if isinstance(tune, PairMelody):
            return tune
        melody = tune.melody
        gaps = [float(after.onset - before.onset) for before, after in pairwise(melody)]
        return cls(
            array("h", [note.pitch for note in melody]),
            bytes(_length_class(note.duration) for note in melody),
            float(np.mean(gaps)) if gaps else 0.0,
            tune.key.tonic_pitch_class or 0,
        )


def compare_pairs(
    generated: Sequence[Tune | PairMelody],
    held_out: Sequence[Tune | PairMelody],
    train: Sequence[Tune | PairMelody] = (),
    *,
    n_draws: int = 2000,
    seed: int = 0,
) -> tuple[tuple[PopulationDistance, ...], tuple[DensityFigure, ...]]:
    """Compare distances between generated tunes with distances to held-out ones.

    Parameters
    ----------
    generated, held_out : sequence of Tune or PairMelody
        At least two tunes, each with two notes or more; shorter ones are left out. From a larger
        set, 200 tunes are drawn at random.
    train : sequence of Tune or PairMelody
        Real tunes for the noise floor; at most 1,000 are drawn.
    n_draws : int
        Number of draws of the permutation test, at least 1; the bootstrap and the floor have at
        most 500.
    seed : int
        Random seed.

    Returns
    -------
    tuple of PopulationDistance, tuple of DensityFigure
        Two distances and a figure for each of the nine features; of the two matrices of
        transitions a third distance.

    Raises
    ------
    ParameterError
        If a set has too few tunes, or ``n_draws`` is below 1.
    MissingExtra
        If statsmodels is not installed.

    Notes
    -----
    The features are those of Yang and Lerch, of the notes as written, with these differences:
    pitch classes are counted from the tonic, matrices are fractions instead of counts (tunes have
    different lengths), note lengths are the nearest of twelve, and both densities are taken at the
    same distances. Densities are computed from 256 bins, with Scott's bandwidth; those
    below 1e-12 of the highest count as that, so that a divergence is never infinite.

    References
    ----------
    Yang and Lerch (2020) :cite:`yang2020evaluation`, section 4.

    Examples
    --------
    >>> from otoscope.folk.data import generate_tune
    >>> tunes = [generate_tune(0, i) for i in range(12)]
    >>> distances, figures = compare_pairs(tunes[:6], tunes[6:], n_draws=5)
    >>> len(distances), figures[0].aspect
    (20, 'pitch count')
    """
    rng = numpy_generator(seed)
    most = (_MOST_TUNES, _MOST_TUNES, _MOST_TRAIN)
    sets = [
        _drawn([tune for tune in map(PairMelody.of, tunes) if len(tune.pitches) > 1], limit, rng)
        for tunes, limit in zip((generated, held_out, train), most, strict=True)
    ]
    sizes = [len(tunes) for tunes in sets]
    if min(sizes[:2]) < 2 or n_draws < 1:
        raise ParameterError(
            f"{sizes[0]} generated and {sizes[1]} held-out tunes have two notes, n_draws is "
            f"{n_draws}; need at least 2 tunes of each, and 1 draw"
        )
    features = [pair_features(tune) for tunes in sets for tune in tunes]
    distances, figures = list[PopulationDistance](), list[DensityFigure]()
    for place, name in enumerate(_DEFINITIONS):
        vectors = np.array([row[place] for row in features])
        pairs, real = _Pairs(vectors[: sum(sizes[:2])]), vectors[sizes[0] :]
        distances += _distances(name, pairs, real, sizes, n_draws, rng)
        if place in _ORDERS:
            rows = np.array([_excess(row[place], row[_ORDERS[place]]) for row in features])
            aspect = Aspect(name, "order beyond chance", rows)
            distances.append(distance_of(aspect, sizes, n_draws, rng))
        figures.append(_figure(name, pairs, sizes))
    return correct_together(distances), tuple(figures)


def pair_features(tune: Tune | PairMelody) -> list[Array]:
    """Compute the nine features of a tune.

    Parameters
    ----------
    tune : Tune or PairMelody
        Tune with at least two notes, or its melody.

    Returns
    -------
    list of array [column]
        Pitch count, pitch classes and transitions, range, mean interval, note count, mean onset
        gap, note lengths and length transitions.

    Examples
    --------
    >>> from otoscope.folk.abc import parse_tune
    >>> [row.tolist() for row in pair_features(parse_tune("L:1/4\\nK:G\\nGAG2|"))[3:7]]
    [[2.0], [2.0], [3.0], [0.25]]
    """
    melody = PairMelody.of(tune)
    pitches, lengths = list(melody.pitches), list(melody.lengths)
    classes = [(pitch - melody.tonic) % _PITCHES for pitch in pitches]
    return [
        np.array([len(set(pitches))], float),
        _fractions(classes, _PITCHES),
        _fractions([_PITCHES * a + b for a, b in pairwise(classes)], _PITCHES**2),
        np.array([max(pitches) - min(pitches)], float),
        np.array([np.abs(np.diff(pitches)).mean()]),
        np.array([len(pitches)], float),
        np.array([melody.mean_gap]),
        _fractions(lengths, len(_LENGTHS)),
        _fractions([len(_LENGTHS) * a + b for a, b in pairwise(lengths)], len(_LENGTHS) ** 2),
    ]


def density_overlap(first: Array, second: Array) -> tuple[float, float]:
    """Compute divergence and overlapped area of the densities of two samples.

    Parameters
    ----------
    first, second : array [value]
        Samples of numbers that are at least 0.

    Returns
    -------
    float, float
        Kullback-Leibler divergence of the first from the second density, in nats, and overlapped
        area, in [0, 1].

    Examples
    --------
    >>> density_overlap(np.arange(9.0), np.arange(9.0))
    (0.0, 1.0)
    """
    width = _bin_width(max(first.max(), second.max()))
    bins = [_bins(sample, width) for sample in (first, second)]
    p, q = (_densities(np.bincount(row, minlength=_BINS)[None], 1) for row in bins)
    divergence, missing = _compared(p, q)
    return float(divergence[0]), float(1 - missing[0])


class _Pairs:
    """Distances between all tunes in one feature, as numbers of bins.

    The bins reach to the longest. That of a tune with itself, after the last, is not counted.
    """

    def __init__(self, vectors: Array) -> None:
        distances = cdist(vectors, vectors)
        self.width = _bin_width(distances.max())
        self.bins = _bins(distances, self.width)
        np.fill_diagonal(self.bins, _BINS)

    def densities(self, first: _Indices, second: _Indices) -> Array:
        """Return densities [draw, grid] of distances of tunes [draw, i] to tunes [draw, j]."""
        counts = np.array(
            [
                np.bincount(self.bins[a[:, None], b].ravel(), minlength=_BINS + 1)[:_BINS]
                for a, b in zip(first, second, strict=True)
            ]
        )
        return _densities(counts, 2 if first is second else 1)

    def compare(self, first: _Indices, second: _Indices) -> tuple[Array, Array]:
        """Return both distances [draw] of tunes [draw, i] from tunes [draw, j]."""
        return _compared(self.densities(first, first), self.densities(first, second))


def _drawn(tunes: list[PairMelody], most: int, rng: np.random.Generator) -> list[PairMelody]:
    if len(tunes) <= most:
        return tunes
    return [tunes[i] for i in sorted(rng.choice(len(tunes), most, replace=False).tolist())]


def _distances(
    name: str,
    pairs: _Pairs,
    real: Array,
    sizes: Sequence[int],
    n_draws: int,
    rng: np.random.Generator,
) -> Iterator[PopulationDistance]:
    n, m, n_train = sizes
    few = min(n_draws, _MOST_DRAWS)
    values = pairs.compare(np.arange(n)[None], np.arange(n, n + m)[None])
    resampled = pairs.compare(rng.integers(n, size=(few, n)), n + rng.integers(m, size=(few, m)))
    dealt = rng.permuted(np.tile(np.arange(n + m), (n_draws, 1)), axis=1)
    permuted = pairs.compare(dealt[:, :n], dealt[:, n:])
    floors: tuple[Array | None, Array | None] = (None, None)
    if n_train > n:  # else each draw would be all of them
        train = m + rng.permuted(np.tile(np.arange(n_train), (few, 1)), axis=1)[:, :n]
        floors = _Pairs(real).compare(train, np.tile(np.arange(m), (few, 1)))
    for place, kind in enumerate(_KINDS):
        interval, p, floor = summarise_draws(
            float(values[place][0]), resampled[place], permuted[place], floors[place]
        )
        yield PopulationDistance(name, kind, interval, p, p, floor)


def _figure(name: str, pairs: _Pairs, sizes: Sequence[int]) -> DensityFigure:
    generated, held_out = (row[None] for row in np.split(np.arange(sum(sizes[:2])), [sizes[0]]))
    places = [(generated, generated), (held_out, held_out), (generated, held_out)]
    step = 2 * _BINS // _SHOWN
    shown = slice(_BINS - _BINS // 4, None, step)  # from a little below 0
    rows = [pairs.densities(*place)[0, shown][:_SHOWN] / pairs.width for place in places]
    distances = ((np.arange(_GRID) - _BINS + 0.5) * pairs.width)[shown][:_SHOWN]
    return DensityFigure(
        name, _DEFINITIONS[name], tuple(distances.tolist()), *(tuple(row.tolist()) for row in rows)
    )


def _bin_width(longest: float) -> float:
    return float(longest) * (1 + 1e-9) / _BINS or 1.0


def _bins(values: Array, width: float) -> _Indices:
    return (values / width).astype(np.int64)


def _densities(counts: NDArray[np.int64], times: int) -> Array:
    """Return densities [draw, grid] per bin from counts [draw, bin] of each value ``times`` over.

    The kernels have Scott's bandwidth, the standard deviation times n to the power of -1/5, but at
    least half a bin. Densities of nothing are NaN.
    """
    centres = np.arange(_BINS)
    with np.errstate(invalid="ignore", divide="ignore"):
        n = counts.sum(1, keepdims=True) / times
        shares = counts / (n * times)
        variance = (shares * centres**2).sum(1) - (shares * centres).sum(1) ** 2
        sample_variance = np.maximum(variance, 0) * (n / np.maximum(n - 1, 1))[:, 0]
        bandwidth = np.maximum(np.sqrt(sample_variance) * n[:, 0] ** -0.2, 0.5)
    padded = np.zeros((len(counts), _GRID))
    padded[:, _BINS : 2 * _BINS] = shares
    frequency = 2 * np.pi * np.fft.rfftfreq(_GRID)
    kernel = np.exp(-0.5 * (bandwidth[:, None] * frequency) ** 2)
    return np.asarray(np.fft.irfft(np.fft.rfft(padded, axis=1) * kernel, n=_GRID, axis=1))


def _compared(p: Array, q: Array) -> tuple[Array, Array]:
    """Return Kullback-Leibler divergence and 1 - overlapped area [draw] of densities."""
    tiny = _TINY * max(np.nanmax(p), np.nanmax(q))
    p, q = (np.maximum(density, tiny) for density in (p, q))
    divergence = np.maximum((p * np.log(p / q)).sum(1), 0.0)
    return divergence, np.maximum(1 - np.minimum(p, q).sum(1), 0.0)


def _excess(transitions: Array, shares: Array) -> Array:
    """Return transitions without those expected of the same notes in random order."""
    return np.asarray(transitions - np.outer(shares, shares).ravel())


@lru_cache(maxsize=4096)
def _length_class(duration: Fraction) -> int:
    return min(range(len(_LENGTHS)), key=lambda i: abs(log2(duration / _LENGTHS[i])))


def _fractions(values: Sequence[int], size: int) -> Array:
    return np.asarray(np.bincount(values, minlength=size) / len(values))

"""Names of units: concepts chosen on one half of the songs and tested on the other.

The agreement of a unit with a concept is the area under the ROC curve (AUC) of its activations for
the excerpts with the concept: 0.5 for a unit that knows nothing, below 0.5 for one that is low
where the concept is. Excerpts of a song depend on each other, so the test permutes whole songs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.stats import false_discovery_control, rankdata

from otoscope.errors import ParameterError
from otoscope.seeds import numpy_generator

__all__ = ["NamedUnits", "NamingRule", "SongTable", "name_units", "name_with_placebo"]

Floats = NDArray[np.float64]

_AT_ONCE = 1 << 24  # numbers of a table of pairs of songs
_DRAWS_AT_ONCE = 500
_EQUAL = 1e-9  # difference of two areas that is rounding


@dataclass(frozen=True)
class NamingRule:
    """Conditions of a name.

    Parameters
    ----------
    level : float
        Largest false discovery rate over all pairs of units and concepts, in (0, 1).
    least_auc : float
        Least AUC on the testing half, or 1 less the largest for a unit that is low where the
        concept is; in [0.5, 1).
    least_songs : int
        Songs with the concept, and songs without it, that each half needs; >= 1.
    permutations : int
        Number of permutations of the songs, >= 100.
    seed : int
        Random seed of halves and permutations.
    """

    level: float = 0.05
    least_auc: float = 0.75
    least_songs: int = 3
    permutations: int = 20_000
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.level < 1 or not 0.5 <= self.least_auc < 1:
            raise ParameterError(
                f"level is {self.level} and least_auc {self.least_auc}; must be in (0, 1) and "
                "[0.5, 1)"
            )
        if self.least_songs < 1 or self.permutations < 100:
            raise ParameterError(
                f"least_songs is {self.least_songs} and permutations {self.permutations}; must be "
                ">= 1 and >= 100"
            )


@dataclass(frozen=True, eq=False)
class SongTable:
    """Hold what is true of excerpts, and the song of each; excerpts of a song are in order.

    Parameters
    ----------
    names : tuple of str
        Names of the concepts.
    truths : array [excerpt, concept], bool
        Whether an excerpt has a concept.
    songs : array [excerpt], int
        Number of the song, from 0; not decreasing.
    """

    names: tuple[str, ...]
    truths: NDArray[np.bool_]
    songs: NDArray[np.intp]

    def __post_init__(self) -> None:
        if (
            self.truths.shape != (len(self.songs), len(self.names))
            or (np.diff(self.songs) < 0).any()
        ):
            raise ParameterError(
                f"truths has shape {self.truths.shape}, with {len(self.songs)} excerpts in order "
                f"of songs and {len(self.names)} concepts"
            )

    def halves(self, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Divide the songs at random into those that names are chosen on, and those of the test."""
        songs = np.unique(self.songs)
        if len(songs) < 4:
            raise ParameterError(f"there are {len(songs)} songs; names need two or more per half")
        drawn = numpy_generator(seed).permutation(songs)
        return np.sort(drawn[: len(songs) // 2]), np.sort(drawn[len(songs) // 2 :])

    def common(self, halves: Sequence[NDArray[np.intp]], least: int) -> NDArray[np.bool_]:
        """Return which concepts [concept] enough songs of each half have, and enough lack."""
        known = np.ones(len(self.names), dtype=bool)
        for half in halves:
            parts = [self.truths[self.songs == song] for song in half]
            with_it = np.sum([part.any(0) for part in parts], axis=0)
            without = np.sum([(~part).any(0) for part in parts], axis=0)
            known &= (with_it >= least) & (without >= least)
        return known


@dataclass(frozen=True, eq=False)
class NamedUnits:
    """Names of units, with what they rest on.

    Parameters
    ----------
    concepts : tuple of str
        Concepts that enough songs have and lack.
    left_out : tuple of str
        The others, which name nothing.
    chosen : array [unit], int
        Concept with the largest agreement on the half for choosing.
    is_high : array [unit], bool
        Whether the unit is high there where the concept is.
    choosing, testing : array [unit, concept]
        AUC on the two halves.
    p : array [unit, concept]
        Two-sided p-value on the testing half, by permutations of its songs.
    q : array [unit, concept]
        False discovery rate (Benjamini and Hochberg) over all pairs, on the testing half.
    is_named : array [unit], bool
        Whether the chosen concept holds on the testing half.
    """

    concepts: tuple[str, ...]
    left_out: tuple[str, ...]
    chosen: NDArray[np.intp]
    is_high: NDArray[np.bool_]
    choosing: Floats
    testing: Floats
    p: Floats
    q: Floats
    is_named: NDArray[np.bool_]

    @property
    def n_named(self) -> int:
        """Number of units with a name."""
        return int(self.is_named.sum())

    def name(self, unit: int) -> str:
        """Name a unit, "not X" if it is low where X is; "" if it has no name."""
        if not self.is_named[unit]:
            return ""
        return self.candidate(unit)

    def candidate(self, unit: int) -> str:
        """Return the concept that was chosen for a unit, whether or not the test bears it out."""
        concept = self.concepts[self.chosen[unit]]
        return concept if self.is_high[unit] else f"not {concept}"

    def evidence(self, unit: int) -> tuple[float, float, float]:
        """Return AUC on the half for choosing, AUC on the testing half, and q of the candidate."""
        at = unit, self.chosen[unit]
        return float(self.choosing[at]), float(self.testing[at]), float(self.q[at])


def name_units(activations: Floats, table: SongTable, rule: NamingRule) -> NamedUnits:
    """Name units by their agreement with concepts.

    Parameters
    ----------
    activations : array [excerpt, unit]
        Activations, finite.
    table : SongTable
        Truths of the excerpts.
    rule : NamingRule
        Conditions of a name.

    Returns
    -------
    NamedUnits
        Names and evidence.

    Raises
    ------
    ParameterError
        If there are fewer than four songs, no concept is in enough of them, or an activation is not
        finite.

    References
    ----------
    Benjamini and Hochberg (1995), by `scipy.stats.false_discovery_control`.
    """
    return name_with_placebo(activations, table, rule, shuffles=0)[0]


def name_with_placebo(
    activations: Floats, table: SongTable, rule: NamingRule, *, shuffles: int
) -> tuple[NamedUnits, list[int]]:
    """Name units; count also those that get a name in each shuffle of the songs' truths.

    A shuffle gives each song the truths of another song of its half, stretched to its length.
    """
    if len(activations) != len(table.songs) or not np.isfinite(activations).all():
        raise ParameterError(
            f"activations has shape {activations.shape} for {len(table.songs)} excerpts; must have "
            "a row for each, all finite"
        )
    halves = table.halves(rule.seed)
    known = table.common(halves, rule.least_songs)
    if not known.any():
        raise ParameterError(
            f"none of {len(known)} concepts is in {rule.least_songs} songs of each half, and lacks "
            "in as many: there is nothing to name units by; take more songs"
        )
    first, second = (_Half.of(activations, table, half, known) for half in halves)
    rng = numpy_generator(rule.seed, 1)
    choosing, testing = (half.areas(half.orders(shuffles, rng)) for half in (first, second))
    p = second.p_values(testing, rule)
    concepts, others = (
        tuple(name for name, is_one in zip(table.names, ones, strict=True) if is_one)
        for ones in (known, ~known)
    )
    named = [
        _decided(concepts, others, rule, choosing=a, testing=b, p=c)
        for a, b, c in zip(choosing, testing, p, strict=True)
    ]
    return named[0], [each.n_named for each in named[1:]]


def _decided(
    concepts: tuple[str, ...],
    left_out: tuple[str, ...],
    rule: NamingRule,
    *,
    choosing: Floats,
    testing: Floats,
    p: Floats,
) -> NamedUnits:
    """Choose a concept for each unit on one half, and decide on the other whether it holds."""
    q = false_discovery_control(p.ravel()).reshape(p.shape)
    chosen = np.abs(choosing - 0.5).argmax(1)
    units = np.arange(len(chosen))
    is_high = choosing[units, chosen] >= 0.5
    held = np.where(is_high, testing[units, chosen], 1 - testing[units, chosen])
    is_named = (q[units, chosen] <= rule.level) & (held >= rule.least_auc)
    return NamedUnits(concepts, left_out, chosen, is_high, choosing, testing, p, q, is_named)


@dataclass(frozen=True, eq=False)
class _Half:
    """Ranks of activations and truths of a half, by songs."""

    ranks: list[Floats]  # of each song, [excerpt, unit], among all excerpts of the half
    truths: list[Floats]  # of each song, [excerpt, concept]

    @classmethod
    def of(
        cls,
        activations: Floats,
        table: SongTable,
        half: NDArray[np.intp],
        known: NDArray[np.bool_],
    ) -> _Half:
        rows = [np.flatnonzero(table.songs == song) for song in half]
        ranks = rankdata(activations[np.concatenate(rows)], axis=0)
        ends = np.cumsum([len(row) for row in rows])[:-1]
        return cls(
            np.split(ranks, ends), [table.truths[row][:, known].astype(float) for row in rows]
        )

    def orders(self, shuffles: int, rng: np.random.Generator) -> NDArray[np.intp]:
        """Draw orders [1 + shuffle, song] of the songs' truths; the first is their own."""
        own = np.arange(len(self.ranks))
        return np.concatenate([own[None], rng.permuted(np.tile(own, (shuffles, 1)), axis=1)])

    def areas(self, orders: NDArray[np.intp]) -> Floats:
        """Return the AUC [order, unit, concept] if song a has the truths of song orders[a]."""
        return np.concatenate([self._ordered(orders, *each) for each in self._tables()], axis=1)

    def p_values(self, observed: Floats, rule: NamingRule) -> Floats:
        """Return p-values [order, unit, concept], both sides, of observed AUCs.

        They are the fractions of permutations of the songs that agree as much.
        """
        exceeded, first = np.zeros(observed.shape), 0
        for sums, counts in self._tables():
            part = slice(first, first := first + sums.shape[1] // counts.shape[1])
            least = np.abs(observed[:, part] - 0.5) - _EQUAL
            rng = numpy_generator(rule.seed, 2)  # the same permutations for all units
            for n in _parts(rule.permutations, _DRAWS_AT_ONCE):
                orders = rng.permuted(np.tile(np.arange(len(self.ranks)), (n, 1)), axis=1)
                drawn = np.abs(self._ordered(orders, sums, counts) - 0.5)
                for i, bound in enumerate(least):
                    exceeded[i, part] += (drawn >= bound).sum(0)
        p: Floats = (1 + exceeded) / (1 + rule.permutations)
        return p

    def _tables(self) -> Iterator[tuple[Floats, Floats]]:
        """Yield sums of ranks [pair of songs, unit x concept] and counts [pair, concept], by units.

        The pair (a, b) stands for song a with the truths of song b, so that an order of the songs
        adds as many rows as there are songs.
        """
        n_songs, n_units = len(self.ranks), self.ranks[0].shape[1]
        given = [[t[_places(len(r), len(t))] for t in self.truths] for r in self.ranks]
        counts = np.array([[t.sum(0) for t in row] for row in given]).reshape(n_songs**2, -1)
        width = max(1, _AT_ONCE // counts.size)
        for first in range(0, n_units, width):
            part = slice(first, first + width)
            sums = [
                [r[:, part].T @ t for t in row] for r, row in zip(self.ranks, given, strict=True)
            ]
            yield np.array(sums).reshape(n_songs**2, -1), counts

    def _ordered(self, orders: NDArray[np.intp], sums: Floats, counts: Floats) -> Floats:
        """Return the AUC [order, unit, concept] of the units of a table."""
        n, n_songs = orders.shape
        columns = (orders + n_songs * np.arange(n_songs)).ravel()
        rows = np.repeat(np.arange(n), n_songs)
        chosen = csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(n, n_songs**2))
        return self._areas(
            (chosen @ sums).reshape(n, -1, counts.shape[1]), (chosen @ counts)[:, None]
        )

    def _areas(self, sums: Floats, n_true: Floats) -> Floats:
        """Turn sums of ranks [..., unit, concept] into areas; 0.5 where all or none are true."""
        n_false = sum(map(len, self.ranks)) - n_true
        pairs = n_true * n_false
        areas = (sums - n_true * (n_true + 1) / 2) / np.where(pairs == 0, 1, pairs)
        return np.where(pairs == 0, 0.5, areas)


def _places(n: int, of: int) -> NDArray[np.intp]:
    """Place n excerpts evenly among those of a song of another length.

    >>> _places(4, 2).tolist(), _places(3, 3).tolist()
    ([0, 0, 1, 1], [0, 1, 2])
    """
    return np.arange(n) * of // n


def _parts(n: int, most: int) -> list[int]:
    return [min(most, n - first) for first in range(0, n, most)]

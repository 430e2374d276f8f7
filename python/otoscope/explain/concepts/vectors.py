"""Concept vectors: directions of a layer that separate examples with a concept from those without.

A vector is trained on some groups (SoundFonts, artists, songs) and tested on others. Placebo
concepts have the labels exchanged at random, within pairs or between groups: what is separated,
or moves an output, as well by them is no finding. Vectors between random sets of sounds tell what
any direction of the layer does to an output.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from math import comb, prod

import numpy as np
from numpy.typing import NDArray

from otoscope.errors import ParameterError

__all__ = ["ConceptRows", "Split", "concept_vectors", "group_splits", "random_vectors"]

Floats = NDArray[np.float64]
_RIDGE = 0.1  # of the mean squared length of a centred row


@dataclass(frozen=True, eq=False)
class ConceptRows:
    """Activations of examples of a concept, and of examples without it.

    Parameters
    ----------
    name : str
        Name of the concept.
    positive, negative : array [example, unit]
        Activations of a layer, averaged over positions.
    positive_groups, negative_groups : tuple of str
        Group of each example: SoundFont, artist or song.
    is_paired : bool
        Whether example i with the concept and example i without differ in the concept alone.

    Raises
    ------
    ParameterError
        If a side has fewer than four examples, or four groups (two of pairs), lengths differ, a
        value is not finite, or no unit varies.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(2, 8, 3))
    >>> names = tuple("abcdefgh")
    >>> ConceptRows("bright", *rows, names, names, is_paired=True).n_units
    3
    """

    name: str
    positive: Floats
    negative: Floats
    positive_groups: tuple[str, ...]
    negative_groups: tuple[str, ...]
    is_paired: bool = False

    def __post_init__(self) -> None:
        sides = (self.positive, self.positive_groups), (self.negative, self.negative_groups)
        for rows, groups in sides:
            if rows.ndim != 2 or len(rows) != len(groups) or len(rows) < 4:
                raise ParameterError(
                    f"concept {self.name!r} has activations of shape {rows.shape} for "
                    f"{len(groups)} groups, must be [example, unit] with 4 examples or more"
                )
            least = 2 if self.is_paired else 4  # exchanged groups; pairs are exchanged within
            if len(set(groups)) < least:
                raise ParameterError(
                    f"concept {self.name!r} has examples of {len(set(groups))} groups on a side; "
                    f"need {least} or more, to train on some and test on others"
                )
        if self.is_paired and self.positive_groups != self.negative_groups:
            raise ParameterError(f"concept {self.name!r} is paired, and its groups differ")
        if not np.isfinite(self.rows).all():
            raise ParameterError(f"concept {self.name!r} has activations that are NaN or infinite")
        if not np.ptp(self.rows, axis=0).any():
            raise ParameterError(
                f"concept {self.name!r}: none of {self.n_units} units varies over "
                f"{len(self.rows)} examples; such a layer holds no concept, take another"
            )

    @property
    def rows(self) -> Floats:
        """All activations [example, unit], those with the concept first.

        Of pairs, the differences from the pair's mean: a vector then tells which of two examples
        has the concept, whatever else they share.
        """
        centre = (self.positive + self.negative) / 2 if self.is_paired else 0.0
        rows: Floats = np.concatenate([self.positive - centre, self.negative - centre])
        return rows

    @property
    def groups(self) -> NDArray[np.str_]:
        """Group of each of all examples."""
        return np.array([*self.positive_groups, *self.negative_groups])

    @property
    def n_units(self) -> int:
        """Number of units."""
        return int(self.positive.shape[1])

    @property
    def labels(self) -> Floats:
        """1 for examples with the concept, -1 for those without: [example]."""
        return np.repeat([1.0, -1.0], [len(self.positive), len(self.negative)])

    def placebo_labels(self, n: int, rng: np.random.Generator) -> Floats:
        """Draw labels of placebo concepts: [placebo, example].

        Pairs are exchanged with probability 1/2; without pairs, groups are put in random order.
        """
        labels, n_pairs = self.labels, len(self.positive)
        if self.is_paired:
            flips = rng.choice([-1.0, 1.0], (n, n_pairs))
            exchanged: Floats = labels * np.concatenate([flips, flips], 1)
            return exchanged
        codes = np.unique(self.groups, return_inverse=True)[1]
        order = np.argsort(codes, kind="stable")
        drawn = np.empty((n, len(labels)))
        for row in drawn:
            shuffled = np.lexsort([rng.random(len(codes)), rng.permutation(codes.max() + 1)[codes]])
            row[order] = labels[shuffled]
        return drawn


@dataclass(frozen=True, eq=False)
class Split:
    """Examples to train on and examples of other groups to test on: arrays of bool [example]."""

    train: NDArray[np.bool_]
    test: NDArray[np.bool_]


def group_splits(concept: ConceptRows, n: int, rng: np.random.Generator) -> list[Split]:
    """Divide the groups of each side into halves, at random, or in all ways if these are fewer.

    Parameters
    ----------
    concept : ConceptRows
        Concept.
    n : int
        Largest number of divisions, >= 1.
    rng : Generator
        Random numbers.

    Returns
    -------
    list of Split
        Divisions; no group is on both sides of one. Three groups have 3: each is tested once.

    Examples
    --------
    >>> splits = group_splits(concept, 10, np.random.default_rng(0))  # doctest: +SKIP
    """
    both = set(concept.positive_groups) & set(concept.negative_groups)
    sides = [sorted(both)] if both else []
    for names in (concept.positive_groups, concept.negative_groups):
        sides.append(sorted(set(names) - both))
    halves = [(len(side) + 1) // 2 for side in sides]
    parts: Iterable[Sequence[Sequence[str]]]
    if prod(map(comb, map(len, sides), halves)) <= n:
        parts = product(*map(combinations, sides, halves))
    else:
        parts = (
            [
                rng.permutation(side)[:half].tolist()
                for side, half in zip(sides, halves, strict=True)
            ]
            for _ in range(n)
        )
    splits = []
    for chosen in parts:
        train = np.isin(concept.groups, [name for part in chosen for name in part])
        splits.append(Split(train, ~train))
    return splits


def concept_vectors(concept: ConceptRows, split: Split, labels: Floats) -> tuple[Floats, Floats]:
    """Fit a direction for each row of labels by ridge regression, and test it.

    Parameters
    ----------
    concept : ConceptRows
        Activations.
    split : Split
        Examples to train on and to test on.
    labels : array [concept, example]
        1 and -1; of the concept itself and of placebos.

    Returns
    -------
    vectors : array [concept, unit]
        Unit vectors in the space of activations, from examples without the concept to those with
        it.
    accuracy : array [concept]
        Fraction of the tested examples on the right side, the mean of both labels' fractions.

    References
    ----------
    Kim et al. (2018) :cite:`kim2018tcav`, section 3.2; ridge regression in place of their linear
    classifier by gradient descent, since it has one solution.

    Examples
    --------
    >>> vectors, accuracy = concept_vectors(concept, split, labels)  # doctest: +SKIP
    """
    rows = concept.rows[split.train]
    mean = rows.mean(0)
    z = rows - mean
    if not z.any():
        raise ParameterError(
            f"concept {concept.name!r}: no unit varies over the {len(rows)} examples that are "
            "trained on"
        )
    targets = labels[:, split.train].T
    offset = targets.mean(0)
    weights = _ridge(z, targets - offset)
    tested = concept.rows[split.test] - mean
    is_positive = tested @ weights.T + offset > 0  # [example, concept]
    truth = labels[:, split.test].T > 0
    parts = [
        np.where(side.any(0), (right & side).sum(0) / np.maximum(side.sum(0), 1), np.nan)
        for side, right in ((truth, is_positive), (~truth, ~is_positive))
    ]
    accuracy: Floats = np.nanmean(parts, axis=0)
    return _normed(weights), accuracy


def random_vectors(sounds: Floats, size: int, n: int, rng: np.random.Generator) -> Floats:
    """Fit directions between two random sets of sounds, several times.

    Parameters
    ----------
    sounds : array [sound, unit]
        Activations of a pool of sounds.
    size : int
        Number of sounds of both sets together, >= 2; at most the whole pool is drawn.
    n : int
        Number of directions, >= 1.
    rng : Generator
        Random numbers.

    Returns
    -------
    array [direction, unit]
        Unit vectors; zeros where the drawn sounds are equal.

    Raises
    ------
    ParameterError
        If a number is out of range, or the pool has fewer than two sounds.

    References
    ----------
    Kim et al. (2018) :cite:`kim2018tcav`, section 3.5: vectors of random sets against random sets.

    Examples
    --------
    >>> random_vectors(np.eye(4), 2, 3, np.random.default_rng(0)).shape
    (3, 4)
    """
    if min(size, len(sounds)) < 2 or n < 1:
        raise ParameterError(
            f"size is {size}, n {n} and the pool has {len(sounds)} sounds; must be >= 2, >= 1 and "
            ">= 2"
        )
    size = min(size, len(sounds))
    labels = np.where(np.arange(size) < size // 2, 1.0, -1.0)[:, None]
    vectors = []
    for _ in range(n):
        rows = sounds[rng.permutation(len(sounds))[:size]]
        vectors.append(_ridge(rows - rows.mean(0), labels - labels.mean())[0])
    return _normed(np.stack(vectors))


def _ridge(z: Floats, targets: Floats) -> Floats:
    """Regress centred targets [example, concept] on centred rows: weights [concept, unit]."""
    kernel = z @ z.T
    kernel[np.diag_indices(len(z))] += max(_RIDGE * np.trace(kernel) / len(z), 1e-300)
    weights: Floats = (z.T @ np.linalg.solve(kernel, targets)).T
    return weights


def _normed(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    normed: Floats = vectors / np.maximum(lengths, 1e-300)
    return normed

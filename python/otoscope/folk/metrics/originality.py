"""Originality: how near generated tunes are to a collection, beside held-out real tunes.

The nearness of a tune is its containment in the tune of the collection that has most of it: the
fraction of its runs of ten intervals that are there, in any key (0 original, 1 a copy). Real tunes
that are no copies share some as well, since they use one idiom; so the question is where generated
tunes lie in the distribution of held-out real ones.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from otoscope.errors import ParameterError
from otoscope.folk.abc import NgramIndex, Tune
from otoscope.folk.abc.ngrams import Melody
from otoscope.folk.metrics.aspects import (
    AspectFigure,
    PopulationDistance,
    correct_together,
    distance_of,
    figure_of,
    of_numbers,
)
from otoscope.seeds import numpy_generator

__all__ = ["Nearness", "Originality", "measure_originality"]

_ASPECT: Final = "nearness"
_DEFINITION: Final = "fraction of its runs of ten intervals in one tune of the collection"
_COPIED: Final = 0.5
_DIGITS: Final = 3


@dataclass(frozen=True)
class Nearness:
    """A generated tune beside the collection.

    Parameters
    ----------
    name : str
        Name of the tune.
    nearest : str
        Name of the tune of the collection that contains most of it, or "".
    containment : float
        Fraction of its runs of ten intervals there, in [0, 1].
    percentile : float
        Fraction of the held-out real tunes that are at most as near to the collection.

    Examples
    --------
    >>> Nearness("a.abc#1", "O'Neill 12", 0.08, 0.61).containment
    0.08
    """

    name: str
    nearest: str
    containment: float
    percentile: float


@dataclass(frozen=True)
class Originality:
    """Nearness of generated and of held-out tunes to a collection.

    Parameters
    ----------
    generated : tuple of Nearness
        Generated tunes, the nearest to the collection first.
    held_out : tuple of float
        Containment of the held-out tunes, in ascending order.
    collection : int
        Number of tunes of the collection.
    distances : tuple of PopulationDistance
        Distances of the two distributions, with noise floor.
    figure : AspectFigure
        Both distributions.

    Examples
    --------
    >>> from otoscope.folk.data import generate_tune
    >>> tunes = [(str(i), generate_tune(0, i)) for i in range(60)]
    >>> originality = measure_originality(tunes[:5], tunes[5:20], tunes[20:], n_draws=5)
    >>> originality.copies
    0
    """

    generated: tuple[Nearness, ...]
    held_out: tuple[float, ...]
    collection: int
    distances: tuple[PopulationDistance, ...]
    figure: AspectFigure

    @property
    def copies(self) -> int:
        """Number of generated tunes half of which, or more, is in one tune of the collection."""
        return sum(tune.containment >= _COPIED for tune in self.generated)

    @property
    def real_copies(self) -> int:
        """Number of held-out tunes of which the same holds."""
        return sum(value >= _COPIED for value in self.held_out)

    @property
    def sentence(self) -> str:
        """Number of copies, and place of the median generated tune among the real ones."""
        median = float(np.median([tune.percentile for tune in self.generated]))
        return (
            f"{self.copies:,} of {len(self.generated):,} generated tunes have half of their runs "
            f"of ten intervals or more in one of {self.collection:,} tunes of the collection, of "
            f"{len(self.held_out):,} held-out real ones {self.real_copies:,}. The median generated "
            f"tune is at least as near to the collection as {median:.0%} of the real ones."
        )


def measure_originality(
    generated: Sequence[tuple[str, Tune | Melody]],
    held_out: Sequence[tuple[str, Tune | Melody]],
    collection: Sequence[tuple[str, Tune | Melody]],
    *,
    n_draws: int = 2000,
    seed: int = 0,
) -> Originality:
    """Measure how near tunes are to a collection, beside real tunes that are not in it.

    Parameters
    ----------
    generated, held_out, collection : sequence of (str, Tune or Melody)
        Names and tunes, or their melodies, at least two of each.
    n_draws : int
        Number of draws of the bootstrap, of the permutation test and of the noise floor.
    seed : int
        Random seed of the draws.

    Returns
    -------
    Originality
        Nearness of each tune, and distances of the distributions.

    Raises
    ------
    ParameterError
        If there are fewer than two tunes of a kind, or ``n_draws`` is below 1.
    MissingExtra
        If statsmodels is not installed.

    Notes
    -----
    The noise floor is of tunes of the collection, each compared with all others but its near
    duplicates, which a split keeps together.

    Examples
    --------
    >>> from otoscope.folk.data import generate_tune
    >>> tunes = [(str(i), generate_tune(0, i)) for i in range(60)]
    >>> copied = measure_originality(tunes[20:25], tunes[5:20], tunes[20:], n_draws=5)
    >>> copied.generated[0].containment, copied.generated[0].percentile
    (1.0, 1.0)
    """
    sizes = [len(generated), len(held_out), len(collection)]
    if min(sizes) < 2 or n_draws < 1:
        raise ParameterError(
            f"{sizes[0]} generated tunes, {sizes[1]} held-out ones and {sizes[2]} of the collection"
            f" can be read, n_draws is {n_draws}; need at least 2 of each, and 1 draw"
        )
    index = NgramIndex()
    names = [f"{place}" for place in range(len(collection))]
    for name, (_, tune) in zip(names, collection, strict=True):
        index.add(name, tune)
    near_duplicates = {name: set(group) for group in index.groups(_COPIED) for name in group}
    ours = [_nearest(index, tune) for _, tune in generated]
    theirs = [_nearest(index, tune)[1] for _, tune in held_out]
    others = [
        _nearest(index, tune, near_duplicates[name])[1]
        for name, (_, tune) in zip(names, collection, strict=True)
    ]
    values = [round(value, _DIGITS) for value in [*(c for _, c in ours), *theirs, *others]]
    rng = numpy_generator(seed)
    aspects = of_numbers(_ASPECT, values)
    distances = correct_together([distance_of(a, sizes, n_draws, rng) for a in aspects])
    drawn = of_numbers(_ASPECT, values[: sum(sizes[:2])])[0]
    real = np.sort(theirs)
    rows = [
        Nearness(
            name,
            collection[int(nearest)][0] if nearest else "",
            containment,
            float((real <= containment).mean()),
        )
        for (name, _), (nearest, containment) in zip(generated, ours, strict=True)
    ]
    return Originality(
        tuple(sorted(rows, key=lambda row: -row.containment)),
        tuple(real.tolist()),
        len(collection),
        distances,
        figure_of(drawn, sizes[0], _DEFINITION),
    )


def _nearest(
    index: NgramIndex, tune: Tune | Melody, without: Container[str] = ()
) -> tuple[str, float]:
    """Return the first tune of the index that contains most of a tune, and how much."""
    shared = index.containment(tune)
    others = [(name, value) for name, value in shared.items() if name not in without]
    return max(others, key=lambda item: (item[1], -int(item[0])), default=("", 0.0))

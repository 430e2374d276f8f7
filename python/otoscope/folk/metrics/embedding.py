"""Frechet music distance: the Frechet distance between embeddings of real and generated tunes.

Normal distributions are fitted to the embeddings [tune, column] of both sets. The distance is
biased upwards by few tunes, so it means something only beside that of real tunes (the noise floor),
which has the same bias: to first order it is proportional to 1/n + 1/m, for n and m tunes.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from otoscope.errors import ParameterError
from otoscope.folk.metrics.aspects import PopulationDistance
from otoscope.metrics import (
    Extrapolation,
    FewRows,
    Interval,
    frechet_infinity,
    frechet_interval,
    frechet_of,
)
from otoscope.progress import Progress, silent, tracked
from otoscope.seeds import numpy_generator

__all__ = ["EmbeddingDistance", "compare_embeddings"]

_DRAWS: Final = 200
_POINTS: Final = 15


@dataclass(frozen=True, eq=False)
class EmbeddingDistance:
    """Frechet music distance of generated from held-out tunes.

    Parameters
    ----------
    distance : PopulationDistance
        Distance with its interval, p value and noise floor.
    infinity : Extrapolation, optional
        Extrapolation to infinitely many generated tunes; None if there are too few for one.
    sizes : tuple of int
        Numbers of generated tunes, of held-out ones, and of columns.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> rows = rng.normal(size=(80, 2))
    >>> compare_embeddings(rows[:40], rows[40:], n_draws=20).sizes
    (40, 40, 2)
    """

    distance: PopulationDistance
    infinity: Extrapolation | None
    sizes: tuple[int, int, int]

    @property
    def definition(self) -> str:
        """Inputs of the distance."""
        return f"normal distributions fitted to embeddings of {self.sizes[2]} columns"

    @property
    def notes(self) -> tuple[str, ...]:
        """Say what the bounds are of, and the limit for infinitely many tunes, if it is known."""
        n, m, columns = self.sizes
        bounds = (
            "The bounds of the Frechet music distance are for other sets of as many tunes, with "
            "the bias of few, which its floor has too: they are none for infinitely many tunes.",
        )
        if self.infinity is not None:
            return (
                f"With infinitely many generated tunes the Frechet music distance would be "
                f"{self.infinity.value:.3g} (extrapolated from {n:,}).",
                *bounds,
            )
        return (
            f"There are {n:,} generated and {m:,} held-out embeddings of {columns} columns: too "
            "few to extrapolate the Frechet music distance, which is too large unless there are "
            "many more tunes than columns. Compare it with its floor alone.",
            *bounds,
        )


def compare_embeddings(
    generated: NDArray[np.float64],
    held_out: NDArray[np.float64],
    train: NDArray[np.float64] | None = None,
    *,
    n_draws: int = 2000,
    seed: int = 0,
    progress: Progress = silent,
) -> EmbeddingDistance:
    """Measure the Frechet music distance of generated from real tunes.

    Parameters
    ----------
    generated, held_out : array [tune, column]
        Embeddings of the tunes by any model, at least four rows each.
    train : array [tune, column], optional
        Embeddings of more real tunes, for the noise floor: as many as there are generated ones are
        compared with the held-out tunes. Without them, as many held-out tunes as there are
        generated ones (at most half) are compared with the other held-out ones, and the distance is
        multiplied by (1/n + 1/m) / (1/n' + 1/m'), n and m being the numbers of generated and
        held-out tunes, n' and m' those of these parts.
    n_draws : int
        Number of draws of the permutation test, at least 1; bounds and floor have 200.
    seed : int
        Random seed of the draws.
    progress : bool or callable
        True shows a bar over the "permutations".

    Returns
    -------
    EmbeddingDistance
        Distance with interval, p value, noise floor and extrapolation.

    Raises
    ------
    ParameterError
        If arrays are not [tune, column] with equal columns, have a number that is not finite, have
        too few rows, or ``n_draws`` is below 1.

    References
    ----------
    Retkowski et al. (2024) :cite:`retkowski2024`; Chong and Forsyth (2020) :cite:`chong2020`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> rows = rng.normal(size=(80, 2))
    >>> compare_embeddings(rows[:40] + 9, rows[40:], n_draws=99).distance.p
    0.01
    """
    sets = [np.asarray(rows, dtype=np.float64) for rows in (generated, held_out)]
    more = None if train is None else np.asarray(train, dtype=np.float64)
    _check([*sets, *([] if more is None else [more])], n_draws)
    (ours, theirs), n, m = sets, len(sets[0]), len(sets[1])
    rng = numpy_generator(seed)
    x, y = torch.from_numpy(theirs), torch.from_numpy(ours)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewRows)  # it is in the notes
        interval = frechet_interval(x, y, resamples=_DRAWS, seed=seed)
        pooled, larger = np.concatenate(sets), 0
        for _ in tracked(progress, range(n_draws), "permutations"):
            dealt = rng.permutation(pooled)
            larger += _distance(dealt[:n], dealt[n:]) >= interval.value * (1 - 1e-12)
        floors = np.array([_floor(theirs, more, n, rng) for _ in range(_DRAWS)])
        infinity = None
        if n >= ours.shape[1] + _POINTS + 2:
            infinity = frechet_infinity(x, y, points=_POINTS, seed=seed)
    low, high = np.quantile(floors, [0.025, 0.975])
    floor = Interval(float(floors.mean()), float(low), float(high), 0.95)
    p = (1 + larger) / (1 + n_draws)
    distance = PopulationDistance("Frechet music distance", "Frechet", interval, p, p, floor)
    return EmbeddingDistance(distance, infinity, (n, m, ours.shape[1]))


def _check(sets: Sequence[NDArray[np.float64]], n_draws: int) -> None:
    shapes = " and ".join(str(rows.shape) for rows in sets)
    if any(rows.ndim != 2 for rows in sets) or len({rows.shape[1] for rows in sets}) != 1:
        raise ParameterError(
            f"embeddings have shapes {shapes}; must be [tune, column], equally wide"
        )
    if min(map(len, sets[:2])) < 4 or sets[0].shape[1] < 1 or n_draws < 1:
        raise ParameterError(
            f"embeddings have shapes {shapes} and n_draws is {n_draws}; need 4 tunes of each, "
            "a column, and 1 draw"
        )
    if not all(np.isfinite(rows).all() for rows in sets):
        raise ParameterError("embeddings have a number that is not finite; leave its tune out")


def _floor(
    held_out: NDArray[np.float64],
    train: NDArray[np.float64] | None,
    n: int,
    rng: np.random.Generator,
) -> float:
    if train is not None and len(train) > n:
        return _distance(rng.permutation(train)[:n], held_out)
    m = len(held_out)
    dealt, size = rng.permutation(held_out), min(n, m // 2)
    bias, bias_of_parts = 1 / n + 1 / m, 1 / size + 1 / (m - size)
    return _distance(dealt[:size], dealt[size:]) * bias / bias_of_parts


def _distance(generated: NDArray[np.float64], real: NDArray[np.float64]) -> float:
    return float(frechet_of(torch.from_numpy(real), torch.from_numpy(generated)))

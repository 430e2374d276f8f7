"""Intervals of distances by leaving songs out, never by drawing them twice.

A bootstrap repeats rows, which biases distances that compare neighbours or pairs. Distances that
are smooth in their sets leave out one group at a time (jackknife); scores that jump, such as counts
of neighbours or of clusters, leave out half of the groups at random.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import scipy
import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.metrics.interval import Interval
from otoscope.metrics.resampling import group_numbers
from otoscope.progress import Progress, silent, tracked
from otoscope.seeds import torch_generator

__all__ = [
    "block_numbers",
    "half_sample_intervals",
    "interval_of_left_out",
    "jackknife_interval",
]

Groups = tuple[Tensor | None, Tensor | None]


def jackknife_interval(
    distance: Callable[[Tensor, Tensor], Tensor | float],
    real: Tensor,
    generated: Tensor,
    *,
    groups: Groups = (None, None),
    level: float = 0.95,
    is_biased: bool = False,
    progress: Progress = silent,
) -> Interval:
    """Compute a jackknife interval of a distance, leaving out one group at a time.

    Parameters
    ----------
    distance : callable
        Function (real, generated) -> number, smooth in its sets.
    real, generated : Tensor [row, column]
        Features.
    groups : (Tensor [row] or None, Tensor [row] or None)
        Group number of each row of the real and of the generated set, such as its song; two groups
        or more. By default each row is a group.
    level : float
        Confidence level, in (0, 1).
    is_biased : bool
        Whether to correct the bounds for a bias that falls as one over the number of groups, as
        that of a Frechet distance does; the value stays that of the sets.
    progress : bool or callable
        True shows a bar over the "songs left out".

    Returns
    -------
    Interval
        Distance of the sets, and bounds by Student's t with the standard errors of both sides.

    Raises
    ------
    ParameterError
        If a side has fewer than two groups, or ``level`` is out of range.

    References
    ----------
    Davison and Hinkley (1997) :cite:`davison1997`, sections 2.7.3 and 3.2.1.

    Examples
    --------
    >>> rows = torch.arange(30.0)[:, None]
    >>> each = jackknife_interval(lambda x, y: (x.mean() - y.mean()).abs(), rows, rows + 5)
    >>> each.value, each.low < 5 < each.high
    (5.0, True)
    """
    _check_level(level)
    numbers = _numbers(real, generated, groups)
    tasks = [(side, n) for side, of in enumerate(numbers) for n in range(int(of.max()) + 1)]
    left_out: tuple[list[float], list[float]] = ([], [])
    for side, group in tracked(progress, tasks, "songs left out"):
        sets = [real, generated]
        sets[side] = sets[side][numbers[side] != group]
        left_out[side].append(float(distance(*sets)))
    parts = [torch.tensor(values, dtype=torch.float64) for values in left_out]
    value = float(distance(real, generated))
    return interval_of_left_out(value, parts, level=level, is_biased=is_biased)


def interval_of_left_out(
    value: float, left_out: Sequence[Tensor], *, level: float = 0.95, is_biased: bool = False
) -> Interval:
    """Compute the jackknife interval of a value, given those without each group [group] per side.

    See `jackknife_interval`.
    """
    variance, centre = 0.0, value
    for values in left_out:
        n = len(values)
        variance += (n - 1) / n * float((values - values.mean()).square().sum())
        if is_biased:
            centre -= (n - 1) * (float(values.mean()) - value)
    fewest = min(len(values) for values in left_out)
    reach = _quantile(level, fewest) * math.sqrt(variance)
    return Interval(value, centre - reach, centre + reach, level)


def half_sample_intervals(  # noqa: PLR0913  # settings are keyword-only
    scores: Callable[[Tensor, Tensor], Sequence[float]],
    real: Tensor,
    generated: Tensor,
    *,
    groups: Groups = (None, None),
    level: float = 0.95,
    samples: int = 60,
    seed: int = 0,
    progress: Progress = silent,
) -> tuple[Interval, ...]:
    """Compute intervals of scores from random halves of the groups of both sides.

    Parameters
    ----------
    scores : callable
        Function (real, generated) -> numbers, which need not be smooth.
    real, generated : Tensor [row, column]
        Features.
    groups : (Tensor [row] or None, Tensor [row] or None)
        Group number of each row, such as its song; four groups or more. By default each row is one.
    level : float
        Confidence level, in (0, 1).
    samples : int
        Number of halves, >= 20.
    seed : int
        Random seed of the halves.
    progress : bool or callable
        True shows a bar over the "half samples".

    Returns
    -------
    tuple of Interval
        Scores of the sets, each with bounds by Student's t. The standard error is the deviation of
        the scores of halves: half of the groups vary among halves as all of them do among
        collections.

    Raises
    ------
    ParameterError
        If a side has fewer than four groups, or a setting is out of range.

    Notes
    -----
    The bounds are of the score at this number of rows: counts of neighbours depend on it.

    References
    ----------
    Shao and Wu (1989) :cite:`shao1989`: the jackknife that leaves out many.

    Examples
    --------
    >>> rows = torch.arange(30.0)[:, None]
    >>> (each,) = half_sample_intervals(lambda x, y: [float(x.median())], rows, rows)
    >>> each.value, each.low < 14 < each.high
    (14.0, True)
    """
    _check_level(level)
    if samples < 20:
        raise ParameterError(f"samples is {samples}, must be >= 20")
    numbers, generator = _numbers(real, generated, groups, least=4), torch_generator(seed)
    drawn = []
    for index in tracked(progress, range(samples), "half samples"):
        halves = []
        for rows, of in zip((real, generated), numbers, strict=True):
            n = int(of.max()) + 1
            kept = torch.randperm(n, generator=generator)[: (n + index % 2) // 2]
            halves.append(rows[torch.isin(of, kept.to(of.device))])
        drawn.append(list(scores(*halves)))
    errors = torch.tensor(drawn, dtype=torch.float64).std(0)
    reach = _quantile(level, min(int(of.max()) + 1 for of in numbers))
    return tuple(
        Interval(value, value - reach * error, value + reach * error, level)
        for value, error in zip(scores(real, generated), errors.tolist(), strict=True)
    )


def block_numbers(numbers: Tensor, most: int) -> Tensor:
    """Deal groups at random into at most ``most`` blocks: the block of each row [row].

    A jackknife over blocks costs as many distances as there are blocks, however many songs.
    """
    order = torch.randperm(int(numbers.max()) + 1, generator=torch_generator(0))
    blocks: Tensor = (order % most).to(numbers.device)[numbers]
    return blocks


def _numbers(
    real: Tensor, generated: Tensor, groups: Groups, *, least: int = 2
) -> tuple[Tensor, Tensor]:
    """Number the groups of both sides, ``least`` or more."""
    first = group_numbers("real", real, groups[0])
    second = group_numbers("generated", generated, groups[1])
    for side, of in (("real", first), ("generated", second)):
        n = int(of.max()) + 1 if len(of) else 0
        if n < least:
            has = "is one group" if n == 1 else f"has {n} groups"
            raise ParameterError(f"the {side} set {has}; an interval takes {least} or more")
    return first, second


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ParameterError(f"level is {level}, must be in (0, 1)")


def _quantile(level: float, n: int) -> float:
    """Return Student's quantile for n groups."""
    return float(scipy.stats.t.ppf((1 + level) / 2, n - 1))

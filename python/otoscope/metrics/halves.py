"""Intervals of scores of two sets from random halves of their songs, which repeat no song.

A bootstrap repeats rows, which biases distances: those of covariances, of pairs and of neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import scipy
import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.metrics.interval import Interval
from otoscope.progress import Progress, silent, tracked
from otoscope.seeds import torch_generator

__all__ = [
    "LEAST",
    "Groups",
    "block_numbers",
    "group_numbers",
    "half_sample_intervals",
    "interval_of_halves",
    "numbered_groups",
    "random_halves",
]

Groups = tuple[Tensor | None, Tensor | None]

LEAST = 4
"""Groups of a side that an interval takes: each half then has two."""


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
    The bounds are of the score at these numbers of groups and rows, on which counts of neighbours
    and Frechet distances depend: they are no bounds of the score of infinitely many.

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
    numbers = numbered_groups(real, generated, groups)
    counts = [int(of.max()) + 1 for of in numbers]
    drawn = []
    halves = random_halves(counts, samples, seed, level=level)
    for kept in tracked(progress, list(halves), "half samples"):
        sides = zip((real, generated), numbers, kept, strict=True)
        drawn.append(
            list(scores(*(x[torch.isin(of, half.to(of.device))] for x, of, half in sides)))
        )
    parts = torch.tensor(drawn, dtype=torch.float64).unbind(1)
    return tuple(
        interval_of_halves(value, part, level=level, fewest=min(counts))
        for value, part in zip(scores(real, generated), parts, strict=True)
    )


def random_halves(
    counts: Sequence[int], samples: int, seed: int, *, level: float = 0.95
) -> Iterator[list[Tensor]]:
    """Draw half of the groups of each side: of each sample, the numbers [kept] of those kept."""
    if not 0 < level < 1 or samples < 20:
        raise ParameterError(
            f"level is {level} and the number of samples is {samples}; must be in (0, 1) and >= 20"
        )
    generator = torch_generator(seed)
    return (
        [torch.randperm(n, generator=generator)[: (n + index % 2) // 2] for n in counts]
        for index in range(samples)
    )


def interval_of_halves(
    value: float, drawn: Tensor, *, level: float, fewest: int, centre: float | None = None
) -> Interval:
    """Put bounds around the value, or a centre, by the deviation of scores of halves [sample]."""
    reach = float(scipy.stats.t.ppf((1 + level) / 2, fewest - 1) * drawn.std())
    centre = value if centre is None else centre
    return Interval(value, centre - reach, centre + reach, level)


def block_numbers(numbers: Tensor, most: int) -> Tensor:
    """Deal groups at random into at most ``most`` blocks: the block of each row [row]."""
    order = torch.randperm(int(numbers.max()) + 1, generator=torch_generator(0))
    blocks: Tensor = (order % most).to(numbers.device)[numbers]
    return blocks


def numbered_groups(real: Tensor, generated: Tensor, groups: Groups) -> tuple[Tensor, Tensor]:
    """Number the groups [row] of both sides from 0; refuse a side of fewer than four."""
    second = group_numbers("generated", generated, groups[1])
    first = group_numbers("real", real, groups[0])
    for side, of in (("generated", second), ("real", first)):
        n = int(of.max()) + 1 if len(of) else 0
        if n < LEAST:
            has = "is one group" if n == 1 else f"has {n} groups"
            raise ParameterError(f"the {side} set {has}; an interval takes {LEAST} or more")
    return first, second


def group_numbers(
    side: str, features: Tensor, group: Tensor | None, *, by_row: bool = True
) -> Tensor:
    """Number groups of rows [row] from 0; without groups each row is one, or all rows are."""
    if group is None:
        each = torch.arange(len(features), device=features.device)
        return each if by_row else torch.zeros_like(each)
    if group.shape != features.shape[:1]:
        raise ParameterError(
            f"the {side} set has {len(features)} rows, its groups {tuple(group.shape)}"
        )
    numbers: Tensor = torch.unique(group.to(features.device), return_inverse=True)[1]
    return numbers

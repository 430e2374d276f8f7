"""Kernel distances: unbiased squared maximum mean discrepancy, by sums over groups of rows.

The kernel distance (KID) has a polynomial kernel, the kernel audio distance a Gaussian one.

The estimate needs no covariance: its expectation is exact for any number >= 2 of independent rows,
and it scatters around 0, with both signs, for sets from one distribution. Rows of one song are
alike: as pairs of a set they raise the distance, and intervals leave these pairs out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.metrics.feature_set import check_features
from otoscope.metrics.halves import (
    Groups,
    block_numbers,
    group_numbers,
    interval_of_halves,
    numbered_groups,
    random_halves,
)
from otoscope.metrics.interval import Interval

__all__ = [
    "Gaussian",
    "KernelSums",
    "Polynomial",
    "kernel_bounds",
    "kernel_distance",
    "kernel_interval",
]

_MOST = 1000  # blocks of songs, whose pairs are kept
_BLOCK = 2048  # rows per block: a block of the kernel matrix has 32 MB


def kernel_distance(
    real: Tensor,
    generated: Tensor,
    *,
    degree: int = 3,
    gamma: float | None = None,
    coef: float = 1.0,
) -> Tensor:
    """Compute the squared maximum mean discrepancy between two sets of features.

    Parameters
    ----------
    real, generated : Tensor [row, column]
        Features, at least 2 rows each.
    degree : int
        Degree of the kernel, >= 1.
    gamma : float, optional
        Scale of the inner products, > 0; by default 1 / columns.
    coef : float
        Constant term of the kernel, >= 0.

    Returns
    -------
    Tensor [], float64
        mean k(x, x') + mean k(y, y') - 2 mean k(x, y) with k(x, y) = (gamma x.y + coef)^degree,
        over pairs of distinct rows. May be negative.

    Raises
    ------
    ParameterError
        If shapes do not fit, a row is not finite, or a setting is out of range.

    References
    ----------
    Gretton et al. (2012) :cite:`gretton2012`, lemma 6; Bińkowski et al. (2018)
    :cite:`binkowski2018` (KID: degree 3, gamma 1 / columns, coef 1).

    Examples
    --------
    >>> kernel_distance(torch.tensor([[0.0], [0.0]]), torch.tensor([[1.0], [1.0]]))
    tensor(7., dtype=torch.float64)
    """
    return KernelSums.of(real, generated, Polynomial(degree, gamma, coef)).whole()


def kernel_interval(  # noqa: PLR0913  # settings are keyword-only
    real: Tensor,
    generated: Tensor,
    *,
    level: float = 0.95,
    resamples: int = 60,
    groups: Groups = (None, None),
    degree: int = 3,
    gamma: float | None = None,
    coef: float = 1.0,
    seed: int = 0,
) -> Interval:
    """Compute an interval of the kernel distance between the distributions of songs.

    Parameters
    ----------
    real, generated : Tensor [row, column]
        Features.
    level : float
        Confidence level, in (0, 1).
    resamples : int
        Number of random halves, >= 20.
    groups : (Tensor [row] or None, Tensor [row] or None)
        Group number of each row of the real and of the generated set, four groups or more. They are
        left out whole: excerpts of one song are not independent. By default each row is a group.
    degree, gamma, coef : int, float or None, float
        Kernel, see `kernel_distance`.
    seed : int
        Random seed.

    Returns
    -------
    Interval
        Distance of the samples, with bounds by Student's t and the deviation of random halves.

    Raises
    ------
    ParameterError
        If features do not fit, as in `kernel_distance`, a side has fewer than four groups, or a
        setting is out of range.

    Notes
    -----
    The bounds are around the distance that leaves out pairs of rows of one group. Its expectation
    is exact, also where rows of a group are alike; `kernel_distance` is then larger, and may lie
    above the bounds.

    References
    ----------
    Shao and Wu (1989) :cite:`shao1989`: the jackknife that leaves out many.

    Examples
    --------
    >>> x = torch.arange(40.0)[:, None] / 40
    >>> interval = kernel_interval(x, x + 1)
    >>> interval.low < interval.value < interval.high
    True
    """
    kernel = Polynomial(degree, gamma, coef)
    return kernel_bounds(
        real, generated, kernel, level=level, samples=resamples, groups=groups, seed=seed
    )


def kernel_bounds(  # settings are keyword-only
    real: Tensor,
    generated: Tensor,
    kernel: Polynomial | Gaussian,
    *,
    level: float = 0.95,
    samples: int = 60,
    groups: Groups = (None, None),
    seed: int = 0,
) -> Interval:
    """Compute the interval of any kernel; see `kernel_interval`.

    Sums of the kernel over the pairs of two groups, at most 1000 of a side, are computed once.
    """
    check_features(real)
    check_features(generated, columns=real.shape[-1])
    numbers = numbered_groups(real, generated, groups)
    blocks = block_numbers(numbers[0], _MOST), block_numbers(numbers[1], _MOST)
    sums = KernelSums.of(real, generated, kernel, groups=blocks)
    apart = sums.between_groups()
    counts = [len(apart.real.counts), len(apart.generated.counts)]
    copies = [torch.zeros(samples, n, dtype=torch.float64) for n in counts]
    for index, kept in enumerate(random_halves(counts, samples, seed, level=level)):
        for copy, half in zip(copies, kept, strict=True):
            copy[index, half] = 1
    drawn = apart.distances(*(copy.to(apart.between.device) for copy in copies))
    return interval_of_halves(
        float(sums.whole()), drawn, level=level, fewest=min(counts), centre=float(apart.whole())
    )


@dataclass(frozen=True)
class Polynomial:
    """Kernel (gamma x.y + coef)^degree; without ``gamma`` it is 1 / columns."""

    degree: int = 3
    gamma: float | None = None
    coef: float = 1.0

    def __post_init__(self) -> None:
        degree, gamma, coef = self.degree, self.gamma, self.coef
        is_scale = gamma is None or 0 < gamma < inf
        if not isinstance(degree, int) or degree < 1 or not is_scale or not 0 <= coef < inf:
            raise ParameterError(
                f"degree is {degree}, gamma {gamma} and coef {coef}; must be a whole number >= 1, "
                "and finite, > 0 and >= 0"
            )

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Compute the kernel of all pairs [row of x, row of y]."""
        return (self._scale(x) * x @ y.mT + self.coef).pow(self.degree)

    def own(self, x: Tensor) -> Tensor:
        """Compute the kernel of each row with itself [row]."""
        return (self._scale(x) * x.square().sum(-1) + self.coef).pow(self.degree)

    def _scale(self, x: Tensor) -> float:
        return 1 / x.shape[-1] if self.gamma is None else self.gamma


@dataclass(frozen=True)
class Gaussian:
    """Kernel exp(-d^2 / (2 bandwidth^2)) of the Euclidean distance d."""

    bandwidth: float

    def __post_init__(self) -> None:
        if not 0 < self.bandwidth < inf:
            raise ParameterError(
                f"bandwidth is {self.bandwidth}, must be finite and > 0: rows must differ"
            )

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Compute the kernel of all pairs [row of x, row of y]."""
        distances = torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
        return (distances.square() / (-2 * self.bandwidth**2)).exp()

    def own(self, x: Tensor) -> Tensor:
        """Compute the kernel of each row with itself [row]."""
        return x.new_ones(len(x))


@dataclass(frozen=True, eq=False)
class _Within:
    """Rows [group] of a set, and sums of the kernel over pairs of groups.

    ``pairs`` is [group, group]; ``own`` and ``n_own`` [group] are sum and number of the pairs
    within a group that do not count: rows with themselves, or all of them.
    """

    counts: Tensor
    pairs: Tensor
    own: Tensor
    n_own: Tensor

    def mean(self, kept: Tensor) -> Tensor:
        """Average over the pairs that count, of groups that have a 1 [sample, group]."""
        total = ((kept @ self.pairs) * kept).sum(1) - kept @ self.own
        return total / ((kept @ self.counts).square() - kept @ self.n_own)

    def between_groups(self) -> _Within:
        """Leave out all pairs within a group."""
        return replace(self, own=self.pairs.diagonal(), n_own=self.counts.square())


@dataclass(frozen=True, eq=False)
class KernelSums:
    """Sums of the kernel over the pairs of groups, from which distances of subsets follow."""

    real: _Within
    generated: _Within
    between: Tensor

    @classmethod
    def of(
        cls,
        real: Tensor,
        generated: Tensor,
        kernel: Polynomial | Gaussian,
        *,
        groups: Groups = (None, None),
    ) -> KernelSums:
        """Sum a kernel; ``groups`` are numbers [row]. Without groups a set is one group."""
        check_features(real)
        check_features(generated, columns=real.shape[-1])
        x, y = real.detach().double(), generated.detach().double()
        for side, rows in (("real", x), ("generated", y)):
            if len(rows) < 2:
                raise ParameterError(f"the {side} set has {len(rows)} rows; pairs take 2 or more")
            bad = (~rows.isfinite()).any(-1).nonzero()
            if len(bad):
                raise ParameterError(f"row {int(bad[0])} of the {side} set holds NaN or infinity")
        numbers = [
            group_numbers(side, rows, group, by_row=False)
            for side, rows, group in (("real", x, groups[0]), ("generated", y, groups[1]))
        ]

        def totals(a: Tensor, b: Tensor, of_a: Tensor, of_b: Tensor) -> Tensor:
            n_a, n_b = int(of_a.max()) + 1, int(of_b.max()) + 1
            total = a.new_zeros(n_a, n_b)
            for part, of_part in zip(a.split(_BLOCK), of_a.split(_BLOCK), strict=True):
                total.index_add_(0, of_part, _by_group(kernel(part, b), of_b, n_b))
            return total

        def within(a: Tensor, of_a: Tensor) -> _Within:
            own = kernel.own(a)[None]
            n = int(of_a.max()) + 1
            counts = torch.bincount(of_a, minlength=n).double()
            return _Within(counts, totals(a, a, of_a, of_a), _by_group(own, of_a, n)[0], counts)

        sums = cls(within(x, numbers[0]), within(y, numbers[1]), totals(x, y, *numbers))
        of_pairs = sums.real.pairs.sum() + sums.generated.pairs.sum() + sums.between.sum()
        if not bool(of_pairs.isfinite()):
            raise ParameterError("the kernel of the features overflows float64; scale them")
        return sums

    def whole(self) -> Tensor:
        """Compute the distance [] of the two sets."""
        sides = (self.real.counts, self.generated.counts)
        return self.distances(*(torch.ones_like(counts)[None] for counts in sides))[0]

    def between_groups(self) -> KernelSums:
        """Leave out pairs of rows of one group: unbiased also where these are alike."""
        return replace(
            self, real=self.real.between_groups(), generated=self.generated.between_groups()
        )

    def distances(self, real: Tensor, generated: Tensor) -> Tensor:
        """Compute distances [sample] of the groups with a 1 [sample, group] on both sides.

        Where no pairs count, as those of a single row, the distance is NaN.
        """
        cross = ((real @ self.between) * generated).sum(1)
        n_cross = (real @ self.real.counts) * (generated @ self.generated.counts)
        return self.real.mean(real) + self.generated.mean(generated) - 2 * cross / n_cross


def _by_group(values: Tensor, of: Tensor, n: int) -> Tensor:
    """Sum columns [row, column] by group: [row, group]."""
    if n == 1:
        return values.sum(1, keepdim=True)
    if n == len(of):
        return values[:, of.argsort()]
    return values.new_zeros(len(values), n).index_add_(1, of, values)

"""The Frechet distance between normal distributions, exact for covariances of any rank.

A factor is A [rank, column] with A^T A = S, the covariance. tr sqrt(S1 S2) is the nuclear norm of
A1 A2^T, the sum of its singular values, whatever the factors; and the sum of the roots of the
eigenvalues of A1 S2 A1^T. All is float64; leading axes are distributions, and broadcast.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from otoscope.errors import ParameterError

__all__ = ["Normal", "check_normal", "distance", "frechet_distance", "squared_distance"]

_EPS = torch.finfo(torch.float64).eps
_TOLERANCE = 2.5e-10  # of the sum of the traces: what rounding may take from or add to a norm
_ROUNDING = 1e-6  # of a covariance's size: what float32 may do to it
_BLOCK = 256  # rows of a product at a time


@dataclass(frozen=True, eq=False)
class Normal:
    """A normal distribution, by its covariance or a factor of it.

    Parameters
    ----------
    mean : Tensor [..., column]
        float64.
    covariance : Tensor [..., column, column], optional
        float64, symmetric, no eigenvalue below 0 but for rounding.
    rows : Tensor [..., row, column], optional
        Instead: the factor itself, features less their mean, by the root of their number.

    Examples
    --------
    >>> Normal(torch.zeros(2), torch.eye(2)).trace
    tensor(2.)
    """

    mean: Tensor
    covariance: Tensor | None = None
    rows: Tensor | None = None

    @cached_property
    def trace(self) -> Tensor:
        """Sum of the variances: Tensor [...]."""
        if self.covariance is not None:
            return self.covariance.diagonal(dim1=-2, dim2=-1).sum(-1)
        return self.factor.square().sum((-2, -1))

    @cached_property
    def cholesky(self) -> Tensor | None:
        """The upper factor, or None where a pivot is nothing but rounding, or for rows."""
        if self.covariance is None:
            return None
        lower, info = torch.linalg.cholesky_ex(self.covariance)
        largest = self.covariance.diagonal(dim1=-2, dim2=-1).amax(-1)
        pivot = lower.diagonal(dim1=-2, dim2=-1).amin(-1).square()
        definite = (info == 0) & (pivot > lower.shape[-1] * _EPS * largest)
        return lower.mT if bool(definite.all()) else None

    @cached_property
    def factor(self) -> Tensor:
        """A with A^T A = covariance: Tensor [..., rank, column]; see `_eigen_factor`."""
        if self.rows is not None:
            return self.rows
        if self.cholesky is not None:
            return self.cholesky
        return _eigen_factor(self.covariance)


def frechet_distance(mean1: Tensor, cov1: Tensor, mean2: Tensor, cov2: Tensor) -> Tensor:
    """Find the Frechet distance between normal distributions, squared as everyone quotes it.

    Parameters
    ----------
    mean1 : Tensor [..., column]
        Mean of the first distribution, usually the real set.
    cov1 : Tensor [..., column, column]
        Its covariance.
    mean2 : Tensor [..., column]
        Mean of the second. Leading axes broadcast: one real set against many candidates.
    cov2 : Tensor [..., column, column]
        Its covariance.

    Returns
    -------
    Tensor [...], float64
        norm(mean1 - mean2)^2 + tr(cov1 + cov2 - 2 sqrt(cov1 cov2)), >= 0.

    Raises
    ------
    ParameterError
        If shapes do not fit, or a covariance is none (see `check_normal`).

    References
    ----------
    Dowson and Landau, "The Frechet distance between multivariate normal distributions", 1982.
    For one neuron (column = 1): Mishra et al., "GAN-based generation and automatic selection of
    explanations for neural networks", 2019, section 3.

    Examples
    --------
    >>> one = torch.eye(1)
    >>> frechet_distance(torch.zeros(1), 4 * one, torch.ones(1), 9 * one)  # 1 + (3 - 2)^2
    tensor(2., dtype=torch.float64)
    """
    first = check_normal(mean1, cov1, names=("mean1", "cov1"))
    second = check_normal(mean2, cov2, names=("mean2", "cov2"))
    if mean1.shape[-1] != mean2.shape[-1]:
        raise ParameterError(
            f"mean1 has {mean1.shape[-1]} columns, mean2 has {mean2.shape[-1]}; "
            "distances are between features of the same width"
        )
    return distance(first, second)


def check_normal(
    mean: Tensor, covariance: Tensor, *, names: tuple[str, str] = ("mean", "cov")
) -> Normal:
    """Refuse what is no mean and covariance.

    Parameters
    ----------
    mean : Tensor [..., column]
        Mean of the normal distribution.
    covariance : Tensor [..., column, column]
        Symmetric, no eigenvalue below 0, but for the rounding of float32.
    names : (str, str)
        What errors call the two.

    Returns
    -------
    Normal
        Of these, in float64.

    Raises
    ------
    ParameterError
        If shapes do not fit, a number is NaN or infinite, or the covariance is none.

    Examples
    --------
    >>> check_normal(torch.zeros(2), torch.eye(2)).trace
    tensor(2., dtype=torch.float64)
    """
    columns = mean.shape[-1] if mean.ndim else 0
    if not columns or covariance.shape != (*mean.shape, columns):
        raise ParameterError(
            f"{names[0]} has shape {tuple(mean.shape)}, {names[1]} {tuple(covariance.shape)}; "
            "they must be [..., column] and [..., column, column]"
        )
    for name, values in zip(names, (mean, covariance), strict=True):
        if not bool(values.isfinite().all()):
            raise ParameterError(f"{name} holds NaN or infinity")
    normal = Normal(mean.double(), covariance.double())
    _check_covariance(names[1], normal, covariance.detach().double())
    return normal


def distance(first: Normal, second: Normal) -> Tensor:
    """Find the Frechet distance between factorised normal distributions.

    Parameters
    ----------
    first, second : Normal
        Distributions of the same width; leading axes broadcast.

    Returns
    -------
    Tensor [...], float64
        As `frechet_distance` gives it, >= 0.

    Examples
    --------
    >>> unit = Normal(torch.zeros(2).double(), torch.eye(2).double())
    >>> distance(unit, unit)
    tensor(0., dtype=torch.float64)
    """
    return squared_distance(first, second).clamp(min=0)


def squared_distance(first: Normal, second: Normal) -> Tensor:
    """Find the distance as rounding leaves it.

    Parameters
    ----------
    first, second : Normal
        Distributions of the same width; leading axes broadcast.

    Returns
    -------
    Tensor [...], float64
        Below 0 by 1e-9 of the sum of the traces at most.

    Examples
    --------
    >>> squared_distance(Normal(torch.zeros(1), torch.eye(1)), Normal(torch.ones(1), torch.eye(1)))
    tensor(1.)
    """
    shift = (first.mean - second.mean).square().sum(-1)
    gap: Tensor = shift + first.trace + second.trace - 2 * _trace_of_root(first, second)
    return gap


def _eigen_factor(covariance: Tensor | None) -> Tensor:
    """Factor a singular covariance; eigenvalues below column x eps x the largest are 0."""
    values, vectors = torch.linalg.eigh(covariance)
    floor = values.shape[-1] * _EPS * values[..., -1:]
    factor: Tensor = torch.where(values > floor, values, 0).sqrt()[..., None] * vectors.mT
    return factor


def _trace_of_root(first: Normal, second: Normal) -> Tensor:
    """tr sqrt(S1 S2): by eigenvalues where these are sure to be exact enough, else by the SVD."""
    # A singular first stays first: most often its zeros would send the eigenvalues on to the SVD.
    if first.covariance is None or second.covariance is None or first.cholesky is None:
        singular: Tensor = torch.linalg.svdvals(first.factor @ second.factor.mT)
        return singular.sum(-1)
    product = _lower_product(first.cholesky, second.covariance)
    squares: Tensor = torch.linalg.eigvalsh(product).clamp(min=0)
    roots = squares.sqrt().sum(-1)
    # An eigenvalue is off by eps times the largest: nothing to a large root, much to a small one.
    slack = (squares + _EPS * squares[..., -1:]).sqrt().sum(-1) - roots
    unsure = slack > _TOLERANCE * (first.trace + second.trace)
    if bool(unsure.any()):
        cross = first.factor @ second.factor.mT
        roots[unsure] = torch.linalg.svdvals(cross[unsure]).sum(-1)
    return roots


def _lower_product(upper: Tensor, symmetric: Tensor) -> Tensor:
    """The lower triangle of A S A^T for an upper A: a third of the work of two full products."""
    columns = upper.shape[-1]
    blocks = [(i, min(i + _BLOCK, columns)) for i in range(0, columns, _BLOCK)]
    right = torch.cat([symmetric[..., i:] @ upper[..., i:end, i:].mT for i, end in blocks], -1)
    product = torch.zeros_like(right)
    for i, end in blocks:
        product[..., i:end, :end] = upper[..., i:end, i:] @ right[..., i:, :end]
    return product


def _check_covariance(name: str, normal: Normal, covariance: Tensor) -> None:
    skew = (covariance - covariance.mT).abs().amax((-2, -1))
    if bool((skew > _ROUNDING * covariance.abs().amax((-2, -1))).any()):
        raise ParameterError(f"{name} is not symmetric, so it is no covariance")
    if normal.cholesky is not None:
        return
    lowest = torch.linalg.eigvalsh(covariance)[..., 0]
    size = covariance.diagonal(dim1=-2, dim2=-1).abs().sum(-1)
    if bool((lowest < -_ROUNDING * size).any()):
        raise ParameterError(
            f"{name} has the eigenvalue {float(lowest.min()):.3g}, a variance below 0, "
            "so it is no covariance"
        )

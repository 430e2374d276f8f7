"""Frechet distance between normal distributions, exact for covariances of any rank.

A factor of a covariance S is a matrix A [rank, column] with A^T A = S. tr sqrt(S1 S2) equals the
nuclear norm (sum of singular values) of A1 A2^T for any factors, and the sum of the square roots of
the eigenvalues of A1 S2 A1^T. All tensors are float64; leading axes are distributions, and
broadcast.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from otoscope.errors import ParameterError

__all__ = ["Normal", "check_normal", "distance", "frechet_distance", "squared_distance"]

_EPS = torch.finfo(torch.float64).eps
_TOLERANCE = 2.5e-10  # relative to the sum of the traces: error that rounding may cause in a norm
_ROUNDING = 1e-6  # relative to a covariance's size: rounding error of float32
_BLOCK = 256  # rows per block of a product


@dataclass(frozen=True, eq=False)
class Normal:
    """Normal distribution, given by its covariance or by rows X with X^T X = covariance."""

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
        """Upper Cholesky factor; None for rows, or where a pivot is not above rounding."""
        if self.covariance is None:
            return None
        lower, info = torch.linalg.cholesky_ex(self.covariance)
        largest = self.covariance.diagonal(dim1=-2, dim2=-1).amax(-1)
        pivot = lower.diagonal(dim1=-2, dim2=-1).amin(-1).square()
        definite = (info == 0) & (pivot > lower.shape[-1] * _EPS * largest)
        return lower.mT if bool(definite.all()) else None

    @cached_property
    def factor(self) -> Tensor:
        """Factor A with A^T A = covariance: Tensor [..., rank, column]."""
        if self.rows is not None:
            return self.rows
        if self.cholesky is not None:
            return self.cholesky
        return _eigen_factor(self.covariance)


def frechet_distance(mean1: Tensor, cov1: Tensor, mean2: Tensor, cov2: Tensor) -> Tensor:
    """Compute the Frechet distance between normal distributions, in its usual squared form.

    Parameters
    ----------
    mean1 : Tensor [..., column]
        Mean of the first distribution, usually that of the real set.
    cov1 : Tensor [..., column, column]
        Covariance of the first distribution.
    mean2 : Tensor [..., column]
        Mean of the second distribution. Leading axes broadcast: one real set, many candidates.
    cov2 : Tensor [..., column, column]
        Covariance of the second distribution.

    Returns
    -------
    Tensor [...], float64
        norm(mean1 - mean2)^2 + tr(cov1 + cov2 - 2 sqrt(cov1 cov2)), >= 0.

    Raises
    ------
    ParameterError
        If shapes do not fit, a number is not finite, or a covariance is not symmetric or has an
        eigenvalue below 0 (beyond the rounding of float32).

    References
    ----------
    Dowson and Landau (1982) :cite:`dowson1982`. For a single neuron (column = 1): Mishra et al.
    (2019) :cite:`mishra2019`, section 3.

    Examples
    --------
    >>> eye = torch.eye(1)
    >>> frechet_distance(torch.zeros(1), 4 * eye, torch.ones(1), 9 * eye)  # 1 + (3 - 2)^2
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
    """Check a mean and a covariance, and return their distribution in float64."""
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
    """Compute the Frechet distance between distributions, >= 0."""
    return squared_distance(first, second).clamp(min=0)


def squared_distance(first: Normal, second: Normal) -> Tensor:
    """Compute the distance before clamping: rounding leaves >= -1e-9 of the sum of the traces."""
    shift = (first.mean - second.mean).square().sum(-1)
    gap: Tensor = shift + first.trace + second.trace - 2 * _trace_of_root(first, second)
    return gap


def _eigen_factor(covariance: Tensor | None) -> Tensor:
    """Factor a singular covariance; eigenvalues below column * eps * largest count as 0."""
    values, vectors = torch.linalg.eigh(covariance)
    floor = values.shape[-1] * _EPS * values[..., -1:]
    factor: Tensor = torch.where(values > floor, values, 0).sqrt()[..., None] * vectors.mT
    return factor


def _trace_of_root(first: Normal, second: Normal) -> Tensor:
    """Compute tr sqrt(S1 S2) by eigenvalues where they are exact enough, otherwise by the SVD."""
    # A singular covariance goes to the SVD: its zero eigenvalues would be too inexact.
    if first.covariance is None or second.covariance is None or first.cholesky is None:
        singular: Tensor = torch.linalg.svdvals(first.factor @ second.factor.mT)
        return singular.sum(-1)
    product = _lower_product(first.cholesky, second.covariance)
    squares: Tensor = torch.linalg.eigvalsh(product).clamp(min=0)
    roots = squares.sqrt().sum(-1)
    # The error of an eigenvalue is eps * largest: negligible for a large root, not for a small one.
    slack = (squares + _EPS * squares[..., -1:]).sqrt().sum(-1) - roots
    unsure = slack > _TOLERANCE * (first.trace + second.trace)
    if bool(unsure.any()):
        cross = first.factor @ second.factor.mT
        roots[unsure] = torch.linalg.svdvals(cross[unsure]).sum(-1)
    return roots


def _lower_product(upper: Tensor, symmetric: Tensor) -> Tensor:
    """Compute the lower triangle of A S A^T for an upper A: a third of the work of two products."""
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

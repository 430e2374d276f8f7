"""Shapley values of the segments: the contribution of each segment to f(all) - f(none).

Exact from a table of all coalitions, estimated from a sample of them. ``keep`` is bool
[coalition, segment] (True stays); ``outputs`` is [coalition, target]; rows may have any order.
Everything is float64.
"""

from __future__ import annotations

from math import lgamma

import torch
from torch import Tensor

__all__ = [
    "kernel_shap",
    "kernel_shap_error",
    "permutation_shapley",
    "shapley_interactions",
    "shapley_values",
]


def shapley_values(keep: Tensor, outputs: Tensor) -> Tensor:
    """Compute exact Shapley values, Tensor [target, segment], from all ``2**segment`` coalitions.

    Source: Shapley (1953) :cite:`shapley1953`.
    """
    n = keep.shape[1]
    # fraction[k] = k! (n - k - 1)! / n!: weight of a segment's gain when it joins k others
    size = torch.arange(n, dtype=torch.float64, device=keep.device)
    fraction = ((size + 1).lgamma() + (n - size).lgamma() - lgamma(n + 1)).exp()
    kept = keep.sum(1, keepdim=True)
    joined, not_joined = fraction[(kept - 1).clamp(min=0)], fraction[kept.clamp(max=n - 1)]
    return outputs.double().T @ torch.where(keep, joined, -not_joined)


def shapley_interactions(keep: Tensor, outputs: Tensor) -> Tensor:
    """Compute exact pairwise Shapley interaction indices from all ``2**segment`` coalitions.

    The result is a Tensor [target, segment, segment], symmetric: the gain of two segments together
    beyond the sum of their single gains, averaged over the coalitions of the others. It is 0 on the
    diagonal, and everywhere if f is additive.

    Source: Grabisch and Roubens (1999) :cite:`grabisch1999`, definition 2.
    """
    n = keep.shape[1]
    if n < 2:
        return outputs.new_zeros(outputs.shape[1], n, n, dtype=torch.float64)
    # fraction[k] = k! (n - k - 2)! / (n - 1)!: weight of a pair's gain when it joins k others
    size = torch.arange(n - 1, dtype=torch.float64, device=keep.device)
    fraction = ((size + 1).lgamma() + (n - 1 - size).lgamma() - lgamma(n)).exp()
    kept = keep.sum(1)
    f = outputs.double().T
    on, off = keep.double(), (~keep).double()
    both = _pairs(on, f * fraction[(kept - 2).clamp(0, n - 2)], on)
    neither = _pairs(off, f * fraction[kept.clamp(0, n - 2)], off)
    either = _pairs(on, f * fraction[(kept - 1).clamp(0, n - 2)], off)
    index = both - either - either.mT + neither
    return index * (1 - torch.eye(n, dtype=torch.float64, device=keep.device))


def kernel_shap(keep: Tensor, weights: Tensor, outputs: Tensor) -> Tensor:
    """Estimate Shapley values, Tensor [target, segment], by the regression of KernelSHAP.

    Solves the least squares for ``outputs - f(none)`` under the constraint that the values sum to
    f(all) - f(none). ``keep`` must hold the full and the empty coalition; their weights do not
    matter. ``weights`` are Shapley kernel times count, or counts alone if the sizes were drawn by
    the kernel. The values are exact if ``keep`` is complete and ``weights`` are the kernel's.

    Source: Lundberg and Lee (2017) :cite:`lundberg2017`, theorem 2.
    """
    rows, residual, total = _centred(keep, outputs)
    n = keep.shape[1]
    root = weights.double().sqrt()[:, None]
    deviation = torch.linalg.pinv(root * rows) @ (root * residual)
    values: Tensor = (total / n + deviation).T
    return values


def kernel_shap_error(
    keep: Tensor, outputs: Tensor, row_of_sample: Tensor, values: Tensor
) -> Tensor | None:
    """Estimate the standard errors, Tensor [target, segment], of the values of `kernel_shap`.

    ``row_of_sample`` [group, member] are the rows of ``keep`` drawn, by independent groups: pairs
    of complements, or single draws. The error is that of a least squares of which each group's
    pull is known, corrected for its leverage (HC2); None for no more groups than segments.

    Sources: White (1980) :cite:`white1980`; Covert and Lee (2021) :cite:`covert2021`, section 4.2.
    """
    rows, residual, total = _centred(keep, outputs)
    n = keep.shape[1]
    if len(row_of_sample) <= n:
        return None
    error = residual - rows @ (values.T - total / n)  # [coalition, target]
    drawn = rows[row_of_sample]  # [group, member, segment]
    bread = torch.linalg.pinv(drawn.flatten(0, 1).T @ drawn.flatten(0, 1))
    leverage = torch.einsum("gms,st,gmt->g", drawn, bread, drawn)
    pull = torch.einsum("gms,gmt->gts", drawn, error[row_of_sample])
    pulled: Tensor = pull / (1 - leverage).clamp(min=1e-6).sqrt()[:, None, None] @ bread
    errors: Tensor = pulled.square().sum(0).sqrt()
    return errors


def _centred(keep: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return rows, residuals and f(all) - f(none) for values = total / n + deviation.

    Deviations sum to 0, and rows less their mean see only those.
    """
    f, n = outputs.double(), keep.shape[1]
    gain, total = f - f[row_of_none(keep)], f[row_of_all(keep)] - f[row_of_none(keep)]
    size = keep.double().sum(1, keepdim=True)
    return keep.double() - size / n, gain - size / n * total, total


def permutation_shapley(keep: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor | None]:
    """Estimate Shapley values by the mean gain of each segment over drawn orders of joining.

    ``keep`` is bool [order, segment + 1, segment]: for each order the growing coalitions, from the
    empty to the full one; ``outputs`` is [order, segment + 1, target]. Returns the values
    [target, segment] and the standard errors of these means (None for a single order).

    Source: Castro et al. (2009) :cite:`castro2009`.
    """
    joins_at = (~keep).sum(1) - 1  # [order, segment]: a segment is absent until it joins
    steps = outputs.double().diff(dim=1)  # [order, step, target]
    gains = steps.gather(1, joins_at[:, :, None].expand(*joins_at.shape, steps.shape[2]))
    error = (gains.std(0) / len(gains) ** 0.5).T if len(gains) > 1 else None
    return gains.mean(0).T, error


def row_of_all(keep: Tensor) -> int:
    """Return the index of the coalition of all segments, which must be there."""
    return int(keep.all(1).nonzero()[0, 0])


def row_of_none(keep: Tensor) -> int:
    """Return the index of the coalition of no segment, which must be there."""
    return int((~keep).all(1).nonzero()[0, 0])


def _pairs(left: Tensor, weights: Tensor, right: Tensor) -> Tensor:
    """Weighted counts: [coalition, a], [target, coalition], [coalition, b] -> [target, a, b]."""
    return (left.T * weights[:, None, :]) @ right

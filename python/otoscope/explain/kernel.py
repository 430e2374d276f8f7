"""Locality: how much a coalition counts in the surrogate, by its distance to the whole patch.

A coalition is a row of ``keep``, True stays; its distance is to the row of all ones. Both
distances depend on the number of kept segments alone, so the weights have a closed form and
nothing underflows before the square root.
"""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor

from otoscope.errors import ParameterError

__all__ = ["FewEffectiveSamples", "Kernel", "effective_samples", "kernel_weights"]

Kernel = Literal["cosine", "l2"]


class FewEffectiveSamples(UserWarning):
    """A surrogate rests on fewer coalitions than it needs to be trusted."""


def kernel_weights(
    n_kept: Tensor, n_segments: int, *, kernel: Kernel = "cosine", width: float = 0.25
) -> Tensor:
    """Weigh coalitions by ``exp(-distance**2 / (2 * width**2))``.

    Parameters
    ----------
    n_kept : Tensor [coalition]
        How many segments stay, in [0, n_segments].
    n_segments : int
        How many there are.
    kernel : {"cosine", "l2"}
        The distance to the row of all ones: ``1 - sqrt(n_kept / n_segments)``, in [0, 1], or
        ``sqrt(n_segments - n_kept)``.
    width : float
        The kernel's width in units of the distance, > 0.

    Returns
    -------
    Tensor [coalition]
        Weights in [0, 1], float64.

    Raises
    ------
    ParameterError
        If the kernel is unknown or the width is not positive.

    Notes
    -----
    With the l2 distance and the paper's width 0.25 each segment taken away divides the weight by
    2981: next to nothing but leave-one-out rows counts. The cosine distance has no such defect.

    References
    ----------
    Mishra et al., "Reliable Local Explanations for Machine Listening", 2020, section III (l2).
    Mishra et al., "Local Interpretable Model-Agnostic Explanations for Music Content Analysis",
    ISMIR 2017 (cosine; its 100 * distance with width 25 is the same).

    Examples
    --------
    >>> import torch
    >>> kernel_weights(torch.tensor([10, 9, 0]), 10, kernel="l2").log().tolist()
    [0.0, -8.0, -80.0]
    """
    if kernel not in get_args(Kernel):
        raise ParameterError(f"kernel is {kernel!r}, must be one of {get_args(Kernel)}")
    if not width > 0:
        raise ParameterError(f"kernel_width is {width}, must be > 0")
    kept = n_kept.double()
    if kernel == "l2":
        squared_distance = n_segments - kept
    else:
        squared_distance = (1 - (kept / n_segments).sqrt()) ** 2
    return (-squared_distance / (2 * width**2)).exp()


def effective_samples(weights: Tensor) -> float:
    """Compute Kish's effective sample size, ``sum(weights)**2 / sum(weights**2)``.

    Parameters
    ----------
    weights : Tensor [coalition]
        Of distinct coalitions, count times kernel. Over repeated rows the number would hide that
        a kernel looks at one row only.

    Returns
    -------
    float
        In [1, coalition]; 0 if no weight is positive.

    References
    ----------
    Kish, "Survey Sampling", 1965, section 11.7.

    Examples
    --------
    >>> import torch
    >>> effective_samples(torch.tensor([2.0, 2.0, 0.0]))
    2.0
    """
    total = float(weights.double().sum())
    return total**2 / float(weights.double().square().sum()) if total > 0 else 0.0

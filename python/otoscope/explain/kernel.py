"""Kernel: the weight of a coalition in the surrogate, by its distance to the whole patch.

A coalition is a row of ``keep`` (True stays); its distance is to the row of all ones. Both
distances depend on the number of kept segments alone, so the weights have a closed form, and
nothing underflows before the square root.
"""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor

from otoscope.errors import ParameterError

__all__ = ["DEFAULT_KERNEL", "DEFAULT_WIDTH", "Kernel", "effective_samples", "kernel_weights"]

Kernel = Literal["cosine", "l2"]

DEFAULT_KERNEL: Kernel = "cosine"
DEFAULT_WIDTH = 0.25
"""Width of the ISMIR 2017 paper; every ``kernel_width`` of the package defaults to it."""


def kernel_weights(
    n_kept: Tensor,
    n_segments: int,
    *,
    kernel: Kernel = DEFAULT_KERNEL,
    width: float = DEFAULT_WIDTH,
) -> Tensor:
    """Compute the weights ``exp(-distance**2 / (2 * width**2))`` of coalitions.

    Parameters
    ----------
    n_kept : Tensor [coalition]
        Number of kept segments, in [0, n_segments].
    n_segments : int
        Number of segments.
    kernel : {"cosine", "l2"}
        Distance to the row of all ones: ``1 - sqrt(n_kept / n_segments)``, in [0, 1], or
        ``sqrt(n_segments - n_kept)``.
    width : float
        Kernel width in units of the distance, > 0.

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
    With the l2 distance and the width 0.25, each removed segment divides the weight by 2981:
    almost only leave-one-out rows count. The cosine distance does not have this defect.

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
        Weight of each distinct coalition, count times kernel. Repeated rows must be merged first:
        over repeated rows the size would hide that a kernel counts a single coalition.

    Returns
    -------
    float
        Size in [1, coalition]; 0 if no weight is positive.

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

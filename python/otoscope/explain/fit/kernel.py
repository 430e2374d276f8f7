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

    ``n_kept`` [coalition] -> [coalition].

    With the l2 distance and the width 0.25, each removed segment divides the weight by 2981:
    almost only leave-one-out rows count. The cosine distance does not have this defect.

    Sources: Mishra et al. (2020) :cite:`mishra2020`, section III (l2); Mishra et al. (2017)
    :cite:`mishra2017` (cosine; its 100 * distance with width 25 is the same).
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

    ``weights`` [coalition].

    Source: Kish (1965) :cite:`kish1965`, section 11.7.
    """
    total = float(weights.double().sum())
    return total**2 / float(weights.double().square().sum()) if total > 0 else 0.0

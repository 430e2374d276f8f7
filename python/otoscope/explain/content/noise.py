"""Contents drawn from a normal distribution: one array for all samples, or one per sample."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from otoscope import ops
from otoscope.explain.content.base import Content, Given, Space, register
from otoscope.protocols import Patch

__all__ = ["fresh_noise", "noise"]


@register("noise")
def noise(seed: int = 0, *, space: Space = "log_mel") -> Content:
    """Occlude with one array of N(0, 1), the same for all samples and patches of a shape.

    Parameters
    ----------
    seed : int
        Random seed of the array.
    space : {"values", "log_mel", "mel"}
        Domain of the drawn numbers; the paper draws log-mel values and standardises them.

    Returns
    -------
    Content
        Values [frame, mel].

    Notes
    -----
    The paper's array came from another generator: the numbers differ, the distribution does not.

    References
    ----------
    Mishra et al. (2020) :cite:`mishra2020`, section IV.

    Examples
    --------
    >>> noise(3).seed
    3
    """

    return Content("noise", partial(_drawn, seed), space, seed)


@register("noise")
def fresh_noise(
    seed: int = 0, *, loc: float = 0.0, scale: float = 1.0, space: Space = "values"
) -> Content:
    """Occlude with normal noise drawn for every sample; repeated coalitions are not merged.

    Parameters
    ----------
    seed : int
        Random seed of the stream.
    loc, scale : float
        Mean and standard deviation in ``space``.
    space : {"values", "log_mel"}
        Domain of the drawn numbers.

    Returns
    -------
    Content
        Noise drawn by the occlusion kernel. The stream restarts with each patch, so that an
        explanation does not depend on the other patches explained with it.

    Examples
    --------
    >>> fresh_noise(scale=0.5).name
    'fresh_noise'
    """
    return Content("fresh_noise", Given(ops.Noise(seed, loc, scale)), space, seed)


def _drawn(seed: int, patch: Patch, ids: Tensor) -> Tensor:
    return torch.randn(patch.values.shape, generator=torch.Generator().manual_seed(seed))

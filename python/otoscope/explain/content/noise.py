"""Content drawn from a normal distribution: one array for all samples, or afresh for each."""

from __future__ import annotations

import torch
from torch import Tensor

from otoscope import ops
from otoscope.explain.content.base import Content, Space
from otoscope.protocols import Patch

__all__ = ["fresh_noise", "noise"]


def noise(seed: int = 0, *, space: Space = "log_mel") -> Content:
    """One array of N(0, 1), the same for all samples and all patches of a shape.

    Parameters
    ----------
    seed : int
        Of the array.
    space : {"values", "log_mel", "mel"}
        What the drawn numbers are; the paper takes them as log-mel, then standardises.

    Returns
    -------
    Content
        Values [frame, mel].

    Notes
    -----
    The paper's array came from another generator, so its numbers differ, its law does not.

    References
    ----------
    Mishra et al., "Reliable Local Explanations for Machine Listening", 2020, section IV.

    Examples
    --------
    >>> noise(3).seed
    3
    """

    def draw(patch: Patch, ids: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(patch.values.shape, generator=generator)

    return Content("noise", draw, space, seed)


def fresh_noise(
    seed: int = 0, *, loc: float = 0.0, scale: float = 1.0, space: Space = "values"
) -> Content:
    """Normal noise drawn afresh for every sample, so that repeated coalitions are not folded.

    Parameters
    ----------
    seed : int
        Of the stream.
    loc, scale : float
        Mean and standard deviation in ``space``.
    space : {"values", "log_mel"}
        What the drawn numbers are.

    Returns
    -------
    Content
        Noise that the occlusion kernel draws. The stream begins anew with each patch, so that an
        explanation does not depend on which other patches are explained with it.

    Examples
    --------
    >>> fresh_noise(scale=0.5).name
    'fresh_noise'
    """
    return Content("fresh_noise", lambda patch, ids: ops.Noise(seed, loc, scale), space, seed)

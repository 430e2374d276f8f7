"""Priors: maps from latents to inputs, and penalties that keep inputs near to likely ones.

Without a prior, an input that drives a unit sounds like noise: patterns that no sound has can drive
a network. Latents are rows, [row, ...]; a prior never mixes rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from otoscope.errors import Argument, Ignored, ParameterError

__all__ = ["Prior", "RawPrior", "ignored_regularisers", "normal_rows"]


class Prior(Protocol):
    """Map latents to inputs for an `ActivationMaximiser`; subclasses need `sample` and `decode`.

    Examples
    --------
    >>> class Doubling(Prior):
    ...     def sample(self, n, seed):
    ...         return normal_rows((3,), n, seed)
    ...     def decode(self, latent):
    ...         return 2 * latent
    >>> Doubling().penalty(torch.ones(2, 3))
    tensor([3., 3.])
    """

    def sample(self, n: int, seed: int) -> Tensor:
        """Draw latents to start from.

        Parameters
        ----------
        n : int
            Number of rows.
        seed : int
            Random seed of the first row; row i depends on ``seed + i`` alone.

        Returns
        -------
        Tensor [row, ...]
            Latents, float32 on the CPU.

        Examples
        --------
        >>> RawPrior((1, 4, 2)).sample(3, seed=0).shape
        torch.Size([3, 1, 4, 2])
        """
        ...

    def decode(self, latent: Tensor) -> Tensor:
        """Map latents to inputs, differentiably.

        Parameters
        ----------
        latent : Tensor [row, ...]
            Latents on the model's device, in its floating type.

        Returns
        -------
        Tensor [row, ...]
            Inputs of ``prepare``, or of the model.

        Examples
        --------
        >>> RawPrior((1, 4, 2)).decode(torch.ones(3, 1, 4, 2)).shape
        torch.Size([3, 1, 4, 2])
        """
        ...

    def penalty(self, latent: Tensor) -> Tensor:
        """Penalise unlikely latents; the setting's penalty multiplies the result.

        Parameters
        ----------
        latent : Tensor [row, ...]
            Latents.

        Returns
        -------
        Tensor [row]
            Sum (not mean) of squares by default: for latents of N(0, 1), twice the negative
            log-density, up to a constant.

        Examples
        --------
        >>> RawPrior((2,)).penalty(torch.tensor([[3.0, 4.0]]))
        tensor([25.])
        """
        return latent.square().flatten(1).sum(1)

    @property
    def has_after_step(self) -> bool:
        """True if `after_step` is overridden; then a row with zero gradient is not stopped."""
        return type(self).after_step is not Prior.after_step

    def after_step(self, latent: Tensor, step: int) -> Tensor:
        """Change latents after a step of the search, without a gradient.

        Parameters
        ----------
        latent : Tensor [row, ...]
            Latents after the step.
        step : int
            Number of the step, from 1.

        Returns
        -------
        Tensor [row, ...]
            Latents to go on with, unchanged by default.

        Examples
        --------
        >>> RawPrior((1, 4, 2)).after_step(torch.ones(1, 1, 4, 2), step=1).sum()
        tensor(8.)
        """
        return latent


@dataclass(frozen=True)
class RawPrior(Prior):
    """Optimise the input itself, with regularisers: no prior except smoothness.

    Parameters
    ----------
    shape : sequence of int
        Shape of one input, (1, frame, mel).
    l2 : float
        Weight of the sum of squares in the penalty, >= 0.
    variation : float
        Weight of the total variation: the sum of absolute differences between neighbours along the
        last two axes, >= 0.
    blur : float
        Standard deviation of a Gaussian blur of the last two axes, cells; 0 is none.
    blur_every : int
        Number of steps between blurs, >= 1.
    scale : float
        Standard deviation of the first inputs, > 0.

    Raises
    ------
    ParameterError
        If a size, weight or count is out of range.

    References
    ----------
    Yosinski et al. (2015) :cite:`yosinski2015`: L2, blur. Mahendran and Vedaldi (2015)
    :cite:`mahendran2015`: total variation.

    Examples
    --------
    >>> RawPrior((1, 115, 80), variation=0.1, blur=1.0).sample(2, seed=0).shape
    torch.Size([2, 1, 115, 80])
    """

    shape: Sequence[int]
    l2: float = 1.0
    variation: float = 0.0
    blur: float = 0.0
    blur_every: int = 10
    scale: float = 0.1

    def __post_init__(self) -> None:
        check_shape(self.shape, axes=1 if not self.blur and not self.variation else 2)
        for name in ("l2", "variation", "blur"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ParameterError(f"{name} is {getattr(self, name)}, must be finite and >= 0")
        if self.blur_every < 1:
            raise ParameterError(f"blur_every is {self.blur_every}, must be steps, >= 1")
        if not 0 < self.scale < math.inf:
            raise ParameterError(f"scale is {self.scale}, must be finite and > 0")

    def sample(self, n: int, seed: int) -> Tensor:
        """Draw noise of N(0, scale squared).

        Parameters
        ----------
        n : int
            Number of rows, >= 1.
        seed : int
            Random seed of the first row; row i has ``seed + i``.

        Returns
        -------
        Tensor [n, ...]
            Inputs, float32 on the CPU.

        Examples
        --------
        >>> RawPrior((1, 4, 2)).sample(3, seed=0).shape
        torch.Size([3, 1, 4, 2])
        """
        return self.scale * normal_rows(self.shape, n, seed)

    def decode(self, latent: Tensor) -> Tensor:
        """Return the latent, which is the input.

        Parameters
        ----------
        latent : Tensor [row, ...]
            Inputs.

        Returns
        -------
        Tensor [row, ...]
            The same inputs.

        Examples
        --------
        >>> RawPrior((2,)).decode(torch.ones(1, 2))
        tensor([[1., 1.]])
        """
        return latent

    def penalty(self, latent: Tensor) -> Tensor:
        """Add the weighted sum of squares and total variation.

        Parameters
        ----------
        latent : Tensor [row, ...]
            Inputs.

        Returns
        -------
        Tensor [row]
            Penalties, >= 0.

        Examples
        --------
        >>> RawPrior((2, 1), variation=0.5).penalty(torch.tensor([[[3.0], [4.0]]]))
        tensor([25.5000])
        """
        penalty = self.l2 * Prior.penalty(self, latent)
        if self.variation:
            for axis in (-2, -1):
                penalty = penalty + self.variation * latent.diff(dim=axis).abs().flatten(1).sum(1)
        return penalty

    @property
    def has_after_step(self) -> bool:
        """True if there is a blur."""
        return self.blur > 0

    def after_step(self, latent: Tensor, step: int) -> Tensor:
        """Blur after each ``blur_every`` steps.

        Parameters
        ----------
        latent : Tensor [row, ...]
            Inputs.
        step : int
            Number of the step, from 1.

        Returns
        -------
        Tensor [row, ...]
            Inputs, blurred at these steps.

        Examples
        --------
        >>> blurs = RawPrior((9, 9), blur=1.0, blur_every=2)
        >>> dot = torch.zeros(1, 9, 9)
        >>> dot[0, 4, 4] = 1
        >>> float(blurs.after_step(dot, 1).max()), round(float(blurs.after_step(dot, 2).max()), 3)
        (1.0, 0.159)
        """
        if not self.blur or step % self.blur_every:
            return latent
        for axis in (-2, -1):
            latent = _blurred(latent.transpose(axis, -1), self.blur).transpose(axis, -1)
        return latent


def normal_rows(shape: Sequence[int], n: int, seed: int) -> Tensor:
    """Draw rows [n, ...] of N(0, 1), float32 on the CPU; row i has the seed ``seed + i``."""
    if n < 1 or seed < 0:
        raise ParameterError(f"n is {n} and seed {seed}; must be n >= 1, seed >= 0")
    rows = range(seed, seed + n)
    return torch.stack(
        [torch.randn(*shape, generator=torch.Generator().manual_seed(row)) for row in rows]
    )


def check_shape(shape: Sequence[int], *, axes: int) -> None:
    """Refuse an input shape that has an empty axis or fewer than ``axes`` axes."""
    if len(shape) < axes or any(not isinstance(size, int) or size < 1 for size in shape):
        raise ParameterError(
            f"shape is {tuple(shape)}, must be {axes} sizes >= 1 or more: (1, frame, mel)"
        )


def _blurred(x: Tensor, deviation: float) -> Tensor:
    """Convolve the last axis with a Gaussian; edge values are repeated beyond the edges."""
    reach = min(math.ceil(3 * deviation), x.shape[-1] - 1)
    at = torch.arange(-reach, reach + 1, dtype=x.dtype, device=x.device)
    kernel = torch.exp(-0.5 * (at / deviation) ** 2)
    rows = F.pad(x.reshape(-1, 1, x.shape[-1]), (reach, reach), mode="replicate")
    return F.conv1d(rows, (kernel / kernel.sum())[None, None]).reshape(x.shape)


def ignored_regularisers(
    prior: str, *, blur: float, blur_every: int, iterations: int
) -> list[Ignored]:
    """List the settings of `RawPrior` that change nothing: with another prior, or without a blur.

    Parameters
    ----------
    prior : {"fourier", "raw"}
        Name of the prior.
    blur : float
        Standard deviation of the blur; 0 is none.
    blur_every : int
        Number of steps between blurs.
    iterations : int
        Largest number of iterations.

    Returns
    -------
    list of Ignored
        Settings with reasons.

    Examples
    --------
    >>> ignored = ignored_regularisers("raw", blur=0, blur_every=10, iterations=100)
    >>> [setting.name for setting in ignored]
    ['blur_every']
    """
    if prior != "raw":
        reason, raw = f"which is of prior raw, not {prior}", (Argument("prior", "raw"),)
        return [Ignored(name, reason, raw) for name in ("l2", "variation", "blur", "blur_every")]
    if not blur:
        return [Ignored("blur_every", "and there is no blur", (Argument("blur"),))]
    if blur_every > iterations:
        reason = f"and of {iterations} iterations, every {blur_every}th is blurred: none"
        return [Ignored("blur", reason, (Argument("blur_every", iterations),))]
    return []

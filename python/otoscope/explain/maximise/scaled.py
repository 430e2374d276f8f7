"""The scaled prior: inputs that begin with the mean and the deviation of real ones."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.explain.maximise.extremes import Extremes
from otoscope.explain.maximise.priors import Prior

__all__ = ["ScaledPrior"]

_LEAST = 1e-3  # of the largest deviation: a band that is constant in real sounds hardly moves


@dataclass(frozen=True, eq=False)
class ScaledPrior(Prior):
    """Shift and scale the inputs of another prior, band by band.

    `RawPrior` and `FourierPrior` make inputs of mean 0 and a deviation of order 1: those of a model
    whose inputs are standardised. For other models a search from there may never meet what real
    sounds contain.

    Parameters
    ----------
    prior : Prior
        Prior of standardised inputs.
    mean, deviation : Tensor
        Mean and standard deviation of real inputs, finite, deviation > 0; they broadcast to the
        inputs: [mel] for [row, 1, frame, mel].

    Raises
    ------
    ParameterError
        If the mean is not finite, or a deviation is not finite and > 0.

    Notes
    -----
    Latents and penalty are those of ``prior``: a penalty counts in units of the deviation.

    Examples
    --------
    >>> import torch
    >>> from otoscope.explain.maximise import RawPrior
    >>> prior = ScaledPrior(RawPrior((1, 4, 2)), torch.tensor([-60.0, -70.0]), torch.tensor(9.0))
    >>> prior.decode(torch.ones(1, 1, 4, 2))[0, 0, 0]
    tensor([-51., -61.])
    """

    prior: Prior
    mean: Tensor
    deviation: Tensor

    def __post_init__(self) -> None:
        if not bool(self.mean.isfinite().all()):
            raise ParameterError("mean has NaN or infinity, must be finite")
        if not bool((self.deviation.isfinite() & (self.deviation > 0)).all()):
            raise ParameterError(
                f"deviation goes from {float(self.deviation.min()):g} to "
                f"{float(self.deviation.max()):g}, must be finite and > 0"
            )

    @classmethod
    def like(cls, prior: Prior, real: Extremes) -> Prior:
        """Scale a prior to the real excerpts that were searched.

        Parameters
        ----------
        prior : Prior
            Prior of standardised inputs.
        real : Extremes
            Result of `ActivationMaximiser.extremes`, with the moments of all excerpts.

        Returns
        -------
        Prior
            Scaled prior; the prior itself if the excerpts do not vary, such as silence.

        Examples
        --------
        >>> ScaledPrior.like(FourierPrior((1, 115, 80)), extremes)  # doctest: +SKIP
        """
        largest = real.deviation.max()
        if not bool(largest > 0):
            return prior
        return cls(prior, real.mean, real.deviation.clamp(min=_LEAST * largest))

    def sample(self, n: int, seed: int) -> Tensor:
        """Draw latents of the prior; see `Prior.sample`."""
        return self.prior.sample(n, seed)

    def decode(self, latent: Tensor) -> Tensor:
        """Map latents to inputs, mean + deviation * input of the prior."""
        inputs = self.prior.decode(latent)
        return self.mean.to(inputs) + self.deviation.to(inputs) * inputs

    def penalty(self, latent: Tensor) -> Tensor:
        """Penalise latents as the prior does."""
        return self.prior.penalty(latent)

    @property
    def has_after_step(self) -> bool:
        """True if the prior changes latents after a step."""
        return self.prior.has_after_step

    def after_step(self, latent: Tensor, step: int) -> Tensor:
        """Change latents as the prior does."""
        return self.prior.after_step(latent, step)

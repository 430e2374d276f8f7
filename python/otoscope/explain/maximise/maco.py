"""The magnitude-constrained prior: real spectrograms' mean magnitudes, and free phases.

What makes a picture natural is largely the size of its Fourier coefficients; what it shows, their
phases. With the magnitudes of real excerpts held, only the phases are searched. It needs no
training.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.explain.maximise.priors import Prior

__all__ = ["MacoPrior"]


@dataclass(frozen=True, eq=False)
class MacoPrior(Prior):
    """Make spectrograms that have the mean magnitude spectrum of real ones; latents are phases.

    Parameters
    ----------
    mean : Tensor [mel]
        Mean of each band, which is added.
    magnitude : Tensor [frame, mel // 2 + 1]
        Magnitudes of the Fourier coefficients over time and mel, >= 0, of `torch.fft.rfft2` with
        ``norm="ortho"``.

    Raises
    ------
    ParameterError
        If the shapes do not fit, or a number is not finite or a magnitude is below 0.

    Notes
    -----
    Latents are phases [row, 1, frame, mel // 2 + 1] in radians; the first ones are uniform. All
    phases are equally likely, so the penalty is 0. The spectrogram is real: of the columns that
    hold both a coefficient and its conjugate (the first, and the last of an even number of bands),
    the phases of pairs are opposite. The two to four coefficients that are their own conjugates are
    real numbers between minus and plus their magnitude, the cosine of the phase times it.

    References
    ----------
    Fel et al. (2023) :cite:`fel2023`, section 3.

    Examples
    --------
    >>> prior = MacoPrior.of(torch.randn(20, 1, 115, 80))
    >>> prior.decode(prior.sample(2, seed=0)).shape
    torch.Size([2, 1, 115, 80])
    """

    mean: Tensor
    magnitude: Tensor

    def __post_init__(self) -> None:
        n_bands = len(self.mean)
        shape = tuple(self.magnitude.shape)
        if self.mean.ndim != 1 or len(shape) != 2 or shape[1] != n_bands // 2 + 1:
            raise ParameterError(
                f"mean has shape {tuple(self.mean.shape)}, magnitude {shape}; must be [mel] and "
                "[frame, mel // 2 + 1]"
            )
        is_right = self.magnitude.isfinite() & (self.magnitude >= 0)
        if not bool(is_right.all()) or not bool(self.mean.isfinite().all()):
            raise ParameterError("mean and magnitude must be finite, and magnitude >= 0")

    @classmethod
    def of(cls, excerpts: Tensor) -> MacoPrior:
        """Take mean and magnitudes of real excerpts.

        Parameters
        ----------
        excerpts : Tensor [excerpt, 1, frame, mel]
            Inputs of the model.

        Returns
        -------
        MacoPrior
            Prior with the mean of each band, and the mean over the excerpts of the magnitudes of
            what differs from it.

        Raises
        ------
        ParameterError
            If there is no excerpt, or their shape is another.

        Examples
        --------
        >>> MacoPrior.of(torch.ones(3, 1, 4, 6)).magnitude.sum()
        tensor(0.)
        """
        if excerpts.ndim != 4 or excerpts.shape[1] != 1 or len(excerpts) == 0:
            raise ParameterError(
                f"excerpts have shape {tuple(excerpts.shape)}, must be [excerpt, 1, frame, mel], "
                "one or more"
            )
        mean = excerpts.double().mean((0, 1, 2))
        coefficients = torch.fft.rfft2(excerpts[:, 0].double() - mean, norm="ortho")
        return cls(mean.float(), coefficients.abs().mean(0).float())

    def sample(self, n: int, seed: int) -> Tensor:
        """Draw phases, uniform between -pi and pi.

        Parameters
        ----------
        n : int
            Number of rows, >= 1.
        seed : int
            Random seed of the first row; row i has ``seed + i``.

        Returns
        -------
        Tensor [n, 1, frame, mel // 2 + 1]
            Phases in radians, float32 on the CPU.

        Examples
        --------
        >>> MacoPrior.of(torch.zeros(1, 1, 4, 6)).sample(3, seed=0).shape
        torch.Size([3, 1, 4, 4])
        """
        if n < 1 or seed < 0:
            raise ParameterError(f"n is {n} and seed {seed}; must be n >= 1, seed >= 0")
        rows = [
            torch.rand(1, *self.magnitude.shape, generator=torch.Generator().manual_seed(row))
            for row in range(seed, seed + n)
        ]
        return math.pi * (2 * torch.stack(rows) - 1)

    def decode(self, latent: Tensor) -> Tensor:
        """Add up the waves.

        Parameters
        ----------
        latent : Tensor [row, 1, frame, mel // 2 + 1]
            Phases in radians.

        Returns
        -------
        Tensor [row, 1, frame, mel]
            Spectrograms.

        Examples
        --------
        >>> prior = MacoPrior(torch.tensor([1.0, 2.0]), torch.zeros(3, 2))
        >>> prior.decode(torch.zeros(1, 1, 3, 2))[0, 0, 0]
        tensor([1., 2.])
        """
        n_frames, n_bands = len(self.magnitude), len(self.mean)
        paired = [0, n_bands // 2] if n_bands % 2 == 0 else [0]
        phase = latent.clone()
        for column in paired:  # frequencies f and -f are conjugates: f is at n - f
            own = latent[..., column]
            opposite = own.roll(-1, -1).flip(-1)
            is_alone = torch.arange(n_frames, device=latent.device) * 2 % n_frames == 0
            phase[..., column] = torch.where(is_alone, own, own - opposite)
        spectrum = torch.polar(self.magnitude.to(latent).expand_as(phase), phase)
        waves: Tensor = torch.fft.irfft2(spectrum, s=(n_frames, n_bands), norm="ortho")
        return self.mean.to(latent) + waves

    def penalty(self, latent: Tensor) -> Tensor:
        """Return 0 [row]: no phase is more likely than another."""
        return latent.new_zeros(len(latent))

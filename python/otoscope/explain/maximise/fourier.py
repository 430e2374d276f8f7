"""The Fourier parametrisation: latents are a spectrogram's coefficients over time and mel.

Neighbouring cells of a spectrogram are correlated; Fourier coefficients are not, and large ones
belong to low frequencies. Equal steps in weighted coefficients are smooth changes of the input.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.explain.maximise.priors import Prior, check_shape, normal_rows

__all__ = ["FourierPrior"]


@dataclass(frozen=True)
class FourierPrior(Prior):
    """Make spectrograms as weighted sums of waves over time and mel, slow waves largest.

    Parameters
    ----------
    shape : sequence of int
        Shape of one input, (1, frame, mel); the waves run over the last two axes.
    decay : float
        Exponent of the weights, >= 0: a wave of frequency f (cycles per cell) has a weight
        proportional to ``f ** -decay``; the constant has that of the slowest wave.
    scale : float
        Standard deviation of the first inputs' cells, > 0.

    Raises
    ------
    ParameterError
        If the shape has fewer than two axes, or a number is out of range.

    Notes
    -----
    Latents are [row, ..., frame, mel // 2 + 1, 2], real and imaginary parts. Latents of N(0, 1)
    make 1/f noise in which each cell has the variance ``scale ** 2``. The penalty, their sum of
    squares, is therefore that of a Gaussian prior of spectrograms with a 1/f spectrum.

    References
    ----------
    Olah et al. (2017) :cite:`olah2017`, section on preconditioning and parameterization.

    Examples
    --------
    >>> prior = FourierPrior((1, 115, 80))
    >>> prior.decode(prior.sample(2, seed=0)).shape
    torch.Size([2, 1, 115, 80])
    """

    shape: Sequence[int]
    decay: float = 1.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        check_shape(self.shape, axes=2)
        if not (0 <= self.decay < math.inf and 0 < self.scale < math.inf):
            raise ParameterError(
                f"decay is {self.decay}, scale {self.scale}; must be decay >= 0, scale > 0, finite"
            )

    def sample(self, n: int, seed: int) -> Tensor:
        """Draw coefficients of N(0, 1).

        Parameters
        ----------
        n : int
            Number of rows, >= 1.
        seed : int
            Random seed of the first row; row i has ``seed + i``.

        Returns
        -------
        Tensor [n, ..., frame, mel // 2 + 1, 2]
            Coefficients, float32 on the CPU.

        Examples
        --------
        >>> FourierPrior((1, 4, 6)).sample(3, seed=0).shape
        torch.Size([3, 1, 4, 4, 2])
        """
        *outer, n_frames, n_bands = self.shape
        return normal_rows((*outer, n_frames, n_bands // 2 + 1, 2), n, seed)

    def decode(self, latent: Tensor) -> Tensor:
        """Add up the weighted waves.

        Parameters
        ----------
        latent : Tensor [row, ..., frame, mel // 2 + 1, 2]
            Coefficients.

        Returns
        -------
        Tensor [row, ...]
            Spectrograms.

        Examples
        --------
        >>> FourierPrior((1, 4, 6)).decode(torch.zeros(3, 1, 4, 4, 2)).shape
        torch.Size([3, 1, 4, 6])
        """
        spectrum = torch.view_as_complex(latent) * self._weights.to(latent)
        spectrograms: Tensor = torch.fft.irfft2(spectrum, s=tuple(self.shape[-2:]), norm="ortho")
        return spectrograms

    @cached_property
    def _weights(self) -> Tensor:
        """Weights f ** -decay, for cells of variance scale ** 2: Tensor [frame, mel // 2 + 1]."""
        n_frames, n_bands = self.shape[-2:]
        across = torch.fft.fftfreq(n_frames, dtype=torch.float64)[:, None]
        up = torch.fft.rfftfreq(n_bands, dtype=torch.float64)[None]
        slowest = 1 / max(n_frames, n_bands)
        weights = torch.hypot(across, up).clamp(min=slowest) ** -self.decay
        # most columns count with their mirror image: with twice the amplitude
        alone = (up == 0) | (up == 0.5)
        variance = torch.where(alone, 1.0, 4.0) * weights**2
        return self.scale * weights * (variance.sum() / (n_frames * n_bands)) ** -0.5

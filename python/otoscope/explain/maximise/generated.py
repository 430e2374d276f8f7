"""A trained generator as the prior: the paper's own."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.explain.maximise.priors import Prior, normal_rows
from otoscope.protocols import as_outputs, call_guarded, dtype_of, evaluating

__all__ = ["GeneratorPrior"]


@dataclass(frozen=True, eq=False)
class GeneratorPrior(Prior):
    """Make inputs by a generator of latents z of N(0, 1).

    Parameters
    ----------
    generator : nn.Module
        Network from latents [row, latent] to inputs [row, 1, frame, mel], on the device of the
        model; run in eval mode, and not changed.
    latent_size : int
        Numbers of a latent, >= 1.

    Raises
    ------
    ParameterError
        If ``latent_size`` is below 1.

    Notes
    -----
    The penalty is the sum of squares of z. The inputs are what the generator was trained on: those
    of a `otoscope.models.MelGenerator` are log-mel values, and ``prepare`` of the maximiser
    standardises them for the model.

    References
    ----------
    Mishra et al. (2019) :cite:`mishra2019`, section 2.

    Examples
    --------
    >>> from otoscope.models import MelGenerator
    >>> prior = GeneratorPrior(MelGenerator(shrink=8), MelGenerator.latent_size)
    >>> prior.decode(prior.sample(2, seed=0)).shape
    torch.Size([2, 1, 115, 80])
    """

    generator: nn.Module
    latent_size: int

    def __post_init__(self) -> None:
        if self.latent_size < 1:
            raise ParameterError(f"latent_size is {self.latent_size}, must be >= 1")

    def sample(self, n: int, seed: int) -> Tensor:
        """Draw latents of N(0, 1).

        Parameters
        ----------
        n : int
            Number of rows, >= 1.
        seed : int
            Random seed of the first row; row i has ``seed + i``.

        Returns
        -------
        Tensor [n, latent]
            Latents, float32 on the CPU.

        Examples
        --------
        >>> GeneratorPrior(nn.Identity(), 3).sample(2, seed=0).shape
        torch.Size([2, 3])
        """
        return normal_rows((self.latent_size,), n, seed)

    def decode(self, latent: Tensor) -> Tensor:
        """Run the generator.

        Parameters
        ----------
        latent : Tensor [row, latent]
            Latents.

        Returns
        -------
        Tensor [row, ...]
            What the generator makes, in eval mode.

        Raises
        ------
        ParameterError
            If the generator raises an error, or makes no Tensor with a row per latent.

        Examples
        --------
        >>> import torch
        >>> GeneratorPrior(nn.Identity(), 2).decode(torch.ones(1, 2))
        tensor([[1., 1.]])
        """
        own = latent.to(dtype_of(self.generator, latent.dtype))
        with evaluating(self.generator):
            made = as_outputs(call_guarded(self.generator, own, name="the generator"))
        if not isinstance(made, Tensor) or len(made) != len(latent):
            kind = list(made.shape) if isinstance(made, Tensor) else type(made).__name__
            raise ParameterError(
                f"the generator made {kind} of {len(latent)} latents, must be a Tensor "
                "[latent, ...]"
            )
        return made.to(latent.dtype)

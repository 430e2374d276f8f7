"""Adam for many independent rows, each with a rate of its own."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["RowAdam"]


class RowAdam:
    """Kingma and Ba's Adam at a constant rate, row by row.

    Parameters
    ----------
    rate : Tensor [row]
        Length of a row's first step in each coordinate.
    betas : (float, float)
        Memory of the gradient and of its square, in [0, 1).
    eps : float
        Added to the root of the square, > 0.

    References
    ----------
    Kingma and Ba, "Adam: a method for stochastic optimization", 2015, algorithm 1.

    Examples
    --------
    >>> adam = RowAdam(torch.tensor([0.1, 0.01]))
    >>> adam.step(torch.tensor([[5.0], [-5.0]])).T
    tensor([[-0.1000,  0.0100]])
    """

    def __init__(
        self, rate: Tensor, *, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
    ) -> None:
        self._rate, self._betas, self._eps = rate, betas, eps
        self._steps = 0
        self._mean: Tensor | None = None
        self._square: Tensor | None = None

    def step(self, gradient: Tensor) -> Tensor:
        """Find the step against a gradient.

        Parameters
        ----------
        gradient : Tensor [row, ...]
            Of what is to become small, each row by itself.

        Returns
        -------
        Tensor [row, ...]
            To be added.

        Examples
        --------
        >>> RowAdam(torch.ones(1)).step(torch.tensor([[2.0, -3.0]]))
        tensor([[-1.0000,  1.0000]])
        """
        if self._mean is None or self._square is None:
            self._mean, self._square = torch.zeros_like(gradient), torch.zeros_like(gradient)
        self._steps += 1
        beta1, beta2 = self._betas
        self._mean.lerp_(gradient, 1 - beta1)
        self._square.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        deviation = (self._square / (1 - beta2**self._steps)).sqrt() + self._eps
        rate = self._rate.view(-1, *[1] * (gradient.ndim - 1)) / (1 - beta1**self._steps)
        return -rate * self._mean / deviation

    def keep(self, rows: Tensor) -> None:
        """Go on with some of the rows.

        Parameters
        ----------
        rows : Tensor [row], bool or int64
            Which, in the order of the gradients to come.

        Examples
        --------
        >>> adam = RowAdam(torch.tensor([1.0, 2.0]))
        >>> adam.keep(torch.tensor([False, True]))
        >>> adam.step(torch.ones(1, 1))
        tensor([[-2.]])
        """
        self._rate = self._rate[rows]
        if self._mean is not None and self._square is not None:
            self._mean, self._square = self._mean[rows], self._square[rows]

"""What was found: the best inputs of one setting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

__all__ = ["Maximised", "Reached", "Setting"]


@dataclass(frozen=True)
class Setting:
    """How a row was optimised.

    Parameters
    ----------
    rate : float
        Adam's, > 0.
    penalty : float
        lambda, what multiplies the prior's penalty, >= 0.
    iterations : int
        Inputs that were looked at, >= 1: the first one and one after each step but the last.

    Examples
    --------
    >>> str(Setting(0.01, 0.001, 100))
    'rate 0.01, penalty 0.001, 100 iterations'
    """

    rate: float
    penalty: float
    iterations: int

    def __str__(self) -> str:
        """Say it."""
        return f"rate {self.rate:g}, penalty {self.penalty:g}, {self.iterations} iterations"


@dataclass(frozen=True, eq=False)
class Reached:
    """The best inputs of some rows.

    Parameters
    ----------
    activation : Tensor [row]
        Of the unit, of the best input by `keep`. NaN if no finite one was.
    input : Tensor [row, ...]
        What the model was given then.
    latent : Tensor [row, ...]
        What the prior made it of.
    trace : Tensor [row, iteration]
        The activation of the best input by `keep` so far.
    steps : Tensor [row], int64
        Inputs looked at: fewer than the iterations if the row stopped before.
    failed : Tensor [row], bool
        Whether it stopped because its activation or gradient was NaN or infinite.

    Examples
    --------
    >>> maximiser.run(rate=0.1, iterations=100, seeds=8).activation.shape  # doctest: +SKIP
    torch.Size([8])
    """

    activation: Tensor
    input: Tensor
    latent: Tensor
    trace: Tensor
    steps: Tensor
    failed: Tensor

    @property
    def n_failed(self) -> int:
        """Count of rows that met a NaN or an infinity."""
        return int(self.failed.sum())

    def __getitem__(self, rows: slice) -> Reached:
        """Take some of the rows."""
        return Reached(*(getattr(self, field.name)[rows] for field in fields(Reached)))

    @classmethod
    def together(cls, parts: Sequence[Reached]) -> Reached:
        """Put rows after each other.

        Parameters
        ----------
        parts : sequence of Reached
            Of the same number of iterations.

        Returns
        -------
        Reached
            All rows.

        Examples
        --------
        >>> rows = Reached(*torch.zeros(6, 3, 1))
        >>> Reached.together([rows, rows[:1]]).activation.shape
        torch.Size([4, 1])
        """
        return Reached(
            *(torch.cat([getattr(p, field.name) for p in parts]) for field in fields(Reached))
        )


@dataclass(frozen=True, eq=False)
class Maximised(Reached):
    """The best inputs of one setting, a row a seed.

    Parameters
    ----------
    setting : Setting
        Rate, penalty and iterations.
    seeds : range
        Of the rows' first latents.
    maximise : bool
        Whether large is best.

    Examples
    --------
    >>> maximiser.run(rate=0.1, iterations=100, seeds=8).best  # doctest: +SKIP
    3
    """

    setting: Setting
    seeds: range
    maximise: bool

    @property
    def best(self) -> int:
        """The row with the best activation; the first of equals."""
        sign = 1 if self.maximise else -1
        return int((sign * self.activation).nan_to_num(-torch.inf).argmax())

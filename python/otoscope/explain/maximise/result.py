"""Results: the best inputs of one setting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from otoscope.display import Shown, data_frame
from otoscope.explain.maximise.inversion import Inversion

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["BestInputs", "MaximisationResult", "Setting"]

_MEASURES = ("activation", "steps", "failed", "flat", "exploded")


@dataclass(frozen=True)
class Setting:
    """Hold the numbers by which rows are optimised.

    Parameters
    ----------
    rate : float
        Learning rate of Adam, > 0.
    penalty : float
        Factor lambda of the prior's penalty, >= 0.
    iterations : int
        Number of evaluated inputs, >= 1: the first, and one after each step except the last.

    Examples
    --------
    >>> str(Setting(0.01, 0.001, 100))
    'rate 0.01, penalty 0.001, 100 iterations'
    """

    rate: float
    penalty: float
    iterations: int

    def __str__(self) -> str:
        """Write the numbers as text."""
        return f"rate {self.rate:g}, penalty {self.penalty:g}, {self.iterations} iterations"


@dataclass(frozen=True, eq=False)
class BestInputs:
    """Hold the best inputs of some rows."""

    activation: Tensor  # [row], of the best input by `keep`; NaN if none was finite
    input: Tensor  # [row, ...], the model's input
    latent: Tensor  # [row, ...], the latent that the prior decoded
    trace: Tensor  # [row, iteration], activation of the best input so far
    steps: Tensor  # [row], int64, evaluated inputs; fewer than the iterations if the row stopped
    failed: Tensor  # [row], bool, stopped because activation or gradient was not finite
    flat: Tensor  # [row], bool, the activation's gradient was 0 for all evaluated inputs
    exploded: Tensor  # [row], bool, stopped because the activation was beyond the bound

    @property
    def n_failed(self) -> int:
        """Number of rows that met a NaN or an infinity."""
        return int(self.failed.sum())

    def __getitem__(self, rows: slice) -> BestInputs:
        """Select some of the rows."""
        return BestInputs(*(getattr(self, field.name)[rows] for field in fields(BestInputs)))

    @classmethod
    def concatenate(cls, parts: Sequence[BestInputs]) -> BestInputs:
        """Concatenate rows of the same number of iterations."""
        return BestInputs(
            *(torch.cat([getattr(p, field.name) for p in parts]) for field in fields(BestInputs))
        )


@dataclass(frozen=True, eq=False, repr=False)
class MaximisationResult(Shown, BestInputs):
    """Hold the best inputs of one setting, one row per seed.

    Parameters
    ----------
    activation : Tensor [row]
        Activation of the unit for the best input; NaN if none was finite.
    input : Tensor [row, ...]
        Best input of the model.
    latent : Tensor [row, ...]
        Latent from which the prior made the best input.
    trace : Tensor [row, iteration]
        Activation of the best input so far.
    steps : Tensor [row], int64
        Number of evaluated inputs; smaller than the iterations if the row stopped before.
    failed : Tensor [row], bool
        True if the row stopped because its activation or gradient was NaN or infinite.
    flat : Tensor [row], bool
        True if the activation's gradient was 0 for all evaluated inputs: there was nothing to
        climb.
    exploded : Tensor [row], bool
        True if the row stopped because its activation was beyond the bound of `Stopping`.
    setting : Setting
        Rate, penalty and iterations.
    seeds : range
        Random seeds of the rows' first latents.
    maximise : bool
        True if the largest activation is best, False if the smallest.
    unit : str
        Name of the unit, such as "unit 0 of fc9".
    inversion : Inversion, optional
        Turns inputs into patches and sounds, if the model is a listening model.
    sr : float, optional
        Sampling rate of inputs that are waveforms, in Hz: the model's ``sample_rate``.

    Examples
    --------
    >>> maximiser.run(rate=0.1, iterations=100, seeds=8).best  # doctest: +SKIP
    3
    """

    setting: Setting
    seeds: range
    maximise: bool
    unit: str = "the unit"
    inversion: Inversion | None = None
    sr: float | None = None

    @property
    def order(self) -> list[int]:
        """Rows with a finite activation, the best first; the first of equal ones."""
        score = (1 if self.maximise else -1) * self.activation
        rows = score.nan_to_num(-torch.inf).argsort(descending=True, stable=True).tolist()
        return [row for row in rows if bool(score[row].isfinite())]

    @property
    def best(self) -> int:
        """Row with the best activation; the first of equal ones."""
        sign = 1 if self.maximise else -1
        return int((sign * self.activation).nan_to_num(-torch.inf).argmax())

    def to_dataframe(self) -> DataFrame:
        """Return the searches as a tidy table: one row per seed.

        Returns
        -------
        pandas.DataFrame
            Columns ``seed``, ``activation`` (NaN if none was finite), ``steps``, ``failed``,
            ``flat``,
            ``exploded``, ``rate``, ``penalty`` and ``iterations``.

        Raises
        ------
        MissingExtra
            If pandas is not installed.

        Examples
        --------
        >>> maximiser.run(seeds=8).to_dataframe().nlargest(3, "activation")  # doctest: +SKIP
        """
        columns = (self.seeds, *(getattr(self, name).tolist() for name in _MEASURES))
        rows = (
            {**dict(zip(("seed", *_MEASURES), row, strict=True)), **vars(self.setting)}
            for row in zip(*columns, strict=True)
        )
        names = (field.name for field in fields(Setting))
        return data_frame(rows, ("seed", *_MEASURES, *names))

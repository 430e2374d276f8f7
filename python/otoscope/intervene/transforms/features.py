"""Interventions that were applied beforehand: features of each item at each dose."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.intervene.base import Intervention

__all__ = ["FeatureDilation"]


@dataclass(frozen=True)
class FeatureDilation(Intervention):
    """Select the features of a recording that was stretched before they were computed.

    Parameters
    ----------
    percent : float
        Time dilation in percent; positive is longer, slower. `dilation_percent` converts it to a
        tempo change.
    available : tuple of float
        Dilations of the rows; must contain 0, and each dilation once.
    label_preserving : bool
        Claim that the right answer stays.

    Examples
    --------
    >>> import torch
    >>> rows = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    >>> FeatureDilation(4, available=(-4, 0, 4)).render(rows)
    tensor([5., 6.])
    """

    percent: float
    available: tuple[float, ...]

    name = "dilation"
    unit = "%"

    def __post_init__(self) -> None:
        object.__setattr__(self, "available", tuple(map(float, self.available)))
        if 0 not in self.available or len(set(self.available)) != len(self.available):
            raise ParameterError(
                f"available is {self.available}, must hold 0 and each dilation once"
            )
        super().__post_init__()
        if self.percent not in self.available:
            raise ParameterError(
                f"dilation: percent is {self.percent:g}; available are "
                f"{', '.join(f'{dose:g}' for dose in self.available)}"
            )

    @property
    def bounds(self) -> tuple[float, float]:
        """Least and greatest available dilation."""
        return min(self.available), max(self.available)

    @property
    def doses(self) -> tuple[float, ...]:
        """Available dilations up to this one, with both signs, without 0."""
        within = (d for d in sorted(self.available) if 0 < abs(d) <= abs(self.percent))
        return tuple(map(float, within)) or (0.0,)

    def render(
        self, y: Tensor, sr: float = 0, *, duration: float | None = None, seed: int = 0
    ) -> Tensor:
        """Copy the row of ``y``, Tensor [dilation, ...], at this dilation.

        The other arguments are those of other interventions and are not used.
        """
        if y.ndim == 0 or len(y) != len(self.available):
            raise ParameterError(
                f"y has shape {tuple(y.shape)}, must be [{len(self.available)}, ...]: "
                "one row per available dilation"
            )
        return y[self.available.index(self.percent)].clone()

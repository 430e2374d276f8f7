"""A model's outputs over time, to be drawn around the excerpt that is explained."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from otoscope.errors import ParameterError

__all__ = ["Curve"]


@dataclass(frozen=True, eq=False)
class Curve:
    """What a model says along a recording.

    Parameters
    ----------
    times : Tensor [time]
        Seconds of the recording, rising: the middle of what the model heard. At least two.
    values : Tensor [time, output]
        The outputs.
    names : tuple of str
        One an output.

    Raises
    ------
    ParameterError
        If the shapes do not fit, times do not rise, or a number is not finite.

    Examples
    --------
    >>> Curve(torch.arange(3.0), torch.rand(3, 1), ("singing",)).names
    ('singing',)
    """

    times: Tensor
    values: Tensor
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        times = torch.as_tensor(self.times).detach().cpu().double()
        values = torch.as_tensor(self.values).detach().cpu().double()
        object.__setattr__(self, "times", times)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "names", tuple(self.names))
        if times.ndim != 1 or len(times) < 2 or values.shape != (len(times), len(self.names)):
            raise ParameterError(
                f"times has shape {tuple(times.shape)}, values {tuple(values.shape)}, and there "
                f"are {len(self.names)} names; must be [time], [time, output] and one a column, "
                "two times or more"
            )
        if not bool(times.isfinite().all() and values.isfinite().all()):
            raise ParameterError("times and values must be finite")
        if not bool((times.diff() > 0).all()):
            raise ParameterError("times must rise")

"""Configuration of the sampler."""

from __future__ import annotations

import math
from dataclasses import dataclass

from otoscope.errors import ParameterError
from otoscope.folk.abc.form import Form

__all__ = ["SamplingConfig"]

_MOST_TOKENS = 1_000_000  # all random numbers of a tune are drawn at once


@dataclass(frozen=True)
class SamplingConfig:
    """Configuration of the sampler; by default it draws from the unchanged model.

    Parameters
    ----------
    temperature : float, > 0, default 1.0
        Divisor of the logits: below 1 tunes are more regular, above 1 they are more varied.
    top_k : int, >= 1, optional
        Number of the most probable tokens to draw from; all if not given.
    top_p : float, in (0, 1], optional
        Draw from the smallest set of most probable tokens whose total probability reaches this;
        from all tokens if not given.
    meter : str, default "*"
        Meter such as "6/8", or "*" for the model's choice.
    mode : str, default "*"
        Mode such as "dor", or "*" for the model's choice.
    prime : tuple of str, default ()
        Tokens that every tune begins with, after meter and key.
    max_tokens : int, in [1, 1e6], default 2000
        Maximum number of tokens per tune; longer tunes are cut and marked unfinished. The longest
        of the authors' tunes has 1,954.
    bars_add_up : bool, default False
        Allow only tokens that keep each measure at its meter's length.
    form : str, optional
        Form of every tune: letters of its sections and their numbers of bars, such as "AABB:8",
        "ABAC" or "AA:8 BB:16"; the model's choice if not given. Sections of one letter differ at
        most in the last quarter of their bars, those of different letters before it.
    precision : {"float32", "float64"}, optional
        Precision of the network's arithmetic. float32, the default on the CPU, is computed in one
        order whatever the batch and the processor. On a GPU the order is torch's, and float64 is
        the default: with float32 a tune may depend there on the batch, as rounding decides between
        tokens once in about 1e5 draws.

    Raises
    ------
    ParameterError
        If a value is out of its range.

    Examples
    --------
    >>> SamplingConfig(temperature=0.8, meter="6/8").mode
    '*'
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    meter: str = "*"
    mode: str = "*"
    prime: tuple[str, ...] = ()
    max_tokens: int = 2000
    bars_add_up: bool = False
    form: str | None = None
    precision: str | None = None

    def __post_init__(self) -> None:
        if not (self.temperature > 0 and math.isfinite(self.temperature)):
            raise ParameterError(f"temperature is {self.temperature}, must be above 0 and finite")
        if self.top_k is not None and self.top_k < 1:
            raise ParameterError(f"top_k is {self.top_k}, must be at least 1")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ParameterError(f"top_p is {self.top_p}, must be in (0, 1]")
        if not 1 <= self.max_tokens <= _MOST_TOKENS:
            raise ParameterError(f"max_tokens is {self.max_tokens}, must be in [1, {_MOST_TOKENS}]")
        if self.precision not in (None, "float64", "float32"):
            raise ParameterError(f"precision is {self.precision!r}, must be float64 or float32")
        if self.form is not None:
            Form.parse(self.form)
        if isinstance(self.prime, str):
            raise ParameterError(f"prime is {self.prime!r}; needs a sequence of tokens")
        object.__setattr__(self, "prime", tuple(self.prime))

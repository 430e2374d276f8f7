"""From what a user writes to a content: its name, a number, a tensor, or the content itself."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.explain.content.base import Content
from otoscope.explain.content.neighbours import blur, inpaint
from otoscope.explain.content.noise import fresh_noise, noise
from otoscope.explain.content.statistics import (
    constant,
    mean_band,
    mean_inp,
    min_band,
    min_inp,
    silence,
    zero,
)

__all__ = ["BY_NAME", "resolve"]

BY_NAME: dict[str, Callable[[], Content]] = {
    "zero": zero,
    "min_inp": min_inp,
    "mean_inp": mean_inp,
    "noise": noise,
    "silence": silence,
    "min_band": min_band,
    "mean_band": mean_band,
    "fresh_noise": fresh_noise,
    "blur": blur,
    "inpaint": inpaint,
}
_FROM_DATA = ("min_data", "mean_band_data", "min_band_data", "donor")


def resolve(content: Content | Tensor | float | str) -> Content:
    """Find the content that a user means.

    Parameters
    ----------
    content : Content, str, float or Tensor
        A name of `BY_NAME`, a value for all cells (also as text), or values [mel] or [frame, mel].

    Returns
    -------
    Content
        In the domain of the values, if it came as numbers.

    Raises
    ------
    ParameterError
        If the name is unknown or of a content that needs excerpts, or a number is not finite.

    Examples
    --------
    >>> resolve("mean_inp").name
    'mean_inp'
    >>> resolve("-0.5").name == resolve(-0.5).name
    True
    """
    if isinstance(content, Content):
        return content
    if isinstance(content, Tensor):
        if bad := int((~content.isfinite()).sum()):
            raise ParameterError(
                f"content: {bad} of {content.numel()} numbers are NaN or infinite; all must be "
                "finite"
            )
        return Content("given", lambda patch, ids: content)
    if isinstance(content, float | int):
        return constant(float(content))
    if not isinstance(content, str):
        raise ParameterError(
            f"content is {content!r}; give a name, a number, a Tensor or a Content"
        )
    if content in BY_NAME:
        return BY_NAME[content]()
    if content in _FROM_DATA:
        raise ParameterError(
            f"content {content!r} is made from excerpts, in Python: content.{content}(excerpts)"
        )
    if (value := _number(content)) is not None:
        return constant(value)
    raise ParameterError(f"content is {content!r}, must be a number or one of {', '.join(BY_NAME)}")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None

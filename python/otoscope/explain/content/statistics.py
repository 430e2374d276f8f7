"""Contents from one number or from the patch: its smallest value or mean, per band or over all."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.explain.content.base import Content, Given, Space, register
from otoscope.protocols import Patch

__all__ = ["constant", "mean_band", "mean_inp", "min_band", "min_inp", "silence", "zero"]


@register("one number in all cells", example="constant:-0.5")
def constant(value: float, *, space: Space = "values") -> Content:
    """Occlude with one value in all cells.

    Parameters
    ----------
    value : float
        Value in the domain ``space``.
    space : {"values", "log_mel", "mel"}
        Domain of the value.

    Returns
    -------
    Content
        Content of one value.

    Raises
    ------
    ParameterError
        If ``value`` is not finite.

    Examples
    --------
    >>> constant(-16.1, space="log_mel").name
    'constant(-16.1, log_mel)'
    """
    if not math.isfinite(value):
        raise ParameterError(f"content is {value}, must be a finite number")
    name = f"constant({value}{'' if space == 'values' else f', {space}'})"
    return Content(name, Given(torch.tensor(value)), space, description=f"the value {value:g}")


@register("the value 0")
def zero() -> Content:
    """Occlude with 0 in the domain of the values: the training set's mean per band, not silence.

    Returns
    -------
    Content
        Paper A's "dataset mean spectrum".

    Examples
    --------
    >>> zero().name
    'zero'
    """
    return Content("zero", Given(torch.tensor(0.0)))


@register("the values of digital silence")
def silence() -> Content:
    """Occlude with silence, as the model's front end represents it.

    Returns
    -------
    Content
        Zero in the domain ``mel``; needs the patch's domain.

    Examples
    --------
    >>> silence().space
    'mel'
    """
    return Content("silence", Given(torch.tensor(0.0)), "mel")


@register("the excerpt’s lowest level")
def min_inp() -> Content:
    """Occlude with the smallest value of the patch.

    Returns
    -------
    Content
        One value per patch (paper A).

    Examples
    --------
    >>> from otoscope.protocols import Patch
    >>> patch = Patch(torch.tensor([[1.0, 2.0], [3.0, 6.0]]))
    >>> min_inp()(patch, torch.zeros(2, 2)).item()
    1.0
    """
    return Content("min_inp", _least)


@register("the excerpt’s mean level")
def mean_inp() -> Content:
    """Occlude with the mean of all values of the patch.

    Returns
    -------
    Content
        One value per patch (paper A's choice: "average magnitude of mel-spectrogram bins").

    Examples
    --------
    >>> from otoscope.protocols import Patch
    >>> patch = Patch(torch.tensor([[1.0, 2.0], [3.0, 6.0]]))
    >>> mean_inp()(patch, torch.zeros(2, 2)).item()
    3.0
    """
    return Content("mean_inp", _mean)


@register("the lowest level of each band")
def min_band() -> Content:
    """Occlude with the smallest value of each band of the patch.

    Returns
    -------
    Content
        One value per band.

    Examples
    --------
    >>> from otoscope.protocols import Patch
    >>> patch = Patch(torch.tensor([[1.0, 7.0], [3.0, 6.0]]))
    >>> min_band()(patch, torch.zeros(2, 2)).tolist()
    [1.0, 6.0]
    """
    return Content("min_band", _least_of_bands)


@register("the mean level of each band")
def mean_band() -> Content:
    """Occlude with the mean of each band of the patch.

    Returns
    -------
    Content
        One value per band.

    Examples
    --------
    >>> from otoscope.protocols import Patch
    >>> patch = Patch(torch.tensor([[1.0, 7.0], [3.0, 6.0]]))
    >>> mean_band()(patch, torch.zeros(2, 2)).tolist()
    [2.0, 6.5]
    """
    return Content("mean_band", _mean_of_bands)


def _least(patch: Patch, ids: Tensor) -> Tensor:
    return patch.values.amin()


def _mean(patch: Patch, ids: Tensor) -> Tensor:
    return patch.values.mean()


def _least_of_bands(patch: Patch, ids: Tensor) -> Tensor:
    return patch.values.amin(0)


def _mean_of_bands(patch: Patch, ids: Tensor) -> Tensor:
    return patch.values.mean(0)

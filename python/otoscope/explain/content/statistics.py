"""Contents from one number or from the patch: its smallest value or mean, per band or over all."""

from __future__ import annotations

import math

import torch

from otoscope.errors import ParameterError
from otoscope.explain.content.base import Content, Space, register

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
    return Content(
        name, lambda patch, ids: torch.tensor(value), space, description=f"the value {value:g}"
    )


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
    return Content("zero", lambda patch, ids: torch.tensor(0.0))


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
    return Content("silence", lambda patch, ids: torch.zeros(patch.values.shape[1]), "mel")


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
    return Content("min_inp", lambda patch, ids: patch.values.amin())


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
    return Content("mean_inp", lambda patch, ids: patch.values.mean())


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
    return Content("min_band", lambda patch, ids: patch.values.amin(0))


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
    return Content("mean_band", lambda patch, ids: patch.values.mean(0))

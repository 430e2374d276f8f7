"""Contents from one number or from the patch: its smallest value or mean, per band or over all."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.explain.content.base import Content, Given, SoundSource, Space, register
from otoscope.protocols import Patch
from otoscope.signal.listen import sound_of, spectrum_of, window_length

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
    given = Given(torch.tensor(value))
    sound = given.sound if space == "values" else None
    return Content(name, given, space, description=f"the value {value:g}", sound=sound)


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
    given = Given(torch.tensor(0.0))
    return Content("zero", given, sound=given.sound, sound_description="silence")


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
    given = Given(torch.tensor(0.0))
    return Content("silence", given, "mel", sound=given.sound, sound_description="silence")


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
        One value per patch (paper A's choice: "average magnitude of mel-spectrogram bins"). As a
        sound, the mean of the samples: silence for most sounds.

    Examples
    --------
    >>> from otoscope.protocols import Patch
    >>> patch = Patch(torch.tensor([[1.0, 2.0], [3.0, 6.0]]))
    >>> mean_inp()(patch, torch.zeros(2, 2)).item()
    3.0
    """
    return Content("mean_inp", _mean, sound=_mean_sample, sound_description=_MEAN_SAMPLE)


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
        One value per band. As a sound, the mean magnitude of each bin of the spectrum in all
        frames, with the phases of the sound.

    Examples
    --------
    >>> from otoscope.protocols import Patch
    >>> patch = Patch(torch.tensor([[1.0, 7.0], [3.0, 6.0]]))
    >>> mean_band()(patch, torch.zeros(2, 2)).tolist()
    [2.0, 6.5]
    """
    return Content(
        "mean_band",
        _mean_of_bands,
        sound=_mean_spectrum,
        sound_description="the sound’s mean spectrum",
    )


def _least(patch: Patch, ids: Tensor) -> Tensor:
    return patch.values.amin()


def _mean(patch: Patch, ids: Tensor) -> Tensor:
    return patch.values.mean()


def _least_of_bands(patch: Patch, ids: Tensor) -> Tensor:
    return patch.values.amin(0)


def _mean_of_bands(patch: Patch, ids: Tensor) -> Tensor:
    return patch.values.mean(0)


_MEAN_SAMPLE = "the sound’s mean sample (silence, if it has no offset)"


def _mean_sample(source: SoundSource) -> Tensor:
    return source.y.mean()


def _mean_spectrum(source: SoundSource) -> Tensor:
    n_fft = window_length(source.sr or 16_000)
    spectrum = spectrum_of(source.y, n_fft)
    magnitude = spectrum.abs()
    held = _frames_of(magnitude, source.y.shape[-1], n_fft).mean(-2, keepdim=True)
    phase = torch.where(magnitude > 0, spectrum / magnitude.clamp(min=1e-300), 1)
    return sound_of(held * phase, n_fft, source.y.shape[-1])


def _frames_of(magnitude: Tensor, n_samples: int, n_fft: int) -> Tensor:
    """Select the frames [..., frame, bin] that lie within the sound, or all if it is short."""
    first, last = 4, 4 + (n_samples - n_fft) // (n_fft // 4) + 1
    return magnitude[..., first:last, :] if last > first else magnitude

"""Contents from a data set's excerpts: its smallest value, statistics per band, or a donor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, TypeAlias

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.explain.content.base import Content, Given, SoundSource, register
from otoscope.protocols import Patch
from otoscope.protocols.patch import as_samples
from otoscope.signal.audio.files import channels_of, resampled

__all__ = ["Excerpts", "donor", "mean_band_data", "min_band_data", "min_data"]

Excerpts: TypeAlias = "Tensor | Sequence[Tensor | Patch | tuple[Any, float]]"
"""Excerpts in the domain of the values: Tensor [excerpt, frame, mel], or a sequence."""


@register("the lowest level of the data set", example="")
def min_data(excerpts: Excerpts) -> Content:
    """Occlude with the smallest value of a data set.

    Parameters
    ----------
    excerpts : Tensor [excerpt, frame, mel], or sequence of Patch or Tensor [frame, mel]
        Data set. If it includes padding, as in the paper, the minimum is a padding value.

    Returns
    -------
    Content
        One value for all patches.

    Examples
    --------
    >>> min_data(torch.tensor([[[3.0, 1.0]], [[0.5, 2.0]]])).name
    'min_data'
    """
    smallest = torch.stack([values.amin() for values in _values_of(excerpts)]).amin()
    return Content("min_data", Given(smallest))


@register("the lowest level of each band in the data set", example="")
def min_band_data(excerpts: Excerpts) -> Content:
    """Occlude with the smallest value of each band over a data set.

    Parameters
    ----------
    excerpts : Tensor [excerpt, frame, mel], or sequence of Patch or Tensor [frame, mel]
        Data set.

    Returns
    -------
    Content
        One value per band for all patches.

    Examples
    --------
    >>> band = min_band_data(torch.tensor([[[3.0, 1.0]], [[0.5, 2.0]]]))
    >>> band(Patch(torch.zeros(1, 2)), torch.zeros(1, 2)).tolist()
    [0.5, 1.0]
    """
    smallest = torch.stack([values.amin(0) for values in _values_of(excerpts)]).amin(0)
    return Content("min_band_data", Given(smallest))


@register("the mean level of each band in the data set", example="")
def mean_band_data(excerpts: Excerpts) -> Content:
    """Occlude with the mean of each band over all frames of a data set.

    Parameters
    ----------
    excerpts : Tensor [excerpt, frame, mel], or sequence of Patch or Tensor [frame, mel]
        Data set.

    Returns
    -------
    Content
        One value per band for all patches.

    Examples
    --------
    >>> band = mean_band_data(torch.tensor([[[3.0, 1.0]], [[1.0, 2.0]]]))
    >>> band(Patch(torch.zeros(1, 2)), torch.zeros(1, 2)).tolist()
    [2.0, 1.5]
    """
    mean = torch.cat([values.double() for values in _values_of(excerpts)]).mean(0)
    return Content("mean_band_data", Given(mean))


@register("another excerpt", example="")
def donor(
    excerpts: Excerpts,
    *,
    labels: Sequence[object] | None = None,
    label: object = None,
    seed: int = 0,
) -> Content:
    """Occlude with an excerpt drawn from a data set, or from one class of it.

    Parameters
    ----------
    excerpts : Tensor [excerpt, frame, mel], or sequence of Patch, Tensor [frame, mel] or (y, sr)
        Data set, or one excerpt in a list; of the patches' shape. For models of sounds: recordings
        ``(y, sr)``, at least as long as the excerpt, with its channels.
    labels : sequence, optional
        Class of each excerpt.
    label : object
        Class to draw from.
    seed : int
        Random seed.

    Returns
    -------
    Content
        Values [frame, mel] or the beginning of a recording, the same for all patches.

    Raises
    ------
    ParameterError
        If no excerpt has the label, or a recording is too short or has other channels.

    Examples
    --------
    >>> quiet, loud = torch.zeros(4, 2), torch.ones(4, 2)
    >>> content = donor([quiet, loud], labels=["no", "yes"], label="no")
    >>> float(content(Patch(loud), torch.zeros(4, 2)).max())
    0.0
    """
    given: list[Any] = list(excerpts)
    values = given if given and _is_recording(given[0]) else _values_of(given)
    if labels is not None:
        if len(labels) != len(values):
            raise ParameterError(f"{len(labels)} labels came for {len(values)} excerpts")
        values = [v for v, own in zip(values, labels, strict=True) if own == label]
        if not values:
            raise ParameterError(f"no excerpt has the label {label!r}; there are {set(labels)}")
    generator = torch.Generator().manual_seed(seed)
    chosen = values[int(torch.randint(len(values), (), generator=generator))]
    if not _is_recording(chosen):
        return Content("donor", Given(chosen.clone()), seed=seed)
    y = as_samples("y", chosen[0]).detach().to("cpu", torch.float64, copy=True)
    recording = _Recording(y, float(chosen[1]))
    return Content(
        "donor", recording, seed=seed, sound=recording.sound, sound_description="another recording"
    )


@dataclass(frozen=True, eq=False)
class _Recording:
    """Beginning of a recording, at the rate of the sound that it replaces."""

    y: Tensor
    sr: float

    def __call__(self, patch: Patch, ids: Tensor) -> Tensor:
        raise ParameterError(
            "content 'donor' is a recording, and the model hears spectrograms; give excerpts "
            "[frame, mel], such as model.patch((y, sr))"
        )

    def sound(self, source: SoundSource) -> Tensor:
        """Return the recording's beginning, by share."""
        n, y = source.y.shape[-1], self.y
        if y.shape[:-1] != source.y.shape[:-1]:
            raise ParameterError(
                f"the donor is {channels_of(y)}, the sound {channels_of(source.y)}; give both "
                "alike: y.mean(0) mixes channels to mono"
            )
        if source.sr is not None:
            y = resampled(y, self.sr, source.sr)
        if y.shape[-1] < n:
            raise ParameterError(f"the donor has {y.shape[-1]} samples, the sound {n}; take more")
        return y[..., :n] * source.share


def _is_recording(excerpt: object) -> bool:
    return isinstance(excerpt, tuple) and len(excerpt) == 2 and isinstance(excerpt[1], Real)


def _values_of(excerpts: Iterable[Any]) -> list[Tensor]:
    """Return the values [frame, mel] of each excerpt."""
    values = [e.values if isinstance(e, Patch) else e for e in excerpts]
    if not values:
        raise ParameterError("there is no excerpt; give at least one [frame, mel]")
    for i, v in enumerate(values):
        if v.ndim != 2:
            raise ParameterError(f"excerpt {i} has shape {tuple(v.shape)}, must be [frame, mel]")
    return values

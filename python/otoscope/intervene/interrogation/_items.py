"""What is interrogated: sounds, or features that were computed at each dose beforehand."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from os import PathLike, fspath
from typing import Any

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.intervene.base import Intervention, SoundIntervention
from otoscope.intervene.interrogation.cache import RenderCache
from otoscope.intervene.transforms.features import FeatureDilation
from otoscope.progress import Progress
from otoscope.protocols import Sound
from otoscope.signal.audio.files import mono, read_audio

__all__ = ["Features", "Progress", "Sounds", "items_of"]


class Sounds:
    """Sounds, each read when it is rendered.

    Parameters
    ----------
    sounds : sequence of str, PathLike or (y, sr)
        Files, or samples and their rate.
    sr : float
        Rate that they are brought to before they are changed.
    cache : RenderCache, optional
        Where renderings are kept.

    Examples
    --------
    >>> from otoscope.intervene import Gain
    >>> sounds = Sounds([(torch.ones(8), 4)], sr=4)
    >>> sounds.rendered(0, [(Gain(0), 0), (Gain(-20), 0)], duration=0.5)
    tensor([[1.0000, 1.0000],
            [0.1000, 0.1000]])
    """

    kind = SoundIntervention

    def __init__(
        self, sounds: Sequence[Sound], *, sr: float, cache: RenderCache | None = None
    ) -> None:
        self._sounds, self.sr, self._cache = list(sounds), sr, cache
        self.names = tuple(
            fspath(sound) if isinstance(sound, str | PathLike) else f"item {i}"
            for i, sound in enumerate(self._sounds)
        )

    def sound(self, index: int) -> Tensor:
        """Read one: Tensor [sample] at ``sr``."""
        sound = self._sounds[index]
        if isinstance(sound, str | PathLike):
            return read_audio(sound, sr=self.sr)[0]
        try:
            y, sr = sound
            return mono(y, sr, sr=self.sr)[0]
        except (TypeError, ValueError) as err:
            raise ParameterError(
                f"{self.names[index]}: {err}; give a file's name or (y, sr)"
            ) from err

    def survey(self, progress: Progress | None = None) -> tuple[list[int], str]:
        """Read all, one by one: how many samples each has at ``sr``, and a hash of them all."""
        indices, content, lengths = range(len(self.names)), hashlib.blake2b(digest_size=16), []
        for index in progress(indices, "reading") if progress else indices:
            y = self.sound(index)
            content.update(y.contiguous().numpy().data)
            lengths.append(len(y))
        return lengths, content.hexdigest()

    def only(self, index: int) -> Sounds:
        """One of them, to hand to another process."""
        sound = self._sounds[index]
        if isinstance(sound, tuple) and isinstance(sound[0], Tensor):
            sound = (sound[0].clone(), sound[1])  # a view would take along all that it views
        one = Sounds([sound], sr=self.sr, cache=self._cache)
        one.names = (self.names[index],)
        return one

    def rendered(
        self, index: int, asked: Sequence[tuple[Intervention, int]], duration: float | None
    ) -> Tensor:
        """Render one item under several interventions.

        Parameters
        ----------
        index : int
            Of the item.
        asked : sequence of (Intervention, int)
            Interventions on sound, each with its seed.
        duration : float
            Seconds of each rendering.

        Returns
        -------
        Tensor [rendering, sample]
            In the order asked for.

        Raises
        ------
        ParameterError
            If the item is too short, silent for an intervention that needs sound, or no sound.

        Examples
        --------
        >>> from otoscope.intervene import Gain
        >>> Sounds([(torch.ones(8), 4)], sr=4).rendered(0, [(Gain(0), 0)], 0.5).shape
        torch.Size([1, 2])
        """
        y = self.sound(index)
        render = self._cache.render if self._cache else _render
        try:
            made = [render(i, y, self.sr, duration=duration, seed=seed) for i, seed in asked]
        except ParameterError as err:
            raise err.within(self.names[index]) from err
        return torch.stack(made)


class Features:
    """Features of each item at each dose.

    Parameters
    ----------
    features : Tensor [item, dose, feature]
        Finite.
    names : sequence of str, optional
        Of the items; default: "item 0" and so on.

    Examples
    --------
    >>> from otoscope.intervene import FeatureDilation
    >>> rows = Features(torch.tensor([[[1.0], [2.0]]]))
    >>> rows.rendered(0, [(FeatureDilation(4, available=(0, 4)), 0)], None)
    tensor([[2.]])
    """

    kind = FeatureDilation

    def __init__(self, features: Tensor, names: Sequence[str] | None = None) -> None:
        if features.ndim != 3 or not features.is_floating_point() or features.numel() == 0:
            raise ParameterError(
                f"features have shape {tuple(features.shape)} and dtype {features.dtype}, must be "
                "[item, dose, feature], floating, not empty"
            )
        self.names = tuple(names or (f"item {i}" for i in range(len(features))))
        if bad := torch.nonzero(~features.isfinite().flatten(1).all(1)).flatten().tolist():
            raise ParameterError(
                f"features of {len(bad)} items are NaN or infinite; the first is "
                f"{self.names[bad[0]]}"
            )
        self._features = features

    def survey(self, progress: Progress | None = None) -> tuple[list[int], str]:
        """Count the doses of each item, and hash all features."""
        content = self._features.detach().cpu().contiguous().numpy()
        digest = hashlib.blake2b(content.data, digest_size=16).hexdigest()
        return [content.shape[1]] * len(content), digest

    def only(self, index: int) -> Features:
        """One of them, to hand to another process."""
        return Features(self._features[index, None].clone(), [self.names[index]])

    def rendered(
        self, index: int, asked: Sequence[tuple[Intervention, int]], duration: float | None
    ) -> Tensor:
        """Look one item up under several dilations.

        Parameters
        ----------
        index : int
            Of the item.
        asked : sequence of (FeatureDilation, int)
            Dilations; the seeds are not used.
        duration : None
            Not used.

        Returns
        -------
        Tensor [rendering, feature]
            In the order asked for.

        Examples
        --------
        >>> from otoscope.intervene import FeatureDilation
        >>> dilation = FeatureDilation(4, available=(0, 4))
        >>> Features(torch.tensor([[[1.0], [2.0]]])).rendered(0, [(dilation, 0)], None)
        tensor([[2.]])
        """
        rows = self._features[index]
        return torch.stack([i.render(rows, 1, seed=seed) for i, seed in asked])


def items_of(audio: Any, *, sr: float | None, cache: RenderCache | None) -> Sounds | Features:
    """Tell sounds from features.

    Parameters
    ----------
    audio : sequence of Sound, or Tensor
        Files or (y, sr); Tensor [item, sample], which needs ``sr``; features
        [item, dose, feature].
    sr : float, optional
        Rate to analyse at; by default the first sound's.
    cache : RenderCache, optional
        For sounds.

    Returns
    -------
    Sounds or Features
        The items.

    Raises
    ------
    ParameterError
        If there are none, or it is neither.

    Examples
    --------
    >>> items_of([(torch.zeros(8000), 8000)], sr=None, cache=None).sr
    8000
    """
    if isinstance(audio, Features):
        return audio
    if isinstance(audio, Tensor) and audio.ndim == 3:
        return Features(audio)
    if isinstance(audio, str | PathLike) or not hasattr(audio, "__len__"):
        raise ParameterError(f"audio is {audio!r}, must be a list of files or of (y, sr)")
    if len(audio) == 0:
        raise ParameterError("audio is empty, there must be sounds of two classes or more")
    if isinstance(audio, Tensor):
        if audio.ndim != 2 or sr is None:
            raise ParameterError(
                f"audio has shape {tuple(audio.shape)} and sr is {sr}; a Tensor is [item, sample] "
                "with sr=, or features [item, dose, feature]"
            )
        audio = [(y, sr) for y in audio]
    if sr is None:
        first = audio[0]
        if isinstance(first, str | PathLike):
            sr = read_audio(first)[1]
        elif isinstance(first, tuple) and len(first) == 2:
            sr = first[1]
        else:
            raise ParameterError(f"item 0 is {type(first).__name__}; give a file's name or (y, sr)")
    return Sounds(audio, sr=sr, cache=cache)


def _render(
    intervention: Intervention, y: Tensor, sr: float, *, duration: float | None, seed: int
) -> Tensor:
    return intervention.render(y, sr, duration=duration, seed=seed)

"""Items of an interrogation: sounds, or features that were computed at each dose beforehand."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.intervene.base import Intervention
from otoscope.intervene.cache import RenderCache
from otoscope.intervene.sound import SoundIntervention
from otoscope.intervene.transforms.controls import OtherItem
from otoscope.intervene.transforms.features import FeatureDilation
from otoscope.progress import Progress, silent, tracked
from otoscope.protocols import Sound
from otoscope.signal.audio.files import LONG, Blocks, decode, mono, read_beginning
from otoscope.signal.audio.reader import SoundReader

__all__ = ["Features", "Seeded", "Sounds", "as_items"]

Seeded = tuple[Intervention, int]
"""An intervention with the seed of its rendering."""


@dataclass
class _Survey:
    """Lengths of sounds in samples, and a hash of all their samples."""

    lengths: list[int] = field(default_factory=list)
    digest: Any = field(default_factory=lambda: hashlib.blake2b(digest_size=16))

    def add(self, blocks: Iterable[Tensor]) -> None:
        digest, n_samples = self.digest.copy(), 0  # a block that cannot be read leaves no trace
        for y in blocks:
            digest.update(y.contiguous().numpy().data)
            n_samples += len(y)
        if n_samples == 0:
            raise ParameterError("there are no samples in it")
        self.digest = digest
        self.lengths.append(n_samples)


class Sounds:
    """Sounds, each read when it is rendered; ``sr`` is the rate that they are converted to."""

    kind = SoundIntervention

    def __init__(
        self,
        sounds: Sequence[Sound],
        *,
        sr: float,
        cache: RenderCache | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        self._sounds, self.sr, self._cache = list(sounds), sr, cache
        self._survey: _Survey | None = None
        self._partner: Tensor | None = None
        self.names = tuple(
            names
            or (
                fspath(sound) if isinstance(sound, str | PathLike) else f"item {i}"
                for i, sound in enumerate(self._sounds)
            )
        )

    def sound(self, index: int, *, n_samples: int | None = None) -> Tensor:
        """Read one sound: Tensor [sample] at ``sr``; ``n_samples`` are enough of a long file."""
        sound = self._sounds[index]
        if isinstance(sound, str | PathLike):  # `survey` warns of those that were cut off
            if n_samples is None:
                return decode(sound, sr=self.sr)[0]
            return read_beginning(sound, sr=self.sr, seconds=n_samples / self.sr)
        try:
            y, sr = sound
            return mono(y, sr, sr=self.sr)[0]
        except (TypeError, ValueError) as err:
            raise ParameterError(
                f"{self.names[index]}: {err}; give a file's name or (y, sr)"
            ) from err

    def survey(self, progress: Progress = silent) -> tuple[list[int], str]:
        """Read all sounds, one by one: return their lengths at ``sr`` and a hash of them all."""
        survey, self._survey = self._survey, None  # of `readable`: files may change after its use
        if survey is None:
            survey = _Survey()
            for index in tracked(progress, range(len(self.names)), "reading"):
                survey.add(self._read(index))
        return survey.lengths, survey.digest.hexdigest()

    def readable(
        self, progress: Progress = silent
    ) -> tuple[Sounds, list[int], dict[str, ParameterError]]:
        """Leave out the files that cannot be read.

        Return the others with their indices, and the errors by the names of the files. What was
        read serves the next `survey` of the others.
        """
        survey, kept, errors = _Survey(), list[int](), dict[str, ParameterError]()
        for index in tracked(progress, range(len(self.names)), "reading"):
            try:
                survey.add(self._read(index))
                kept.append(index)
            except OSError as err:
                errors[self.names[index]] = ParameterError(f"it cannot be read: {err.strerror}")
            except ParameterError as err:
                if not isinstance(self._sounds[index], str | PathLike):
                    raise
                errors[self.names[index]] = err.without(self.names[index])
        if not kept:
            raise _none_readable(errors)
        others = self.keep(kept)
        others._survey = survey
        return others, kept, errors

    def keep(self, indices: Sequence[int]) -> Sounds:
        """Select some of the sounds."""
        others = copy(self)
        others._sounds = [self._sounds[index] for index in indices]
        others.names = tuple(self.names[index] for index in indices)
        others._survey = None
        return others

    def _read(self, index: int) -> Iterable[Tensor]:
        """Read one sound, block by block if it is a long file."""
        sound = self._sounds[index]
        if not isinstance(sound, str | PathLike):
            return [self.sound(index)]
        blocks = Blocks(sound, sr=self.sr)  # it warns of a file that was cut off
        return blocks if blocks.seconds > LONG else [self.sound(index)]

    def only(self, index: int, *, with_partner: bool = False) -> Sounds:
        """Return one sound as items of their own, to hand to another process.

        ``with_partner`` keeps the sound that `OtherItem` puts in its place.
        """
        sound = self._sounds[index]
        if isinstance(sound, tuple) and isinstance(sound[0], Tensor):
            sound = (sound[0].clone(), sound[1])  # a view would take along its whole storage
        single = Sounds([sound], sr=self.sr, cache=self._cache, names=[self.names[index]])
        single._partner = self.sound(self._other(index)) if with_partner else None
        return single

    def rendered(
        self, index: int, interventions: Sequence[Seeded], duration: float | None
    ) -> Tensor:
        """Render one sound under several interventions: Tensor [rendering, sample]."""
        n_samples = None
        if duration is not None:
            n = round(duration * self.sr)
            n_samples = max(
                cast(SoundIntervention, i).input_length(n, self.sr) for i, _ in interventions
            )
        y = self.sound(index, n_samples=n_samples)
        try:
            renderings = [
                self._of_partner(index, i, duration)
                if isinstance(i, OtherItem) and i.dose
                else self._cache.render(i, y, self.sr, duration=duration, seed=seed)
                if self._cache
                else i.render(y, self.sr, duration=duration, seed=seed)
                for i, seed in interventions
            ]
        except ParameterError as err:
            raise err.within(self.names[index]) from err
        return torch.stack(renderings)

    def _other(self, index: int) -> int:
        """Return the item half of all items further on."""
        return (index + max(1, len(self._sounds) // 2)) % len(self._sounds)

    def _of_partner(self, index: int, change: OtherItem, duration: float | None) -> Tensor:
        y = self.sound(self._other(index)) if self._partner is None else self._partner
        return change.with_dose(0).render(y, self.sr, duration=duration)


class Features:
    """Features of each item at each dose, Tensor [item, dose, feature]."""

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

    def survey(self, progress: Progress = silent) -> tuple[list[int], str]:
        """Count the doses of each item, and hash all features."""
        content = self._features.detach().cpu().contiguous().numpy()
        digest = hashlib.blake2b(content.data, digest_size=16).hexdigest()
        return [content.shape[1]] * len(content), digest

    def keep(self, indices: Sequence[int]) -> Features:
        """Select some of the items."""
        return Features(self._features[list(indices)], [self.names[index] for index in indices])

    def at(self, dose: int) -> Features:
        """Select one dose of all items."""
        return Features(self._features[:, dose, None], self.names)

    def only(self, index: int, *, with_partner: bool = False) -> Features:
        """Return one item as items of their own, to hand to another process."""
        return Features(self._features[index, None].clone(), [self.names[index]])

    def rendered(
        self, index: int, interventions: Sequence[Seeded], duration: float | None
    ) -> Tensor:
        """Look up one item under several dilations: Tensor [rendering, feature]."""
        rows = self._features[index]
        return torch.stack([i.render(rows, 1, seed=seed) for i, seed in interventions])


def as_items(audio: Any, *, sr: float | None, cache: RenderCache | None) -> Sounds | Features:
    """Make items of sounds or features, as `Interrogation` accepts them."""
    if isinstance(audio, Features | Sounds):
        return audio
    if isinstance(audio, Tensor) and audio.ndim == 3:
        return Features(audio)
    if isinstance(audio, str | PathLike) or not hasattr(audio, "__len__"):
        raise ParameterError(f"audio is {audio!r}, must be a list of files or of (y, sr)")
    if len(audio) == 0:
        raise ParameterError("audio is empty, there must be sounds of two classes or more")
    names = None
    if isinstance(audio, Mapping):
        names, audio = [*map(str, audio)], [*audio.values()]
    if isinstance(audio, Tensor):
        if audio.ndim != 2 or sr is None:
            raise ParameterError(
                f"audio has shape {tuple(audio.shape)} and sr is {sr}; a Tensor is [item, sample] "
                "with sr=, or features [item, dose, feature]"
            )
        audio = [(y, sr) for y in audio]
    if sr is None:
        sr = _first_rate(audio)
    return Sounds(audio, sr=sr, cache=cache, names=names)


def _first_rate(audio: Sequence[Any]) -> Any:
    """Return the sampling rate of the first sound that can be read."""
    errors = dict[str, ParameterError]()
    for index, sound in enumerate(audio):
        if isinstance(sound, tuple) and len(sound) == 2:
            return sound[1]
        if not isinstance(sound, str | PathLike):
            kind = type(sound).__name__
            raise ParameterError(f"item {index} is {kind}; give a file's name or (y, sr)")
        try:
            with SoundReader(Path(sound)) as reader:
                return reader.sr
        except ParameterError as err:
            errors[fspath(sound)] = err.without(sound)
    raise _none_readable(errors)


def _none_readable(errors: Mapping[str, ParameterError]) -> ParameterError:
    name, first = next(iter(errors.items()))
    return first.within(f"none of {len(errors)} sound files can be read; {name}")

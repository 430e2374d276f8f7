"""Sounds that paper E's experiments on genres attack: excerpts of the test part of a partition."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from otoscope import records
from otoscope.data import GenreRecipe, LabelledSound, Partition, write_genres
from otoscope.data.partition import DividedFolder
from otoscope.errors import ParameterError
from otoscope.progress import Progress
from otoscope.seeds import numpy_generator
from otoscope.signal import read_audio
from otoscope.signal.audio.files import resampled
from otoscope.train.genre import TrainGenreConfig

__all__ = ["GenreSettings", "GenreTest", "OwnCorpus", "SoundSettings", "genre_tests", "soundfonts"]


@dataclass(frozen=True)
class OwnCorpus:
    """Corpus of the package's own band, and networks of frames that are trained on it.

    Parameters
    ----------
    n : int
        Number of clips.
    recipe : GenreRecipe
        Genres, artists and length of the clips.
    training : TrainGenreConfig
        Settings of the training.
    """

    n: int = 320
    recipe: GenreRecipe = field(default_factory=GenreRecipe)
    training: TrainGenreConfig = field(default_factory=TrainGenreConfig)

    @classmethod
    def quick(cls) -> OwnCorpus:
        """Return four genres with four artists, two short clips each, and a brief training."""
        recipe = GenreRecipe(("blues", "disco", "hymn", "latin"), n_groups=4, seconds=6.0)
        training = TrainGenreConfig(batch=200, epochs=20, ramp=20, learning_rate=0.05)
        return cls(32, recipe, training)


class SoundSettings(Protocol):
    """Settings of the sounds that experiments on genres have."""

    @property
    def corpus(self) -> Path | None: ...
    @property
    def lists(self) -> Path | None: ...
    @property
    def partition_seed(self) -> int: ...
    @property
    def n(self) -> int: ...
    @property
    def seconds(self) -> float: ...
    @property
    def seed(self) -> int: ...
    @property
    def own(self) -> OwnCorpus: ...


class GenreSettings(SoundSettings, Protocol):
    """Settings of experiments on given models."""

    @property
    def models(self) -> str: ...


@dataclass(frozen=True, eq=False)
class GenreTest:
    """Excerpts from the middle of sounds that no model of a partition was trained on.

    Parameters
    ----------
    kind : str
        Name of the partition.
    parts : Partition
        The partition.
    sounds : tuple of LabelledSound
        Sounds of its test part that are attacked.
    excerpts : tuple of (Tensor [sample], float)
        Their excerpts, with sample rates in Hz.
    """

    kind: str
    parts: Partition
    sounds: tuple[LabelledSound, ...]
    excerpts: tuple[tuple[Tensor, float], ...]
    _at_rate: dict[float, Tensor] = field(default_factory=dict)

    @property
    def labels(self) -> list[str]:
        """Label of each sound."""
        return [sound.label for sound in self.sounds]

    @property
    def groups(self) -> list[str]:
        """Artist of each sound."""
        return [sound.group for sound in self.sounds]

    def waveforms(self, sr: float) -> Tensor:
        """Return the excerpts at a sample rate, [sound, sample], within full scale."""
        if sr not in self._at_rate:
            rows = [resampled(y, rate, sr) for y, rate in self.excerpts]
            length = min(map(len, rows))
            self._at_rate[sr] = torch.stack([y[:length] for y in rows]).clamp(-1, 1)
        return self._at_rate[sr]


def genre_tests(
    config: SoundSettings, kinds: Sequence[str], out: Path, *, progress: Progress
) -> dict[str, GenreTest]:
    """Draw the sounds of the test part of each partition.

    Raises
    ------
    ParameterError
        If the corpus or a list is wrong, a sound is silent, or one is shorter than an excerpt.

    Warns
    -----
    UserWarning
        If sounds cannot be read and others take their place; says which, and how many.
    """
    folder = config.corpus
    if folder is None:
        if config.lists is not None:
            raise ParameterError(f"lists is {config.lists}, which needs the corpus of these lists")
        folder, own = out / "corpus", config.own
        write_genres(folder, own.n, config.seed, recipe=own.recipe, progress=progress)
    return {
        kind: _drawn(
            kind, DividedFolder(folder, kind, config.lists, config.partition_seed).parts(), config
        )
        for kind in kinds
    }


def soundfonts(sounds: Sequence[LabelledSound], corpus: Path) -> list[str] | None:
    """Return the SoundFont of each sound by the manifest of a generated corpus, or None."""
    manifest = corpus / "manifest.jsonl"
    if not manifest.is_file():
        return None
    timbres = {row["key"]: row.get("clip", {}).get("timbre") for row in records.stream(manifest)}
    known = [timbres.get(sound.name) for sound in sounds]
    return None if None in known else [Path(str(name)).name for name in known]


def _drawn(kind: str, parts: Partition, config: SoundSettings) -> GenreTest:
    """Draw sounds, labels in turn, and of each label artists in turn."""
    sounds, excerpts = list[LabelledSound](), list[tuple[Tensor, float]]()
    broken: list[ParameterError] = []
    for sound in _in_turn(parts.test, config.seed):
        if len(sounds) == config.n:
            break
        try:
            y, sr = read_audio(sound.path)
        except ParameterError as err:
            broken.append(err)
            continue
        excerpts.append((_middle(sound, y, sr, config.seconds), sr))
        sounds.append(sound)
    if broken:
        warnings.warn(
            f"{len(broken)} of {len(sounds) + len(broken)} sounds cannot be read and are left out; "
            f"first: {broken[0]}",
            stacklevel=3,
        )
    if len({sound.group for sound in sounds}) < 2:
        raise ParameterError(
            f"the test part of the partition {kind!r} has {len(sounds)} sounds of less than two "
            "artists: intervals need two"
        )
    return GenreTest(kind, parts, tuple(sounds), tuple(excerpts))


def _in_turn(sounds: Sequence[LabelledSound], seed: int) -> Iterator[LabelledSound]:
    order = numpy_generator(seed).permutation(len(sounds))
    places: dict[str, int] = {}
    turns = []
    for index in order:
        artist = f"{sounds[index].label}/{sounds[index].group}"
        places[artist] = places.get(artist, -1) + 1
        turns.append((places[artist], sounds[index]))
    taken: dict[str, int] = {}
    ranked = []
    for turn, sound in sorted(turns, key=lambda entry: entry[0]):
        taken[sound.label] = taken.get(sound.label, -1) + 1
        ranked.append((taken[sound.label], sound.label, turn, sound))
    return (sound for *_, sound in sorted(ranked, key=lambda entry: entry[:3]))


def _middle(sound: LabelledSound, y: Tensor, sr: float, seconds: float) -> Tensor:
    n = round(seconds * sr)
    if len(y) < n:
        raise ParameterError(
            f"{sound.path} lasts {len(y) / sr:.2f} s, shorter than an excerpt (seconds is "
            f"{seconds:g}): leave it out, or take shorter excerpts"
        )
    first = (len(y) - n) // 2
    part = y[first : first + n]
    if not bool(part.any()):
        raise ParameterError(
            f"{sound.path} is silent from {first / sr:.2f} s to {(first + n) / sr:.2f} s: no "
            "signal-to-noise ratio is defined; leave it out"
        )
    return part

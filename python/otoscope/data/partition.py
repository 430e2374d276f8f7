"""Partitions of labelled sounds: random, by artists (none in two parts), or from lists of files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from otoscope.data.labelled import LabelledSound, load_genres
from otoscope.errors import ParameterError
from otoscope.foreign import read_text
from otoscope.seeds import numpy_generator

__all__ = ["DividedFolder", "Partition", "partition", "read_partition"]

_PARTS = ("train", "valid", "test")


@dataclass(frozen=True)
class Partition:
    """Sounds to train on, to validate with, and to test with.

    Parameters
    ----------
    train, valid, test : tuple of LabelledSound
        Parts, which share no sound.

    Raises
    ------
    ParameterError
        If a part is empty, or has labels that the part to train on lacks.

    Examples
    --------
    >>> partition(load_gtzan("genres"), "random").labels[:2]  # doctest: +SKIP
    ('blues', 'classical')
    """

    train: tuple[LabelledSound, ...]
    valid: tuple[LabelledSound, ...]
    test: tuple[LabelledSound, ...]

    def __post_init__(self) -> None:
        for name in _PARTS:
            part: tuple[LabelledSound, ...] = getattr(self, name)
            if not part:
                raise ParameterError(f"the part {name!r} of the partition has no sound")
            if more := {sound.label for sound in part} - set(self.labels):
                raise ParameterError(
                    f"the part {name!r} has the label {min(more)!r}, on which nothing is trained"
                )

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the sounds to train on, sorted."""
        return tuple(sorted({sound.label for sound in self.train}))

    @property
    def digest(self) -> str:
        """Digest of the names in each part, by which a model's card tells its partition."""
        names = [[sound.name for sound in getattr(self, part)] for part in _PARTS]
        return hashlib.sha256(json.dumps(names).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class DividedFolder:
    """A folder of labelled sounds and how it is divided, for commands.

    Parameters
    ----------
    folder : Path
        Folder, see `load_genres`.
    kind : str
        "random" or "grouped", see `partition`; of lists, their name.
    lists : Path, optional
        Folder of lists, see `read_partition`.
    seed : int
        Random seed of a partition without lists.

    Examples
    --------
    >>> DividedFolder(Path("corpus"), "grouped").parts()  # doctest: +SKIP
    """

    folder: Path
    kind: str = "random"
    lists: Path | None = None
    seed: int = 0

    def parts(self) -> Partition:
        """Load the sounds and divide them."""
        sounds = load_genres(self.folder)
        if self.lists is not None:
            return read_partition(sounds, self.lists, self.kind)
        return partition(sounds, self.kind, seed=self.seed)


def partition(
    sounds: Sequence[LabelledSound],
    kind: str = "random",
    *,
    seed: int = 0,
    fractions: tuple[float, float] = (0.5, 0.25),
) -> Partition:
    """Divide sounds label by label.

    Parameters
    ----------
    sounds : sequence of LabelledSound
        Sounds.
    kind : {"random", "grouped"}
        "random": sounds are drawn. "grouped": artists are drawn, so that none is in two parts.
    seed : int
        Random seed.
    fractions : (float, float)
        Fractions of the parts to train on and to validate with; the rest is for the test. Each
        part gets one sound, or artist, of a label at least.

    Returns
    -------
    Partition
        Parts.

    Raises
    ------
    ParameterError
        If a label has fewer than three sounds or, if grouped, artists; or no artist is known.

    References
    ----------
    Kereliuk et al. (2015) :cite:`kereliuk2015`, section IV: stratified, and with an artist filter.

    Examples
    --------
    >>> sounds = [LabelledSound(f"a/{i}", Path(), "a", f"{i // 2}") for i in range(8)]
    >>> [len(part) for part in vars(partition(sounds, "grouped")).values()]
    [4, 2, 2]
    """
    if kind not in ("random", "grouped"):
        raise ParameterError(f"kind is {kind!r}, must be 'random' or 'grouped'")
    if kind == "grouped" and all(sound.group == sound.name for sound in sounds):
        raise ParameterError(
            "the partition is 'grouped', but no artist of the sounds is known: otoscope corpus "
            'genres tells them, or the names of files that all are "ARTIST - TITLE"; divide at '
            "random, or by lists of files"
        )
    parts: tuple[list[LabelledSound], ...] = ([], [], [])
    for number, label in enumerate(sorted({sound.label for sound in sounds})):
        own = [sound for sound in sounds if sound.label == label]
        units = sorted({_unit(sound, kind) for sound in own})
        if len(units) < 3:
            what = "sounds" if kind == "random" else "artists"
            raise ParameterError(
                f"{label} has {len(units)} {what}; three parts need three of each label: add "
                f"{what}, or make more with `otoscope corpus genres --n 30`"
            )
        order = numpy_generator(seed, number).permutation(len(units))
        first = min(max(1, round(fractions[0] * len(units))), len(units) - 2)
        second = min(max(1, round(fractions[1] * len(units))), len(units) - first - 1)
        for part, chosen in zip(
            parts,
            (order[:first], order[first : first + second], order[first + second :]),
            strict=True,
        ):
            names = {units[index] for index in chosen}
            part += [sound for sound in own if _unit(sound, kind) in names]
    return Partition(*map(tuple, parts))


def read_partition(
    sounds: Sequence[LabelledSound], folder: str | Path, kind: str = "random"
) -> Partition:
    """Divide sounds by lists ``train_KIND.txt``, ``valid_KIND.txt`` and ``test_KIND.txt``.

    Parameters
    ----------
    sounds : sequence of LabelledSound
        Sounds of the dataset.
    folder : str or Path
        Folder of the lists, one name per line, such as ``jazz/jazz.00000.wav``; the suffix does not
        count.
    kind : str
        Which lists: "random" or "fault", for GTZAN.

    Returns
    -------
    Partition
        Parts, in the order of the lists.

    Raises
    ------
    ParameterError
        If a list is missing, names a sound twice, or sounds that are not there (which, how many).

    Examples
    --------
    >>> read_partition(load_gtzan("gtzan"), "lists", "fault")  # doctest: +SKIP
    """
    by_name = {sound.name: sound for sound in sounds}
    listed: dict[str, list[str]] = {}
    for part in _PARTS:
        path = Path(folder) / f"{part}_{kind}.txt"
        if not path.is_file():
            raise ParameterError(f"{path} is not there; it lists the sounds of the part {part!r}")
        lines = [line.strip() for line in read_text(path).splitlines() if line.strip()]
        listed[part] = [line.removesuffix(Path(line).suffix) for line in lines]
    every = [name for names in listed.values() for name in names]
    if missing := [name for name in every if name not in by_name]:
        raise ParameterError(
            f"the lists in {folder} name {missing[0]}, which is not there ({len(missing)} of "
            f"{len(every)} are missing)"
        )
    if len(set(every)) < len(every):
        twice = next(name for name in every if every.count(name) > 1)
        raise ParameterError(f"the lists in {folder} name {twice} twice: parts share no sound")
    return Partition(*(tuple(by_name[name] for name in listed[part]) for part in _PARTS))


def _unit(sound: LabelledSound, kind: str) -> str:
    return sound.name if kind == "random" else sound.group

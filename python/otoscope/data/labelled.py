"""Labelled sounds with artists: our corpora, GTZAN, LMD, and folders of labelled folders.

Nothing is downloaded; the loaders take the folder of a dataset.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from otoscope import records
from otoscope.data.ballroom import load_ballroom
from otoscope.documents import require_types
from otoscope.errors import ParameterError
from otoscope.foreign import read_text, refusing
from otoscope.progress import Progress, silent, tracked

__all__ = [
    "LabelledSound",
    "load_extended_ballroom",
    "load_genre_folders",
    "load_genres",
    "load_gtzan",
    "load_lmd",
    "usable_sounds",
]

Result = TypeVar("Result")

_MOST_SKIPPED = 0.5  # of the sounds

_SUFFIXES = (".wav", ".au", ".flac", ".ogg", ".mp3")
_EXTENDED = {"Chacha": "ChaChaCha", "Viennesewaltz": "VienneseWaltz"}
_GTZAN = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae",
          "rock")  # fmt: skip


@dataclass(frozen=True)
class LabelledSound:
    """A sound file with its label.

    Parameters
    ----------
    name : str
        Path relative to the folder of the dataset, without suffix.
    path : Path
        Sound file.
    label : str
        Its class.
    group : str
        Artist; the name itself where it is not known.

    Examples
    --------
    >>> LabelledSound("jazz/jazz.00000", Path("jazz.00000.wav"), "jazz", "jazz.00000").label
    'jazz'
    """

    name: str
    path: Path
    label: str
    group: str


def load_genres(folder: str | Path) -> tuple[LabelledSound, ...]:
    """Load a corpus of ours, GTZAN, LMD, BALLROOM, Extended BALLROOM, or any labelled folders.

    Parameters
    ----------
    folder : str or Path
        Folder with ``manifest.jsonl``, or with a folder of sounds per label.

    Returns
    -------
    tuple of LabelledSound
        Sounds in the order of the manifest, or by label and name. Artists are those of the manifest
        or, if all files are named "ARTIST - TITLE", of the names. BALLROOM's groups are albums, or
        recordings without an album.

    Raises
    ------
    ParameterError
        If the folder holds no labelled sounds, or a file of the manifest is missing.

    Examples
    --------
    >>> len(load_genres("corpus"))  # doctest: +SKIP
    640
    """
    folder = Path(folder)
    if (folder / "manifest.jsonl").is_file():
        return _of_manifest(folder)
    if listings := sorted(folder.glob("extendedballroom*.xml")):
        return load_extended_ballroom(listings[0])
    if (folder / "BallroomData").is_dir() or (folder / "allBallroomFiles").is_file():
        recordings = load_ballroom(folder)
        return tuple(
            LabelledSound(one.name, one.path, one.style, one.album or one.group)
            for one in recordings
        )
    if (folder / "genres").is_dir() or {*_GTZAN} <= {path.name for path in folder.glob("*")}:
        return load_gtzan(folder)
    sounds = load_genre_folders(folder)
    return load_lmd(folder) if all(map(_names_artist, sounds)) else sounds


def load_gtzan(folder: str | Path) -> tuple[LabelledSound, ...]:
    """Load GTZAN: ``genres/GENRE/GENRE.00000.wav`` or ``.au``; artists are not known.

    Parameters
    ----------
    folder : str or Path
        Folder that holds ``genres``, or the ten folders of genres themselves.

    Returns
    -------
    tuple of LabelledSound
        Sounds by genre and number. jazz.00054, a broken file in most copies, is among them: what
        cannot be read is left out, and said, when the sounds are read.

    Raises
    ------
    ParameterError
        If folders of genres are missing.

    Examples
    --------
    >>> len(load_gtzan("gtzan"))  # doctest: +SKIP
    1000
    """
    folder = Path(folder)
    root = folder / "genres" if (folder / "genres").is_dir() else folder
    if missing := [genre for genre in _GTZAN if not (root / genre).is_dir()]:
        raise ParameterError(
            f"{root} has no folder {', '.join(missing)}; GTZAN has {', '.join(_GTZAN)}, each with "
            "files such as jazz/jazz.00000.wav"
        )
    return _labelled(root, _GTZAN)


def load_extended_ballroom(listing: str | Path) -> tuple[LabelledSound, ...]:
    """Load Extended BALLROOM: a listing in XML beside folders of sounds by dance.

    Parameters
    ----------
    listing : str or Path
        File such as ``extendedballroom_v1.1.xml``: elements with the attribute ``id`` below one
        named by the dance. The sounds are at any depth beside it, as ``DANCE/ID.mp3``.

    Returns
    -------
    tuple of LabelledSound
        Sounds by dance and number, with BALLROOM's names of the dances; groups are the artists of
        the listing, if it names them.

    Raises
    ------
    ParameterError
        If the listing cannot be read, or sounds are missing (which, how many).

    Notes
    -----
    The layout is that of version 1.1, from memory.

    Examples
    --------
    >>> load_extended_ballroom("extendedballroom_v1.1.xml")[0].label  # doctest: +SKIP
    'ChaChaCha'
    """
    from xml.etree import ElementTree as ET

    listing = Path(listing)
    text = read_text(listing)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ParameterError(f"{listing} declares entities, which are not read")
    with refusing(listing, "is not a listing of Extended BALLROOM"):
        dances = [(dance.tag, song) for dance in ET.fromstring(text) for song in dance]
    files = {
        (path.parent.name.casefold(), path.stem): path
        for path in sorted(listing.parent.rglob("*"))
        if path.suffix.lower() in _SUFFIXES
    }
    sounds, missing = [], []
    for dance, song in dances:
        number, label = song.get("id", ""), _EXTENDED.get(dance, dance)
        path = files.get((dance.casefold(), number))
        if path is None:
            missing.append(f"{dance}/{number}")
            continue
        name, artist = f"{label}/{number}", song.get("artist", "").strip().casefold()
        sounds.append(LabelledSound(name, path, label, artist or name))
    if missing or not sounds:
        raise ParameterError(
            f"{listing} lists {len(dances)} sounds, {len(missing)} are missing: looked for "
            f"{', '.join(missing[:10]) or 'DANCE/ID'} with {', '.join(_SUFFIXES)} beside it"
        )
    return tuple(sorted(sounds, key=lambda sound: sound.name))


def load_lmd(folder: str | Path) -> tuple[LabelledSound, ...]:
    """Load LMD: a folder of mp3 files per genre, named "ARTIST - TITLE"; artists are kept apart.

    Parameters
    ----------
    folder : str or Path
        Folder of the folders of genres.

    Returns
    -------
    tuple of LabelledSound
        Sounds by genre and name.

    Raises
    ------
    ParameterError
        If no file names an artist.

    Examples
    --------
    >>> load_lmd("lmd")[0].group  # doctest: +SKIP
    'carlos gardel'
    """
    sounds = load_genre_folders(folder)
    if not any(map(_names_artist, sounds)):
        raise ParameterError(
            f'{folder}: no file is named "ARTIST - TITLE", so that artists cannot be kept apart; '
            "see load_genre_folders for sounds without artists"
        )
    return tuple(
        LabelledSound(sound.name, sound.path, sound.label, _artist(sound.name)) for sound in sounds
    )


def load_genre_folders(folder: str | Path) -> tuple[LabelledSound, ...]:
    """Load a folder that holds a folder of sounds per label; artists are not known.

    Parameters
    ----------
    folder : str or Path
        Folder of the folders.

    Returns
    -------
    tuple of LabelledSound
        Sounds by label and name.

    Raises
    ------
    ParameterError
        If there are not two folders with sounds.

    Examples
    --------
    >>> load_genre_folders("dances")[0].label  # doctest: +SKIP
    'Tango'
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ParameterError(f"{folder} is not a folder")
    labels = tuple(sorted(path.name for path in folder.iterdir() if path.is_dir()))
    sounds = _labelled(folder, labels)
    if len({sound.label for sound in sounds}) < 2:
        raise ParameterError(
            f"{folder} holds {len({s.label for s in sounds})} folders with sounds "
            f"({', '.join(_SUFFIXES)}); need one per label, two at least"
        )
    return sounds


def usable_sounds(
    sounds: Sequence[LabelledSound],
    labels: Sequence[str],
    read: Callable[[LabelledSound], Result],
    *,
    progress: Progress = silent,
) -> tuple[list[LabelledSound], list[Result], dict[str, ParameterError]]:
    """Read labelled sounds; leave out those that are refused.

    Parameters
    ----------
    sounds : sequence of LabelledSound
        Sounds.
    labels : sequence of str
        Labels that they may have.
    read : callable
        Function of a sound; one that raises a `ParameterError` is left out.
    progress : bool or callable
        True shows a bar.

    Returns
    -------
    kept : list of LabelledSound
        Sounds that could be read.
    results : list
        What ``read`` returned for each of them.
    skipped : dict of str to ParameterError
        Reasons of the others, by name.

    Raises
    ------
    ParameterError
        If a sound has a label that is not named, none of a label can be used, or more than half of
        all sounds cannot.

    Examples
    --------
    >>> sounds = [LabelledSound(name, Path(name), name, name) for name in ("jazz", "rock")]
    >>> usable_sounds(sounds, ("jazz", "rock"), lambda sound: sound.label.upper())[1]
    ['JAZZ', 'ROCK']
    """
    kept, results, skipped = list[LabelledSound](), list[Result](), dict[str, ParameterError]()
    for sound in tracked(progress, sounds, "sounds"):
        if sound.label not in labels:
            raise ParameterError(f"{sound.path} has label {sound.label!r}, not one of {labels}")
        try:
            results.append(read(sound))
        except ParameterError as err:
            skipped[sound.name] = err.without(sound.path)
            continue
        kept.append(sound)
    lost = {sound.label for sound in sounds} - {sound.label for sound in kept}
    n_skipped = len(sounds) - len(kept)
    if lost or n_skipped > _MOST_SKIPPED * len(sounds):
        what = f"no sound of {min(lost)} can" if lost else "more than half of the sounds cannot"
        own = [sound.name for sound in sounds if sound.label in lost or not lost]
        name = next(name for name in own if name in skipped)
        raise ParameterError(
            f"{what} be used ({n_skipped} of {len(sounds)} skipped): {name}: {skipped[name]}"
        )
    return kept, results, skipped


def _of_manifest(folder: Path) -> tuple[LabelledSound, ...]:
    sounds, missing = [], []
    for record in records.stream(folder / "manifest.jsonl"):
        clip = record.get("clip")
        if not isinstance(clip, dict) or not {"genre", "style"} & set(clip):
            raise ParameterError(
                f"{folder / 'manifest.jsonl'} names no genres; otoscope corpus genres writes them"
            )
        name = f"{folder / 'manifest.jsonl'}: a record"
        known = require_types(record, {"key": str, "file": str}, name)
        clip = {"label": clip.get("genre", clip.get("style")), **clip}
        clip = require_types(clip, {"label": str, "group": str | int}, f"{name}'s clip")
        path = folder / known["file"]
        if not path.is_file():
            missing.append(path)
        sounds.append(LabelledSound(known["key"], path, clip["label"], str(clip["group"])))
    if missing:
        raise ParameterError(
            f"{folder / 'manifest.jsonl'} names {missing[0]}, which is not there ({len(missing)} "
            f"of {len(sounds)} are missing)"
        )
    return tuple(sounds)


def _labelled(root: Path, labels: Sequence[str]) -> tuple[LabelledSound, ...]:
    return tuple(
        LabelledSound(name := f"{label}/{path.stem}", path, label, name)
        for label in labels
        for path in sorted((root / label).iterdir())
        if path.suffix.lower() in _SUFFIXES
    )


def _names_artist(sound: LabelledSound) -> bool:
    return " - " in Path(sound.name).name


def _artist(name: str) -> str:
    return Path(name).name.partition(" - ")[0].strip().casefold()

"""Sounds with a concept beside sounds without it: generated pairs, folders, ConceptCaps.

The sounds of a generated pair differ in the concept alone: the same drummer plays fast and slow,
the same song has its voice or not. Except for the concept "level", both have the same level.
"""

from __future__ import annotations

import ast
import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoscope.data.dance import DanceRecipe, plan_dance, render_dance
from otoscope.data.singing import synthesise
from otoscope.errors import ParameterError
from otoscope.foreign import read_text, refusing

__all__ = ["CONCEPTS", "ConceptPair", "ConceptSounds", "load_concept_caps", "render_concept"]

Samples = NDArray[np.float32]
_RMS = 0.1  # of both sounds of a pair
_LEVEL_DB = 12.0  # between loud and quiet
_TILT_DB = 6.0  # per octave, between bright and dull
_FAST, _SLOW = (150.0, 200.0), (75.0, 100.0)  # bpm


@dataclass(frozen=True, eq=False)
class ConceptPair:
    """A sound with a concept, and the same without it.

    Parameters
    ----------
    positive, negative : ndarray [sample], float32
        Sounds.
    group : str
        What the pair shares with others: drummer or song.

    Examples
    --------
    >>> pair = render_concept("level", 1, sr=8000, seconds=4.0)[0]
    >>> round(20 * np.log10(np.abs(pair.positive).max() / np.abs(pair.negative).max()))
    12
    """

    positive: Samples
    negative: Samples
    group: str


@dataclass(frozen=True)
class ConceptSounds:
    """Files with a concept, and files without it.

    Parameters
    ----------
    name : str
        Name of the concept.
    positive, negative : tuple of Path
        Sound files.

    Examples
    --------
    >>> ConceptSounds("piano", (Path("a.wav"),), (Path("b.wav"),)).name
    'piano'
    """

    name: str
    positive: tuple[Path, ...]
    negative: tuple[Path, ...]


def render_concept(
    name: str, n: int, *, sr: int = 22050, seconds: float = 4.0, seed: int = 0
) -> list[ConceptPair]:
    """Render pairs of sounds that differ in a concept.

    Parameters
    ----------
    name : {"tempo", "voice", "drums", "level", "brightness"}
        Concept: fast or slow drums; with or without a voice; with or without drums added; loud or
        quiet by 12 dB; bright or dull by 6 dB per octave.
    n : int
        Number of pairs, >= 1.
    sr : int
        Sampling rate in Hz, >= 8000.
    seconds : float
        Length in seconds, >= 4.
    seed : int
        Random seed, >= 0.

    Returns
    -------
    list of ConceptPair
        Pairs.

    Raises
    ------
    ParameterError
        If the concept is unknown, or a number is out of range.

    Examples
    --------
    >>> len(render_concept("tempo", 2, sr=8000))
    2
    """
    if name not in CONCEPTS:
        raise ParameterError(
            f"concept is {name!r}, must be one of {', '.join(CONCEPTS)}, or a folder"
        )
    if n < 1 or seconds < 4:
        raise ParameterError(f"n is {n} and seconds {seconds:g}; must be >= 1 and >= 4")
    return [CONCEPTS[name](seed, index, sr, seconds) for index in range(n)]


def load_concept_caps(
    folder: str | PathLike[str],
    tag: str,
    *,
    table: str = "metadata.csv",
    file_column: str = "file_name",
    tag_columns: Sequence[str] = (
        "genre_aspects",
        "mood_aspects",
        "instrument_aspects",
        "tempo_aspects",
    ),
) -> ConceptSounds:
    """Read the sounds of ConceptCaps that have a tag, and those that lack it.

    Parameters
    ----------
    folder : str or PathLike
        Folder with the sounds and a table of them.
    tag : str
        Tag of the taxonomy, such as "piano".
    table : str
        Table in the folder, one row per sound: CSV, or JSON Lines if it ends in .jsonl.
    file_column : str
        Column of files, relative to the folder.
    tag_columns : sequence of str
        Columns of tags: lists, in CSV as ``['pop', 'slow rock']`` or separated by commas. Sounds
        without the tag must have another tag in its column.

    Returns
    -------
    ConceptSounds
        Files in the order of the table.

    Raises
    ------
    ParameterError
        If the table cannot be read, lacks a column, names files that are not there, or has the tag
        nowhere or everywhere.

    Notes
    -----
    The columns are those of the dataset card, where ``file_name`` is the sound itself: write the
    sounds to files, and their names to the table. The code was not run on the published files.

    References
    ----------
    Sienkiewicz et al. (2026) :cite:`conceptcaps2026`.

    Examples
    --------
    >>> load_concept_caps("ConceptCaps", "piano")  # doctest: +SKIP
    """
    top = Path(folder)
    path = top / table
    if not path.is_file():
        raise ParameterError(f"{path} is not there; name the table of the sounds")
    rows = _rows(path)
    columns = set(rows[0]) if rows else set()
    if missing := [name for name in (file_column, *tag_columns) if name not in columns]:
        raise ParameterError(f"{path} has no column {missing[0]!r}; it has {sorted(columns)}")
    tags = [{name: _tags(row.get(name), path) for name in tag_columns} for row in rows]
    of_column = [name for name in tag_columns if any(tag in one[name] for one in tags)]
    if not of_column:
        raise ParameterError(f"{path} has no sound with the tag {tag!r}")
    files = [top / str(row.get(file_column)) for row in rows]
    if gone := [file for file in files if not file.is_file()]:
        raise ParameterError(
            f"{path} names {gone[0]}, which is not there ({len(gone)} of {len(files)})"
        )
    column = of_column[0]
    pairs = list(zip(files, tags, strict=True))
    positive = tuple(file for file, one in pairs if tag in one[column])
    negative = tuple(file for file, one in pairs if one[column] and tag not in one[column])
    if not negative:
        raise ParameterError(f"{path}: every sound with a {column} has the tag {tag!r}")
    return ConceptSounds(tag, positive, negative)


def _rows(path: Path) -> list[dict[str, Any]]:
    text = read_text(path)
    if path.suffix != ".jsonl":
        return list(csv.DictReader(io.StringIO(text, newline="")))
    with refusing(path, "is not a table of JSON Lines"):
        rows = [json.loads(line) for line in text.splitlines() if line.strip()]
        return [dict(row) for row in rows]


def _tags(cell: Any, path: Path) -> set[str]:
    """Return the tags of a cell: a list, a list as Python writes it, or text with commas."""
    with refusing(path, f"has the tags {str(cell)[:60]!r}, which are no list"):
        if isinstance(cell, str) and cell.startswith("["):
            cell = ast.literal_eval(cell)
        parts = (cell or "").split(",") if isinstance(cell, str | None) else list(cell)
        return {str(part).strip() for part in parts} - {""}


def _tempo(seed: int, index: int, sr: int, seconds: float) -> ConceptPair:
    recipe = DanceRecipe(n_groups=4, seconds=seconds, sr=sr, shared_groups=True)
    sounds, group = [], ""
    for tempi in (_FAST, _SLOW):
        at = replace(recipe, tempo_bpm=tempi)
        clip = plan_dance(index + 1, seed, recipe=at)[index]
        sounds.append(_levelled(render_dance(clip, at)))
        group = clip.group
    return ConceptPair(sounds[0], sounds[1], f"{group}, {index % 8}")


def _voice(seed: int, index: int, sr: int, seconds: float) -> ConceptPair:
    song = synthesise(seed + index, seconds=seconds, sr=sr)
    return ConceptPair(_levelled(song.mix), _levelled(song.backing), f"song {index}")


def _drums(seed: int, index: int, sr: int, seconds: float) -> ConceptPair:
    backing = _backing(seed, index, sr, seconds)
    recipe = DanceRecipe(n_groups=4, seconds=seconds, sr=sr, shared_groups=True)
    clip = plan_dance(index + 1, seed, recipe=recipe)[index]
    drums = _levelled(render_dance(clip, recipe))[: len(backing)]
    return ConceptPair(_levelled(backing + drums), backing, f"song {index}")


def _level(seed: int, index: int, sr: int, seconds: float) -> ConceptPair:
    backing = _backing(seed, index, sr, seconds)
    quiet = (backing * 10 ** (-_LEVEL_DB / 20)).astype(np.float32)
    return ConceptPair(backing, quiet, f"song {index}")


def _brightness(seed: int, index: int, sr: int, seconds: float) -> ConceptPair:
    backing = _backing(seed, index, sr, seconds)
    spectrum = np.fft.rfft(backing)
    hz = np.maximum(np.fft.rfftfreq(len(backing), 1 / sr), 50.0)
    gain_db = np.log2(hz / 1000) * _TILT_DB / 2
    bright, dull = (
        np.fft.irfft(spectrum * 10 ** (sign * gain_db / 20), len(backing)) for sign in (1, -1)
    )
    return ConceptPair(_levelled(bright), _levelled(dull), f"song {index}")


def _backing(seed: int, index: int, sr: int, seconds: float) -> Samples:
    return _levelled(synthesise(seed + index, seconds=seconds, sr=sr).backing)


def _levelled(y: NDArray[np.floating]) -> Samples:
    rms = float(np.sqrt(np.mean(np.square(y, dtype=np.float64))))
    return (y * (_RMS / max(rms, 1e-9))).astype(np.float32)


CONCEPTS: dict[str, Callable[[int, int, int, float], ConceptPair]] = {
    "tempo": _tempo,
    "voice": _voice,
    "drums": _drums,
    "level": _level,
    "brightness": _brightness,
}
"""Generated concepts by name."""

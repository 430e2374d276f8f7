"""Sounds of a listening test, by condition and item: from folders, a list, or results."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from otoscope.documents import read_document
from otoscope.errors import Advice, Argument, ParameterError
from otoscope.foreign import files_below, read_text, refusing
from otoscope.signal.audio.files import read_audio
from otoscope.workflows.recording import SUFFIXES

__all__ = ["Stimulus", "read_stimuli"]

_GRID = "am_grid.json"
_LANDMARKS = ("best", "median", "worst")
_DIRECTIONS = ("maximise", "minimise")


@dataclass(frozen=True, eq=False)
class Stimulus:
    """A sound of a listening test.

    Parameters
    ----------
    condition : str
        What is compared: a system, a setting, a kind of sound.
    item : str
        Trial that the sound is heard in, with the sounds of the other conditions.
    y : Tensor [sample]
        Waveform.
    sr : float
        Sample rate in Hz.
    score : float, optional
        Measure of the condition to compare with ratings, such as a distance: smaller is better.
    name : str
        File, for messages.
    """

    condition: str
    item: str
    y: Tensor
    sr: float
    score: float | None = None
    name: str = ""


@dataclass(frozen=True)
class _Entry:
    """A file of the test, not read yet."""

    condition: str
    item: str
    file: Path
    score: float | None = None


def read_stimuli(sounds: Path, *, sr: float | None = None) -> list[Stimulus]:
    """Read the sounds of a test.

    Parameters
    ----------
    sounds : Path
        Folder with a folder of sounds per condition; folder of sounds, each a condition; results of
        ``otoscope experiment am-grid``; or CSV with columns condition and file, and perhaps item
        and score (smaller is better). Files of a CSV are relative to it.
    sr : float, optional
        Sample rate of all sounds, in Hz. By default that of the files, which must be one.

    Returns
    -------
    list of Stimulus
        One per condition and item, by item.

    Raises
    ------
    ParameterError
        If a file is missing or cannot be read, a condition lacks an item or has it twice, there is
        one condition only, or the files differ in their rates.
    """
    if not sounds.exists():
        raise ParameterError(f"{sounds} is not there")
    if sounds.is_file():
        entries = _listed(sounds)
    elif (sounds / _GRID).is_file():
        entries = _of_grid(sounds)
    else:
        entries = _in_folder(sounds)
    _require_all(entries, sounds)
    read = [(entry, *read_audio(entry.file, sr=sr)) for entry in entries]
    rates = {rate: entry.file for entry, _, rate in read}
    if len(rates) > 1:
        shown = ", ".join(f"{file.name} {rate:g} Hz" for rate, file in rates.items())
        raise ParameterError(
            f"the sounds have several sample rates, which may tell them apart: {shown}",
            advice=Advice("give all one rate by ", Argument("sr", int(min(rates)))),
        )
    return [
        Stimulus(entry.condition, entry.item, y, rate, entry.score, str(entry.file))
        for entry, y, rate in read
    ]


def _in_folder(folder: Path) -> list[_Entry]:
    files = files_below(folder, SUFFIXES)
    if not files:
        raise ParameterError(f"{folder}: no sound files ({', '.join(sorted(SUFFIXES))})")
    loose = [file for file in files if file.parent == folder]
    if len(loose) == len(files):
        return [_Entry(file.stem, "1", file) for file in files]
    if loose:
        raise ParameterError(
            f"{loose[0]} is in no sub-folder, so it has no condition ({len(loose)} of {len(files)} "
            "sounds); move it into one"
        )
    by_condition: dict[str, list[Path]] = {}
    for file in files:
        by_condition.setdefault(file.relative_to(folder).parts[0], []).append(file)
    names = {tuple(file.stem for file in members) for members in by_condition.values()}
    return [
        _Entry(condition, file.stem if len(names) == 1 else str(i), file)
        for condition, members in by_condition.items()
        for i, file in enumerate(members, 1)
    ]


def _of_grid(folder: Path) -> list[_Entry]:
    """List the sounds of am-grid: settings by their rank, and the furthest real excerpt."""
    read_document(
        (folder / _GRID).read_text("utf-8"), "otoscope.papers.am_grid", 1, name="record of am-grid"
    )
    entries = []
    for direction in _DIRECTIONS:
        for rank, name in enumerate((*_LANDMARKS, "real"), 1):
            file = folder / f"{direction}-{name}.wav"
            if file.is_file():
                score = float(rank) if name in _LANDMARKS else None
                entries.append(_Entry(name, direction, file, score))
    if not entries:
        raise ParameterError(f"{folder} has no sounds of am-grid, such as maximise-best.wav")
    return entries


def _listed(path: Path) -> list[_Entry]:
    """Read a CSV of conditions and files."""
    with refusing(path, "cannot be read as CSV"):
        reader = csv.DictReader(io.StringIO(read_text(path), newline=""), strict=True)
        rows: list[dict[str, Any]] = [*reader]
        columns = [*(reader.fieldnames or ())]
    if lacking := [name for name in ("condition", "file") if name not in columns]:
        raise ParameterError(
            f"{path} has no column {lacking[0]!r}; its first line names {', '.join(columns) or '-'}"
        )
    entries, n = list[_Entry](), dict[str, int]()
    for line, row in enumerate(rows, 2):
        condition, file = (str(row.get(name) or "").strip() for name in ("condition", "file"))
        if not condition or not file:
            raise ParameterError(f"{path}, line {line}: condition or file is empty")
        n[condition] = n.get(condition, 0) + 1
        item = str(row.get("item") or "").strip() or str(n[condition])
        place = path.parent / file
        if not place.is_file():
            raise ParameterError(f"{path}, line {line}: there is no file {place}")
        entries.append(_Entry(condition, item, place, _score(path, line, row.get("score"))))
    return entries


def _score(path: Path, line: int, text: object) -> float | None:
    if text is None or not str(text).strip():
        return None
    try:
        score = float(str(text))
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise ParameterError(f"{path}, line {line}: score is {text!r}, must be a finite number")
    return score


def _require_all(entries: Sequence[_Entry], sounds: Path) -> None:
    """Refuse a single condition, and trials that lack a condition or have one twice."""
    conditions = dict.fromkeys(entry.condition for entry in entries)
    if len(conditions) < 2:
        raise ParameterError(
            f"{sounds} has {len(conditions)} condition ({', '.join(conditions)}); a listening test "
            "compares two or more"
        )
    places = [(entry.condition, entry.item) for entry in entries]
    for item in dict.fromkeys(entry.item for entry in entries):
        for condition in conditions:
            if (n := places.count((condition, item))) != 1:
                raise ParameterError(
                    f"condition {condition!r} has {n} sounds for item {item!r}; every trial needs "
                    "one of each condition"
                )

"""Files with a concept beside files without it, from folders or the table of ConceptCaps."""

from __future__ import annotations

import ast
import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from otoscope.errors import ParameterError
from otoscope.foreign import read_text, refusing

__all__ = ["ConceptSounds", "load_concept_caps"]


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

"""Explain a whole song: excerpts at regular distances, and one page of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from otoscope import report
from otoscope.errors import Advice, Argument, ParameterError
from otoscope.report.sentences import join

__all__ = ["require_one_output", "write_song"]


def write_song(rows: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Write one map over the song that the records explain: see `report.save_song`.

    Parameters
    ----------
    rows : iterable of dict
        Records of one file; see `to_record`.
    path : Path
        HTML file; written whole or not at all.

    Raises
    ------
    ParameterError
        If the records are of several files, or of none that can be drawn.

    Examples
    --------
    >>> write_song(read_rows(Path("song.jsonl")), Path("song.html"))  # doctest: +SKIP
    """
    listed = list(rows)
    files = {str(row["file"]) for row in listed}
    if len(files) != 1:
        raise ParameterError(f"the records are of {len(files)} files; a page shows one song")
    sound = Path(files.pop())
    report.save_song(listed, sound, path, title=sound.name)


def require_one_output(names: Sequence[str], target: str | None) -> None:
    """Refuse a song whose excerpts would be explained for the highest of several outputs each."""
    if target is None and len(names) > 1:
        raise ParameterError(
            f"a song has one map, and the model has outputs {join(list(names))}",
            advice=Advice("choose one with ", Argument("target", names[0])),
        )

"""Predictions of a system that is not Python, as a CSV table."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from otoscope.errors import Advice, Argument, ParameterError
from otoscope.foreign import read_text

__all__ = ["read_predictions"]

_NOT_A_LABEL = {"", "nan", "na", "n/a", "null", "none"}
_BYTES = 1 << 28  # of a table


def read_predictions(
    path: Path, ids: Collection[str], *, classes: Sequence[str] | None
) -> dict[str, str]:
    """Read one label for each of ``ids``.

    The table has columns id and label, or id and a column of scores for each of ``classes``. Labels
    must be among ``classes``; None permits any.
    """
    if not path.is_file():
        raise ParameterError(f"{path} is {'a folder' if path.is_dir() else 'not there'}")
    if path.stat().st_size > _BYTES:
        raise ParameterError(f"{path} has more than {_BYTES:,} bytes")
    known, lines, answers = set(ids), dict[str, int](), dict[str, str]()
    try:
        for line, name, label in _rows(path, io.StringIO(read_text(path), newline=""), classes):
            if name not in known:
                raise ParameterError(
                    f"{path}, line {line}: id {name!r} is not in the manifest of the export"
                )
            if name in lines:
                raise ParameterError(
                    f"{path}, line {line}: id {name} is there twice, first in line {lines[name]}"
                )
            lines[name], answers[name] = line, label
    except csv.Error as err:
        raise ParameterError(f"{path} cannot be read as CSV: {err}") from err
    if missing := [name for name in ids if name not in answers]:
        raise ParameterError(
            f"{path} has no prediction for {len(missing)} of {len(known)} ids; the first is "
            f"{min(missing)}"
        )
    return answers


def _rows(
    path: Path, file: Iterable[str], classes: Sequence[str] | None
) -> Iterator[tuple[int, str, str]]:
    """Yield the line, the id and the label of each row."""
    rows = csv.reader(file, strict=True)
    names = [name.strip() for name in next(rows, [])]
    if "id" not in names or len(set(names)) != len(names):
        problem = "has no column 'id'" if "id" not in names else "names a column twice"
        raise ParameterError(
            f"{path} {problem}; its first line names {', '.join(names) or '-'}"
            + "; separate columns by commas" * (len(names) == 1)
        )
    columns = [name for name in names if name not in ("id", "file")]
    has_labels = "label" in columns
    if not has_labels:
        _check_columns(path, columns, classes)
    for row in rows:
        line = rows.line_num
        if not row:
            continue
        if len(row) != len(names):
            raise ParameterError(f"{path}, line {line}: {len(row)} columns, not {len(names)}")
        cells = dict(zip(names, (cell.strip() for cell in row), strict=True))
        place = f"{path}, line {line} (id {cells['id'] or 'missing'})"
        if has_labels:
            yield line, cells["id"], _label(place, cells["label"], classes)
        else:
            scores = [_score(place, name, cells[name]) for name in columns]
            yield line, cells["id"], columns[scores.index(max(scores))]


def _check_columns(path: Path, columns: Sequence[str], classes: Sequence[str] | None) -> None:
    if len(columns) < 2:
        raise ParameterError(
            f"{path} has no column 'label', and no columns of scores for two classes or more; its "
            f"columns are id{''.join(f', {name}' for name in columns)}"
        )
    if classes is not None and set(columns) != set(classes):
        odd = sorted(set(columns) ^ set(classes))[0]
        problem = "is none of the classes" if odd in columns else "has no column"
        raise ParameterError(
            f"{path}: {odd!r} {problem}; there are {', '.join(sorted(classes))}",
            advice=Advice("name all columns of scores with ", Argument("classes")),
        )


def _label(place: str, label: str, classes: Sequence[str] | None) -> str:
    if label in (classes or ()):
        return label
    if label.lower() in _NOT_A_LABEL:
        raise ParameterError(f"{place}: the label is {label!r}, must not be missing")
    if classes is not None:
        raise ParameterError(
            f"{place}: label {label!r} is none of {', '.join(sorted(classes))}",
            advice=Advice("name all answers with ", Argument("classes")),
        )
    return label


def _score(place: str, name: str, cell: str) -> float:
    try:
        score = float(cell)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise ParameterError(f"{place}: the score of {name} is {cell!r}, must be a finite number")
    return score

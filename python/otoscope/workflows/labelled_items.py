"""Labelled items of an interrogation: their classes, groups and numbers that may be confounds.

Items are read from a folder with one sub-folder per class, from one with a ``manifest.jsonl`` (as
`otoscope corpus dance` or `genres` writes it), from a table (CSV), or from ``features.npz``:
features [dose, item, feature], ``dilation_percent`` [dose], ``recording`` [item], ``label`` [item].
"""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from otoscope import records
from otoscope.documents import require_types
from otoscope.errors import Advice, Argument, ParameterError
from otoscope.foreign import is_listed, read_arrays, read_text, refusing
from otoscope.intervene.interrogation.items import Features
from otoscope.workflows.recording import sound_files

__all__ = ["Columns", "LabelledItems", "metadata_of", "read_items", "read_table"]

_FEATURES = ("features", "dilation_percent", "recording", "label")
_LABELLING = (Argument("labels"), ", or ", Argument("unlabelled", True))  # part of an advice


@dataclass(frozen=True)
class Columns:
    """Names of columns: groups, and numbers that may reveal the class.

    By default "group", and "confound" or, for dances, "tempo_bpm", if there are such columns.
    """

    group: str | None = None
    confound: tuple[str, ...] | None = None


@dataclass(frozen=True, eq=False)
class LabelledItems:
    """Sound files or features, with what is known about each item.

    ``confound`` is [item, number]; ``dilations`` are those of features, in percent, in the order of
    their doses; positive is longer, slower.
    """

    audio: tuple[Path, ...] | Features
    labels: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None
    confound: tuple[tuple[float, ...], ...] | None = None
    dilations: tuple[float, ...] = ()


def read_items(
    data: Path,
    table: Path | None = None,
    *,
    unlabelled: bool = False,
    columns: Columns = Columns(),
) -> LabelledItems:
    """Read the items of ``data``, a folder or ``features.npz``, sorted by class and name.

    ``table`` is a CSV file whose first line names its columns: file (relative to ``data``; for
    features the recording), label, and any others; only its items are taken, in its order.
    ``unlabelled`` takes all sounds of the folder, without labels.

    Examples
    --------
    >>> read_items(Path("gtzan")).labels[:2]  # doctest: +SKIP
    ('blues', 'blues')
    """
    if not data.exists():
        raise ParameterError(f"{data} is not there")
    features = data / "features.npz" if data.is_dir() else data
    if features.suffix == ".npz" and features.is_file():
        return _of_features(features, table, columns, unlabelled=unlabelled)
    manifest = data / "manifest.jsonl"
    if table:
        rows, source = read_table(table, with_labels=not unlabelled), table
    elif manifest.is_file() and not unlabelled:
        rows, source = _manifest(manifest), manifest
    else:
        rows, source = _folder(data, unlabelled=unlabelled), data
    files = tuple(data / row["file"] for row in rows)
    if missing := [file for file in files if not is_listed(file)]:
        raise ParameterError(
            f"{source} names {missing[0]}, which is not there ({len(missing)} of {len(files)})"
        )
    return LabelledItems(files, *metadata_of(rows, source, columns, unlabelled=unlabelled))


def metadata_of(
    rows: Sequence[Mapping[str, Any]], source: Path, columns: Columns, *, unlabelled: bool
) -> tuple[Any, Any, Any]:
    """Return labels, groups and confound of the rows of ``source``."""
    available = set(rows[0])
    requested = [columns.group, *(columns.confound or ())]
    if unknown := [name for name in requested if name is not None and name not in available]:
        names = ", ".join(sorted(available))
        raise ParameterError(f"{source} has no column {unknown[0]!r}; it has {names}")
    group = columns.group or ("group" if "group" in available else None)
    usual = [(name,) for name in ("confound", "tempo_bpm") if name in available]
    confound = columns.confound or next(iter(usual), None)
    return (
        None if unlabelled else tuple(str(row["label"]) for row in rows),
        None if group is None else tuple(str(row[group]) for row in rows),
        None
        if confound is None
        else tuple(tuple(_number(row, name, source) for name in confound) for row in rows),
    )


def _number(row: Mapping[str, Any], column: str, source: Path) -> float:
    try:
        number = float(row[column])
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ParameterError(
            f"{source}: {column} of {row['file']} is {row[column]!r}, must be a number"
        )
    return number


def _folder(data: Path, *, unlabelled: bool) -> list[dict[str, Any]]:
    if not data.is_dir():
        raise ParameterError(f"{data} is a file; give a folder of sounds, or features as .npz")
    files = [file.relative_to(data) for file in sound_files((data,))]
    if not unlabelled:
        _check_classes(data, files)
    return [{"file": file.as_posix(), "label": file.parts[0]} for file in files]


def _check_classes(data: Path, files: Sequence[Path]) -> None:
    """Refuse sounds without a class, and classes without sounds."""
    loose = [file for file in files if len(file.parts) == 1]
    if len(loose) == len(files):
        raise ParameterError(
            f"{data} has no sub-folder with sounds",
            advice=Advice("make one per class, or give ", *_LABELLING),
        )
    if loose:
        raise ParameterError(
            f"{data / loose[0]} is in no sub-folder, so it has no class ({len(loose)} of "
            f"{len(files)} sounds)",
            advice=Advice("move it into one, or give ", *_LABELLING),
        )
    named = {file.parts[0] for file in files}
    folders = (it for it in sorted(data.iterdir()) if it.is_dir() and not it.name.startswith("."))
    if empty := [folder for folder in folders if folder.name not in named]:
        raise ParameterError(
            f"{empty[0]} has no sound files, and each sub-folder is a class",
            advice=Advice("remove it, or give ", *_LABELLING),
        )


def _manifest(path: Path) -> list[dict[str, Any]]:
    rows = []
    for record in records.stream(path):
        clip = record.get("clip")
        clip = clip if isinstance(clip, dict) else {}
        if (label := clip.get("style", clip.get("genre"))) is None:
            raise ParameterError(f"{path} has no styles", advice=Advice("give ", *_LABELLING))
        require_types(record, {"file": str}, f"{path}: a record")
        rows.append({**clip, "file": record["file"], "label": label})
    if not rows:
        raise ParameterError(f"{path} is empty")
    return rows


def read_table(path: Path, *, with_labels: bool) -> list[dict[str, Any]]:
    """Read a table of files, CSV, whose columns are file, label if it has labels, and others."""
    lines = io.StringIO(read_text(path), newline="")
    try:
        reader = csv.DictReader(lines, restkey="", strict=True, skipinitialspace=True)
        rows, names = list(reader), reader.fieldnames or []
    except csv.Error as err:
        raise ParameterError(f"{path} cannot be read as CSV: {err}") from err
    needed = ["file", "label"] if with_labels else ["file"]
    if lacking := [name for name in needed if name not in names]:
        raise ParameterError(
            f"{path} has no column {lacking[0]!r}; its first line names {', '.join(names) or '-'}"
            + "; separate columns by commas" * (len(names) == 1)
        )
    if not rows:
        raise ParameterError(f"{path} has no rows below its names")
    for row in rows:
        if "" in row or None in row.values() or not all(row[name] for name in needed):
            raise ParameterError(f"{path}: a row is not of {len(names)} columns, or empty: {row}")
    counts = Counter(row["file"] for row in rows)
    if twice := [file for file, count in counts.items() if count > 1]:
        raise ParameterError(f"{path} names {twice[0]} twice")
    return rows


def _of_features(
    path: Path, table: Path | None, columns: Columns, *, unlabelled: bool
) -> LabelledItems:
    arrays, contents = read_arrays(path, _FEATURES)
    if missing := [name for name in _FEATURES if name not in arrays]:
        raise ParameterError(
            f"{path} holds {', '.join(contents[:20]) or 'nothing'}, not {missing[0]}; it must hold "
            "features [dose, item, feature], dilation_percent, recording and label"
        )
    features, dilations, recordings, classes = (arrays[name] for name in _FEATURES)
    shapes = (recordings.shape, recordings.shape, (*dilations.shape, *recordings.shape))
    if features.ndim != 3 or shapes != (classes.shape, (recordings.size,), features.shape[:2]):
        raise ParameterError(
            f"{path}: features have shape {features.shape}, must be [dose, item, feature] for "
            f"{dilations.size} doses and {recordings.size} recordings, {classes.size} labels"
        )
    for name, values in (("features", features), ("dilation_percent", dilations)):
        if values.dtype.kind not in "iuf" or not values.size or not np.isfinite(values).all():
            raise ParameterError(f"{path}: {name} are {values.dtype}, must be finite numbers")
    with refusing(path, "holds names that are no texts"):
        names, labels = recordings.astype(str).tolist(), classes.astype(str).tolist()
    rows: list[dict[str, Any]] = [
        {"file": name, "label": label} for name, label in zip(names, labels, strict=True)
    ]
    source = path
    if table:
        rows, source = read_table(table, with_labels=not unlabelled), table
    place = {name: index for index, name in reversed(list(enumerate(names)))}
    if unknown := [row["file"] for row in rows if row["file"] not in place]:
        raise ParameterError(f"{table} names {unknown[0]}, which is not in {path}")
    taken = [place[row["file"]] for row in rows]
    chosen = torch.from_numpy(features[:, taken]).float().transpose(0, 1).contiguous()
    metadata = metadata_of(rows, source, columns, unlabelled=unlabelled)
    audio = Features(chosen, [row["file"] for row in rows])
    return LabelledItems(audio, *metadata, tuple(map(float, dilations)))

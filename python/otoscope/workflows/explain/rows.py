"""Rows of explained excerpts: read from their file in any older form, and written as a table."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from otoscope import records
from otoscope.documents import require_types
from otoscope.errors import ParameterError
from otoscope.explain.document import RECORD_FORMAT, SEGMENT_COLUMNS, tidy_rows
from otoscope.explain.settings import ExplanationSettings

__all__ = ["COLUMNS", "check_comparison", "check_record", "read_rows", "write_csv"]

COLUMNS = (
    "file",
    "start_s",
    "duration_s",
    "target",
    "output",
    "output_none",
    "evidence",
    "because",
    "r2",
    "effective_samples",
    "n_coalitions",
    "passes",
    "model",
    "content",
    "truncated",
    "error",
)
"""First columns of a table, of the excerpt; `explain.document.SEGMENT_COLUMNS` follow."""

_ROW = {"key": dict, "file": str, "error": str}
_EXPLAINED = {
    "start": float,
    "duration": float | None,
    "target": str,
    "output_all": float,
    "output_none": float | None,
    "evidence": str,
    "because": str,
    "is_saturated": bool,
    "r2": float | None,
    "effective_samples": float,
    "n_coalitions": int,
    "passes": float | None,
    "coefficients": list,
    "shapley": list | None,
    "extents": list,
    "warnings": list,
}
_VERSION_1 = {
    "output_all": float,
    "output_none": float | None,
    "because": str,
    "is_saturated": bool,
    "r2": float | None,
    "top": list,
    "passes": int,
}
_EXTENT = {"name": str, "seconds": list | None, "hz": list | None}


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Read the records of a file one by one, in the form that this version writes.

    Parameters
    ----------
    path : Path
        JSON Lines file of `explain_to_records`.

    Returns
    -------
    iterator of dict
        Records; see `to_record`.

    Examples
    --------
    >>> [row["because"] for row in read_rows(Path("songs.jsonl"))]  # doctest: +SKIP
    ['3.0–4.0 s']
    """
    return (_current(record, path) for record in records.stream(path))


def _current(record: dict[str, Any], path: Path) -> dict[str, Any]:
    """Convert a record of an older version: version 1 counted coalitions as passes.

    Its claims are kept where this version, with the default thresholds, would name segments too.
    """
    if record["error"] or record.get("format") == RECORD_FORMAT:
        return record
    require_types(record, _VERSION_1, f"a record in {path}")
    none, is_untold = record["output_none"], record["because"] == "no segment"
    if not record["is_saturated"]:
        is_untold |= record["r2"] is None or record["r2"] < ExplanationSettings.min_r2
    if none is not None:
        is_untold |= abs(record["output_all"] - none) < ExplanationSettings.min_change
    claim = {"evidence": "raises", "named": record["top"]}
    if is_untold:
        because = "not told: explained by an older version"
        claim = {"evidence": "untold", "named": [], "because": because}
    return {**record, **claim, "n_coalitions": record["passes"], "passes": None}


def write_csv(rows: Sequence[Mapping[str, Any]] | Path, path: Path) -> None:
    """Write a tidy table: one row per segment of each excerpt.

    Parameters
    ----------
    rows : sequence of dict, or Path
        Records, or their file.
    path : Path
        CSV file; written whole or not at all.

    Notes
    -----
    The columns are the same for all data: those of the excerpt, repeated in each of its rows
    (``file``, ``start_s``, ``duration_s``, ``target``, ``output``, ``output_none``, ``evidence``,
    ``because``, ``r2``, ``effective_samples``, ``n_coalitions``, ``passes``, ``model``,
    ``content``, ``truncated``, ``error``), then those of the segment, see
    `Explanation.to_dataframe`. An excerpt that failed has one row. A cell is empty if the number is
    unknown, and for ``r2`` if the output is saturated. Texts are escaped by `records.cell`: no name
    is a formula.

    Examples
    --------
    >>> write_csv(Path("songs.jsonl"), Path("songs.csv"))  # doctest: +SKIP
    """
    with (
        records.replacing(path) as draft,
        draft.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        writer = csv.DictWriter(file, [*COLUMNS, *SEGMENT_COLUMNS], restval="")
        writer.writeheader()
        for record in read_rows(rows) if isinstance(rows, Path) else rows:
            writer.writerows(_cells(record))


def check_record(record: Mapping[str, Any], path: Path) -> None:
    """Refuse a record of a file that lacks what tables and pages show, or has it in other types."""
    require_types(record, _ROW, f"a record in {path}")
    require_types(record["key"], {"file": str}, f"the key of a record in {path}")
    if record["error"]:
        return
    record = _current(dict(record), path)
    require_types(record, _EXPLAINED, f"a record in {path}")
    for extent in record["extents"]:
        require_types(extent, _EXTENT, f"an extent in {path}")
        if any(len(extent[name] or (0, 0)) != 2 for name in ("seconds", "hz")):
            raise ParameterError(f"an extent in {path} has {extent}, needs two bounds")
    if not record["extents"]:
        raise ParameterError(f"a record in {path} has no extents")


def check_comparison(record: Mapping[str, Any], path: Path) -> None:
    """Refuse a record of a comparison that lacks what its index and its resumption need."""
    require_types(record["key"], {"model": str, "content": str}, f"the key of a record in {path}")
    types: dict[str, Any] = {"name": str, "page": str}
    if not record["error"]:
        types |= {"agreement": str, "n": int, "n_naming": int, "correlation": float | None}
    require_types(record, {"comparison": dict}, f"a record in {path}")
    require_types(record["comparison"], types, f"the comparison of a record in {path}")
    if not re.fullmatch("[0-9a-f]{12}", record["comparison"]["page"]):
        raise ParameterError(f"a record in {path} names the page {record['comparison']['page']!r}")


def _cells(record: Mapping[str, Any]) -> Iterator[dict[str, object]]:
    """Yield the rows of one excerpt: the cells that are not empty, by column."""
    file = records.cell(record["file"], is_path=True)
    if record["error"]:
        yield {"file": file, "error": records.cell(record["error"])}
        return
    because = records.cell(record["because"] or "")
    settings = record.get("settings") or {}
    about = {name: records.cell(settings.get(name, "")) for name in ("model", "content")}
    about["truncated"] = records.cell(record.get("truncated", ""))
    for row in tidy_rows(record):
        texts = {name: records.cell(row[name] or "") for name in ("target", "segment_name")}
        yield {**row, **texts, "file": file, "because": because, **about}

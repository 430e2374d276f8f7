"""Excerpts to choose a content on: mixes of stems, or those to which the model answers highest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from otoscope.data import load_stems
from otoscope.errors import ParameterError
from otoscope.explain.selection import draw_mixes
from otoscope.explain.selection.mixes import answer
from otoscope.progress import Progress, tracked
from otoscope.protocols import Patch, choose_targets
from otoscope.seeds import item_seed
from otoscope.workflows.recording import FolderNotes, Recording, sound_files

__all__ = ["Excerpts", "apart", "cut_excerpts"]


class _Config(Protocol):
    @property
    def sounds(self) -> tuple[Path, ...]: ...
    @property
    def stems(self) -> Path | None: ...
    @property
    def segments(self) -> str: ...
    @property
    def target(self) -> str | None: ...
    @property
    def n(self) -> int: ...
    @property
    def n_mixes(self) -> int: ...
    @property
    def skip(self) -> int: ...
    @property
    def seed(self) -> int: ...


@dataclass(frozen=True, eq=False)
class Excerpts:
    """Excerpts with the song of each, the segments known to hold the voice, and notes."""

    patches: list[Patch]
    songs: list[str]
    truth: list[tuple[int, ...]] | None
    notes: list[str]


def cut_excerpts(model: Any, config: _Config, progress: Progress) -> Excerpts:
    """Mix the stems, or cut the sounds, that a configuration names."""
    if config.stems is None:
        return _from_sounds(model, config, progress)
    return _from_stems(model, config, config.stems, progress)


def _from_stems(model: Any, config: _Config, folder: Path, progress: Progress) -> Excerpts:
    """Make mixes, and keep those that the model answers with yes."""
    patches: list[Patch] = []
    songs, truth, outputs = [], [], []
    for i, song in enumerate(tracked(progress, load_stems(folder), "songs")):
        voice, backing, _ = song.read(sr=model.sample_rate)
        mixes = draw_mixes(
            model,
            voice,
            backing,
            song=song.name,
            segments=config.segments,
            n_positions=config.n,
            n_mixes=config.n_mixes,
            skip=config.skip,
            seed=item_seed(config.seed, "mixes", i),
        )
        for mix in mixes:
            outputs.append(answer(model, config.target, mix.patch))
            if outputs[-1] >= 0.5:
                patches.append(mix.patch)
                songs.append(f"{i} {song.name}")
                truth.append(mix.truth)
    if not patches:
        raise ParameterError(
            f"the model answers none of {len(outputs)} mixes with 0.5 or more: the highest output "
            f"is {max(outputs):.3f}; take more songs, or another model"
        )
    return Excerpts(patches, songs, truth, [f"{len(patches)} of {len(outputs)} mixes reach 0.5"])


def _from_sounds(model: Any, config: _Config, progress: Progress) -> Excerpts:
    """Cut the excerpts of each song to which the model answers highest."""
    files = sound_files(config.sounds)
    folder = FolderNotes(config.sounds[0])
    names = model.output_names
    (column,) = choose_targets(config.target, len(names), names).values()
    patches: list[Patch] = []
    songs, outputs = [], []
    for i, file in enumerate(tracked(progress, files, "songs")):
        with folder.reading(file):
            recording = Recording(file, model, padded=None)
            curve = recording.timeline(around=None)
            for k in apart(curve.outputs[:, column].tolist(), curve, config.n):
                patches.append(recording.patch(float(curve.starts[k])))
                songs.append(f"{i} {file.name}")
                outputs.append(float(curve.outputs[k, column]))
    if not patches:
        raise folder.none_usable("no sound can be used")
    notes = [f"{name} is skipped: {reason}" for name, reason in folder.skipped.items()]
    if min(outputs) < 0.5 and max(outputs) <= 1:
        low = sum(output < 0.5 for output in outputs)
        notes.append(
            f"{low} of {len(outputs)} excerpts have an output below 0.5: there is little to explain"
        )
    return Excerpts(patches, songs, None, notes)


def apart(outputs: Sequence[float], curve: Any, n: int) -> list[int]:
    """Choose the highest outputs whose excerpts do not overlap."""
    chosen: list[int] = []
    for k in sorted(range(len(outputs)), key=lambda k: -outputs[k]):
        gaps = [abs(float(curve.starts[k] - curve.starts[other])) for other in chosen]
        if len(chosen) < n and min(gaps, default=curve.duration) >= curve.duration - 1e-6:
            chosen.append(k)
    return sorted(chosen)

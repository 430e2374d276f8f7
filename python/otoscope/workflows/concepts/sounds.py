"""Sounds of an analysis of concepts, as excerpts that a model takes: generated, or from folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from otoscope.data.concept_pairs import CONCEPTS, render_concept, render_songs
from otoscope.data.concepts import ConceptSounds
from otoscope.data.synthesis import mma, sinsy
from otoscope.errors import ParameterError
from otoscope.models.pieces import excerpt_batches
from otoscope.signal.audio.files import read_audio
from otoscope.workflows.concepts.config import ConceptsConfig
from otoscope.workflows.recording import sound_files

__all__ = ["concept_excerpts", "input_excerpts", "tool_versions"]


def tool_versions(soundfonts: tuple[str, ...]) -> dict[str, str]:
    """Return the versions of what renders with SoundFonts; refuse equal ones under two names."""
    if not soundfonts:
        return {}
    tools = {**sinsy.versions(), **mma.versions(*soundfonts)}
    digests = tools["soundfont_sha256"].split()
    for index, digest in enumerate(digests):
        if digest in digests[:index]:
            first = soundfonts[digests.index(digest)]
            raise ParameterError(
                f"soundfonts names {first} and {soundfonts[index]}, which are equal; training and "
                "test need different ones"
            )
    return tools


def _seconds(model: Any) -> float:
    excerpt = float(model.patch_frames * model.hop_length / model.sample_rate)
    return max(4.0, 1.1 * excerpt + 0.5)


def input_excerpts(model: Any, config: ConceptsConfig) -> Tensor:
    """Return the excerpts at which outputs are differentiated: Tensor [sound, ...]."""
    rate = model.sample_rate
    if config.inputs is not None:
        files = sound_files((config.inputs,))
        return _batch(model, [read_audio(file, sr=rate)[0] for file in files])
    songs = render_songs(
        config.n,
        sr=_integer(rate),
        seconds=_seconds(model),
        seed=100_000 + config.seed,  # songs that no concept is made of
        soundfonts=config.soundfonts,
    )
    return _batch(model, [torch.from_numpy(song) for song in songs])


def concept_excerpts(
    name: str, model: Any, config: ConceptsConfig
) -> tuple[Tensor, Tensor, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return excerpts with a concept and without it, and the groups of both."""
    if name in CONCEPTS:
        pairs = render_concept(
            name,
            config.n,
            sr=_integer(model.sample_rate),
            seconds=_seconds(model),
            seed=config.seed,
            soundfonts=config.soundfonts,
        )
        groups = tuple(pair.group for pair in pairs)
        positive = [torch.from_numpy(pair.positive) for pair in pairs]
        negative = [torch.from_numpy(pair.negative) for pair in pairs]
        return _batch(model, positive), _batch(model, negative), (groups, groups)
    folder = Path(name)
    sides = [folder / side for side in ("positive", "negative")]
    if missing := [side for side in sides if not side.is_dir()]:
        raise ParameterError(
            f"concept {name!r} is none of {', '.join(CONCEPTS)}, and {missing[0]} is no folder"
        )
    found = ConceptSounds(folder.name, *(tuple(sound_files((side,))) for side in sides))
    batches = [
        _batch(model, [read_audio(file, sr=model.sample_rate)[0] for file in files])
        for files in (found.positive, found.negative)
    ]
    groups_of = tuple(
        tuple(_group(file, side) for file in files)
        for side, files in zip(sides, (found.positive, found.negative), strict=True)
    )
    return batches[0], batches[1], (groups_of[0], groups_of[1])


def _group(file: Path, side: Path) -> str:
    """Return the sub-folder of a file, or the file itself if it is in none."""
    place = file.relative_to(side)
    return place.parts[0] if len(place.parts) > 1 else str(file)


def _batch(model: Any, sounds: Sequence[Tensor]) -> Tensor:
    """Cut the first excerpt of each sound: Tensor [sound, ...]."""
    hop = model.patch_frames
    firsts = [next(excerpt_batches(model, [y], hop=hop, padded=True))[:1] for y in sounds]
    device = next(iter(p.device for p in model.parameters()), torch.device("cpu"))
    return torch.cat(firsts).to(device)


def _integer(rate: float) -> int:
    if rate != int(rate) or rate < 8000:
        raise ParameterError(
            f"the model hears {rate:g} Hz, and concepts are generated at whole rates of 8000 Hz or "
            "more; name folders of sounds"
        )
    return int(rate)

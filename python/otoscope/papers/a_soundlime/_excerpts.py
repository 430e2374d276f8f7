"""Songs of the experiments: stems of a folder, or of our synthesiser; excerpts of their mixes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from otoscope.data import load_stems, synthesise
from otoscope.errors import ParameterError
from otoscope.explain import content
from otoscope.explain.content import Content
from otoscope.explain.selection.mixes import answer
from otoscope.protocols import Patch, Target
from otoscope.records.files import file_digest
from otoscope.seeds import item_seed, numpy_generator

__all__ = [
    "SongStems",
    "contents_of",
    "digest_of_songs",
    "heard",
    "origin",
    "probability",
    "song_names",
    "song_stems",
    "spread",
]

SECONDS = 20.0
"""Length of a synthesised song: 200 frames are left out at either end."""


@dataclass(frozen=True, eq=False)
class SongStems:
    """Stems of a song at a model's rate."""

    name: str
    voice: Tensor
    backing: Tensor


def song_names(folder: Path | None, n: int) -> list[str]:
    """Name the first songs of a folder of stems, or those that our synthesiser makes."""
    if n < 1:
        raise ParameterError(f"n_songs is {n}, must be >= 1")
    if folder is None:
        return [f"synthesised-{i:04d}" for i in range(n)]
    names = [song.name for song in load_stems(folder)[:n]]
    return [name if names.count(name) == 1 else f"{name} ({i})" for i, name in enumerate(names)]


def digest_of_songs(folder: Path | None, n: int) -> str:
    """Digest the stems of the first songs of a folder; empty for our synthesiser's."""
    songs = () if folder is None else load_stems(folder)[:n]
    digest = hashlib.sha256()
    for file in (file for song in songs for file in (song.voice, *song.backing)):
        digest.update(file.name.encode("utf-8", "surrogatepass") + file_digest(file).encode())
    return digest.hexdigest()[:16] if songs else ""


def song_stems(folder: Path | None, index: int, *, sr: int, seed: int) -> SongStems:
    """Read or make the stems of a song."""
    if folder is not None:
        song = load_stems(folder)[index]
        voice, backing, _ = song.read(sr=sr)
        return SongStems(song.name, voice, backing)
    made = synthesise(item_seed(seed, "song", index), seconds=SECONDS, sr=sr)
    voice, backing = torch.from_numpy(made.voice), torch.from_numpy(made.backing)
    return SongStems(f"synthesised-{index:04d}", voice, backing)


def origin(folder: Path | None) -> str:
    """Say where the voices come from, for the title of a finding."""
    if folder is None:
        return "synthetic voice, our synthesiser"
    is_ours = (folder / "manifest.jsonl").is_file()
    return "synthetic voice, otoscope corpus singing" if is_ours else f"stems of {folder.name}"


def contents_of(model: Any, names: Sequence[str]) -> dict[str, str | Content]:
    """Make contents by name; the paper's min_data is the least value of a data set with padding.

    Padding is digital silence, below which no value lies.
    """
    return {
        name: content.min_data(model.domain.floor[None, None]) if name == "min_data" else name
        for name in names
    }


def probability(model: Any, target: Target, patch: Patch) -> float:
    """Ask a model for the probability of an excerpt."""
    p = answer(model, target, patch)
    if not 0 <= p <= 1:
        raise ParameterError(f"the model answers {p:g}, must be a probability in [0, 1]")
    return p


def heard(
    model: Any, target: Target, stems: SongStems, *, n_positions: int, skip: int, seed: int
) -> Iterator[tuple[int, float, Patch]]:
    """Yield excerpts of a song's mix that the model calls sung: position, probability, patch."""
    hop, rate = model.hop_length, model.sample_rate
    mix = stems.voice + stems.backing
    samples = getattr(model, "excerpt_samples", model.patch_frames * hop)
    n_starts = (len(mix) - samples) // hop + 1 - 2 * skip
    if n_starts < 1:
        raise ParameterError(
            f"{stems.name} lasts {len(mix) / rate:.2f} s, too short for an excerpt with {skip} "
            "frames left out at either end"
        )
    starts = numpy_generator(seed).integers(n_starts, size=n_positions)
    for position, first in enumerate(starts):
        patch = model.patch((mix, rate), start=int(first + skip) * hop / rate)
        p = probability(model, target, patch)
        if p >= 0.5:
            yield position, p, patch


def spread(lists: list[list[int]]) -> int:
    """Count the distinct segments of several lists: the paper's U_n."""
    return len({segment for each in lists for segment in each})

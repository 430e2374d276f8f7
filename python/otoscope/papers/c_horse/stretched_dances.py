"""Dances at several tempi, as features that many systems share.

Each clip is performed twice, at a tempo of its style and at one that any style may have, and each
performance is stretched. A corpus of any degree of confounding takes one performance of each clip.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from otoscope.data import DanceClip, DanceRecipe, plan_dance, render_dance
from otoscope.errors import ParameterError
from otoscope.foreign import refusing
from otoscope.intervene import FeatureDilation, Tempo
from otoscope.progress import Progress, tracked
from otoscope.records import claimed, replacing

PAPER_STRETCHER = "python-stretch"  # of the results that docs/papers/C.md records

__all__ = ["PAPER_STRETCHER", "Dances", "HeardDances", "StretchedTempo", "hear_dances"]

_BLOCK = 8  # clips whose features are kept in one file


@dataclass(frozen=True)
class StretchedTempo(FeatureDilation):
    """Tempo change, looked up among features of sounds that `Tempo` rendered; positive is faster.

    ``available`` are the doses of the rows, 0 first; as many rows of placebos follow, which
    ``is_back`` selects.
    """

    is_back: bool = field(default=False, kw_only=True)

    name = Tempo(1, stretcher=PAPER_STRETCHER).name

    @property
    def sound(self) -> Any:
        """Intervention that rendered the row: Tempo, or its placebo."""
        tempo = Tempo(self.percent, stretcher=PAPER_STRETCHER)
        return tempo.placebo() if self.is_back and self.percent else tempo

    def placebo(self) -> StretchedTempo:
        """Give the way there and back."""
        return replace(self, is_back=True)

    def render(
        self, y: Tensor, sr: float = 0, *, duration: float | None = None, seed: int = 0
    ) -> Tensor:
        """Take one row of Tensor [2 * dose, feature]."""
        n_doses = len(self.available)
        return super().render(y[n_doses:] if self.is_back else y[:n_doses])

    def __str__(self) -> str:
        """Return the name of the intervention that rendered it."""
        return str(self.sound)


@dataclass(frozen=True, eq=False)
class HeardDances:
    """A corpus of one degree of confounding.

    ``features`` maps names to Tensor [clip, rendering, feature]; ``style``, ``artist`` and
    ``tempo_bpm`` are labels, groups and confound of the clips.
    """

    features: Mapping[str, Tensor]
    style: NDArray[np.str_]
    artist: NDArray[np.str_]
    tempo_bpm: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Dances:
    """All clips, each at a tempo that any style may have, and at one of its style.

    ``features`` maps names to Tensor [2, clip, rendering, feature]; ``tempo_bpm`` is [2, clip]. If
    they were performed at one degree of confounding, the first axis has that one.
    """

    features: Mapping[str, Tensor]
    style: NDArray[np.str_]
    artist: NDArray[np.str_]
    tempo_bpm: NDArray[np.float64]

    def confounded(self, confounding: float, rng: np.random.Generator) -> HeardDances:
        """Draw a corpus: each clip's tempo is its style's own with this chance."""
        own = (rng.random(len(self.style)) < confounding).astype(int)
        clips = np.arange(len(own))
        features = {name: rows[own, clips] for name, rows in self.features.items()}
        return HeardDances(features, self.style, self.artist, self.tempo_bpm[own, clips])

    def version(self, index: int) -> HeardDances:
        """Take one performance of each clip."""
        features = {name: rows[index] for name, rows in self.features.items()}
        return HeardDances(features, self.style, self.artist, self.tempo_bpm[index])

    def some_artists(self, fraction: float, rng: np.random.Generator) -> Dances:
        """Draw a fraction of each style's artists, one at least, and take all their clips."""
        drawn: list[str] = []
        for style in np.unique(self.style):
            artists = np.unique(self.artist[self.style == style])
            drawn += rng.choice(
                artists, max(1, round(fraction * len(artists))), replace=False
            ).tolist()
        kept = np.isin(self.artist, drawn)
        features = {name: rows[:, kept] for name, rows in self.features.items()}
        return Dances(features, self.style[kept], self.artist[kept], self.tempo_bpm[:, kept])


def hear_dances(  # noqa: PLR0913 - what is heard, and where it is kept
    n_clips: int,
    seed: int,
    recipe: DanceRecipe,
    described: Mapping[str, Callable[[Tensor], Tensor]],
    *,
    doses: Sequence[float] = (),
    confoundings: Sequence[float] = (0.0, 1.0),
    kept: Path | None = None,
    progress: Progress,
) -> Dances:
    """Perform clips, stretch them, and compute features.

    ``described`` maps names of features to functions of Tensor [rendering, sample]. ``doses`` are
    tempo changes in percent without 0; each is rendered, and its placebo. The ``seconds`` of the
    recipe are those that are analysed; each clip is performed once for each of ``confoundings``, in
    place of that of the recipe. Renderings are: unchanged, each dose; and, if there are doses,
    unchanged and each placebo. ``kept`` is a folder of these arguments alone, in which features are
    written as they come and from which they are read.
    """
    if 0 in doses:
        raise ParameterError(f"doses are {tuple(doses)}; 0 is always there, leave it out")
    there = StretchedTempo(0, available=(0, *doses))
    table = [there.with_dose(dose) for dose in there.available]
    tempi = [one.sound for one in (*table, *(one.placebo() for one in table))]
    tempi = tempi if doses else tempi[:1]
    n_samples = round(recipe.seconds * recipe.sr)
    needed = max(tempo.input_length(n_samples, recipe.sr) for tempo in tempi)
    longer = replace(recipe, seconds=(needed + 1) / recipe.sr)
    versions = [
        plan_dance(n_clips, seed, recipe=replace(longer, confounding=c)) for c in confoundings
    ]

    def described_clip(clip: DanceClip) -> dict[str, Tensor]:
        y = torch.from_numpy(render_dance(clip, longer))
        sounds = [tempo.render(y, recipe.sr, duration=recipe.seconds) for tempo in tempi]
        return {name: of(torch.stack(sounds)).float() for name, of in described.items()}

    clips = [clip for version in versions for clip in version]
    blocks = [clips[first : first + _BLOCK] for first in range(0, len(clips), _BLOCK)]
    shown = f"{_BLOCK} clips, {len(tempi)} renderings each"
    heard = []
    with nullcontext() if kept is None else claimed(kept):
        for number, block in enumerate(tracked(progress, blocks, shown)):
            path = None if kept is None else kept / f"{number:04d}.safetensors"
            heard.append(_block(path, block, described_clip))
    features = {
        name: torch.cat([block[name] for block in heard]).unflatten(0, (len(versions), n_clips))
        for name in described
    }
    return Dances(
        features,
        np.array([clip.style for clip in versions[0]]),
        np.array([clip.group for clip in versions[0]]),
        np.array([[clip.tempo_bpm for clip in version] for version in versions]),
    )


def _block(
    path: Path | None,
    clips: Sequence[DanceClip],
    describe: Callable[[DanceClip], Mapping[str, Tensor]],
) -> dict[str, Tensor]:
    """Compute the features of a few clips, or read them from the file where they are kept."""
    from safetensors.torch import load, save

    if path is not None and path.is_file():
        with refusing(path, "is not a file of features; remove it"):
            return load(path.read_bytes())
    rows = [describe(clip) for clip in clips]
    features = {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as draft:
            draft.write_bytes(save(features))
    return features

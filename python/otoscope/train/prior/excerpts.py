"""Log-mel excerpts of sound files, in memory, from which batches are drawn."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from otoscope import records
from otoscope.errors import ParameterError
from otoscope.foreign import files_below
from otoscope.progress import Progress, silent, tracked
from otoscope.seeds import numpy_generator
from otoscope.signal import FrontEnd
from otoscope.signal.audio.files import read_beginning
from otoscope.signal.audio.truncation import truncation

__all__ = ["MelExcerpts", "read_excerpts", "sounds_of"]

_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3")


@dataclass(frozen=True, eq=False)
class MelExcerpts:
    """Spectrograms of sounds, from which excerpts are cut.

    Parameters
    ----------
    log_mels : tuple of Tensor [frame, mel]
        Log-mel spectrogram of each sound, not standardised, of ``n_frames`` frames or more.
    n_frames : int
        Number of frames of an excerpt.
    skipped : mapping of str to ParameterError
        Sounds that are left out, by name: silent, too short, or not readable.
    truncated : mapping of str to str
        What lacks in sounds that were cut off, by name.

    Examples
    --------
    >>> MelExcerpts((torch.zeros(9, 2),), 4).batch(np.random.default_rng(0), 3).shape
    torch.Size([3, 1, 4, 2])
    """

    log_mels: tuple[Tensor, ...]
    n_frames: int
    skipped: Mapping[str, ParameterError] = field(default_factory=dict)
    truncated: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def _ends(self) -> np.ndarray:
        """Number of excerpts of the sounds up to each: excerpts may overlap."""
        return np.cumsum([len(values) - self.n_frames + 1 for values in self.log_mels])

    @property
    def digest(self) -> str:
        """SHA-256 over all spectrograms, for the identity of a training."""
        content = hashlib.sha256()
        for values in self.log_mels:
            content.update(values.contiguous().numpy().tobytes())
        return content.hexdigest()

    def batch(self, rng: np.random.Generator, n: int) -> Tensor:
        """Draw ``n`` excerpts [excerpt, 1, frame, mel], uniformly over all places."""
        drawn = rng.integers(self._ends[-1], size=n)
        sounds = np.searchsorted(self._ends, drawn, side="right")
        excerpts = []
        for at, sound in zip(drawn, sounds, strict=True):
            values = self.log_mels[sound]
            first = int(at - self._ends[sound]) + len(values) - self.n_frames + 1
            excerpts.append(values[first : first + self.n_frames])
        return torch.stack(excerpts)[:, None]

    def divided(self, every: int, seed: int) -> tuple[MelExcerpts, MelExcerpts]:
        """Hold out one of ``every`` sounds at random, at least one; the first has all notes."""
        order = numpy_generator(seed).permutation(len(self.log_mels))
        chosen = set(order[: max(1, len(order) // every)].tolist())
        rest, held_out = (
            tuple(x for i, x in enumerate(self.log_mels) if (i in chosen) == is_held_out)
            for is_held_out in (False, True)
        )
        return replace(self, log_mels=rest), MelExcerpts(held_out, self.n_frames)


def sounds_of(places: Sequence[Path]) -> list[Path]:
    """List the sounds of folders: of a corpus its mixes, of any other folder all files below.

    Parameters
    ----------
    places : sequence of Path
        Folders of ``otoscope corpus``, other folders, or sound files.

    Returns
    -------
    list of Path
        Sound files, each once.

    Raises
    ------
    ParameterError
        If a place does not exist or holds no sound file.

    Examples
    --------
    >>> len(sounds_of([Path("corpus")]))  # doctest: +SKIP
    150
    """
    files: dict[Path, None] = {}
    for place in places:
        if not place.exists():
            raise ParameterError(f"{place} is not there")
        manifest = place / "manifest.jsonl"
        inside = [place] if place.is_file() else []
        if manifest.is_file():
            stems = [record.get("files") for record in records.stream(manifest)]
            mixes = [it.get("mix") for it in stems if isinstance(it, dict)]
            inside = [place / mix for mix in mixes if isinstance(mix, str)]
        if not inside:
            inside = files_below(place, _SUFFIXES)
        if not inside:
            raise ParameterError(f"{place} holds no sound file ({', '.join(_SUFFIXES)})")
        files |= dict.fromkeys(inside)
    return list(files)


def read_excerpts(
    paths: Sequence[Path],
    front_end: FrontEnd,
    n_frames: int,
    *,
    seconds: float,
    progress: Progress = silent,
) -> MelExcerpts:
    """Read the beginnings of sounds and compute their log-mel spectrograms.

    Parameters
    ----------
    paths : sequence of Path
        Sound files.
    front_end : FrontEnd
        Front end of the log-mel values.
    n_frames : int
        Number of frames of an excerpt.
    seconds : float
        Seconds of each sound that are used.
    progress : bool or callable
        True shows a bar over the "sounds".

    Returns
    -------
    MelExcerpts
        Spectrograms; ``skipped`` lists the sounds that are left out, ``truncated`` those that were
        cut off.

    Raises
    ------
    ParameterError
        If no sound can be used; the message gives the first reason.

    Examples
    --------
    >>> read_excerpts(sounds_of([Path("corpus")]), svd2015(), 115, seconds=60)  # doctest: +SKIP
    """
    log_mels, skipped, truncated = list[Tensor](), dict[str, ParameterError](), dict[str, str]()
    for path in tracked(progress, paths, "sounds"):
        try:
            log_mels.append(_log_mel(path, front_end, n_frames, seconds))
        except ParameterError as err:
            skipped[str(path)] = err.without(path)
            continue
        if text := truncation(path):
            truncated[str(path)] = text
    if not log_mels:
        name, reason = next(iter(skipped.items()), ("", "there is none"))
        raise ParameterError(f"none of {len(paths)} sounds can be used: {name}: {reason}")
    return MelExcerpts(tuple(log_mels), n_frames, skipped, truncated)


def _log_mel(path: Path, front_end: FrontEnd, n_frames: int, seconds: float) -> Tensor:
    y = read_beginning(path, sr=front_end.sample_rate, seconds=seconds)
    if not bool(y.any()):
        raise ParameterError(f"all {len(y)} samples are silent")
    least = front_end.n_samples(n_frames)
    if len(y) < least:
        rate = front_end.sample_rate
        raise ParameterError(f"lasts {len(y) / rate:.2f} s, an excerpt has {least / rate:.2f} s")
    return front_end.log_mel(y)

"""Training excerpts of singing: stems mixed at random, cut around random frames.

Voices are mixed with their own accompaniment or with another one, so that neither gives the other
away, and some excerpts have no voice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from otoscope import records
from otoscope.data.singing import synthesise
from otoscope.data.synthesis.song import Song, SungInterval, frame_truth
from otoscope.errors import ParameterError
from otoscope.foreign import files_below
from otoscope.signal import FrontEnd
from otoscope.signal.audio.files import read_audio, read_beginning
from otoscope.signal.audio.truncation import truncation

__all__ = ["ExcerptSource", "Mixing", "Music", "Stem", "frame_times", "read_corpus", "read_music"]

_LEVEL = 0.14  # root mean square of a mix
_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3")


@dataclass(frozen=True, eq=False)
class Stem:
    """A sound in 16 bits with its level: the root mean square where it sounds."""

    samples: NDArray[np.int16]
    level: float

    def cut(self, first: int, n_samples: int) -> NDArray[np.float32]:
        """Copy samples from ``first``, which may be negative; silence outside."""
        y = np.zeros(n_samples, np.float32)
        start, end = max(0, first), max(0, min(len(self.samples), first + n_samples))
        if end > start:
            y[start - first : end - first] = self.samples[start:end]
        return y / np.float32(32768)


@dataclass(frozen=True)
class Mixing:
    """Settings of the mixing of excerpts.

    Parameters
    ----------
    snr_db : (float, float)
        Range of the level of the voice over the accompaniment, in dB.
    own : float
        Probability that a voice has its own accompaniment.
    voiceless : float
        Probability of an excerpt without voice.
    music : float
        Probability that another accompaniment comes from the recordings of music, if there are any.

    Examples
    --------
    >>> Mixing(voiceless=0.0).own
    0.5
    """

    snr_db: tuple[float, float] = (-3.0, 12.0)
    own: float = 0.5
    voiceless: float = 0.2
    music: float = 0.5

    def __post_init__(self) -> None:
        for name in ("own", "voiceless", "music"):
            if not 0 <= getattr(self, name) <= 1:
                raise ParameterError(f"{name} is {getattr(self, name)}, must be in [0, 1]")


class ExcerptSource:
    """Stems of songs and of music without voice, from which batches of excerpts are drawn.

    Excerpts are drawn uniformly over all pairs of a song and a frame.
    """

    def __init__(
        self, songs: Sequence[Song], music: Sequence[Stem], front_end: FrontEnd, mixing: Mixing
    ) -> None:
        if not songs:
            raise ParameterError("there are no songs to train on")
        for index, song in enumerate(songs):
            if song.sr != front_end.sample_rate:
                raise ParameterError(
                    f"song {index} is at {song.sr} Hz, the front end at {front_end.sample_rate} Hz"
                )
        self.front_end, self.mixing, self.music = front_end, mixing, tuple(music)
        self.voices = [_stem(song.voice, _sung_samples(song)) for song in songs]
        self.backings = [_stem(song.backing) for song in songs]
        self.truth = [
            frame_truth(song.sung, _n_frames(front_end, len(song.voice)), **frame_times(front_end))
            for song in songs
        ]
        self.ends = np.cumsum([len(truth) for truth in self.truth])

    @property
    def digest(self) -> str:
        """SHA-256 of all stems, for the identity of a training."""
        digest = hashlib.sha256()
        for stem in (*self.voices, *self.backings, *self.music):
            digest.update(stem.samples.tobytes())
        for truth in self.truth:
            digest.update(truth.tobytes())
        return digest.hexdigest()

    def log_mels(self) -> Iterator[Tensor]:
        """Yield the log-mel spectrogram [frame, mel] of each song and recording as it is."""
        for voice, backing in zip(self.voices, self.backings, strict=True):
            n = len(voice.samples)
            yield self.front_end.log_mel(torch.from_numpy(voice.cut(0, n) + backing.cut(0, n)))
        for stem in self.music:
            yield self.front_end.log_mel(torch.from_numpy(stem.cut(0, len(stem.samples))))

    def batch(self, rng: np.random.Generator, n: int, *, n_frames: int) -> tuple[Tensor, Tensor]:
        """Draw ``n`` excerpts: mixes [excerpt, sample], and whether the middle frame is sung."""
        excerpts, truth = zip(*(self._excerpt(rng, n_frames) for _ in range(n)), strict=True)
        return torch.from_numpy(np.stack(excerpts)), torch.tensor(truth)

    def _excerpt(self, rng: np.random.Generator, n_frames: int) -> tuple[NDArray[np.float32], bool]:
        drawn = int(rng.integers(self.ends[-1]))
        song = int(np.searchsorted(self.ends, drawn, side="right"))
        frame = drawn - int(self.ends[song] - len(self.truth[song]))
        n_samples = self.front_end.n_samples(n_frames)
        first = (frame - n_frames // 2) * self.front_end.hop_length
        has_voice = rng.random() >= self.mixing.voiceless
        if has_voice and rng.random() < self.mixing.own:
            band, band_first = self.backings[song], first
        else:
            band, band_first = self._other(rng, n_samples)
        snr_db = rng.uniform(*self.mixing.snr_db)
        ratio = 10 ** (snr_db / 20) if has_voice else 0.0
        scale = _LEVEL / np.sqrt(1 + ratio**2)
        y = band.cut(band_first, n_samples) * np.float32(scale / band.level)
        if has_voice:
            voice = self.voices[song]
            y += voice.cut(first, n_samples) * np.float32(scale * ratio / voice.level)
        return y, has_voice and bool(self.truth[song][frame])

    def _other(self, rng: np.random.Generator, n_samples: int) -> tuple[Stem, int]:
        """Draw an accompaniment and its first sample."""
        is_music = bool(self.music) and rng.random() < self.mixing.music
        stems = self.music if is_music else self.backings
        stem = stems[rng.integers(len(stems))]
        return stem, int(rng.integers(max(1, len(stem.samples) - n_samples)))


def frame_times(front_end: FrontEnd) -> dict[str, float]:
    """Return rate and offset of the centres of frames, for `data.frame_truth`."""
    offset = 0.0 if front_end.centred else front_end.n_fft / 2 / front_end.sample_rate
    return {"frame_rate": front_end.sample_rate / front_end.hop_length, "offset": offset}


def read_corpus(folder: Path) -> Iterator[Song]:
    """Yield the songs of a corpus of ``otoscope corpus singing``."""
    manifest = folder / "manifest.jsonl"
    if not manifest.is_file():
        raise ParameterError(
            f"{folder} has no manifest.jsonl; name a folder of 'otoscope corpus singing'"
        )
    for record in records.stream(manifest):
        files = record.get("files")
        if not isinstance(files, dict) or not {"voice", "backing"} <= set(files):
            raise ParameterError(f"{manifest}: {record.get('key')} has no voice and backing")
        (voice, sr), (backing, _) = (read_audio(folder / files[n]) for n in ("voice", "backing"))
        sung: tuple[SungInterval, ...] = tuple((start, end) for start, end in record["sung"])
        yield Song(voice.numpy(), backing.numpy(), int(sr), sung, float(record.get("snr_db", 0)))


def synthetic_songs(seeds: range, *, seconds: float, sr: int) -> Iterator[Song]:
    """Yield songs of the package's own synthesiser."""
    for seed in seeds:
        yield synthesise(seed, seconds=seconds, sr=sr)


@dataclass(frozen=True)
class Music:
    """Recordings without voice, and what is to be known of their files, by path."""

    stems: list[Stem] = field(default_factory=list)
    skipped: dict[str, ParameterError] = field(default_factory=dict)
    truncated: dict[str, str] = field(default_factory=dict)


def read_music(folders: Sequence[Path], *, sr: int, seconds: float) -> Music:
    """Read the first ``seconds`` of each sound file in folders and below; skip what is unreadable.

    A folder without a file that can be read is refused.
    """
    music = Music()
    for folder in folders:
        paths, n_before = files_below(folder, _SUFFIXES), len(music.stems)
        if not paths:
            raise ParameterError(f"{folder} holds no sound file ({', '.join(_SUFFIXES)})")
        for path in paths:
            try:
                y = read_beginning(path, sr=sr, seconds=seconds)
            except ParameterError as err:
                music.skipped[str(path)] = err.without(path)
                continue
            music.stems.append(_stem(y.numpy()))
            if text := truncation(path):
                music.truncated[str(path)] = text
        if len(music.stems) == n_before:
            reason = music.skipped[str(paths[0])]
            raise reason.within(f"none of {len(paths)} sounds can be used: {paths[0]}")
    return music


def _stem(y: NDArray[np.float32], where: NDArray[np.bool_] | None = None) -> Stem:
    sounding = y if where is None else y[where]
    level = float(np.sqrt(np.mean(np.square(sounding, dtype=np.float64)))) if len(sounding) else 0.0
    samples = np.round(np.clip(y, -1, 1) * 32767).astype(np.int16)
    return Stem(samples, max(level, 1e-4))


def _sung_samples(song: Song) -> NDArray[np.bool_]:
    return frame_truth(song.sung, len(song.voice), song.sr)


def _n_frames(front_end: FrontEnd, n_samples: int) -> int:
    return 1 + (n_samples - front_end.n_samples(1)) // front_end.hop_length

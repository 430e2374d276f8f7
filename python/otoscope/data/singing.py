"""A corpus of sung songs with frame truth: stems, mixes and a manifest that says what is sung when.

The voice is a sampled singer's (`otoscope.data.synthesis.sinsy`; CC-BY 3.0), the band's
instruments are sampled too (`otoscope.data.synthesis.mma`). Each song has its own score, style and
singer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from otoscope import records
from otoscope.data.synthesis import mma, sinsy
from otoscope.data.synthesis.score import Score, compose
from otoscope.data.synthesis.song import Song, mix_stems
from otoscope.errors import ParameterError
from otoscope.signal.audio.files import write_audio

__all__ = ["SingingRecipe", "SungSong", "render", "write_singing"]


@dataclass(frozen=True)
class SingingRecipe:
    """Settings that all songs of a corpus share.

    Parameters
    ----------
    seconds : float
        Length of a song, at least 4.
    sr : int
        Samples a second.
    snr_db : float
        Level of the voice where it sings, in dB over the accompaniment's.
    soundfont : str
        SoundFont file of the accompaniment's instruments.

    Examples
    --------
    >>> SingingRecipe(snr_db=0.0).seconds
    12.0
    """

    seconds: float = 12.0
    sr: int = 22050
    snr_db: float = 6.0
    soundfont: str = mma.SOUNDFONT


@dataclass(frozen=True)
class SungSong:
    """A rendered song and what was drawn for it.

    Parameters
    ----------
    song : Song
        Stems and sung intervals.
    score : Score
        What is sung and played.
    groove : str
        Style of the accompaniment.
    tract : float
        The singer: see `otoscope.data.synthesis.sinsy.sing`.

    Examples
    --------
    >>> render(0).song.sung[0]  # doctest: +SKIP
    (2.1, 3.6)
    """

    song: Song
    score: Score
    groove: str
    tract: float


def render(seed: int | tuple[int, ...], recipe: SingingRecipe | None = None) -> SungSong:
    """Compose a song, have it sung and accompanied, and mix the stems.

    Parameters
    ----------
    seed : int or tuple of int
        At least 0; the same seed gives the same song, bit for bit.
    recipe : SingingRecipe, optional
        Length, rate, level.

    Returns
    -------
    SungSong
        Stems, sung intervals, score and style.

    Raises
    ------
    MissingExtra
        If pysinsy, mma, fluidsynth or the soundfont is not installed; says the line that brings it.
    ParameterError
        If ``seed`` is negative or the recipe cannot be followed.

    Examples
    --------
    >>> render(0).groove  # doctest: +SKIP
    'PopBallad'
    """
    recipe = recipe or SingingRecipe()
    if np.min(seed) < 0:
        raise ParameterError(f"seed is {seed}, must not be negative")
    rng = np.random.default_rng(seed)
    score = compose(rng, seconds=recipe.seconds)
    groove = mma.GROOVES[rng.integers(len(mma.GROOVES))]
    tract = round(float(rng.uniform(0.52, 0.58)), 3)
    mma_seed = int(rng.integers(1, 2**31))
    backing = mma.accompany(score, groove, seed=mma_seed, sr=recipe.sr, soundfont=recipe.soundfont)
    voice, sung = sinsy.sing(score, sr=recipe.sr, tract=tract)
    n_samples = round(recipe.seconds * recipe.sr)
    song = mix_stems(
        _fit(voice, n_samples),
        _fit(backing, n_samples),
        sr=recipe.sr,
        sung=sung,
        snr_db=recipe.snr_db,
    )
    return SungSong(song, score, groove, tract)


def write_singing(
    out_dir: str | Path,
    n: int,
    seed: int = 0,
    *,
    recipe: SingingRecipe | None = None,
    progress: Callable[[str], object] | None = None,
) -> Path:
    """Write a corpus: a folder a song with mix, voice and backing, and a manifest of the truth.

    Parameters
    ----------
    out_dir : str or Path
        Folder; made if it is not there. A corpus that was cut off is taken up where it stopped,
        and one of fewer songs is grown.
    n : int
        Number of songs, at least 1. Song i depends on ``seed`` and i alone.
    seed : int, default 0
        At least 0.
    recipe : SingingRecipe, optional
        What the songs share.
    progress : callable, optional
        Called with the name of each song once it is there.

    Returns
    -------
    Path
        The manifest, JSON Lines, one record per song: its files, sung intervals in seconds, notes
        (start and end in seconds, MIDI pitch, syllable), recipe, and the versions of all tools.

    Raises
    ------
    MissingExtra
        If a tool is not installed; says the line that brings it. Nothing is written then.
    ParameterError
        If ``n`` or ``seed`` is out of range, or the folder holds a corpus of other settings.

    Examples
    --------
    >>> write_singing("corpus", n=2, seed=0)  # doctest: +SKIP
    PosixPath('corpus/manifest.jsonl')
    """
    recipe = recipe or SingingRecipe()
    if n < 1 or seed < 0:
        raise ParameterError(f"n is {n} and seed {seed}: need n >= 1 and seed >= 0")
    tools = {**sinsy.versions(), **mma.versions(recipe.soundfont)}
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    manifest = out_dir / "manifest.jsonl"
    with records.Records(manifest) as written:
        _check_same_corpus(manifest, seed, recipe)
        for index in range(n):
            name = f"song-{index:04d}"
            if name not in written:
                sung_song = render((seed, index), recipe)
                files = _write_stems(out_dir / name, sung_song.song)
                described = {**_describe(sung_song), "recipe": recipe, "tools": tools}
                written.append(name, {"files": files, **described}, seed=seed)
            if progress:
                progress(name)
    return manifest


def _check_same_corpus(manifest: Path, seed: int, recipe: SingingRecipe) -> None:
    for record in records.read(manifest):
        found = record["seed"], SingingRecipe(**record["recipe"])
        if found != (seed, recipe):
            raise ParameterError(
                f"{manifest} is of seed {found[0]} and {found[1]}, "
                f"not of seed {seed} and {recipe}; name another folder"
            )


def _write_stems(folder: Path, song: Song) -> dict[str, str]:
    """Write the three sounds; return their paths from the corpus's folder."""
    folder.mkdir(exist_ok=True)
    stems = {"mix": song.mix, "voice": song.voice, "backing": song.backing}
    for stem, y in stems.items():
        write_audio(folder / f"{stem}.wav", torch.from_numpy(y), sr=song.sr)
    return {stem: f"{folder.name}/{stem}.wav" for stem in stems}


def _describe(sung_song: SungSong) -> dict[str, object]:
    score = sung_song.score
    return {
        "sung": sung_song.song.sung,
        "notes": [
            (score.seconds(note.start), score.seconds(note.end), note.pitch, note.syllable)
            for note in score.notes
        ],
        "tempo_bpm": score.tempo_bpm,
        "key_semitones": score.key,
        "chords": score.chords,
        "groove": sung_song.groove,
        "tract": sung_song.tract,
    }


def _fit(y: NDArray[np.float32], n_samples: int) -> NDArray[np.float32]:
    """Cut to a length, or fill up with silence."""
    return np.pad(y, (0, max(0, n_samples - len(y))))[:n_samples]

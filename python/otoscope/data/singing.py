"""Songs with known sung intervals, synthesised or rendered with samples, and corpora of them.

`synthesise` uses the package's own synthesiser: simple songs without further packages. `render`
uses a sampled singer (`otoscope.data.synthesis.sinsy`; CC-BY 3.0) and sampled instruments
(`otoscope.data.synthesis.mma`). Each song has its own score, style and singer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from otoscope import records
from otoscope.data import corpus
from otoscope.data.recipes import SINGING_RECIPES, Singer, SingingRecipe
from otoscope.data.synthesis import lead, mma, sinsy, speech
from otoscope.data.synthesis.band import accompany
from otoscope.data.synthesis.score import Score, compose
from otoscope.data.synthesis.song import Song, mix_stems
from otoscope.data.synthesis.voice import sing
from otoscope.errors import ParameterError
from otoscope.progress import Progress, silent, tracked
from otoscope.seeds import numpy_generator

__all__ = [
    "SINGING_RECIPES",
    "Singer",
    "SingingRecipe",
    "SungSong",
    "render",
    "synthesise",
    "write_singing",
]


@dataclass(frozen=True)
class SungSong:
    """A rendered song with its score and random choices.

    Parameters
    ----------
    song : Song
        Stems and sung intervals.
    score : Score
        Chords and melody.
    groove : str
        Style of the accompaniment.
    tract : float
        All-pass constant of the singer; see `otoscope.data.synthesis.sinsy.sing`.
    formants : int
        Shift of the singer's formants, in semitones.
    soundfont : str
        Name of the SoundFont of the instruments; empty for the default.
    others : tuple of str
        What else sounds that may be taken for singing: "lead", "speech".

    Examples
    --------
    >>> render(0).song.sung[0]  # doctest: +SKIP
    (2.1, 3.6)
    """

    song: Song
    score: Score
    groove: str
    tract: float
    formants: int = 0
    soundfont: str = ""
    others: tuple[str, ...] = ()


def synthesise(seed: int, *, seconds: float = 10.0, sr: int = 22050, snr_db: float = 6.0) -> Song:
    """Synthesise a song with the package's own voice and band.

    Parameters
    ----------
    seed : int
        Random seed, >= 0; the same seed gives the same song, bit for bit on one machine. Score,
        singer and band have their own generators: ``snr_db`` does not change the stems.
    seconds : float, default 10.0
        Length in seconds, >= 4.
    sr : int, default 22050
        Sample rate in Hz, >= 8000.
    snr_db : float, default 6.0
        Level of the voice over the backing, in dB, measured in the sung intervals.

    Returns
    -------
    Song
        Stems as mixed, and the sung intervals: phrases of about two seconds.

    Raises
    ------
    ParameterError
        If ``seed`` is negative, ``seconds`` below 4 or ``sr`` below 8000.

    Examples
    --------
    >>> song = synthesise(0, seconds=4.0, sr=16000)
    >>> song.mix.shape, song.mix.dtype
    ((64000,), dtype('float32'))
    """
    if seed < 0 or sr < 8000:
        raise ParameterError(f"seed is {seed} and sr {sr}: need seed >= 0 and sr >= 8000")
    compose_rng, voice_rng, band_rng = numpy_generator(seed).spawn(3)
    score = compose(compose_rng, seconds=seconds)
    n_samples = round(seconds * sr)
    return mix_stems(
        sing(score, sr=sr, n_samples=n_samples, rng=voice_rng),
        accompany(score, sr=sr, n_samples=n_samples, rng=band_rng),
        sr=sr,
        sung=score.phrases(),
        snr_db=snr_db,
    )


def render(seed: int | tuple[int, ...], recipe: SingingRecipe | None = None) -> SungSong:
    """Compose a song, render voice and accompaniment with samples, and mix the stems.

    Parameters
    ----------
    seed : int or tuple of int
        Random seed, >= 0; the same seed gives the same song, bit for bit.
    recipe : SingingRecipe, optional
        Length, sample rate, level and SoundFont.

    Returns
    -------
    SungSong
        Stems, sung intervals, score and style.

    Raises
    ------
    MissingExtra
        If pysinsy, mma, fluidsynth or the SoundFont is not installed; names the install command.
    ParameterError
        If ``seed`` is negative or a setting is out of range.

    Examples
    --------
    >>> render(0).groove  # doctest: +SKIP
    'PopBallad'
    """
    recipe = recipe or SingingRecipe()
    if np.min(seed) < 0:
        raise ParameterError(f"seed is {seed}, must not be negative")
    rng = np.random.default_rng(seed)
    (variety,) = rng.spawn(1)  # what a plain recipe does not draw
    score = compose(rng, seconds=recipe.seconds, tempi=recipe.tempi)
    groove = recipe.grooves[rng.integers(len(recipe.grooves))]
    singer = recipe.singers[variety.integers(len(recipe.singers))]
    tract = round(float(rng.uniform(*singer.tract)), 3)
    mma_seed = int(rng.integers(1, 2**31))
    soundfont = recipe.soundfonts[variety.integers(len(recipe.soundfonts))]
    formants, transpose = (
        int(variety.integers(low, high + 1)) for low, high in (singer.formants, singer.transpose)
    )
    snr_db = recipe.snr_db
    if isinstance(snr_db, tuple):
        snr_db = round(float(variety.uniform(*snr_db)), 2)
    n_samples = round(recipe.seconds * recipe.sr)
    band = mma.accompany(score, groove, seed=mma_seed, sr=recipe.sr, soundfont=soundfont)
    backing, others = _fit(band, n_samples), []
    for name, probability in (("lead", recipe.lead), ("speech", recipe.speech)):
        if variety.random() < probability:
            y = _lead if name == "lead" else _speech
            backing = _added(backing, y(score, recipe, soundfont, variety), variety)
            others.append(name)
    notes = tuple(replace(note, pitch=note.pitch + transpose) for note in score.notes)
    score = replace(score, notes=notes)
    voice, sung = sinsy.sing(score, sr=recipe.sr, tract=tract, formants=formants)
    song = mix_stems(
        _fit(voice, n_samples),
        backing,
        sr=recipe.sr,
        sung=sung,
        snr_db=snr_db,
    )
    return SungSong(song, score, groove, tract, formants, Path(soundfont).stem, tuple(others))


def _lead(
    score: Score, recipe: SingingRecipe, soundfont: str, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Play another melody in the tempo and key of a score."""
    melody = compose(rng, seconds=recipe.seconds, tempo_bpm=int(score.tempo_bpm))
    shift = score.key - melody.key + 12 * int(rng.integers(-1, 2))
    notes = tuple(replace(note, pitch=note.pitch + shift) for note in melody.notes)
    program = int(rng.choice(list(lead.INSTRUMENTS.values())))
    midi = lead.lead_midi(replace(melody, notes=notes), program, rng)
    return mma.play(midi, sr=recipe.sr, soundfont=soundfont)


def _speech(
    _: Score, recipe: SingingRecipe, __: str, rng: np.random.Generator
) -> NDArray[np.float32]:
    return speech.speak(rng, seconds=recipe.seconds, sr=recipe.sr)


def _added(
    backing: NDArray[np.float32], y: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Add a sound at a random level, -6 to 6 dB over the backing, where the sound is not silent."""
    y = _fit(y, len(backing))
    active = np.abs(y) > 0.05 * (np.abs(y).max() or 1.0)
    level = np.sqrt(np.mean(np.square(y[active]))) if active.any() else 1.0
    gain = np.sqrt(np.mean(np.square(backing))) / level * 10 ** (rng.uniform(-6, 6) / 20)
    return np.asarray(backing + gain * y, np.float32)


def write_singing(
    out_dir: str | Path,
    n: int,
    seed: int = 0,
    *,
    recipe: SingingRecipe | None = None,
    progress: Progress = silent,
) -> Path:
    """Write a corpus: one folder per song with mix, voice and backing, and a manifest.

    Parameters
    ----------
    out_dir : str or Path
        Output folder. An interrupted or smaller corpus of the same settings is continued.
    n : int
        Number of songs, >= 1. Song i depends on ``seed``, the recipe and i only.
    seed : int, default 0
        Random seed, >= 0.
    recipe : SingingRecipe, optional
        Settings of the corpus.
    progress : bool or callable
        True shows a bar.

    Returns
    -------
    Path
        Manifest in JSON Lines, one record per song: files, sung intervals in seconds, notes (start
        and end in seconds, MIDI pitch, syllable), recipe, the versions of all tools, and the
        SHA-256 of the files. A song whose files are gone or have changed is rendered again.

    Raises
    ------
    MissingExtra
        If a tool is not installed; names the install command. Nothing is written.
    ParameterError
        If ``n`` or ``seed`` is out of range, the folder holds a corpus of other settings or tools,
        or another process writes to it.

    Examples
    --------
    >>> write_singing("corpus", n=2, seed=0)  # doctest: +SKIP
    PosixPath('corpus/manifest.jsonl')
    """
    recipe = recipe or SingingRecipe()
    if n < 1 or seed < 0:
        raise ParameterError(f"n is {n} and seed {seed}: need n >= 1 and seed >= 0")
    tools = {**sinsy.versions(), **mma.versions(*recipe.soundfonts)}
    if recipe.speech:
        tools |= speech.versions()
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    manifest = out_dir / "manifest.jsonl"
    with records.Records(manifest) as written:
        outdated = corpus.resume(written, manifest, seed=seed, recipe=recipe, tools=tools)
        for index in tracked(progress, range(n), "songs"):
            name = f"song-{index:04d}"
            if name not in written:
                sung_song = render((seed, index), recipe)
                replaces = name in outdated
                files = _write_stems(out_dir / name, sung_song.song, replaces=replaces)
                described = {**_describe(sung_song), "recipe": recipe, "tools": tools}
                digests = corpus.digests(out_dir, files.values())
                written.append(name, {"files": files, **described, "sha256": digests}, seed=seed)
    return manifest


def _write_stems(folder: Path, song: Song, *, replaces: bool) -> dict[str, str]:
    """Write the three waveforms; return their paths relative to the folder of the corpus."""
    folder.mkdir(exist_ok=True)
    stems = {"mix": song.mix, "voice": song.voice, "backing": song.backing}
    for stem, y in stems.items():
        corpus.write_sound(folder / f"{stem}.wav", y, sr=song.sr, replaces=replaces)
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
        "formants": sung_song.formants,
        "soundfont": sung_song.soundfont,
        "others": sung_song.others,
        "snr_db": sung_song.song.snr_db,
    }


def _fit(y: NDArray[np.float32], n_samples: int) -> NDArray[np.float32]:
    """Truncate to a length, or pad with silence."""
    return np.pad(y, (0, max(0, n_samples - len(y))))[:n_samples]

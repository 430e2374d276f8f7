"""Generated pairs of sounds that differ in a concept alone.

The same drummer plays fast and slow, the same song has its voice or not. Except for the concept
"level", both sounds have the same level. They are made by the package's own synthesiser, where
each pair is a group with its own song or drum kit; or by a sampled singer, mma and fluidsynth with
several SoundFonts, which are the groups.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from otoscope.data.dance import DanceRecipe, plan_dance, render_dance
from otoscope.data.recipes import SINGING_RECIPES
from otoscope.data.singing import render, synthesise
from otoscope.data.synthesis import band, mma
from otoscope.data.synthesis.score import compose
from otoscope.data.synthesis.song import Song
from otoscope.data.synthesis.styles import STYLES
from otoscope.errors import ParameterError
from otoscope.midi import silenced
from otoscope.seeds import numpy_generator

__all__ = ["CONCEPTS", "ConceptPair", "render_concept", "render_songs"]

Samples = NDArray[np.float32]
_RMS = 0.1  # of both sounds of a pair
_LEVEL_DB = 12.0  # between loud and quiet
_TILT_DB = 6.0  # per octave, between bright and dull
_FAST, _SLOW = (150.0, 200.0), (75.0, 100.0)  # bpm
_AUDIBLE = 0.1  # least level of drums, over that of the song with them
_DRUM_CHANNEL = 9  # General MIDI's, from 0


@dataclass(frozen=True, eq=False)
class ConceptPair:
    """A sound with a concept, and the same without it.

    Parameters
    ----------
    positive, negative : ndarray [sample], float32
        Sounds.
    group : str
        What the pair shares with others: name of the SoundFont; without one, song or drummer.

    Examples
    --------
    >>> pair = render_concept("level", 1, sr=8000, seconds=4.0)[0]
    >>> round(20 * np.log10(np.abs(pair.positive).max() / np.abs(pair.negative).max()))
    12
    """

    positive: Samples
    negative: Samples
    group: str


@dataclass(frozen=True)
class _Take:
    """A pair to make: number ``index`` of ``seed``, with a SoundFont unless that is empty."""

    seed: int
    index: int
    sr: int
    seconds: float
    soundfont: str = ""
    n_soundfonts: int = 0

    @property
    def n_samples(self) -> int:
        return round(self.seconds * self.sr)


def render_concept(
    name: str,
    n: int,
    *,
    sr: int = 22050,
    seconds: float = 4.0,
    seed: int = 0,
    soundfonts: Sequence[str] = (),
) -> list[ConceptPair]:
    """Render pairs of sounds that differ in a concept.

    Parameters
    ----------
    name : {"tempo", "voice", "drums", "level", "brightness"}
        Concept: fast or slow; with or without a voice; with or without drums; loud or quiet by 12
        dB; bright or dull by 6 dB per octave.
    n : int
        Number of pairs, >= 1.
    sr : int
        Sampling rate in Hz, >= 8000.
    seconds : float
        Length in seconds, >= 4.
    seed : int
        Random seed, >= 0.
    soundfonts : sequence of str
        SoundFont files; pairs take turns. Default: the package's own synthesiser.

    Returns
    -------
    list of ConceptPair
        Pairs. With SoundFonts, these are the groups; without, each pair has its own song, or
        drummer with a drum kit of his own tuning, ring and levels.

    Raises
    ------
    MissingExtra
        If SoundFonts are given, and pysinsy, mma, fluidsynth or a SoundFont is not installed.
    ParameterError
        If the concept is unknown, or a number is out of range.

    Examples
    --------
    >>> [pair.group for pair in render_concept("tempo", 2, sr=8000)]
    ['drummer 0', 'drummer 1']
    """
    if name not in CONCEPTS:
        raise ParameterError(
            f"concept is {name!r}, must be one of {', '.join(CONCEPTS)}, or a folder"
        )
    if n < 1 or seconds < 4:
        raise ParameterError(f"n is {n} and seconds {seconds:g}; must be >= 1 and >= 4")
    source = "drummer" if name == "tempo" else "song"
    pairs = []
    for take in _takes(n, seed, sr, seconds, soundfonts):
        positive, negative = CONCEPTS[name](take)
        group = Path(take.soundfont).stem if take.soundfont else f"{source} {take.index}"
        pairs.append(ConceptPair(positive, negative, group))
    return pairs


def render_songs(
    n: int, *, sr: int, seconds: float, seed: int, soundfonts: Sequence[str] = ()
) -> list[Samples]:
    """Render songs with and without their voice in turn, by the means of `render_concept`.

    Parameters
    ----------
    n : int
        Number of songs.
    sr : int
        Sampling rate in Hz, >= 8000.
    seconds : float
        Length in seconds, >= 4.
    seed : int
        Random seed, >= 0. A concept of seed s has the songs of seeds s to s + n - 1.
    soundfonts : sequence of str
        SoundFont files, as of `render_concept`.

    Returns
    -------
    list of ndarray [sample], float32
        Songs, the first without its voice.

    Examples
    --------
    >>> [len(y) for y in render_songs(2, sr=8000, seconds=4.0, seed=0)]
    [32000, 32000]
    """
    takes = _takes(n, seed, sr, seconds, soundfonts)
    songs = [_song(take) for take in takes]
    return [song.mix if i % 2 else song.backing for i, song in enumerate(songs)]


def _takes(n: int, seed: int, sr: int, seconds: float, soundfonts: Sequence[str]) -> list[_Take]:
    fonts = [soundfonts[i % len(soundfonts)] if soundfonts else "" for i in range(n)]
    return [_Take(seed, i, sr, seconds, fonts[i], len(soundfonts)) for i in range(n)]


def _tempo(take: _Take) -> tuple[Samples, Samples]:
    recipe = _dance(take)
    fast, slow = (replace(recipe, tempo_bpm=tempi) for tempi in (_FAST, _SLOW))
    sounds = []
    for at in (fast, slow):
        clip = plan_dance(take.index + 1, take.seed, recipe=at)[take.index]
        sounds.append(_levelled(render_dance(clip, at)))
    return sounds[0], sounds[1]


def _dance(take: _Take) -> DanceRecipe:
    """Return the recipe whose clip ``index`` is of an artist who plays no other clip.

    Timbres take turns, and each plays a style before the next style begins.
    """
    style = list(STYLES)[take.index // max(2, take.n_soundfonts) % len(STYLES)]
    return DanceRecipe(
        styles=(style,),
        n_groups=take.index + 1,
        shared_groups=True,
        band="mma" if take.soundfont else "drums",
        timbres=(take.soundfont,) if take.soundfont else None,
        seconds=take.seconds,
        sr=take.sr,
    )


def _voice(take: _Take) -> tuple[Samples, Samples]:
    song = _song(take)
    return _levelled(song.mix), _levelled(song.backing)


def _drums(take: _Take) -> tuple[Samples, Samples]:
    with_drums, without = (_sampled_drums if take.soundfont else _added_drums)(take)
    return _levelled(with_drums), _levelled(without)


def _added_drums(take: _Take) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Play a song by a band without drums, and add a drummer in its tempo."""
    compose_rng, band_rng = numpy_generator(take.seed + take.index).spawn(2)
    score = compose(compose_rng, seconds=take.seconds)
    style = band.BandStyle(drum_level=(0.0, 0.0))
    y = _levelled(
        band.accompany(score, sr=take.sr, n_samples=take.n_samples, rng=band_rng, style=style)
    )
    recipe = _dance(take)
    clip = plan_dance(take.index + 1, take.seed, recipe=recipe)[take.index]
    drums = render_dance(replace(clip, tempo_bpm=score.tempo_bpm), recipe)
    return y + _levelled(drums), y


def _sampled_drums(take: _Take) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Play an arrangement with its drums and without; the styles of some songs have none."""
    rng = numpy_generator(take.seed + take.index)
    score = compose(rng, seconds=take.seconds)
    seed = int(rng.integers(1, 2**31))
    for groove in rng.permutation(mma.MORE_GROOVES):
        midi = mma.arrange(score, str(groove), seed=seed)
        whole, without = (
            _fitted(mma.play(part, sr=take.sr, soundfont=take.soundfont), take.n_samples)
            for part in (midi, silenced(midi, channel=_DRUM_CHANNEL))
        )
        if _rms(whole - without) > _AUDIBLE * _rms(whole):
            return whole, without
    raise ParameterError(f"{take.soundfont} plays no drums; name another SoundFont")


def _level(take: _Take) -> tuple[Samples, Samples]:
    loud = _levelled(_song(take).backing)
    return loud, (loud * 10 ** (-_LEVEL_DB / 20)).astype(np.float32)


def _brightness(take: _Take) -> tuple[Samples, Samples]:
    y = _song(take).backing
    spectrum = np.fft.rfft(y)
    hz = np.maximum(np.fft.rfftfreq(len(y), 1 / take.sr), 50.0)
    gain_db = np.log2(hz / 1000) * _TILT_DB / 2
    bright, dull = (
        np.fft.irfft(spectrum * 10 ** (sign * gain_db / 20), len(y)) for sign in (1, -1)
    )
    return _levelled(bright), _levelled(dull)


@lru_cache(maxsize=64)
def _song(take: _Take) -> Song:
    """Make a song, which several concepts and models share."""
    seed = take.seed + take.index
    if not take.soundfont:
        return synthesise(seed, seconds=take.seconds, sr=take.sr)
    varied = SINGING_RECIPES["varied"]
    recipe = replace(varied, seconds=take.seconds, sr=take.sr, soundfont=take.soundfont, speech=0.0)
    return render(seed, recipe).song


def _fitted(y: Samples, n_samples: int) -> Samples:
    return np.pad(y, (0, max(0, n_samples - len(y))))[:n_samples]


def _levelled(y: NDArray[np.floating]) -> Samples:
    return (y * (_RMS / max(_rms(y), 1e-9))).astype(np.float32)


def _rms(y: NDArray[np.floating]) -> float:
    return float(np.sqrt(np.mean(np.square(y, dtype=np.float64))))


CONCEPTS: dict[str, Callable[[_Take], tuple[Samples, Samples]]] = {
    "tempo": _tempo,
    "voice": _voice,
    "drums": _drums,
    "level": _level,
    "brightness": _brightness,
}
"""Generated concepts by name."""

"""Random scores: one chord per bar, and a sung melody of phrases and rests.

Time is in sixteenth notes, sixteen per bar; no note crosses a bar line. :meth:`Score.seconds`
converts it to seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from otoscope.errors import ParameterError

__all__ = ["CHORDS", "SYLLABLES", "Score", "SungNote", "compose"]

CHORDS = {
    "C": (0, 4, 7),
    "Dm": (2, 5, 9),
    "Em": (4, 7, 11),
    "F": (5, 9, 0),
    "G": (7, 11, 2),
    "Am": (9, 0, 4),
}
"""Pitch classes of the triads, root first."""

SYLLABLES = tuple(f"{c}{v}" for c in ("", *"kstnhmr") for v in "aiueo")
"""A consonant or none, then a vowel: the order of the kana table."""

_SCALE = (0, 2, 4, 5, 7, 9, 11)
_PROGRESSIONS = (
    ("C", "Am", "F", "G"),
    ("C", "G", "Am", "F"),
    ("Am", "F", "C", "G"),
    ("C", "F", "Am", "G"),
    ("Am", "Em", "F", "G"),
    ("C", "Dm", "F", "G"),
)
_BAR = 16
_LOW, _HIGH = 60, 74  # the sung range before transposition: middle C to the D a ninth above


@dataclass(frozen=True)
class SungNote:
    """A sung note: ``start`` and ``length`` in sixteenths, ``pitch`` as MIDI number."""

    start: int
    length: int
    pitch: int
    syllable: str

    @property
    def end(self) -> int:
        """First sixteenth after the note."""
        return self.start + self.length


@dataclass(frozen=True)
class Score:
    """Chords and melody of a song."""

    tempo_bpm: float  # quarter notes per minute
    key: int  # semitones by which chords are transposed from C; notes are transposed already
    chords: tuple[str, ...]  # one of CHORDS per bar
    notes: tuple[SungNote, ...]  # melody, ascending, with rests in between

    def seconds(self, sixteenths: float) -> float:
        """Convert a number of sixteenths to seconds."""
        return sixteenths * 15.0 / self.tempo_bpm

    def phrases(self) -> tuple[tuple[float, float], ...]:
        """Return (start, end) in seconds of each run of notes without a rest."""
        runs: list[tuple[int, int]] = []
        for note in self.notes:
            if runs and runs[-1][1] == note.start:
                runs[-1] = (runs[-1][0], note.end)
            else:
                runs.append((note.start, note.end))
        return tuple((self.seconds(start), self.seconds(end)) for start, end in runs)


def compose(
    rng: np.random.Generator,
    *,
    seconds: float,
    tempo_bpm: int | None = None,
    tempi: tuple[int, int] = (84, 132),
) -> Score:
    """Compose chords, and sung phrases between rests, within ``seconds`` (>= 4).

    The tempo is drawn from ``tempi``, both ends included, unless given. The song starts with a
    rest; phrases last half a bar to a bar, rests 3 to 6 eighths.
    """
    if not seconds >= 4:
        raise ParameterError(f"seconds is {seconds}, must be at least 4")
    tempo = int(rng.integers(tempi[0], tempi[1] + 1)) if tempo_bpm is None else tempo_bpm
    if not 60 <= tempo <= 240:
        raise ParameterError(f"tempo_bpm is {tempo}, must be in [60, 240]")
    key = int(rng.integers(-3, 4))
    progression = _PROGRESSIONS[rng.integers(len(_PROGRESSIONS))]
    total = 2 * int(seconds * tempo / 30)  # in whole eighths, the shortest note
    chords = tuple(progression[bar % 4] for bar in range(-(-total // _BAR)))
    notes: list[SungNote] = []
    position, pitch = 2 * int(rng.integers(2, 5)), int(rng.integers(64, 70))
    while position + 4 <= total:
        phrase_end = min(position + 2 * int(rng.integers(4, 9)), total)
        while position < phrase_end:
            bar, beat = divmod(position, _BAR)
            length = min(int(rng.choice([2, 2, 4, 4, 6])), phrase_end - position, _BAR - beat)
            pitch = _next_pitch(rng, pitch, chords[bar], is_strong=beat % 4 == 0)
            syllable = SYLLABLES[rng.integers(len(SYLLABLES))]
            notes.append(SungNote(position, length, pitch + key, syllable))
            position += length
        position += 2 * int(rng.integers(3, 7))
    return Score(tempo, key, chords, tuple(notes))


def _next_pitch(rng: np.random.Generator, last: int, chord: str, *, is_strong: bool) -> int:
    """Draw a pitch by small steps in the scale; on a beat, a tone of the chord."""
    tones = CHORDS[chord] if is_strong else _SCALE
    reachable = [p for p in range(_LOW, _HIGH + 1) if p % 12 in tones and abs(p - last) <= 7]
    step = np.abs(np.array(reachable) - last)
    weight = np.where(step == 0, 0.4, np.exp(-step / 3.0))  # repeats are rarer than steps
    return int(rng.choice(reachable, p=weight / weight.sum()))

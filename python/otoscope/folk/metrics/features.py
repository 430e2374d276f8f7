"""Features of a tune: form, range, last notes, accidentals and scale degrees.

Scale degrees are chromatic, counted from the tonic of the key: 1 is the tonic, b3 the minor third,
5 the fifth. Keys without a tonic (the pipes', none) have no degrees.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from string import ascii_uppercase
from typing import Final

from otoscope.folk.abc import Chord, InlineField, Key, Note, Tune
from otoscope.folk.metrics.measures import MEASURE_KINDS, ClassifiedMeasure, classify_measures

__all__ = [
    "DEGREES",
    "PartShape",
    "TuneFeatures",
    "accidentals",
    "degrees",
    "ending",
    "form",
    "is_aabb",
    "part_shapes",
    "tune_features",
]

DEGREES: Final = ("1", "b2", "2", "b3", "3", "4", "#4", "5", "b6", "6", "b7", "7")

_BARS = 8  # per part of an AABB tune
_MOST_LETTERS = 6
_UNFINISHED = "unfinished"  # the N: line that `otoscope folk sample` writes begins with this


@dataclass(frozen=True)
class PartShape:
    """Length of a part, and whether it is repeated.

    Parameters
    ----------
    bars : float
        Length in bars, without second and later endings; a pickup counts by its duration. NaN in
        free meter.
    is_repeated : bool
        Whether the part ends with a repeat mark.
    line, column : int
        Place where the part begins.

    Examples
    --------
    >>> from otoscope.folk.abc import parse_tune
    >>> part_shapes(parse_tune("M:2/4\\nL:1/4\\nK:C\\nC|:DE|F:|"))[0].bars
    1.5
    """

    bars: float
    is_repeated: bool
    line: int
    column: int


@dataclass(frozen=True)
class TuneFeatures:
    """Features of a tune that could be read.

    Parameters
    ----------
    meter, key : str
        Meter and key of the header.
    measures : tuple of ClassifiedMeasure
        Measures as written.
    parts : tuple of PartShape
        Segments between repeat marks.
    notes : int
        Number of notes as written, each note of a chord counted, grace notes not.
    lowest, highest : int, optional
        MIDI numbers of the lowest and of the highest note; None without notes.
    accidentals : float
        Fraction of notes outside the key, in [0, 1].
    last, before_last : str
        Scale degrees of the last note played and of the note before it; "" if there is none.
    degrees_by_count, degrees_by_duration : dict of str to float
        Fractions of the twelve scale degrees in what is played; empty without tonic or notes.
    is_finished : bool
        False if the file says (N:unfinished) that the model did not end the tune.

    Examples
    --------
    >>> from otoscope.folk.abc import parse_tune
    >>> tune_features(parse_tune("M:2/4\\nL:1/4\\nK:D\\nFE|D2|]")).last
    '1'
    """

    meter: str
    key: str
    measures: tuple[ClassifiedMeasure, ...]
    parts: tuple[PartShape, ...]
    notes: int
    lowest: int | None
    highest: int | None
    accidentals: float
    last: str
    before_last: str
    degrees_by_count: dict[str, float]
    degrees_by_duration: dict[str, float]
    is_finished: bool

    @property
    def range(self) -> int:
        """Distance from the lowest note to the highest, in semitones; 0 without notes."""
        return (self.highest or 0) - (self.lowest or 0)

    @property
    def form(self) -> str:
        """Parts as letters: "AABB"."""
        return form(self.parts)

    @property
    def measures_by_kind(self) -> dict[str, int]:
        """Number of measures of each kind."""
        counts = Counter(measure.kind for measure in self.measures)
        return {kind: counts[kind] for kind in MEASURE_KINDS if counts[kind]}


def tune_features(tune: Tune) -> TuneFeatures:
    """Compute the features of a tune.

    Parameters
    ----------
    tune : Tune
        Tune as written.

    Returns
    -------
    TuneFeatures
        Features of the tune.

    Examples
    --------
    >>> from otoscope.folk.abc import parse_tune
    >>> tune_features(parse_tune("M:2/4\\nL:1/4\\nK:D\\n|:FE|D2:|")).form
    'AA'
    """
    pitches = [note.pitch for note in tune.sounding]
    outside, count = accidentals(tune)
    last, before_last = ending(tune)
    return TuneFeatures(
        tune.meter.text,
        tune.key.abc,
        classify_measures(tune),
        part_shapes(tune),
        count,
        min(pitches, default=None),
        max(pitches, default=None),
        len(outside) / max(count, 1),
        last,
        before_last,
        *degrees(tune),
        not any(letter == "N" and text.startswith(_UNFINISHED) for letter, text in tune.headers),
    )


def part_shapes(tune: Tune) -> tuple[PartShape, ...]:
    """Return the segments between repeat marks.

    Parameters
    ----------
    tune : Tune
        Tune as written.

    Returns
    -------
    tuple of PartShape
        Parts in the order of writing. A pickup before the first repeat mark is not a part.

    Examples
    --------
    >>> from otoscope.folk.abc import parse_tune
    >>> len(part_shapes(parse_tune("M:2/4\\nL:1/4\\nK:C\\nC|:DE|F:|GA|B|]")))
    2
    """
    lengths = [(part, part.measures[0].meter.length) for part in tune.parts]
    return tuple(
        PartShape(
            float(part.duration / length) if length else float("nan"),
            part.is_repeated,
            part.line,
            part.column,
        )
        for part, length in lengths
        if part.is_repeated or length is None or part.duration >= length
    )


def form(parts: tuple[PartShape, ...]) -> str:
    """Name parts by letters, repeated ones twice: "AABB"; more than six by their number.

    Parameters
    ----------
    parts : tuple of PartShape
        Parts of a tune.

    Returns
    -------
    str
        Letters; two parts have different letters even if they sound the same.

    Examples
    --------
    >>> form((PartShape(8, True, 1, 1), PartShape(16, False, 2, 1)))
    'AAB'
    """
    if len(parts) > _MOST_LETTERS:
        return f"{len(parts)} parts"
    letters = zip(ascii_uppercase, parts, strict=False)
    return "".join(letter * (1 + part.is_repeated) for letter, part in letters)


def is_aabb(parts: tuple[PartShape, ...]) -> bool:
    """Return whether there are two repeated parts of eight bars, plus or minus half a bar.

    Parameters
    ----------
    parts : tuple of PartShape
        Parts of a tune.

    Returns
    -------
    bool
        Half a bar is the tolerance for pickups.

    Examples
    --------
    >>> is_aabb((PartShape(7.875, True, 1, 1), PartShape(8.0, True, 2, 1)))
    True
    """
    half = Fraction(1, 2)
    return len(parts) == 2 and all(p.is_repeated and abs(p.bars - _BARS) <= half for p in parts)


def accidentals(tune: Tune) -> tuple[list[Note], int]:
    """Return the notes outside the key in force, and the number of notes.

    Parameters
    ----------
    tune : Tune
        Tune as written: repeats count once, grace notes not at all, each note of a chord.

    Returns
    -------
    list of Note, int
        Notes in the order of writing. A raised seventh degree in minor is outside the key, too.

    Examples
    --------
    >>> from otoscope.folk.abc import parse_tune
    >>> notes, count = accidentals(parse_tune("K:Am\\nA2^GA|"))
    >>> [note.column for note in notes], count
    ([3], 3)
    """
    outside: list[Note] = []
    count, key = 0, tune.key
    for element in tune.elements:
        if isinstance(element, InlineField) and isinstance(element.value, Key):
            key = element.value
        if isinstance(element, Note | Chord):
            notes = (element,) if isinstance(element, Note) else element.notes
            count += len(notes)
            outside += [note for note in notes if note.alter != key.signature.get(note.letter, 0)]
    return outside, count


def degrees(tune: Tune) -> tuple[dict[str, float], dict[str, float]]:
    """Return the distribution of scale degrees, by number of notes and by duration.

    Parameters
    ----------
    tune : Tune
        Tune; its repeats are played out.

    Returns
    -------
    dict of str to float, dict of str to float
        Fractions by count and by duration, of `DEGREES`; empty without tonic or notes.

    Examples
    --------
    >>> from otoscope.folk.abc import parse_tune
    >>> by_count, by_duration = degrees(parse_tune("L:1/4\\nK:G\\nG3B|"))
    >>> by_count["1"], by_duration["1"]
    (0.5, 0.75)
    """
    tonic, notes = tune.key.tonic_pitch_class, tune.unfolded.sounding
    if tonic is None or not notes:
        return {}, {}
    count: Counter[int] = Counter()
    time: Counter[int] = Counter()
    whole = sum(note.ticks for note in notes)
    for note in notes:
        count[(note.pitch - tonic) % 12] += 1
        time[(note.pitch - tonic) % 12] += note.ticks
    by_count = {name: count[i] / len(notes) for i, name in enumerate(DEGREES)}
    return by_count, {name: time[i] / whole for i, name in enumerate(DEGREES)}


def ending(tune: Tune) -> tuple[str, str]:
    """Return the scale degrees of the last note played and of the note before it.

    Parameters
    ----------
    tune : Tune
        Tune; its repeats are played out.

    Returns
    -------
    str, str
        Degrees in the key in force at the end, of `DEGREES`; of a chord, those of its highest
        note. Several last notes of one pitch class count as one; "" without note or tonic.

    Examples
    --------
    >>> from otoscope.folk.abc import parse_tune
    >>> ending(parse_tune("K:D\\nFGAF|EDD2|"))
    ('1', '2')
    """
    tonic = _last_key(tune).tonic_pitch_class
    classes = [
        kind for kind, _ in groupby(note.pitch % 12 for note in tune.unfolded.sounding_melody)
    ]
    if tonic is None:
        return "", ""
    last = [DEGREES[(kind - tonic) % 12] for kind in classes[-2:]]
    return (last[-1] if last else ""), (last[0] if len(last) > 1 else "")


def _last_key(tune: Tune) -> Key:
    changes = [field.value for field in tune.unfolded.elements if isinstance(field, InlineField)]
    return next((value for value in reversed(changes) if isinstance(value, Key)), tune.key)

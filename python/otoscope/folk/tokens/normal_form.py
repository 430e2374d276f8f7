"""The normal form of tunes in tokens: root C, one key and one meter, L:1/8, no ornaments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

from otoscope.folk.abc.elements import (
    BarLine,
    BrokenRhythm,
    Chord,
    Element,
    InlineField,
    MeasureRest,
    Note,
    Rest,
    Tuplet,
    join_bar_lines,
)
from otoscope.folk.abc.errors import ConversionError
from otoscope.folk.abc.meter import Meter
from otoscope.folk.abc.transposition import change_notes, shift_between, shift_tune
from otoscope.folk.abc.tune import Tune

__all__ = ["TOKEN_METERS", "TOKEN_MODES", "TOKEN_UNIT", "is_normalised", "normalise_tune"]

TOKEN_METERS = ("4/4", "6/8", "3/4", "2/4", "9/8", "12/8", "3/2")
TOKEN_MODES = ("maj", "min", "dor", "mix")
TOKEN_UNIT = Fraction(1, 8)

_SAME_BAR = {"C": "4/4", "C|": "4/4", "2/2": "4/4"}
_STEPS = range(-7, 21)  # C, to b': a note's name has at most one comma or apostrophe


def normalise_tune(tune: Tune, tonic: str = "C") -> Tune:
    """Convert a tune to the form of tokens: transpose it to root C and remove what tokens lack.

    Removed are slurs, decorations, grace notes, text, parts and tempo changes. Accidentals are
    written only where the key needs them, ties only between notes of one pitch. A chord lasts as
    long as its first note; equal notes in a chord become one, unless ties join only some of them.
    The tune moves by at most a tritone, unless that leaves the range C, to b'.

    Parameters
    ----------
    tune : Tune
        Tune in major, minor, dorian or mixolydian, in one key and one meter.
    tonic : {"C", "C#"}, default "C"
        Root of the result.

    Returns
    -------
    Tune
        Tune with L:1/8, with meter 4/4 for C, C| and 2/2, and with bar lines ``| |: :| |1 |2``.

    Raises
    ------
    ConversionError
        If the tune has no such form: its `reason` is one of `REASONS`, with line and column.

    Examples
    --------
    >>> from otoscope.folk.abc import parse_tune
    >>> normalise_tune(parse_tune("M:C|\\nL:1/4\\nK:Ador\\n|:{B}~A^G(AF)|E4:|")).key.abc
    'Cdor'
    """
    meter = _plain_meter(tune)
    _check_key(tune)
    elements = _plain_bars(_plain_elements(tune.elements, meter))
    plain = replace(tune, elements=elements, meter=meter, unit=TOKEN_UNIT)
    return _moved(plain, tonic)


def is_normalised(tune: Tune) -> bool:
    """Whether a tune has the form of tokens, apart from its root and redundant signs and ties."""
    return (
        tune.unit == TOKEN_UNIT
        and tune.meter.text in TOKEN_METERS
        and tune.key.mode in TOKEN_MODES
        and not tune.key.changes
        and all(_is_plain(element) for element in tune.elements)
    )


def _is_plain(element: Element) -> bool:
    if isinstance(element, BarLine):
        return element.text == "|" or (element.text in ("|:", ":|") and not element.ending)
    if isinstance(element, Chord):
        ties = {note.tie for note in element.notes}
        return len(ties) == 1 and all(note.length == 1 for note in element.notes)
    if isinstance(element, Rest):
        return element.visible
    return isinstance(element, Note | BrokenRhythm | Tuplet)


def _plain_meter(tune: Tune) -> Meter:
    text = _SAME_BAR.get(tune.meter.text, tune.meter.text)
    if text not in TOKEN_METERS:
        message = f"meter is {tune.meter.text}, needs one of {' '.join(TOKEN_METERS)} C C| 2/2"
        raise ConversionError(message, reason="meter", line=tune.line)
    for field in tune.elements:
        if isinstance(field, InlineField) and field.letter == "M" and field.value != tune.meter:
            message = f"meter changes from {tune.meter.text} to {field.text}"
            raise _error(message, "meter changes", field)
    return Meter.parse(text)


def _check_key(tune: Tune) -> None:
    if tune.key.mode not in TOKEN_MODES or tune.key.changes:
        message = f"key is {tune.key.abc}, needs mode {', '.join(TOKEN_MODES)} and no signs beside"
        raise ConversionError(message, reason="mode", line=tune.line)
    for field in tune.elements:
        if isinstance(field, InlineField) and field.letter == "K" and field.value != tune.key:
            message = f"key changes from {tune.key.abc} to {field.text}"
            raise _error(message, "key changes", field)
    if not any(isinstance(element, Note | Chord) for element in tune.elements):
        raise ConversionError("the tune has no notes", reason="no notes", line=tune.line)


def _error(message: str, reason: str, element: Element) -> ConversionError:
    return ConversionError(message, reason=reason, line=element.line, column=element.column)


def _plain_elements(elements: Sequence[Element], meter: Meter) -> Iterator[Element]:
    """Yield notes, chords, rests, rhythm and bar lines, as tokens can express them."""
    sounding = [x for x in elements if isinstance(x, Note | Chord)]
    following = iter([*(frozenset(_pitches(x)) for x in sounding[1:]), frozenset[int]()])
    ties, plain_ties = Counter[int](), Counter[int]()  # pitches tied to the element, as plain too
    for element in elements:
        if isinstance(element, Note | Chord):
            plain = _plain_notes(element, next(following), ties, plain_ties)
            ties = Counter(note.pitch for note in _notes(element) if note.tie)
            plain_ties = Counter(note.pitch for note in _notes(plain) if note.tie)
            yield plain
        elif isinstance(element, Rest):
            ties, plain_ties = Counter(), Counter()
            yield replace(element, visible=True)
        elif isinstance(element, MeasureRest):
            ties, plain_ties = Counter(), Counter()
            rest = Rest(meter.length or TOKEN_UNIT, line=element.line, column=element.column)
            bar = BarLine("|", line=element.line, column=element.column)
            yield from [rest, *[bar, rest] * (element.count - 1)]
        elif isinstance(element, BrokenRhythm | Tuplet | BarLine):
            yield element


def _notes(element: Note | Chord) -> tuple[Note, ...]:
    return (element,) if isinstance(element, Note) else element.notes


def _pitches(element: Note | Chord) -> list[int]:
    return [note.pitch for note in _notes(element)]


def _plain_notes(
    element: Note | Chord, following: frozenset[int], ties: Counter[int], plain_ties: Counter[int]
) -> Note | Chord:
    """Return a note or chord with one tie or none, and without equal notes that are not heard.

    Equal notes sound as one, unless ties join some of them and others are struck anew.
    """
    if isinstance(element, Note):
        return replace(element, tie=element.tie and element.pitch in following, written=False)
    tie = any(note.tie and note.pitch in following for note in element.notes)
    counts = Counter(_pitches(element))
    keep = {p: min(plain_ties[p], n) + (n > ties[p]) for p, n in counts.items()}
    notes: list[Note] = []
    for note in element.notes:
        if keep[note.pitch]:
            keep[note.pitch] -= 1
            notes.append(replace(note, length=Fraction(1), tie=tie, written=False))
    if len(notes) == 1:
        return replace(notes[0], length=element.length)
    return replace(element, notes=tuple(notes))


def _plain_bars(elements: Iterable[Element]) -> tuple[Element, ...]:
    """Join bar lines at one place, and write them as ``| |: :| |1 |2``; end with a bar line."""
    result: list[Element] = []
    run: list[BarLine] = []
    for element in elements:
        if isinstance(element, BarLine):
            run.append(element)
            continue
        if run:
            result += [bar for bar in _split(join_bar_lines(run)) if result or bar != BarLine("|")]
        run = []
        result.append(element)
    last = join_bar_lines(run) if run else BarLine("|")
    return (*result, BarLine(":|" if last.closes else "|", line=last.line, column=last.column))


def _split(bar: BarLine) -> Iterator[BarLine]:
    if max(bar.repeats) > 1:
        message = f"{bar.text!r} repeats more than once, which tokens cannot say"
        raise _error(message, "repeats", bar)
    if bar.closes:
        yield replace(bar, text=":|", ending="")
    if bar.opens:
        yield replace(bar, text="|:", ending="")
    if bar.ending or not (bar.closes or bar.opens):
        yield replace(bar, text="|")


def _moved(tune: Tune, tonic: str) -> Tune:
    """Shift a tune by the smallest interval that keeps the range."""
    up = ((tonic == "C#") - (tune.key.tonic_pitch_class or 0)) % 12
    for semitones in sorted((up, up - 12), key=abs):
        moved = shift_tune(tune, shift_between(tune.key.tonic or "C", tonic, semitones))
        steps = [x.step for x in _all_notes(moved.elements)]
        if min(steps) in _STEPS and max(steps) in _STEPS:
            return moved
    pitches = [note.pitch for note in tune.notes]
    message = f"pitches are {min(pitches)} to {max(pitches)}, on C they leave the range C, to b'"
    raise ConversionError(message, reason="range", line=tune.line)


def _all_notes(elements: Iterable[Element]) -> list[Note]:
    notes: list[Note] = []

    def collect(note: Note) -> Note:
        notes.append(note)
        return note

    change_notes(elements, collect)
    return notes

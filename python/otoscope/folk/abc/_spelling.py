"""The written form of elements, piece by piece: what ABC joins and tokens keep apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import lru_cache

from otoscope.folk.abc._accidentals import Accidentals
from otoscope.folk.abc._scanner import default_time
from otoscope.folk.abc.elements import (
    Bar,
    Broken,
    Chord,
    Element,
    Field,
    Grace,
    Mark,
    MeasureRest,
    Note,
    Rest,
    Tuplet,
)
from otoscope.folk.abc.key import LETTERS, SIGNS, Key
from otoscope.folk.abc.meter import Meter

__all__ = ["length_text", "name_text", "pieces"]

_SIGN = {alter: sign for sign, alter in SIGNS.items()}


def pieces(
    elements: Iterable[Element], key: Key, meter: Meter, unit: Fraction
) -> Iterator[list[str]]:
    """Yield the pieces of each element: ["^c", "3/2", "-"] for a note, ["|:"] for a bar.

    Parameters
    ----------
    elements : iterable of Element
        A tune's body.
    key, meter : Key, Meter
        The header's.
    unit : Fraction
        Length of a note without number, in whole notes.
    """
    accidentals = Accidentals(key)
    for element in elements:
        if isinstance(element, Note):
            yield _note(element, accidentals, unit)
            accidentals.hold((element,))
        elif isinstance(element, Chord):
            yield _chord(element, accidentals, unit)
            accidentals.hold(element.notes)
        elif isinstance(element, Rest):
            yield ["z" if element.visible else "x", *_length(element.length, unit)]
            accidentals.hold(())
        elif isinstance(element, Bar):
            if element.text:
                accidentals.bar()
            yield [(element.text or "[") + element.ending]
        elif isinstance(element, Grace):
            yield _grace(element, accidentals, unit)
        else:
            if isinstance(element, Field) and isinstance(element.value, Key):
                accidentals.change(element.value)
            elif isinstance(element, Field) and isinstance(element.value, Meter):
                meter = element.value
            yield [_sign(element, meter)]


@lru_cache(maxsize=4096)
def length_text(ratio: Fraction) -> str:
    """Return "" for 1, "3", "/2", "3/2"."""
    above = "" if ratio.numerator == 1 else str(ratio.numerator)
    return above if ratio.denominator == 1 else f"{above}/{ratio.denominator}"


@lru_cache(maxsize=4096)
def name_text(step: int, alter: int | None) -> str:
    """Return a note's name; without sign where ``alter`` is None.

    >>> name_text(7, 1), name_text(-1, None)
    ('^c', 'B,')
    """
    octave, letter = divmod(step, 7)
    name = LETTERS[letter] if octave < 1 else LETTERS[letter].lower()
    marks = "," * -octave if octave < 0 else "'" * (octave - 1)
    return ("" if alter is None else _SIGN[alter]) + name + marks


def _length(length: Fraction, unit: Fraction) -> list[str]:
    text = length_text(length / unit)
    return [text] if text else []


def _name(note: Note, accidentals: Accidentals) -> str:
    if not note.written and accidentals.unsigned(note.step) == note.alter:
        return name_text(note.step, None)
    accidentals.sign(note.step, note.alter)
    return name_text(note.step, note.alter)


def _note(note: Note, accidentals: Accidentals, unit: Fraction) -> list[str]:
    return [_name(note, accidentals), *_length(note.length, unit), *(["-"] if note.tie else [])]


def _chord(chord: Chord, accidentals: Accidentals, unit: Fraction) -> list[str]:
    tied = all(note.tie for note in chord.notes)
    inside: list[str] = []
    for note in chord.notes:
        inside += [_name(note, accidentals), *_length(note.length, Fraction(1))]
        inside += ["-"] if note.tie and not tied else []
    return ["[", *inside, "]", *_length(chord.length, unit), *(["-"] if tied else [])]


def _grace(grace: Grace, accidentals: Accidentals, unit: Fraction) -> list[str]:
    inside: list[str] = []
    for note in grace.notes:
        if isinstance(note, Note):
            inside += _note(note, accidentals, unit)
        else:  # within braces a chord has its lengths inside
            inside += ["["]
            for one in note.notes:
                inside += [_name(one, accidentals), *_length(one.length * note.length, unit)]
            inside += ["]"]
    return ["{/" if grace.slash else "{", *inside, "}"]


def _sign(element: Element, meter: Meter) -> str:
    """Return the text of an element that is one piece and no note."""
    if isinstance(element, Broken):
        return element.sign
    if isinstance(element, Mark):
        return element.text
    if isinstance(element, MeasureRest):
        return f"Z{element.count if element.count > 1 else ''}"
    if isinstance(element, Tuplet):
        p, q, r = element.notes, element.time, element.count
        return f"({p}" if (q, r) == (default_time(p, meter), p) else f"({p}:{q}:{r}"
    if isinstance(element, Field):
        return f"[{element.letter}:{element.text}]"
    raise TypeError(f"{type(element).__name__} has no written form")

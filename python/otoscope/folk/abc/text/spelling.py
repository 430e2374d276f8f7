"""Spelling of elements: the accidentals in force, and the written pieces of each element."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

from otoscope.folk.abc.durations import default_normal_notes, length_text
from otoscope.folk.abc.elements import (
    BarLine,
    BrokenRhythm,
    Chord,
    Element,
    GraceNotes,
    InlineField,
    Mark,
    MeasureRest,
    Note,
    Rest,
    Tuplet,
)
from otoscope.folk.abc.key import LETTERS, SIGNS, Key
from otoscope.folk.abc.meter import Meter

__all__ = ["Accidentals", "pieces"]

_SIGN = {alter: sign for sign, alter in SIGNS.items()}


class Accidentals:
    """Alterations in force while a tune is read or written from left to right.

    Conventions of abc2midi: a sign holds to the next bar line, for its letter in every octave, also
    a sign at a grace note; a tie carries the alteration across a bar line, to that note alone.
    `as_read` follows the ``scope`` of what is read: "not", "octave" or, by default, "pitch".

    >>> accidentals = Accidentals(Key.parse("G"))
    >>> accidentals.write_sign(3, 0)  # =F
    >>> accidentals.alteration(10)  # f in the same measure
    0
    >>> accidentals.end_measure()
    >>> accidentals.alteration(10)
    1
    """

    def __init__(self, key: Key) -> None:
        self._signature = key.signature
        self.scope = "pitch"
        self._signs: dict[int, int] = {}
        self._in_octave: dict[int, int] = {}
        self._tied: dict[int, int] = {}
        self.are_of_key = True  # neither a sign nor a tie is in force

    def alteration(self, step: int) -> int:
        """Return the alteration of a note without sign."""
        return self._signs[step % 7] if step % 7 in self._signs else self._without_signs(step)

    def as_read(self, step: int) -> int:
        """Return the alteration, by the scope of what is read, of a note without sign."""
        if self.scope == "pitch":
            return self.alteration(step)
        if self.scope == "octave" and step in self._in_octave:
            return self._in_octave[step]
        return self._without_signs(step)

    def in_force(self, note: Note) -> Note:
        """Return a note of the key, or with its own sign, as it is read here; register its sign."""
        if note.written:
            self.write_sign(note.step, note.alter)
        elif not self.are_of_key:
            alter = self.as_read(note.step)
            written = alter != self.alteration(note.step)
            if written:
                self.write_sign(note.step, alter)
            if written or alter != note.alter:
                return replace(note, alter=alter, written=written)
        return note

    def write_sign(self, step: int, alter: int) -> None:
        """Register a written sign."""
        self._signs[step % 7] = self._in_octave[step] = alter
        self.are_of_key = False

    def hold_ties(self, notes: Iterable[Note]) -> None:
        """Register the ties that follow the latest notes; no notes for a rest."""
        self._tied = {note.step: note.alter for note in notes if note.tie}
        self.are_of_key = not (self._tied or self._signs)

    def end_measure(self) -> None:
        """Forget the signs of the measure."""
        if self._signs:
            self._signs, self._in_octave = {}, {}
        self.are_of_key = not self._tied

    def change_key(self, key: Key) -> None:
        """Set another key."""
        self._signature = key.signature
        self.end_measure()

    def _without_signs(self, step: int) -> int:
        return self._tied.get(step, self._signature.get(LETTERS[step % 7], 0))


def pieces(
    elements: Iterable[Element], key: Key, meter: Meter, unit: Fraction
) -> Iterator[list[str]]:
    """Yield the pieces of each element: ["^c", "3/2", "-"] for a note, ["|:"] for a bar line.

    ABC joins the pieces, tokens keep them apart. ``key`` and ``meter`` are the header's; ``unit``
    is the length of a note without number, in whole notes.
    """
    accidentals = Accidentals(key)
    for element in elements:
        if isinstance(element, Note):
            yield _note(element, accidentals, unit)
            accidentals.hold_ties((element,))
        elif isinstance(element, Chord):
            yield _chord(element, accidentals, unit)
            accidentals.hold_ties(element.notes)
        elif isinstance(element, Rest):
            yield ["z" if element.visible else "x", *_length(element.length, unit)]
            accidentals.hold_ties(())
        elif isinstance(element, BarLine):
            if element.text:
                accidentals.end_measure()
            yield [(element.text or "[") + element.ending]
        elif isinstance(element, GraceNotes):
            yield _grace(element, accidentals, unit)
        else:
            if isinstance(element, InlineField) and isinstance(element.value, Key):
                accidentals.change_key(element.value)
            elif isinstance(element, InlineField) and isinstance(element.value, Meter):
                meter = element.value
            yield [_sign(element, meter)]


@lru_cache(maxsize=4096)
def _note_name(step: int, alter: int | None) -> str:
    """Return a note's name, "^c" or "B,"; without sign if ``alter`` is None."""
    octave, letter = divmod(step, 7)
    name = LETTERS[letter] if octave < 1 else LETTERS[letter].lower()
    marks = "," * -octave if octave < 0 else "'" * (octave - 1)
    return ("" if alter is None else _SIGN[alter]) + name + marks


def _length(length: Fraction, unit: Fraction) -> list[str]:
    text = length_text(length / unit)
    return [text] if text else []


def _name(note: Note, accidentals: Accidentals) -> str:
    if not note.written and accidentals.alteration(note.step) == note.alter:
        return _note_name(note.step, None)
    accidentals.write_sign(note.step, note.alter)
    return _note_name(note.step, note.alter)


def _note(note: Note, accidentals: Accidentals, unit: Fraction) -> list[str]:
    return [_name(note, accidentals), *_length(note.length, unit), *(["-"] if note.tie else [])]


def _chord(chord: Chord, accidentals: Accidentals, unit: Fraction) -> list[str]:
    tied = all(note.tie for note in chord.notes)
    inside: list[str] = []
    for note in chord.notes:
        inside += [_name(note, accidentals), *_length(note.length, Fraction(1))]
        inside += ["-"] if note.tie and not tied else []
    return ["[", *inside, "]", *_length(chord.length, unit), *(["-"] if tied else [])]


def _grace(grace: GraceNotes, accidentals: Accidentals, unit: Fraction) -> list[str]:
    inside: list[str] = []
    for note in grace.notes:
        if isinstance(note, Note):
            inside += _note(note, accidentals, unit)
        else:  # within braces a chord has its lengths inside
            inside += ["["]
            for member in note.notes:
                length = _length(member.length * note.length, unit)
                inside += [_name(member, accidentals), *length]
            inside += ["]"]
    return ["{/" if grace.slash else "{", *inside, "}"]


def _sign(element: Element, meter: Meter) -> str:
    """Return the text of an element that is a single piece."""
    if isinstance(element, BrokenRhythm):
        return element.sign
    if isinstance(element, Mark):
        return element.text
    if isinstance(element, MeasureRest):
        return f"Z{element.count if element.count > 1 else ''}"
    if isinstance(element, Tuplet):
        p, q, r = element.notes, element.normal_notes, element.count
        is_default = (q, r) == (default_normal_notes(p, is_compound=meter.is_compound), p)
        return f"({p}" if is_default else f"({p}:{q}:{r}"
    if isinstance(element, InlineField):
        return f"[{element.letter}:{element.text}]"
    raise TypeError(f"{type(element).__name__} has no written form")

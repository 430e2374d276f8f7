"""Reading of the music of a tune: from its characters to its elements.

Music code is that of the ABC standard 2.1, read liberally where old books differ: "A 2" is A2,
"!" alone is a line break, "+CE+" is a chord, bar lines may be any run of ``| : [ ]``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cache

from otoscope.folk.abc.durations import LENGTH, default_normal_notes, parse_length, parse_unit
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
from otoscope.folk.abc.errors import NotationError
from otoscope.folk.abc.key import LETTERS, SIGNS, Key
from otoscope.folk.abc.meter import Meter
from otoscope.folk.abc.spelling import Accidentals

__all__ = ["MusicReader"]

# Numbers have few digits, so that a hostile file cannot ask for ages of music.
_LENGTH = rf"(?:\ *(?P<{{0}}length>{LENGTH}))?"
_NOTE = r"(?P<{0}sign>\^\^|\^|__|_|=)?(?P<{0}letter>[A-Ga-g])(?P<{0}octave>[,']{{0,3}})" + _LENGTH
_ENDING = r"\d{1,2}(?:[,-]\d{1,2})*"
_TOKEN = re.compile(
    rf"""
    (?P<skip> [\s`]+ | y\d* | \\\s*$ )
  | (?P<text> "[^"]*" )
  | (?P<field> \[(?P<field_letter>[A-Za-z]):(?P<field_value>[^\]]*)\] )
  | (?P<bar> (?P<bar_text> \[\|\] | :+\|+:+ | :+\|[\]|]? | ::+ | \[\|:* | \|[\]|]?:* )
             (?P<bar_ending> {_ENDING} )? )
  | (?P<ending> \[(?P<ending_list> {_ENDING} ) )
  | (?P<chord> \[ (?P<chord_inside>(?:"[^"]*"|[^\]"])*) \] {_LENGTH.format("chord_")} )
  | (?P<grace> \{{ (?P<grace_slash>/?) (?P<grace_inside>[^}}]*) \}} )
  | (?P<plus> \+ (?P<plus_inside>[^+\s"]+) \+ {_LENGTH.format("plus_")} )
  | (?P<mark> ![^!\s"|:\[\]]+! | \.?\((?!\d) | \) | [.~H-Wh-w] )
  | (?P<tuplet> \( (?P<p>\d) (?: :(?P<q>\d{{0,3}}) (?: :(?P<r>\d{{0,3}}) )? )? )
  | (?P<tie> - )
  | (?P<broken> >{{1,3}} | <{{1,3}} )
  | (?P<note> {_NOTE.format("")} )
  | (?P<rest> [zx] {_LENGTH.format("rest_")} )
  | (?P<measures> [ZX] (?P<count>\d{{0,3}}) )
  | (?P<overlay> & )
  | (?P<linebreak> [!$*] )
    """,
    re.VERBOSE,
)
_INSIDE = re.compile(rf"(?P<note>{_NOTE.format('')})|(?P<tie>-)|(?P<chord>\[[^\]]*\])|(?P<skip>.)")
_OLD_CHORD = re.compile(r"(?=.*[A-G\d])(?:[_^=]*[A-Ga-g][,']*[\d/]*){2,}")


class MusicReader:
    """Reader of a tune's music, line by line.

    ``key`` and ``meter`` are the header's, ``unit`` is the length of a note without number in whole
    notes, ``voices`` are the voices that the header names.
    """

    def __init__(self, key: Key, meter: Meter, unit: Fraction, voices: set[str]) -> None:
        self.elements: list[Element] = []
        self._key, self._meter, self._unit, self._voices = key, meter, unit, voices
        self._accidentals = Accidentals(key)
        self._last: int | None = None  # index of the latest note, chord or rest
        self._tuplet = 0  # notes that the open tuplet still needs
        self._pending: BrokenRhythm | None = None
        self._line = self._column = 0
        self._handlers: dict[str, Callable[[re.Match[str]], None]] = {
            name: getattr(self, f"_on_{name}")
            for name in _TOKEN.groupindex
            if hasattr(self, f"_on_{name}")
        }

    def read_line(self, text: str, line: int, column: int = 1) -> None:
        """Read one line of music, comments removed; ``column`` is that of its first character."""
        self._line, at = line, 0
        while at < len(text):
            self._column = column + at
            match = _TOKEN.match(text, at)
            if match is None:
                raise self._error(f"{text[at : at + 10]!r} came, needs music", "character")
            handler = self._handlers.get(str(match.lastgroup))
            if handler is not None:
                handler(match)
            at = match.end()

    def read_field(self, letter: str, value: str, line: int, column: int) -> None:
        """Read a field within the music."""
        self._line, self._column = line, column
        if letter == "K":
            self._key = Key.parse(value, line=line, column=column)
            self._accidentals.change_key(self._key)
            self._add(InlineField(letter, self._key, line=line, column=column))
        elif letter == "M":
            self._meter = Meter.parse(value, line=line, column=column)
            self._add(InlineField(letter, self._meter, line=line, column=column))
        elif letter == "L":
            self._unit = parse_unit(value, line=line, column=column)
        elif letter == "V":
            self._voices.add(value.split()[0] if value.strip() else "")
            if len(self._voices) > 1:
                raise self._error(f"voice {value.strip()!r} is a second one", "several voices")
        elif letter in "PQ":
            text = value.strip().replace("]", "")  # it is written within brackets
            if text.count('"') % 2:  # would hide a comment, or make one of what follows
                text = text.replace('"', "")
            self._add(InlineField(letter, text, line=line, column=column))

    def finish(self) -> tuple[Element, ...]:
        """Return all elements; refuse music without notes or with an open broken rhythm."""
        if (sign := self._pending) is not None:
            self._line, self._column = sign.line, sign.column
            raise self._error(f"{sign.sign!r} has no note after it", "broken rhythm")
        if not any(isinstance(element, Note | Chord) for element in self.elements):
            raise NotationError("the tune has no notes", reason="no music", line=self._line or None)
        return tuple(self.elements)

    def _error(self, message: str, reason: str) -> NotationError:
        return NotationError(message, reason=reason, line=self._line, column=self._column)

    def _add(self, element: Element) -> None:
        self.elements.append(element)

    def _add_timed(self, element: Element) -> None:
        """Add an element that has a duration."""
        self._last, self._pending = len(self.elements), None
        self._tuplet = max(0, self._tuplet - 1)
        self._add(element)

    def _length(self, text: str | None) -> Fraction:
        length = parse_length(text or "")
        if length is None:
            raise self._error(
                f"length is {text!r}, needs a number above 0, of at most 6 digits", "length"
            )
        return length

    def _make_note(self, match: re.Match[str], unit: Fraction) -> Note:
        letter, octave, sign = match["letter"], match["octave"], match["sign"]
        step = LETTERS.index(letter.upper()) + 7 * (letter.islower() + octave.count("'"))
        step -= 7 * octave.count(",")
        if sign is not None:
            self._accidentals.write_sign(step, SIGNS[sign])
        return Note(
            step,
            self._accidentals.alteration(step),
            self._length(match["length"]) * unit,
            written=sign is not None,
            line=self._line,
            column=self._column,
        )

    def _notes(self, text: str) -> Iterator[Note]:
        """Yield the notes within a chord, lengths in units of their own; skip other signs."""
        notes: list[Note] = []
        for match in _INSIDE.finditer(re.sub(r'"[^"]*"|![^!]*!', "", text)):
            if match.lastgroup == "note":
                notes.append(self._make_note(match, Fraction(1)))
            elif match.lastgroup == "tie" and notes:
                notes[-1] = replace(notes[-1], tie=True)
        yield from notes

    def _make_chord(self, inside: str, length: Fraction) -> Chord:
        notes = list(self._notes(inside))
        if not notes:
            raise self._error(f"chord is {inside!r}, needs notes", "chord")
        first = notes[0].length  # the chord lasts as long as its first note
        notes = [replace(note, length=note.length / first) for note in notes]
        return Chord(
            tuple(notes), first * length * self._unit, line=self._line, column=self._column
        )

    def _on_text(self, match: re.Match[str]) -> None:
        self._add(Mark(match[0], line=self._line, column=self._column))

    _on_mark = _on_text

    def _on_field(self, match: re.Match[str]) -> None:
        self.read_field(match["field_letter"], match["field_value"], self._line, self._column)

    def _on_bar(self, match: re.Match[str]) -> None:
        text = _bar_line_text(match["bar_text"])
        self._accidentals.end_measure()
        ending = match["bar_ending"] or ""
        self._add(BarLine(text, ending, line=self._line, column=self._column))

    def _on_ending(self, match: re.Match[str]) -> None:
        last = self.elements[-1] if self.elements else None
        if isinstance(last, BarLine) and not last.ending:
            self.elements[-1] = replace(last, ending=match["ending_list"])
        else:
            self._add(BarLine("", match["ending_list"], line=self._line, column=self._column))

    def _on_chord(self, match: re.Match[str]) -> None:
        chord = self._make_chord(match["chord_inside"], self._length(match["chord_length"]))
        self._add_timed(chord)
        self._accidentals.hold_ties(chord.notes)

    def _on_plus(self, match: re.Match[str]) -> None:
        if not _OLD_CHORD.fullmatch(match["plus_inside"]):
            self._on_text(match)
            return
        chord = self._make_chord(match["plus_inside"], self._length(match["plus_length"]))
        self._add_timed(chord)
        self._accidentals.hold_ties(chord.notes)

    def _on_grace(self, match: re.Match[str]) -> None:
        notes: list[Note | Chord] = []
        for part in _INSIDE.finditer(match["grace_inside"]):
            if part.lastgroup == "note":
                notes.append(self._make_note(part, self._unit))
            elif part.lastgroup == "chord":
                notes.append(self._make_chord(part[0][1:-1], Fraction(1)))
        slash = match["grace_slash"] != ""
        if notes:
            self._add(GraceNotes(tuple(notes), slash, line=self._line, column=self._column))

    def _on_tuplet(self, match: re.Match[str]) -> None:
        if self._tuplet:
            raise self._error(f"{match[0]!r} begins within another tuplet", "tuplet")
        notes = int(match["p"])
        normal_notes = int(
            match["q"] or default_normal_notes(notes, is_compound=self._meter.is_compound)
        )
        count = int(match["r"] or notes)
        if not notes * normal_notes * count:
            raise self._error(f"tuplet is {match[0]!r}, needs numbers above 0", "tuplet")
        self._tuplet = count
        self._add(Tuplet(notes, normal_notes, count, line=self._line, column=self._column))

    def _on_tie(self, match: re.Match[str]) -> None:
        last = None if self._last is None else self.elements[self._last]
        between = self.elements[(self._last or 0) + 1 :]
        if not isinstance(last, Note | Chord) or any(isinstance(x, BarLine) for x in between):
            raise self._error("'-' has no note before it", "tie")
        notes = (last,) if isinstance(last, Note) else last.notes
        notes = tuple(replace(note, tie=True) for note in notes)
        self.elements[self._last or 0] = (
            notes[0] if isinstance(last, Note) else replace(last, notes=notes)
        )
        self._accidentals.hold_ties(notes)

    def _on_broken(self, match: re.Match[str]) -> None:
        if self._last is None or self._pending is not None:
            raise self._error(f"{match[0]!r} has no note before it", "broken rhythm")
        self._pending = BrokenRhythm(match[0], line=self._line, column=self._column)
        self._add(self._pending)

    def _on_note(self, match: re.Match[str]) -> None:
        note = self._make_note(match, self._unit)
        self._add_timed(note)
        self._accidentals.hold_ties((note,))

    def _on_rest(self, match: re.Match[str]) -> None:
        length = self._length(match["rest_length"]) * self._unit
        visible = match[0][0] == "z"
        self._add_timed(Rest(length, visible, line=self._line, column=self._column))
        self._accidentals.hold_ties(())

    def _on_measures(self, match: re.Match[str]) -> None:
        count = int(match["count"] or 1)
        if self._meter.length is None or not count:
            raise self._error(f"{match[0]!r} needs a meter and a number above 0", "length")
        self._add_timed(MeasureRest(count, line=self._line, column=self._column))

    def _on_overlay(self, match: re.Match[str]) -> None:
        raise self._error("'&' begins a second voice", "several voices")


@cache
def _bar_line_text(run: str) -> str:
    """Return the text of `BarLine` that a run of ``| : [ ]`` means."""
    closes, opens = run.startswith(":"), run.endswith(":")
    if closes or opens:
        return "::" if closes and opens else ":|" if closes else "|:"
    return run

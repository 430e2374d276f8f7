"""Reading of the music of a tune: from its characters to its elements.

Music code is that of the ABC standard 2.1, read liberally where old books differ: "A 2" is A2,
"!" alone is a line break, "+CE+" is a chord, bar lines may be any run of ``| : [ ]``.
Notes are those that sound: octaves of clefs, "octave=" and "transpose=" move notes and keys. Of
several voices one is read, and of overlays what stands before them: & and what follows up to the
bar line, && up to the second one, (& A | B & C | D &) up to its end.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from otoscope.folk.abc.clef import Specifiers, read_directive, read_specifiers
from otoscope.folk.abc.durations import default_normal_notes, parse_length, parse_unit
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
    Tuplet,
)
from otoscope.folk.abc.errors import NotationError
from otoscope.folk.abc.key import Key, read_key_field
from otoscope.folk.abc.meter import Meter
from otoscope.folk.abc.text.patterns import INSIDE, NO_NOTES, OLD_CHORD, SPLIT, VOICE
from otoscope.folk.abc.text.signs import Sign, signs_in
from otoscope.folk.abc.text.spelling import Accidentals
from otoscope.folk.abc.transposition import (
    Shift,
    change_notes,
    nearest_shift,
    shift_key,
    shift_note,
)

__all__ = ["MusicReader"]

_NO_SHIFT, _AS_WRITTEN, _ONE = Shift(0, 0), Specifiers(), Fraction(1)
_ENDING_OVERLAYS = ("bar", "field", "overlays")


class MusicReader:
    """Reader of the music of one voice, line by line.

    ``key`` and ``meter`` are the header's, ``unit`` is the length of a note without number in whole
    notes. ``voice`` is the voice to read, by default the first that is named; music
    before any V: belongs to that. ``strict`` refuses other voices.
    """

    def __init__(
        self,
        key: Key,
        meter: Meter,
        unit: Fraction,
        *,
        voice: str | None = None,
        strict: bool = False,
    ) -> None:
        self.elements: list[Element] = []
        self.key = key  # of the header, as it sounds
        self.notices: list[NotationError] = []  # what is left out
        self.other_voice: str | None = None  # the first voice with notes that is left out
        self._voices = set[str]()
        self._voice, self._wanted, self._strict = "", voice, strict
        self._is_left_out = voice is not None
        self._overlay: float = 0  # bar lines to the end of what is left out
        self._region: tuple[int, int] | None = None  # place of (& without &)
        self._written_key, self._key, self._specifiers = key, key, _AS_WRITTEN
        self._shift, self._moves = _NO_SHIFT, False
        self._meter, self._unit = meter, unit
        self._accidentals = Accidentals(key)
        self._last: int | None = None  # index of the latest note, chord or rest
        self._latest: tuple[Note, ...] = ()  # its notes as written
        self._tuplet = 0  # notes that the open tuplet still needs
        self._pending: BrokenRhythm | None = None
        self._line = self._column = self._first_column = 0
        self._text = ""  # of the line of which the first character is at that column
        self._signs = signs_in(key, unit)

    def read_specifiers(self, specifiers: Specifiers, line: int, column: int) -> None:
        """Change the octave or the transposition, the key as written being the same."""
        self._line, self._column = line, column
        self._transpose(specifiers)

    def declare_voice(self, value: str, line: int, column: int) -> str:
        """Read a V: field without a change to that voice; return the voice's name."""
        self._line, self._column = line, column
        name, *rest = value.split(maxsplit=1) or [""]
        if name not in self._voices:
            self._voices.add(name)
            self._wanted = name if self._wanted is None else self._wanted
            if name != self._wanted:
                self._leave_out(f"voice {name!r} is a second one beside {self._wanted!r}")
        if name == self._wanted and rest:
            try:
                specifiers, _ = read_specifiers(rest[0])
            except ValueError as fault:
                raise self._error(f"V: is {value.strip()!r}: {fault}", "voice field") from None
            self._transpose(specifiers)
        return name

    def read_line(self, text: str, line: int, column: int = 1) -> None:
        """Read one line of music, comments removed; ``column`` is that of its first character."""
        self._line, self._text, self._first_column, at = line, text, column, 0
        while at < len(text):
            if self._is_left_out and (at := self._end_of_voice(text, at)) == len(text):
                return
            for written in SPLIT.findall(text, at):
                start, at = at, at + len(written)
                kind, _, _, _, plain = sign = self._signs[written]
                is_changed = self._moves or self._overlay or not self._accidentals.are_of_key
                if plain is not None and not is_changed:  # as most notes are
                    self._latest = (plain.at(line, column + start),)
                    self._add_timed(*self._latest)
                    continue
                handler = _HANDLERS.get(kind)
                if handler is None or (self._overlay and kind not in _ENDING_OVERLAYS):
                    continue
                self._column = column + start
                handler(self, sign)
                if self._is_left_out:
                    break

    def read_field(self, letter: str, value: str, line: int, column: int) -> None:
        """Read a field within the music."""
        self._line, self._column = line, column
        if letter == "V":
            self._voice = self.declare_voice(value, line, column)
            self._require_closed()
            self._is_left_out, self._overlay = self._voice != self._wanted, 0
        elif self._is_left_out or self._overlay:
            return
        elif letter == "I":
            self.read_directive(value, line, column)
        elif letter == "K":
            key, specifiers = read_key_field(value, line=line, column=column)
            self._transpose(specifiers, key)
        elif letter == "M":
            self._meter = Meter.parse(value, line=line, column=column)
            self._add(InlineField(letter, self._meter, line=line, column=column))
        elif letter == "L":
            self._unit = parse_unit(value, line=line, column=column)
            self._signs = signs_in(self._written_key, self._unit)
        elif letter in "PQ":
            text = value.strip().replace("]", "")  # it is written within brackets
            if text.count('"') % 2:  # would hide a comment, or make one of what follows
                text = text.replace('"', "")
            self._add(InlineField(letter, text, line=line, column=column))

    def read_directive(self, text: str, line: int, column: int, *, in_tune: bool = True) -> None:
        """Read what follows %% or I:; of what changes pitches, say what is not read."""
        self._line, self._column = line, column
        if self._is_left_out and self._voice:
            return
        try:
            specifiers = read_directive(text, self._specifiers.semitones or 0 if in_tune else None)
        except ValueError as fault:
            self._leave_out(f"{text.strip()!r} {fault}", "directive")
        else:
            if specifiers != _AS_WRITTEN:
                self._transpose(specifiers)

    @property
    def has_notes(self) -> bool:
        """Whether a note was read."""
        return any(isinstance(element, Note | Chord) for element in self.elements)

    def finish(self) -> tuple[Element, ...]:
        """Return all elements; refuse music without notes or with an open broken rhythm."""
        if (sign := self._pending) is not None:
            self._line, self._column = sign.line, sign.column
            raise self._error(f"{sign.sign!r} has no note after it", "broken rhythm")
        self._require_closed()
        if not self.has_notes:
            raise NotationError("the tune has no notes", reason="no music", line=self._line or None)
        return tuple(self.elements)

    def _error(self, message: str, reason: str) -> NotationError:
        return NotationError(message, reason=reason, line=self._line, column=self._column)

    def _leave_out(self, message: str, reason: str = "several voices") -> None:
        """Note that something is left out, or refuse it."""
        if self._strict:
            raise self._error(message, reason)
        self.notices.append(self._error(f"{message}, left out", reason))

    def _require_closed(self) -> None:
        if self._region is not None:
            self._line, self._column = self._region
            raise self._error("'(&' is not closed by '&)'", "several voices")

    def _end_of_voice(self, text: str, at: int) -> int:
        """Return the index at which a line leaves the voice that is left out."""
        end = next((x.start() for x in VOICE.finditer(text, at) if x["name"]), len(text))
        if self.other_voice is None and NO_NOTES.sub("", text[at:end]):
            self.other_voice = self._voice
        return end

    def _transpose(self, specifiers: Specifiers, key: Key | None = None) -> None:
        """Change the octave, the transposition and, unless None, the key as written."""
        self._specifiers = self._specifiers.updated(specifiers)
        if key is not None:
            self._written_key = key
            self._accidentals.change_key(key)
            self._signs = signs_in(key, self._unit)
        self._accidentals.scope = self._specifiers.scope or "pitch"
        octaves, semitones = self._specifiers.octaves, self._specifiers.semitones or 0
        steps = nearest_shift(self._written_key, semitones).steps if semitones else 0
        self._shift = Shift(steps + 7 * octaves, semitones + 12 * octaves)
        self._moves = self._shift != _NO_SHIFT
        try:
            sounding = shift_key(self._written_key, self._shift)
        except NotationError as fault:
            raise self._error(fault.message, fault.reason) from None
        if key is not None or (self.elements and sounding != self._key):
            self._add(InlineField("K", sounding, line=self._line, column=self._column))
        elif not self.elements:
            self.key = sounding
        self._key = sounding

    def _add(self, element: Element) -> None:
        if self._moves:
            (element,) = change_notes((element,), self._sounding)
        self.elements.append(element)

    def _sounding(self, note: Note) -> Note:
        return replace(shift_note(note, self._shift), written=note.written)

    def _add_timed(self, element: Element) -> None:
        self._last, self._pending = len(self.elements), None
        self._tuplet = self._tuplet and self._tuplet - 1
        self._add(element)

    def _length(self, text: str | None) -> Fraction:
        if (length := parse_length(text or "")) is None:
            raise self._length_error(text)
        return length

    def _length_error(self, text: str | None) -> NotationError:
        message = f"length is {text!r}, needs a number above 0, of at most 6 digits"
        return self._error(message, "length")

    def _make_note(self, sign: Sign) -> Note:
        """Return the note of a sign, with the accidentals in force."""
        if sign.note is None:
            raise self._length_error(sign.match["length"])
        note = self._accidentals.in_force(sign.note)
        if not 0 <= (pitch := note.pitch + self._shift.semitones) <= 127:
            raise self._error(f"{sign.text!r} sounds as {pitch}, needs to be in [0, 127]", "pitch")
        return note.at(self._line, self._column)

    def _hold(self, *notes: Note) -> None:
        """Remember the notes of the latest element, as written; none for a rest."""
        self._latest = notes
        if notes or not self._accidentals.are_of_key:
            self._accidentals.hold_ties(notes)

    def _make_chord(self, inside: str, length: Fraction) -> Chord:
        notes, signs = list[Note](), signs_in(self._written_key, _ONE)
        for match in INSIDE.finditer(re.sub(r'"[^"]*"|![^!]*!', "", inside)):
            if match.lastgroup == "note":
                notes.append(self._make_note(signs[match[0]]))
            elif match.lastgroup == "tie" and notes:
                notes[-1] = replace(notes[-1], tie=True)
        if not notes:
            raise self._error(f"chord is {inside!r}, needs notes", "chord")
        first = notes[0].length  # the chord lasts as long as its first note
        members = tuple(replace(note, length=note.length / first) for note in notes)
        return Chord(members, first * length * self._unit, line=self._line, column=self._column)

    def _on_mark(self, sign: Sign) -> None:
        if sign.other is not None:
            self._add(sign.other.at(self._line, self._column))

    _on_text = _on_mark

    def _on_other(self, sign: Sign) -> None:
        rest = self._text[self._column - self._first_column :]
        if sign.kind == "other" or rest[1:].strip():  # not a backslash at the end of a line
            raise self._error(f"{rest[:10]!r} came, needs music", "character")

    _on_continuation = _on_other

    def _on_field(self, sign: Sign) -> None:
        letter, value = sign.match["field_letter"], sign.match["field_value"]
        self.read_field(letter, value, self._line, self._column)

    def _on_bar(self, sign: Sign) -> None:
        self._overlay = max(0, self._overlay - 1)
        if self._overlay:
            return
        self._accidentals.end_measure()
        self._on_mark(sign)

    def _on_ending(self, sign: Sign) -> None:
        last = self.elements[-1] if self.elements else None
        if isinstance(last, BarLine) and not last.ending:
            self.elements[-1] = replace(last, ending=sign.match["ending_list"])
        else:
            self._add(BarLine("", sign.match["ending_list"], line=self._line, column=self._column))

    def _on_chord(self, sign: Sign) -> None:
        inside, length = sign.match[f"{sign.kind}_inside"], sign.match[f"{sign.kind}_length"]
        chord = self._make_chord(inside, self._length(length))
        self._add_timed(chord)
        self._hold(*chord.notes)

    def _on_plus(self, sign: Sign) -> None:
        if OLD_CHORD.fullmatch(sign.match["plus_inside"]):
            self._on_chord(sign)
        else:
            self._add(Mark(sign.text, line=self._line, column=self._column))

    def _on_grace(self, sign: Sign) -> None:
        notes: list[Note | Chord] = []
        for part in INSIDE.finditer(sign.match["grace_inside"]):
            if part.lastgroup == "note":
                notes.append(self._make_note(self._signs[part[0]]))
            elif part.lastgroup == "chord":
                notes.append(self._make_chord(part[0][1:-1], Fraction(1)))
        slash = sign.match["grace_slash"] != ""
        if notes:
            self._add(GraceNotes(tuple(notes), slash, line=self._line, column=self._column))

    def _on_tuplet(self, sign: Sign) -> None:
        if self._tuplet:
            raise self._error(f"{sign.text!r} begins within another tuplet", "tuplet")
        notes = int(sign.match["p"])
        usual = default_normal_notes(notes, is_compound=self._meter.is_compound)
        normal_notes = int(sign.match["q"] or usual)
        count = int(sign.match["r"] or notes)
        if not notes * normal_notes * count:
            raise self._error(f"tuplet is {sign.text!r}, needs numbers above 0", "tuplet")
        self._tuplet = count
        self._add(Tuplet(notes, normal_notes, count, line=self._line, column=self._column))

    def _on_tie(self, sign: Sign) -> None:
        last = None if self._last is None else self.elements[self._last]
        between = self.elements[(self._last or 0) + 1 :]
        if not isinstance(last, Note | Chord) or any(isinstance(x, BarLine) for x in between):
            raise self._error("'-' has no note before it", "tie")
        if isinstance(last, Note):
            self.elements[self._last or 0] = replace(last, tie=True)
        else:
            tied = tuple(replace(note, tie=True) for note in last.notes)
            self.elements[self._last or 0] = replace(last, notes=tied)
        self._hold(*(replace(note, tie=True) for note in self._latest))

    def _on_broken(self, sign: Sign) -> None:
        if self._last is None or self._pending is not None:
            raise self._error(f"{sign.text!r} has no note before it", "broken rhythm")
        self._pending = BrokenRhythm(sign.text, line=self._line, column=self._column)
        self._add(self._pending)

    def _on_note(self, sign: Sign) -> None:
        self._latest = (self._make_note(sign),)
        self._accidentals.hold_ties(())  # ties to this note end; one from it comes later
        self._add_timed(*self._latest)

    def _on_rest(self, sign: Sign) -> None:
        if sign.other is None:
            raise self._length_error(sign.match["rest_length"])
        self._add_timed(sign.other.at(self._line, self._column))
        self._hold()

    def _on_measures(self, sign: Sign) -> None:
        count = int(sign.match["count"] or 1)
        if self._meter.length is None or not count:
            raise self._error(f"{sign.text!r} needs a meter and a number above 0", "length")
        self._add_timed(MeasureRest(count, line=self._line, column=self._column))

    def _on_overlay(self, sign: Sign) -> None:
        message = f"{sign.text!r} begins a second voice"
        if self._strict or not any(message in notice.message for notice in self.notices):
            self._leave_out(message)
        self._overlay = len(sign.text) if self._region is None else math.inf

    def _on_overlays(self, sign: Sign) -> None:
        opens = sign.text == "(&"
        if opens != (self._region is None):
            message = "begins within another" if opens else "has no '(&' before it"
            raise self._error(f"{sign.text!r} {message}", "several voices")
        self._region, self._overlay = (self._line, self._column) if opens else None, 0


_HANDLERS: dict[str, Callable[[MusicReader, Sign], None]] = {
    name.removeprefix("_on_"): function
    for name, function in vars(MusicReader).items()
    if name.startswith("_on_")
}

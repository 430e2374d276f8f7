"""MusicXML as tunes."""

from __future__ import annotations

import io
import math
import re
import zipfile
import zlib
from dataclasses import dataclass
from fractions import Fraction
from xml.etree import ElementTree as ET

from otoscope.folk.abc import (
    BarLine,
    Element,
    GraceNotes,
    InlineField,
    Key,
    Mark,
    Meter,
    NotationError,
    Note,
    Tune,
    transpose,
)
from otoscope.folk.abc.durations import default_unit
from otoscope.folk.abc.elements import repeat_mark
from otoscope.folk.abc.key import LETTERS
from otoscope.folk.abc.meter import FREE
from otoscope.folk.interchange.chords import chord_symbol
from otoscope.folk.interchange.keys import key_of, most_fitting_key
from otoscope.folk.interchange.melody import MelodyNote, elements_of
from otoscope.folk.interchange.writing import FACTS

__all__ = ["tune_of_musicxml"]

_MODES = {"major": "maj", "minor": "min", "dorian": "dor", "mixolydian": "mix", "ionian": "maj"}
_MODES |= {"phrygian": "phr", "lydian": "lyd", "locrian": "loc", "aeolian": "min"}

_MOST_SEMITONES, _MOST_REPEATS = 60, 20


def tune_of_musicxml(content: bytes, most_bytes: int) -> Tune:
    """Read the first voice of the first part with notes; ``most_bytes`` limits an archive."""
    try:
        root = ET.fromstring(_of_archive(content, most_bytes) if content[:2] == b"PK" else content)
    except NotationError:
        raise
    except (ET.ParseError, zipfile.BadZipFile, zlib.error, LookupError, ValueError) as err:
        raise NotationError(f"this is no MusicXML that can be read: {err}", reason="file") from err
    except RuntimeError as err:  # encrypted, or compressed in a way that zipfile does not know
        raise NotationError(f"the archive cannot be read: {err}", reason="file") from err
    if root.tag != "score-partwise":
        message = f"the file begins with <{root.tag[:40]}>, needs <score-partwise>"
        raise NotationError(message, reason="file")
    parts = [part for part in root.iterfind("part") if part.find("measure/note/pitch") is not None]
    if not parts:
        raise NotationError("there is no note with a pitch in it", reason="no notes")
    try:
        return _tune(root, parts)
    except NotationError:
        raise
    except (ValueError, LookupError, ArithmeticError) as err:
        raise NotationError(f"a value cannot be read: {err}", reason="file") from err


def _tune(root: ET.Element, parts: list[ET.Element]) -> Tune:
    reader = _PartReader(parts[0])
    if not reader.notes:
        raise NotationError("there is no note that lasts in it", reason="no notes")
    notices = list[NotationError]()
    if len(parts) > 1 or reader.has_other_voices:
        message = "a second voice or part came, left out"
        notices.append(NotationError(message, reason="voices"))
    tune = reader.tune(_headers(root), notices)
    if any(abs(note.alter) > 2 for note in reader.notes):
        raise NotationError("a note is altered by more than two semitones", reason="pitch")
    return tune


def _of_archive(content: bytes, most_bytes: int) -> bytes:
    """Return the score of a compressed file (.mxl), which META-INF/container.xml names."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > most_bytes:
            message = f"the archive holds more than {most_bytes:,} bytes"
            raise NotationError(message, reason="size")
        container = ET.fromstring(archive.read("META-INF/container.xml"))
        root_file = container.find(".//{*}rootfile")
        name = "" if root_file is None else root_file.get("full-path", "")
        return archive.read(name)


def _headers(root: ET.Element) -> list[tuple[str, str]]:
    texts = {
        "T": root.findtext("work/work-title") or root.findtext("movement-title") or "",
        "C": root.findtext("identification/creator[@type='composer']") or "",
    }
    fields = root.iterfind("identification/miscellaneous/miscellaneous-field")
    facts = [(x.get("name", "").removeprefix("abc:"), x.text or "") for x in fields]
    found = [*texts.items(), *(fact for fact in facts if fact[0] in FACTS)]
    return [(letter, line) for letter, text in found if (line := _line(text))]


def _line(text: str) -> str:
    return " ".join(text.splitlines()).strip()


@dataclass
class _Bar:
    """A bar line between two measures, while it is read."""

    closing: int = 0  # number of repeats that end here
    opening: int = 0  # number of repeats that begin here
    ending: str = ""
    is_heavy: bool = False

    def bar_line(self, *, is_last: bool) -> BarLine:
        plain = "|]" if is_last else "||" if self.is_heavy else "|"
        return BarLine(repeat_mark(self.closing, self.opening) or plain, self.ending)


class _PartReader:
    """Reads a part measure by measure; times are in whole notes from its beginning."""

    def __init__(self, part: ET.Element) -> None:
        self.notes: list[MelodyNote] = []
        self.bars: dict[Fraction, _Bar] = {}
        self.signs: dict[Fraction, list[Element]] = {}
        self.keys: dict[Fraction, tuple[int, str | None] | Key] = {}
        self.meters: dict[Fraction, Meter] = {}
        self.has_other_voices = False
        self.tempo = ""
        self.semitones = 0  # of a transposing instrument
        self._graces: list[Note] = []
        self._now = self._onset = self._end = Fraction(0)
        self._divisions = 1
        self._voice: str | None = None
        for measure in part.iterfind("measure"):
            self._read_measure(measure)

    def tune(self, headers: list[tuple[str, str]], notices: list[NotationError]) -> Tune:
        meter = self.meters.pop(Fraction(0), FREE)
        keys = self._keys()
        key = keys.pop(Fraction(0), Key(None, "none"))
        for letter, values in (("K", keys), ("M", self.meters)):
            for time, value in values.items():
                self.signs.setdefault(time, []).insert(0, InlineField(letter, value))
        bar_lines = {
            time: bar.bar_line(is_last=time == self._end)
            for time, bar in sorted(self.bars.items())
            if time or bar.opening or bar.ending
        }
        elements = elements_of(self.notes, bar_lines, self.signs, self._end)
        unit = default_unit(meter)
        headers += [("Q", self.tempo)] if self.tempo else []
        if self.semitones and any(isinstance(element, Mark) for element in elements):
            elements = tuple(x for x in elements if not isinstance(x, Mark))
            message = "chord symbols of a transposing instrument are left out"
            notices.append(NotationError(message, reason="chords"))
        tune = Tune(elements, key, meter, unit, tuple(headers), notices=tuple(notices))
        return transpose(tune, self.semitones) if self.semitones else tune

    def _keys(self) -> dict[Fraction, Key]:
        """Return the keys; one without mode is that of the last note."""
        durations: dict[int, Fraction] = {}
        pitches = [Note(x.step, x.alter, Fraction(1)).pitch % 12 for x in self.notes]
        for note, pitch in zip(self.notes, pitches, strict=True):
            durations[pitch] = durations.get(pitch, Fraction(0)) + note.end - note.onset
        final = pitches[self.notes.index(max(self.notes))]
        return {
            time: key
            if isinstance(key, Key)
            else key_of(key[0], key[1])
            if key[1]
            else most_fitting_key(durations, final, fifths=key[0])
            for time, key in self.keys.items()
        }

    def _read_measure(self, measure: ET.Element) -> None:
        start = self._now = self._end
        self._bar(start)
        for child in measure:
            if child.tag == "attributes":
                self._read_attributes(child)
            elif child.tag == "note":
                self._read_note(child)
            elif child.tag == "direction":
                self._read_direction(child)
            elif child.tag == "harmony" and (symbol := chord_symbol(child)):
                self._sign(Mark(symbol))
            elif child.tag in ("backup", "forward"):
                sign = 1 if child.tag == "forward" else -1
                self._now = max(start, self._now + sign * self._duration(child))
            self._end = max(self._end, self._now)
        for bar_line in measure.iterfind("barline"):
            location = bar_line.get("location", "right")
            if location != "middle":
                self._read_bar_line(bar_line, start if location == "left" else self._end)
        self._bar(self._end)

    def _bar(self, time: Fraction) -> _Bar:
        return self.bars.setdefault(time, _Bar())

    def _duration(self, xml: ET.Element) -> Fraction:
        return Fraction(xml.findtext("duration", "0").strip()) / (4 * self._divisions)

    def _read_attributes(self, xml: ET.Element) -> None:
        self._divisions = int(xml.findtext("divisions", str(self._divisions)))
        if self._divisions < 1:
            raise NotationError(f"divisions are {self._divisions}, need 1 or more", reason="file")
        if (key := xml.find("key")) is not None:
            self.keys[self._now] = _read_key(key)
        if (time := xml.find("time")) is not None:
            self.meters[self._now] = _read_time(time)
        if (shift := xml.find("transpose")) is not None:
            octaves = int(shift.findtext("octave-change", "0"))
            self.semitones = int(shift.findtext("chromatic", "0")) + 12 * octaves
            if abs(self.semitones) > _MOST_SEMITONES:
                message = f"an instrument sounds {self.semitones} semitones from what is written"
                raise NotationError(message, reason="pitch")

    def _read_direction(self, xml: ET.Element) -> None:
        """Read a tempo, or the name of a part."""
        tempo, part = xml.find("sound[@tempo]"), xml.findtext("direction-type/rehearsal")
        if tempo is not None:
            bpm = float(tempo.get("tempo", ""))
            text = f"1/4={bpm:g}" if math.isfinite(bpm) and bpm > 0 else ""
            if text and self._now:
                self._sign(InlineField("Q", text))
            else:
                self.tempo = text
        if part and "]" not in part:
            self._sign(InlineField("P", _line(part)))

    def _sign(self, element: Element) -> None:
        self.signs.setdefault(self._now, []).append(element)

    def _read_note(self, xml: ET.Element) -> None:
        pitch = xml.find("pitch")
        is_grace = xml.find("grace") is not None
        if xml.find("chord") is None:
            self._onset = self._now
            self._now += Fraction(0) if is_grace else self._duration(xml)
        if pitch is None:
            return
        voice = f"{xml.findtext('staff', '1')} {xml.findtext('voice', '1')}"
        self._voice = self._voice or voice
        if voice != self._voice:
            self.has_other_voices = True
            return
        letter, octave = (pitch.findtext("step") or "").strip(), int(pitch.findtext("octave", "4"))
        if letter not in tuple(LETTERS) or not 0 <= octave <= 9:
            message = f"a pitch is {letter!r} in octave {octave}, needs A to G and 0 to 9"
            raise NotationError(message, reason="pitch")
        step = LETTERS.index(letter) + 7 * (octave - 4)
        alter = int(pitch.findtext("alter", "0"))
        if is_grace:
            self._read_grace(xml, Note(step, alter, Fraction(1, 8)))
            return
        ties = any(tie.get("type") == "start" for tie in xml.iterfind("tie"))
        end = self._onset + self._duration(xml)
        if end > self._onset:
            self.notes.append(MelodyNote(self._onset, end, step, alter, ties))

    def _read_grace(self, xml: ET.Element, note: Note) -> None:
        """Add a grace note to those before it, without a chord's other notes."""
        if xml.find("chord") is not None:
            return
        signs = self.signs.setdefault(self._onset, [])
        slash = xml.find("grace[@slash='yes']") is not None
        last = signs[-1] if signs else None
        if isinstance(last, GraceNotes):
            signs[-1] = GraceNotes((*last.notes, note), slash)
        else:
            signs.append(GraceNotes((note,), slash))

    def _read_bar_line(self, xml: ET.Element, time: Fraction) -> None:
        bar = self._bar(time)
        style = xml.findtext("bar-style", "")
        bar.is_heavy = bar.is_heavy or style in ("light-light", "light-heavy", "heavy-heavy")
        if (repeat := xml.find("repeat")) is not None:
            if repeat.get("direction") == "forward":
                bar.opening = 1
            else:
                bar.closing = min(max(int(repeat.get("times", "2")) - 1, 1), _MOST_REPEATS)
                opened = [x for x, other in self.bars.items() if other.opening and x < time]
                if opened and bar.closing > 1:
                    self.bars[max(opened)].opening = bar.closing
        if (ending := xml.find("ending")) is not None:
            numbers = re.findall(r"[1-9][0-9]?", ending.get("number", ""))
            if ending.get("type") == "start":
                bar.ending = ",".join(numbers)
            elif "1" not in numbers:
                bar.is_heavy = True


def _read_key(xml: ET.Element) -> tuple[int, str | None] | Key:
    """Read fifths and mode (None if unknown), or a signature sign by sign."""
    steps = [step.text or "" for step in xml.iterfind("key-step")]
    if steps:
        alters = [int(alter.text or "0") for alter in xml.iterfind("key-alter")]
        return Key(None, "none", tuple(zip(steps, alters, strict=True)), is_explicit=True)
    fifths = int(xml.findtext("fifths", "0"))
    if not -7 <= fifths <= 7:
        raise NotationError(f"a key has {fifths} fifths, needs -7 to 7", reason="key field")
    return fifths, _MODES.get((xml.findtext("mode") or "").strip().lower())


def _read_time(xml: ET.Element) -> Meter:
    beats = [x.text or "" for x in xml.iterfind("beats")]
    types = {(x.text or "").strip() for x in xml.iterfind("beat-type")}
    if not beats or not types:
        return FREE
    if len(types) > 1:
        raise NotationError(
            f"a meter adds beats of {', '.join(sorted(types))}; needs beats of one kind",
            reason="meter field",
        )
    text = f"{'+'.join(beats)}/{types.pop()}"
    symbol = {"common": "C", "cut": "C|"}.get(xml.get("symbol", ""))
    return Meter.parse(symbol if symbol and text in ("4/4", "2/2") else text)

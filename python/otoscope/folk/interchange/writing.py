"""Tunes as MusicXML, which notation programs such as MuseScore open."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple
from xml.etree import ElementTree as ET

from otoscope.errors import ParameterError
from otoscope.folk.abc import (
    BarLine,
    Chord,
    Element,
    GraceNotes,
    InlineField,
    Key,
    Mark,
    Meter,
    Note,
    Rest,
    Tune,
    Tuplet,
)
from otoscope.folk.interchange.chords import harmony
from otoscope.folk.interchange.plain import measure_by_measure
from otoscope.folk.interchange.values import note_values, tuplet_of

__all__ = ["FACTS", "to_musicxml"]

FACTS = tuple("BDFGHNORSZ")
"""Fields of information (R: rhythm, ...) that MusicXML has no place for but a miscellaneous one."""

_MODES = {"maj": "major", "min": "minor", "dor": "dorian", "mix": "mixolydian"}
_MODES |= {"phr": "phrygian", "lyd": "lydian", "loc": "locrian"}
_STYLES = {"||": "light-light", "|]": "light-heavy", "[|": "heavy-light"}
_DOCTYPE = (
    '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 3.1 Partwise//EN" '
    '"http://www.musicxml.org/dtds/partwise.dtd">'
)


def to_musicxml(tune: Tune) -> bytes:
    """Write a tune as MusicXML 3.1 with one part.

    Notes, rests, grace notes, ties, slurs, tuplets, bar lines, repeats, endings, keys, meters, the
    tempo, parts (P:), chord symbols, title and composer are written; decorations and annotations
    are not. A broken rhythm becomes the note values that it means. A signature that no key has, as
    K:D exp, is written sign by sign.

    Parameters
    ----------
    tune : Tune
        Tune to write, repeats as written.

    Returns
    -------
    bytes
        UTF-8 text of a ``.musicxml`` file.

    Raises
    ------
    ParameterError
        If a chord has notes of different lengths, or a note is shorter than 1/1024.

    Examples
    --------
    >>> from otoscope.folk.abc import parse_tune
    >>> b"<step>C</step>" in to_musicxml(parse_tune("K:C\\nCDE|"))
    True
    """
    if not tune.notes:
        raise ParameterError("the tune has no note to be written")
    root = ET.Element("score-partwise", version="3.1")
    if tune.title:
        ET.SubElement(ET.SubElement(root, "work"), "work-title").text = _printable(tune.title)
    identification = ET.SubElement(root, "identification")
    for name, text in tune.headers:
        if name == "C" and text:
            ET.SubElement(identification, "creator", type="composer").text = _printable(text)
    ET.SubElement(ET.SubElement(identification, "encoding"), "software").text = "otoscope"
    facts = [(name, text) for name, text in tune.headers if name in FACTS and text]
    if facts:
        fields = ET.SubElement(identification, "miscellaneous")
        for name, text in facts:
            field = ET.SubElement(fields, "miscellaneous-field", name=f"abc:{name}")
            field.text = _printable(text)
    score_part = ET.SubElement(ET.SubElement(root, "part-list"), "score-part", id="P1")
    ET.SubElement(score_part, "part-name").text = ""
    root.append(_part(replace(tune, elements=tuple(measure_by_measure(tune)))))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{_DOCTYPE}\n'.encode() + ET.tostring(root)


def _printable(text: str) -> str:
    """Drop control characters, which XML cannot hold."""
    return "".join(x for x in text if x.isprintable())


class _Piece(NamedTuple):
    """A note value of a note, chord or rest; long ones have several, tied."""

    type: str
    dots: int
    ratio: tuple[int, int]  # actual and normal notes of the tuplet
    duration: Fraction  # in whole notes


def _part(tune: Tune) -> ET.Element:
    pieces = _pieces(tune)
    times = (piece.duration for group in pieces for piece in group)
    divisions = math.lcm(*((4 * time).denominator for time in times))
    music = _music(tune, pieces, divisions)
    part = ET.Element("part", id="P1")
    ending = ""
    last = len(tune.measures) - 1
    for index, measure in enumerate(tune.measures):
        is_pickup = index == 0 and measure.duration < (tune.meter.length or 0)
        if index == 0:
            number = 0 if is_pickup else 1
        xml = ET.SubElement(part, "measure", number=str(number + index))
        if is_pickup:
            xml.set("implicit", "yes")
        if index == 0:
            xml.append(_attributes(tune, divisions))
            if tune.tempo_bpm:
                xml.append(_tempo(tune.tempo_bpm))
        left, right = measure.left or BarLine(""), measure.right or BarLine("")
        if left.ending:
            ending = ",".join(map(str, left.endings))
        xml.extend(_bar_line("left", starts=ending if left.ending else "", repeats=left.repeats[1]))
        for _ in measure.elements:
            xml.extend(next(music))
        ends = ending and (right.closes or right.ending or right.is_heavy or index == last)
        closes = right.repeats[0]
        style = _STYLES.get(right.text, "")
        xml.extend(_bar_line("right", style, stops=ending if ends else "", repeats=closes))
        ending = "" if ends else ending
    return part


def _pieces(tune: Tune) -> list[list[_Piece]]:
    """Divide each note, chord and rest of the tune into note values."""
    pieces: list[list[_Piece]] = []
    tuplet, remaining = (1, 1), 0
    for timed in tune.timed_elements:
        if isinstance(timed.element, Tuplet):
            tuplet = (timed.element.notes, timed.element.normal_notes)
            remaining = timed.element.count
        elif isinstance(timed.element, Note | Chord | Rest):
            pieces.append(_pieces_of(timed.duration, tuplet if remaining else (1, 1)))
            remaining = max(remaining - 1, 0)
    return pieces


def _pieces_of(duration: Fraction, tuplet: tuple[int, int]) -> list[_Piece]:
    written = duration * tuplet[0] / tuplet[1]
    actual, normal = tuplet_of(written)  # of a length as 2/3, written without a tuplet
    ratio = (tuplet[0] * actual, tuplet[1] * normal)
    return [
        _Piece(value.type, value.dots, ratio, value.duration * ratio[1] / ratio[0])
        for value in note_values(written * actual / normal)
    ]


def _music(tune: Tune, pieces: list[list[_Piece]], divisions: int) -> Iterator[list[ET.Element]]:
    """Yield the XML of each element that is no bar line."""
    lasting = [x for x in tune.elements if isinstance(x, Note | Chord | Rest)]
    brackets = _brackets(tune.elements)
    slurs: list[int] = []  # numbers of the open ones
    starting, at = 0, 0  # slurs that start at the next note, index among the notes and rests
    latest: ET.Element | None = None  # the last note
    for element in tune.elements:
        if isinstance(element, BarLine):
            continue
        xml: list[ET.Element] = []
        if isinstance(element, Note | Chord | Rest):
            before = _pitches(lasting[at - 1], tied=True) if at else set()
            after = _pitches(lasting[at + 1]) if at + 1 < len(lasting) else set()
            xml = _lasting(element, pieces[at], divisions, before, after)
            first, latest = xml[0], xml[-len(_notes(element))]
            for number in range(len(slurs) + 1, len(slurs) + 1 + starting):
                slurs.append(number)
                _notation(first, "slur", type="start", number=str(number))
            starting = 0
            for kind in brackets.get(at, ()):
                _notation(first if kind == "start" else latest, "tuplet", type=kind)
            at += 1
        elif isinstance(element, GraceNotes):
            xml = [
                _note(note, None, divisions, grace=element.slash, in_chord=index > 0)
                for group in element.notes
                for index, note in enumerate(group.notes if isinstance(group, Chord) else (group,))
            ]
        elif isinstance(element, InlineField):
            xml = _field(tune, element)
        elif isinstance(element, Mark):
            starting += element.text == "("
            if element.text == ")" and slurs and latest is not None:
                _notation(latest, "slur", type="stop", number=str(slurs.pop()))
            chord = harmony(element.text)
            xml = [] if chord is None else [chord]
        yield xml


def _lasting(
    element: Note | Chord | Rest,
    pieces: list[_Piece],
    divisions: int,
    before: set[int],
    after: set[int],
) -> list[ET.Element]:
    """Write a note, chord or rest: its pieces, tied, and tied to the notes around it."""
    xml = []
    for index, piece in enumerate(pieces):
        for number, note in enumerate(_notes(element)):
            ties = []
            if note is not None:
                stops = note.pitch in before if index == 0 else True
                starts = note.tie and note.pitch in after if index == len(pieces) - 1 else True
                ties = ["stop"] * stops + ["start"] * starts
            xml.append(_note(note, piece, divisions, in_chord=number > 0, ties=ties))
    return xml


def _notes(element: Note | Chord | Rest) -> tuple[Note | None, ...]:
    """Return the notes that sound together; of a rest, None."""
    if isinstance(element, Rest):
        return (None,)
    if isinstance(element, Note):
        return (element,)
    if any(note.length != 1 for note in element.notes):
        raise ParameterError(
            f"line {element.line}, column {element.column}: the notes of a chord have different "
            "lengths; MusicXML's chords have one: write the length after the chord"
        )
    return element.notes


def _pitches(element: Note | Chord | Rest, *, tied: bool = False) -> set[int]:
    """Return the pitches of a note or chord; of those with a tie if ``tied``."""
    return {x.pitch for x in _notes(element) if x is not None and (x.tie or not tied)}


def _note(
    note: Note | None,
    piece: _Piece | None,
    divisions: int,
    *,
    grace: bool = False,
    in_chord: bool = False,
    ties: Iterable[str] = (),
) -> ET.Element:
    """Write a note, or a rest if it is None; without a piece, as a grace note."""
    xml = ET.Element("note")
    if piece is None:
        ET.SubElement(xml, "grace", {"slash": "yes"} if grace else {})
    if in_chord:
        ET.SubElement(xml, "chord")
    if note is None:
        ET.SubElement(xml, "rest")
    else:
        pitch = ET.SubElement(xml, "pitch")
        ET.SubElement(pitch, "step").text = note.letter
        if note.alter:
            ET.SubElement(pitch, "alter").text = str(note.alter)
        ET.SubElement(pitch, "octave").text = str(4 + note.step // 7)
    if piece is not None:
        ET.SubElement(xml, "duration").text = str(int(4 * piece.duration * divisions))
    for kind in ties:
        ET.SubElement(xml, "tie", type=kind)
    ET.SubElement(xml, "voice").text = "1"
    ET.SubElement(xml, "type").text = "eighth" if piece is None else piece.type
    for _ in range(0 if piece is None else piece.dots):
        ET.SubElement(xml, "dot")
    if piece is not None and piece.ratio != (1, 1):
        ratio = ET.SubElement(xml, "time-modification")
        ET.SubElement(ratio, "actual-notes").text = str(piece.ratio[0])
        ET.SubElement(ratio, "normal-notes").text = str(piece.ratio[1])
    for kind in ties:
        _notation(xml, "tied", type=kind)
    return xml


def _notation(note: ET.Element, name: str, **attributes: str) -> None:
    """Add a sign to the notations of a note, which come last."""
    notations = note.find("notations")
    if notations is None:
        notations = ET.SubElement(note, "notations")
    ET.SubElement(notations, name, attributes)


def _brackets(elements: Iterable[Element]) -> dict[int, list[str]]:
    """Return where tuplets start and stop, by index among the notes, chords and rests."""
    brackets: dict[int, list[str]] = {}
    at = 0
    for element in elements:
        if isinstance(element, Tuplet):
            brackets.setdefault(at, []).append("start")
            brackets.setdefault(at + element.count - 1, []).append("stop")
        at += isinstance(element, Note | Chord | Rest)
    return brackets


def _attributes(tune: Tune, divisions: int) -> ET.Element:
    """Write divisions, key, meter and clef of the first measure."""
    xml = ET.Element("attributes")
    ET.SubElement(xml, "divisions").text = str(divisions)
    xml.append(_key(tune.key))
    xml.append(_time(tune.meter))
    clef = ET.SubElement(xml, "clef")
    ET.SubElement(clef, "sign").text = "G"
    ET.SubElement(clef, "line").text = "2"
    return xml


def _field(tune: Tune, field: InlineField) -> list[ET.Element]:
    """Write a change of key or meter, a tempo, or the name of a part."""
    if isinstance(field.value, Key | Meter):
        xml = ET.Element("attributes")
        xml.append(_key(field.value) if isinstance(field.value, Key) else _time(field.value))
        return [xml]
    if field.letter == "Q":
        bpm = replace(tune, headers=(("Q", field.text),)).tempo_bpm
        return [_tempo(bpm)] if bpm else []
    xml = ET.Element("direction", placement="above")
    ET.SubElement(ET.SubElement(xml, "direction-type"), "rehearsal").text = _printable(field.text)
    return [xml]


def _tempo(bpm: float) -> ET.Element:
    xml = ET.Element("direction", placement="above")
    metronome = ET.SubElement(ET.SubElement(xml, "direction-type"), "metronome")
    ET.SubElement(metronome, "beat-unit").text = "quarter"
    ET.SubElement(metronome, "per-minute").text = f"{bpm:g}"
    ET.SubElement(xml, "sound", tempo=f"{bpm:g}")
    return xml


def _key(key: Key) -> ET.Element:
    """Write the number of sharps or flats, or each sign of a signature that no key has."""
    xml = ET.Element("key")
    if key.fifths is None:
        for letter, alter in key.signature.items():
            ET.SubElement(xml, "key-step").text = letter
            ET.SubElement(xml, "key-alter").text = str(alter)
        return xml
    ET.SubElement(xml, "fifths").text = str(key.fifths)
    if key.mode in _MODES:
        ET.SubElement(xml, "mode").text = _MODES[key.mode]
    return xml


def _time(meter: Meter) -> ET.Element:
    """Write a meter: "2+3/8" keeps its sum, free meter has no numbers."""
    xml = ET.Element("time")
    if meter.length is None:
        ET.SubElement(xml, "senza-misura")
        return xml
    symbol = {"C": "common", "C|": "cut"}.get(meter.text)
    if symbol:
        xml.set("symbol", symbol)
    text = {"C": "4/4", "C|": "2/2"}.get(meter.text, meter.text)
    beats, beat_type = re.sub(r"[()]", "", text).split("/")
    ET.SubElement(xml, "beats").text = beats
    ET.SubElement(xml, "beat-type").text = beat_type
    return xml


def _bar_line(
    location: str, style: str = "", *, starts: str = "", stops: str = "", repeats: int
) -> list[ET.Element]:
    """Write a bar line with ending and repeat; none if it is a plain one."""
    xml = ET.Element("barline", location=location)
    is_left = location == "left"
    if repeats:
        style = "heavy-light" if is_left else "light-heavy"
    if style:
        ET.SubElement(xml, "bar-style").text = style
    if starts:
        ET.SubElement(xml, "ending", number=starts, type="start")
    if stops:
        ET.SubElement(xml, "ending", number=stops, type="stop")
    if repeats:
        repeat = ET.SubElement(xml, "repeat", direction="forward" if is_left else "backward")
        if not is_left and repeats > 1:
            repeat.set("times", str(repeats + 1))
    return [xml] if len(xml) else []

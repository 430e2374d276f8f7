"""MusicXML: what is written is valid and means the same to others; what others write is read."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from otoscope.errors import ParameterError
from otoscope.folk.abc import GraceNotes, Mark, NotationError, Note, Tune, parse_tune, to_abc
from otoscope.folk.data import generate_tune
from otoscope.folk.interchange import read_score, to_musicxml
from otoscope.folk.interchange.chords import chord_symbol, harmony
from tests.folk.interchange.schema import musicxml_schema

FACTS = "R:slip jig\nN:picked: rank 1 of 9 by the judge\n"
HEAD = f"X:1\nT:A & <b>\nC:me\n{FACTS}M:6/8\nL:1/8\nQ:3/8=100\nK:Ador\n"
BODY = (
    '|:A|"Am7/G"c>d{/e}f (3gab c-|c5/2d/2 [ce]3|1 z3 (AB)c:|2 Z2||[M:2/4][K:D exp _b ^f][P:B]'
    "A2/3B2/3c2/3 ef|(5:4:5A/B/c/d/e/ (3A>Bc|^^F__G3|]"
)
TUNES = [parse_tune(HEAD + BODY), *(generate_tune(0, index) for index in range(25))]
TUNES += [
    parse_tune(f"M:{meter}\nL:1/4\nK:{key}\n{music}")
    for meter, key, music in (
        ("C", "C", "C4|D-|D2 (3EFG A/>B/|c16|]"),
        ("C|", "Hp", "|::A4|1,2 B4:|3 c4|]"),
        ("none", "none", "A2 B3|^c"),
        ("2+3/8", "F# exp ^g", "C/D/ E/F/G/|:A5/2::B5/2:|"),
        ("3/4", "Eb", "B,2|:E3:|[K:Ab][M:4/4]A4|G2- G/8F/8E/8D/8 C3/2||"),
    )
]


def sound(tune: Tune) -> list[tuple[int, Fraction, Fraction]]:
    return [(note.pitch, note.onset, note.duration) for note in tune.notes]


def read(content: bytes, tmp_path: Path, name: str = "a.musicxml", **options: Any) -> Tune:
    (tmp_path / name).write_bytes(content)
    return read_score(tmp_path / name, **options)


@pytest.mark.parametrize("tune", TUNES, ids=range(len(TUNES)))
def test_a_tune_comes_back(tmp_path: Path, tune: Tune) -> None:
    again = read(to_musicxml(tune), tmp_path)
    assert sound(again) == sound(tune)
    assert sound(again.unfolded) == sound(tune.unfolded)
    assert (again.meter, again.title, again.tempo_bpm) == (tune.meter, tune.title, tune.tempo_bpm)
    assert again.key.signature == tune.key.signature
    assert tune.key.tonic is None or tune.key.is_explicit or again.key == tune.key
    assert sound(parse_tune(to_abc(again))) == sound(tune)
    assert again.notices == ()
    facts = [[x for x in each.headers if x[0] in "RN"] for each in (again, tune)]
    assert facts[0] == facts[1]


def test_grace_notes_chord_symbols_and_parts_come_back(tmp_path: Path) -> None:
    again = read(to_musicxml(TUNES[0]), tmp_path)
    graces = [x.notes for x in again.elements if isinstance(x, GraceNotes)]
    assert [[note for note in notes if isinstance(note, Note)] for notes in graces] == [
        [Note(9, 0, Fraction(1, 8))]
    ]
    assert [x.text for x in again.elements if isinstance(x, Mark)] == ['"Am7/G"']
    assert "[P:B]" in to_abc(again)
    assert "[K:none exp _b ^f]" in to_abc(again)


def test_what_is_written_is_valid() -> None:
    pytest.importorskip("partitura", reason='partitura is not installed: "otoscope[test]"')
    from lxml import etree

    schema = musicxml_schema()
    for tune in TUNES:
        schema.assertValid(etree.fromstring(to_musicxml(tune)))


def test_partitura_reads_the_same_notes() -> None:
    partitura = pytest.importorskip(
        "partitura", reason='partitura is not installed: "otoscope[test]"'
    )
    for tune in TUNES:
        part = partitura.load_musicxml(io.BytesIO(to_musicxml(tune)), quiet=True)[0]
        notes = part.note_array()
        theirs = sorted(
            (round(float(note["onset_quarter"]), 3), int(note["pitch"]))
            for note in notes
            if note["duration_quarter"] > 0
        )
        start = tune.measures[0].duration if tune.measures else Fraction(0)
        is_pickup = start < (tune.meter.length or 0)
        shift = float(4 * start) if is_pickup else 0.0  # theirs count from the first full measure
        ours = sorted((round(float(4 * note.onset) - shift, 3), note.pitch) for note in tune.notes)
        assert [pitch for _, pitch in theirs] == [pitch for _, pitch in ours]
        assert [time for time, _ in theirs] == pytest.approx([time for time, _ in ours], abs=2e-3)


def measure(*elements: str, number: int = 1) -> str:
    return f'<measure number="{number}">{"".join(elements)}</measure>'


def note(pitch: str, duration: int, *signs: str, voice: int = 1) -> str:
    step, octave, alter = pitch[0], pitch[1], pitch[2:] or "0"
    return (
        f"<note>{''.join(signs)}<pitch><step>{step}</step><alter>{alter}</alter>"
        f"<octave>{octave}</octave></pitch><duration>{duration}</duration>"
        f"<voice>{voice}</voice></note>"
    )


def score(*measures: str, attributes: str = "") -> bytes:
    first = (
        "<attributes><divisions>2</divisions><key><fifths>0</fifths></key><time><beats>2</beats>"
        f"<beat-type>4</beat-type></time>{attributes}</attributes>"
    )
    music = measures[0].replace(">", f">{first}", 1)
    return (
        f'<?xml version="1.0"?><score-partwise><part-list/><part id="P1">{music}'
        f"{''.join(measures[1:])}</part></score-partwise>"
    ).encode()


def backup(duration: int) -> str:
    return f"<backup><duration>{duration}</duration></backup>"


def test_voices_chords_gaps_and_changing_divisions(tmp_path: Path) -> None:
    content = score(
        measure(
            note("C4", 2),
            note("E4", 2, "<chord/>"),
            note("A44", 2)[:0],
            "<forward><duration>1</duration></forward>",
            note("G41", 1),
            backup(4),
            note("C3", 4, voice=2),
        ),
        measure("<attributes><divisions>8</divisions></attributes>", note("D4", 16), number=2),
    )
    tune = read(content, tmp_path)
    times = [(60, 0, 2), (64, 0, 2), (68, 3, 1), (62, 4, 4)]
    assert sound(tune) == [(p, Fraction(on, 8), Fraction(d, 8)) for p, on, d in times]
    assert [str(notice) for notice in tune.notices] == ["a second voice or part came, left out"]
    with pytest.raises(NotationError, match=r"a\.musicxml: a second voice or part came"):
        read(content, tmp_path, strict=True)


def test_a_key_without_mode_is_that_of_the_last_note(tmp_path: Path) -> None:
    keys = {"C": "Cmaj", "A": "Amin", "D": "Ddor", "G": "Gmix", "E": "Cmaj"}
    for last, key in keys.items():
        music = score(measure(note("F4", 2), note(f"{last}4", 2)))
        assert read(music, tmp_path).key.abc == key


def test_an_instrument_in_b_flat_sounds_a_tone_lower(tmp_path: Path) -> None:
    shift = "<transpose><diatonic>-1</diatonic><chromatic>-2</chromatic></transpose>"
    tune = read(score(measure(note("D4", 4)), attributes=shift), tmp_path)
    assert ([x.pitch for x in tune.notes], tune.key.signature) == ([60], {"B": -1, "E": -1})


def test_repeats_of_three_times_and_endings(tmp_path: Path) -> None:
    forward = '<barline location="left"><repeat direction="forward"/></barline>'
    thrice = '<barline location="right"><repeat direction="backward" times="3"/></barline>'
    tune = read(score(measure(forward, note("C4", 4), thrice), measure(note("D4", 4))), tmp_path)
    assert [x.pitch for x in tune.unfolded.notes] == [60, 60, 60, 62]


def test_a_compressed_file_is_read(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        container = '<container><rootfiles><rootfile full-path="x/s.xml"/></rootfiles></container>'
        archive.writestr("META-INF/container.xml", container)
        archive.writestr("x/s.xml", to_musicxml(TUNES[0]))
    assert sound(read(buffer.getvalue(), tmp_path, "a.mxl")) == sound(TUNES[0])


BOMB = (
    '<!DOCTYPE x [<!ENTITY a "lollollollollollollollollollol">'
    + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in pairwise("abcdefghi"))
    + "]><score-partwise><part>&i;</part></score-partwise>"
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no MusicXML that can be read"),
        (b"<score-partwise><part>", "no MusicXML that can be read"),
        (BOMB.encode(), "no MusicXML that can be read"),
        (b"<score-timewise/>", "begins with <score-timewise>, needs <score-partwise>"),
        (b"<score-partwise/>", "no note with a pitch"),
        (b"PK\3\4 not an archive", "no MusicXML that can be read"),
        (score(measure(note("C4", 4))).replace(b">2<", b">x<"), "a value cannot be read"),
        (score(measure(note("C4", 4))).replace(b">2<", b">0<", 1), "divisions are 0"),
        (score(measure(note("C4", 4))).replace(b"<fifths>0", b"<fifths>9"), "9 fifths"),
        (score(measure(note("H4", 4))), "a pitch is 'H' in octave 4"),
        (score(measure(note("C4", 4))).replace(b"C</step>", b"DE</step>"), "a pitch is 'DE'"),
        (score(measure(note("C45", 4))), "more than two semitones"),
        (b"<?xml version='1.0' encoding='none'?><a/>", "no MusicXML that can be read"),
        (score(measure(note("C4", 0))), "no note"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(NotationError, match=message) as err:
        read(content, tmp_path)
    assert str(err.value).startswith("a.musicxml: ")


def test_an_entity_never_reads_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    title = f'<!DOCTYPE x [<!ENTITY s SYSTEM "{tmp_path}/secret">]>'
    content = score(measure(note("C4", 4))).decode().replace("<score-", f"{title}<score-", 1)
    content = content.replace("<part-list/>", "<movement-title>&s;</movement-title>", 1)
    with pytest.raises(NotationError, match="undefined entity"):
        read(content.encode(), tmp_path)


def test_other_endings_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"a\.abc is none of \.musicxml"):
        read_score(tmp_path / "a.abc")
    with pytest.raises(FileNotFoundError):
        read_score(tmp_path / "a.mxl")


def test_what_cannot_be_written_is_named() -> None:
    with pytest.raises(ParameterError, match=r"line 2, column 1: the notes of a chord have diff"):
        to_musicxml(parse_tune("K:C\n[C2E]4|"))
    with pytest.raises(ParameterError, match="1/2048 of a whole note"):
        to_musicxml(parse_tune("L:1/8\nK:C\nC/256D|"))
    with pytest.raises(ParameterError, match="no note"):
        to_musicxml(replace(TUNES[0], elements=()))


def test_chord_symbols() -> None:
    for text in ('"C"', '"F#m7/E"', '"Bbdim"', '"Gadd9"', '"D7/F#"'):
        xml = harmony(text)
        assert xml is not None
        assert chord_symbol(xml) == text
    assert harmony('"^not a chord"') is harmony("(") is None
    assert chord_symbol(ET.fromstring("<harmony><function>V</function></harmony>")) is None


def test_chord_symbols_of_a_transposing_instrument_are_left_out_and_that_is_said(
    tmp_path: Path,
) -> None:
    symbol = "<harmony><root><root-step>D</root-step></root><kind>major</kind></harmony>"
    shift = "<transpose><diatonic>-1</diatonic><chromatic>-2</chromatic></transpose>"
    tune = read(score(measure(symbol, note("D4", 4)), attributes=shift), tmp_path)
    assert not any(isinstance(element, Mark) for element in tune.elements)
    assert "chord symbols" in str(tune.notices[0])


def test_control_characters_of_a_title_are_dropped() -> None:
    tune = replace(TUNES[1], headers=(("T", "a\x00b\x1b"),))
    assert ET.fromstring(to_musicxml(tune)).findtext("work/work-title") == "ab"

"""Tunes in several voices: the first is read and the others are named, or the tune is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from otoscope.folk.abc import NotationError, Tune, parse_book, parse_tune, read_book, to_abc
from otoscope.folk.report.counts import notes_on_voices

HEAD = "X:1\nM:4/4\nL:1/8\nK:C\n"

# Body, pitches of what is read, places and messages of what is left out.
VOICES = [
    ("V:1\nCD|\nV:2\nEF|\nV:1\nG|\n", [60, 62, 67], [(7, "voice '2'")]),
    ("[V:1] CD | [V:2] EF | [V:1] G |", [60, 62, 67], [(5, "voice '2'")]),
    ("CD|\nV:2\nE|\nV:3\nF|", [60, 62, 64], [(8, "voice '3'")]),  # no V: is the first that comes
    ("V:S\nV:B\nEF|\nV:S\n[K:G]F|\n", [66], [(6, "voice 'B'")]),
    ("V:S\nz4|\nV:B\nEF|\n", [64, 65], [(5, "voice 'S'")]),  # the first has no notes
    ('V:S\nz4|"a b"z\nV:B\n[K:D]z|\nV:T\nFG|\n', [65, 67], [(5, "voice 'S'"), (7, "voice 'B'")]),
    ("V:1\nC|\nV:2\nK:D\nM:3/4\nL:1/4\n;junk?|\nV:1\nF2|\n", [60, 65], [(7, "voice '2'")]),
    ('[V:1]C|[V:2]"[V:1]"E|[V:1]D|', [60, 62], [(5, "voice '2'")]),
    ("CD & EF|G&;A|B", [60, 62, 67, 71], [(5, "'&'")]),
    ("C (3DEF & (3::2GA B | c", [60, 62, 64, 65, 72], [(5, "'&'")]),
    ('C & "a|b" D E {|} & F :| G', [60, 67], [(5, "'&'")]),
    ("C & D [K:D] E [M:3/4] F | F", [60, 65], [(5, "'&'")]),
    ("C & D\nE F | G", [60, 67], [(5, "'&'")]),  # an overlay lasts to the bar line
    ("(&CD|EF & GA|Bc &)d|c", [60, 62, 64, 65, 74, 72], [(5, "'&'")]),
    ("(& C | D\nE & F|G\n[K:G]A & B|c &) F|", [60, 62, 64, 65], [(6, "'&'")]),
    ("CD|EF&&GA|Bc|f", [60, 62, 64, 65, 77], [(5, "'&&'")]),  # two measures back
    ("C&D|E(& F & A &)G|", [60, 64, 65, 67], [(5, "'&'")]),
    ("V:1\nC & E\nV:2\nD\nV:1\nF", [60, 65], [(6, "'&'"), (7, "voice '2'")]),
]


@pytest.mark.parametrize(("body", "pitches", "left_out"), VOICES)
def test_the_first_voice_is_read(
    body: str, pitches: list[int], left_out: list[tuple[int, str]]
) -> None:
    tune = parse_tune(HEAD + body)
    assert [note.pitch for note in tune.notes] == pitches
    assert [notice.line for notice in tune.notices] == [line for line, _ in left_out]
    for notice, (_, name) in zip(tune.notices, left_out, strict=True):
        assert name in str(notice)
        assert str(notice).endswith("left out")
    assert parse_tune(to_abc(tune)) == tune
    assert not parse_tune(to_abc(tune)).notices


@pytest.mark.parametrize("body", [body for body, *_ in VOICES])
def test_strict_reading_refuses_them(body: str) -> None:
    with pytest.raises(NotationError, match="second") as caught:
        parse_tune(HEAD + body, strict=True)
    assert caught.value.reason == "several voices"
    (error,) = parse_book(HEAD + body, strict=True)
    assert isinstance(error, NotationError)


def test_a_region_without_a_second_voice_is_read_whole() -> None:
    tune = parse_tune(HEAD + "CD|(& EF|GA &)|", strict=True)
    assert [note.pitch for note in tune.notes] == [60, 62, 64, 65, 67, 69]
    assert len(tune.measures) == 3
    with pytest.raises(NotationError, match="line 6, column 3: '\\(&' is not closed"):
        parse_tune(HEAD + "V:1\nC (& E\nV:2\nF &)|")


# What stands before and after K:, and the pitches as abc2midi plays them.
MOVED = [
    ("%%MIDI transpose 2\n", "C|", [62]),
    ("I:MIDI transpose -12\n", "C|", [48]),
    ("%%MIDI transpose 2 % a comment\n", "C|", [62]),
    ("", "%%MIDI transpose 2\nC|\n%%MIDI transpose 3\nC|", [62, 63]),
    ("", "%%MIDI transpose 2\nC|\nI:MIDI=rtranspose 3\nC|[I:MIDI rtranspose 3]C|", [62, 65, 68]),
    ("", "%%MIDI transpose 2\nC|\nK:D\nF|", [62, 68]),
    ("", "K:C transpose=5\n%%MIDI transpose 2\nC|", [62]),  # replaces it
    ("%%MIDI transpose 2\n", "K:C transpose=5\nC|", [65]),
    ("", "V:1\nC|\nV:2\n%%MIDI transpose 2\nC|\nV:1\nC|", [60, 60]),  # of another voice
    ("%%MIDI program 12\n%%staves 1\n", "%%MIDI gchord fzcz\nC|", [60]),
]


@pytest.mark.parametrize(("before", "body", "pitches"), MOVED)
def test_directives_that_transpose_are_read(before: str, body: str, pitches: list[int]) -> None:
    tune = parse_tune(f"X:1\nM:4/4\n{before}K:C\n{body}", strict="V:" not in body)
    assert [note.pitch for note in tune.notes] == pitches
    assert [note.pitch for note in parse_tune(to_abc(tune)).notes] == pitches


SCOPES = [  # as abc2midi plays "MIDI nobarlines"; by the standard, section 11.3
    ("X:1\n%%MIDI nobarlines\nK:C\n", "^FF|Ff|", [66, 65, 65, 77]),
    ("X:1\n%%MIDI nobarlines\nK:C\n", "^F-FF|^F-|FF|", [66, 65, 66, 65]),
    ("X:1\n%%MIDI nobarlines\nK:C\n", "^FF|\n%%MIDI barlines\n^FF|", [66, 65, 66, 66]),
    ("%%MIDI nobarlines\nX:1\nK:D\n", "=FF[K:C]F^cc|", [65, 66, 65, 73, 72]),
    ("%%MIDI nobarlines\n\nX:1\n%%MIDI transpose 2\nK:C\n", "^CC|", [63, 62]),
    ("X:1\nI:propagate-accidentals not\nK:C\n", "[^FA]F|", [66, 69, 65]),
    ("X:1\nI:propagate-accidentals octave\nK:C\n", "^FFfF|F|", [66, 66, 77, 66, 65]),
    ("I:propagate-accidentals pitch\nX:1\nK:C\n", "^FfF,|F|", [66, 78, 54, 65]),
    ("X:1\nK:C\n", "[I:propagate-accidentals not]^FF|", [66, 65]),
]


@pytest.mark.parametrize(("head", "music", "pitches"), SCOPES)
def test_accidentals_hold_as_directives_say(head: str, music: str, pitches: list[int]) -> None:
    tune = parse_tune(f"{head}{music}", strict=True)
    assert [note.pitch for note in tune.notes] == pitches
    assert parse_tune(to_abc(tune)) == tune


def test_abc2midi_reads_no_transposition_outside_of_a_tune() -> None:
    tune = parse_tune("%%MIDI transpose 2\n\nX:1\nK:C\nC|")
    assert [note.pitch for note in tune.notes] == [60]
    assert "outside of a tune" in str(tune.notices[0])


@pytest.mark.parametrize(
    "directive",
    [
        "%%MIDI temperamentequal 53",
        "I:propagate-accidentals no",
        "%%transpose 2",
        "%%MIDI transpose x",
        "%%MIDI transpose",
    ],
)
@pytest.mark.parametrize("place", ["X:1\n{}\nK:C\nC|", "X:1\nK:C\n{}\nC|"])
def test_other_directives_on_pitches_are_said(place: str, directive: str) -> None:
    text = place.format(directive)
    (notice,) = parse_tune(text).notices
    name = directive.removeprefix("%%").removeprefix("I:")
    assert f"{name!r} changes pitches" in str(notice)
    assert (notice.reason, notice.line) == ("directive", 2 + place.startswith("X:1\nK"))
    with pytest.raises(NotationError, match="changes pitches"):
        parse_tune(text, strict=True)
    (note,) = notes_on_voices([("a", ()), ("b", [str(notice)])])
    assert note.startswith("One tune has directives on pitches that are not read; b: line")


def test_voices_of_the_header() -> None:
    tune = parse_tune("X:1\nV:1 name=A\nV:2 name=B\nK:C\nV:1\nC|\nV:2\nE|\n")
    assert [note.pitch for note in tune.notes] == [60]
    assert [(x.line, x.column) for x in tune.notices] == [(3, 3)]


def test_strict_book_keeps_its_other_tunes(tmp_path: Path) -> None:
    path = tmp_path / "book.abc"
    path.write_text("X:1\nK:C\nC&D|\n\nX:2\nK:C\nC|\n")
    assert [type(x) for x in read_book(path)] == [Tune, Tune]
    assert [type(x) for x in read_book(path, strict=True)] == [NotationError, Tune]


@pytest.mark.parametrize("body", ["V:1\nC|\nV:1\nD|", "[V:1]C|D[V:1 name=x]|", "C|\nV:1\nD|"])
def test_one_voice_is_no_second_one(body: str) -> None:
    tune = parse_tune(HEAD + body, strict=True)
    assert [note.pitch for note in tune.notes] == [60, 62]
    assert tune.notices == ()


def test_no_voice_has_notes() -> None:
    with pytest.raises(NotationError, match="no notes"):
        parse_tune(HEAD + "V:1\nz|\nV:2\nz|\n")


def test_many_voices_without_notes_take_one_more_reading() -> None:
    voices = "".join(f"V:{i}\nz|\n" for i in range(5000))
    tune = parse_tune(HEAD + voices + "V:last\nC|\n")
    assert [note.pitch for note in tune.notes] == [60]

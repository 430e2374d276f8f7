"""Reading ABC: each sign of the language, and what is wrong with a tune, where."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otoscope.errors import ParameterError
from otoscope.folk.abc import (
    Chord,
    GraceNotes,
    InlineField,
    Key,
    Mark,
    Meter,
    NotationError,
    Note,
    Rest,
    Tune,
    parse_book,
    parse_tune,
    to_abc,
)
from tests.support.abc_judges import abc2midi, need_abc2midi
from tests.support.examples import examples

EIGHTH = Fraction(1, 8)


def tune(body: str, *, key: str = "C", meter: str = "4/4") -> Tune:
    return parse_tune(f"X:1\nM:{meter}\nL:1/8\nK:{key}\n{body}\n")


def pitches(body: str, *, key: str = "C") -> list[int]:
    return [note.pitch for note in tune(body, key=key).notes]


def eighths(body: str, *, meter: str = "4/4") -> list[Fraction]:
    return [note.duration / EIGHTH for note in tune(body, meter=meter).notes]


def spans(of: Tune) -> list[tuple[float, float]]:
    """Onset and duration of each note, in eighths."""
    return [(float(note.onset * 8), float(note.duration * 8)) for note in of.notes]


def test_octaves_go_from_comma_to_apostrophe() -> None:
    assert pitches("C,, C, C c c' c''") == [36, 48, 60, 72, 84, 96]


@pytest.mark.parametrize(
    ("key", "signature"),
    [
        ("C", {}),
        ("G", {"F": 1}),
        ("Bb", {"B": -1, "E": -1}),
        ("A Minor", {}),
        ("F#m", {"F": 1, "C": 1, "G": 1}),
        ("Ador", {"F": 1}),
        ("D Mixolydian", {"F": 1}),
        ("EPHR", {}),
        ("Flyd", {}),
        ("Ephrygian", {}),
        ("Caeo", {"B": -1, "E": -1, "A": -1}),
        ("Gion", {"F": 1}),
        ("Cb", dict.fromkeys("BEADGCF", -1)),
        ("Hp", {"F": 1, "C": 1}),
        ("HP", {"F": 1, "C": 1}),
        ("none", {}),
        ("", {}),
        ("D exp _e^f", {"E": -1, "F": 1}),
        ("D =c", {"F": 1}),
        ("D clef=treble", {"F": 1, "C": 1}),
        ("G treble", {"F": 1}),
    ],
)
def test_key_signatures(key: str, signature: dict[str, int]) -> None:
    assert Key.parse(key).signature == signature
    assert Key.parse(Key.parse(key).abc).signature == signature


@pytest.mark.parametrize("key", ["H", "Bn", "C foo", "C octave=x", "Dmix=c", "c"])
def test_unknown_key_is_named(key: str) -> None:
    with pytest.raises(NotationError, match=rf"line 2, column 3: K: is '{key}'"):
        parse_tune(f"X:1\nK:{key}\nC|")


@pytest.mark.parametrize(
    ("meter", "length"),
    [("C", 1), ("C|", 1), ("6/8", Fraction(3, 4)), ("2+3/8", Fraction(5, 8)), ("none", None)],
)
def test_meters(meter: str, length: Fraction | None) -> None:
    assert Meter.parse(meter).length == length


@pytest.mark.parametrize("meter", ["4", "4/0", "0/4", "x", "3/4 2/4"])
def test_unknown_meter_is_named(meter: str) -> None:
    with pytest.raises(NotationError, match="line 2, column 3: M: is"):
        parse_tune(f"X:1\nM:{meter}\nK:C\nC|")


def test_unit_follows_the_meter_when_not_written() -> None:
    units = [parse_tune(f"M:{meter}\nK:C\nC|").unit for meter in ("2/4", "3/4", "none")]
    assert units == [Fraction(1, 16), EIGHTH, EIGHTH]


@pytest.mark.parametrize(
    ("body", "lengths"),
    [
        (
            "A A2 A3/2 A/2 A/ A// A/4",
            [1, 2, Fraction(3, 2), *[Fraction(1, 2)] * 2, *[EIGHTH * 2] * 2],
        ),
        ("A 2 B /2", [2, Fraction(1, 2)]),
        ("A>B A<B", [Fraction(3, 2), Fraction(1, 2), Fraction(1, 2), Fraction(3, 2)]),
        ("A>>B A2>B2", [Fraction(7, 4), Fraction(1, 4), 3, 1]),
        ("(A> {c}B)", [Fraction(3, 2), Fraction(1, 2)]),
        ("(3ABc d", [*[Fraction(2, 3)] * 3, 1]),
        ("(3:2:2 A2B c", [Fraction(4, 3), Fraction(2, 3), 1]),
        ("(3::2 AB c", [Fraction(2, 3), Fraction(2, 3), 1]),
        ("(11:6:11CDEFGABcdef", [Fraction(6, 11)] * 11),
        ("(12:8:6 CDEFGA c", [*[Fraction(2, 3)] * 6, 1]),
        ("(10::2 CD c", [Fraction(1, 5), Fraction(1, 5), 1]),
        ("(15:8:2 C2D c", [Fraction(16, 15), Fraction(8, 15), 1]),
        ("(3:10:3CDE", [Fraction(10, 3)] * 3),
        ("(2AB (4ABcd", [*[Fraction(3, 2)] * 2, *[Fraction(3, 4)] * 4]),
        ("(3A>Bc", [1, Fraction(1, 3), Fraction(2, 3)]),
        ("A-A2-|A B-c", [4, 1, 1]),
    ],
)
def test_lengths(body: str, lengths: list[Fraction]) -> None:
    assert eighths(body) == lengths


def test_tuplets_of_five_follow_the_meter() -> None:
    assert eighths("(5ABcde") == [Fraction(2, 5)] * 5
    for meter in ("6/8", "9/8", "12/8"):
        assert eighths("(5ABcde", meter=meter) == [Fraction(3, 5)] * 5


def test_sign_holds_to_the_bar_line_in_every_octave() -> None:
    assert pitches("^F f F,|F f") == [66, 78, 54, 65, 77]
    assert pitches("_B =B B", key="F") == [70, 71, 71]


def test_tie_carries_the_sign_to_one_note() -> None:
    assert pitches("_B-|B B") == [70, 71]
    assert [note.alter for note in tune("_B-|B B").elements if isinstance(note, Note)] == [
        -1,
        -1,
        0,
    ]


def test_sign_of_a_grace_note_holds() -> None:
    assert pitches("{^F}G F") == [67, 66]


def test_chords_have_each_note_and_the_length_of_the_first() -> None:
    assert [(n.pitch, int(n.duration / EIGHTH)) for n in tune("[CE]2 [C2E]G").notes] == [
        (60, 2),
        (64, 2),
        (60, 2),
        (64, 1),
        (67, 1),
    ]
    assert pitches("+CE+ G") == [60, 64, 67]
    assert [type(x) for x in tune("+trill+C").elements] == [Mark, Note]


def test_chord_ties() -> None:
    assert eighths("[C-E]C") == [2, 1]
    assert eighths("[CE]-[CE]") == [2, 2]


TIES = {
    "C-[CC]2": [(0, 3), (1, 2)],
    "C-[CCC]2": [(0, 3), (1, 2), (1, 2)],
    "[CC]-C2": [(0, 3), (0, 1)],
    "[C-C]C": [(0, 2), (0, 1)],
    "[CC]-[CC]": [(0, 2), (0, 2)],
    "[CCC]-[CC]": [(0, 2), (0, 2), (0, 1)],
    "C-[CC]-C2": [(0, 4), (1, 1)],
    "C-[CC2]2": [(0, 3), (1, 4)],
    "[C2C]-C": [(0, 3), (0, 1)],  # the second is over before the next C
    "C-|[CC]|": [(0, 2), (1, 1)],
    "[C^B,]-[^B,C]": [(0, 2), (0, 2)],
}


@pytest.mark.parametrize(("body", "expected"), TIES.items())
def test_a_tie_joins_one_note_to_one_note(body: str, expected: list[tuple[int, int]]) -> None:
    assert spans(tune(body)) == expected
    assert parse_tune(to_abc(tune(body))).notes == tune(body).notes


@pytest.mark.parametrize("body", [*TIES, "[CE]-[EG]", "[CEG]-[CE]-[EG]", "[C-E]C", "C-E C"])
def test_tied_notes_are_struck_where_abc2midi_strikes_them(tmp_path: Path, body: str) -> None:
    need_abc2midi()
    theirs, _ = abc2midi(f"X:1\nM:4/4\nL:1/8\nK:C\n{body} z\n", tmp_path)
    struck: dict[Fraction, set[int]] = {}
    for note in tune(body).notes:
        struck.setdefault(note.onset, set()).add(note.pitch)
    assert [set(pitches) for _, pitches in theirs] == list(struck.values())
    assert [onset - theirs[0][0] for onset, _ in theirs] == pytest.approx(
        [float(onset) for onset in struck], abs=1 / 128
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("|:C-:|[CC]|", [(0, 3), (2, 1)]),  # each pass leads on
        ("|:C-|1C:|2[CC]|", [(0, 2), (2, 2), (3, 1)]),
        ("|:[CC]-|C:|", [(0, 2), (0, 1), (2, 2), (2, 1)]),
    ],
)
def test_ties_lead_over_repeats(body: str, expected: list[tuple[int, int]]) -> None:
    assert spans(tune(body).unfolded) == expected


@pytest.mark.parametrize("text", ["!", "`", "y", "y2", "*", "\\\n", " "])
def test_what_is_not_music_is_skipped(text: str) -> None:
    assert pitches(f"C{text}D|") == [60, 62]


def test_decorations_and_text_are_marks() -> None:
    marks = [
        x.text
        for x in tune('~C .D vE !trill!F "Am"G "^now"A (B c)').elements
        if isinstance(x, Mark)
    ]
    assert marks == ["~", ".", "v", "!trill!", '"Am"', '"^now"', "(", ")"]


def test_grace_notes_take_no_time() -> None:
    graced = tune("{/ga}C {[Ge]}D|")
    assert [len(x.notes) for x in graced.elements if isinstance(x, GraceNotes)] == [2, 1]
    assert eighths("{/ga}C {[Ge]}D|") == [1, 1]


def test_rests_take_time() -> None:
    assert tune("C z x2 Z C").notes[1].onset == EIGHTH * 12
    assert [x.visible for x in tune("zxC").elements if isinstance(x, Rest)] == [True, False]


def test_fields_within_the_music() -> None:
    changed = tune("C [K:D] F [M:3/4] F\nL:1/4\nF|[P:B] F\nw: words\nr: remark\n")
    assert [x.letter for x in changed.elements if isinstance(x, InlineField)] == ["K", "M", "P"]
    assert [n.pitch for n in changed.notes] == [60, 66, 66, 66, 66]
    assert [n.duration for n in changed.notes] == [EIGHTH] * 3 + [2 * EIGHTH] * 2


def test_comments_are_not_music() -> None:
    assert pitches('C % comment\n%%directive\nD "100%" E') == [60, 62, 64]


def test_header_is_kept_in_order() -> None:
    read = parse_tune("X:7\nT:A\nT:B\nR:jig\nM:6/8\nQ:3/8=120\nL:1/8\nK:G\nG|")
    assert read.headers == (("T", "A"), ("T", "B"), ("R", "jig"), ("Q", "3/8=120"))
    assert (read.title, read.rhythm, read.reference, read.tempo_bpm) == ("A", "jig", 7, 180.0)


@pytest.mark.parametrize(
    ("tempo", "bpm"), [("1/4=96", 96), ('"Slow" 1/2=50', 100), ("120", 120), ('"Allegro"', None)]
)
def test_tempo_in_quarter_notes(tempo: str, bpm: float | None) -> None:
    assert parse_tune(f"Q:{tempo}\nK:C\nC|").tempo_bpm == bpm


def test_places_are_those_of_the_file() -> None:
    first, second = tune("  C2 ^D|\n|: [EG]").elements[0], tune("  C2 ^D|\n|: [EG]").elements[-1]
    assert (first.line, first.column) == (5, 3)
    assert isinstance(second, Chord)
    assert (second.line, second.column) == (6, 4)


@pytest.mark.parametrize(
    ("body", "column", "reason", "message"),
    [
        ("C D;", 4, "character", "';' came"),
        ("C ^ D", 3, "character", r"'\^ D' came"),
        ("C ^/D", 3, "character", r"'\^/D' came"),
        ("C D0", 3, "length", "needs a number above 0"),
        ("C D/0", 3, "length", "length is '/0'"),
        ("> C", 1, "broken rhythm", "no note before"),
        ("C >", 3, "broken rhythm", "no note after"),
        ("C > < D", 5, "broken rhythm", "no note before"),
        ("-C", 1, "tie", "no note before"),
        ("C | - C", 5, "tie", "no note before"),
        ("(3C (3DEF", 5, "tuplet", "within another"),
        ("(0C", 1, "tuplet", "above 0"),
        ("C [z2] D", 3, "chord", "needs notes"),
        ("C [D", 3, "character", r"'\[D' came"),
        ("C {D", 3, "character", "'{D' came"),
        ("C (& E", 3, "several voices", "is not closed"),
        ("(& C (& E &) &)", 6, "several voices", "begins within another"),
        ("C & E &) F|", 7, "several voices", "before it"),
        ("(11CDE", 3, "character", "'1CDE' came"),
        ("(00:2:3CDE", 1, "tuplet", "above 0"),
        ("C : : D", 3, "character", "': : D' came"),
        ("C ''''''c''''''", 3, "character", "came"),
        ("C c'''''", 3, "pitch", r"sounds as 132, needs to be in \[0, 127\]"),
        ("C [M:x] D", 3, "meter field", "M: is 'x'"),
        ("C [L:0] D", 3, "unit length", "L: is '0'"),
        ("Z0", 1, "length", "above 0"),
    ],
)
def test_errors_say_where_and_what(body: str, column: int, reason: str, message: str) -> None:
    with pytest.raises(NotationError, match=message) as caught:
        tune(body)
    assert (caught.value.line, caught.value.column) == (5, column)
    assert caught.value.reason == reason
    assert str(caught.value).startswith(f"line 5, column {column}: ")
    assert isinstance(caught.value, ParameterError)


def test_one_voice_with_a_name_is_one_voice() -> None:
    assert tune("[V:1] C|\nV:1\nD|").notes


NOTES = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "", "^", "_", "="]),
        st.sampled_from([*"CDEFGABcdefgab", "C,", "B,", "c'"]),
        st.sampled_from(["", "", "2", "3", "/2", "3/2"]),
    ),
)
GROUPS = st.one_of(
    NOTES,
    st.builds("{}>{}".format, st.sampled_from("CDEFG"), st.sampled_from(["_e", "f", "^g", "a"])),
    st.builds("(3{}{}{}".format, *[st.sampled_from(["A", "^B", "c", "=d"])] * 3),
    st.builds("[{}{}]2".format, st.sampled_from("CDE"), st.sampled_from(["G", "_A", "^B"])),
    st.sampled_from(["z", "z2", "|", "|"]),
)


KEYS = ["C", "Gmin", "Ador", "Emix", "Abmaj", "F#min", "Dphr", "Flyd", "Bphr", "Hp"]


@examples(60)
@given(
    key=st.sampled_from(
        ["C", "Gmin", "Ador", "Emix", "Abmaj", "F#min", "Dphr", "Flyd", "Bphr", "Hp"]
    ),
    meter=st.sampled_from(["4/4", "6/8", "3/4"]),
    groups=st.lists(GROUPS, min_size=1, max_size=20),
)
def test_pitches_and_onsets_are_those_of_abc2midi(
    tmp_path: Path, key: str, meter: str, groups: list[str]
) -> None:
    need_abc2midi()
    abc = f"X:1\nT:t\nM:{meter}\nL:1/8\nK:{key}\nC {' '.join(groups)} |\n"
    theirs, _ = abc2midi(abc, tmp_path)
    played: dict[float, set[int]] = {}
    for note in parse_tune(abc).notes:
        played.setdefault(float(note.onset), set()).add(note.pitch)
    assert [set(pitch) for _, pitch in theirs] == list(played.values())
    start = theirs[0][0]
    assert [onset - start for onset, _ in theirs] == pytest.approx(list(played), abs=1 / 128)


def test_a_tune_without_a_line_of_music_is_placed_at_its_key() -> None:
    (error,) = parse_book("X:1\nT:silence\nK:G\n")
    assert isinstance(error, NotationError)
    assert (error.line, error.reason) == (3, "no music")

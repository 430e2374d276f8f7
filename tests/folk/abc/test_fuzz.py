"""Any text is read or refused by an error with a place, and what was read holds together."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otoscope.errors import ParameterError
from otoscope.folk.abc import (
    ConversionError,
    NotationError,
    Tune,
    parse_book,
    parse_tune,
    to_abc,
    to_midi,
    transpose,
)
from otoscope.folk.tokens import get_tokeniser
from tests.support.examples import examples

V2 = get_tokeniser("v2")
PIECES = [*"ABCDEFGabcdefgzxZy|:[](){}<>-^_=~.!+\"'/,&%\\ \n123458`*$HTuv"]
WORDS = [
    *("|:", ":|", "::", "|1", ":|2", "[1", "[2", "(3", "(5:4:5", "[K:D]", "[M:3/4]", "[L:1/16]"),
    *(
        "[P:A]",
        "\nP:B]\n",
        "\nK:Ador\n",
        "\nM:6/8\n",
        "\nV:1\n",
        '"Am"',
        "!trill!",
        "{ga}",
        "[CE]2",
    ),
    *("{[CE]g}", "A>B", "^F-F", "/2", "[C2E]-", "+CE+", "Q:1/4=100\n", "T:x\n", "\nw:la\n"),
    *("C-[CC]", "[CCC]-", "[^C_D]2", ".", "(", ". (D2)", ".(", ".|", '"50%"', '!"!', '+"+'),
    *("[K:treble-8]", "[K:G transpose=2]", "\nK:octave=1\n", "\nV:2\n", "[V:1 octave=-1]", "&"),
    *("| :", ": |", "|::", "::|", "::|::", "(11:6:11", "(12:8:2", "Z9", "\x0b", "\x85", "\u2028"),
    *('\nP:a"b\n', '\nQ:"slow" 1/4=50\n', "\\%"),
]
NOTES = ["C", "D2", "^F", "_B/", "=c'", "B,3/2", "[CE]", "z", "|", "| "]
MUSIC = st.one_of(
    st.lists(st.sampled_from([*PIECES, *WORDS]), max_size=12).map("".join),
    st.lists(st.sampled_from([*NOTES, *NOTES, *WORDS]), max_size=40).map("".join),
)
TOKENS = "C c' ^F _B =f, z 2 /2 > /2> | |: :| |1 |2 [ C E ] (3 - <s> </s> M:4/4"
HEADS = st.sampled_from(["X:1\nT:t\nM:C\nL:1/8\nK:G\nC", "K:Cmin\nC", "M:2/4\nK:Hp\nC", ""])


@examples(600)
@given(HEADS, MUSIC)
def test_any_text_is_read_or_refused(head: str, music: str) -> None:
    try:
        tunes = parse_book(head + music)
    except NotationError:
        return
    for tune in tunes:
        if isinstance(tune, NotationError):
            assert tune.line is not None
            assert tune.line in range(1, (head + music).count("\n") + 2)
        else:
            check_holds_together(tune)


def check_holds_together(tune: Tune) -> None:
    assert parse_tune(to_abc(tune)) == tune
    assert sum((m.duration for m in tune.measures), Fraction(0)) == sum(
        (timed.duration for timed in tune.timed_elements), Fraction(0)
    )
    assert [m for part in tune.parts for m in part.measures] == list(tune.measures)
    assert to_midi(tune).startswith(b"MThd")
    assert {note.pitch for note in tune.unfolded.notes} <= {note.pitch for note in tune.notes}
    moved = transpose(tune, 3)
    assert [n.pitch for n in moved.notes] == [n.pitch + 3 for n in tune.notes]
    assert parse_tune(to_abc(moved)).notes == moved.notes
    try:
        (tokens,) = V2.copies(tune)
    except ConversionError:
        return
    assert V2.tokens(V2.tune(tokens)) == tokens


@examples(300)
@given(st.lists(st.sampled_from(TOKENS.split()), max_size=25))
def test_any_tokens_are_read_or_refused(body: list[str]) -> None:
    try:
        tune = V2.tune(["M:4/4", "K:Cmaj", *body])
    except NotationError:
        return
    check_holds_together(tune)


@pytest.mark.parametrize(
    "music",
    [
        "C" + "9" * 5000,
        "C/" + "9" * 5000,
        "C" + "/" * 5000,
        "C|1-999999999 D:|",
        "Z99999999999",
        "(3:99999999:3CDE",
        "C" + "'" * 100,
        "[L:1/" + "9" * 5000 + "]C",
        "[M:" + "9" * 5000 + "/4]C",
    ],
)
def test_numbers_without_measure_are_refused(music: str) -> None:
    with pytest.raises(NotationError, match="line 3, column"):
        parse_tune(f"M:C\nK:C\n{music}")


def test_reference_and_tempo_without_measure_are_cut() -> None:
    tune = parse_tune(f"X:{'9' * 5000}\nQ:{'1' * 5000}\nK:C\nC|")
    assert tune.reference == 999_999_999
    assert tune.tempo_bpm == 11111


def test_midi_refuses_pitches_it_has_not() -> None:
    with pytest.raises(ParameterError, match=r"pitches are 72 to 132, need to be in \[0, 127\]"):
        to_midi(transpose(parse_tune("K:C\nC,c'''"), 24))

"""Octaves and transposition of K: and V: fields: all that follows has the pitch that sounds."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from otoscope.folk.abc import (
    Key,
    NotationError,
    Note,
    Tune,
    parse_tune,
    to_abc,
    to_midi,
    transpose,
)
from otoscope.folk.metrics import check_tune, tune_features
from otoscope.folk.report.sound import play_tune
from tests.support.abc_judges import abc2midi, need_abc2midi, read_midi

WRITTEN = [60, 62, 64]


def tune(field: str, body: str = "CDE|") -> Tune:
    return parse_tune(f"X:1\nM:3/8\nL:1/8\nK:{field}\n{body}\n")


def pitches(of: Tune) -> list[int]:
    return [note.pitch for note in of.notes]


# Field and semitones by which it moves C major.
MOVES = [
    ("C", 0),
    ("C treble", 0),
    ("C treble-8", -12),
    ("C treble+8", 12),
    ("C clef=treble-8", -12),
    ('C clef="treble-8"', -12),
    ("C bass-8", -12),
    ("C bass4+8", 12),
    ("C tenor-8", -12),
    ("C clef=G2-8", -12),
    ("C treble-15", -24),
    ("C -8va", -12),
    ("C treble_8", 0),  # drawn with an 8 by abcm2ps, and played as written
    ("C treble8", 0),
    ("C bass middle=d", 0),
    ("C m=d stafflines=1", 0),
    ('C style=rhythm name="a b" stem=up', 0),
    ("C octave=-1", -12),
    ("C octave=2", 24),
    ("C octave=+1", 12),
    ("C octave=1 treble-8", 0),
    ("C bass octave=0", 0),
    ("C transpose=2", 2),
    ("C transpose=-14", -14),
    ("C t=3", 3),
    ("C transpose=2 octave=-1 treble+8", 2),
    ("C perc stafflines=1 mozart:noteC=snare-drum", 0),
    ("treble-8", -12),
    ("clef=alto octave=1", 12),
    ("none octave=-1", -12),
    ("none transpose=1", 1),
    ("clef=none transpose=-2", -2),
]


@pytest.mark.parametrize(("field", "semitones"), MOVES)
def test_pitch_is_the_same_everywhere(field: str, semitones: int) -> None:
    read = tune(field)
    moved = [pitch + semitones for pitch in WRITTEN]
    assert pitches(read) == moved
    assert [p for _, [*ps] in read_midi(to_midi(read)) for p in ps] == moved
    features = tune_features(read)
    assert (features.lowest, features.highest) == (moved[0], moved[-1])
    assert (features.accidentals, features.range) == (0, 4)
    assert parse_tune(to_abc(read)) == read


@pytest.mark.parametrize(("field", "semitones"), [("C treble-8", -12), ("C transpose=5", 5)])
def test_sound_has_the_pitch(field: str, semitones: int) -> None:
    read = parse_tune(f"L:1/1\nQ:1/4=120\nK:{field}\nA|")
    y = play_tune(read, sr=8000)
    peak = float(np.argmax(np.abs(np.fft.rfft(y)))) * 8000 / len(y)
    assert peak == pytest.approx(440 * 2 ** (semitones / 12), rel=0.01)


@pytest.mark.parametrize(
    ("field", "key", "expected"),
    [
        ("Gm transpose=2", "Amin", [62, 64, 65]),
        ("Am transpose=-2", "Gmin", [58, 60, 62]),
        ("D transpose=3", "Fmaj", [64, 65, 67]),
        ("Ador t=1", "Bbdor", [61, 63, 65]),
        ("HP octave=1", "HP", [73, 74, 76]),
        ("Hp treble-8", "Hp", [49, 50, 52]),
        ("D exp ^c octave=-1", "Dmaj exp ^c", [49, 50, 52]),
        ("C ^c transpose=2", "Dmaj ^d", [63, 64, 66]),
    ],
)
def test_key_moves_with_the_notes(field: str, key: str, expected: list[int]) -> None:
    read = tune(field)
    assert (read.key.abc, pitches(read)) == (key, expected)
    assert tune_features(read).accidentals == 0
    assert parse_tune(to_abc(read)) == read


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("C [K:D treble-8] F [K:G] F [K:treble] F", [60, 54, 54, 66]),
        ("C [K:treble-8] C [K:octave=1] C [K:clef=bass] C", [60, 48, 60, 72]),
        ("C\nK:G transpose=1\nF\nK:transpose=0\nF", [60, 67, 66]),
        ("V:1 clef=treble-8\nC", [48]),
        ("V:1 treble-8\nC", [48]),
        ('V:1 nm="octave=-1" octave=1\nC', [72]),
        ("[V:1 octave=-1]C", [48]),
        ("C [V:1 transpose=2] C", [60, 62]),
        ("V:treble\nC", [60]),  # a name
        ("V:1 octave=1 name=T stem=up\nC\nV:1\nC", [72, 72]),
    ],
)
def test_fields_within_the_music(body: str, expected: list[int]) -> None:
    read = tune("C", body)
    assert pitches(read) == expected
    assert parse_tune(to_abc(read)) == read
    assert parse_tune(to_abc(read)).notes == read.notes


def test_voice_of_the_header() -> None:
    head = "X:1\nL:1/8\nV:T1 clef=treble-8 name=Tenor\nV:B octave=1\nK:C bass\n"
    assert pitches(parse_tune(f"{head}V:T1\nC|\nV:B\nE|\n")) == [48]
    assert pitches(parse_tune(f"{head}V:B\nE|\n")) == [76]  # the first voice has no notes


def test_clef_alone_keeps_the_key() -> None:
    assert pitches(tune("D", "F [K:bass] F [K:treble-8] F")) == [66, 66, 54]
    assert Key.parse("treble-8") == Key(None, "none")


def test_signs_and_ties_are_those_of_the_written_notes() -> None:
    read = tune("D transpose=2", "^A-[Ac]- [Ac]|A c _e|[K:C octave=-1]^F f|")
    assert pitches(read) == [72, 75, 71, 75, 77, 56, 68]
    assert read.notes[0].duration == Fraction(3, 8)
    assert parse_tune(to_abc(read)) == read


def test_keys_that_no_sign_can_write_are_respelt() -> None:
    moved = transpose(parse_tune("K:Cmin\nC[K:D][K:E]F|"), 3)
    assert (pitches(moved), parse_tune(to_abc(moved)).notes) == ([63, 69], moved.notes)


def test_written_signs_stay_written_in_another_octave() -> None:
    read = tune("D treble-8", "^F F")
    assert [x.written for x in read.elements if isinstance(x, Note)] == [True, False]


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("C octave=x", "octave= needs a whole number, 'x' came"),
        ("C octave=", "octave= needs a whole number"),
        ("C transpose=1/2", "transpose= needs a whole number"),
        ("C sound=cd", "'sound=cd' came, needs octave= or transpose="),
        ("C shift=CD", "'shift=CD' came"),
        ("C treble-9", "mode is 'treble'"),
        ("C octave=9", "'C' sounds as 168"),
        ("C exp ^^b transpose=9", "cannot be written"),
    ],
)
def test_what_cannot_be_read_is_refused(field: str, message: str) -> None:
    with pytest.raises(NotationError, match=message) as caught:
        tune(field)
    assert caught.value.line in (4, 5)


@pytest.mark.parametrize("field", ["V:1 octave=x", "V:1 instrument=Bb/c"])
def test_voices_are_refused_likewise(field: str) -> None:
    with pytest.raises(NotationError, match="V: is '1 ") as caught:
        tune("C", f"{field}\nC|")
    assert (caught.value.line, caught.value.reason) == (5, "voice field")


def test_range_is_that_of_the_sound() -> None:
    wide = tune("C", "C [K:octave=3] C|")
    (violation,) = [x for x in check_tune(wide).violations if x.rule == "range"]
    assert "the range is 36 semitones" in violation.message


JUDGED = [field for field, _ in MOVES if field.split()[0] in ("C", "none")]
# abc2midi takes "t=" and "m=" for signs, does not add octave= to a clef's, and knows fewer clefs.
JUDGED = [
    x
    for x in JUDGED
    if not any(w in x for w in ("t=", "m=d s", "8va", "octave=1 t", "_8", '"', "4+8", "=+1"))
]


@pytest.mark.parametrize("field", [x for x in JUDGED if "octave=-1 t" not in x])
def test_pitches_are_those_of_abc2midi(tmp_path: Path, field: str) -> None:
    need_abc2midi()
    theirs, _ = abc2midi(f"X:1\nM:3/8\nL:1/8\nK:{field}\nCDE|\n", tmp_path)
    assert [pitch for _, [*several] in theirs for pitch in several] == pitches(tune(field))

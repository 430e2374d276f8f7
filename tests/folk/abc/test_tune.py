"""Tunes: measures, parts, repeats played out, writing, MIDI."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from otoscope.errors import ParameterError
from otoscope.folk.abc import (
    BarLine,
    BrokenRhythm,
    Chord,
    Element,
    GraceNotes,
    InlineField,
    Key,
    Mark,
    Measure,
    MeasureRest,
    Meter,
    Note,
    Rest,
    Tune,
    Tuplet,
    book_to_abc,
    parse_book,
    parse_tune,
    to_abc,
    to_midi,
)
from tests.support.abc_judges import abc2midi, need_abc2midi, read_midi, tempo_of
from tests.support.examples import examples

EIGHTH = Fraction(1, 8)
LETTERS = "CDEFGABcdefgab"


def tune(body: str, *, meter: str = "4/4") -> Tune:
    return parse_tune(f"X:1\nM:{meter}\nL:1/8\nK:C\n{body}\n")


def letters(of: Tune) -> str:
    """The notes of a tune without accidentals, one letter each."""
    return "".join(LETTERS[x.step] for x in of.elements if isinstance(x, Note))


def eighths(measures: tuple[Measure, ...]) -> list[Fraction]:
    return [measure.duration * 8 for measure in measures]


@pytest.mark.parametrize(
    ("body", "durations"),
    [
        ("C|D4 E4|F4|]", [1, 8, 4]),
        ("|:C2:| |:D4:|", [2, 4]),
        ("CDEF", [4]),
        ("C2|| |D2", [2, 2]),
        ("C2 [1 D2 :|[2 E2|", [4, 2]),
        ('C2 | "Fine" | D2', [2, 2]),
        ("C2|Z|x4", [2, 8, 4]),
        ("(3CDE|F|", [2, 1]),
    ],
)
def test_measures_are_the_spans_that_last(body: str, durations: list[int]) -> None:
    assert eighths(tune(body).measures) == durations


def test_measures_of_tuplets_are_exact() -> None:
    (measure,) = tune("(3CDE (7CDEFGAB (9CDEFGABcd").measures
    assert measure.duration == Fraction(1, 8) * (2 + 2 + 2)


def test_measures_know_their_bar_lines_and_places() -> None:
    first, second, third = tune("C2 |: D2\n EF :|2 G2 |]").measures
    assert first.left is None
    assert (first.right or BarLine("")).opens
    assert (second.left, second.right) == (BarLine("|:"), BarLine(":|", "2"))
    assert (third.left, third.right) == (BarLine(":|", "2"), BarLine("|]"))
    assert [(m.number, m.line, m.column) for m in (first, second, third)] == [
        (1, 5, 1),
        (2, 5, 7),
        (3, 6, 9),
    ]
    assert [m.onset for m in (first, second, third)] == [0, Fraction(1, 4), Fraction(3, 4)]


def test_bar_lines_at_one_place_are_joined() -> None:
    first, second = tune("C2 :| |: D2 | |1 E2|").measures[:2]
    assert first.right == second.left == BarLine("::")
    assert second.right == BarLine("|", "1")


def test_measures_know_the_meter_in_force() -> None:
    changed = tune("C|[M:3/4] D|E")
    assert [measure.meter.text for measure in changed.measures] == ["4/4", "3/4", "3/4"]


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        ("|:CD|EF:||:GA|B:|", [(2, True), (2, True)]),
        ("CD|EF:|GA|B:|", [(2, True), (2, True)]),
        ("CD|EF::GA|B|]", [(2, True), (2, False)]),
        ("|:C|1 D:|2 E||F|G:|", [(3, True), (2, True)]),
        ("|:C|1 D:||2 E:||:F|G:|", [(3, True), (2, True)]),
        ("|:C [1 D:|[2 E|]|:F|G:|", [(2, True), (2, True)]),
        ("C|D|E|]", [(3, False)]),
        ("C|:D:|E", [(1, False), (1, True), (1, False)]),
    ],
)
def test_parts_are_the_segments_at_repeat_marks(body: str, parts: list[tuple[int, bool]]) -> None:
    assert [(len(part.measures), part.is_repeated) for part in tune(body).parts] == parts


def test_first_pass_of_a_part_has_no_second_ending() -> None:
    part, _ = tune("|:C4|1 D2:|2 E||F:|").parts
    assert eighths(part.first_pass) == [4, 2]
    assert part.duration == Fraction(3, 4)
    assert (part.line, part.column) == (5, 3)


@pytest.mark.parametrize(
    ("body", "played"),
    [
        ("CD|E", "CDE"),
        ("C:|D", "CCD"),
        ("C|:D:|E", "CDDE"),
        ("|:C:|D:|E", "CCDDE"),
        ("|:C::D:|", "CCDD"),
        ("|:C:||:D:|", "CCDD"),
        ("|:CD|1E:|2F|]", "CDECDF"),
        ("CD|1E:|2F:|", "CDECDF"),
        ("CD|1E:||2F:|", "CDECDF"),
        ("CD[1E:|[2F||G:|", "CDECDFGG"),
        ("|:C|1D:|2E|]|:F|1G:|2A:|", "CDCEFGFA"),
        ("|:C|1D:|2E:|F:|", "CDCEFF"),
        ("|:C|1,3D:|2E:|4F|]", "CDCECDCF"),
        ("|:C|1-2D:|3E|]", "CDCDCE"),
        ("C|1D:|E:|", "CDCEE"),
        ("|:C|1D|", "CD"),
        ("C:|2D|", "CCD"),
    ],
)
def test_repeats_are_played_out(body: str, played: str) -> None:
    unfolded = tune(body).unfolded
    assert letters(unfolded) == played
    assert {x.text for x in unfolded.elements if isinstance(x, BarLine)} <= {"|"}
    assert unfolded.unfolded == unfolded


@pytest.mark.parametrize(
    "body", ["CD:|EF|", "|:CD:||:EF:|", "CD::EF:|", "|:CD|1E:|2F|]", "CD[1E:|[2F|]", "C|:D:|E:|F"]
)
def test_repeats_are_those_of_abc2midi(tmp_path: Path, body: str) -> None:
    need_abc2midi()
    theirs, _ = abc2midi(f"X:1\nM:none\nL:1/8\nK:C\n {body}\n", tmp_path)
    assert [min(pitch) for _, pitch in theirs] == [note.pitch for note in tune(body).unfolded.notes]


def test_unfolding_restores_key_and_meter() -> None:
    changed = tune("|:F|[K:G][M:3/4] F:|").unfolded
    assert [note.pitch for note in changed.notes] == [65, 66, 65, 66]
    assert parse_tune(to_abc(changed)) == changed
    assert [measure.meter.text for measure in changed.measures] == ["4/4", "3/4", "4/4", "3/4"]


def test_melody_is_the_highest_note() -> None:
    chords = tune("[CE]G [c-E]c")
    assert [note.pitch for note in chords.melody] == [64, 67, 72]
    assert chords.intervals == (3, 5)


def test_written_tune_is_beamed_by_beats() -> None:
    lines = to_abc(tune("|:GABc d>ef2|(3gab c'2 {d}e(f g)a:|", meter="C")).splitlines()
    assert lines == ["X:1", "M:C", "L:1/8", "K:Cmaj", "|: GABc d>ef2 | (3gabc'2 {d}e(fg)a :|"]
    assert to_abc(tune("EFG A3|", meter="6/8")).splitlines()[-1] == "EFG A3 |"


def test_written_tune_has_four_full_bars_a_line() -> None:
    lines = to_abc(tune("C8|" * 9)).splitlines()[4:]
    assert lines == ["C8 | C8 | C8 | C8 |", "C8 | C8 | C8 | C8 |", "C8 |"]


def test_a_pickup_is_no_bar_and_a_part_begins_a_line() -> None:
    part = "G2|c8|c8|c8|c6"
    lines = to_abc(tune(f"|:{part}:|{part}:|")).splitlines()[4:]
    assert lines == ["|: G2 | c8 | c8 | c8 | c6 :|", "G2 | c8 | c8 | c8 | c6 :|"]
    lines = to_abc(tune("c8|c8|c8|d8|e8|1f8:|2g8|:c8|c8|")).splitlines()[4:]
    assert lines == ["c8 | c8 | c8 | d8 |", "e8 |1 f8 :|2 g8 |:", "c8 | c8 |"]
    lines = to_abc(tune("c8|c8||[M:3/4]|:e6:|")).splitlines()[4:]
    assert lines == ["c8 | c8 || [M:3/4]", "|: e6 :|"]


def test_books_are_numbered() -> None:
    book = book_to_abc([tune("C|"), tune("D|")])
    read = parse_book(book)
    assert [x.reference for x in read if isinstance(x, Tune)] == [1, 2]
    assert read == [tune("C|"), tune("D|")]


LENGTHS = st.sampled_from([Fraction(n, 16) for n in (1, 2, 3, 4, 6, 8, 12)])
NOTES = st.builds(
    Note,
    st.integers(-14, 21),
    st.integers(-2, 2),
    LENGTHS,
    tie=st.booleans(),
    written=st.just(True),
)
CHORD_NOTES = st.builds(
    Note,
    st.integers(-7, 14),
    st.integers(-1, 1),
    st.sampled_from([Fraction(1), Fraction(1), Fraction(2), Fraction(1, 2)]),
    tie=st.booleans(),
    written=st.just(True),
)
CHORDS = st.builds(
    lambda first, others, length: Chord((first, *others), length),
    st.builds(
        Note, st.integers(-7, 14), st.integers(-1, 1), st.just(Fraction(1)), written=st.just(True)
    ),
    st.lists(CHORD_NOTES, min_size=1, max_size=3),
    LENGTHS,
)
GRACE_NOTES = st.builds(Note, st.integers(-7, 14), st.just(1), LENGTHS, written=st.just(True))
GRACES = st.builds(
    GraceNotes, st.lists(GRACE_NOTES, min_size=1, max_size=3).map(tuple), st.booleans()
)
BARS = st.builds(
    BarLine,
    st.sampled_from(["|", "||", "|]", "|:", ":|", "::"]),
    st.sampled_from(["", "", "1", "2,4"]),
)
MARKS = st.sampled_from(["(", ")", "~", ".", ".(", "!trill!", '"Am"', '"^now (2"', "T"]).map(Mark)
ELEMENTS = st.lists(
    st.one_of(NOTES, NOTES, CHORDS, GRACES, BARS, MARKS, st.builds(Rest, LENGTHS, st.booleans())),
    max_size=30,
)


WHOLE = Fraction(1)
SIDE_BY_SIDE: list[Element] = [
    *(Note(step, 0, EIGHTH, written=True) for step in (0, 7, -14, 14)),
    Note(0, 0, EIGHTH, tie=True, written=True),
    Note(0, 1, EIGHTH / 2, written=True),
    Note(0, -2, EIGHTH * 3 / 2, written=True),
    Chord((Note(0, 0, WHOLE, written=True), Note(2, 0, WHOLE, written=True)), EIGHTH),
    Chord((Note(0, 0, WHOLE, tie=True, written=True), Note(2, 0, WHOLE * 2, written=True)), EIGHTH),
    Rest(EIGHTH),
    Rest(EIGHTH * 2, visible=False),
    MeasureRest(),
    MeasureRest(12),
    GraceNotes((Note(0, 0, EIGHTH, written=True),)),
    GraceNotes((Note(0, 0, EIGHTH, written=True),), slash=True),
    *(
        BarLine(text, ending)
        for text in ("|", "||", "|]", "[|", "[|]", "|:", ":|", "::")
        for ending in ("", "1", "2,4", "1-3")
    ),
    BarLine("", "1"),
    *map(Mark, ["(", ")", ".", ".(", "~", *"THLwWhuv", "!trill!", "!a.!", "!<(!", "+trill+"]),
    *map(Mark, ['"Am"', '"^(2"', '"50%"', '"]"', '"|:"']),
    Tuplet(3, 2, 3),
    Tuplet(9, 8, 1),
    BrokenRhythm(">"),
    BrokenRhythm("<<"),
    InlineField("K", Key.parse("G")),
    InlineField("M", Meter.parse("6/8")),
    InlineField("P", "A"),
    InlineField("Q", '"slow" 1/4=50'),
]


@pytest.mark.parametrize("first", SIDE_BY_SIDE)
def test_elements_side_by_side_stay_apart(first: Element) -> None:
    """ ".(" for instance is one sign, a dotted slur, and ". (" are two."""
    around = [Note(step, 0, EIGHTH, written=True) for step in range(9)]
    for second in SIDE_BY_SIDE:
        if type(first) is type(second) and isinstance(first, Tuplet | BrokenRhythm):
            continue  # neither is within another
        if isinstance(first, BarLine) and second == BarLine("", "1"):
            continue  # the bar line's ending
        elements = (around[0], first, second, *around[1:])
        built = Tune(elements, Key.parse("C"), Meter.parse("C"))
        assert parse_tune(to_abc(built)) == built, to_abc(built)


@pytest.mark.parametrize(
    ("body", "marks"),
    [("C . (D2)", [".", "(", ")"]), ("C .(D2)", [".(", ")"]), ("C . ~D .| T(D)", [*".~.T()"])],
)
def test_a_dot_before_another_sign_stays_a_dot(body: str, marks: list[str]) -> None:
    read = tune(body)
    assert [x.text for x in read.elements if isinstance(x, Mark)] == marks
    assert parse_tune(to_abc(read)) == read


def test_a_lone_quote_hides_no_comment() -> None:
    read = parse_tune('X:1\nM:C\nL:1/8\nK:C\nC\nP:a"b\n"50%"D|!"50%"!E % "\n')
    assert [x.text for x in read.elements if isinstance(x, InlineField | Mark)] == [
        *["ab", '"50%"', '"50%"'],
    ]
    assert parse_tune(to_abc(read)) == read


@example([Mark("."), Mark("("), Note(1, 0, EIGHTH, written=True), Mark(")")], "Gmaj", 8)
@examples(200)
@given(
    ELEMENTS, st.sampled_from(["Gmaj", "Cmin", "none", "Hp", "F#dor"]), st.sampled_from([4, 8, 16])
)
def test_reading_what_was_written_gives_the_tune(
    elements: list[Element], key: str, unit: int
) -> None:
    built = Tune(
        (Note(0, 0, Fraction(1, 8), written=True), *elements),
        Key.parse(key),
        Meter.parse("6/8"),
        Fraction(1, unit),
        (("T", "title"), ("R", "jig")),
    )
    read = parse_tune(to_abc(built))
    assert read == built
    assert to_abc(read) == to_abc(built)


@examples(200)
@given(ELEMENTS)
def test_signs_are_written_where_they_are_needed(elements: list[Element]) -> None:
    """A tune without written signs, as after a transposition, sounds the same when read."""
    body = [Note(0, 0, Fraction(1, 8)), *elements]
    unsigned = [Note(x.step, x.alter, x.length, x.tie) if isinstance(x, Note) else x for x in body]
    built = Tune(tuple(unsigned), Key.parse("D"), Meter.parse("C"))
    assert parse_tune(to_abc(built)).notes == built.notes


@examples(100)
@given(ELEMENTS)
def test_measures_add_up_to_the_tune(elements: list[Element]) -> None:
    built = Tune((Note(0, 0, Fraction(1, 8)), *elements), Key.parse("C"), Meter.parse("C"))
    end = built.timed_elements[-1].onset + built.timed_elements[-1].duration
    assert sum((measure.duration for measure in built.measures), Fraction(0)) == end
    assert [m for part in built.parts for m in part.measures] == list(built.measures)


@pytest.mark.parametrize("sign", [">", "<", ">>", "<<<"])
def test_broken_rhythm_moves_the_boundary_alone(sign: str) -> None:
    first, second = tune(f"C2{sign}D2").notes
    short, long = sorted([first.duration, second.duration])
    assert first.duration + second.duration == Fraction(1, 2)
    assert short == Fraction(1, 4) / 2 ** len(sign)
    assert (first.duration == long) == (">" in sign)
    assert isinstance(tune(f"C{sign}D").elements[1], BrokenRhythm)


@examples(50)
@given(ELEMENTS)
def test_midi_has_what_is_heard(elements: list[Element]) -> None:
    built = Tune((Note(0, 0, Fraction(1, 8)), *elements), Key.parse("C"), Meter.parse("C"))
    heard: dict[float, set[int]] = {}
    for note in built.unfolded.notes:
        heard.setdefault(float(note.onset), set()).add(note.pitch)
    read = read_midi(to_midi(built))
    assert [onset for onset, _ in read] == pytest.approx(list(heard), abs=1e-5)
    assert [set(pitches) for _, pitches in read] == list(heard.values())


def test_midi_tempo_is_the_argument_else_the_tunes_else_120() -> None:
    slow = parse_tune("Q:1/8=120\nK:C\nC|")
    assert tempo_of(to_midi(slow)) == 1_000_000
    assert tempo_of(to_midi(slow, 240)) == 250_000
    assert tempo_of(to_midi(tune("C|"))) == 500_000


@pytest.mark.parametrize("tempo", [1e-3, -1.0, 1e6])
def test_midi_tempo_out_of_range(tempo: float) -> None:
    with pytest.raises(ParameterError, match=r"tempo_bpm is .* needs to be in \[4, 60000\]"):
        to_midi(tune("C|"), tempo)

"""Tokens: the three ways to write a tune, vocabularies, the authors' files, transposition to C."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from otoscope.errors import ParameterError
from otoscope.folk.abc import (
    REASONS,
    ConversionError,
    Key,
    NotationError,
    Tune,
    parse_tune,
    to_abc,
    transpose,
)
from otoscope.folk.tokens import (
    get_tokeniser,
    normalise_tune,
)
from tests.support.examples import examples

V1, V2, V3 = (get_tokeniser(name) for name in ("v1", "v2", "v3"))


def tune(body: str, *, key: str = "C", meter: str = "4/4", unit: str = "1/8") -> Tune:
    return parse_tune(f"X:1\nT:A tune\nM:{meter}\nL:{unit}\nK:{key}\n{body}\n")


def body(of: Tune) -> str:
    return " ".join(V2.copies(of)[0][2:])


@pytest.mark.parametrize(
    ("abc", "tokens"),
    [
        ("C D2 E/ F3/2 G// A8|", "C D 2 E /2 F 3/2 G /4 A 8 |"),
        ("C>D E<F G2>A2 B/<c/|", "C > D E < F G 2> A 2 B /2< c /2 |"),
        ("C2-C2 C-D|", "C 2 - C 2 C D |"),
        ("(3CDE (5CDEFG (3:2:2C2D|", "(3 C D E (5 C D E F G (3:2:2 C 2 D |"),
        ("[CE]2 [E2G2]- [EG] [CC]|", "[ C E ] 2 [ E G ] 2 - [ E G ] C |"),
        ("C-[CC]2 [CC]-[CC]|", "C - [ C C ] 2 C - C |"),
        ("C-[CCC]-[CC]-C|", "C - [ C C ] - [ C C ] - C |"),
        ("C-z[CC]|", "C - z C |"),
        ("z z2 x C|", "z z 2 z C |"),
        ("Z2|C|", "z 8 | z 8 | C |"),
        ("|:C:||:D:|", "|: C :| |: D :|"),
        ("C::D|]", "C :| |: D |"),
        ("||C||D[|E", "C | D | E |"),
        ("C|1D:|2E|]", "C |1 D :| |2 E |"),
        ("C [1 D:|[2 E|]", "C |1 D :| |2 E |"),
        ('~C {d}E "Am"F (G !trill!A)|', "C E F G A |"),
        ("^F F|F =F ^f|", "^F F | F F ^f |"),
        ("[M:4/4][K:C]C [P:B] D|", "C D |"),
    ],
)
def test_v2_tokens(abc: str, tokens: str) -> None:
    assert body(tune(abc)) == tokens


@pytest.mark.parametrize(
    ("abc", "key", "tokens"),
    [
        ("DF^GAc", "D", "C E ^F G B |"),  # down by a whole tone
        ("G=FB", "G", "c _B e |"),  # up by a fourth: less than down by a fifth
        ("AcEc", "A", "c e G e |"),
        ("Aceg", "Am", "c e g b |"),
        ("E^D=DC", "Emin", "C =B, _B, A, |"),
        ("DFA_B", "Ddor", "C E G _A |"),
        ("A^Gg", "Amix", "c =B b |"),
        ("F_BB", "F", "C F F |"),
    ],
)
def test_transposed_to_c(abc: str, key: str, tokens: str) -> None:
    assert body(tune(abc, key=key)) == tokens


@pytest.mark.parametrize(
    ("meter", "token"), [("C", "4/4"), ("C|", "4/4"), ("2/2", "4/4"), ("6/8", "6/8")]
)
def test_meter_and_key_tokens(meter: str, token: str) -> None:
    assert V2.tokens(tune("A", key="Ador", meter=meter))[:2] == [f"M:{token}", "K:Cdor"]


def test_unit_is_an_eighth() -> None:
    assert body(tune("C2 D E/", unit="1/16")) == "C D /2 E /4 |"
    assert body(tune("C2 D [L:1/8]E", unit="1/4")) == "C 4 D 2 E |"


@pytest.mark.parametrize(
    ("abc", "reason", "message"),
    [
        ("M:C\nK:C\nC[K:G]D", "key changes", "line 3, column 2: key changes from Cmaj to Gmaj"),
        ("M:2/4\nK:C\nC[M:3/4]D", "meter changes", "meter changes from 2/4 to 3/4"),
        ("M:5/8\nK:C\nC", "meter", "meter is 5/8, needs one of 4/4"),
        ("K:C\nC", "meter", "meter is none"),
        ("M:C\nK:Gphr\nC", "mode", "key is Gphr, needs mode maj"),
        ("M:C\nK:none\nC", "mode", "key is none"),
        ("M:C\nK:Hp\nC", "mode", "key is Hp"),
        ("M:C\nK:D ^g\nC", "mode", r"key is Dmaj \^g"),
        ("M:C\nK:C\nC,,c'''", "range", "pitches are 36 to 108"),
    ],
)
def test_what_has_no_tokens(abc: str, reason: str, message: str) -> None:
    with pytest.raises(ConversionError, match=message) as caught:
        V2.tokens(parse_tune(abc))
    assert caught.value.reason == reason
    assert reason in REASONS


def test_octave_is_chosen_so_that_the_range_holds() -> None:
    # up by a fourth would be the least, but leaves the range above
    assert body(tune("Gd''", key="G")) == "C g' |"


def test_v3_signs_every_pitch_and_comes_on_two_roots() -> None:
    on_c, on_c_sharp = V3.copies(tune("DFA=c^G", key="D"))
    assert on_c == ["M:4/4", "K:maj", "=C", "=E", "=G", "^A", "^F", "|"]
    assert on_c_sharp == ["M:4/4", "K:maj", "^C", "=F", "^G", "=B", "=G", "|"]
    assert [len(x.copies(tune("C"))) for x in (V1, V2, V3)] == [1, 1, 2]


@pytest.mark.parametrize("mode", ["maj", "min", "dor", "mix"])
def test_v3_finds_the_root_that_is_not_written(mode: str) -> None:
    scale = tune("CDEFGABc", key=f"C{mode}")
    roots = [V3.tune(tokens).key for tokens in V3.copies(scale)]
    assert roots == [Key("C", mode), Key("C#", mode)]


def test_v1_is_abc_with_title_and_key() -> None:
    text = "".join(V1.tokens(tune("D2|", key="D")))
    assert text == "T:A tune\nM:4/4\nL:1/8\nK:Dmaj\nD2 |\n"
    assert V1.tune(V1.tokens(tune("D2|", key="D"))) == tune("D2|", key="D")


def test_place_is_that_of_the_authors_file() -> None:
    read = V2.tune(["M:4/4", "K:Cmaj", "|:", "C", "2", ">", "D", ":|"])
    assert [(x.line, x.column) for x in read.elements] == [(3, c) for c in (1, 4, 8, 10, 12)]
    assert read.measures[0].duration == Fraction(7, 16)


@pytest.mark.parametrize(
    ("tokens", "message", "column"),
    [
        ("", r"line 1, column 1: token 1 is '', needs M:", 1),
        ("M:4/4", "line 2, column 1: token 2 is '', needs K:", 1),
        ("K:Cmaj M:4/4 C", "token 1 is 'K:Cmaj', needs M:", 1),
        ("M:x K:Cmaj C", "line 1, column 3: M: is 'x'", 3),
        ("M:4/4 K:Cfoo C", "line 2, column 3: K: is 'Cfoo'", 3),
        ("M:4/4 K:Cmaj C foo", r"line 3, column 3: token 4 \('foo'\): it is not a token", 3),
        ("M:4/4 K:Cmaj C K:Cmaj", r"token 4 \('K:Cmaj'\)", 3),
        ("M:4/4 K:Cmaj C AB", r"token 4 \('AB'\)", 3),
        ("M:4/4 K:Cmaj | 2 C", r"line 3, column 3: token 4 \('2'\): a length needs a note", 3),
        ("M:4/4 K:Cmaj C 2 2", r"token 5 \('2'\): a length needs", 5),
        ("M:4/4 K:Cmaj [ C E C", r"token 3 \('\['\): '\[ C E C' came", 1),
        ("M:4/4 K:Cmaj C ]", r"token 4 \('\]'\)", 3),
        ("M:4/4 K:Cmaj C > |", r"token 4 \('>'\): '>' has no note after it", 3),
        ("M:4/4 K:Cmaj C /2> |", r"token 4 \('/2>'\): '>' has no note after it", 3),
        ("M:4/4 K:Cmaj | - C", r"token 4 \('-'\): '-' has no note", 3),
        ("M:4/4 K:Cmaj (3 C (3 C D E", r"token 5 \('\(3'\): .* within another", 6),
        ("M:4/4 K:Cmaj | |", "no notes", 0),
    ],
)
def test_error_names_the_token_and_its_place(tokens: str, message: str, column: int) -> None:
    with pytest.raises(NotationError, match=message) as caught:
        V2.tune(tokens.split())
    assert (caught.value.column or 0) == column


def test_v3_error_names_the_unsigned_pitch_and_the_root() -> None:
    with pytest.raises(NotationError, match=r"token 4 \('C'\): in v3 a pitch needs a sign"):
        V3.tune(["M:4/4", "K:maj", "=C", "C"])
    with pytest.raises(NotationError, match="'K:Cmaj' came, needs K: and one of maj"):
        V3.tune(["M:4/4", "K:Cmaj", "=C"])


def test_unknown_tokeniser() -> None:
    with pytest.raises(ParameterError, match="tokeniser is 'v4', needs one of v1, v2, v3"):
        get_tokeniser("v4")


def test_boundaries_may_be_there() -> None:
    tokens = ["M:4/4", "K:Cmaj", "C"]
    assert V2.tune(["<s>", *tokens, "</s>"]) == V2.tune(tokens)


def in_c(text: str) -> list[str]:
    """The tokens of a tune, its body written in one line."""
    return ["M:4/4", "K:Cmaj", *text.split()]


PITCHES = st.builds(
    "{}{}".format,
    st.sampled_from(["", "", "", "^", "_", "="]),
    st.sampled_from([*"CDEFGABcdefgab", "C,", "B,", "c'", "b'"]),
)
LENGTHS = st.sampled_from(["", "", " 2", " 3", " 4", " /2", " 3/2", " 3/4"])
SOUNDS = st.one_of(
    st.builds("{}{}".format, PITCHES, LENGTHS),
    st.builds("{}{} -".format, PITCHES, LENGTHS),
    st.builds("[ {} {} ]{}".format, PITCHES, PITCHES, LENGTHS),
    st.builds("z{}".format, LENGTHS),
)
GROUPS = st.one_of(
    SOUNDS,
    st.builds("(3 {} {} {}".format, SOUNDS, SOUNDS, SOUNDS),
    st.builds("{} {} {}".format, PITCHES, st.sampled_from("<>"), SOUNDS),
    st.builds("{} {} {}".format, PITCHES, st.sampled_from(["2>", "/2<", "3/2>"]), SOUNDS),
    st.sampled_from(["|", "|", "|:", ":|", "|1", "|2"]),
)
TOKENS = st.builds(
    lambda meter, mode, groups: [meter, f"K:C{mode}", "C", *" ".join(groups).split()],
    st.sampled_from(["M:4/4", "M:6/8", "M:9/8", "M:3/2"]),
    st.sampled_from(["maj", "min", "dor", "mix"]),
    st.lists(GROUPS, max_size=30),
)


@examples(200)
@given(TOKENS)
def test_v2_tokens_survive_the_tune(tokens: list[str]) -> None:
    assert V2.tokens(V2.tune(tokens)) == tokens


@examples(100)
@given(TOKENS)
def test_v2_tokens_survive_abc(tokens: list[str]) -> None:
    read = V2.tune(tokens)
    assert parse_tune(to_abc(read)) == read
    assert parse_tune("\n".join([*tokens[:2], " ".join(tokens[2:])])).notes == read.notes


@examples(100)
@given(TOKENS)
@example(in_c("C C - [ C C ]"))
@example(in_c("C [ C C ] 2 - [ C C E ] C"))
@example(in_c("C C - [ C C C ] - [ C C C ] - [ C C C ] C"))
def test_v3_copies_sound_as_the_tune_and_survive(tokens: list[str]) -> None:
    original = V2.tune(tokens)
    for semitones, copy in enumerate(V3.copies(original)):
        read = V3.tune(copy)
        assert heard(read) == heard(original, semitones)
        assert V3.tokens(read) == copy
        assert parse_tune(to_abc(read)).notes == read.notes


def heard(of: Tune, semitones: int = 0) -> set[tuple[int, Fraction, Fraction]]:
    """Pitches with onset and duration; of unisons in a chord one is left."""
    return {(note.pitch + semitones, note.onset, note.duration) for note in of.notes}


@examples(100)
@given(TOKENS, st.integers(-14, 14))
def test_transposition_moves_every_pitch_alike_and_back(tokens: list[str], semitones: int) -> None:
    original = V2.tune(tokens)
    moved = transpose(original, semitones)
    assert [n.pitch for n in moved.notes] == [n.pitch + semitones for n in original.notes]
    assert parse_tune(to_abc(moved)).notes == moved.notes
    assert transpose(moved, -semitones).notes == original.notes
    assert transpose(moved, -semitones).key == original.key


@examples(100)
@given(TOKENS, st.integers(-6, 5))
@example(in_c("C C - [ C C ]"), 0)
@example(in_c("C C - [ C C ] 2 - [ C C ]"), 3)
@example(in_c("C C - [ ^B, C E ] - [ C C ] D"), -2)
def test_to_c_undoes_a_transposition(tokens: list[str], semitones: int) -> None:
    original = V2.tune(tokens)
    # ^b' and _C, are names within the range for pitches outside it: a key where the sign would be
    # a third sharp renames them, and then they have no token.
    assume(all(48 <= note.pitch <= 95 for note in original.notes))
    back = normalise_tune(transpose(original, semitones))
    assert any(heard(back) == heard(original, shift) for shift in (0, -12, 12))
    assert back.key == original.key


def test_corpus_has_no_signs_or_ties_that_say_nothing() -> None:
    redundant = tune("C-D _B ^F^F =F=F [EE]|")
    assert V2.copies(redundant) == [
        ["M:4/4", "K:Cmaj", *["C", "D", "_B", "^F", "F", "=F", "F", "E", "|"]]
    ]
    assert " ".join(V2.tokens(redundant)[2:]) == "C - D _B ^F ^F =F =F [ E E ] |"


@pytest.mark.parametrize(
    ("key", "semitones", "moved"),
    [
        ("C", 1, "Dbmaj"),
        ("C", 2, "Dmaj"),
        ("C", 6, "F#maj"),
        ("Am", 1, "Bbmin"),
        ("Am", -1, "G#min"),
        ("Ddor", 12, "Ddor"),
        ("none", 5, "none exp _b"),
        ("D exp _e", 2, "Emaj exp =f"),
        ("Hp", 2, "none exp ^d ^f ^g ^c"),
    ],
)
def test_transposed_keys_have_the_fewest_signs(key: str, semitones: int, moved: str) -> None:
    assert transpose(tune("C", key=key), semitones).key.abc == moved


def test_key_changes_are_transposed_too() -> None:
    moved = transpose(tune("F[K:G]F[CE]{F}G", key="C"), 2)
    assert [n.pitch for n in moved.notes] == [67, 68, 62, 66, 69]
    assert parse_tune(to_abc(moved)).notes == moved.notes

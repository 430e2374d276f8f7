"""Repeats played out: passes of repeat marks, the time it takes, and its bound."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from otoscope.folk.abc import BarLine, ConversionError, NotationError, Tune, parse_tune, to_abc
from otoscope.folk.abc.elements import join_bar_lines
from otoscope.folk.abc.structure import MOST_ELEMENTS
from otoscope.folk.metrics import check_repeats, check_tune
from otoscope.folk.report.sheet import engrave
from otoscope.folk.tokens import get_tokeniser

HEAD = "X:1\nL:1/8\nM:4/4\nK:C\n"


def tune(body: str) -> Tune:
    return parse_tune(f"X:1\nM:2/4\nL:1/8\nK:C\n{body}\n")


@pytest.mark.parametrize(
    ("body", "played"),
    [
        ("|::C::|", "CCC"),
        ("|:::C:::|", "CCCC"),
        ("|::C::|D", "CCCD"),
        ("C::|D", "CCCD"),
        ("|:C::|D", "CCCD"),  # the larger number counts
        ("|::C:|D", "CCCD"),
        ("|::C::|:D:|E", "CCCDDE"),
        ("|::C::|::D::|E", "CCCDDDE"),
        ("|:C:|::D::|E", "CCDDDE"),
        ("|::C|1,2D::|3E|F", "CDCDCEF"),
        ("|::C::|D:|E", "CCCDDE"),
        ("C| :D:|E", "CDDE"),
        ("|:C: |D", "CCD"),
        ("|:C:| :D:|", "CCDD"),
        ("::C::|D", "CCCD"),
        ("|:C|1-3D:|4E|", "CDCDCDCE"),
        ("|::C|", "C"),  # never closed
    ],
)
def test_passes(body: str, played: str) -> None:
    read = tune(body)
    assert "".join("C D EF"[n.pitch - 60] for n in read.unfolded.notes) == played
    assert parse_tune(to_abc(read)) == read


def test_bar_lines_know_their_repeats() -> None:
    texts = ("|", "||", "|:", ":|", "::", "|::", "::|", "::|:", "", "[|]")
    assert [BarLine(text).repeats for text in texts] == [
        *((0, 0), (0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (2, 1), (0, 0), (0, 0)),
    ]
    joined = join_bar_lines([BarLine("::|"), BarLine("|"), BarLine("|:", "1")])
    assert (joined.text, joined.ending) == ("::|:", "1")


def test_repeat_marks_of_different_passes_are_a_violation() -> None:
    (violation,) = check_repeats(tune("|::CDEF:|"))
    assert "a repeat of 2 passes closes the one of 3 passes of line 5, column 1" in str(violation)
    assert not check_repeats(tune("|::CDEF::|GABc::|"))


def test_three_passes_have_no_tokens() -> None:
    with pytest.raises(ConversionError, match="repeats more than once") as caught:
        get_tokeniser("v2").tokens(tune("|::CDEF::|"))
    assert (caught.value.reason, caught.value.column) == ("repeats", 1)


def test_three_passes_are_drawn() -> None:
    pytest.importorskip("verovio")
    assert engrave(tune("|::CDEF::|GABc:|")).count('class="measure"') == 2


def n_calls(run: Callable[[], object]) -> int:
    """Count calls of Python functions, and of builtins, which do not depend on the machine."""
    count = 0

    def hook(frame: object, event: str, arg: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(hook)
    try:
        run()
    finally:
        sys.setprofile(before)
    return count


LONG = {
    "repeats": "CDEF:|",
    "opened repeats": "|:CDEF:|",
    "endings": "CD|1EF:|2GA|",
    "first endings alone": "C|1D:|",
    "key changes": "[K:D]CD[K:C]EF:|",
    "meter changes": "[M:3/4]CD[M:4/4]EF:|",
    "short pieces": "[M:99/1]C:|",
    "double repeats": "CD::",
    "triple repeats": "CD::|",
    "double bars": "CD||",
    "no bar lines": "CDEF",
    "overlays": "CD&EF|",
    "voices": "[V:1]CD|[V:2]EF|",
    "ties": "C-C-",
}


@pytest.mark.parametrize("body", LONG.values(), ids=LONG)
def test_twice_the_tune_takes_twice_the_work(body: str) -> None:
    def work(n: int) -> int:
        return n_calls(lambda: check_tune(parse_tune(HEAD + body * n + "\n")))

    work(2)  # fills the caches of lengths
    assert work(160) < 2.3 * work(80)


def test_what_repeats_make_is_bounded() -> None:
    assert len(tune("|:C|1-99D:|" * 300).unfolded.elements) < MOST_ELEMENTS
    with pytest.raises(NotationError, match=f"has more than {MOST_ELEMENTS:,} notes") as caught:
        tune("|:C|1-99D:|" * 3000)
    assert (caught.value.reason, caught.value.line) == ("size", 5)
    with pytest.raises(NotationError, match="has more than"):
        tune("|" + ":" * 1000 + "CDEF" * 100 + ":" * 1000 + "|")


def test_rests_and_note_lengths_are_bounded() -> None:
    with pytest.raises(NotationError, match="rests of 299,700 measures") as caught:
        tune("C" + "Z999" * 300)
    assert (caught.value.reason, caught.value.line) == ("size", 5)
    with pytest.raises(NotationError, match="no common unit"):
        tune("".join(f"C/{n}" for n in range(1001, 1060, 2)))
    assert len(tune("(7CDEFGAB(5CDEFG(11:6:11CDEFGABcdefC/64(13:8:2CD").notes) == 26


@pytest.mark.parametrize("times", [10, pytest.param(1, marks=pytest.mark.slow)])
def test_a_tune_at_the_bound_is_whole(times: int) -> None:
    colons = ":" * (times - 1)
    many = tune(f"|{colons}{'CDEFGABc|' * (20_000 // times - 1)}CDEFGABc{colons}|")
    played = [element for element in many.unfolded.elements if not isinstance(element, BarLine)]
    assert len(played) == 160_000

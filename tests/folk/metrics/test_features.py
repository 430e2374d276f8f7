"""Features of a tune: form, accidentals, scale degrees, last notes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otoscope.folk.metrics import DEGREES, accidentals, degrees, ending, form, is_aabb, part_shapes
from tests.support.examples import examples
from tests.support.tune_faults import quarters


def test_aabb_is_two_repeated_parts_of_eight_bars_whatever_the_pickup() -> None:
    eight = "CD|" * 7
    assert is_aabb(part_shapes(quarters(f"|:{eight}CD:|:{eight}CD:|")))
    assert is_aabb(part_shapes(quarters(f"E|:{eight}C:|:E|{eight}C:|")))
    assert is_aabb(part_shapes(quarters(f"|:{eight}|1CD:|2EF:|:{eight}CD:|")))
    assert not is_aabb(part_shapes(quarters(f"|:{eight}CD:|{eight}CD|]")))
    assert not is_aabb(part_shapes(quarters(f"|:CD|{eight}CD:|:{eight}CD:|")))
    assert not is_aabb(part_shapes(quarters("CD", meter="none")))
    assert form(part_shapes(quarters("|:CD:|EF|GA|:CD:|"))) == "AABCC"
    assert form(part_shapes(quarters("|:CD:|" * 7))) == "7 parts"


def test_accidentals_are_those_of_the_key_in_force() -> None:
    outside, count = accidentals(quarters("^FG|F=F|[K:G]F^F|=F[B_B]|"))
    assert count == 9
    assert [note.column for note in outside] == [1, 18, 20]  # ^F; in G =F, and _B of the chord


def test_degrees_are_shares_of_what_is_heard() -> None:
    by_count, by_duration = degrees(quarters("|:D2|:E3^G:|", key="D"))  # D, EEE^G twice
    assert sum(by_count.values()) == pytest.approx(1)
    assert sum(by_duration.values()) == pytest.approx(1)
    assert by_count["2"] == by_count["#4"]
    assert by_duration["2"] == pytest.approx(3 * by_duration["#4"])
    assert degrees(quarters("CD", key="none")) == ({}, {})


@given(st.lists(st.integers(0, 11), min_size=1, max_size=12), st.sampled_from(["C", "D", "Bb"]))
@examples(30)
def test_ending_is_that_of_the_melody(classes: list[int], key: str) -> None:
    names = ["C", "^C", "D", "^D", "E", "=F", "^F", "G", "^G", "A", "^A", "B"]
    naturals = [f"={name}" if len(name) == 1 else name for name in names]
    tonic = {"C": 0, "D": 2, "Bb": 10}[key]
    last, before = ending(quarters("".join(naturals[x] for x in classes), key=key))
    assert last == DEGREES[(classes[-1] - tonic) % 12]
    others = [x for x in classes if x != classes[-1]]
    assert (before == "") == (not others)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("CD|[K:G]A2|G2|]", ("1", "2")),
        ("|:[K:G]G2:|[K:D]E2|D2|]", ("1", "2")),
        ("|:[K:D]D2|[K:G]AG:|", ("1", "2")),
        ("[K:G]G2|[K:none]G2|]", ("", "")),
    ],
)
def test_ending_is_counted_from_the_key_in_force_at_the_end(
    body: str, expected: tuple[str, str]
) -> None:
    assert ending(quarters(body, key="C")) == expected


@pytest.mark.parametrize(("body", "n_parts"), [("CD|:EF|GA:|", 2), ("C|:EF|GA:|", 1)])
def test_a_whole_bar_before_a_repeat_is_a_part_and_a_pickup_is_none(
    body: str, n_parts: int
) -> None:
    assert len(part_shapes(quarters(body))) == n_parts

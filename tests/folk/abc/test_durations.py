"""Durations: note lengths, broken rhythm, and tuplets by the table of the ABC standard."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from otoscope.folk.abc import NotationError, parse_tune, to_abc
from otoscope.folk.abc.durations import length_text, parse_length
from tests.support.abc_judges import abc2midi, need_abc2midi

# ABC standard 2.1, section 4.13: p notes in the time of q, in simple and compound meters.
STANDARD = {
    2: (3, 3),
    3: (2, 2),
    4: (3, 3),
    5: (2, 3),
    6: (2, 2),
    7: (2, 3),
    8: (3, 3),
    9: (2, 3),
}
METERS = ["2/4", "3/4", "4/4", "C|", "3/2", "6/8", "9/8", "12/8"]


@pytest.mark.parametrize("meter", METERS)
@pytest.mark.parametrize("p", STANDARD)
def test_a_tuplet_lasts_as_the_standard_says(tmp_path: Path, p: int, meter: str) -> None:
    q = STANDARD[p][meter in ("6/8", "9/8", "12/8")]
    notes = "CDEFGABcd"[:p]
    abc = f"X:1\nM:{meter}\nL:1/8\nK:C\n({p}{notes} e2\n"
    tune = parse_tune(abc)
    assert [note.duration for note in tune.notes] == [Fraction(q, 8 * p)] * p + [Fraction(1, 4)]
    assert parse_tune(to_abc(tune)) == tune
    assert parse_tune(abc.replace(f"({p}", f"({p}:{q}:{p}")) == tune
    if p in (5, 7, 9) and meter in ("3/4", "3/2"):
        return  # abc2midi counts them among the compound meters, against the standard
    need_abc2midi()
    theirs, _ = abc2midi(abc, tmp_path)
    assert theirs[-1][0] - theirs[0][0] == pytest.approx(q / 8, abs=1 / 128)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("", Fraction(1)),
        ("3", Fraction(3)),
        ("3/2", Fraction(3, 2)),
        ("/", Fraction(1, 2)),
        ("3//", Fraction(3, 4)),
        ("/4", Fraction(1, 4)),
        ("999999/999998", Fraction(999999, 999998)),
    ],
)
def test_lengths_are_read_and_written(text: str, length: Fraction) -> None:
    assert parse_length(text) == length
    assert parse_length(length_text(length)) == length


@pytest.mark.parametrize("text", ["0", "/0", "1234567", "1/1234567", "1///////", "x", "3/2/"])
def test_lengths_that_are_none(text: str) -> None:
    assert parse_length(text) is None


def test_a_number_of_seven_digits_is_refused() -> None:
    """It was read as 123456/7."""
    with pytest.raises(NotationError, match="length is '1234567', needs a number"):
        parse_tune("K:C\nC1234567|")

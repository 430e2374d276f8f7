"""Kinds of measures: what playing the tune gives; planted durations are found in their place."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otoscope.folk.abc import Note
from otoscope.folk.data import generate_tune
from otoscope.folk.metrics import classify_measures
from tests.support.examples import examples
from tests.support.tune_faults import quarters


def kinds(body: str, **header: str) -> list[str]:
    return [measure.kind for measure in classify_measures(quarters(body, **header))]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("CD|EF|GA|]", "full full full"),
        ("C|DE|FG|A|]", "pickup full full end"),
        ("C|:DE|F:|G|AB|C|]", "pickup full short split full end"),
        ("|:C|DE|F:|:G|AB|c:|", "split full split split full split"),
        ("|:CD|E:|F|GA|]", "full short split full"),  # before G it is whole, before CD it is not
        ("|:C|DE|FG|1A:|2B|]", "split full full split end"),
        ("|:DE|F|1G:|2A|]", "full split split split"),
        ("CD|EFG|A|Bc|]", "full long short full"),
        ("C/D/E/|FG|A|]", "pickup full end"),
        ("CD|E||F|GA|]", "full split split full"),
        ("CD|E|F|GA|]", "full cut cut full"),
        ("CD|E|F/|GA|]", "full short short full"),
        ("CD|E/|F/|G|AB|]", "full short short short full"),
        ("CD|EF|GAB|]", "full full long"),
        ("C4|D", "long end"),
        ("Z2|CD|", "long full"),
        ("(3CDE|FG|", "full full"),
    ],
)
def test_measures_are_of_the_kind_that_playing_gives(body: str, expected: str) -> None:
    assert " ".join(kinds(body)) == expected


def test_free_meter_has_no_wrong_measures() -> None:
    assert kinds("C|DEFG|A|]", meter="none") == ["free"] * 3


def test_meter_in_force_is_that_of_the_last_field() -> None:
    assert kinds("CD|[M:3/4]CDE|CD|CDE|]") == ["full", "full", "short", "full"]


@examples(30)
@given(st.integers(0, 10**6), st.data())
def test_planted_duration_is_found_where_it_is(index: int, data: st.DataObject) -> None:
    right = generate_tune(1, index)
    notes = [i for i, element in enumerate(right.elements) if isinstance(element, Note)]
    at = data.draw(st.sampled_from(notes[1:-1]))
    factor = data.draw(st.sampled_from([Fraction(1, 2), Fraction(2), Fraction(3, 2)]))
    assert not any(measure.is_wrong for measure in classify_measures(right))
    measures = right.measures
    of_note = next(m for m in measures if any(e is right.elements[at] for e in m.elements))
    changed = [*right.elements]
    note = changed[at]
    assert isinstance(note, Note)
    changed[at] = replace(note, length=note.length * factor)
    wrong = [m for m in classify_measures(replace(right, elements=tuple(changed))) if m.is_wrong]
    if factor > 1:
        assert [(m.number, m.kind) for m in wrong] == [(of_note.number, "long")]
        assert (wrong[0].line, wrong[0].column) == (of_note.line, of_note.column)
    elif of_note.number < len(measures) and of_note.number > 1:  # first and last may be short
        assert [(m.number, m.kind) for m in wrong] == [(of_note.number, "short")]

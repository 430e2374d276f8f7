"""Forms: what can be written, and what it means."""

from __future__ import annotations

import pytest

from otoscope.errors import ParameterError
from otoscope.folk.abc import Form


@pytest.mark.parametrize(
    ("text", "sections", "short"),
    [
        ("AABB:8", "A8 A8 B8 B8", "AABB:8"),
        ("AABB", "A8 A8 B8 B8", "AABB:8"),
        ("abac:4", "A4 B4 A4 C4", "ABAC:4"),
        ("AA:8 BB:16", "A8 A8 B16 B16", "AA:8 BB:16"),
        (" A8, B16; A8 ", "A8 B16 A8", "A:8 B:16 A:8"),
        ("AA BB:4", "A4 A4 B4 B4", "AABB:4"),
    ],
)
def test_letters_and_numbers_are_read(text: str, sections: str, short: str) -> None:
    form = Form.parse(text)
    assert " ".join(f"{letter}{bars}" for letter, bars in form.sections) == sections
    assert form.text == short
    assert Form.parse(form.text) == form


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("8", "form is '8'; '8' is neither letters nor a number of bars: give a form such as AABB"),
        ("A-B", "'-B' is neither letters"),
        ("AABB:1", "gives section A 1 bars, must be in [2, 32]"),
        ("AABB:33", "33 bars"),
        ("A:8 B:8 A:4", "gives section A 8 bars and 4; sections of one letter are alike"),
        ("", "form is '', must be letters and numbers of bars"),
        ("A" * 33, "form has 33 sections"),
        ("<script>", "neither letters"),
    ],
)
def test_other_text_is_refused_with_the_remedy(text: str, message: str) -> None:
    with pytest.raises(ParameterError) as caught:
        Form.parse(text)
    assert message in str(caught.value)


def test_two_equal_sections_in_a_row_are_written_once() -> None:
    def written(text: str) -> str:
        return " ".join(
            section.letter * (1 + section.is_repeated) for section in Form.parse(text).written
        )

    assert written("AABB") == "AA BB"
    assert written("ABAC") == "A B A C"
    assert written("AAABBAA") == "AA A BB AA"

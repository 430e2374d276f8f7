"""Errors: long values in their messages."""

from __future__ import annotations

import pytest

from otoscope.errors import Advice, Argument, ParameterError, shortened
from otoscope.folk.abc import NotationError, parse_tune

PATH = "/home/" + "/".join(["folder"] * 100) + "/a.wav"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("n is " + "1" * 5_000, "n is " + "1" * 40 + "... (5,000 characters)"),
        (f"n is {'a ' * 300!r}, x", "n is '" + "a " * 19 + "a... (602 characters), x"),
        ("1" * 399, "1" * 399),
        (f"{PATH}: cannot be read", f"{PATH}: cannot be read"),
        (f"'a' came, needs one of {'names, ' * 90}'b'", None),
        ("the model's " + "words " * 100 + "user's", None),
    ],
)
def test_long_values_are_shortened(text: str, shown: str | None) -> None:
    assert shortened(text) == (text if shown is None else shown)
    error = ParameterError(text, advice=Advice("set ", Argument("n", 1)))
    assert str(error) == f"{error.message}; set n=1"
    assert error.message == shortened(text)


@pytest.mark.parametrize("field", ["L:", "M:", "K:", "K:C transpose="])
def test_fields_of_notation_are_shortened(field: str) -> None:
    with pytest.raises(NotationError) as caught:
        parse_tune(f"X:1\n{field}{'1' * 5_000}\nK:C\nC|")
    assert max(len(str(caught.value)), len(caught.value.message)) < 300

"""Forms of tunes written by hand: parts of one letter are alike, those of others are not."""

from __future__ import annotations

import pytest

from otoscope.folk.abc import Form, parse_tune
from otoscope.folk.metrics import has_form

A, B = "CD|EF|GA|", "cB|AG|FE|"  # three bars of four, and then the last quarter


@pytest.mark.parametrize(
    ("body", "form", "has"),
    [
        (f"|:{A}C2:|:{B}C2:|", "AABB:4", True),
        (f"|:{A}C2:|:{A}C2:|", "AABB:4", False),
        (f"|:{A}C2:|:{A}E2:|", "AABB:4", False),  # another ending is no other part
        (f"|:{A}C2:|:{A}C2:|", "AAAA:4", True),
        (f"{A}C2|{A}E2|{B}C2|{B}C2|", "AABB:4", True),
        ("|:CD|EF|GA|C2:|:CD|EF|GB|C2:|", "AABB:4", True),  # one note is enough
        (f"{A}C2|{B}C2|{A}C2|{A}C2|", "ABAC:4", False),
        (f"{A}C2|{B}C2|{A}C2|{B}C2|", "ABAC:4", False),
        (f"{A}C2|{B}C2|{A}C2|GG|FF|EE|C2|", "ABAC:4", True),
        ("|:[CE]D|EF|GA|C2:|:[EC]D|EF|GA|C2:|", "AABB:4", False),  # a chord in another order
        ("K:Cmin\n|:ED|EF|GA|C2:|:_ED|EF|GA|C2:|", "AABB:4", False),  # a sign that the key has
    ],
)
def test_letters_are_parts(body: str, form: str, has: bool) -> None:
    head = "M:2/4\nL:1/4\n" + ("" if body.startswith("K:") else "K:C\n")
    assert has_form(parse_tune(head + body), Form.parse(form)) is has

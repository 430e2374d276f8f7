"""Checks of tunes: each broken rule is found alone, right tunes break none."""

from __future__ import annotations

import pytest

from otoscope.errors import ParameterError
from otoscope.folk.abc import NotationError, parse_book, parse_tune
from otoscope.folk.data import generate_tune
from otoscope.folk.metrics import RULES, Conventions, check_tune
from otoscope.records import to_json
from tests.support.tune_faults import quarters


def test_each_rule_is_found_broken_alone() -> None:
    part = "|:C E/G/|c B/A/|G E/G/|A G|C E/G/|c B/A/|G F/E/|{}:|"
    right = part.format("D C") * 2

    def broken(body: str, **header: str) -> tuple[str, ...]:
        return check_tune(quarters(body, **header)).broken

    assert broken(right) == ()
    assert broken(right.replace("|A G|", "|A G/|", 1)) == ("bars",)
    assert broken(right.replace(":||:", ":||:|:", 1).replace("|:|:", "|:", 1)) == ()
    assert broken(part.format("D C")) == ("parts",)
    assert broken(right.replace("c", "c''", 1)) == ("range",)
    assert broken(part.format("D C") + part.format("C D")) == ("tonic",)
    assert broken(part.format("D C") + part.format("A C")) == ("cadence",)
    assert broken(right.replace("E", "^D")) == ("accidentals",)
    unfinished = parse_tune(f"M:2/4\nL:1/4\nN:unfinished: after 5\nK:C\n{right}")
    assert check_tune(unfinished).broken == ("finished",)


def test_generated_tunes_keep_all_conventions() -> None:
    for index in range(20):
        assert check_tune(generate_tune(0, index)).violations == ()


def test_unreadable_tune_is_a_finding_with_its_place() -> None:
    book = parse_book("X:1\nT:a\nK:C\nCDE|\n\nX:2\nT:b\nK:C\nC;D|\n")
    result = check_tune(book[1], name="tune 2")
    assert isinstance(book[1], NotationError)
    assert result.broken == ("parse",)
    assert (result.violations[0].line, result.violations[0].column) == (9, 2)
    assert not result.is_valid
    assert result.keeps("parse") is False
    assert result.keeps("bars") is None
    assert result.to_dict()["name"] == "tune 2"


def test_rules_that_do_not_apply_are_not_judged() -> None:
    result = check_tune(quarters("CD|EF|]", key="none"))
    assert result.keeps("tonic") is None
    assert result.keeps("cadence") is None
    assert result.keeps("bars") is True
    assert set(result.to_dict()["rules"]) == set(RULES)


def test_check_is_plain_json() -> None:
    assert '"valid": true' in to_json(check_tune(generate_tune(0, 0)).to_dict())


@pytest.mark.parametrize("bounds", [{"widest_range": 0}, {"most_accidentals": 1.5}])
def test_conventions_out_of_range_are_refused(bounds: dict[str, float]) -> None:
    with pytest.raises(ParameterError, match=next(iter(bounds))):
        Conventions(**bounds)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("body", "valid", "valid_inside"),
    [
        ("|:CD|EF:|:GA|Bc:|", True, True),
        ("|:C|DE|F:|:G|AB|c:|", True, True),  # the halves make up a bar
        ("|:CD|E:|:FG|A:|", False, True),  # the last measure of each part is short
        ("|:CD|E:|F|GA|]", False, True),
        ("|:CD|EFG:|:AB|cd:|", False, False),  # long, though at the end of a part
        ("|:CD|E|F/|GA:|", False, False),  # short inside a part
        ("|:CD|E|F|GA:|", True, True),  # cut by a plain bar line
    ],
)
def test_two_definitions_of_valid_differ_at_part_ends(
    body: str, valid: bool, valid_inside: bool
) -> None:
    """Valid inside parts: a short measure that touches a part boundary needs no complement."""
    check = check_tune(quarters(body))
    assert (check.is_valid, check.is_valid_inside) == (valid, valid_inside)
    assert check.to_dict()["valid_inside"] is valid_inside


def test_an_unreadable_tune_is_valid_by_neither_definition() -> None:
    check = check_tune(NotationError("x", reason="x"))
    assert not check.is_valid
    assert not check.is_valid_inside

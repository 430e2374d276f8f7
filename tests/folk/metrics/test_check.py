"""Checks of tunes: planted faults are found at their place, right tunes have none."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from otoscope.errors import ParameterError
from otoscope.folk.abc import NotationError, Note, Tune, parse_book, parse_tune
from otoscope.folk.data import generate_tune
from otoscope.folk.metrics import (
    DEGREES,
    RULES,
    Conventions,
    Rate,
    accidentals,
    check_repeats,
    check_tune,
    degrees,
    difference,
    ending,
    form,
    is_aabb,
    judge_measures,
    part_shapes,
    summarise,
)
from otoscope.records import to_json
from tests.support.examples import examples


def tune(body: str, *, key: str = "C", meter: str = "2/4") -> Tune:
    """Quarter notes in 2/4 unless said otherwise; the body is line 4."""
    return parse_tune(f"M:{meter}\nL:1/4\nK:{key}\n{body}\n")


def kinds(body: str, **header: str) -> list[str]:
    return [measure.kind for measure in judge_measures(tune(body, **header))]


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
    assert not any(measure.is_wrong for measure in judge_measures(right))
    measures = right.measures
    of_note = next(m for m in measures if any(e is right.elements[at] for e in m.elements))
    changed = [*right.elements]
    note = changed[at]
    assert isinstance(note, Note)
    changed[at] = replace(note, length=note.length * factor)
    wrong = [m for m in judge_measures(replace(right, elements=tuple(changed))) if m.is_wrong]
    if factor > 1:
        assert [(m.number, m.kind) for m in wrong] == [(of_note.number, "long")]
        assert (wrong[0].line, wrong[0].column) == (of_note.line, of_note.column)
    elif of_note.number < len(measures) and of_note.number > 1:  # first and last may be short
        assert [(m.number, m.kind) for m in wrong] == [(of_note.number, "short")]


@pytest.mark.parametrize(
    ("body", "messages"),
    [
        ("|:CD:|:EF:|", []),
        ("CD:|EF:|", []),
        ("|:CD::EF:|", []),
        ("|:CD|1EF:|2GA|]", []),
        ("|:CD|1EF:|2GA:|:CD:|", []),
        ("|:CD|1,3EF:|2GA:|4CD|]", []),
        ("|:CD|1-3EF:|4GA|]", []),
        ("|:CD|1,3EF:|GA|]", ["ending 3 is not followed by ending 2"]),
        ("|:CD|1EF:|3GA|]", ["ending 3 does not follow ending 2"]),
        ("|:CD|1EF:|2GA:|3CD|]", []),
        ("|:CD|EF|]", ["never closed"]),
        ("|:CD|:EF:|", ["a repeat is opened while that of line 4, column 1 is not closed"]),
        ("|:CD|2EF:|", ["ending 2 does not follow ending 1"]),
        ("|:CD|1EF:|GA|]", ["ending 1 is not followed by ending 2"]),
        ("|:CD|1EF|2GA:|", ["ending 1 is not closed by :|"]),
        ("CD|1EF|]", ["ending 1 is not closed by :|"]),
        ("|:CD|1EF", ["ending 1 is not closed by :|", "never closed"]),
        ("|:CD|1EF|1GA:|2GA|]", ["not closed", "comes again"]),
    ],
)
def test_repeats_follow_their_grammar(body: str, messages: list[str]) -> None:
    found = check_repeats(tune(body))
    assert len(found) == len(messages)
    assert all(part in finding.message for finding, part in zip(found, messages, strict=True))


def test_findings_of_repeats_have_places() -> None:
    (finding,) = check_repeats(tune("|:CD|EF\n|:GA:|"))
    assert (finding.rule, finding.line, finding.column) == ("repeats", 5, 1)


def test_aabb_is_two_repeated_parts_of_eight_bars_whatever_the_pickup() -> None:
    eight = "CD|" * 7
    assert is_aabb(part_shapes(tune(f"|:{eight}CD:|:{eight}CD:|")))
    assert is_aabb(part_shapes(tune(f"E|:{eight}C:|:E|{eight}C:|")))
    assert is_aabb(part_shapes(tune(f"|:{eight}|1CD:|2EF:|:{eight}CD:|")))
    assert not is_aabb(part_shapes(tune(f"|:{eight}CD:|{eight}CD|]")))
    assert not is_aabb(part_shapes(tune(f"|:CD|{eight}CD:|:{eight}CD:|")))
    assert not is_aabb(part_shapes(tune("CD", meter="none")))
    assert form(part_shapes(tune("|:CD:|EF|GA|:CD:|"))) == "AABCC"
    assert form(part_shapes(tune("|:CD:|" * 7))) == "7 parts"


def test_accidentals_are_those_of_the_key_in_force() -> None:
    found, count = accidentals(tune("^FG|F=F|[K:G]F^F|=F[B_B]|"))
    assert count == 9
    assert [note.column for note in found] == [1, 18, 20]  # ^F; in G =F, and _B of the chord


def test_degrees_are_shares_of_what_is_heard() -> None:
    by_count, by_duration = degrees(tune("|:D2|:E3^G:|", key="D"))  # D, then E E E G sharp twice
    assert sum(by_count.values()) == pytest.approx(1)
    assert sum(by_duration.values()) == pytest.approx(1)
    assert by_count["2"] == by_count["#4"]
    assert by_duration["2"] == pytest.approx(3 * by_duration["#4"])
    assert degrees(tune("CD", key="none")) == ({}, {})


@given(st.lists(st.integers(0, 11), min_size=1, max_size=12), st.sampled_from(["C", "D", "Bb"]))
@examples(30)
def test_ending_is_that_of_the_melody(classes: list[int], key: str) -> None:
    names = ["C", "^C", "D", "^D", "E", "=F", "^F", "G", "^G", "A", "^A", "B"]
    naturals = [f"={name}" if len(name) == 1 else name for name in names]
    tonic = {"C": 0, "D": 2, "Bb": 10}[key]
    last, before = ending(tune("".join(naturals[x] for x in classes), key=key))
    assert last == DEGREES[(classes[-1] - tonic) % 12]
    others = [x for x in classes if x != classes[-1]]
    assert (before == "") == (not others)


def test_each_rule_is_found_broken_alone() -> None:
    part = "|:C E/G/|c B/A/|G E/G/|A G|C E/G/|c B/A/|G F/E/|{}:|"
    right = part.format("D C") * 2

    def broken(body: str, **header: str) -> tuple[str, ...]:
        return check_tune(tune(body, **header)).broken

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
        assert check_tune(generate_tune(0, index)).findings == ()


def test_unreadable_tune_is_a_finding_with_its_place() -> None:
    book = parse_book("X:1\nT:a\nK:C\nCDE|\n\nX:2\nT:b\nK:C\nC;D|\n")
    found = check_tune(book[1], name="tune 2")
    assert isinstance(book[1], NotationError)
    assert found.broken == ("parse",)
    assert (found.findings[0].line, found.findings[0].column) == (9, 2)
    assert not found.is_valid
    assert found.keeps("parse") is False
    assert found.keeps("bars") is None
    assert found.to_dict()["name"] == "tune 2"


def test_rules_that_do_not_apply_are_not_judged() -> None:
    found = check_tune(tune("CD|EF|]", key="none"))
    assert found.keeps("tonic") is None
    assert found.keeps("cadence") is None
    assert found.keeps("bars") is True
    assert set(found.to_dict()["rules"]) == set(RULES)


def test_check_is_plain_json() -> None:
    assert '"valid": true' in to_json(check_tune(generate_tune(0, 0)).to_dict())


@pytest.mark.parametrize("bounds", [{"widest_range": 0}, {"most_accidentals": 1.5}])
def test_conventions_out_of_range_are_refused(bounds: dict[str, float]) -> None:
    with pytest.raises(ParameterError, match=next(iter(bounds))):
        Conventions(**bounds)  # type: ignore[arg-type]


@given(st.integers(0, 60), st.integers(1, 60))
def test_rate_has_wilsons_bounds(count: int, extra: int) -> None:
    of = count + extra
    share, z = count / of, float(scipy.stats.norm.ppf(0.975))
    centre = (share + z**2 / (2 * of)) / (1 + z**2 / of)
    half = z / (1 + z**2 / of) * math.sqrt(share * (1 - share) / of + z**2 / (4 * of**2))
    found = Rate.of_counts(count, of).interval
    assert found.value == share
    assert found.low == pytest.approx(max(centre - half, 0), abs=1e-9)
    assert found.high == pytest.approx(min(centre + half, 1), abs=1e-9)


def test_difference_has_newcombes_bounds() -> None:
    """Newcombe 1998, table II: 56/70 - 48/80, method 10: 0.0524 to 0.3339."""
    found = difference(Rate.of_counts(56, 70), Rate.of_counts(48, 80))
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


def test_summary_counts_over_the_book() -> None:
    checks = [check_tune(generate_tune(0, i)) for i in range(8)]
    checks += [check_tune(tune("CD|E|FG|]")), check_tune(NotationError("x", reason="x", line=3))]
    found = summarise(checks)
    assert found.tunes == 10
    counts = {name: (rate.count, rate.of) for name, rate in found.rates.items()}
    assert counts["valid"] == (8, 10)
    assert counts["parse"] == (9, 10)
    assert counts["bars"] == (8, 9)
    assert counts["tonic"] == (8, 9)
    assert counts["cadence"] == (8, 8)
    assert found.measures["short"] == 1
    assert found.forms["AABB"] == 8
    notes = [check.facts.notes for check in checks if check.facts]
    mean = found.means["notes"]
    assert mean.value == pytest.approx(np.mean(notes))
    assert mean.low < mean.value < mean.high
    assert found == summarise(checks)
    assert sum(found.degrees_by_count.values()) == pytest.approx(1)
    assert '"valid": {"count": 8' in to_json(found.to_dict())


def test_summary_without_any_readable_tune() -> None:
    found = summarise([check_tune(NotationError("x", reason="x"))])
    assert set(found.rates) == {"valid", "parse"}
    assert found.means == {}
    assert found.degrees_by_count == {}

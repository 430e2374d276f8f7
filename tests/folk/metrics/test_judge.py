"""The judge: planted faults fail their screen alone, shuffled tunes get lower grades."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from otoscope.errors import ParameterError
from otoscope.folk.abc import Note, Tune, parse_tune, transpose
from otoscope.folk.data import generate_tune
from otoscope.folk.metrics import JUDGES, Judge, Judgement
from otoscope.folk.metrics.judge import typicality

TUNES = [generate_tune(0, i) for i in range(500)]
NAMED = [(f"tune {i}", tune) for i, tune in enumerate(TUNES)]


@pytest.fixture(scope="module")
def jigs() -> Judge:
    return Judge(NAMED[:400], preset="challenge2020", copied=0.9)


@pytest.fixture(scope="module")
def reels() -> Judge:
    return Judge(NAMED[:400], copied=0.9)


def of_meter(meter: str) -> list[Tune]:
    return [tune for tune in TUNES[400:] if tune.meter.text == meter]


def failed(judgement: Judgement) -> list[str]:
    return [screen.name for screen in judgement.screens if not screen.passed]


def passing(judge: Judge, meter: str) -> Tune:
    return next(tune for tune in of_meter(meter) if judge(tune).passed)


def test_typicality_is_that_of_its_definition() -> None:
    among = np.array([1.0, 2.0, 2.0, 3.0])
    expected = {0.0: 0.0, 1.0: 0.5, 2.0: 1.0, 2.5: 0.5, 3.0: 0.5, 4.0: 0.0}
    assert {x: typicality(x, among) for x in expected} == expected


def test_most_tunes_of_the_tradition_pass(jigs: Judge, reels: Judge) -> None:
    assert np.mean([jigs(tune).passed for tune in of_meter("6/8")]) > 0.6
    assert np.mean([reels(tune).passed for tune in of_meter("4/4")]) > 0.6


def test_copies_in_another_key_are_plagiarism(jigs: Judge) -> None:
    name, tune = next(pair for pair in NAMED[:400] if pair[1].meter.text == "6/8")
    judgement = jigs(transpose(tune, 5))
    assert "plagiarism" in failed(judgement)
    assert judgement.nearest.startswith(name)


def test_each_screen_fails_alone(jigs: Judge, reels: Judge) -> None:
    tune = passing(jigs, "6/8")
    first = next(i for i, element in enumerate(tune.elements) if isinstance(element, Note))
    note = tune.elements[first]
    assert isinstance(note, Note)

    def changed(new: Note) -> Tune:
        return replace(tune, elements=(*tune.elements[:first], new, *tune.elements[first + 1 :]))

    assert failed(jigs(changed(replace(note, step=note.step + 28)))) == ["range"]
    longer = changed(replace(note, length=note.length + Fraction(1, 8)))
    assert failed(jigs(longer)) == ["rhythm"]
    assert "add up" in jigs(longer).screens[2].message
    reel = passing(reels, "4/4")
    sharp = tuple(
        replace(e, alter=e.alter + 1) if isinstance(e, Note) and i % 3 == 0 else e
        for i, e in enumerate(reel.elements)
    )
    assert "accidentals" in failed(reels(replace(reel, elements=sharp)))
    assert failed(reels(parse_tune("M:4/4\nL:1/4\nK:Cphr\n" + "|:CDEF:|" * 2)))[-1:] == ["mode"]
    assert "rhythm" in failed(reels(passing(jigs, "6/8")))


def test_shuffled_notes_are_graded_lower(jigs: Judge) -> None:
    rng = np.random.default_rng(0)
    graded, shuffled = [], []
    for tune in of_meter("6/8"):
        notes = [element for element in tune.elements if isinstance(element, Note)]
        order = iter(rng.permutation(len(notes)))
        elements = tuple(
            replace(notes[next(order)], length=e.length) if isinstance(e, Note) else e
            for e in tune.elements
        )
        graded.append(jigs(tune).grade)
        shuffled.append(jigs(replace(tune, elements=elements)).grade)
    assert np.mean(graded) > np.mean(shuffled) + 0.1


def test_short_tunes_are_judged(jigs: Judge) -> None:
    for text in ("K:C\nC|", "M:6/8\nK:C\nCDE|"):
        judgement = jigs(parse_tune(text))
        assert 0 <= judgement.grade <= 1
        assert not judgement.passed


def test_bad_input() -> None:
    with pytest.raises(ParameterError, match="preset is 'x', must be challenge2020 or"):
        Judge(NAMED, preset="x")
    with pytest.raises(ParameterError, match=r"copied is 0, must be in \(0, 1\]"):
        Judge(NAMED, copied=0)
    with pytest.raises(ParameterError, match=r"of 4 reference tunes are in 6/8; .* at least 20"):
        Judge(NAMED[:4], preset="challenge2020")
    assert {screen for preset in JUDGES.values() for screen in preset.screens} == {
        "plagiarism",
        "range",
        "rhythm",
        "mode",
        "accidentals",
    }

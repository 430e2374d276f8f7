"""The verdict: what it rests on is set by hand, and so is what it must say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from otoscope.intervene import Curve, Point, Search
from otoscope.intervene.interrogation.verdict import Evidence, judge_score
from otoscope.intervene.statistics.bootstrap import Chance, Interval


def about(value: float, spread: float = 0.03) -> Interval:
    return Interval(value, value - spread, value + spread, 0.95)


def point(dose: float, change: float, spread: float = 0.03, p: float | None = 1e-6) -> Point:
    return Point(
        intervention=f"tempo {dose:+g} %",
        dose=dose,
        score=about(0.7 + change),
        change=about(change, spread),
        gained=3,
        lost=7,
        moved=about(0.1),
        p=p,
        p_holm=p,
    )


def curve(*changes: float, name: str = "tempo", **given: Any) -> Curve:
    made = {"spread": given.pop("spread", 0.03), "p": given.pop("p", 1e-6)}
    doses = [i - len(changes) / 2 + (i >= len(changes) / 2) for i in range(len(changes))]
    points = tuple(point(2 * d, c, **made) for d, c in zip(doses, changes, strict=True))
    return replace(Curve(name, "%", True, points, (), None), **given)


def evidence(*curves: Curve, **given: Any) -> Evidence:
    return replace(
        Evidence(
            figure="mean_recall",
            baseline=about(0.7),
            chance=Chance(0.1, 0.05, 0.15, 0.0005),
            confound=None,
            curves=curves,
            searches=(),
            n_groups=200,
            max_change=0.05,
        ),
        **given,
    )


STILL = curve(0.01, -0.01, p=1.0)
HORSE = curve(-0.3, -0.2)


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (evidence(HORSE), "horse"),
        (evidence(curve(0.0, 0.2)), "horse"),  # a score that rises moves too
        (evidence(STILL, HORSE), "horse"),
        (evidence(STILL), "cleared"),
        (evidence(curve(-0.3, -0.2, p=0.2)), "undecided"),  # not significant
        (evidence(curve(-0.3, -0.2, spread=0.4)), "undecided"),  # over groups it may be chance
        (evidence(curve(-0.04, 0.0)), "undecided"),  # significant, within the bound or not
        (evidence(curve(-0.3, irrelevant=False)), "undecided"),  # nothing was claimed
        (evidence(STILL, curve(-0.3, irrelevant=False)), "cleared"),
        (evidence(HORSE, max_change=0.5), "cleared"),
        (evidence(STILL, n_groups=58), "undecided"),  # 0.95 ** 58 > 0.05
        (evidence(STILL, n_groups=59), "cleared"),
        (evidence(curve(0.0, 0.0, spread=0.0), max_change=0.0), "undecided"),
        (evidence(HORSE, chance=Chance(0.7, 0.6, 0.8, 0.4)), "chance"),
    ],
)
def test_kind(found: Evidence, kind: str) -> None:
    assert judge_score(found).kind == kind


def search(inflated: float, deflated: float, **given: Any) -> Search:
    return replace(Search("tempo", 6, about(inflated), about(deflated), about(2)), **given)


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (search(0.95, 0.3), "horse"),  # the score stays, the answers turn both ways
        (search(0.95, 0.3, name="compositions"), "cleared"),
        (search(0.95, 0.66), "cleared"),
        (search(0.74, 0.3), "cleared"),
        (search(0.95, 0.3, control_inflated=about(0.9), control_deflated=about(0.4)), "cleared"),
        (search(0.95, 0.3, control_inflated=about(0.8), control_deflated=about(0.6)), "horse"),
    ],
)
def test_answers_that_turn_both_ways_are_a_horse(found: Search, kind: str) -> None:
    assert judge_score(evidence(STILL, searches=(found,))).kind == kind


def test_without_labels_only_the_interval_counts_and_nothing_is_called_right() -> None:
    still = evidence(curve(-0.01, 0.0, p=None), chance=None, baseline=about(1, 0))
    assert judge_score(still).kind == "cleared"
    assert judge_score(evidence(curve(-0.07, p=None), chance=None)).kind == "undecided"
    horse = judge_score(evidence(curve(-0.2, p=None), chance=None))
    assert horse.kind == "horse"
    assert "recall" not in " ".join((horse.sentence, *horse.evidence, *horse.not_supported))
    assert any(line.startswith("no labels") for line in horse.cautions)
    assert horse.evidence[0].endswith("7 answers become others")


def test_words_of_a_horse() -> None:
    tempo = replace(HORSE, placebo=(point(-2, -0.01, p=1.0),))
    pushed = search(0.9, 0.1, control_inflated=about(0.75), control_deflated=about(0.68))
    verdict = judge_score(
        evidence(tempo, curve(0.0, name="gain"), searches=(pushed,), confound=about(0.77))
    )
    assert verdict.sentence == "a horse: its answers move with tempo"
    assert verdict.not_supported == (
        "the mean recall of 0.700 is no evidence that the system hears what makes the classes: "
        "tempo ±2 % leaves that as it is, and moves the answers",
    )
    assert verdict.evidence == (
        "tempo -2 % takes the mean recall from 0.700 to 0.400 [0.370, 0.430]: 7 answers become "
        "wrong, 3 right, p 1.0e-06 after Holm's correction",
        "there and back (tempo -2 %) it is 0.690 [0.660, 0.720]: it is not the change's artefacts",
        "by choice of the dose, tempo ±2 % takes it from 0.100 to 0.900; as many placebos from "
        "0.680 to 0.750",
    )
    assert verdict.cautions[0].startswith("the confound alone scores 0.770")
    perfect = about(1.0, 0.0)  # all drawn again are perfect: the interval has no width
    nearly = judge_score(evidence(tempo, baseline=perfect, confound=about(0.96, 0.04)))
    assert nearly.cautions[0].startswith("the confound alone scores 0.960")
    assert judge_score(evidence(tempo, confound=about(0.63))).cautions == ()


def test_words_of_an_acquittal_name_all_that_was_tried_and_no_more() -> None:
    one = replace(
        curve(0.0, name="polarity", unit=""),
        points=(replace(point(1, 0.0), intervention="polarity"),),
    )
    verdict = judge_score(evidence(STILL, one, curve(0.01, -0.01, 0.0, name="gain", unit="dB")))
    assert verdict.sentence == (
        "no horse found: the mean recall of 0.700 moves by no more than 5 points under "
        "tempo ±2 %, polarity and gain ±3 dB"
    )
    assert "nothing else" in verdict.not_supported[0]


def test_words_of_doubt() -> None:
    wide = judge_score(evidence(STILL, curve(-0.04, name="gain")))
    assert wide.sentence == (
        "undecided: 1 of 2 changes may move the score by more than 5 points (gain); "
        "ask about more items"
    )
    few = judge_score(evidence(STILL, n_groups=20))
    assert few.sentence == (
        "undecided: 20 items or groups are too few to show that the score moves by no more than "
        "5 points; that takes 59 or more"
    )


def test_artefacts_and_a_deaf_positive_control_are_cautions() -> None:
    artefact = replace(HORSE, placebo=(point(-2, -0.2),))
    verdict = judge_score(evidence(artefact, curve(0.0, name="noise", irrelevant=False)))
    assert any(line.startswith("tempo: going there and back") for line in verdict.cautions)
    assert any(line.startswith("noise was to change the answers") for line in verdict.cautions)
    assert "artefacts of the change move the answers too" in verdict.evidence[1]

"""Sentences of a verdict: the measurements are set by hand, and so are the sentences."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from otoscope.intervene import ChanceLevel
from otoscope.intervene.interrogation.result import Item
from otoscope.report import interrogation_record, verdict_text
from tests.support.verdicts import HORSE, STILL, about, curve, evidence, point, result, search


def test_sentences_of_a_horse() -> None:
    tempo = replace(HORSE, placebo=(point(-2, -0.01, p=1.0),))
    pushed = search(0.9, 0.1, control_inflated=about(0.75), control_deflated=about(0.68))
    text = verdict_text(
        result(evidence(tempo, curve(0.0, name="gain"), searches=(pushed,), confound=about(0.77)))
    )
    assert text.sentence == "a horse: its answers move with tempo"
    assert text.not_supported == (
        "the mean recall of 0.700 is no evidence that the system hears what makes the classes: "
        "tempo ±2 % preserves that, and moves the answers",
    )
    assert text.evidence == (
        "tempo -2 % takes the mean recall from 0.700 to 0.400 [0.370, 0.430]: 7 answers become "
        "wrong, 3 right, p < 0.0001 after Holm's correction",
        "under the placebo (tempo -2 %) it is 0.690 [0.660, 0.720]: the artefacts of the change "
        "are not the cause",
        "with the dose chosen per item, tempo ±2 % takes it from 0.100 to 0.900; as many placebos "
        "from 0.680 to 0.750",
    )
    assert text.cautions[0].startswith("the confound alone scores 0.770 [0.740, 0.800]")
    assert verdict_text(result(evidence(tempo, confound=about(0.63)))).cautions == ()


def test_without_labels_nothing_is_called_right() -> None:
    text = verdict_text(result(evidence(curve(-0.2, p=None), chance=None)))
    assert "recall" not in " ".join((text.sentence, *text.evidence, *text.not_supported))
    assert any(line.startswith("no labels") for line in text.cautions)
    assert text.evidence[0].endswith("7 answers become others")


def test_a_cleared_system_is_cleared_of_what_was_tried_and_of_no_more() -> None:
    polarity = replace(
        curve(0.0, name="polarity", unit=""),
        points=(replace(point(1, 0.0), intervention="polarity"),),
    )
    gain = curve(0.01, -0.01, 0.0, name="gain", unit="dB")
    text = verdict_text(result(evidence(STILL, polarity, gain)))
    assert text.sentence == (
        "no horse found: the mean recall of 0.700 moves by no more than 5 points under "
        "tempo ±2 %, polarity and gain ±3 dB"
    )
    assert "nothing else" in text.not_supported[0]


def test_sentences_of_doubt() -> None:
    wide = verdict_text(result(evidence(STILL, curve(-0.04, name="gain"))))
    assert wide.sentence == (
        "undecided: 1 of 2 changes may move the score by more than 5 points (gain); test more items"
    )
    few = verdict_text(result(evidence(STILL, n_groups=20)))
    assert few.sentence == (
        "undecided: 20 items or groups are too few to show that the score moves by no more than "
        "5 points; that takes 59 or more"
    )
    never = verdict_text(result(evidence(curve(0.0, spread=0.0), max_change=0.0)))
    assert never.sentence.startswith("undecided: no number of items shows that")
    nothing = verdict_text(result(evidence(curve(-0.3, label_preserving=False))))
    assert nothing.sentence.startswith("undecided: no change was declared label-preserving")


def test_sentence_of_chance_names_the_chance_level() -> None:
    shuffled = replace(evidence().chance, p=0.4)  # type: ignore[type-var]
    text = verdict_text(result(evidence(HORSE, chance=shuffled)))
    assert text.sentence == (
        "no better than chance: the mean recall of 0.700 is what the same answers in random order "
        "reach (0.050 to 0.150)"
    )
    assert text.evidence == ()


def test_a_score_below_chance_is_told_as_such() -> None:
    contrary = ChanceLevel(0.5, 0.4, 0.6, 1.0, p_below=0.0005)
    text = verdict_text(result(evidence(HORSE, chance=contrary, baseline=about(0.0, 0.1))))
    assert text.sentence == (
        "worse than chance: the mean recall of 0.000 is below what the same answers in random "
        "order reach (0.400 to 0.600), p = 0.0005"
    )
    assert "mixed up" in text.evidence[0]


def test_many_changes_are_told_in_few_sentences() -> None:
    """One row each in the table; sentences name the largest."""
    still = [curve(0.0, 0.0, p=1.0, name=f"change {i}") for i in range(12)]
    text = verdict_text(result(evidence(*still)))
    assert text.evidence == (
        "at no dose the mean recall differs from 0.700; with 0 items a change of up to 0.030 "
        "could have been missed",
    )
    slight = verdict_text(result(evidence(*still, curve(0.02, 0.0, p=1.0, name="gain"))))
    assert len(slight.evidence) == 1
    assert slight.evidence[0].startswith("the mean recall is furthest off at tempo -2 %, 0.720")
    moved = [curve(-0.3 + 0.01 * i, name=f"change {i}") for i in range(12)]
    horse = verdict_text(result(evidence(*moved)))
    assert len(horse.evidence) == 4
    assert horse.evidence[-1] == "9 more changes move the answers: see the table"
    assert len(horse.not_supported) == 1
    assert horse.not_supported[0].endswith("preserve that, and move the answers")


def test_a_class_that_loses_is_named_with_its_test() -> None:
    lost = replace(point(-2, -0.1, p=0.4), lost_classes=("jive", "waltz"))
    text = verdict_text(result(evidence(replace(HORSE, points=(lost, point(2, 0.0, p=1.0))))))
    assert text.sentence == "a horse: its answers move with tempo"
    assert text.evidence[1] == (
        "tempo -2 %: 'jive' and 'waltz' lose right answers, p < 0.05 by Fisher's test, corrected "
        "for all doses, placebos and classes"
    )


def test_names_that_are_confused_are_a_caution() -> None:
    items = tuple(Item(str(i), label, str(i), "ba"[i % 2]) for i, label in enumerate("ab" * 4))
    confused = replace(result(evidence(HORSE)), items=items, renaming={"a": "b", "b": "a"})
    _, caution = verdict_text(confused).cautions  # the first: two classes of few items
    assert caution == (
        "answers seem to be named wrongly: with 'b' for 'a' and 'a' for 'b' 8 of 8 would be right, "
        "not 0; check the order of the columns of scores, or the labels"
    )


def test_classes_of_fewer_than_ten_items_are_cautions() -> None:
    """Of 3 items, one answer is a third of a recall, a sixth of the mean of two."""

    def cautions(n: int, metric: Any) -> str:
        items = [Item(f"{i}.wav", "ab"[i < n], str(i), "a") for i in range(40)]
        measured = replace(result(evidence(STILL)), items=tuple(items), metric=metric)
        return " ".join(verdict_text(measured).cautions)

    assert cautions(3, "mean_recall") == (
        "class 'b' has 3 items: one answer of it is 16.7 points of the score and 33.3 points of "
        "its recall"
    )
    assert "one answer of it is 2.5 points of the score" in cautions(3, "accuracy")
    assert cautions(10, "mean_recall") == ""
    items = [Item(f"{i}.wav", "abc"[i // 3], str(i), "a") for i in range(9)]
    few = replace(result(evidence(STILL)), items=tuple(items[:6]))
    assert "(and 1 more has fewer than 10)" in " ".join(verdict_text(few).cautions)
    few = replace(few, items=tuple(items))
    assert "(and 2 more have fewer than 10)" in " ".join(verdict_text(few).cautions)


def test_artefacts_and_a_still_positive_control_are_cautions() -> None:
    artefact = replace(HORSE, placebo=(point(-2, -0.2),))
    control = curve(0.0, name="noise", label_preserving=False)
    text = verdict_text(result(evidence(artefact, control)))
    assert any(line.startswith("tempo: the placebo moves the answers") for line in text.cautions)
    assert any(line.startswith("noise should change the answers") for line in text.cautions)
    assert "artefacts of the change move the answers too" in text.evidence[1]


def test_record_has_the_facts_and_the_sentences_of_the_verdict() -> None:
    horse = result(evidence(HORSE))
    record = interrogation_record(horse)
    assert record["verdict"]["rule"] == "moved"
    assert record["verdict"]["curves"] == ["tempo"]
    assert record["verdict"]["sentence"] == verdict_text(horse).sentence
    assert record["is_broken"] is True
    summary = interrogation_record(horse, is_summary=True)
    assert set(record) - set(summary) == {"items", "pairs", "settings"}
    assert all(record[name] == summary[name] for name in summary)

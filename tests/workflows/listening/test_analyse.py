"""Answers of listeners whose statistics are known, and answers that cannot be right."""

from __future__ import annotations

import csv
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest, kendalltau, linregress, norm
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.errors import MissingExtra, ParameterError
from otoscope.workflows.listening.agreement import mixed_means
from otoscope.workflows.listening.analyse import RatingsConfig, RatingsResult, analyse_ratings
from otoscope.workflows.listening.answers import Answer
from otoscope.workflows.listening.export import (
    ListeningTest,
    ListeningTestConfig,
    export_listening_test,
)
from tests.support.listening import CONDITIONS, exported, write_answers, write_sounds
from tests.support.reports import HOSTILE


def rated(tmp_path: Path, **settings: Any) -> tuple[ListeningTest, RatingsResult]:
    """Six listeners whose ratings are the condition's, the listener's and the item's, and noise."""
    write_sounds(tmp_path / "sounds", n=4)
    lines = ["condition,score,file"]
    for score, condition in ((1, "original"), (2, CONDITIONS[1]), (3, "worst")):
        lines += [f"{condition},{score},sounds/{condition}/item-{i}.wav" for i in range(4)]
    (tmp_path / "list.csv").write_text("\n".join(lines))
    test = export_listening_test(ListeningTestConfig(tmp_path / "list.csv"), tmp_path / "test")
    means = {"original": 80.0, CONDITIONS[1]: 60.0, "worst": 30.0}
    (tmp_path / "answers").mkdir()
    for listener in range(6):
        rng = np.random.default_rng(listener)
        own = rng.normal(scale=5)

        def rate(condition: str, item: str, own: float = own, rng: Any = rng) -> float:
            value: float = means[condition] + own + float(item) + rng.normal(scale=4)
            return round(min(100, max(0, value)), 1)

        name = f"listener {listener}" if listener else HOSTILE
        write_answers(tmp_path / "answers" / f"{listener}.csv", test, name, rate)
    return test, analyse_ratings(
        RatingsConfig(tmp_path / "test", (tmp_path / "answers",), **settings)
    )


def test_means_of_the_mixed_model_are_those_of_the_ratings(tmp_path: Path) -> None:
    _, result = rated(tmp_path)
    assert len(result.listeners) == 6
    assert [each.condition for each in result.conditions] == [*CONDITIONS]
    ratings: dict[str, list[float]] = {condition: [] for condition in CONDITIONS}
    key = json.loads((tmp_path / "test" / "key.json").read_text())
    named = {
        name: condition for trial in key["trials"] for name, condition in trial["stimuli"].items()
    }
    for path in (tmp_path / "answers").iterdir():
        for row in csv.DictReader(path.read_text().splitlines()):
            ratings[named[row["stimulus"]]].append(float(row["answer"]))
    for each in result.conditions:  # balanced: the estimates are the plain means
        own = np.array(ratings[each.condition])
        assert each.n == len(own) == 24
        assert each.mean.value == pytest.approx(own.mean(), abs=1e-3)
        plain = own.std(ddof=1) / math.sqrt(24) * 1.96  # too narrow: listeners differ
        assert each.mean.high - each.mean.value > plain
        assert each.median == np.median(own)
    assert result.slope is not None
    assert -35 < result.slope.low < result.slope.value < result.slope.high < -15
    assert "rate original highest" in result.sentence


def test_interval_of_the_slope_counts_conditions_not_ratings() -> None:
    rng, n = np.random.default_rng(0), 8
    offset = {  # of conditions whatever their scores, of listeners and of items
        name: deviation * rng.standard_normal(count)
        for name, deviation, count in (("c", 15, n), ("l", 8, 6), ("i", 8, 4))
    }
    answers = []
    for place in np.ndindex(n, 6, 4):
        rating = 50 + 5 * rng.standard_normal()
        rating += sum(offset[name][i] for name, i in zip("cli", place, strict=True))
        condition, listener, item = (f"{name}{i}" for name, i in zip("cli", place, strict=True))
        answers.append(Answer(listener, item, item, condition, rating, is_anchor=False))
    line = np.array([[1.0, int(answer.condition[1:]) + 1] for answer in answers])
    means = [np.mean([a.rating for a in answers if a.condition == f"c{c}"]) for c in range(n)]
    expected = linregress(np.arange(n) + 1, means)
    (_, slope), notes = mixed_means(line, answers, random=("listener", "item", "condition"))
    assert notes == []
    assert slope.value == pytest.approx(expected.slope, abs=1e-6)
    half = norm.ppf(0.975) * expected.stderr
    assert (slope.high - slope.low) / 2 == pytest.approx(half, rel=0.02)
    (_, narrow), _ = mixed_means(line, answers)
    assert narrow.high - narrow.low < 0.5 * (slope.high - slope.low)


def test_kendalls_tau_is_that_of_scipy(tmp_path: Path) -> None:
    _, result = rated(tmp_path)
    means = [each.mean.value for each in result.conditions]
    expected = kendalltau([-each.score for each in result.conditions], means).statistic  # type: ignore[operator]
    assert result.tau is not None
    assert result.tau.value == pytest.approx(expected) == 1
    assert (result.tau.low, result.tau.high) == (1, 1)


def screened(tmp_path: Path, rates: dict[str, dict[str, float]], **settings: Any) -> RatingsResult:
    """Rate a test with a reference and an anchor, the same in each of seven trials."""
    write_sounds(tmp_path / "sounds", n=7)
    config = ListeningTestConfig(tmp_path / "sounds", reference="original", anchors=("worst",))
    test = export_listening_test(config, tmp_path / "test")
    files = []
    for listener, of_condition in rates.items():

        def rate(condition: str, item: str, of: dict[str, float] = of_condition) -> float:
            return of.get(f"{condition} {item}", of[condition])

        files.append(write_answers(tmp_path / f"{listener}.csv", test, listener, rate))
    return analyse_ratings(RatingsConfig(tmp_path / "test", tuple(files), **settings))


GOOD = {"original": 100.0, CONDITIONS[1]: 50.0, "worst": 5.0}


def test_listeners_who_fail_reference_or_anchor_are_told_and_left_out(tmp_path: Path) -> None:
    rates = {
        "careful": GOOD,
        "once": {**GOOD, "original item-0": 80.0},  # 1 of 7 is 14 %
        "twice": {**GOOD, "original item-0": 80.0, "original item-1": 89.0},
        "deaf": {**GOOD, "worst": 91.0},
    }
    result = screened(tmp_path, rates)
    assert result.listeners == ("careful", "once")
    assert result.failed == {
        "twice": "the reference below 90 in 2 of 7 trials",
        "deaf": "worst above 90 in 7 of 7 trials",
    }
    other = screened(tmp_path / "all", rates, keep_failed=True)
    assert len(other.listeners) == 4
    assert other.failed == result.failed
    with pytest.raises(
        ParameterError, match="all 1 listeners fail the screening; the first: worst"
    ):
        screened(tmp_path / "none", {"deaf": rates["deaf"]})


def test_one_listener_and_missing_answers_are_noted(tmp_path: Path) -> None:
    result = screened(tmp_path, {"only": GOOD})
    assert "There is one listener" in " ".join(result.notes)
    path = tmp_path / "only.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:-2]) + "\n")
    result = analyse_ratings(RatingsConfig(tmp_path / "test", (path,)))
    assert "Listener only has 19 of 21 answers." in result.notes


def test_ratings_that_are_all_equal_are_analysed(tmp_path: Path) -> None:
    same = dict.fromkeys(CONDITIONS, 90.0)
    result = screened(tmp_path, {"a": same, "b": same, "c": same})
    assert [each.mean.value for each in result.conditions] == pytest.approx([90, 90, 90])
    assert (result.tau, result.slope) == (None, None)


def test_pairs_that_are_told_apart_are_those_of_the_binomial_test(tmp_path: Path) -> None:
    test, _ = exported(tmp_path, kind="abx", repeats=5)
    right = {trial["trial"]: trial for trial in test.trials}

    def rate(item: str, trial: str) -> str:
        of = right[trial]
        if "worst" in of["stimuli"].values():
            return str(of["right"])
        other = next(name for name in of["stimuli"] if name != of["right"])
        return str(of["right"] if int(trial[1:], 16) % 2 else other)

    path = write_answers(tmp_path / "a.csv", test, "a", rate)
    result = analyse_ratings(RatingsConfig(tmp_path / "test" / "key.json", (path,)))
    assert len(result.pairs) == 3
    for pair in result.pairs:
        n_right = round(pair.n * pair.right.value)
        assert pair.n == 10
        bounds = binomtest(n_right, 10, 0.5).proportion_ci(0.95)
        assert (pair.right.low, pair.right.high) == pytest.approx((bounds.low, bounds.high))
        if "worst" in pair.pair:
            assert pair.right.value == 1
            assert pair.p == pytest.approx(3 * 0.5**10)  # Holm, the first of three
    assert result.sentence.startswith("1 listener can tell ")
    assert "p (Holm)" in result.table.columns


def test_listeners_who_mistake_an_anchor_fail_an_abx_test(tmp_path: Path) -> None:
    test, _ = exported(tmp_path, kind="abx", anchors=("worst",))
    right = {trial["trial"]: trial for trial in test.trials}

    def wrong(item: str, trial: str) -> str:
        names: list[str] = [*right[trial]["stimuli"]]
        return next(name for name in names if name != right[trial]["right"])

    good = write_answers(
        tmp_path / "good.csv", test, "good", lambda _, trial: right[trial]["right"]
    )
    bad = write_answers(tmp_path / "bad.csv", test, "bad", wrong)
    result = analyse_ratings(RatingsConfig(tmp_path / "test", (good, bad)))
    assert result.failed == {"bad": "an anchor mistaken in 4 of 4 trials"}


def test_without_statsmodels_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "statsmodels", None)
    with pytest.raises(
        MissingExtra, match=r'statsmodels is not installed.*"otoscope\[listening\]"'
    ):
        screened(tmp_path, {"only": GOOD})


def edited(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ('"answer"', '"grade"', "has no column 'answer'; its first line names test, listener"),
        ('"100.0"', '"101"', "line [0-9]+: the rating is '101', must be in 0 to 100"),
        ('"100.0"', '"nan"', "the rating is 'nan'"),
        ('"100.0"', '"high"', "the rating is 'high'"),
        ('"only"', '""', "listener is ''"),
        ("TEST", "deadbeef", "the answer is to test 'deadbeef', the key is of test"),
        ("TRIAL", "s0", "trial 's0' is none of the test"),
        ("STIMULUS", "s1", "stimulus 's1' is not in this trial"),
    ],
)
def test_answers_that_cannot_be_right_are_refused(
    old: str, new: str, match: str, tmp_path: Path
) -> None:
    screened(tmp_path, {"only": GOOD})
    key = json.loads((tmp_path / "test" / "key.json").read_text())
    last = key["trials"][-1]
    old = old.replace("TEST", key["test"]).replace("TRIAL", last["trial"])
    edited(tmp_path / "only.csv", old.replace("STIMULUS", next(iter(last["stimuli"]))), new)
    with pytest.raises(ParameterError, match=match):
        analyse_ratings(RatingsConfig(tmp_path / "test", (tmp_path / "only.csv",)))


def test_answers_of_one_name_count_once(tmp_path: Path) -> None:
    screened(tmp_path, {"only": GOOD})
    path = tmp_path / "only.csv"
    (tmp_path / "copy.csv").write_text(path.read_text())
    with pytest.raises(ParameterError, match=r"has answered this already in .*only.csv, line 2"):
        analyse_ratings(RatingsConfig(tmp_path / "test", (path, tmp_path / "copy.csv")))
    with pytest.raises(ParameterError, match=r"none\.csv is not there"):
        analyse_ratings(RatingsConfig(tmp_path / "test", (tmp_path / "none.csv",)))
    with pytest.raises(
        ParameterError, match=r"key.json is not there; give key.json, or the folder"
    ):
        analyse_ratings(RatingsConfig(tmp_path, (path,)))


def test_the_commands_export_and_analyse(tmp_path: Path) -> None:
    sounds = write_sounds(tmp_path / "sounds", n=3)
    words = ["listening-test", "export", str(sounds), "--reference", "original"]
    words += ["--out", str(tmp_path / "test"), "--json"]
    run = CliRunner().invoke(app, words)
    assert run.exit_code == 0, run.output
    printed = json.loads(run.stdout)
    assert printed["test"] == json.loads((tmp_path / "test" / "key.json").read_text())["test"]
    config = ListeningTestConfig(sounds, reference="original")
    test = export_listening_test(config, tmp_path / "again")
    assert test.test == printed["test"]
    rates = {**GOOD, "anchor 3.5 kHz": 20.0}
    for name in ("a", "b"):
        write_answers(tmp_path / f"{name}.csv", test, name, lambda condition, _: rates[condition])
    command = ["listening-test", "analyse", str(tmp_path / "test")]
    command += [str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]
    run = CliRunner().invoke(app, command)
    assert run.exit_code == 0, run.output
    assert "2 listeners rate original highest" in run.output
    run = CliRunner().invoke(app, [*command, "--json"])
    assert json.loads(run.stdout)["listeners"] == ["a", "b"]
    edited(tmp_path / "b.csv", '"5.0"', '"95"')
    edited(tmp_path / "b.csv", '"20.0"', '"95"')
    run = CliRunner().invoke(app, command)
    assert "b fails the screening, left out: anchor 3.5 kHz above 90 in 1 of 3 trials" in run.output
    run = CliRunner().invoke(app, [*command, "--keep-failed"])
    assert "b fails the screening, kept" in run.output

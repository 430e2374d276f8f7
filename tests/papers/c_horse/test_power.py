"""Simulated answers have the statistics asked for, and the verdicts on them their rates."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest, multivariate_normal

from otoscope.errors import ParameterError
from otoscope.intervene.statistics.power import (
    AnswerNoise,
    items_needed,
    measure_noise,
    probability_to_clear,
)
from otoscope.papers.c_horse import power
from otoscope.papers.c_horse.power import HorsePowerConfig, horse_power
from otoscope.papers.c_horse.simulated_answers import AnswerModel
from otoscope.papers.c_horse.verdict_rates import rate_row

MEASURED = AnswerModel(0.97, 0.9, 0.06, 0.15, 0.25)
GROUPS = np.repeat(np.arange(20_000), 3)


@pytest.fixture(scope="module")
def right() -> Any:
    """Draw answers to many items: unchanged, at two doses, at two placebos."""
    return MEASURED.draw(GROUPS, np.array([0.0, 0.3]), np.random.default_rng(0))


def test_simulated_answers_have_the_statistics_asked_for(right: Any) -> None:
    unchanged, dose, _, placebo, _ = right.T
    assert unchanged.mean() == pytest.approx(0.97, abs=0.005)
    assert dose.mean() == pytest.approx(placebo.mean(), abs=0.005)
    assert placebo.mean() == pytest.approx(0.9, abs=0.006)
    noise = measure_noise(dose.astype(int) - placebo, GROUPS)
    assert noise.flips == pytest.approx(0.06, abs=0.003)
    assert noise.correlation == pytest.approx(0.15, abs=0.03)
    assert noise.per_group == 3
    centred = (placebo - placebo.mean()).reshape(-1, 3)
    correlation = (centred[:, 0] * centred[:, 1]).mean() / centred.var()
    assert correlation == pytest.approx(0.25, abs=0.04)


def test_a_horse_is_wrong_more_often_by_its_strength(right: Any) -> None:
    _, _, dose, _, placebo = right.T
    assert (placebo & ~dose).mean() == pytest.approx(0.9 * 0.3, abs=0.03)


def test_latent_correlations_solve_the_equations_of_the_docstring() -> None:
    kept, shared_kept, shared_new = MEASURED.latent()
    threshold = 1.2815515655446004  # of 0.9

    def both(correlation: float) -> float:
        covariance = [[1, correlation], [correlation, 1]]
        return float(multivariate_normal([0, 0], covariance).cdf([threshold, threshold]))

    assert 2 * (0.9 - both(kept)) == pytest.approx(0.06, abs=1e-3)
    same = kept * shared_kept + (1 - kept) * shared_new
    assert both(same) == pytest.approx(0.81 + 0.25 * 0.09, abs=1e-3)
    assert both(same) - both(kept * shared_kept) == pytest.approx(0.15 * 0.06 / 2, abs=1e-3)


def test_as_many_items_as_planned_pass_both_tests_nine_times_in_ten() -> None:
    """The plan's probability, beside tests of drawn differences without a prior."""
    n = items_needed(0.05, AnswerNoise(0.06).error)
    rng, passed = np.random.default_rng(3), 0
    for _ in range(2000):
        d = rng.choice([-1, 0, 1], n, p=[0.03, 0.94, 0.03])
        passed += abs(d.mean()) + 1.6448536 * d.std() / math.sqrt(n) < 0.05
    assert passed / 2000 == pytest.approx(0.9, abs=0.02)
    assert probability_to_clear(n, 0.05, AnswerNoise(0.06).error) == pytest.approx(0.9, abs=0.005)
    assert probability_to_clear(n // 4, 0.05, AnswerNoise(0.06).error) < 0.3


def rate_of_cleared(n_items: int, flips: float, doses: tuple[float, ...], n_runs: int) -> float:
    """Interrogate simulated honest systems with the rules of the verdict."""
    config = HorsePowerConfig(
        flips=flips, correlation=0.05, n_artists=round(n_items / 16), n_clips=2, doses=doses
    )
    verdicts = [power._verdict(config, 0.0, seed) for seed in range(n_runs)]
    return verdicts.count("cleared") / n_runs


@pytest.mark.parametrize(
    ("flips", "doses", "n_runs"),
    [
        (0.034, (-6.0, 6.0), 40),
        pytest.param(0.034, (-6.0, -4.0, -2.0, 2.0, 4.0, 6.0), 100, marks=pytest.mark.slow),
        pytest.param(0.07, (-6.0, 6.0), 100, marks=pytest.mark.slow),
    ],
)
def test_as_many_items_as_planned_are_cleared_by_the_verdict(
    flips: float, doses: tuple[float, ...], n_runs: int
) -> None:
    """Nine honest systems in ten; with half the items many fewer. (The seeds are fixed.)"""
    noise = AnswerNoise(flips, 0.05, 2)
    n = items_needed(
        0.05, noise.error, n_doses=len(doses), design=noise.design, per_group=noise.per_group
    )
    assert rate_of_cleared(n, flips, doses, n_runs) >= 0.8
    assert rate_of_cleared(n // 2, flips, doses, n_runs) <= 0.6


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: AnswerNoise(0.0), "flips is 0"),
        (lambda: AnswerNoise(0.1, 2), "correlation 2"),
        (lambda: items_needed(0.0, 0.2), "max_change is 0"),
        (lambda: items_needed(0.05, math.inf), "error inf"),
        (lambda: items_needed(0.05, 0.2, design=0.5), "design is 0.5"),
        (lambda: measure_noise([0, 0], ["a", "b"]), "0 differences"),
        (lambda: AnswerModel(0.9, 0.9, 0.5, 0, 0), "flips at most 0.18"),
        (lambda: AnswerModel(0.9, 0.9, 0.1, 2, 0), "correlation is 2"),
        (lambda: HorsePowerConfig(strengths=(2.0,)), "strengths are"),
        (lambda: HorsePowerConfig(n_artists=1), "n_artists is 1"),
    ],
)
def test_numbers_out_of_range_are_named(make: Any, match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        make()


def test_quick_experiment_resumes_and_counts_verdicts(tmp_path: Path) -> None:
    verdicts, power = horse_power(HorsePowerConfig.quick(), tmp_path)
    assert [row[0] for row in verdicts.rows] == ["honest", "horse"]
    assert verdicts.rows[1][-1].startswith("4 of 4 ")
    assert len(power.rows) == 2
    record = json.loads((tmp_path / "horse_power.json").read_text())
    assert sum(record["counts"]["honest"].values()) == 4
    assert (tmp_path / "horse_power.svg").exists()


def test_rates_have_exact_intervals() -> None:
    interval = binomtest(9, 10).proportion_ci(0.95)
    row = rate_row("a", ["cleared"] * 9 + ["chance"])
    assert row[:2] == ("a", f"9 of 10 [{interval.low:.1%}, {interval.high:.1%}]")
    assert row[2].startswith("1 of 10 ")


@pytest.mark.slow
def test_honest_systems_are_cleared_and_horses_found_at_the_recommended_size(
    tmp_path: Path,
) -> None:
    verdicts, _ = horse_power(HorsePowerConfig(n_curve=1), tmp_path)
    (_, cleared, _, accused), (_, _, _, caught) = verdicts.rows
    assert int(cleared.split()[0]) >= 0.9 * 300
    assert int(accused.split()[0]) <= 0.05 * 300
    assert int(caught.split()[0]) >= 0.95 * 300

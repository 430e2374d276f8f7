"""Populations of tunes: distances are scipy's, planted differences are found, noise is not."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

from otoscope.errors import ParameterError
from otoscope.folk.abc import NotationError
from otoscope.folk.data import generate_tune
from otoscope.folk.metrics import (
    PopulationDistance,
    TuneCheck,
    check_tune,
    compare_tunes,
    tune_figures,
)
from otoscope.folk.tokens import get_tokeniser


@functools.cache
def book(seed: int, n: int, meter: str | None = None) -> tuple[TuneCheck, ...]:
    return tuple(check_tune(generate_tune(seed, i, meter=meter)) for i in range(n))


def by_name(distances: tuple[PopulationDistance, ...]) -> dict[tuple[str, str], PopulationDistance]:
    return {(distance.aspect, distance.kind): distance for distance in distances}


def notes(checks: tuple[TuneCheck, ...]) -> list[int]:
    return [check.features.notes for check in checks if check.features]


def test_distances_are_those_of_scipy() -> None:
    ours, theirs = book(0, 30), book(1, 50)
    result = by_name(compare_tunes(ours, theirs, n_draws=10))
    x, y = notes(ours), notes(theirs)
    ks = result["notes", "Kolmogorov-Smirnov"].value.value
    assert ks == pytest.approx(scipy.stats.ks_2samp(x, y).statistic)
    area = result["notes", "Wasserstein"].value.value
    assert area == pytest.approx(scipy.stats.wasserstein_distance(x, y))
    meters = [
        [check.features.meter for check in checks if check.features] for checks in (ours, theirs)
    ]
    shares = [
        abs(meters[0].count(meter) / 30 - meters[1].count(meter) / 50)
        for meter in {*meters[0], *meters[1]}
    ]
    assert result["meter", "total variation"].value.value == pytest.approx(sum(shares) / 2)


def test_p_is_that_of_all_exchanges() -> None:
    """With many generated tunes and few real ones, whose mean moves most."""
    ours, theirs = book(0, 12), book(1, 3)
    x, y = notes(ours), notes(theirs)
    exact = scipy.stats.permutation_test(
        (x, y), scipy.stats.wasserstein_distance, alternative="greater", n_resamples=np.inf
    )
    result = by_name(compare_tunes(ours, theirs, n_draws=2000))["notes", "Wasserstein"]
    assert result.p == pytest.approx(exact.pvalue, abs=0.05)
    assert exact.pvalue > 0.2


def test_planted_difference_is_found_and_the_rest_is_not() -> None:
    result = by_name(compare_tunes(book(0, 40, "6/8"), book(1, 60), book(2, 80), n_draws=500))
    meter = result["meter", "total variation"]
    assert meter.p_holm < 0.05
    assert meter.floor is not None
    assert meter.value.low > meter.floor.high
    mode = result["mode", "total variation"]
    assert mode.p_holm > 0.05
    assert result["form", "total variation"].value.value == 0
    assert result["form", "total variation"].p == 1


def test_same_population_stays_within_the_floor() -> None:
    distances = compare_tunes(book(0, 40), book(1, 60), book(2, 80), n_draws=500)
    assert min(distance.p_holm for distance in distances) > 0.05
    inside = [
        distance.floor is not None and distance.value.value <= distance.floor.high
        for distance in distances
    ]
    assert np.mean(inside) > 0.7


def test_interval_holds_the_value_and_seed_decides() -> None:
    first = compare_tunes(book(0, 30), book(1, 30), n_draws=200)
    for distance in first:
        assert distance.value.low <= distance.value.value <= distance.value.high + 1e-12
        assert distance.p <= distance.p_holm <= 1
        assert distance.floor is None
    assert first == compare_tunes(book(0, 30), book(1, 30), n_draws=200)
    assert first != compare_tunes(book(0, 30), book(1, 30), n_draws=200, seed=1)


def test_lengths_in_other_units_scale_only_wasserstein() -> None:
    ours, theirs = book(0, 20), book(1, 20)

    def doubled(checks: tuple[TuneCheck, ...]) -> list[TuneCheck]:
        return [
            replace(check, features=replace(check.features, notes=2 * check.features.notes))
            for check in checks
            if check.features
        ]

    once = by_name(compare_tunes(ours, theirs, n_draws=10))
    twice = by_name(compare_tunes(doubled(ours), doubled(theirs), n_draws=10))
    for kind, factor in (("Kolmogorov-Smirnov", 1), ("Wasserstein", 2)):
        expected = factor * once["notes", kind].value.value
        assert twice["notes", kind].value.value == pytest.approx(expected)


def test_what_cannot_be_read_is_an_aspect_only_if_some_cannot() -> None:
    unreadable = check_tune(NotationError("x", reason="x"))
    ours, theirs = [*book(0, 6), unreadable, unreadable], [*book(1, 9), unreadable]
    assert "can be read" not in {d.aspect for d in compare_tunes(ours[:6], theirs[:9], n_draws=9)}
    found = compare_tunes(ours, theirs, theirs, n_draws=9)[-1]
    assert found.aspect == "can be read"
    assert found.value.value == pytest.approx(9 / 10 - 6 / 8)
    figure = tune_figures(ours, theirs)[-1]
    assert dict(zip(figure.labels, figure.generated, strict=True))["True"] == pytest.approx(6 / 8)


def test_too_few_tunes_are_refused() -> None:
    unreadable = check_tune(NotationError("x", reason="x"))
    with pytest.raises(ParameterError, match="1 generated and 5 held-out tunes can be read"):
        compare_tunes([*book(0, 1), unreadable], book(1, 5))
    with pytest.raises(ParameterError, match="n_draws is 0"):
        compare_tunes(book(0, 5), book(1, 5), n_draws=0)


def test_figures_are_the_distributions_that_the_distances_compare() -> None:
    ours, theirs = book(0, 30), book(1, 50)
    distances = by_name(compare_tunes(ours, theirs, n_draws=5))
    for figure in tune_figures(ours, theirs):
        difference = np.abs(np.subtract(figure.generated, figure.held_out))
        kind = "total variation" if figure.labels else "Kolmogorov-Smirnov"
        value = difference.sum() / 2 if figure.labels else difference.max(initial=0)
        assert distances[figure.aspect, kind].value.value == pytest.approx(value)
        if figure.labels:
            assert sum(figure.generated) == pytest.approx(1)


def test_aspects_of_tokens_are_counted_by_hand() -> None:
    rows = [["M:4/4", "K:Cmaj", "C", "2", "^F", "|", "c'"], None, ["M:4/4", "K:Cmaj", "G,", "z"]]
    checks = book(0, 3)
    figures = {f.aspect: f for f in tune_figures(checks, checks[:1], tokens=[rows, rows[:1]])}
    pitches = figures["pitch tokens"]
    assert pitches.labels == ("G,", "C", "^F", "c'")
    assert pitches.generated == pytest.approx((1 / 3, 1 / 9, 1 / 9, 1 / 9))
    assert figures["first pitch"].labels == ("", "C", "G,")
    assert figures["last pitch"].held_out == (0, 0, 1)
    assert figures["tokens"].values == (0, 4, 7)


def test_equal_populations_have_no_distance() -> None:
    real = [generate_tune(3, i) for i in range(60)]
    checks = [check_tune(tune) for tune in real]
    tokens = [get_tokeniser("v2").tokens(tune) for tune in real]
    same = by_name(compare_tunes(checks, checks, tokens=[tokens, tokens, ()], n_draws=50))
    assert {distance.value.value for distance in same.values()} == {0}

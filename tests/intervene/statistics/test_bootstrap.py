"""Intervals hold true scores as often as they say; exact tests equal their formulas."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otoscope.errors import ParameterError
from otoscope.intervene.statistics.bootstrap import (
    GroupBootstrap,
    MetricName,
    check_classes,
)
from otoscope.intervene.statistics.chance import chance_level
from otoscope.intervene.statistics.confound import confound_only
from otoscope.intervene.statistics.significance import cochran_q, fisher_falls, holm, mcnemar

METRICS: tuple[MetricName, ...] = ("mean_recall", "accuracy")


def groups_of(n_groups: int, size: int) -> list[str]:
    return [f"artist {i}" for i in range(n_groups) for _ in range(size)]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), min_size=2, max_size=30))
def test_scores_equal_their_definition(items: list[tuple[str, bool]]) -> None:
    labels, right = [label for label, _ in items], [so for _, so in items]
    recalls = [
        np.mean([so for label, so in items if label == name]) for name in sorted(set(labels))
    ]
    assert GroupBootstrap(labels).score(right) == pytest.approx(np.mean(recalls))
    by_item = GroupBootstrap(labels, metric="accuracy")
    assert by_item.score(right) == pytest.approx(np.mean(right))


@pytest.mark.parametrize("metric", METRICS)
def test_draws_weight_whole_groups(metric: MetricName) -> None:
    """The oracle weights groups by a loop; both find the same spread, without and with a prior."""
    rng = np.random.default_rng(0)
    labels = np.array(rng.choice(["a", "b", "c"], 120))
    groups, right = groups_of(20, 6), rng.random(120) < 0.6
    for prior in (0.0, 0.5):
        result = GroupBootstrap(
            labels.tolist(), groups, metric=metric, n_draws=8000, seed=1, prior=prior
        ).estimate(right)
        drawn = []
        occurring = [len({groups[i] for i in np.flatnonzero(labels == name)}) for name in "abc"]
        shape = 1 - 1 / (np.mean(occurring) if metric == "mean_recall" else 20)
        for _ in range(4000):
            weights = np.repeat(rng.gamma(shape, size=20), 6)
            classes = [labels == name for name in "abc"]
            if metric == "accuracy":
                classes = [np.ones(120, bool)]
            recalls = []
            for rows in classes:
                size = rows.sum() / len({groups[i] for i in np.flatnonzero(rows)})
                good, bad = size * rng.gamma(prior / len(classes), size=2) if prior else (0, 0)
                n_right, n_rows = weights[rows] @ right[rows] + good, weights[rows].sum()
                recalls.append(n_right / (n_rows + good + bad))
            drawn.append(np.mean(recalls))
        np.testing.assert_allclose(
            [result.low, result.high], np.quantile(drawn, [0.025, 0.975]), atol=0.015
        )


@pytest.mark.parametrize(("right", "n"), [(24, 24), (23, 24), (0, 24), (59, 60), (30, 60)])
def test_of_one_class_the_interval_is_close_to_that_of_jeffreys(right: int, n: int) -> None:
    beta = pytest.importorskip("scipy.stats").beta
    bootstrap = GroupBootstrap(["a"] * n, metric="accuracy", n_draws=40_000)
    result = bootstrap.estimate([1] * right + [0] * (n - right))
    low, high = beta.ppf([0.025, 0.975], right + 0.5, n - right + 0.5)
    expected = (0 if right == 0 else low, 1 if right == n else high)
    assert (result.low, result.high) == pytest.approx(expected, abs=0.25 / n)


@pytest.mark.parametrize(
    ("truth", "per_class", "least"),
    [
        ([0.97], 24, 0.92),
        ([0.99, 0.99, 0.99], 8, 0.92),
        ([0.9, 0.9, 0.9], 8, 0.92),
        ([1.0, 1.0, 0.7], 8, 0.92),
        ([0.98] * 8, 6, 0.92),
        ([0.9] * 8, 3, 0.92),
        ([1.0], 12, 1.0),
    ],
)
def test_intervals_at_the_edge_hold_the_truth(
    truth: list[float], per_class: int, least: float
) -> None:
    """By simulation; where 24 of 24 are right, resampling alone would say [1, 1] each time."""
    rng, held, runs = np.random.default_rng(0), 0.0, 200
    labels = np.repeat([str(i) for i in range(len(truth))], per_class).tolist()
    for _ in range(runs):
        right = rng.random(len(labels)) < np.repeat(truth, per_class)
        result = GroupBootstrap(labels, n_draws=300).estimate(right)
        held += result.low <= np.mean(truth) <= result.high
    assert held >= least * runs


@pytest.mark.parametrize(
    ("lost", "gained", "n", "least"),
    [(0.0, 0.0, 24, 1.0), (0.02, 0.0, 24, 0.92), (0.1, 0.1, 24, 0.88), (0.33, 0.0, 24, 0.9)],
)
def test_intervals_of_rare_changes_hold_the_truth(
    lost: float, gained: float, n: int, least: float
) -> None:
    """By simulation; resampling alone holds a loss of 2 % in 38 % of runs."""
    rng, held, runs = np.random.default_rng(0), 0, 200
    labels = ["a", "b", "c"] * (n // 3)
    for _ in range(runs):
        u = rng.random(n)
        before = u >= gained
        result = GroupBootstrap(labels, n_draws=300).difference(before, u < 1 - lost)
        held += result.low <= gained - lost <= result.high
    assert held >= least * runs


def test_a_change_of_nothing_has_a_width_that_shrinks_with_the_items() -> None:
    widths = []
    for n in (24, 48, 96):
        same = GroupBootstrap(["a", "b"] * (n // 2)).difference([1] * n, [1] * n)
        assert same.low == pytest.approx(-same.high)
        assert same.low < same.value == 0
        widths.append(same.high)
    assert widths[0] > 1.6 * widths[1] > 2.5 * widths[2]
    assert widths[0] < 0.08  # with half of the prior of a score


def test_intervals_over_groups_hold_the_truth_and_those_over_items_do_not() -> None:
    truth, held = 0.6, {"groups": 0, "items": 0}
    groups, labels = groups_of(30, 8), ["a", "b"] * 120
    for run in range(200):
        rng = np.random.default_rng(run)
        skill = np.repeat(rng.beta(1.2, 0.8, 30), 8)  # artists differ; the mean is the truth
        right = rng.random(240) < skill
        for name, by in (("groups", groups), ("items", None)):
            result = GroupBootstrap(labels, by, metric="accuracy", n_draws=300).estimate(right)
            held[name] += result.low <= truth <= result.high
    assert held["groups"] >= 0.9 * 200
    assert held["items"] < 0.75 * 200


def test_differences_are_paired() -> None:
    rng = np.random.default_rng(0)
    labels, right = ["a", "b"] * 100, rng.random(200) < 0.5
    bootstrap = GroupBootstrap(labels)
    same = GroupBootstrap(labels, prior=0).difference(right, right)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    other = right.copy()
    other[:10] = ~other[:10]
    result, alone = bootstrap.difference(right, other), bootstrap.estimate(other)
    assert result.value == pytest.approx(bootstrap.score(other) - bootstrap.score(right))
    assert result.high - result.low < (alone.high - alone.low) / 2
    back = bootstrap.difference(other, right)
    assert (back.low, back.high) == pytest.approx((-result.high, -result.low))


def test_shares_do_not_weigh_classes() -> None:
    bootstrap = GroupBootstrap(["a"] * 9 + ["b"])
    assert bootstrap.mean([1] * 9 + [11]).value == 2


def test_same_seed_same_interval_and_without_a_prior_all_right_is_a_point() -> None:
    labels = ["a", "b"] * 20
    right = np.arange(40) % 3 > 0
    assert GroupBootstrap(labels).estimate(right) == GroupBootstrap(labels).estimate(right)
    assert GroupBootstrap(labels, seed=1).estimate(right) != GroupBootstrap(labels).estimate(right)
    sure = GroupBootstrap(labels, prior=0).estimate(np.ones(40))
    assert (sure.low, sure.value, sure.high, sure.level) == (1, 1, 1, 0.95)
    with pytest.raises(ParameterError, match="prior is -1"):
        GroupBootstrap(labels, prior=-1)


def test_recalls_of_classes_are_those_of_classes_alone() -> None:
    labels, right = ["a"] * 8 + ["b"] * 8, [1] * 16
    other = [0] * 8 + [1] * 7 + [0]
    changes = GroupBootstrap(labels, n_draws=20_000).recall_differences(right, other)
    assert [changes[name].value for name in "ab"] == [-1, -0.125]
    for name, rows in (("a", slice(8)), ("b", slice(8, 16))):
        alone = GroupBootstrap(labels[rows], n_draws=20_000).difference(right[rows], other[rows])
        assert changes[name].low == pytest.approx(alone.low, abs=0.03)
        assert changes[name].high == pytest.approx(alone.high, abs=0.03)


@given(st.integers(1, 12), st.data())
def test_fishers_test_is_that_of_scipy(n: int, data: st.DataObject) -> None:
    stats = pytest.importorskip("scipy.stats")
    before, after = (data.draw(st.integers(0, n)) for _ in range(2))
    table = [[after, n - after], [before, n - before]]
    expected = stats.fisher_exact(table, alternative="less").pvalue
    assert float(fisher_falls(before, after, n)) == pytest.approx(expected)


def test_wrong_input_is_named() -> None:
    with pytest.raises(ParameterError, match="4 items in 1 group"):
        GroupBootstrap(["a", "b"] * 2, ["same"] * 4)
    with pytest.raises(ParameterError, match="0 items in 0 group"):
        GroupBootstrap([])
    with pytest.raises(ParameterError, match="3 groups for 2 labels"):
        GroupBootstrap(["a", "b"], ["x"] * 3)
    with pytest.raises(ParameterError, match="metric is 'recall'"):
        GroupBootstrap(["a", "b"], metric="recall")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="n_draws is 5"):
        GroupBootstrap(["a", "b"], n_draws=5)
    with pytest.raises(ParameterError, match=r"shape \(3,\), must be \[2\]"):
        GroupBootstrap(["a", "b"]).score([1, 0, 1])
    with pytest.raises(ParameterError, match="finite"):
        GroupBootstrap(["a", "b"]).mean([1, math.nan])


def test_labels_of_one_class_or_one_item_a_class_are_refused() -> None:
    check_classes(["a", "a", "b", "b"])
    with pytest.raises(ParameterError, match="all 3 items are of class 'a'"):
        check_classes(["a"] * 3)
    with pytest.raises(ParameterError, match=r"2 of 3 classes have one item.*'b', 'c'"):
        check_classes(["a", "a", "b", "c"])


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=24))
def test_mcnemar_is_twice_the_tail_of_a_fair_coin(pairs: list[tuple[bool, bool]]) -> None:
    lost = sum(before and not after for before, after in pairs)
    gained = sum(after and not before for before, after in pairs)
    n, k = lost + gained, min(lost, gained)
    tail = sum(math.comb(n, i) for i in range(k + 1)) / 2**n
    before, after = [p[0] for p in pairs], [p[1] for p in pairs]
    assert mcnemar(before, after) == pytest.approx(min(1, 2 * tail))


def test_mcnemar_of_the_paper() -> None:
    """LDA at -4 %: 69 lost, 16 gained."""
    right = [True] * 69 + [False] * 16 + [True] * 50
    other = [False] * 69 + [True] * 16 + [True] * 50
    assert mcnemar(right, other) == pytest.approx(5.24e-9, rel=0.01)
    with pytest.raises(ParameterError, match="shapes"):
        mcnemar([True], [True, False])


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_is_its_definition(p_values: list[float]) -> None:
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    expected, largest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1, (len(p_values) - rank) * p_values[i]))
        expected[i] = largest
    assert holm(p_values) == pytest.approx(expected)


def test_holm_is_that_of_statsmodels() -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p_values = [0.03, 0.001, 0.2, 0.03, 0.0, 1.0]
    assert holm(p_values) == pytest.approx(multitest.multipletests(p_values, method="holm")[1])


def test_cochran_q_is_its_formula_and_mcnemar_with_two_doses() -> None:
    right = np.random.default_rng(0).random((40, 5)) < [0.9, 0.8, 0.5, 0.7, 0.9]
    k, columns, rows = 5, right.sum(0), right.sum(1)
    q = k * (k - 1) * ((columns - columns.mean()) ** 2).sum() / (rows * (k - rows)).sum()
    result = cochran_q(right)
    assert result.statistic == pytest.approx(q)
    assert result.df == 4
    assert result.p < 0.01
    lost, gained = (right[:, 0] & ~right[:, 2]).sum(), (right[:, 2] & ~right[:, 0]).sum()
    two = cochran_q(right[:, [0, 2]])
    assert two.statistic == pytest.approx((lost - gained) ** 2 / (lost + gained))


def test_cochran_q_of_answers_that_never_change_is_one() -> None:
    assert cochran_q([[1, 1], [0, 0]]).p == 1
    with pytest.raises(ParameterError, match="2 doses"):
        cochran_q([[1], [0]])


@given(
    rows=st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=2, max_size=20).filter(
        lambda rows: any(len(set(row)) > 1 for row in rows)
    )
)
def test_cochrans_q_is_that_of_statsmodels(rows: list[list[bool]]) -> None:
    tables = pytest.importorskip("statsmodels.stats.contingency_tables")
    result, expected = cochran_q(rows), tables.cochrans_q(np.array(rows, dtype=int))
    assert result.statistic == pytest.approx(expected.statistic)
    assert result.p == pytest.approx(expected.pvalue)
    assert result.df == expected.df


def test_chance_is_the_mean_over_all_deals() -> None:
    labels, answers = ["a", "a", "b", "b", "c"], ["a", "b", "b", "a", "b"]
    truth = np.mean(
        [np.mean([x == y for x, y in zip(p, labels, strict=True)]) for p in permutations(answers)]
    )
    result = chance_level(labels, answers, metric="accuracy", n_draws=4000)
    assert result.p + result.p_below >= 1
    assert result.mean == pytest.approx(truth, abs=0.015)
    assert result.low <= result.mean <= result.high


def test_p_of_chance_is_small_for_one_who_listens_and_uniform_for_one_who_does_not() -> None:
    labels = ["a", "b", "c"] * 20
    assert chance_level(labels, labels, n_draws=199).p == 1 / 200
    contrary = [{"a": "b", "b": "c", "c": "a"}[label] for label in labels]
    assert chance_level(labels, contrary, n_draws=199).p_below == 1 / 200
    assert chance_level(labels, contrary, n_draws=199).p == 1
    rng = np.random.default_rng(0)
    p_values = [
        chance_level(labels, rng.permutation(labels).tolist(), n_draws=99).p for _ in range(200)
    ]
    assert np.mean(np.array(p_values) <= 0.1) < 0.17
    with pytest.raises(ParameterError, match="1 answers for 60 labels"):
        chance_level(labels, ["a"])


def test_answers_of_a_group_are_dealt_out_together() -> None:
    """One answer an artist: thirty items are worth no more than six."""
    labels = [label for label in "aaabbb" for _ in range(5)]
    groups = groups_of(6, 5)
    assert chance_level(labels, labels, n_draws=199).p < 0.01
    assert chance_level(labels, labels, groups=groups, n_draws=999).p == pytest.approx(
        1 / 20, abs=0.03
    )


def test_the_confound_alone_finds_what_it_knows_and_no_more() -> None:
    rng = np.random.default_rng(0)
    labels = ["jive", "waltz"] * 60
    tempo = np.where(np.asarray(labels) == "jive", 170, 88) + rng.normal(size=120)
    assert confound_only(tempo, labels).mean() > 0.98
    assert 0.3 < confound_only(rng.normal(size=(120, 2)), labels).mean() < 0.7
    both = np.stack([1000 * rng.normal(size=120), tempo], axis=1)
    assert confound_only(both, labels).mean() > 0.9


def test_groups_are_left_out_as_a_whole() -> None:
    """The confound names the artist, whose classes are random: known artists give it away."""
    rng = np.random.default_rng(0)
    styles = np.array(["a", "b"] * 20)
    labels, groups = np.repeat(styles, 5).tolist(), groups_of(40, 5)
    artist = np.repeat(rng.permutation(40).astype(float), 5)
    assert confound_only(artist, labels, n_neighbours=3).mean() > 0.9
    assert confound_only(artist, labels, groups, n_neighbours=3).mean() < 0.75


def test_a_confound_that_cannot_be_used_is_named() -> None:
    labels = ["a", "b"] * 4
    with pytest.raises(ParameterError, match="must be numbers"):
        confound_only(["slow", "fast"] * 4, labels)
    with pytest.raises(ParameterError, match=r"shape \(7,\)"):
        confound_only(range(7), labels)
    with pytest.raises(ParameterError, match="finite"):
        confound_only([math.nan] * 8, labels)
    with pytest.raises(ParameterError, match="two folds"):
        confound_only(range(8), labels, ["one"] * 8)
    with pytest.raises(ParameterError, match="two folds"):
        confound_only(range(3), ["a", "b", "c"])
    with pytest.raises(ParameterError, match="n_folds 1"):
        confound_only(range(8), labels, n_folds=1)
    with pytest.raises(ParameterError, match="2 groups for 8"):
        confound_only(range(8), labels, ["x", "y"])


def test_chance_of_groups_that_hold_every_class_is_not_the_score_itself() -> None:
    labels, groups = ["a", "b"] * 30, [str(i // 2) for i in range(60)]
    result = chance_level(labels, labels, groups=groups)
    assert result.p < 0.01
    assert 0.3 < result.low < result.mean < result.high < 0.7

"""Splits keep factors apart; planted effects are found; what cannot be split is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from otoscope.errors import ParameterError
from otoscope.intervene.statistics.bootstrap import GroupBootstrap
from otoscope.intervene.statistics.regulated import RegulatedBootstrap, RegulatedResult

Indices = NDArray[np.intp]
LABELS = ["waltz"] * 40 + ["tango"] * 40
ARTISTS = [f"artist {i // 8}" for i in range(80)]


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("vwxyz")), min_size=8, max_size=60),
    st.integers(1, 6),
    st.integers(0, 2**32),
)
def test_splits_are_what_they_are_said_to_be(
    items: list[tuple[str, str]], n_regulated: int, seed: int
) -> None:
    labels, factor = [label for label, _ in items], [value for _, value in items]
    try:
        bootstrap = RegulatedBootstrap(labels, factor, n_regulated)
    except ParameterError:
        return
    split = bootstrap.split(np.random.default_rng(seed))
    for name in "ab":
        train, test, regulated = (
            [i for i in part if labels[i] == name]
            for part in (split.train, split.unregulated, split.regulated)
        )
        known = {factor[i] for i in train}
        assert len(regulated) == len(set(regulated)) >= n_regulated
        assert {factor[i] for i in regulated}.isdisjoint(known)
        assert set(test).isdisjoint(train)
        assert len(test) > 0
        rest = {i for i in range(len(items)) if labels[i] == name} - set(train) - set(test)
        assert rest <= set(regulated)  # put aside


def test_training_draws_as_many_as_it_can_draw_from() -> None:
    split = RegulatedBootstrap(LABELS, ARTISTS, n_regulated=9).split(np.random.default_rng(0))
    per_class = Counter(LABELS[i] for i in split.train)
    assert per_class == {"waltz": 24, "tango": 24}  # two of five artists are put aside
    assert len(split.regulated) == 32


def test_factors_that_are_never_drawn_need_no_setting_aside() -> None:
    """A factor value per item: a third is never drawn, and is both tests."""
    labels = ["a", "b"] * 50
    bootstrap = RegulatedBootstrap(labels, [str(i) for i in range(100)], n_regulated=5)
    split = bootstrap.split(np.random.default_rng(0))
    np.testing.assert_array_equal(split.unregulated, split.regulated)


def knows_artists(labels: Sequence[str]) -> Callable[[Indices], Any]:
    """Right of artists it has met; of others, and if silenced, it says what is wrong."""

    def train(items: Indices) -> Callable[[Indices, str], list[str]]:
        known = {ARTISTS[i] for i in items}

        def answers(tested: Indices, condition: str) -> list[str]:
            hears = condition != "silenced"
            return [labels[i] if hears and ARTISTS[i] in known else "?" for i in tested]

        return answers

    return train


def test_a_system_that_knows_artists_and_nothing_else() -> None:
    bootstrap = RegulatedBootstrap(LABELS, ARTISTS, n_regulated=8)
    result = bootstrap.run(
        knows_artists(LABELS), iterations=60, conditions=("as it is", "silenced")
    )
    known, new = result.scores()
    assert (known.value, new.value) == (1, 0)
    assert result.effect().low == result.effect().high == 1
    assert result.effect("silenced").value == 0
    assert result.interaction("silenced").value == -1


def test_a_system_that_knows_classes_has_no_effect() -> None:
    bootstrap = RegulatedBootstrap(LABELS, ARTISTS, n_regulated=8, metric="accuracy")
    result = bootstrap.run(lambda _: lambda tested, __: [LABELS[i] for i in tested], iterations=40)
    assert result.effect().value == 0
    assert result.scores()[1].value == 1


def test_each_system_is_trained_once_and_asked_once_a_condition() -> None:
    asked: list[str] = []

    def train(items: Indices) -> Callable[[Indices, str], list[str]]:
        asked.append("train")

        def answers(tested: Indices, condition: str) -> list[str]:
            asked.append(condition)
            assert len(set(tested.tolist())) == len(tested)
            return ["waltz"] * len(tested)

        return answers

    shown: list[int] = []

    def progress(items: Sequence[int], _: str) -> Iterable[int]:
        for item in items:
            shown.append(item)
            yield item

    bootstrap = RegulatedBootstrap(LABELS, ARTISTS, n_regulated=8)
    bootstrap.run(train, iterations=20, conditions=("x", "y"), progress=progress)
    assert asked == ["train", "x", "y"] * 20
    assert shown == list(range(20))


def test_same_seed_same_splits() -> None:
    bootstrap = RegulatedBootstrap(LABELS, ARTISTS, n_regulated=8)
    trained: list[list[int]] = []

    def train(items: Indices) -> Callable[[Indices, str], list[str]]:
        trained.append(items.tolist())
        return lambda tested, _: ["waltz"] * len(tested)

    for seed in (0, 0, 1):
        bootstrap.run(train, iterations=20, seed=seed)
    assert trained[:20] == trained[20:40]
    assert trained[:20] != trained[40:]


def test_intervals_are_as_wide_as_those_of_two_factors() -> None:
    bootstrap = GroupBootstrap(["a", "b"] * 30)
    known, new = np.random.default_rng(0).random((2, 1, 60))
    narrow, wide = (
        bootstrap.difference(new[0], known[0]),
        RegulatedResult(("x",), known, new, bootstrap),
    )
    result = wide.effect()
    assert result.value == narrow.value
    assert result.high - result.low == pytest.approx(2**0.5 * (narrow.high - narrow.low))


def test_a_class_that_leaves_no_regulated_items_is_named() -> None:
    with pytest.raises(ParameterError, match=r"'tango' leaves no 8.* 40 share the factor 'Gardel'"):
        RegulatedBootstrap(LABELS, ARTISTS[:40] + ["Gardel"] * 40, n_regulated=8)
    with pytest.raises(ParameterError, match="n_regulated <= 32 or add items"):
        RegulatedBootstrap(LABELS, ARTISTS, n_regulated=33)
    RegulatedBootstrap(LABELS, ARTISTS, n_regulated=32)
    with pytest.raises(ParameterError, match="n_regulated is 0"):
        RegulatedBootstrap(LABELS, ARTISTS, n_regulated=0)
    with pytest.raises(ParameterError, match="one item"):
        RegulatedBootstrap(["a", "b"], ["x", "y"], n_regulated=1)
    with pytest.raises(ParameterError, match="class 'a'"):
        RegulatedBootstrap(["a"] * 4, list("xxyy"), n_regulated=1)
    with pytest.raises(ParameterError, match="2 factors for 80 labels"):
        RegulatedBootstrap(LABELS, ["x", "y"], n_regulated=1)


def test_wrong_use_is_named() -> None:
    bootstrap = RegulatedBootstrap(LABELS, ARTISTS, n_regulated=8)
    with pytest.raises(ParameterError, match=r"answers of shape \(1,\)"):
        bootstrap.run(lambda _: lambda __, ___: ["waltz"])
    with pytest.raises(ParameterError, match="0 iterations"):
        bootstrap.run(knows_artists(LABELS), iterations=0)
    with pytest.raises(ParameterError, match="iterations is 1: no item of tango, waltz"):
        bootstrap.run(knows_artists(LABELS), iterations=1)
    result = bootstrap.run(knows_artists(LABELS), iterations=40)
    with pytest.raises(ParameterError, match="'loud'; there are 'as it is'"):
        result.effect("loud")

"""Layers that hold a concept by construction, or do not; outputs that use it, or do not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from otoscope.errors import ParameterError
from otoscope.explain.concepts import (
    ConceptRows,
    analyse_layer,
    group_splits,
    layer_gradients,
    sign_agreement,
)
from otoscope.explain.concepts.vectors import concept_vectors, random_vectors
from otoscope.taps import Tap

N, UNITS = 24, 12


def rows(direction: Any, strength: float, *, seed: int = 0, paired: bool = True) -> ConceptRows:
    """Make activations: groups differ, and the concept moves them along a direction."""
    rng = np.random.default_rng(seed)
    base = rng.normal(size=(N, UNITS))
    other = base if paired else rng.normal(size=(N, UNITS))
    noise = 0.1 * rng.normal(size=(2, N, UNITS))
    positive, negative = base + strength * np.asarray(direction) + noise[0], other + noise[1]
    groups = tuple(f"font {i}" for i in range(N))
    others = groups if paired else tuple(f"other {i}" for i in range(N))
    return ConceptRows("made", positive, negative, groups, others, is_paired=paired)


def axis(unit: int) -> Any:
    return np.eye(UNITS)[unit]


@pytest.mark.parametrize("paired", [True, False])
def test_a_concept_that_the_layer_holds_is_found_on_other_groups(paired: bool) -> None:
    concept = rows(axis(3), 4.0, paired=paired)
    gradients = {"uses": np.tile(axis(3), (30, 1)), "not": np.tile(axis(7), (30, 1))}
    result = analyse_layer("made", [concept], gradients, n_placebos=199)
    (held,) = result.held
    assert held.accuracy.value > (0.95 if paired else 0.7)
    assert held.p == 1 / 200
    uses, other = result.outputs
    assert uses.sensitivity.value > (0.8 if paired else 0.5)
    assert uses.score.value == 1
    assert uses.p == 1 / 200
    assert other.p > 0.01
    assert abs(other.sensitivity.value) < 0.3


@pytest.mark.parametrize("paired", [True, False])
def test_p_values_of_a_layer_that_holds_nothing_are_uniform(paired: bool) -> None:
    p = []
    for seed in range(60):
        concept = rows(axis(0), 0.0, seed=seed, paired=paired)
        result = analyse_layer(
            "made", [concept], {"a": np.tile(axis(1), (5, 1))}, n_splits=3, n_placebos=39, seed=seed
        )
        p.append((result.held[0].p, result.outputs[0].p))
    held, used = np.array(p).T
    assert (held <= 0.05).mean() < 0.17
    assert (used <= 0.05).mean() < 0.17
    assert used.mean() == pytest.approx(0.5, abs=0.13)


def test_training_and_test_share_no_group() -> None:
    concept = rows(axis(0), 1.0)
    for split in group_splits(concept, 20, np.random.default_rng(0)):
        groups = concept.groups
        assert not set(groups[split.train]) & set(groups[split.test])
        assert split.train.sum() == split.test.sum() == N


@pytest.mark.parametrize(("n_groups", "n_splits"), [(2, 2), (3, 3), (4, 6), (5, 10)])
def test_few_groups_are_divided_in_every_way_once(n_groups: int, n_splits: int) -> None:
    base = np.random.default_rng(0).normal(size=(12, 2))
    groups = tuple(f"font {i % n_groups}" for i in range(12))
    concept = ConceptRows("few", base, -base, groups, groups, is_paired=True)
    splits = group_splits(concept, 20, np.random.default_rng(0))
    trained = {frozenset(concept.groups[split.train]) for split in splits}
    assert len(splits) == len(trained) == n_splits
    for split in splits:
        assert not {*concept.groups[split.train]} & {*concept.groups[split.test]}
        assert split.test.any()
    fewer = group_splits(concept, n_splits - 1, np.random.default_rng(0))
    assert len(fewer) == n_splits - 1


def test_random_vectors_are_ridge_regressions_of_a_half_on_the_other() -> None:
    from sklearn.linear_model import Ridge

    pool = np.random.default_rng(0).normal(size=(9, UNITS))
    (vector,) = random_vectors(pool, 6, 1, np.random.default_rng(5))
    drawn = pool[np.random.default_rng(5).permutation(9)[:6]]
    alpha = 0.1 * ((drawn - drawn.mean(0)) ** 2).sum() / 6
    fitted = Ridge(alpha=alpha).fit(drawn, [1, 1, 1, -1, -1, -1]).coef_
    assert vector == pytest.approx(fitted / np.linalg.norm(fitted))
    assert random_vectors(pool, 100, 2, np.random.default_rng(0)).shape == (2, UNITS)
    assert not random_vectors(np.ones((4, 2)), 4, 1, np.random.default_rng(0)).any()
    for size, n, of in ((1, 1, pool), (2, 0, pool), (2, 1, pool[:1])):
        with pytest.raises(ParameterError, match=f"size is {size}, n {n} and the pool has"):
            random_vectors(of, size, n, np.random.default_rng(0))


def test_the_one_direction_of_a_pool_is_beyond_placebos_and_not_random_sets() -> None:
    rng = np.random.default_rng(0)
    loud = rows(axis(3), 4.0)
    others = rng.normal(size=(5000, UNITS)) * np.where(np.arange(UNITS) == 3, 1.0, 1e-4)
    gradients = {"a": np.tile(axis(3), (30, 1))}
    (used,) = analyse_layer("l", [loud], gradients, n_placebos=199).outputs
    assert used.p == used.p_random == 1 / 200
    (not_special,) = analyse_layer("l", [loud], gradients, others=others, n_placebos=199).outputs
    assert not_special.p == 1 / 200
    assert not_special.p_random > 0.05
    assert not_special.random[0] < -0.9 < 0.9 < not_special.random[1]


def test_p_values_beside_random_sets_are_uniform_if_the_concept_is_a_random_set() -> None:
    p = []
    for seed in range(60):
        rng = np.random.default_rng([seed, 9])
        sounds = rng.normal(size=(4 * N, UNITS)) * np.linspace(0.3, 3, UNITS)
        names = [tuple(f"{side} {i}" for i in range(N)) for side in "ab"]
        concept = ConceptRows("random", sounds[:N], sounds[N : 2 * N], names[0], names[1])
        gradients = {"a": np.tile(rng.normal(size=UNITS), (5, 1))}
        result = analyse_layer(
            "l", [concept], gradients, others=sounds[2 * N :], n_splits=2, n_placebos=39, seed=seed
        )
        p.append(result.outputs[0].p_random)
    assert (np.array(p) <= 0.05).mean() < 0.17
    assert np.mean(p) == pytest.approx(0.5, abs=0.15)


def test_vectors_are_those_of_ridge_regression() -> None:
    from sklearn.linear_model import Ridge

    concept = rows(axis(2), 1.0, paired=False)
    (split,) = group_splits(concept, 1, np.random.default_rng(1))
    vectors, _ = concept_vectors(concept, split, concept.labels[None])
    x = concept.rows[split.train]
    alpha = 0.1 * ((x - x.mean(0)) ** 2).sum() / len(x)
    fitted = Ridge(alpha=alpha).fit(x, concept.labels[split.train]).coef_
    assert vectors[0] == pytest.approx(fitted / np.linalg.norm(fitted))


def test_cosines_between_concepts_and_agreement_over_layers() -> None:
    concepts = [rows(axis(0), 6.0), rows(axis(0) + 0.2 * axis(1), 6.0), rows(axis(5), 6.0)]
    gradients = {"a": np.random.default_rng(0).normal(size=(200, UNITS))}
    result = analyse_layer("made", concepts, gradients, n_splits=4, n_placebos=19)
    assert result.cosines.diagonal() == pytest.approx(1)
    assert result.cosines[0, 1] > 0.8 > abs(result.cosines[0, 2]) + 0.3
    derivative = result.derivatives["made", "a"]
    assert sign_agreement(derivative, derivative) == 1
    assert sign_agreement(derivative, -derivative) == 0


def test_gradients_are_those_of_the_weights_behind_the_layer() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    x = torch.randn(5, 4)
    found = layer_gradients(net, net[1], Tap(net, "1").axes(x), x, [0, 2])
    expected = net[2].get_parameter("weight")[[0, 2]][:, None].expand(2, 5, 6)
    assert torch.allclose(found, expected)


def test_gradients_of_maps_are_summed_over_positions() -> None:
    conv = nn.Conv1d(1, 2, 3, padding=1)
    net = nn.Sequential(conv, nn.Flatten(), nn.Linear(16, 1))
    x = torch.randn(3, 1, 8)
    found = layer_gradients(net, conv, Tap(net, "0").axes(x), x, [0])
    weights = net[2].get_parameter("weight").reshape(2, 8).sum(1)
    assert torch.allclose(found[0], weights.expand(3, 2), atol=1e-6)


def test_bad_layers_are_refused() -> None:
    names = tuple("abcdefgh")
    still = np.ones((8, 3))
    with pytest.raises(ParameterError, match="none of 3 units varies over 16 examples"):
        ConceptRows("flat", still, still, names, names)
    with pytest.raises(ParameterError, match="examples of 1 groups on a side"):
        ConceptRows("one", still, still, ("a",) * 8, ("a",) * 8)
    pairs = dict.fromkeys(("positive_groups", "negative_groups"), ("a",) * 8)
    with pytest.raises(ParameterError, match="groups on a side; need 2 or more, to train on some"):
        ConceptRows("one", still, still, **pairs, is_paired=True)
    with pytest.raises(ParameterError, match="of 3 groups on a side; need 4 or more"):
        ConceptRows("three", still, still, tuple("aabbccaa"), tuple("ddeeffdd"))
    with pytest.raises(ParameterError, match="NaN or infinite"):
        ConceptRows("nan", still * np.nan, still, names, names)
    with pytest.raises(ParameterError, match="all gradients are 0"):
        analyse_layer("dead", [rows(axis(0), 1.0)], {"a": np.zeros((4, UNITS))})
    with pytest.raises(ParameterError, match="n_placebos 3"):
        analyse_layer("few", [rows(axis(0), 1.0)], {}, n_placebos=3)
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    x = torch.zeros(2, 2)
    unused = nn.Linear(2, 2)
    with pytest.raises(ParameterError, match="did not run"):
        layer_gradients(net, unused, Tap(net, "0").axes(x), x, [0])

"""Names of units on made-up data: a unit that is the concept gets its name, noise gets none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import false_discovery_control
from sklearn.metrics import roc_auc_score

from otoscope.errors import ParameterError
from otoscope.papers.b_maximisation._naming import (
    NamingRule,
    SongTable,
    name_units,
    name_with_placebo,
)

RULE = NamingRule(permutations=2000)
N_SONGS, N_EXCERPTS = 40, 8


def table(seed: int = 0, *, n_songs: int = N_SONGS, n: int = N_EXCERPTS) -> SongTable:
    """Two concepts of excerpts, two of songs, and one that a single song has."""
    rng = np.random.default_rng(seed)
    songs = np.repeat(np.arange(n_songs), n)
    excerpts = rng.random((len(songs), 2)) < 0.4
    of_songs = (rng.random((n_songs, 2)) < 0.5)[songs]
    rare = (songs == 3)[:, None]
    names = ("voice", "loud", "ska", "fast", "harp")
    return SongTable(names, np.concatenate([excerpts, of_songs, rare], 1), songs)


def units(truth: SongTable, seed: int = 1) -> NDArray[np.float64]:
    """Units that are a concept, its absence, a noisy one, a style of songs, constant, and noise."""
    rng = np.random.default_rng(seed)
    voice, ska = truth.truths[:, 0].astype(float), truth.truths[:, 2].astype(float)
    noise = rng.normal(size=(len(voice), 12))
    of_song = rng.normal(size=(N_SONGS, 4))[truth.songs]  # each song has its level
    known = [voice, -voice + 0.1 * noise[:, 0], voice + 0.8 * noise[:, 1], ska, 0 * voice]
    return np.concatenate([np.stack(known, 1), noise[:, 2:], of_song], 1)


def test_a_unit_that_is_the_concept_is_named_by_it_and_noise_is_not() -> None:
    truth = table()
    named = name_units(units(truth), truth, RULE)
    names = [named.name(unit) for unit in range(len(named.chosen))]
    assert names[:4] == ["voice", "not voice", "voice", "ska"]
    assert names[4:] == [""] * (len(names) - 4)
    assert named.n_named == 4
    assert named.left_out == ("harp",)
    assert named.evidence(0)[:2] == (1.0, 1.0)


def test_agreement_is_the_area_under_the_curve_and_q_that_of_scipy() -> None:
    truth, activations = table(), units(table())
    named = name_units(activations, truth, RULE)
    first, second = truth.halves(RULE.seed)
    assert sorted([*first, *second]) == list(range(N_SONGS))
    for half, areas in ((first, named.choosing), (second, named.testing)):
        rows = np.isin(truth.songs, half)
        for concept in range(4):
            expected = [
                roc_auc_score(truth.truths[rows, concept], column) for column in activations[rows].T
            ]
            assert areas[:, concept] == pytest.approx(expected)
    expected = false_discovery_control(named.p.ravel()).reshape(named.p.shape)
    assert named.q == pytest.approx(expected)


def test_p_values_of_noise_are_uniform_also_where_excerpts_of_a_song_are_alike() -> None:
    """Units and concepts that differ by songs alone: excerpts counted as independent would err."""
    small, n_named = list[float](), 0
    for seed in range(60):
        rng = np.random.default_rng(100 + seed)
        activations = rng.normal(size=(N_SONGS, 10))[table(seed).songs]
        named = name_units(activations, table(seed), replace(RULE, permutations=400))
        small.append(float((named.p[:, 2:] <= 0.05).mean()))
        n_named += named.n_named
    assert 0.03 < np.mean(small) < 0.07
    assert n_named <= 6  # of 600


def test_shuffled_songs_name_no_unit() -> None:
    truth = table()
    named, counts = name_with_placebo(units(truth), truth, RULE, shuffles=20)
    assert named.n_named == 4
    assert len(counts) == 20
    assert sum(counts) <= 2


def test_songs_of_different_lengths_are_permuted_too() -> None:
    truth = table()
    kept = np.random.default_rng(0).random(len(truth.songs)) < 0.7
    shorter = SongTable(truth.names, truth.truths[kept], truth.songs[kept])
    named = name_units(units(truth)[kept], shorter, RULE)
    assert [named.name(unit) for unit in range(6)] == ["voice", "not voice", "voice", "ska", "", ""]


def test_a_name_needs_agreement_and_not_only_significance() -> None:
    truth = table(n_songs=60, n=40)
    rng = np.random.default_rng(5)
    weak = truth.truths[:, :1] + 4 * rng.normal(size=(len(truth.songs), 1))
    named = name_units(weak, truth, replace(RULE, permutations=5000))
    assert named.evidence(0)[2] < 0.05
    assert named.evidence(0)[1] < 0.75
    assert named.name(0) == ""
    assert name_units(weak, truth, replace(RULE, least_auc=0.5)).name(0) == "voice"


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"level": 0.0}, "level is 0.0"),
        ({"least_auc": 1.0}, "least_auc 1.0"),
        ({"least_songs": 0}, "least_songs is 0"),
        ({"permutations": 10}, "permutations 10"),
    ],
)
def test_impossible_rules_are_refused(settings: dict[str, float], match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        NamingRule(**settings)  # type: ignore[arg-type]


def test_tables_and_activations_that_do_not_fit_are_refused() -> None:
    truth = table()
    with pytest.raises(ParameterError, match="3 songs; names need two or more per half"):
        name_units(np.zeros((24, 1)), table(n_songs=3), RULE)
    with pytest.raises(ParameterError, match="must have a row for each, all finite"):
        name_units(np.full((len(truth.songs), 1), np.nan), truth, RULE)
    rare = SongTable(("harp",), truth.truths[:, 4:], truth.songs)
    with pytest.raises(ParameterError, match="there is nothing to name units by"):
        name_units(units(truth), rare, RULE)
    with pytest.raises(ParameterError, match="in order of songs"):
        SongTable(("a",), truth.truths[:, :1], truth.songs[::-1])

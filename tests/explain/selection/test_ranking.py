"""Ranks of contents: songs are drawn, not excerpts, and doubt is said."""

from __future__ import annotations

import numpy as np
import pytest

from otoscope.errors import ParameterError
from otoscope.explain.selection.ranking import mean_scores, rank_contents

NAMES = ("a", "b", "c")


def test_a_content_that_is_ahead_in_every_song_is_clearly_best() -> None:
    values = np.random.default_rng(0).normal(size=(12, 1)) + np.array([0.0, 2.0, 1.0])
    ranking = rank_contents("x", NAMES, mean_scores(values), n_songs=12)
    assert ranking.is_clear
    assert [(r.content, r.rank, r.low, r.high) for r in ranking.ranks] == [
        ("b", 1, 1, 1),
        ("c", 2, 2, 2),
        ("a", 3, 3, 3),
    ]
    assert ranking.of("b").score.value == pytest.approx(values[:, 1].mean())


def test_few_songs_are_never_clear() -> None:
    """Five songs agree by chance once in 32: too often for three pairs of contents."""
    values = np.tile([0.0, 2.0, 1.0], (5, 1))
    ranking = rank_contents("x", NAMES, mean_scores(values), n_songs=5)
    assert ranking.p == 0.5**5
    assert not ranking.is_clear


def test_many_excerpts_of_one_song_tell_nothing() -> None:
    scores = mean_scores(np.array([[600.0, 1200.0, 0.0]]), np.array([656.0]))
    ranking = rank_contents("x", NAMES, scores, n_songs=1)
    assert ranking.best == "b"
    assert not ranking.is_clear
    assert [(r.low, r.high) for r in ranking.ranks] == [(1, 3)] * 3
    assert np.isnan(ranking.ranks[0].score.low)


def test_equal_scores_share_a_rank_and_none_is_clear() -> None:
    values = np.tile([1.0, 1.0, 0.0], (20, 1))
    ranking = rank_contents("x", NAMES, mean_scores(values), n_songs=20)
    assert [rank.rank for rank in ranking.ranks] == [1, 1, 3]
    assert ranking.p == 1
    assert not ranking.is_clear


def test_a_difference_of_rounding_is_none() -> None:
    values = np.tile([1.0, 1.0 + 1e-8, 0.0], (20, 1))
    ranking = rank_contents("x", NAMES, mean_scores(values), n_songs=20)
    assert [rank.rank for rank in ranking.ranks] == [1, 1, 3]
    assert not ranking.is_clear


def test_chance_is_seldom_called_clear() -> None:
    rng = np.random.default_rng(1)
    clear = [
        rank_contents(
            "x", NAMES, mean_scores(rng.normal(size=(10, 3))), n_songs=10, resamples=400
        ).is_clear
        for _ in range(100)
    ]
    assert sum(clear) <= 10


def test_songs_count_by_their_excerpts() -> None:
    sums, counts = np.array([[2.0, 0.0], [0.0, 30.0]]), np.array([1.0, 10.0])
    ranking = rank_contents("x", ("a", "b"), mean_scores(sums, counts), n_songs=2)
    assert ranking.of("b").score.value == pytest.approx(30 / 11)


def test_what_cannot_be_ranked_is_refused() -> None:
    with pytest.raises(ParameterError, match="1 contents"):
        rank_contents("x", ("a",), mean_scores(np.ones((3, 1))), n_songs=3)
    with pytest.raises(ParameterError, match="scores of x are"):
        rank_contents("x", ("a", "b"), mean_scores(np.full((3, 2), np.nan)), n_songs=3)

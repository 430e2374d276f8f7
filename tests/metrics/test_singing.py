"""Frame-wise scores of singing detectors against counting by hand and scipy's median."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

from otoscope.errors import ParameterError
from otoscope.metrics.singing import (
    THRESHOLDS,
    choose_threshold,
    count_runs,
    singing_scores,
    smooth,
)

songs = st.lists(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.004, 0.3, 0.5, 0.995, 1.0]), st.booleans()), min_size=1
    ),
    min_size=1,
    max_size=3,
)


def split(drawn: list[list[tuple[float, bool]]]) -> tuple[list[list[float]], list[list[bool]]]:
    return [[p for p, _ in song] for song in drawn], [[t for _, t in song] for song in drawn]


def test_thresholds_are_the_papers_105() -> None:
    assert len(THRESHOLDS) == 105
    assert THRESHOLDS[:4] == (1e-5, 1e-4, 1e-3, 0.01)
    assert list(THRESHOLDS) == sorted(THRESHOLDS)
    np.testing.assert_allclose(np.add(THRESHOLDS, THRESHOLDS[::-1]), 1.0)


@pytest.mark.parametrize("n", [1, 2, 3, 8, 56, 57])
def test_median_is_over_the_window_spelled_out(n: int) -> None:
    p = np.random.default_rng(n).random(90)
    padded = np.concatenate([np.full(n, p[0]), p, np.full(n, p[-1])])
    for i, value in enumerate(smooth(p, n)):
        window = padded[n + i - n // 2 : n + i - n // 2 + n]
        assert value == np.sort(window)[n // 2]


@given(songs, st.sampled_from(THRESHOLDS))
def test_scores_are_scikit_learns_over_all_frames(
    drawn: list[list[tuple[float, bool]]], threshold: float
) -> None:
    p, truth = split(drawn)
    scores = singing_scores(p, truth, threshold)
    called, sung = np.concatenate(p) > threshold, np.concatenate(truth)
    nan = float("nan")
    for ours, theirs in (
        (1 - scores.error, accuracy_score(sung, called)),
        (scores.precision, precision_score(sung, called, zero_division=nan)),
        (scores.recall, recall_score(sung, called, zero_division=nan)),
        (scores.specificity, recall_score(~sung, ~called, zero_division=nan)),
        (scores.f1, f1_score(sung, called, zero_division=nan)),
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


@given(songs)
def test_threshold_has_the_fewest_wrong_frames(drawn: list[list[tuple[float, bool]]]) -> None:
    p, truth = split(drawn)
    wrong = {t: int(((np.concatenate(p) > t) != np.concatenate(truth)).sum()) for t in THRESHOLDS}
    best = [t for t in THRESHOLDS if wrong[t] == min(wrong.values())]
    chosen = choose_threshold(p, truth)
    assert chosen in best
    assert abs(chosen - 0.5) == min(abs(t - 0.5) for t in best)


def test_threshold_itself_is_not_exceeded() -> None:
    assert singing_scores([[0.5, 0.6]], [[True, True]], 0.5).recall == 0.5


def test_frames_are_pooled_and_songs_not_averaged() -> None:
    """A short song that is all wrong weighs its frames only."""
    assert singing_scores([[0.0] * 9, [1.0]], [[False] * 9, [False]], 0.5).error == 0.1


def test_runs_are_counted_at_both_ends() -> None:
    assert count_runs([1, 1, 0, 1, 0, 0, 1], 0.5) == 3
    assert count_runs([], 0.5) == 0


@pytest.mark.parametrize(
    ("p", "truth", "match"),
    [
        ([], [], "0 songs of probabilities"),
        ([[0.1]], [[True], [False]], "1 songs of probabilities and 2"),
        ([[0.1, 0.2]], [[True]], r"song 0 has probabilities \(2,\) and truth \(1,\)"),
        ([[0.1], [np.nan]], [[True], [True]], "song 1 has 1 NaN"),
        ([[]], [[]], "no frames"),
    ],
)
def test_songs_that_do_not_match_are_refused(
    p: list[list[float]], truth: list[list[bool]], match: str
) -> None:
    with pytest.raises(ParameterError, match=match):
        singing_scores(p, truth, 0.5)
    with pytest.raises(ParameterError, match=match):
        choose_threshold(p, truth)


def test_a_median_of_no_frames_is_refused() -> None:
    with pytest.raises(ParameterError, match="n_frames is 0"):
        smooth([0.1], 0)

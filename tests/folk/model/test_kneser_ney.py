"""Kneser-Ney n-grams: probabilities, and a case counted by hand."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otoscope.errors import ParameterError
from otoscope.folk.model.kneser_ney import KneserNey

TUNES = st.lists(st.lists(st.integers(2, 5), max_size=12), min_size=1, max_size=5).map(
    lambda bodies: [[0, *body, 1] for body in bodies]
)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@given(tunes=TUNES, before=st.lists(st.integers(1, 6), max_size=4))
def test_probabilities_sum_to_one_and_leave_nothing_out(
    order: int, tunes: list[list[int]], before: list[int]
) -> None:
    result = KneserNey(tunes, n_tokens=7, order=order).probabilities([0, *before])
    assert result.sum() == pytest.approx(1)
    assert result[0] == 0
    assert result[1:].min() > 0


def test_a_bigram_counted_by_hand() -> None:
    """Tunes s a b e and s a a e, with s = 0, e = 1, a = 2, b = 3.

    Bigrams: sa 2, ab 1, be 1, aa 1, ae 1; four counts of 1, one of 2: D = 4 / (4 + 2) = 2/3.
    Tokens before: a after {s, a}, b after {a}, e after {b, a}: counts 2, 1, 2; one of 1, two of 2:
    D = 1 / (1 + 4) = 1/5. Below: 1/3 each of e, a, b.
    """
    third = Fraction(1, 3)
    left = Fraction(1, 5) * 3 / 5
    a, b, e = (Fraction(count - Fraction(1, 5)) / 5 + left * third for count in (2, 1, 2))
    assert a + b + e == 1
    after_a = Fraction(2, 3) * 3 / 3
    wanted = [
        Fraction(0),
        third / 3 + after_a * e,
        third / 3 + after_a * a,
        third / 3 + after_a * b,
    ]
    model = KneserNey([[0, 2, 3, 1], [0, 2, 2, 1]], n_tokens=4, order=2)
    np.testing.assert_allclose(
        model.probabilities([0, 2]), [float(probability) for probability in wanted]
    )
    np.testing.assert_allclose(model.surprise([0, 2, 1])[1], -np.log(float(wanted[1])), rtol=1e-12)


def test_a_unigram_does_not_look_back() -> None:
    model = KneserNey([[0, 2, 2, 2, 3, 1]], n_tokens=4, order=1)
    np.testing.assert_array_equal(model.probabilities([0]), model.probabilities([0, 3, 2]))
    assert model.probabilities([0]).argmax() == 2


def test_surprise_is_that_of_the_probabilities() -> None:
    model = KneserNey([[0, 2, 3, 2, 4, 1], [0, 3, 3, 1]], n_tokens=6)
    tune = [0, 2, 3, 5, 1]
    wanted = [-np.log(model.probabilities(tune[:at])[tune[at]]) for at in range(1, 5)]
    np.testing.assert_allclose(model.surprise(tune), wanted)
    assert model.nats_per_token([tune, [0, 1]]) == pytest.approx(
        (sum(wanted) - np.log(model.probabilities([0])[1])) / 5
    )


def test_more_context_is_better_where_there_is_some() -> None:
    random = np.random.default_rng(0)
    tunes = [[0, *np.tile([2, 2, 3], random.integers(3, 9)).tolist(), 1] for _ in range(40)]
    nats = [
        KneserNey(tunes[:30], n_tokens=4, order=order).nats_per_token(tunes[30:])
        for order in (1, 2, 3)
    ]
    assert nats[0] > nats[1] > nats[2]


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ParameterError, match="order is 0"):
        KneserNey([[0, 1]], n_tokens=2, order=0)
    for tunes in ([], [[0, 1], [2, 1]]):
        with pytest.raises(ParameterError, match="do not begin with one and the same id"):
            KneserNey(tunes, n_tokens=3)

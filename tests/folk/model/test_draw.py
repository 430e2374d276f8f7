"""Draws of tokens: NumPy's, and the same bits whatever surrounds a tune."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from otoscope import native
from otoscope.errors import ParameterError
from otoscope.folk.model import SamplingConfig
from otoscope.folk.model.draw import draw
from tests.oracles import draw as oracle

N_TOKENS = 21


def rows(n: int, fraction: float) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Make logits, and masks that allow a fraction of the tokens, one at least."""
    rng = np.random.default_rng(n)
    allowed = rng.random((n, N_TOKENS)) < fraction
    allowed[np.arange(n), rng.integers(0, N_TOKENS, n)] = True
    return rng.normal(0, 4, (n, N_TOKENS)), allowed


@pytest.mark.parametrize("fraction", [0.1, 0.7, 1.0])
@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"),
    [(1.0, None, None), (0.6, None, None), (1.0, 4, None), (1.0, None, 0.8), (2.0, 6, 0.7)],
)
def test_the_tokens_are_those_of_numpy(
    fraction: float, temperature: float, top_k: int | None, top_p: float | None
) -> None:
    logits, allowed = rows(300, fraction)
    uniform = np.random.default_rng(1).random(300)
    settings = SamplingConfig(temperature=temperature, top_k=top_k, top_p=top_p)
    drawn = draw(logits, allowed, uniform, settings)
    options = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
    wanted = [
        oracle.draw(*row, **options)  # type: ignore[arg-type]
        for row in zip(logits, allowed, uniform, strict=True)
    ]
    tokens, gained, masked = zip(*wanted, strict=True)
    assert drawn.tokens.tolist() == list(tokens)
    np.testing.assert_allclose(drawn.gained_nats, gained, rtol=0, atol=1e-12)
    np.testing.assert_allclose(drawn.masked_nats, masked, rtol=0, atol=1e-12)


@pytest.mark.parametrize("settings", [SamplingConfig(), SamplingConfig(temperature=0.9, top_p=0.9)])
def test_a_draw_has_the_same_bits_alone_and_beside_others(settings: SamplingConfig) -> None:
    logits, allowed = rows(40, 0.6)
    uniform = np.random.default_rng(1).random(40)
    together = draw(logits, allowed, uniform, settings)
    for i in range(40):
        one = slice(i, i + 1)
        alone = draw(logits[one], allowed[one], uniform[one], settings)
        assert all(np.array_equal(a, b[one]) for a, b in zip(alone, together, strict=True))


def test_the_last_number_below_one_draws_the_last_token() -> None:
    logits = np.log([[0.3, 0.3, 0.4, 1e-300]])
    drawn = draw(logits, np.ones((1, 4), bool), np.array([1 - 2**-53]), SamplingConfig())
    assert drawn.tokens[0] == 2


def test_of_equal_tokens_the_first_are_kept() -> None:
    logits, allowed = np.zeros((1, 6)), np.array([[0, 1, 1, 1, 1, 1]]) > 0
    for uniform in (0.0, 0.49, 0.51, 0.999):
        drawn = draw(logits, allowed, np.array([uniform]), SamplingConfig(top_k=2))
        assert drawn.tokens[0] == (1 if uniform < 0.5 else 2)


def test_forbidden_tokens_that_are_nearly_certain_leave_the_others_their_odds() -> None:
    """Their weights would be 0 beside the forbidden one's."""
    logits, allowed = np.array([[900.0, math.log(3), 0.0]]), np.array([[0, 1, 1]]) > 0
    counts = np.zeros(3)
    for uniform in np.arange(0.005, 1, 0.01):
        counts[draw(logits, allowed, np.array([uniform]), SamplingConfig()).tokens] += 1
    assert counts.tolist() == [0, 75, 25]


def test_the_lowest_temperatures_draw_the_most_probable_or_are_refused() -> None:
    logits, allowed = np.array([[3.0, 5.0, 4.0]]), np.ones((1, 3), bool)
    drawn = draw(logits, allowed, np.array([0.999]), SamplingConfig(temperature=1e-300))
    assert drawn.tokens[0] == 1
    with pytest.raises(ParameterError, match="temperature is 1e-308, too low"):
        draw(logits, allowed, np.array([0.5]), SamplingConfig(temperature=1e-308))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_logits_that_are_not_finite_are_refused(bad: float) -> None:
    logits, allowed = rows(3, 1.0)
    logits[2, 5] = bad
    with pytest.raises(ParameterError, match="not finite: its weights are damaged"):
        draw(logits, allowed, np.full(3, 0.5), SamplingConfig())


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("allowed", np.ones((2, 4), bool), "allowed: wrong shape"),
        ("allowed", np.ones((2, 5), np.uint8), "allowed: wrong dtype"),
        ("logits", np.zeros((2, 5), np.float32), "logits: wrong dtype"),
        ("logits", np.zeros((2, 10))[:, ::2], "logits: must be contiguous"),
        ("uniform", np.zeros(3), "uniform: wrong shape"),
        ("drawn", np.zeros(1, np.int64), "drawn: wrong shape"),
        ("nats", np.zeros((2, 1)), "nats: wrong shape"),
        ("temperature", 0.0, "temperature: is 0.0+, must be above 0"),
        ("top_k", 0, "top_k: is 0, must be at least 1"),
        ("top_p", -1.0, "top_p: is -1.0+, must be above 0"),
    ],
)
def test_the_kernel_refuses_what_does_not_fit(name: str, value: object, message: str) -> None:
    kernel = native.host_kernel("draw_tokens")
    arguments: dict[str, Any] = {
        "logits": np.zeros((2, 5)),
        "allowed": np.ones((2, 5), bool),
        "uniform": np.zeros(2),
        "temperature": 1.0,
        "top_k": 5,
        "top_p": 1.0,
        "drawn": np.zeros(2, np.int64),
        "nats": np.zeros((2, 2)),
    }
    assert kernel(**arguments) == 0
    with pytest.raises(ParameterError, match=message):
        kernel(**arguments | {name: value})
    if name == "allowed":
        arguments |= {"logits": np.zeros((2, 0)), "allowed": np.ones((2, 0), bool)}
        with pytest.raises(ParameterError, match="logits: needs a column"):
            kernel(**arguments)

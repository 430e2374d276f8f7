"""Inner searches, each written out: APGD's check, FAB's step, weights, levels and ratios."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from otoscope.attack.problem import Problem, pose
from otoscope.attack.search import SearchState
from otoscope.attack.strong import APGD, FABT, CarliniWagner, IterativeClipping, LeastNorm
from otoscope.attack.strong.apgd import _Path
from otoscope.attack.strong.base import nearer
from otoscope.attack.strong.losses import LossObjective
from otoscope.progress import silent
from tests.attack.strong.test_apgd import linear, sounds


def posed(attack: Any, x: Tensor) -> Problem:
    with torch.enable_grad():
        problem = pose(attack, x, None, 0)
    problem.first.clear()
    return replace(problem, objective=LossObjective.of(problem.objective, "margin"))


def test_a_search_that_was_halved_may_stand_still_once() -> None:
    """Of steps that lower the loss, but not the best one, the second condition decides."""
    path = _Path.at(sounds(2, 10), torch.ones(2, 1, dtype=torch.float64))
    path.loss = path.best_loss = path.loss_then = torch.ones(2, dtype=torch.float64)
    path.n_lowered = torch.tensor([10.0, 10.0])
    path.was_halved = torch.tensor([True, False])
    path.check(10)
    assert path.length[:, 0].tolist() == [1.0, 0.5]
    assert path.was_halved.tolist() == [False, True]


def test_a_step_of_fab_weighs_the_point_and_the_sound() -> None:
    x = sounds(4, 30)
    attack = FABT(linear(30, 2), outputs="logits", amplitude=None)
    problem = posed(attack, x)
    sound = x + 0.3 * sounds(4, 30, seed=4)
    stepped = attack._stepped(problem, sound)
    w = linear(30, 2)(torch.eye(30, dtype=torch.float64))
    for i, label in enumerate(linear(30, 2)(x).argmax(1).tolist()):
        normal = w[:, 1 - label] - w[:, label]  # of the boundary normal . p = 0

        def moved(p: Tensor, normal: Tensor = normal) -> Tensor:
            projected = p - (p @ normal) / (normal @ normal) * normal
            return p + 1.05 * (projected - p)

        near, far = (float(((p @ normal) / normal.norm()).abs()) for p in (sound[i], x[i]))
        weight = min(near / (near + far), 0.1)
        expected = (1 - weight) * moved(sound[i]) + weight * moved(x[i])
        torch.testing.assert_close(stepped[i], expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("least", [0.0, 0.2, 3.0, 700.0, math.inf])
def test_weights_are_searched_for_between_failure_and_success(
    least: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[float] = []

    def search_once(
        self: Any, problem: Problem, start: Tensor, c: Tensor, progress: Any
    ) -> tuple[SearchState, Tensor]:
        tried.append(float(c))
        return SearchState.at(start, steps=self.steps), c >= least

    monkeypatch.setattr(CarliniWagner, "_search_once", search_once)
    attack = CarliniWagner(linear(30, 2), outputs="logits", steps=1, weights=9)
    attack.search_from(posed(attack, sounds(1, 30)), sounds(1, 30), silent)
    expected, low, high = [1.0], 0.0, math.inf
    while len(expected) < 9:
        c = expected[-1]
        low, high = (low, c) if c >= least else (c, high)
        if high == math.inf:
            expected.append(10 * low)
        else:
            expected.append(high / 2 if low == 0 else math.sqrt(low * high))
    assert tried == pytest.approx(expected)


def test_the_level_of_clipping_falls_below_the_peak_that_fooled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(IterativeClipping, "finish", lambda self, problem, state: state)
    x, inner = sounds(1, 60), linear(60, 2)
    label = int(inner(x).argmax())
    seen: list[Tensor] = []

    class Spy(nn.Module):
        def forward(self, sound: Tensor) -> Tensor:
            if not seen or not torch.equal(seen[-1], sound.detach()):
                seen.append(sound.detach().clone())
            answer: Tensor = inner(sound)
            return answer

    attack = IterativeClipping(
        Spy(), snr_db=3.0, outputs="logits", amplitude=None, steps=60, step=1.0
    )
    problem = posed(attack, x)
    seen.clear()
    attack.search_from(problem, x, silent)
    least, n_fooled = math.inf, 0
    for sound in seen:
        peak = float((sound - x).abs().max())
        assert peak <= 0.8 * least * (1 + 1e-9)
        if int(inner(sound).argmax()) != label:
            least, n_fooled = min(peak, least), n_fooled + 1
    assert n_fooled >= 2


def test_adversaries_are_moved_to_the_boundary_by_halving() -> None:
    x, model = sounds(5, 40), linear(40, 2)
    attack = APGD(model, outputs="logits", amplitude=None)
    problem = posed(attack, x)
    w = model(torch.eye(40, dtype=torch.float64))
    normal = w[:, 1] - w[:, 0]
    to_boundary = -(x @ normal / (normal @ normal))[:, None] * normal
    factors = torch.tensor([1.01, 1.5, 2.0, 3.7, 40.0], dtype=torch.float64)[:, None]
    with torch.no_grad():
        sound, confidence = nearer(model, problem, x + factors * to_boundary)
    part = ((sound - x).norm(dim=1) / to_boundary.norm(dim=1))[:, None]
    assert bool((part > 1).all())
    assert bool((part <= 1 + 1.001 * factors / 2**10).all())
    assert bool((confidence > 0.5).all())


class Counted(APGD):
    """APGD that keeps the ratios that it was asked for, and fails at those above 20 dB."""

    asked: list[float] = []  # noqa: RUF012 - copies of the attack share it
    fails = True

    def solve(self, problem: Problem, progress: Any = silent) -> SearchState:
        self.asked.append(self.snr_db)
        state = super().solve(problem)
        if self.fails and self.snr_db > 20:
            state.success[:] = False
        return state


@pytest.mark.parametrize("fails", [False, True])
def test_ratios_are_bisected_and_a_failure_below_an_adversary_is_forgotten(
    fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Counted, "asked", [])
    monkeypatch.setattr(Counted, "fails", fails)
    x, inner = sounds(1, 40), linear(40, 2)
    w = inner(torch.eye(40, dtype=torch.float64))
    normal = w[:, 1] - w[:, 0]
    x = x - 0.99 * (x @ normal / (normal @ normal))[:, None] * normal  # near the boundary
    attack = Counted(inner, outputs="logits", amplitude=None, steps=5, random_start=False)
    search = LeastNorm(attack)
    result = search.run(x)
    distance = float((x @ normal / normal.norm()).abs())
    ratio = 20 * math.log10(float(x.norm()) / distance)
    assert ratio > 30
    assert float(result.snr_db) == pytest.approx(ratio, abs=0.5)
    assert float(result.fails_db) >= float(result.snr_db)
    assert 20 < float(result.fails_db) <= ratio + 1.0
    assert Counted.asked[0] == search.grid[(len(search.grid) - 1) // 2]
    rounds = math.ceil(math.log2(len(search.grid) + 1))
    assert len(Counted.asked) <= rounds * (1 + fails)

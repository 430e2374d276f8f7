"""APGD is algorithm 1 of the paper, keeps its bound, and reaches known optima."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from otoscope.attack import WaveformPGD
from otoscope.attack.strong import APGD
from otoscope.attack.strong.apgd import checkpoints
from otoscope.attack.strong.losses import LossObjective
from otoscope.errors import ParameterError
from otoscope.signal.snr import radius
from tests.support.examples import examples


def sounds(batch: int, n: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.2 * torch.randn(batch, n, generator=generator, dtype=torch.float64).clamp(-4, 4)


def linear(n: int, labels: int, seed: int = 7) -> Any:
    w = torch.randn(n, labels, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return lambda sound: sound @ w.to(sound)


def curved(n: int, labels: int, seed: int = 7, width: int = 24) -> nn.Module:
    """A small network whose loss is not convex."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(n, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, labels)
    ).double()


def test_checkpoints_are_those_of_the_recursion() -> None:
    for steps in (1, 2, 10, 33, 100, 1000):
        p = [0.0, 0.22]
        while p[-1] < 1:
            p.append(p[-1] + max(p[-1] - p[-2] - 0.03, 0.06))
        w = [0] + [math.ceil(each * steps - 1e-9) for each in p[1:]]
        pairs = {b: a for a, b in pairwise(w) if a < b < steps}
        assert checkpoints(steps) == pairs


def apgd_slowly(
    f: Any, x: Tensor, radius: float, steps: int
) -> tuple[list[Tensor], list[float], list[float]]:
    """Algorithm 1 for one sound and one ball; returns points, losses and step lengths."""

    def loss_and_gradient(at: Tensor) -> tuple[float, Tensor]:
        at = at.clone().requires_grad_()
        value = f(at)
        return float(value.detach()), torch.autograd.grad(value, at)[0]

    def ball(y: Tensor) -> Tensor:
        return x + (y - x) * min(1.0, radius / max(float((y - x).norm()), 1e-300))

    w = [0]
    p = [0.0, 0.22]
    while p[-1] < 1:
        w.append(math.ceil(p[-1] * steps - 1e-9))
        p.append(p[-1] + max(p[-1] - p[-2] - 0.03, 0.06))
    eta, at, before = 2 * radius, x, x
    points, losses, lengths = [], [], []
    value, slope = loss_and_gradient(at)
    best, best_at, best_slope = value, at, slope
    points.append(at)
    losses.append(value)
    n_lowered, eta_then, best_then = 0, eta, best
    for k in range(steps):
        if k in w[1:]:
            j = w.index(k)
            eta_now = eta
            if n_lowered < 0.75 * (k - w[j - 1]) or (eta == eta_then and best == best_then):
                eta /= 2
                at, value, slope = best_at, best, best_slope
            n_lowered, best_then = 0, best
            eta_then = eta_now if eta == eta_now else math.nan
        lengths.append(eta)
        z = ball(at - eta * slope / slope.norm())
        new = z if k == 0 else ball(at + 0.75 * (z - at) + 0.25 * (at - before))
        before, at = at, new
        new_value, slope = loss_and_gradient(at)
        n_lowered += new_value < value
        value = new_value
        if value < best:
            best, best_at, best_slope = value, at, slope
        points.append(at)
        losses.append(value)
    return points, losses, lengths


class Bowl(nn.Module):
    """A model whose first label is least probable inside the ball of every sound."""

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        n = x.shape[1]
        self.lowest = x + 0.1 * sounds(len(x), n, seed=9)
        self.slopes = torch.linspace(1, 8, n, dtype=torch.float64)

    def forward(self, sound: Tensor) -> Tensor:
        first = (self.slopes * (sound - self.lowest[: len(sound)])).square().sum(1)
        others = torch.full_like(first, -2.0)
        return torch.stack([first, others, others], 1)


@pytest.mark.parametrize("is_bowl", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_the_points_are_those_of_the_algorithm_written_out(seed: int, is_bowl: bool) -> None:
    x, steps = sounds(3, 40, seed), 60
    model = Bowl(x) if is_bowl else curved(40, 3, seed)
    seen: list[Tensor] = []

    class Spy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, sound: Tensor) -> Tensor:
            if sound.requires_grad:
                seen.append(sound.detach().clone())
            return self.inner(sound)  # type: ignore[no-any-return]

    attack = APGD(
        Spy(),
        random_start=False,
        snr_db=6.0,
        steps=steps,
        outputs="logits",
        loss="ce",
        confidence=1.0,
        amplitude=None,
    )
    y = torch.zeros(3).long() if is_bowl else model(x).argmax(1)
    attack.run(x, y)
    assert len(seen) == steps + 1
    for i in range(3):
        points, _, lengths = apgd_slowly(
            lambda at, i=i: model(x.index_copy(0, torch.tensor([i]), at[None])).log_softmax(1)[
                i, y[i]
            ],
            x[i],
            float(radius(x[i], 6.0)),
            steps,
        )
        for ours, theirs in zip(seen, points, strict=True):
            torch.testing.assert_close(ours[i], theirs, rtol=1e-6, atol=1e-8)
        assert len(set(lengths)) > 2
        halved = next(k for k, length in enumerate(lengths) if length < lengths[0])
        moved = float((points[-1] - points[halved]).norm())
        assert moved > 0.01 * float(radius(x[i], 6.0)) or not is_bowl  # so that halving matters


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("loss", ["ce", "margin", "auto"])
def test_the_optimum_of_a_linear_model_is_reached(norm: Any, loss: Any) -> None:
    n, snr_db = 200, 30.0
    x, model = sounds(3, n), linear(n, 2)
    w = model(torch.eye(n, dtype=torch.float64))
    attack = APGD(
        model, snr_db=snr_db, norm=norm, loss=loss, confidence=1.0, amplitude=None, outputs="logits"
    )
    direction = w[:, 1] - w[:, 0]
    r = radius(x, snr_db)[:, None]
    unit = direction / direction.norm() if norm == "l2" else direction.sign() / n**0.5
    found = attack.run(x, 0).difference
    torch.testing.assert_close(found @ direction, (r * unit) @ direction, rtol=1e-6, atol=0)


@examples(20)
@given(
    snr_db=st.floats(1, 80),
    norm=st.sampled_from(["l2", "linf"]),
    loss=st.sampled_from(["ce", "dlr", "margin"]),
    restarts=st.integers(1, 3),
    segmental=st.sampled_from([None, 20.0]),
    seed=st.integers(0, 99),
)
def test_no_point_leaves_the_bound(
    seed: int, snr_db: float, norm: Any, segmental: float | None, **choices: Any
) -> None:
    x, model, seen = sounds(2, 60, seed).clamp(-1, 1), curved(60, 4, seed), []

    def watched(sound: Tensor) -> Tensor:
        if sound.requires_grad:
            seen.append(sound.detach())
        return model(sound)  # type: ignore[no-any-return]

    attack = APGD(
        watched, snr_db=snr_db, norm=norm, segmental_snr_db=segmental, steps=12, outputs="logits",
        confidence=1.0, seed=seed, sr=800, **choices,
    )  # fmt: skip
    attack.run(x)
    reach = radius(x, snr_db) / (1 if norm == "l2" else 60**0.5)
    for point in seen:
        size = (point - x).norm(dim=1) if norm == "l2" else (point - x).abs().amax(1)
        assert bool((size <= reach * (1 + 1e-12)).all())
        assert bool((point.abs() <= 1).all())


def test_more_sounds_are_fooled_than_by_pgd_of_as_many_steps() -> None:
    x, model = sounds(60, 80), curved(80, 5)
    for norm in ("l2", "linf"):
        common: dict[str, Any] = {"snr_db": 12.0, "steps": 30, "norm": norm, "outputs": "logits"}
        ours = APGD(model, **common).run(x).success
        theirs = WaveformPGD(model, **common).run(x).success
        assert 0 < int(theirs.sum()) < 60
        assert int(ours.sum()) >= int(theirs.sum())


def test_a_random_start_depends_on_the_sound_alone_and_leaves_what_has_the_aim() -> None:
    x, model = sounds(5, 50), curved(50, 4)
    y = model(x).argmax(1)
    y[0] = (y[0] + 1) % 4
    attack = APGD(model, snr_db=9.0, steps=8, outputs="logits", restarts=2, seed=4)
    result = attack.run(x, y)
    assert torch.equal(result.sound[0], x[0])
    assert result.iterations[0] == 0
    assert torch.equal(result.confidence[:, 0], result.confidence_before)
    alone = [attack.run(x[i : i + 1], y[i : i + 1], first_example=i).sound for i in range(5)]
    torch.testing.assert_close(result.sound, torch.cat(alone))


@pytest.mark.parametrize("labels", [1, 2, 3, 4])
def test_auto_is_the_ratio_where_there_are_enough_labels(labels: int) -> None:
    x, model = sounds(4, 50), linear(50, labels)
    for attack in (
        APGD(model, outputs="logits", steps=20),
        APGD(model, outputs="logits").targeted(0),
    ):
        least = 4 if attack.goal else 3
        chosen: Any = "dlr" if labels >= least else "margin"
        torch.testing.assert_close(attack(x), replace(attack, loss=chosen)(x))
        if labels < least:
            message = f"needs {least} labels .*the model has {max(labels, 2)}: pass loss='margin'"
            with pytest.raises(ParameterError, match=message):
                replace(attack, loss="dlr").run(x)


def test_losses_are_the_formulas() -> None:
    logits = torch.randn(6, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    y = torch.tensor([0, 1, 2, 3, 4, 0])
    for i, row in enumerate(logits.tolist()):
        label, ordered = int(y[i]), sorted(row, reverse=True)
        others = max(v for k, v in enumerate(row) if k != label)
        margin = row[label] - others
        log_p = row[label] - math.log(sum(map(math.exp, row)))
        expected = {
            ("ce", False): log_p,
            ("ce", True): -log_p,
            ("margin", False): margin,
            ("margin", True): -margin,
            ("dlr", False): margin / (ordered[0] - ordered[2]),
            ("dlr", True): -margin / (ordered[0] - (ordered[2] + ordered[3]) / 2),
        }
        for (loss, targeted), value in expected.items():
            aim = LossObjective(y[i : i + 1], targeted, loss=loss)  # type: ignore[arg-type]
            assert float(aim.assess(logits[i : i + 1]).loss) == pytest.approx(value)


def test_frames_are_pooled_by_their_mean_posterior() -> None:
    frames = torch.randn(2, 7, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    pooled = frames.softmax(-1).mean(1)
    y = torch.tensor([1, 3])
    for loss in ("ce", "margin", "dlr"):
        ours = LossObjective(y, False, loss=loss).assess(frames).loss
        theirs = LossObjective(y, False, loss=loss, outputs="probabilities").assess(pooled).loss
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"loss": "hinge"}, "loss is 'hinge', must be 'auto', 'ce', 'dlr' or 'margin'"),
        ({"masking": 0.5, "sr": 800}, "masking is 0.5, APGD has none: use WaveformPGD"),
        ({"memory_format": "auto"}, "memory_format is 'auto', APGD has none: use WaveformPGD"),
        ({"untargeted_loss": "cross_entropy"}, "untargeted_loss is .*pass loss= instead"),
        ({"norm": "l1"}, "norm is 'l1'"),
    ],
)
def test_settings_without_meaning_are_refused(setting: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        APGD(linear(50, 2), outputs="logits", **setting)

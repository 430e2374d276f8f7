"""Attacks for the nearest adversary reach the boundary of linear models, and keep the bound."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from otoscope.attack.strong import FABT, CarliniWagner, IterativeClipping
from otoscope.attack.strong.fab import to_hyperplane
from otoscope.errors import ParameterError
from tests.attack.strong.test_apgd import curved, linear, sounds

KINDS: list[Any] = [FABT, CarliniWagner, IterativeClipping]


def distance_to_others(x: Tensor, n: int, labels: int) -> Tensor:
    """Distance of each sound to the nearest hyperplane of a linear model."""
    w, logits = linear(n, labels)(torch.eye(n, dtype=torch.float64)), linear(n, labels)(x)
    rows = []
    for row in logits:
        y = int(row.argmax())
        rows.append(
            min(
                float((row[y] - row[k]) / (w[:, y] - w[:, k]).norm())
                for k in range(labels)
                if k != y
            )
        )
    return torch.tensor(rows, dtype=torch.float64)


@pytest.mark.parametrize(
    ("kind", "settings", "tolerance"),
    [
        (FABT, {"steps": 20}, 2e-3),
        (CarliniWagner, {"steps": 200, "step": 0.02}, 0.05),
        (IterativeClipping, {"steps": 300, "step": 0.02}, 0.6),  # it clips: not the ball's nearest
    ],
)
def test_the_distance_to_the_nearest_hyperplane_is_found(
    kind: Any, settings: dict[str, Any], tolerance: float
) -> None:
    x, model = sounds(6, 80), linear(80, 4)
    attack = kind(model, snr_db=3.0, outputs="logits", amplitude=None, **settings)
    result, best = attack.run(x), distance_to_others(x, 80, 4)
    assert bool(result.success.all())
    ratio = result.difference.norm(dim=1) / best
    assert bool((ratio >= 1 - 1e-9).all())
    assert bool((ratio <= 1 + tolerance).all()), ratio


@pytest.mark.parametrize(
    ("kind", "settings", "tolerance"),
    [
        (FABT, {"steps": 20}, 2e-3),
        (CarliniWagner, {"steps": 200, "step": 0.02}, 0.05),
        (IterativeClipping, {"steps": 300, "step": 0.02}, 0.6),
    ],
)
@pytest.mark.parametrize("targeted", [False, True])
def test_the_nearest_sound_of_the_confidence_is_found(
    kind: Any, settings: dict[str, Any], tolerance: float, targeted: bool
) -> None:
    # Of two labels, 0.9 is where the logits differ by log 9: a hyperplane.
    x, model = sounds(6, 80), linear(80, 2)
    w, logits = model(torch.eye(80, dtype=torch.float64)), model(x)
    best = (logits.diff(dim=1)[:, 0].abs() + math.log(9)) / w.diff(dim=1).norm()
    attack = kind(model, snr_db=1.0, outputs="logits", amplitude=None, confidence=0.9, **settings)
    attack = attack.targeted(1 - logits.argmax(1)) if targeted else attack
    result = attack.run(x)
    assert bool(result.success.all())
    assert bool((result.confidence_after >= 0.9).all())
    ratio = result.difference.norm(dim=1) / best
    assert bool((ratio >= 1 - 1e-9).all())
    assert bool((ratio <= 1 + tolerance).all()), ratio


@pytest.mark.parametrize("kind", KINDS)
def test_of_many_labels_the_confidence_is_reached(kind: Any) -> None:
    x, model = sounds(6, 80), linear(80, 4)
    attack = kind(model, snr_db=1.0, outputs="logits", steps=100, confidence=0.95)
    for each in (attack, attack.targeted(2)):
        result = each.run(x)
        p = model(result.sound).softmax(1)
        aim = p[:, 2] if each is not attack else p.amax(1)
        assert bool(result.success.all())
        assert bool((aim >= 0.95).all())


@pytest.mark.parametrize("kind", KINDS)
def test_the_aim_is_reached_where_its_confidence_is_beyond_the_bound(kind: Any) -> None:
    x, model = sounds(2, 80), linear(80, 2)
    w, logits = model(torch.eye(80, dtype=torch.float64)), model(x)
    margin, norm = logits.diff(dim=1)[:, 0].abs(), w.diff(dim=1).norm()
    best = (margin + math.log(3)) / norm  # where the aim has 0.75
    for row, distance in zip(x, best, strict=True):
        bound_db = float(20 * torch.log10(row.norm() / distance))
        attack = kind(model, snr_db=bound_db, outputs="logits", steps=60, confidence=0.9)
        result = attack.run(row)
        assert not bool(result.success)
        assert bool(model(result.sound).argmax(1) != model(row[None]).argmax(1))
        assert float(result.confidence_after) <= 0.75 + 1e-9
        assert float(result.snr_db) >= bound_db - 1e-9


@pytest.mark.parametrize("kind", [CarliniWagner, IterativeClipping])
@pytest.mark.parametrize("confidence", [None, 0.8])
def test_labels_per_frame_are_all_reached(kind: Any, confidence: float | None) -> None:
    x, of_frame = sounds(4, 80), linear(20, 3)

    def model(sound: Tensor) -> Tensor:
        return of_frame(sound.unflatten(1, (4, 20)))  # type: ignore[no-any-return]

    attack = kind(model, snr_db=1.0, outputs="logits", steps=60, confidence=confidence)
    labels = torch.tensor([[0, 1, 2, 1]]).expand(4, -1)
    result = attack.targeted(labels).run(x)
    assert bool(result.success.all())
    assert torch.equal(model(result.sound).argmax(-1), labels)


@pytest.mark.parametrize("kind", KINDS)
def test_what_lies_beyond_the_bound_is_no_success(kind: Any) -> None:
    x, model = sounds(8, 80), linear(80, 4)
    best = distance_to_others(x, 80, 4)
    ratio = 20 * torch.log10(x.norm(dim=1) / best)
    snr_db = float(ratio.median()) + 0.05
    result = kind(model, snr_db=snr_db, outputs="logits", steps=100).run(x)
    assert bool((result.snr_db >= snr_db - 1e-9).all())
    assert not bool((result.success & (ratio < snr_db)).any())
    if kind is FABT:
        assert torch.equal(result.success, ratio > snr_db)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("labels", [1, 2, 5])
def test_labels_are_reached_and_left(kind: Any, labels: int) -> None:
    x, model = sounds(4, 60), curved(60, labels, width=8)
    attack = kind(model, snr_db=0.5, outputs="logits", steps=150, step=0.1)
    for label in range(max(labels, 2)):
        result = attack.targeted(label).run(x)
        values = model(result.sound).detach()
        predicted = values.argmax(1) if labels > 1 else (values[:, 0] > 0).long()
        assert torch.equal(result.success, predicted == label)
    result = attack.run(x)
    assert int(result.success.sum()) >= 1
    still = attack.run(x[:1], 1 - int((model(x[:1]) > 0).flatten()[0])) if labels == 1 else None
    if still is not None:  # another label than the prediction: nothing is left to do
        assert torch.equal(still.sound, x[:1])
        assert still.iterations.tolist() == [0]


def test_the_projection_onto_a_hyperplane_in_a_box_is_the_nearest_point() -> None:
    generator = torch.Generator().manual_seed(3)
    for _ in range(20):
        point = 2 * torch.rand(1, 5, generator=generator, dtype=torch.float64) - 1
        normal = torch.randn(1, 5, generator=generator, dtype=torch.float64)
        corner = float(normal.abs().sum())
        level = (2 * torch.rand(1, generator=generator, dtype=torch.float64) - 1) * corner * 0.9
        found = to_hyperplane(point, normal, level, 1.0)
        assert float((found * normal).sum()) == pytest.approx(float(level))
        assert bool((found.abs() <= 1).all())
        other = minimize(
            lambda p, point=point: ((p - point[0].numpy()) ** 2).sum(),
            point[0].numpy(),
            bounds=[(-1, 1)] * 5,
            constraints={
                "type": "eq",
                "fun": lambda p, normal=normal, level=level: p @ normal[0].numpy() - float(level),
            },
            method="SLSQP",
        )
        assert float((found - point).square().sum()) == pytest.approx(other.fun, abs=1e-6)
    beyond = to_hyperplane(point, normal, torch.tensor([2.0 * corner]), 1.0)
    assert torch.equal(beyond, normal.sign())


@pytest.mark.parametrize("kind", KINDS)
def test_settings_that_a_search_for_the_nearest_lacks(kind: Any) -> None:
    for setting, name in (
        ({"segmental_snr_db": 20.0}, "segmental_snr_db"),
        ({"norm": "linf"}, "norm='linf'"),
        ({"transforms": (lambda y, g: y,)}, "transforms"),
        ({"loss": "ce"}, "loss='ce'"),
    ):
        with pytest.raises(ParameterError, match=rf"has no {name}: use APGD"):
            kind(linear(20, 2), outputs="logits", sr=800, **setting)


@pytest.mark.parametrize(
    ("kind", "setting", "message"),
    [
        (FABT, {"n_targets": 0}, "n_targets"),
        (CarliniWagner, {"weights": 0}, "weights"),
        (CarliniWagner, {"first_weight": 0.0}, "first_weight is 0.0, must be finite and > 0"),
        (CarliniWagner, {"kappa": -1.0}, "kappa is -1.0"),
        (IterativeClipping, {"factor": 1.0}, r"factor is 1.0, must be in \(0, 1\)"),
        (IterativeClipping, {"first_clip": 0.0}, "first_clip is 0.0"),
    ],
)
def test_settings_out_of_range(kind: Any, setting: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        kind(linear(20, 2), outputs="logits", **setting)

"""Each sound counts once, survivors go on, and one difference is optimal for a linear model."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from otoscope.attack.strong import (
    APGD,
    FABT,
    Ensemble,
    Square,
    Universal,
    robustness_curve,
    strong,
    universal,
)
from otoscope.errors import ParameterError
from otoscope.report.figures import curve_sentence, curve_table
from otoscope.signal.snr import radius
from tests.attack.strong.test_apgd import curved, linear, sounds


def test_only_sounds_first_classified_rightly_count_and_each_once() -> None:
    x, model = sounds(20, 60), curved(60, 5, width=8)
    y = model(x).argmax(1)
    y[:4] = (y[:4] + 1) % 5
    attack = APGD(model, snr_db=7.0, steps=10, outputs="logits")
    result = strong(attack).run(x, y)
    assert result.is_counted.tolist() == [False] * 4 + [True] * 16
    right = model(result.sound).argmax(1) == y
    assert torch.equal(result.success, ~right)
    assert result.robust.value == float(right[4:].double().mean())
    for i, name in enumerate(result.fooled_by):
        assert bool(name) == (i >= 4 and bool(result.success[i]))
    single = attack.run(x, y).success
    assert bool((result.success | ~single).all())


def test_sounds_first_classified_wrongly_do_not_count_at_any_confidence() -> None:
    x, model = sounds(20, 60), linear(60, 2)
    p = model(x).softmax(1)
    y = p.argmin(1)
    unsure = p.amax(1) < 0.9  # wrong, yet with less confidence than is asked for
    assert 0 < int(unsure.sum()) < 20
    attack = APGD(model, snr_db=3.0, steps=10, outputs="logits", confidence=0.9)
    result = strong(attack).run(x, y)
    assert bool(result.success.all())
    assert not bool(result.is_counted.any())
    assert set(result.fooled_by) == {""}


def test_survivors_alone_are_attacked_again() -> None:
    x, inner, sizes = sounds(12, 60), linear(60, 2), []

    def model(sound: Tensor) -> Tensor:
        sizes.append((torch.is_grad_enabled(), len(sound)))
        return inner(sound)  # type: ignore[no-any-return]

    apgd = APGD(model, snr_db=14.0, steps=20, outputs="logits")
    square = Square(model, snr_db=14.0, steps=30, outputs="logits")
    result = Ensemble({"apgd": apgd, "square": square}).run(x)
    n_left = result.fooled_by.count("") + result.fooled_by.count("square")
    assert 0 < n_left < 12
    assert {n for is_enabled, n in sizes[-25:] if not is_enabled} == {n_left}
    assert result.robust.value == pytest.approx(1 - float(result.success.double().mean()))


@pytest.mark.parametrize("labels", [1, 2, 4])
def test_the_ensemble_fits_the_number_of_labels(labels: int) -> None:
    x, model = sounds(3, 60), linear(60, labels)
    attack = APGD(model, snr_db=3.0, steps=10, outputs="logits")
    ensemble = strong(attack)
    assert bool(ensemble.run(x).success.all())
    assert bool(ensemble.targeted(1).run(x).success.all())
    assert list(strong(APGD(model, norm="linf")).attacks) == ["apgd-ce", "apgd-dlr-t", "square"]


def test_ensembles_that_make_no_sense() -> None:
    model, other = linear(20, 2), linear(20, 2)
    with pytest.raises(ParameterError, match="attacks is empty"):
        Ensemble({})
    with pytest.raises(ParameterError, match="different models"):
        Ensemble({"a": APGD(model), "b": APGD(other)})
    with pytest.raises(ParameterError, match="different goals"):
        Ensemble({"a": APGD(model), "b": FABT(model).targeted(1)})
    x = sounds(2, 20)
    wrong = 1 - model(x).argmax(1)
    with pytest.raises(ParameterError, match="none of 2 sounds was classified rightly"):
        _ = strong(APGD(model, outputs="logits")).run(x, wrong).robust


def test_the_interval_of_the_fraction_is_wilsons() -> None:
    z, n, k = 1.959963984540054, 30, 21
    middle = (k + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(k * (n - k) / n + z * z / 4)
    curve = robustness_curve([20.0] * k + [40.0] * (n - k), [30.0])
    assert curve.robust[0].value == k / n
    assert curve.robust[0].low == pytest.approx(middle - half)
    assert curve.robust[0].high == pytest.approx(middle + half)


def test_a_curve_counts_the_sounds_without_an_adversary_so_quiet() -> None:
    ratios = [12.0, 30.0, 55.0, -math.inf]
    curve = robustness_curve(ratios, [60, 10, 30, 30.5])
    assert curve.snr_db == (10.0, 30.0, 30.5, 60.0)
    assert [f.value for f in curve.robust] == [0.25, 0.5, 0.75, 1.0]
    assert curve.median_db == 30.0
    assert [row["n_sounds"] for row in curve.to_rows()] == [4] * 4
    for bad, message in (([], "found_db is empty"), ([math.nan], "a ratio is NaN")):
        with pytest.raises(ParameterError, match=message):
            robustness_curve(bad)


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.just(-math.inf), st.floats(5, 80)), min_size=1, max_size=9),
    st.lists(st.floats(5, 80), min_size=1, max_size=6, unique=True),
)
@example([10.2, 14.74, 18.0], [10.0, 15.0])
@example([12.0, 30.0, 55.0, -math.inf], [10.0, 30.0])
@example([40.0, -math.inf], [40.0])
def test_the_sentence_says_what_the_table_does(ratios: list[float], levels: list[float]) -> None:
    curve = robustness_curve(ratios, levels)
    text = curve_sentence(curve)
    half = len(ratios) / 2
    for level, robust in zip(curve.snr_db, curve.robust, strict=True):
        assert (robust.value <= 0.5) == (level <= curve.median_db)
    if sum(map(math.isfinite, ratios)) < half:
        assert text == f"Of {len(ratios)} sounds, less than half fool the model."
        return
    assert sum(ratio >= curve.median_db for ratio in ratios) >= half
    assert sum(ratio > curve.median_db for ratio in ratios) < half or curve.median_db == max(ratios)
    rows = {row[0]: row[1] for row in curve_table(curve).rows}
    told = re.findall(r"(0\.\d+|1\.00) at (\d+\.\d+ dB)", text)
    assert told
    for fraction, level_text in told:
        assert rows[level_text] == fraction or list(rows).count(level_text) != 1


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("level", ["relative", "fixed"])
def test_the_best_difference_for_a_linear_model_is_along_its_weights(norm: Any, level: Any) -> None:
    w = linear(80, 1)(torch.eye(80, dtype=torch.float64))[:, 0]
    x = sounds(8, 80) * torch.linspace(0.5, 1, 8, dtype=torch.float64)[:, None]
    attack = Universal(
        linear(80, 1), snr_db=10.0, norm=norm, level=level, outputs="logits", amplitude=None,
        confidence=1.0, steps=60,
    ).targeted(1)  # fmt: skip
    result = attack.run(x)
    best = w / w.norm() if norm == "l2" else w.sign()
    torch.testing.assert_close(result.direction, best, rtol=1e-3, atol=1e-3)
    reach = radius(x, 10.0) / (1 if norm == "l2" else 80**0.5)
    reach = reach.amin().expand(8) if level == "fixed" else reach
    torch.testing.assert_close(result.difference, reach[:, None] * result.direction)
    other = sounds(3, 80, seed=5)
    moved = attack.apply(result.direction, other) - other
    assert bool((moved.norm(dim=1) <= radius(other, 10.0) * (1 + 1e-12)).all())


def test_one_difference_fools_the_sounds_near_enough_to_the_hyperplane() -> None:
    x, model = sounds(16, 60), linear(60, 1)
    w = model(torch.eye(60, dtype=torch.float64))[:, 0]
    result = Universal(model, snr_db=4.0, outputs="logits").targeted(1).run(x)
    is_near = model(x)[:, 0] + radius(x, 4.0) * w.norm() > 0
    assert 0 < int((model(x)[:, 0] > 0).sum()) < int(is_near.sum())
    assert torch.equal(result.success, is_near)
    assert bool((result.snr_db >= 4.0 - 1e-9).all())


def test_a_difference_on_other_sounds_is_judged_by_their_outputs() -> None:
    model, attack = (
        linear(60, 1),
        Universal(linear(60, 1), snr_db=4.0, outputs="logits").targeted(1),
    )
    direction = attack.run(sounds(19, 60)).direction  # more than are evaluated at once
    x = sounds(11, 60, seed=3)
    result = attack.transferred(direction, x)
    is_up = model(x)[:, 0] > 0
    expected = torch.where(is_up[:, None], x, attack.apply(direction, x))
    torch.testing.assert_close(result.sound, expected)
    assert torch.equal(result.success, model(expected)[:, 0] > 0)
    assert torch.equal(result.iterations, (~is_up).long())
    torch.testing.assert_close(result.confidence_before, model(x)[:, 0].sigmoid())
    with pytest.raises(ParameterError, match="the sound has 59 samples, the difference 60"):
        Universal(linear(59, 1), outputs="logits").transferred(direction, x[:, :59])


def test_one_difference_is_the_same_for_any_number_of_sounds_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    attack = Universal(linear(60, 2), snr_db=4.0, outputs="logits", steps=10)
    whole = attack.run(sounds(7, 60))
    monkeypatch.setattr(universal, "_AT_ONCE", 3)
    parts = attack.run(sounds(7, 60))
    torch.testing.assert_close(parts.direction, whole.direction)
    assert torch.equal(parts.success, whole.success)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"level": "loud"}, "level is 'loud'"),
        ({"restarts": 2}, "restarts is 2, Universal has none"),
    ],
)
def test_settings_of_a_universal_perturbation(settings: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Universal(linear(20, 2), **settings)

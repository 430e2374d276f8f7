"""The nearest adversary of a linear model lies on the hyperplane, and brackets hold it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from otoscope.attack import MagnitudeAdversary, WaveformPGD
from otoscope.attack.strong import APGD, LeastNorm, Square
from otoscope.errors import ParameterError
from otoscope.signal.snr import snr_db
from tests.attack.strong.test_apgd import linear, sounds
from tests.attack.strong.test_nearest import distance_to_others


@pytest.mark.parametrize("kind", [APGD, WaveformPGD])
def test_the_ratio_is_that_of_the_distance_to_the_hyperplane(kind: Any) -> None:
    x, best = sounds(7, 90), distance_to_others(sounds(7, 90), 90, 2)
    attack = kind(linear(90, 2), outputs="logits", amplitude=None, steps=30)
    result = LeastNorm(attack, lowest_db=2.0, highest_db=70.0, tolerance_db=0.25).run(x)
    ratio = 20 * torch.log10(x.norm(dim=1) / best)
    assert bool(result.success.all())
    assert bool((result.snr_db <= ratio + 1e-9).all())
    assert bool((result.snr_db >= ratio - 0.25).all())
    assert bool((result.fails_db >= ratio).all())
    assert bool((result.fails_db <= ratio + 0.25).all())
    torch.testing.assert_close(result.snr_db, snr_db(x, result.sound))


def test_sounds_that_no_ratio_fools_and_those_that_need_no_change() -> None:
    x, model = sounds(6, 60), linear(60, 3)
    y = model(x).argmax(1)
    y[0] = (y[0] + 1) % 3  # wrong at first
    offset = torch.tensor([0.0, 0.0, 0.0], dtype=torch.float64)
    result = LeastNorm(APGD(model, outputs="logits", steps=10)).run(x, y)
    assert result.iterations[0] == 0
    assert torch.equal(result.sound[0], x[0])
    assert result.snr_db[0] == result.fails_db[0] == float("inf")
    offset[0] = 1e4
    never = LeastNorm(APGD(lambda s: model(s) + offset, outputs="logits", steps=5)).run(x)
    assert not bool(never.success.any())
    assert never.fails_db.tolist() == [5.0] * 6
    assert bool((never.snr_db >= 5.0 - 1e-9).all())


def test_a_black_box_and_a_batch_give_what_single_sounds_give() -> None:
    x = sounds(3, 50)
    attack = Square(linear(50, 2), outputs="logits", steps=60, seed=2)
    search = LeastNorm(attack, lowest_db=1.0, highest_db=30.0, tolerance_db=1.0)
    together = search.run(x)
    alone = [search.run(x[i : i + 1], first_example=i) for i in range(3)]
    torch.testing.assert_close(together.sound, torch.cat([r.sound for r in alone]))
    assert together.fails_db.tolist() == [float(r.fails_db) for r in alone]


def test_a_target_is_reached() -> None:
    x, model = sounds(4, 60), linear(60, 3)
    result = LeastNorm(APGD(model, outputs="logits", steps=30).targeted(2), lowest_db=1.0).run(x)
    assert bool((model(result.sound).argmax(1) == 2).all())
    assert bool(result.success.all())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lowest_db": 0.0}, "lowest_db is 0.0, must be finite and > 0 dB"),
        ({"highest_db": 4.0}, "highest_db 4.0.*lowest_db must be < highest_db"),
        ({"tolerance_db": 0.0}, "tolerance_db 0.0; .*tolerance_db > 0"),
    ],
)
def test_ranges_that_are_empty(settings: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        LeastNorm(APGD(linear(20, 2)), **settings)


def test_the_published_method_does_not_bound_the_sound() -> None:
    attack = MagnitudeAdversary(linear(2048, 2), faithful=True)
    with pytest.raises(ParameterError, match="leave out faithful=True"):
        LeastNorm(attack)

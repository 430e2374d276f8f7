"""Square needs outputs only, keeps its bound, and never takes a step back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from torch import Tensor

from otoscope.attack import WaveformPGD
from otoscope.attack.strong import APGD, Square
from otoscope.attack.strong.square import block_fraction
from otoscope.errors import ParameterError
from otoscope.signal.snr import radius
from tests.attack.strong.test_apgd import linear, sounds


def forest(n: int) -> Any:
    """A forest that tells sounds of much energy at low frequencies from others."""
    x = sounds(200, n, seed=9).numpy()
    low = np.abs(np.fft.rfft(x)[:, : n // 8]).sum(1)
    y = (low > np.median(low)).astype(int)

    def features(sound: np.ndarray) -> np.ndarray:
        return np.abs(np.fft.rfft(sound)).reshape(len(sound), -1)

    trees = RandomForestClassifier(30, random_state=0).fit(features(x), y)
    return lambda sound: trees.predict_proba(features(sound.numpy()))


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("blocks", ["tone", "square"])
def test_a_forest_is_fooled_within_the_bound(norm: Any, blocks: Any) -> None:
    x, model = sounds(6, 96), forest(96)
    attack = Square(model, snr_db=3.0, steps=120, norm=norm, blocks=blocks, outputs="probabilities")
    result = attack.run(x)
    assert int(result.success.sum()) >= 1
    before, after = model(x).argmax(1), model(result.sound).argmax(1)
    assert (result.success.numpy() == (before != after)).all()
    reach = radius(x, 3.0) / (1 if norm == "l2" else 96**0.5)
    size = result.difference.norm(dim=1) if norm == "l2" else result.difference.abs().amax(1)
    assert bool((size <= reach * (1 + 1e-12)).all())


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("segmental", [None, 6.0])
def test_every_query_is_within_the_bound_and_the_ball_is_full(norm: Any, segmental: Any) -> None:
    x, seen, w = sounds(2, 101), [], linear(101, 3)

    def model(sound: Tensor) -> Tensor:
        seen.append(sound)
        return w(sound)  # type: ignore[no-any-return]

    Square(
        model, snr_db=6.0, steps=40, norm=norm, outputs="logits", confidence=1.0, amplitude=None,
        segmental_snr_db=segmental, sr=800,
    ).run(x)  # fmt: skip
    reach = radius(x, 6.0) / (1 if norm == "l2" else 101**0.5)
    for point in (each for each in seen if each.shape == x.shape):
        d = point - x
        size = d.norm(dim=1) if norm == "l2" else d.abs().amax(1)
        assert bool((size <= reach * (1 + 1e-12)).all())
        if segmental is None and bool(d.any()):
            torch.testing.assert_close(size, reach)


def test_the_loss_never_rises_and_results_do_not_depend_on_the_batch() -> None:
    x, model = sounds(4, 100), linear(100, 3)
    settings: dict[str, Any] = {"snr_db": 12.0, "steps": 200, "outputs": "logits", "seed": 3}
    attack = Square(model, **settings, confidence=1.0).targeted(2)
    result = attack.run(x)
    gains = [attack.run(x[i : i + 1], first_example=i).sound[0] for i in range(4)]
    torch.testing.assert_close(result.sound, torch.stack(gains))
    before, after = (model(y).log_softmax(1)[:, 2] for y in (x, result.sound))
    assert bool((after > before).all())


def test_many_queries_approach_the_optimum_of_a_linear_model() -> None:
    x, w = sounds(2, 32), linear(32, 1)(torch.eye(32, dtype=torch.float64))[:, 0]
    attack = Square(
        linear(32, 1), snr_db=10.0, steps=1500, outputs="logits", confidence=1.0, amplitude=None
    ).targeted(1)
    gain = attack.run(x).difference @ w
    assert bool((gain >= 0.8 * radius(x, 10.0) * w.norm()).all())


def test_lengths_of_blocks_are_those_of_the_schedule() -> None:
    at = [0, 10, 11, 50, 51, 200, 201, 8000, 8001]
    halvings = [0, 0, 1, 1, 2, 2, 3, 8, 9]
    assert [block_fraction(q, 10_000, first=0.5) for q in at] == [0.5 / 2**h for h in halvings]


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("blocks", ["tone", "square"])
def test_the_shortest_sounds(n: int, norm: Any, blocks: Any) -> None:
    x = torch.full((1, n), 0.5, dtype=torch.float64)
    attack = Square(
        lambda y: y.sum(1), snr_db=6.0, steps=10, norm=norm, blocks=blocks, outputs="logits"
    )
    assert bool((attack.run(x).snr_db >= 6 - 1e-9).all())


def test_attacks_by_gradient_name_square_where_there_is_none() -> None:
    x, model = sounds(2, 96), forest(96)
    for kind in (APGD, WaveformPGD):
        with pytest.raises(ParameterError, match=r"gradient.*use Square, which needs none"):
            kind(lambda y: torch.from_numpy(model(y.detach())), outputs="probabilities").run(x)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"blocks": "round"}, "blocks is 'round', must be 'tone' or 'square'"),
        ({"first_fraction": 0.0}, r"first_fraction is 0.0, must be in \(0, 1\]"),
    ],
)
def test_settings_out_of_range(setting: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Square(linear(20, 2), outputs="logits", **setting)

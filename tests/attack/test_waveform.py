"""PGD reaches the optimum where it is known, keeps its bound, and each sound stops by itself."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from otoscope.attack import (
    AttackResult,
    Goal,
    MagnitudeAdversary,
    RandomNoise,
    RandomShift,
    WaveformPGD,
)
from otoscope.attack.bounds import Bound
from otoscope.attack.waveform import GradientStep, step_length
from otoscope.signal.masking import masking_threshold
from otoscope.signal.snr import radius
from tests.support.examples import examples


def sounds(batch: int, n: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.2 * torch.randn(batch, n, generator=generator, dtype=torch.float64).clamp(-4, 4)


def weights(n: int, labels: int, seed: int = 7) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, labels, generator=generator, dtype=torch.float64)


def linear(n: int, labels: int = 1, seed: int = 7) -> Any:
    """Logits that are linear in the sound."""
    w = weights(n, labels, seed)
    return lambda sound: sound @ w.to(sound)


def attack(model: Any, **kwargs: Any) -> WaveformPGD:
    return WaveformPGD(model, **{"outputs": "logits", **kwargs})


def test_the_optimum_of_a_linear_model_is_reached_in_the_ball() -> None:
    x, w = sounds(3, 200), weights(200, 1)[:, 0]
    hard = attack(linear(200), snr_db=30.0, confidence=1.0, amplitude=None)
    for label, sign in ((1, 1), (0, -1)):
        found = hard.targeted(label)(x) - x
        best = sign * radius(x, 30.0)[:, None] * w / w.norm()
        torch.testing.assert_close(found, best, rtol=1e-9, atol=1e-12)


def test_the_optimum_of_a_linear_model_is_reached_in_the_cube() -> None:
    x, w = sounds(3, 200), weights(200, 1)[:, 0]
    hard = attack(linear(200), snr_db=30.0, norm="linf", confidence=1.0, amplitude=None)
    found = hard.targeted(1)(x) - x
    best = x.square().mean(1, keepdim=True).sqrt() * 10 ** (-30 / 20) * w.sign()
    torch.testing.assert_close(found, best, rtol=1e-9, atol=1e-12)


def test_the_optimum_of_a_linear_model_is_reached_under_a_bound_on_segments() -> None:
    x, w = sounds(1, 200), weights(200, 1)[:, 0]
    x[:, :50] *= 0.01
    hard = attack(
        linear(200), snr_db=3.0, segmental_snr_db=20.0, sr=2000, confidence=1.0, amplitude=None
    )
    assert hard.bound.segment_length == 50
    found = hard.targeted(1).run(x)
    parts, each = x.view(4, 50), w.view(4, 50)
    best = parts.norm(dim=1, keepdim=True) / 10 * each / each.norm(dim=1, keepdim=True)
    torch.testing.assert_close(found.difference.view(4, 50), best, rtol=1e-3, atol=1e-6)
    assert float(found.segmental_snr_db) == pytest.approx(20, abs=1e-6)


@examples(25)
@given(
    snr_db=st.floats(1, 90),
    norm=st.sampled_from(["l2", "linf"]),
    momentum=st.sampled_from([0.0, 0.9]),
    step=st.floats(0.01, 10),
    restarts=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_the_bound_is_never_violated(seed: int, snr_db: float, **choices: Any) -> None:
    x = sounds(2, 60, seed).clamp(-1, 1)
    result = attack(
        linear(60, 3, seed), snr_db=snr_db, steps=5, confidence=1.0, seed=seed, **choices
    ).run(x)
    assert bool((result.snr_db >= snr_db - 1e-6).all())
    assert bool((result.sound.abs() <= 1).all())


@pytest.mark.parametrize("label", [0, 1, 2])
def test_every_label_can_be_reached_0_as_well(label: int) -> None:
    x = sounds(8, 300)
    result = attack(linear(300, 3), snr_db=10.0).targeted(label).run(x)
    assert result.targeted
    assert bool(result.success.all())
    assert bool((linear(300, 3)(result.sound).argmax(1) == label).all())


@pytest.mark.parametrize("label", [0, 1])
def test_every_label_can_be_left_0_as_well(label: int) -> None:
    x, model = sounds(8, 300), linear(300, 2)
    y = torch.full((8,), label)
    result = attack(model, snr_db=10.0).run(x, y)
    label_before, label_after = model(x).argmax(1), model(result.sound).argmax(1)
    assert bool((label_after != y).all())
    untouched = label_before != y
    assert 0 < int(untouched.sum()) < 8
    assert torch.equal(result.sound[untouched], x[untouched])
    assert torch.equal(result.iterations[untouched], torch.zeros(int(untouched.sum())).long())


def test_a_target_that_is_heard_already_leaves_the_sound_as_it_is() -> None:
    x, model = sounds(4, 100), linear(100, 3)
    y = model(x).argmax(1)
    result = attack(model).targeted(y).run(x)
    assert torch.equal(result.sound, x)
    assert result.iterations.tolist() == [0] * 4
    assert bool(result.success.all())
    assert bool((result.snr_db == math.inf).all())
    assert torch.equal(result.confidence_before, result.confidence_after)


def test_one_column_is_two_labels_in_logits_and_probabilities_alike() -> None:
    x, logit = sounds(6, 200), linear(200)
    two = attack(lambda s: torch.cat([-logit(s) / 2, logit(s) / 2], 1), snr_db=12.0, confidence=0.9)
    one = attack(logit, snr_db=12.0, confidence=0.9)
    p = attack(lambda s: logit(s).sigmoid(), snr_db=12.0, confidence=0.9, outputs="probabilities")
    for label in (0, 1):
        expected = two.targeted(label)(x)
        torch.testing.assert_close(one.targeted(label)(x), expected)
        torch.testing.assert_close(p.targeted(label)(x), expected)


def test_each_sound_stops_by_itself_and_at_the_confidence_asked_for() -> None:
    x, model = sounds(12, 300), linear(300, 2)
    result = attack(model, snr_db=8.0, confidence=0.8, step=0.02).targeted(1).run(x)
    assert bool(result.success.all())
    assert len(set(result.iterations.tolist())) > 3
    for i, last in enumerate(result.iterations.tolist()):
        history = result.confidence[i]
        assert bool(history[last + 1 :].isnan().all())
        assert bool((history[:last] < 0.8).all())
        assert float(history[last]) == float(result.confidence_after[i]) >= 0.8
        assert float(history[0]) == float(result.confidence_before[i])
    p = model(result.sound).softmax(1)[:, 1]
    torch.testing.assert_close(p, result.confidence_after)


def test_the_seed_decides_and_the_batch_does_not() -> None:
    x, model = sounds(5, 100), linear(100, 4)
    dead = lambda s: model(s) * (s[:, :1] > x[:, :1].max() + 1e-9)  # noqa: E731 # needs restarts
    tries = attack(
        dead,
        snr_db=3.0,
        restarts=3,
        steps=4,
        transforms=(RandomNoise(30.0), RandomShift(2)),
        seed=3,
    ).targeted(2)
    whole = tries(x)
    assert torch.equal(whole, tries(x))
    parts = [tries(x[:2]), tries(x[2:], first_example=2)]
    torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=1e-12)
    other = attack(dead, snr_db=3.0, restarts=3, steps=4, seed=4).targeted(2)(x)
    assert not torch.equal(other, whole)


def test_restarts_find_what_lies_beyond_a_dead_gradient() -> None:
    x, w = sounds(8, 50), weights(50, 1)

    def plateau(sound: Tensor) -> Tensor:
        away = (sound - x[: len(sound)]).norm(dim=1, keepdim=True)
        return torch.where(away > 0, sound @ w - 3, -3 + 0 * (sound @ w))

    once = attack(plateau, snr_db=3.0, amplitude=None).targeted(1).run(x)
    again = attack(plateau, snr_db=3.0, amplitude=None, restarts=2).targeted(1).run(x)
    assert not bool(once.success.any())
    assert torch.equal(once.sound, x)  # nowhere to go
    assert bool(again.success.all())
    last = again.confidence.gather(1, again.iterations[:, None])[:, 0]
    torch.testing.assert_close(last, again.confidence_after)  # the history is of the same search
    torch.testing.assert_close(again.confidence_before, once.confidence_before)
    single = attack(plateau, snr_db=3.0, amplitude=None, restarts=2).targeted(1).run(x[:1])
    assert bool(single.success.all())


def test_labels_of_frames_are_reached_in_every_frame() -> None:
    x, w = sounds(2, 400), weights(100, 3)
    model: Any = lambda sound: sound.unflatten(1, (4, 100)) @ w  # noqa: E731
    labels = torch.tensor([[0, 1, 2, 0], [2, 2, 1, 0]])
    result = attack(model, snr_db=3.0).targeted(labels).run(x)
    assert bool(result.success.all())
    assert torch.equal(model(result.sound).argmax(2), labels)


@pytest.mark.parametrize("aggregation", ["soft", "hard"])
def test_the_label_of_a_sound_is_counted_over_frames(aggregation: Any) -> None:
    x, w = sounds(4, 400), weights(100, 3)
    model: Any = lambda sound: sound.unflatten(1, (4, 100)) @ w  # noqa: E731
    result = attack(model, snr_db=3.0, aggregation=aggregation).targeted(0).run(x)
    posterior = model(result.sound).softmax(2)
    votes = torch.nn.functional.one_hot(posterior.argmax(2), 3).double()
    pooled = (posterior if aggregation == "soft" else votes).mean(1)
    assert bool((pooled.argmax(1) == 0).all())
    assert bool(result.success.all())
    torch.testing.assert_close(result.confidence_after, pooled[:, 0])


def test_goals_name_the_labels() -> None:
    x, model = sounds(6, 200), linear(200, 4)
    y = model(x).argmax(1)
    for goal in (Goal("random", seed=2), Goal("all_wrong", seed=2), Goal("truth")):
        result = attack(model, snr_db=3.0).targeted(goal).run(x, y)
        assert torch.equal(result.labels, goal.labels(y, n_labels=4))
        assert bool(result.success.all())


def test_an_adversary_that_expects_noise_survives_it() -> None:
    x, model = sounds(6, 400), linear(400, 2)
    plain = attack(model, snr_db=6.0, step=0.02)
    y = 1 - model(x).argmax(1)
    robust = attack(model, snr_db=6.0, step=0.02, transforms=(RandomNoise(3.0),), draws=20)

    def survival(result: AttackResult) -> float:
        generator = torch.Generator().manual_seed(99)
        noisy = [
            torch.stack([RandomNoise(3.0)(s, generator) for s in result.sound]) for _ in range(50)
        ]
        return float(torch.stack([model(n).argmax(1) == y for n in noisy]).double().mean())

    assert survival(robust.targeted(y).run(x)) > 0.9
    assert survival(plain.targeted(y).run(x)) < 0.75


def test_masking_makes_an_adversary_quieter_at_the_same_success() -> None:
    sr, n = 16000, 8000
    t = torch.arange(n, dtype=torch.float64) / sr
    x = 0.3 * torch.sin(2 * math.pi * 700 * t)[None] + 0.01 * sounds(1, n)
    band = torch.stack([torch.sin(2 * math.pi * hz * t) for hz in (730.0, 4000.0)], 1) / 2000
    offset = (x @ band).sum() + 0.02  # both a masked tone and an audible one would do
    model = lambda sound: 20 * ((sound @ band).sum(1, keepdim=True) - offset)  # noqa: E731
    plain = attack(model, snr_db=15.0, sr=sr, step=0.03).targeted(1).run(x)
    quiet = attack(model, snr_db=15.0, sr=sr, step=0.03, masking=0.5).targeted(1).run(x)
    heard = masking_threshold(x, sr=sr).excess
    assert bool(plain.success.all())
    assert bool(quiet.success.all())
    assert float(heard(quiet.difference)) < 0.5 * float(heard(plain.difference))


def test_a_module_is_attacked_in_eval_mode_and_left_as_it_was() -> None:
    net = nn.Sequential(nn.Dropout(0.9), nn.Linear(100, 2), nn.BatchNorm1d(2)).double()
    net[2].eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    x = sounds(3, 100)
    with torch.no_grad():
        first = WaveformPGD(net)(x, 0)
    assert torch.equal(first, WaveformPGD(net)(x, 0))
    assert [part.training for part in net] == [True, True, False]
    assert all(p.grad is None for p in net.parameters())
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_the_result_has_the_shape_and_type_of_the_sound() -> None:
    model = linear(100, 2)
    for dtype in (torch.float32, torch.float64):
        x = sounds(1, 100)[0].to(dtype)
        adversary = attack(model)(x, 0)
        assert adversary.shape == (100,)
        assert adversary.dtype == dtype
        assert not adversary.requires_grad
    assert attack(model).run(x, 0).sound.shape == (1, 100)
    assert attack(linear(1, 2))(torch.tensor([0.5]), 0).shape == (1,)  # one sample is a sound


def test_clipped_samples_of_the_original_are_counted() -> None:
    x = sounds(2, 100).clamp(-0.3, 0.3) / 0.3
    result = attack(linear(100, 2)).run(x)
    assert torch.equal(result.clipped, (x.abs() == 1).sum(1))
    assert int(result.clipped.sum()) > 0


@pytest.mark.parametrize("kind", [WaveformPGD, MagnitudeAdversary])
@pytest.mark.parametrize("theirs", [torch.float16, torch.float64])
def test_a_model_may_count_in_another_type_than_the_sound(kind: Any, theirs: torch.dtype) -> None:
    model, x = linear(1500, 2), sounds(2, 1500).float()
    for is_faithful in (False, True)[: 1 + (kind is MagnitudeAdversary)]:
        faithful = {"faithful": True} if is_faithful else {}
        attack = kind(lambda s: model(s).to(theirs), outputs="logits", snr_db=6.0, **faithful)
        result = attack.targeted(1).run(x)
        assert result.sound.dtype == result.confidence.dtype == torch.float32


@pytest.mark.parametrize(("norm", "order"), [("l2", 2), ("linf", 1)])
def test_gradients_are_normalised_before_they_are_added(norm: Any, order: int) -> None:
    x, first = sounds(1, 3), torch.tensor([[3.0, 4.0, 0.0]], dtype=torch.float64)
    step = GradientStep(Bound(snr_db=20.0, norm=norm), x, 0.1, 0.5)
    second = torch.tensor([[1.0, 1.0, 1.0]], dtype=torch.float64)
    _, memory = step(x.clone(), first, torch.zeros_like(x), 0)
    _, memory = step(x.clone(), second, memory, 1)
    expected = 0.5 * first / first.norm(p=order) + second / second.norm(p=order)
    torch.testing.assert_close(memory, expected)


def test_only_steps_that_shorten_become_shorter() -> None:
    assert step_length(0.1, 10, shortens=False) == 0.1
    assert step_length(0.1, 10, shortens=True) == pytest.approx(0.05)


@pytest.mark.parametrize("kind", [WaveformPGD, MagnitudeAdversary])
def test_a_step_calls_the_model_once_and_leaves_its_weights_alone(kind: Any) -> None:
    """Two calls before: the labels; then the sounds with a graph, if the model is not random."""
    calls, model = list[bool](), torch.nn.Linear(1500, 2)

    def counted(x: torch.Tensor) -> torch.Tensor:
        calls.append(any(weight.requires_grad for weight in model.parameters()))
        out: torch.Tensor = model(x)
        return out

    for steps in (1, 5):
        calls.clear()
        kind(counted, steps=steps, confidence=1.0, snr_db=60.0, outputs="logits").run(
            sounds(1, 1500).float(), 0
        )
        assert calls == [False] * (2 + steps)
    assert all(weight.requires_grad for weight in model.parameters())


def test_sounds_that_leave_the_search_do_not_change_the_others() -> None:
    x = sounds(6, 100)
    attack = WaveformPGD(linear(100, 2), snr_db=12.0, steps=30, step=0.05, confidence=0.7)
    together = attack.run(x)
    assert len(set(together.iterations.tolist())) > 1
    for i in range(6):
        alone = attack.run(x[i : i + 1], first_example=i)
        torch.testing.assert_close(together.sound[i], alone.sound[0])
        assert together.iterations[i] == alone.iterations[0]

"""Loss, confidence and success equal their definitions; goals choose the labels they name."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from otoscope.attack import Goal, WaveformPGD, aggregate
from otoscope.attack.classifier import gradient_of, kind_of_outputs, predict
from otoscope.attack.objective import Objective, log_posterior
from otoscope.errors import ParameterError
from otoscope.seeds import torch_generator


def test_the_loss_is_the_cross_entropy_with_the_target() -> None:
    logits = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]], dtype=torch.float64)
    verdict = Objective(torch.tensor([2, 0]), targeted=True).assess(logits)
    for i, target in enumerate((2, 0)):
        total = sum(math.exp(v) for v in logits[i].tolist())
        p = math.exp(float(logits[i, target])) / total
        assert float(verdict.loss[i]) == pytest.approx(-math.log(p))
        assert float(verdict.confidence[i]) == pytest.approx(p)
    assert verdict.success.tolist() == [False, False]


def test_leaving_a_label_is_reaching_the_strongest_other() -> None:
    logits = torch.tensor([[5.0, 1.0, 2.0], [0.0, 1.0, 2.0]])
    left = Objective(torch.tensor([0, 2]), targeted=False).assess(logits)
    reached = Objective(torch.tensor([2, 1]), targeted=True).assess(logits)
    torch.testing.assert_close(left.loss, reached.loss)
    torch.testing.assert_close(left.confidence, reached.confidence)
    assert left.success.tolist() == [False, False]
    gone = Objective(torch.tensor([1, 1]), targeted=False).assess(logits)
    assert gone.success.tolist() == [True, True]


@pytest.mark.parametrize("shape", [(3, 4), (3, 5, 4)])
def test_leaving_a_label_may_climb_its_cross_entropy(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 2, 3])
    objective = Objective(labels, targeted=False, untargeted_loss="cross_entropy")
    gradient = gradient_of(objective.assess(logits).loss, logits)
    frames = logits.reshape(3, -1, 4)
    losses = [
        torch.nn.functional.cross_entropy(frames[i], label.expand(frames.shape[1]))
        for i, label in enumerate(labels)
    ]
    (expected,) = torch.autograd.grad(torch.stack(losses).sum(), logits)
    torch.testing.assert_close(gradient, -expected)


def test_an_attack_takes_the_loss_by_name() -> None:
    torch.manual_seed(0)
    model = torch.nn.Linear(8, 3).double()
    x = torch.randn(4, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64).clamp(
        -1, 1
    )
    y = model(x).argmax(1)
    sounds = {
        loss: WaveformPGD(model, snr_db=20.0, steps=1, step=0.1, untargeted_loss=loss)(x, y)
        for loss in ("strongest_other", "cross_entropy")
    }
    assert not torch.equal(*sounds.values())
    z = x.clone().requires_grad_()
    (climb,) = torch.autograd.grad(torch.nn.functional.cross_entropy(model(z), y), z)
    moved = sounds["cross_entropy"] - x
    is_moved = moved.abs().amax(1) > 0  # a step that is no better is not kept
    assert is_moved.any()
    assert ((moved * climb).sum(1)[is_moved] > 0).all()
    with pytest.raises(ParameterError, match="untargeted_loss is 'mse', must be"):
        WaveformPGD(model, untargeted_loss="mse")  # type: ignore[arg-type]


@pytest.mark.parametrize("aggregation", ["soft", "hard"])
def test_frames_are_pooled_for_a_label_of_the_whole_sound(aggregation: Any) -> None:
    p = torch.tensor([[[0.1, 0.9], [0.6, 0.4], [0.7, 0.3]]])
    aim = Objective(
        torch.tensor([1]), targeted=True, outputs="probabilities", aggregation=aggregation
    )
    verdict = aim.assess(p)
    assert float(verdict.confidence) == pytest.approx(1.6 / 3 if aggregation == "soft" else 1 / 3)
    assert bool(verdict.success) is (aggregation == "soft")
    expected = -(math.log(0.9) + math.log(0.4) + math.log(0.3)) / 3
    assert float(verdict.loss) == pytest.approx(expected)


def test_labels_of_frames_must_all_be_reached() -> None:
    p = torch.tensor([[[0.1, 0.9], [0.6, 0.4]], [[0.1, 0.9], [0.6, 0.4]]])
    aim = Objective(torch.tensor([[1, 0], [1, 1]]), targeted=True, outputs="probabilities")
    verdict = aim.assess(p)
    assert verdict.success.tolist() == [True, False]
    torch.testing.assert_close(verdict.confidence, torch.tensor([0.75, 0.65]))
    left = Objective(torch.tensor([[0, 1], [1, 0]]), targeted=False, outputs="probabilities")
    assert left.assess(p).success.tolist() == [True, False]


def test_a_threshold_comes_on_top_of_being_heard() -> None:
    p = torch.tensor([[0.4, 0.35, 0.25], [0.2, 0.45, 0.35], [0.2, 0.7, 0.1]])
    for threshold, expected in ((0.3, [False, True, True]), (0.5, [False, False, True])):
        aim = Objective(torch.tensor([1, 1, 1]), True, "probabilities", confidence=threshold)
        assert aim.assess(p).success.tolist() == expected
    left = Objective(torch.tensor([0, 0, 0]), False, "probabilities", confidence=0.3)
    assert left.assess(p).success.tolist() == [False, True, True]


def test_a_threshold_of_frames_is_on_their_mean_and_all_are_heard() -> None:
    p = torch.tensor([[[0.0, 1.0], [0.6, 0.4]], [[0.4, 0.6], [0.3, 0.7]]])
    for threshold, expected in ((0.6, [False, True]), (0.7, [False, False])):
        aim = Objective(torch.ones(2, 2).long(), True, "probabilities", confidence=threshold)
        assert aim.assess(p).success.tolist() == expected


@given(logit=st.floats(-80, 80))
def test_one_column_is_two_labels(logit: float) -> None:
    one = torch.tensor([[logit]], dtype=torch.float64)
    two = torch.cat([torch.zeros_like(one), one], 1)
    torch.testing.assert_close(log_posterior(one, "logits"), log_posterior(two, "logits"))
    p = one.sigmoid()
    torch.testing.assert_close(log_posterior(p, "probabilities").exp(), torch.cat([1 - p, p], 1))


def test_certain_probabilities_have_finite_losses() -> None:
    p = torch.tensor([[0.0], [1.0]], requires_grad=True)
    verdict = Objective(torch.tensor([1, 0]), True, "probabilities").assess(p)
    assert bool(verdict.loss.isfinite().all())
    assert bool(gradient_of(verdict.loss, p).isfinite().all())


def test_votes_and_means_differ() -> None:
    frames = torch.tensor([[0.4, 0.6], [0.4, 0.6], [1.0, 0.0]])
    assert int(aggregate(frames).argmax()) == 0
    assert int(aggregate(frames, "hard").argmax()) == 1
    wrong: Any = "median"
    with pytest.raises(ParameterError, match="aggregation is 'median'"):
        aggregate(frames, wrong)


def test_goals_choose_what_they_name() -> None:
    y = torch.arange(1000) % 5
    assert torch.equal(Goal("truth").labels(y, n_labels=5), y)
    assert Goal("all_same", label=0).labels(y, n_labels=5).tolist() == [0] * 1000
    wrong = Goal("all_wrong").labels(y, n_labels=5)
    assert bool((wrong != y).all())
    drawn = Goal("random").labels(y, n_labels=5)
    share = float((drawn == y).double().mean())
    assert 0.15 < share < 0.25
    for labels in (wrong, drawn):  # evenly: 200 of 1000 each, deviation 13
        assert all(140 < int((labels == k).sum()) < 260 for k in range(5))


def test_the_draw_of_a_sound_depends_on_its_index_only() -> None:
    y = torch.zeros(10, dtype=torch.int64)
    mode: Any
    for mode in ("random", "all_wrong"):
        goal = Goal(mode, seed=3)
        whole = goal.labels(y, n_labels=50)
        parts = [goal.labels(y[:4], n_labels=50), goal.labels(y[4:], n_labels=50, first_example=4)]
        assert torch.equal(whole, torch.cat(parts))
        other = Goal(mode, seed=4)
        assert not torch.equal(whole, other.labels(y, n_labels=50))


def test_goals_work_frame_by_frame() -> None:
    y = torch.tensor([[0, 1, 1], [1, 0, 0]])
    assert torch.equal(Goal("all_wrong").labels(y, n_labels=2), 1 - y)
    assert Goal("random").labels(y, n_labels=2).shape == (2, 3)


def test_generators_of_other_places_are_unrelated() -> None:
    draws = [
        torch.rand(3, generator=torch_generator(*at)) for at in ((0, 0), (0, 1), (1, 0), (0, 0, 1))
    ]
    assert len({tuple(draw.tolist()) for draw in draws}) == 4
    assert torch.equal(torch.rand(3, generator=torch_generator(0, 1)), draws[1])
    with pytest.raises(ParameterError, match="seed is -1"):
        torch_generator(-1)


@pytest.mark.parametrize(
    ("mode", "label", "message"),
    [
        ("same", 1, "mode is 'same', must be one of all_same, truth"),
        ("all_same", None, r"came with label None; 'all_same' needs a label \(0 is one\)"),
        ("truth", 1, "mode 'truth' came with label 1"),
    ],
)
def test_goals_without_a_meaning_are_refused(mode: Any, label: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Goal(mode, label=label)


def test_models_that_return_something_else_are_refused() -> None:
    sound = torch.ones(2, 4)
    cases: list[tuple[Any, str]] = [
        (lambda s: s.mean(), r"returned shape \(\) for a batch of 2, must be \[batch, output\]"),
        (lambda s: s[:1], r"returned shape \(1, 4\) for a batch of 2"),
        (lambda s: s.long(), "returned torch.int64; must return a floating Tensor"),
        (lambda s: "loud", "returned a str"),
        (lambda s: s / 0, "8 of 8 outputs of the model are NaN or infinite"),
    ]
    for model, message in cases:
        with pytest.raises(ParameterError, match=message):
            predict(model, sound)


def test_one_output_may_come_without_an_axis_of_its_own() -> None:
    sound = torch.ones(2, 4)
    assert predict(lambda s: s.mean(1), sound).shape == (2, 1)


def test_what_the_outputs_are_is_not_guessed() -> None:
    def model(sound: Tensor) -> Tensor:
        return sound

    for values in ([[0.2, 0.8]], [[0.2]]):
        with pytest.raises(ParameterError, match="could be probabilities or logits"):
            kind_of_outputs(model, None, torch.tensor(values))
        assert kind_of_outputs(model, "logits", torch.tensor(values)) == "logits"
        assert kind_of_outputs(model, "probabilities", torch.tensor(values)) == "probabilities"
    assert kind_of_outputs(model, None, torch.tensor([[2.0, -1.0]])) == "logits"
    with pytest.raises(ParameterError, match=r"not probabilities.*give outputs='logits'"):
        kind_of_outputs(model, "probabilities", torch.tensor([[2.0, -1.0]]))
    with pytest.raises(ParameterError, match=r"one of its tags with SoundClassifier"):
        kind_of_outputs(model, "probabilities", torch.tensor([[0.9, 0.8]]))
    wrong: Any = "odds"
    with pytest.raises(ParameterError, match="outputs is 'odds'"):
        kind_of_outputs(model, wrong, torch.zeros(1, 1))


def test_gradients_that_are_missing_or_nan_are_refused() -> None:
    at = torch.zeros(1, 3, requires_grad=True)
    with pytest.raises(ParameterError, match=r"gives no gradient.*leave out torch.no_grad"):
        gradient_of(at.detach().sum(1), at)
    weight = torch.ones(3, requires_grad=True)  # a gradient, but not of the sound
    with pytest.raises(ParameterError, match="gives no gradient"):
        gradient_of((at.detach() * weight).sum(1), at)
    with pytest.raises(ParameterError, match="gradient is NaN or infinite"):
        gradient_of(at.sqrt().sum(1), at)


def test_strongest_other_is_never_the_label_to_leave() -> None:
    """Also where all others have probability 0 in double precision."""
    objective = Objective(torch.tensor([0]), targeted=False)
    assessment = objective.assess(torch.tensor([[1000.0, 0.0, 0.0]], dtype=torch.float64))
    assert float(assessment.loss) == pytest.approx(1000)

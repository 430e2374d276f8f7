"""Models whose rows depend on their batch: one answer whatever the batch, or a warning."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from otoscope.adapters.captum import FeatureAblation, KernelShap, ShapleyValueSampling
from otoscope.attack import WaveformPGD
from otoscope.errors import ParameterError
from otoscope.explain import ActivationMaximiser, SoundLIME
from otoscope.explain.maximise import RawPrior, find_extremes
from otoscope.models import timeline
from otoscope.protocols import Rows, SoundClassifier, batch_dependence
from tests.support.listeners import listener
from tests.support.networks import Net

PICTURE = torch.randn(12, 4, generator=torch.Generator().manual_seed(0))


def centred() -> nn.Module:
    torch.manual_seed(0)
    return Net(lambda n, x: n.f(x.flatten(1)) - 0.1 * n.f(x.flatten(1)).mean(0), f=nn.Linear(48, 1))


def normalised() -> nn.Module:
    torch.manual_seed(0)
    return Net(
        lambda n, x: nn.functional.batch_norm(n.f(x.flatten(1)), None, None, training=True),
        f=nn.Linear(48, 1),
    )


@pytest.mark.parametrize("kind", ["module", "function", "method"])
@pytest.mark.parametrize("shared", [None, False, True])
@pytest.mark.parametrize(
    "options",
    [{}, {"content": "fresh_noise"}, {"design": "leave_one_out"}, {"segments": "temporal:1"}],
    ids=["exact", "noise", "leave one out", "two coalitions"],
)
def test_explanations_do_not_depend_on_max_batch(
    kind: str, shared: bool | None, options: dict[str, Any]
) -> None:
    net = centred().eval()
    model: Any = {"module": net, "function": lambda x: net(x), "method": net.forward}[kind]
    given = {"segments": "temporal:5", "content": 0.0, "shared": shared, **options}
    alone: Any = SoundLIME(model, max_batch=1, **given).explain(PICTURE)
    for size in (2, 3, 8, 64):
        with pytest.warns(UserWarning, match="depend on the others of its batch"):
            explanation: Any = SoundLIME(model, max_batch=size, **given).explain(PICTURE)
        torch.testing.assert_close(explanation.outputs, alone.outputs)
        assert "plain batches of 1:" in explanation.plan


MEETINGS: dict[str, Any] = {
    "mean": lambda x: x - 0.1 * x.mean(0),
    "largest of the batch": lambda x: x / (x.abs().amax() + 1),
    "largest above a limit": lambda x: x / x.abs().amax().clamp(min=9.0),
    "least of the batch": lambda x: x - x.amin(),
    "first of the batch": lambda x: x - 0.5 * x[:1],
    "last of the batch": lambda x: x - 0.5 * x[-1:],
    "neighbour": lambda x: x + 0.5 * x.roll(1, 0),
    "running sum": lambda x: x.cumsum(0),
    "softmax over the batch": lambda x: x.flatten(1).softmax(0),
    "place in the batch": lambda x: x + torch.arange(float(len(x)))[:, None, None, None],
    "size of the batch": lambda x: x / len(x),
    "rank": lambda x: x.flatten(1).argsort(0).float(),
    "batch norm": lambda x: nn.functional.batch_norm(x, None, None, training=True),
}


@pytest.mark.parametrize("loud", [0, 4])
@pytest.mark.parametrize("kind", MEETINGS)
@pytest.mark.filterwarnings("ignore:.*each is evaluated alone")
def test_whatever_way_rows_meet_explanations_do_not_depend_on_it(kind: str, loud: int) -> None:
    picture = PICTURE.abs() + 0.1
    picture[loud * 2 : loud * 2 + 2] += 20

    def model(batch: Tensor) -> Tensor:
        met: Tensor = MEETINGS[kind](batch.flatten(1)[:, None, None] if kind == "rank" else batch)
        return met.flatten(1)[:, ::3].square().sum(1, keepdim=True)

    options: Any = {"segments": "temporal:5", "content": 0.0}
    alone: Any = SoundLIME(model, max_batch=1, **options).explain(picture)
    for size in (2, 3, 8, 31, 64):
        explanation: Any = SoundLIME(model, max_batch=size, **options).explain(picture)
        torch.testing.assert_close(explanation.outputs, alone.outputs, rtol=1e-4, atol=1e-4)


def test_models_that_take_no_single_row_are_not_asked_for_one() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 1), nn.Flatten(0)).eval()
    call = Net(lambda n, x: n.f(x).squeeze(), f=model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SoundLIME(call, segments="temporal:4", content=0.0, shared=False).explain(PICTURE)


def test_rows_of_a_louder_excerpt_may_meet() -> None:
    """The limit is never reached by the first excerpt."""

    def model(batch: Tensor) -> Tensor:
        return (batch / batch.abs().amax().clamp(min=9.0)).sum((1, 2, 3))

    options: Any = {"segments": "temporal:6", "content": 0.0}
    quiet, loud = PICTURE.abs(), 20 * PICTURE.abs()
    (alone,) = SoundLIME(model, max_batch=1, **options).explain(loud[None])  # type: ignore[misc]
    lime = SoundLIME(model, max_batch=2, **options)
    with pytest.warns(UserWarning, match="each is evaluated alone"):
        explanations: Any = lime.explain(torch.stack([quiet, loud]))
    torch.testing.assert_close(explanations[1].outputs, alone.outputs)


def test_extremes_rankings_and_features_do_not_depend_on_the_batch() -> None:
    net = centred().eval()
    excerpts = torch.randn(9, 1, 12, 4, generator=torch.Generator().manual_seed(1))

    def activation(batch: Tensor) -> Tensor:
        return net(batch)[:, 0]  # type: ignore[no-any-return]

    right = find_extremes(activation, excerpts, 4, max_batch=1)
    for size in (2, 8):
        with pytest.warns(UserWarning, match="an excerpt depend .*; each is evaluated alone"):
            extremes = find_extremes(activation, excerpts, 4, max_batch=size)
        torch.testing.assert_close(extremes.activations, right.activations)
    rows = Rows(net, "a number")
    with pytest.warns(UserWarning, match="a number depend"), torch.no_grad():
        first = rows(excerpts, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # told once
        torch.testing.assert_close(rows(excerpts).detach(), first)


def test_a_model_that_needs_a_batch_is_refused() -> None:
    for size in (2, 8, 64):
        lime = SoundLIME(normalised().eval(), segments="temporal:4", content=0.0, max_batch=size)
        with (
            pytest.warns(UserWarning, match="depend on the others"),
            pytest.raises(ParameterError, match=r"and alone: .* more than 1 value per channel"),
        ):
            lime.explain(PICTURE)


def test_random_models_are_told_and_stay_in_batches() -> None:
    generator = torch.Generator().manual_seed(0)

    def model(batch: Tensor) -> Tensor:
        return batch.mean((1, 2, 3)) + torch.rand(len(batch), generator=generator)

    with pytest.warns(UserWarning, match="the model is random"):
        explanation: Any = SoundLIME(model, segments="temporal:4", content=0.0).explain(PICTURE)
    assert explanation.plan.startswith("plain batches of 8: 16 passes; the model is random")


def test_models_of_independent_rows_are_checked_once_and_not_told() -> None:
    sizes: list[int] = []

    def model(batch: Tensor) -> Tensor:
        sizes.append(len(batch))
        return batch.sum((1, 2, 3)) * 1e6

    lime = SoundLIME(lambda x: model(x), segments="temporal:4", content=0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lime.explain(PICTURE)
    assert sizes == [8, 8, 2, 4]


def test_unchanged_models_are_checked_once() -> None:
    calls = nn.Flatten()
    n_calls: Any = torch.zeros(())
    calls.register_forward_hook(lambda module, inputs, output: n_calls.add_(1) and None)
    net = nn.Sequential(calls, nn.Linear(48, 1)).eval()
    lime = SoundLIME(net, segments="temporal:3", content=0.0, shared=False)
    for wanted in (3, 4, 5):
        lime.explain(PICTURE)
        assert float(n_calls) == wanted


def test_a_timeline_does_not_depend_on_max_batch() -> None:
    model = listener()
    model.network = nn.Sequential(model.network, Net(lambda n, x: x - 0.5 * x.mean(0))).eval()
    y = torch.randn(88200, generator=torch.Generator().manual_seed(0)) / 10
    alone = timeline(model, y, hop=20, max_batch=1).outputs
    for size in (2, 64):
        with pytest.warns(UserWarning, match="each is evaluated alone"):
            outputs = timeline(model, y, hop=20, max_batch=size).outputs
        torch.testing.assert_close(outputs, alone)


def test_a_search_whose_rows_meet_is_told() -> None:
    search = ActivationMaximiser(centred(), RawPrior((1, 12, 4)), layer="f", unit=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        search.run(iterations=1, seeds=3)
    net = nn.Sequential(centred(), nn.Identity()).eval()
    search = ActivationMaximiser(net, RawPrior((1, 12, 4)), layer="1", unit=0)
    with pytest.warns(UserWarning, match="max_batch=1 searches each row alone"):
        search.run(iterations=1, seeds=3)


def test_rounding_and_nan_are_no_dependence() -> None:
    outputs = torch.tensor([[1.0], [float("nan")], [3e5], [2.0]])
    for step in (2, 3, 4):
        assert batch_dependence(lambda a, b: outputs[a:b] * (1 + 1e-7), outputs, step) == ""
        assert batch_dependence(lambda a, b: outputs[a:b] + 1e3, outputs, step) == "batch"
    assert batch_dependence(lambda a, b: outputs[a:b] * 0, outputs, 1) == ""


def test_a_classifier_of_sounds_does_not_depend_on_the_batch() -> None:
    model = listener()
    model.network = nn.Sequential(model.network, Net(lambda n, x: x - 0.5 * x.mean(0))).eval()
    sounds = torch.randn(3, 44100, generator=torch.Generator().manual_seed(0)) / 10
    single = SoundClassifier(model, hop=20)
    alone = torch.cat([single.label_scores(y[None, :37000]) for y in sounds])  # of one excerpt each
    classifier = SoundClassifier(model, hop=20)
    with pytest.warns(UserWarning, match="for an excerpt depend on .*; each is evaluated alone"):
        scores = classifier.label_scores(sounds[:, :37000])
    torch.testing.assert_close(scores, alone)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # told once
        torch.testing.assert_close(classifier.label_scores(sounds[:, :37000]), alone)
        SoundClassifier(listener(), hop=20).label_scores(sounds)


def test_an_attack_on_sounds_that_meet_is_told() -> None:
    torch.manual_seed(0)
    linear = nn.Linear(64, 2)
    net = Net(lambda n, x: n.f(x) - 0.5 * n.f(x).mean(0), f=linear).eval()
    sounds = torch.randn(3, 64, generator=torch.Generator().manual_seed(1)) / 10
    with pytest.warns(UserWarning, match="the outputs for a sound depend on the others of its ba"):
        WaveformPGD(net, steps=1).run(sounds)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        WaveformPGD(net, steps=1).run(sounds[:1])
        WaveformPGD(linear, steps=1).run(sounds)


@pytest.mark.parametrize("method", [FeatureAblation, ShapleyValueSampling, KernelShap])
def test_captums_methods_tell_that_coalitions_meet(method: Any) -> None:
    torch.manual_seed(0)
    x, linear = torch.randn(1, 6), nn.Linear(6, 2)
    met = method(lambda x: linear(x) - 0.5 * linear(x).mean(0))
    with pytest.warns(UserWarning, match="perturbations_per_eval=1 evaluates each alone"):
        met.attribute(x, target=0, perturbations_per_eval=4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        met.attribute(x, target=0)
        method(linear.forward).attribute(x, target=0, perturbations_per_eval=4)


def test_single_row_is_asked_again() -> None:
    one = torch.ones(1, 1)
    assert batch_dependence(lambda a, b: one, one, 8) == ""
    assert batch_dependence(lambda a, b: 2 * one, one, 8) == "random"
    assert batch_dependence(lambda a, b: one[:0], one[:0], 8) == ""

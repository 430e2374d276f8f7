"""Memory formats: a copy in channels_last gives the same answers, and a trial keeps the faster."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.protocols import FormatTrial, differentiating, in_channels_last, memory_format

LAST = torch.channels_last


def network() -> Any:
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 4, (3, 2), stride=2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(3)).eval()


def gradient(model: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    at = x.clone().requires_grad_()
    return torch.autograd.grad(model(at).square().sum(), at)[0]


def test_a_copy_has_the_same_outputs_and_gradients() -> None:
    net, x = network(), torch.randn(3, 1, 20, 12)
    expected = net(x)
    copy: Any = in_channels_last(net)
    assert copy is not None
    torch.testing.assert_close(copy(x), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(gradient(copy, x), gradient(net, x), rtol=1e-4, atol=1e-5)


def test_the_model_keeps_its_strides_and_its_weights() -> None:
    net, x = network(), torch.randn(3, 1, 20, 12)
    net(x)
    before = {name: (id(w), w.stride(), w.clone()) for name, w in net.named_parameters()}
    copy: Any = in_channels_last(net)
    assert copy is not None
    gradient(copy, x)
    for name, weight in net.named_parameters():
        known, strides, values = before[name]
        assert id(weight) == known
        assert weight.stride() == strides
        assert torch.equal(weight, values)
    assert copy[0].weight.stride() == (9, 1, 3, 1)  # with one channel, strides alone tell
    assert copy[3].weight.is_contiguous(memory_format=LAST)
    assert not net[3].weight.is_contiguous(memory_format=LAST)


def test_a_copy_shares_what_is_no_convolution() -> None:
    net = network()
    net(torch.randn(1, 1, 20, 12))
    copy: Any = in_channels_last(
        nn.ModuleDict({"first": net, "again": net, "other": nn.Linear(2, 2)})
    )
    assert copy is not None
    assert copy["first"] is copy["again"]  # still one module
    assert copy["first"][1] is net[1]
    assert copy["first"][5].weight is net[5].weight
    net[1].running_mean.fill_(7.0)
    assert torch.equal(copy["first"][1].running_mean, net[1].running_mean)


@pytest.mark.parametrize(
    "model",
    [
        torch.sin,
        nn.Sequential(nn.Conv1d(2, 3, 5), nn.Linear(2, 2)),
        nn.Conv2d(2, 3, 4).to(memory_format=LAST),  # type: ignore[call-overload]
        nn.utils.parametrizations.weight_norm(nn.Conv2d(2, 3, 4)),
    ],
    ids=["a function", "no Conv2d", "in channels_last already", "weights that are computed"],
)
def test_nothing_else_is_copied(model: object) -> None:
    assert in_channels_last(model) is None


def test_a_copy_is_in_eval_mode_with_constant_weights_like_its_model() -> None:
    net = network().train()
    net(torch.randn(2, 1, 20, 12))
    with differentiating(net):
        copy: Any = in_channels_last(net)
        assert copy is not None
        assert not any(module.training for module in copy.modules())
        assert not any(weight.requires_grad for weight in copy.parameters())
        mean = net[1].running_mean.clone()
        copy(torch.randn(2, 1, 20, 12))
        assert torch.equal(net[1].running_mean, mean)
    assert net[3].training
    assert net[3].weight.requires_grad


def double(x: Tensor) -> Tensor:
    return 2 * x


def twice(x: Tensor) -> Tensor:
    return x + x


def run(trial: FormatTrial[Any], n: int) -> list[str]:
    names = []
    for _ in range(n):
        with trial.timed(1) as function:
            names.append(function.__name__)
    return names


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[int, float]], None]:
    """Set the seconds that passes take, by their number."""

    def of(seconds: dict[int, float]) -> None:
        now, readings = [0.0], [0]

        def read() -> float:
            if readings[0] % 2:
                now[0] += seconds.get(readings[0] // 2, 1.0)
            readings[0] += 1
            return now[0]

        monkeypatch.setattr(time, "perf_counter", read)

    return of


@pytest.mark.parametrize(
    ("seconds", "choice"),
    [
        ({1: 1.4, 3: 0.8, 5: 0.8}, "twice"),  # the first pass of each is a warm-up
        ({1: 1.4, 3: 0.8, 5: 5.0}, "twice"),  # others may work meanwhile
        ({1: 0.2, 3: 0.95, 5: 0.95}, "double"),  # too little to change for
        ({1: 0.2}, "double"),
    ],
)
def test_a_trial_keeps_the_faster(
    clock: Callable[[dict[int, float]], None], seconds: dict[int, float], choice: str
) -> None:
    clock(seconds)
    trial = FormatTrial(double, twice, torch.ones(1, 1), memory_format="auto", n_passes=100)
    assert run(trial, 6) == ["double", "twice"] * 3
    assert run(trial, 20) == [choice] * 20


def test_a_trial_ends_with_a_first_pass_that_is_far_slower(
    clock: Callable[[dict[int, float]], None],
) -> None:
    clock({1: 4.0})
    trial = FormatTrial(double, twice, torch.ones(1, 1), memory_format="auto", n_passes=100)
    assert run(trial, 8) == ["double", "twice", *["double"] * 6]


def test_seconds_count_for_each_row(clock: Callable[[dict[int, float]], None]) -> None:
    clock({2: 8.0, 4: 8.0})  # eight rows of 1 s; the other format takes 1 s for one row
    trial = FormatTrial(double, twice, torch.ones(8, 1), memory_format="auto", n_passes=100)
    for n_rows in (8, 1, 8, 1, 8, 1):
        with trial.timed(n_rows):
            pass
    assert trial.choice is double


@pytest.mark.parametrize(
    ("wanted", "n_passes", "choice"),
    [("contiguous", 1000, double), ("channels_last", 1, twice), ("auto", 99, double)],
)
def test_a_format_that_is_named_and_a_short_search_need_no_trial(
    wanted: memory_format.MemoryFormat, n_passes: int, choice: object
) -> None:
    trial = FormatTrial(double, twice, torch.ones(1, 1), memory_format=wanted, n_passes=n_passes)
    assert trial.choice is choice


def refuses(x: Tensor) -> Tensor:
    raise ParameterError("the model raised RuntimeError: view size is not compatible")


def other(x: Tensor) -> Tensor:
    return 2 * x + 0.01


@pytest.mark.parametrize(
    ("wrong", "message"),
    [(refuses, "in channels_last the model raised"), (other, "in channels_last the model has oth")],
)
def test_a_network_that_reads_memory_itself_stays_contiguous(
    wrong: Callable[[Tensor], Tensor], message: str
) -> None:
    x = torch.ones(1, 1)
    assert FormatTrial(double, wrong, x, memory_format="auto", n_passes=100).choice is double
    with pytest.raises(ParameterError, match=message) as raised:
        FormatTrial(double, wrong, x, memory_format="channels_last", n_passes=100)
    assert "memory_format='channels_last'" in str(raised.value)

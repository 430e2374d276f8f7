"""Guarded calls check the outputs of a model and report its errors."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from otoscope.errors import CudaUnavailable, MissingExtra, ParameterError
from otoscope.protocols import call_model, device_of, dtype_of


def test_outputs_are_rows_without_a_graph() -> None:
    net = torch.nn.Sequential(torch.nn.Flatten(0), torch.nn.Linear(3, 1))
    batch = torch.ones(3)
    outputs = call_model(lambda x: net(x).expand(3), batch)
    assert outputs.shape == (3, 1)
    assert not outputs.requires_grad
    assert call_model(torch.nn.Linear(1, 2), batch[:, None], gradient=True).requires_grad


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (lambda x: None, {}, r"returned a NoneType, .* a tuple, dictionary or object that holds"),
        (
            lambda x: {"a": x, "b": x},
            {},
            r"returned a dict of a, b, .* none .* logits; .*output='a'",
        ),
        (lambda x: x.numpy() > "", {}, "raised"),
        (lambda x: x.mean(), {}, r"shape \(\) for a batch of 2, must be \[batch, output\]"),
        (lambda x: x[:1], {}, r"shape \(1, 4\) for a batch of 2"),
        (lambda x: x[:, :0], {}, r"shape \(2, 0\)"),
        (
            lambda x: x[..., None],
            {},
            r"shape \(2, 4, 1\) .*pool outputs per frame with pooling='mean'",
        ),
        (lambda x: x[..., None, None], {"frames": True}, r"\[batch, frame, output\] or \[batch\]"),
        (lambda x: x * 1j, {}, "torch.complex64, must return real numbers"),
        (lambda x: x.long(), {"gradient": True}, "torch.int64; must return a floating Tensor"),
        (lambda x: x.to("meta"), {"gradient": True}, "outputs on meta, x is on cpu"),
        (lambda x: x / 0, {"finite": True}, "8 of 8 outputs of the model are NaN or infinite"),
        (
            lambda x: [x][1],
            {},
            r"\[2, 4\] = \[b, s\] and raised IndexError: list index out of range \(test_c",
        ),
    ],
)
def test_outputs_of_another_form_are_refused(model: Any, options: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        call_model(model, torch.ones(2, 4), axes="[b, s]", **options)


def test_outputs_for_frames_are_accepted_on_request() -> None:
    assert call_model(lambda x: x, torch.ones(2, 4, 3), frames=True).shape == (2, 4, 3)


@pytest.mark.parametrize("error", [ParameterError, CudaUnavailable, MissingExtra])
def test_errors_that_state_their_remedy_pass_through(error: type[Exception]) -> None:
    def model(batch: torch.Tensor) -> torch.Tensor:
        raise error("do this")

    with pytest.raises(error, match=r"^do this$"):
        call_model(model, torch.ones(2, 4))


def test_device_and_dtype_are_those_of_a_parameter_or_a_buffer() -> None:
    net = torch.nn.Module()
    assert device_of(net, "meta") == torch.device("meta")
    net.register_buffer("steps", torch.zeros(1, dtype=torch.int64, device="meta"))
    net.register_buffer("mean", torch.zeros(1, dtype=torch.float64, device="meta"))
    assert device_of(net) == torch.device("meta")
    assert dtype_of(net) == torch.float64
    assert device_of(torch.sigmoid) == torch.device("cpu")
    assert dtype_of(torch.sigmoid) == torch.float32

"""Patches: what they check, how long they last, and what they play."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from otoscope.errors import CudaUnavailable, MissingExtra, ParameterError
from otoscope.protocols import ListeningModel, Patch, call_model, device_of, dtype_of
from otoscope.signal.mel.domain import Domain

CENTRES = torch.tensor([100.0, 500.0, 2000.0])


def patch(**changes: Any) -> Patch:
    settings: dict[str, Any] = {
        "values": torch.zeros(10, 3),
        "y": torch.ones(800),
        "sr": 8000,
        "hop_length": 80,
        "mel_hz": CENTRES,
    }
    return Patch(**{**settings, **changes})


def test_sound_becomes_float32_on_the_cpu() -> None:
    y = patch(y=np.ones(800)).y
    assert isinstance(y, torch.Tensor)
    assert y.dtype == torch.float32


def test_a_picture_needs_no_sound() -> None:
    bare = Patch(torch.zeros(4, 5))
    assert (bare.y, bare.duration, bare.start) == (None, None, 0.0)


def test_values_may_be_an_array() -> None:
    assert Patch(np.zeros((4, 5))).values.shape == (4, 5)  # type: ignore[arg-type]


def test_duration_counts_frames_times_hop() -> None:
    assert patch().duration == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"values": torch.zeros(3)}, r"shape \(3,\)"),
        ({"values": torch.zeros(0, 3)}, "not empty"),
        ({"values": torch.zeros(10, 3, dtype=torch.int64)}, "dtype torch.int64"),
        ({"values": torch.full((10, 3), torch.nan)}, "values: 30 of 30 numbers"),
        ({"y": torch.zeros(2, 100)}, r"y has shape \(2, 100\)"),
        ({"y": torch.tensor([0, torch.inf])}, "y: 1 of 2 numbers"),
        ({"sr": None}, "y came without sr"),
        ({"sr": 0}, "sr is 0"),
        ({"hop_length": 0}, "hop_length is 0"),
        ({"start": float("nan")}, "start is nan"),
        ({"mel_hz": CENTRES[:2]}, "values has 3 bands"),
        ({"mel_hz": CENTRES.flip(0)}, "rise from band to band"),
        ({"domain": Domain(torch.zeros(2), torch.ones(2))}, "domain has 2 bands, values 3"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        patch(**changes)


def test_kept_frames_are_heard() -> None:
    keep = torch.zeros(10, 3, dtype=torch.bool)
    keep[4:6] = True
    y = patch().listen(keep)
    assert y.shape == (800,)
    assert y[370:430].min() == 1
    assert not y[:320].any()
    assert not y[480:].any()


def test_listening_needs_sound_and_the_right_shape() -> None:
    with pytest.raises(ParameterError, match="the patch has no sound"):
        Patch(torch.zeros(10, 3)).listen(torch.ones(10, 3))
    with pytest.raises(ParameterError, match=r"gain has shape \(9, 3\)"):
        patch().listen(torch.ones(9, 3))


def test_a_plain_module_is_no_listening_model() -> None:
    assert not isinstance(torch.nn.Linear(2, 2), ListeningModel)


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
        (lambda x: (x, x), {}, r"returned a tuple, .*wrap it .*lambda x: model\(x\)\[\.\.\.\]"),
        (lambda x: x.numpy(), {}, r"returned a ndarray, .*torch\.as_tensor"),
        (lambda x: x.mean(), {}, r"shape \(\) for a batch of 2, must be \[batch, output\]"),
        (lambda x: x[:1], {}, r"shape \(1, 4\) for a batch of 2"),
        (lambda x: x[:, :0], {}, r"shape \(2, 0\)"),
        (lambda x: x[..., None], {}, r"shape \(2, 4, 1\) .*pool over time"),
        (lambda x: x[..., None, None], {"frames": True}, r"\[batch, frame, output\] or \[batch\]"),
        (lambda x: x * 1j, {}, "torch.complex64, must return real numbers"),
        (lambda x: x.long(), {"gradient": True}, "torch.int64; must return a floating Tensor"),
        (lambda x: x.to("meta"), {"gradient": True}, "answers on meta, x is on cpu"),
        (lambda x: x / 0, {"finite": True}, "8 of 8 outputs of the model are NaN or infinite"),
        (
            lambda x: [x][1],
            {},
            r"\[2, 4\] = \[b, s\] and raised IndexError: list index out of range \(test_p",
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

"""Guarded calls check the outputs of a model and report its errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from otoscope.errors import CudaUnavailable, MissingExtra, ParameterError
from otoscope.protocols import call_model, device_of, dtype_of, weights_digest


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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_functions_get_the_type_of_the_networks_that_they_reach(dtype: torch.dtype) -> None:
    first, second = nn.Linear(1, 1).to(dtype), nn.Linear(1, 1).to(dtype)
    other = torch.float64 if dtype == torch.float32 else torch.float32
    assert dtype_of(lambda x: first(second(x)), other) == dtype
    second.to(other)
    assert dtype_of(lambda x: first(second(x)), torch.float16) == torch.float16
    first.half()
    assert dtype_of(lambda x: first(x), other) == other  # it converts itself


class Holding(nn.Module):
    """Holds a tensor as a buffer."""

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.register_buffer("values", values)

    def forward(self, x: Tensor) -> Tensor:
        return x


FORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "float32": lambda w: w,
    "bfloat16": lambda w: w.bfloat16(),
    "bool": lambda w: w > 0,
    "number": lambda w: w[0, 0].clone(),
    "transposed": lambda w: w.T,
    "complex": lambda w: torch.complex(w, w),
    "conjugate": lambda w: torch.complex(w, w).conj(),
    "COO": lambda w: w.to_sparse(),
    "CSR": lambda w: w.to_sparse_csr(),
    "CSC": lambda w: w.to_sparse_csc(),
    "blocks": lambda w: w.to_sparse_bsr((2, 2)),
    "oneDNN": lambda w: w.to_mkldnn(),
    "quantised": lambda w: torch.quantize_per_tensor(w, 0.1, 0, torch.qint8),
    "nested": lambda w: torch.nested.nested_tensor([w, w[:2]]),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.filterwarnings("ignore")
def test_digests_are_of_the_values_in_any_form(form: str) -> None:
    if form == "oneDNN" and not torch.backends.mkldnn.is_available():
        pytest.skip("PyTorch has no oneDNN here")
    make, values = FORMS[form], torch.linspace(-1, 1, 16).reshape(4, 4)
    digests = [weights_digest(Holding(make(w))) for w in (values, values.clone(), -values)]
    assert digests[0] == digests[1] != digests[2]
    assert digests[0]


class Packing(nn.Linear):
    """Keeps a threshold in its state."""

    def get_extra_state(self) -> Any:
        return {"threshold": [self.threshold]}

    threshold = 0.5


class Listing(nn.Module):
    """Holds a layer where PyTorch does not look."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.hidden = [layer]

    def forward(self, x: Tensor) -> Any:
        return self.hidden[0](x)


def test_digests_are_of_all_that_is_reached() -> None:
    layer = nn.Linear(2, 1)
    with torch.no_grad():
        layer.weight.fill_(1.0)
    ways: list[Any] = [layer, lambda x: layer(x), Listing(layer), {"layer": layer}.get]
    before = [weights_digest(way) for way in ways]
    assert all(before)
    with torch.no_grad():
        layer.weight.fill_(2.0)
    assert not set(before) & {weights_digest(way) for way in ways}
    packed = Packing(2, 1)
    before[0] = weights_digest(packed)
    packed.threshold = 0.7
    assert weights_digest(packed) != before[0]
    assert weights_digest(nn.LazyLinear(3)) == ""

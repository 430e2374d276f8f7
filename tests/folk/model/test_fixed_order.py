"""Steps in a fixed order: torch's numbers, and the same bits whatever surrounds a tune."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from otoscope import native
from otoscope.errors import ParameterError
from otoscope.folk.model import FolkRNN
from otoscope.folk.model.fixed_order import FixedOrderStepper
from otoscope.folk.model.position import INPUTS

SETS = ["baseline", *(["avx2"] if "avx2" in native.features() else []), "best"]
STEPS = 6


@contextmanager
def computing_with(isa: str, threads: int) -> Iterator[None]:
    """Use an instruction set and a number of threads, and restore both."""
    usual = torch.get_num_threads()
    try:
        native.use_isa(isa)
        torch.set_num_threads(threads)
        yield
    finally:
        torch.set_num_threads(usual)
        native.use_isa("best")


def decided(hidden: int, layers: int, inputs: tuple[str, ...] = ()) -> FolkRNN:
    """Make a network whose weights are large enough for every function to be used up."""
    net = FolkRNN(19, embedding=7, hidden=hidden, layers=layers, inputs=inputs, input_size=3)
    rng = torch.Generator().manual_seed(hidden)
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(torch.randn(weight.shape, generator=rng))
    return net.eval()


def read(
    net: FolkRNN, ids: NDArray[np.int64], positions: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """Read tunes [tune, step] to logits [step, tune, token]."""
    stepper = FixedOrderStepper(net, len(ids))
    columns = [None] * STEPS if positions is None else list(positions.swapaxes(0, 1))
    return np.array([stepper.step(row, at) for row, at in zip(ids.T, columns, strict=True)])


def drawn(net: FolkRNN, n_tunes: int) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Draw tokens [tune, step] and, where the network reads them, positions of all values."""
    rng = np.random.default_rng(n_tunes)
    sizes = getattr(net, "column_sizes", None)
    positions = None if sizes is None else rng.integers(0, sizes, (n_tunes, STEPS, len(sizes)))
    return rng.integers(0, net.n_tokens, (n_tunes, STEPS)), positions


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize(
    ("hidden", "layers", "inputs"),
    [(1, 1, ()), (16, 2, ()), (21, 3, ()), (33, 1, ("bar",)), (20, 2, tuple(INPUTS))],
)
def test_the_numbers_are_those_of_the_network(
    isa: str, hidden: int, layers: int, inputs: tuple[str, ...]
) -> None:
    net = decided(hidden, layers, inputs)
    ids, positions = drawn(net, 5)
    with computing_with(isa, 1):
        logits = read(net, ids, positions)
    with torch.no_grad():
        given = None if positions is None else torch.from_numpy(positions)
        wanted, _ = net.double()(torch.from_numpy(ids), positions=given)
    np.testing.assert_allclose(logits.swapaxes(0, 1), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("hidden", "layers"), [(5, 1), (48, 3), (70, 2)])
def test_a_tune_has_the_same_bits_alone_and_beside_others(hidden: int, layers: int) -> None:
    """With every number of rows of a tile, several tiles, threads, and on every processor."""
    net = decided(hidden, layers, ("part", "earlier"))
    ids, positions = drawn(net, 27)
    assert positions is not None
    with computing_with("best", 1):
        wanted = read(net, ids, positions)
    for isa in SETS:
        for n in (*range(1, 14), 27) if isa != "baseline" else (1, 4):
            with computing_with(isa, 1 + n % 3):
                assert np.array_equal(read(net, ids[:n], positions[:n]), wanted[:, :n]), (isa, n)


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("gate", [-1e30, -100.0, -3.0, -1e-3, -1e-30, 0.0, 1e-6, 2.0, 88.0, 1e30])
def test_the_functions_of_the_gates_are_exact_to_rounding(isa: str, gate: float) -> None:
    """One unit without a past: its state is sigmoid(g) tanh(sigmoid(g) tanh(g))."""
    net = FolkRNN(1, hidden=1, layers=1, forget_bias=gate)
    with torch.no_grad():
        lstm = dict(net.lstm.named_parameters())
        lstm["bias_ih_l0"].fill_(gate)
        for state in (lstm["weight_hh_l0"], lstm["weight_ih_l0"], net.cell_init, net.output.bias):
            state.zero_()
        net.output.weight.fill_(1)
    with computing_with(isa, 1):
        value = FixedOrderStepper(net, 1).step(np.array([0]))[0, 0]
    x = np.longdouble(np.float32(gate))
    with np.errstate(over="ignore"):
        open_ = 1 / (1 + np.exp(-x))
    wanted = float(open_ * np.tanh(open_ * np.tanh(x)))
    assert value == pytest.approx(wanted, rel=1e-6, abs=1e-36)


def test_what_is_no_number_stays_none() -> None:
    net = decided(4, 2)
    with torch.no_grad():
        dict(net.lstm.named_parameters())["weight_hh_l0"][3, 2] = torch.nan
    assert np.isnan(read(net, np.zeros((2, STEPS), np.int64))).all()


@pytest.mark.parametrize("way", ["inplace", "replaced", "loaded", "assigned", "buffer"])
def test_a_network_that_changed_is_read_anew(way: str) -> None:
    net, other = decided(9, 2), decided(9, 2)
    ids, _ = drawn(net, 2)
    read(net, ids)  # packs the weights
    with torch.no_grad():
        other.output.weight.mul_(2)
        other.cell_init.add_(1)
        if way == "inplace":
            net.output.weight.mul_(2)
            net.cell_init.add_(1)
        elif way == "buffer":
            other.output.weight.copy_(net.output.weight)
            net.cell_init.add_(1)
        elif way == "replaced":
            net.output.weight = torch.nn.Parameter(net.output.weight * 2)
            net.cell_init = net.cell_init + 1
        else:
            net.load_state_dict(other.state_dict(), assign=way == "assigned")
    assert np.array_equal(read(net, ids), read(other, ids))


def test_a_network_of_inference_tensors_is_read_anew_each_time() -> None:
    """torch does not count their changes."""
    with torch.inference_mode():
        net = decided(9, 2)
        ids, _ = drawn(net, 2)
        before = read(net, ids)
        net.output.weight.mul_(2)
        assert not np.array_equal(read(net, ids), before)


def test_weights_are_packed_once_and_go_with_their_network() -> None:
    net = decided(9, 2)
    packed = weakref.ref(FixedOrderStepper(net, 1)._packed)
    gc.collect()
    assert packed() is FixedOrderStepper(net, 2)._packed
    del net
    gc.collect()
    assert packed() is None


def step_arguments() -> dict[str, Any]:
    """Arguments of a step of two tunes with one layer of 16 units."""
    zeros = torch.zeros
    return {
        "table": zeros(3, 64),
        "entry": zeros(2, 1, dtype=torch.int64),
        "weights": [zeros(4, 16, 16)],
        "biases": [],
        "hidden": zeros(2, 1, 16),
        "cell": zeros(2, 1, 16),
        "out_weight": zeros(1, 16, 16),
        "out_bias": zeros(16),
        "raised": zeros(2, 2, dtype=torch.int64),
        "out": zeros(2, 16),
        "n_out": 7,
        "gates": zeros(2, 2, 64),
        "threads": 1,
    }


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("entry", torch.tensor([[0], [3]]), "entry: is 3, table has 3 entries"),
        ("entry", torch.tensor([[0], [-1]]), "entry: is -1, table has 3 entries"),
        ("entry", torch.zeros(2, 0, dtype=torch.int64), "entry: needs a column"),
        ("raised", torch.tensor([[0, 1], [2, -1]]), "raised: has a number below 0"),
        ("raised", torch.zeros(2, 8, dtype=torch.int64), "raised: wrong shape"),
        ("n_out", 17, "n_out: is 17, out has 16 columns"),
        ("biases", [torch.zeros(64)], "weights: must be one for each layer, biases for all but"),
        ("weights", [], "weights: must be one for each layer"),
        ("weights", [torch.zeros(4, 15, 16)], "weights: wrong shape"),
        ("out", torch.zeros(2, 15), "out_bias: wrong shape"),
        ("gates", torch.zeros(1, 2, 64), "gates: wrong shape"),
        ("hidden", torch.zeros(2, 1, 15), "hidden|table|cell|gates"),
        ("cell", torch.zeros(2, 1, 16, dtype=torch.float64), "cell: wrong dtype"),
    ],
)
def test_a_step_refuses_what_does_not_fit(name: str, value: object, message: str) -> None:
    kernel = native.host_kernel("lstm_step")
    kernel(**step_arguments())
    with pytest.raises(ParameterError, match=message):
        kernel(**step_arguments() | {name: value})


def test_a_product_refuses_what_does_not_fit() -> None:
    kernel, x = native.host_kernel("packed_product"), torch.zeros(3, 5)
    with pytest.raises(ParameterError, match="weight: wrong shape"):
        kernel(x, torch.zeros(1, 4, 16), torch.zeros(3, 16), 1)
    with pytest.raises(ParameterError, match="out: wrong shape"):
        kernel(x, torch.zeros(1, 5, 16), torch.zeros(2, 16), 1)

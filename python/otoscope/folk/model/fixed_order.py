"""Forward pass of folk-rnn on the CPU, with the same bits for a tune alone and beside others.

Kernels of our own (csrc/lstm) sum in one order, whatever the batch, the number of threads and the
processor. torch's order depends on all three.
"""

from __future__ import annotations

from operator import is_
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from otoscope import native
from otoscope.folk.model.network import FolkRNN

__all__ = ["FixedOrderStepper"]

_GATES = (0, 1, 3, 2)  # torch's input, forget, new and output, in the kernel's order
_PANEL = 16  # of csrc/lstm: numbers of units and of outputs are filled up to multiples of it


class _Packed:
    """Weights of a network in the order in which the kernel reads them, in float32."""

    @torch.no_grad()
    def __init__(self, network: FolkRNN) -> None:
        lstm, layers = network.lstm, range(network.layers)
        below, own, *biases = (
            [getattr(lstm, f"{name}_l{layer}").float() for layer in layers]
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        bias = [_by_gate(input_ + state) for input_, state in zip(*biases, strict=True)]
        read = [[own[0]], *map(list, zip(below[1:], own[1:], strict=True))]
        self.weights = [_packed_gates(weights, _up(network.hidden)) for weights in read]
        self.biases = bias[1:]
        self.table = _table(network, below[0], bias[0])
        output = [network.output, network.gates] if len(network.copied) else [network.output]
        weight, bias_out = (
            torch.cat([getattr(part, name).float() for part in output])
            for name in ("weight", "bias")
        )
        self.n_out = len(weight)
        packed = torch.zeros(_up(len(weight)) // _PANEL, _up(network.hidden), _PANEL)
        self.output = _pack(weight, packed), _filled(bias_out)
        self.begin = [_filled(state.float()) for state in (network.hidden_init, network.cell_init)]


class _Known(NamedTuple):
    """Packed weights, and the tensors that they are made of, as they were then."""

    tensors: list[Tensor]
    states: list[tuple[int, int]]  # address, number of changes
    packed: _Packed


_known: WeakKeyDictionary[FolkRNN, _Known] = WeakKeyDictionary()


def _packed(network: FolkRNN) -> _Packed:
    """Return the packed weights: those of the last time, unless a tensor changed since then.

    torch counts the changes of each tensor, except those through ``.data`` and of inference
    tensors; a network of the latter is packed each time.
    """
    tensors = [*network.parameters(), *network.buffers()]
    if any(tensor.is_inference() for tensor in tensors):
        return _Packed(network)
    states = [(tensor.data_ptr(), tensor._version) for tensor in tensors]
    known = _known.get(network)
    if not (known and known.states == states and all(map(is_, known.tensors, tensors))):
        known = _known[network] = _Known(tensors, states, _Packed(network))
    return known.packed


class FixedOrderStepper:
    """Reader of one token of each of several tunes at a time, in float32; has `Stepper`'s methods.

    The first layer's product with its input, of few different values, is a sum of rows of a table:
    one for the token, then one for each column of positions.

    >>> net = FolkRNN(5, hidden=8, layers=2).eval()
    >>> FixedOrderStepper(net, 3).step(np.array([0, 0, 4])).shape
    (3, 5)
    """

    def __init__(self, network: FolkRNN, n_tunes: int) -> None:
        self._n_tokens, self._copied = network.n_tokens, network.copied.numpy()
        self._step = native.host_kernel("lstm_step")
        self._packed = _packed(network)
        if network.inputs:
            self._first_entries = (network.offsets + network.n_tokens).numpy()
        self._hidden, self._cell = (state.repeat(n_tunes, 1, 1) for state in self._packed.begin)
        self._lay_out(n_tunes)

    def step(
        self, ids: NDArray[np.int64], positions: NDArray[np.int64] | None = None
    ) -> NDArray[np.float64]:
        """Read one token, its id, of each tune; return the logits [tune, token] of the next."""
        entries, raised, packed = np.ascontiguousarray(ids[:, None]), None, self._packed
        if positions is not None:  # raised has no column where nothing is copied
            entries = np.concatenate([entries, positions + self._first_entries], axis=1)
            raised = torch.from_numpy(positions.take(self._copied, axis=1))
        self._step(
            packed.table,
            torch.from_numpy(entries),
            packed.weights,
            packed.biases,
            self._hidden,
            self._cell,
            *packed.output,
            raised,
            self._out,
            packed.n_out,
            self._gates,
            torch.get_num_threads(),
        )
        return self._logits.astype(np.float64)

    def restart(self, row: int) -> None:
        """Replace the tune of a row by another one, in the initial state."""
        for state, begin in zip((self._hidden, self._cell), self._packed.begin, strict=True):
            state[row] = begin

    def keep(self, rows: list[int]) -> None:
        """Remove from the batch all rows but these."""
        self._hidden, self._cell = self._hidden[rows], self._cell[rows]
        self._lay_out(len(rows))

    def _lay_out(self, n_tunes: int) -> None:
        self._gates = torch.empty(2, n_tunes, self._packed.table.shape[1])
        self._out = torch.empty(n_tunes, len(self._packed.output[1]))
        self._logits = self._out.numpy()[:, : self._n_tokens]


def _up(n: int) -> int:
    """Return the next multiple of a panel."""
    return n + -n % _PANEL


def _filled(rows: Tensor) -> Tensor:
    """Append columns of zeros up to whole panels."""
    return F.pad(rows, (0, -rows.shape[-1] % _PANEL))


def _by_gate(bias: Tensor) -> Tensor:
    """Order torch's gates input, forget, new, output as the kernel's, each in whole panels."""
    return torch.cat([_filled(bias.chunk(4)[gate]) for gate in _GATES])


def _packed_gates(weights: list[Tensor], n_columns: int) -> Tensor:
    """Pack weights [gate, column] side by side, each filled up to n_columns."""
    units = len(weights[0]) // 4
    packed = torch.zeros(4, _up(units) // _PANEL, n_columns * len(weights), _PANEL)
    for gate, panels in zip(_GATES, packed, strict=True):
        for weight, part in zip(weights, panels.split(n_columns, dim=1), strict=True):
            _pack(weight[gate * units : (gate + 1) * units], part)
    return packed.flatten(0, 1)


def _pack(weight: Tensor, packed: Tensor) -> Tensor:
    """Write a weight [output, input] as [panel, input, output of the panel]."""
    outputs, inputs = weight.shape
    whole = outputs // _PANEL
    panels = weight[: whole * _PANEL].reshape(whole, _PANEL, inputs)
    packed[:whole, :inputs] = panels.transpose(1, 2)
    if rest := outputs % _PANEL:
        packed[whole, :inputs, :rest] = weight[whole * _PANEL :].T
    return packed


def _table(network: FolkRNN, weight: Tensor, bias: Tensor) -> Tensor:
    """Return what each token, with the bias, and each value of a column add to the first layer."""
    rows = [network.input_rows]
    if network.inputs:
        rows += network.positions.split(network.column_sizes)
    weights = weight.split([part.shape[1] for part in rows], dim=1)
    product = native.host_kernel("packed_product")
    table = torch.empty(sum(map(len, rows)), len(bias))
    parts = table.split([len(part) for part in rows])
    for read, columns, part in zip(rows, weights, parts, strict=True):
        contiguous = read.detach().float().contiguous()
        packed = _packed_gates([columns], columns.shape[1])
        product(contiguous, packed, part, torch.get_num_threads())
    parts[0].add_(bias)
    return table

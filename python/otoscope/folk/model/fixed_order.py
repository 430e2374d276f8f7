"""Forward pass of folk-rnn on the CPU, with the same bits for a tune alone and beside others.

Kernels of our own (csrc/lstm) sum in one order, whatever the batch, the number of threads and the
processor. torch's order depends on all three.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from otoscope import native
from otoscope.folk.model.network import FolkRNN

__all__ = ["FixedOrderStepper"]

_PANEL = 16  # of csrc/lstm: numbers of units and of outputs are filled up to multiples of it


class FixedOrderStepper:
    """Reader of one token of each of several tunes at a time, in float32; has `Stepper`'s methods.

    The first layer's product with its input, of few different values, is a sum of rows of a table:
    one for the token, then one for each column of positions.

    >>> net = FolkRNN(5, hidden=8, layers=2).eval()
    >>> FixedOrderStepper(net, 3).step(np.array([0, 0, 4])).shape
    (3, 5)
    """

    @torch.no_grad()
    def __init__(self, network: FolkRNN, n_tunes: int) -> None:
        self._n_tokens, self._copied = network.n_tokens, network.copied.numpy()
        self._step = native.host_kernel("lstm_step")
        lstm = network.lstm
        below, own, *biases = (
            [_by_gate(getattr(lstm, f"{name}_l{layer}")) for layer in range(network.layers)]
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        bias = [input_ + state for input_, state in zip(*biases, strict=True)]
        both = zip(map(_filled, below[1:]), map(_filled, own[1:]), strict=True)
        self._weights = [_packed(_filled(own[0])), *(_packed(torch.cat(pair, 1)) for pair in both)]
        self._biases = bias[1:]
        self._table = _table(network, below[0], bias[0])
        if network.inputs:
            self._first_entries = (network.offsets + network.n_tokens).numpy()
        output = [network.output, network.gates] if len(network.copied) else [network.output]
        weight, bias_out = (
            torch.cat([getattr(part, name).float() for part in output])
            for name in ("weight", "bias")
        )
        self._n_out = len(weight)
        self._output = _packed(_filled(_filled(weight).T).T), _filled(bias_out[None])[0]
        self._begin = [_filled(state.float()) for state in (network.hidden_init, network.cell_init)]
        self._hidden, self._cell = (state.repeat(n_tunes, 1, 1) for state in self._begin)
        self._lay_out(n_tunes)

    def step(
        self, ids: NDArray[np.int64], positions: NDArray[np.int64] | None = None
    ) -> NDArray[np.float64]:
        """Read one token, its id, of each tune; return the logits [tune, token] of the next."""
        entries, raised = np.ascontiguousarray(ids[:, None]), None
        if positions is not None:  # raised has no column where nothing is copied
            entries = np.concatenate([entries, positions + self._first_entries], axis=1)
            raised = torch.from_numpy(positions.take(self._copied, axis=1))
        self._step(
            self._table,
            torch.from_numpy(entries),
            self._weights,
            self._biases,
            self._hidden,
            self._cell,
            *self._output,
            raised,
            self._out,
            self._n_out,
            self._gates,
            torch.get_num_threads(),
        )
        return self._logits.astype(np.float64)

    def restart(self, row: int) -> None:
        """Replace the tune of a row by another one, in the initial state."""
        for state, begin in zip((self._hidden, self._cell), self._begin, strict=True):
            state[row] = begin

    def keep(self, rows: list[int]) -> None:
        """Remove from the batch all rows but these."""
        self._hidden, self._cell = self._hidden[rows], self._cell[rows]
        self._lay_out(len(rows))

    def _lay_out(self, n_tunes: int) -> None:
        self._gates = torch.empty(2, n_tunes, self._table.shape[1])
        self._out = torch.empty(n_tunes, len(self._output[1]))
        self._logits = self._out.numpy()[:, : self._n_tokens]


def _filled(rows: Tensor) -> Tensor:
    """Append columns of zeros up to whole panels."""
    return F.pad(rows, (0, -rows.shape[1] % _PANEL))


def _by_gate(weight: Tensor) -> Tensor:
    """Order torch's gates input, forget, new, output as the kernel's, each in whole panels."""
    gates = [weight.float().chunk(4)[gate] for gate in (0, 1, 3, 2)]
    fill = (0, 0) * (weight.ndim - 1) + (0, -len(gates[0]) % _PANEL)
    return torch.cat([F.pad(gate, fill) for gate in gates])


def _packed(weight: Tensor) -> Tensor:
    """Order a weight [output, input] as [panel, input, output of the panel]."""
    return weight.reshape(-1, _PANEL, weight.shape[1]).transpose(1, 2).contiguous()


def _table(network: FolkRNN, weight: Tensor, bias: Tensor) -> Tensor:
    """Return what each token, with the bias, and each value of a column add to the first layer."""
    rows = [network.input_rows]
    if network.inputs:
        rows += network.positions.split(network.column_sizes)
    weights = weight.split([part.shape[1] for part in rows], dim=1)
    product = native.host_kernel("packed_product")
    table = torch.empty(sum(map(len, rows)), len(weight))
    parts = table.split([len(part) for part in rows])
    for read, columns, part in zip(rows, weights, parts, strict=True):
        contiguous = read.detach().float().contiguous()
        product(contiguous, _packed(columns), part, torch.get_num_threads())
    parts[0].add_(bias)
    return table

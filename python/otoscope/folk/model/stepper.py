"""Forward pass of folk-rnn one token at a time, into buffers that are allocated once.

The results are those of `FolkRNN`, apart from rounding. Four things make it fast: the first layer's
product with its input, one of few rows, is a row of a table; each other layer computes one product,
of its input and its own state side by side; weights lie in memory in the order of reading; tunes
that are finished leave the batch.
"""

from __future__ import annotations

from copy import deepcopy
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from otoscope.folk.model.network import FolkRNN, raise_copied

__all__ = ["Stepper"]


class Stepper:
    """Reader of one token of each of several tunes at a time.

    ``network``'s weights are copied; ``dtype`` is that of the arithmetic and of the logits. The
    states of all layers lie side by side in one row, [tune, layer * unit]. What a layer reads, the
    new state of the layer below and its own old state, is a slice of the row: with 2 units and 3
    layers in columns 0 to 5, layer 0 reads columns 0:2, layer 1 reads 0:4, layer 2 reads 2:6.

    >>> net = FolkRNN(5, hidden=8, layers=2).eval()
    >>> Stepper(net, 3).step(np.array([0, 0, 4])).shape
    (3, 5)
    """

    @torch.inference_mode()
    def __init__(
        self, network: FolkRNN, n_tunes: int, *, dtype: torch.dtype = torch.float32
    ) -> None:
        network = deepcopy(network).to(dtype).requires_grad_(False)
        self._hidden_size, lstm = network.hidden, network.lstm
        from_below, recurrent, *biases = (
            [_packed(getattr(lstm, f"{name}_l{layer}")) for layer in range(network.layers)]
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        self._bias = [input_ + state for input_, state in zip(*biases, strict=True)]
        self._rows = network.input_rows @ from_below[0][:, : network.input_rows.shape[1]].T
        self._rows += self._bias[0]
        if network.inputs:
            self._positions = _position_rows(network, from_below[0])
            self._offsets = network.offsets
        both = zip(from_below[1:], recurrent[1:], strict=True)
        self._products = [_Product(recurrent[0]), *(_Product(torch.cat(pair, 1)) for pair in both)]
        self._output = network.output.weight.T, network.output.bias
        self._gates = network.gates if len(network.copied) else None
        self._copied = network.copied
        self._begin = network.hidden_init.flatten(), network.cell_init.flatten()
        self._hidden, self._cell = (row.repeat(n_tunes, 1) for row in self._begin)
        self._lay_out()

    @torch.inference_mode()
    def step(
        self, ids: NDArray[np.int64], positions: NDArray[np.int64] | None = None
    ) -> NDArray[np.float64]:
        """Read one token, its id, of each tune; return the logits [tune, token] of the next.

        A network with inputs needs the positions [tune, column] after the tokens.
        """
        first = self._first(ids, positions)
        for layer, (read, hidden, cell) in enumerate(self._slices):
            gates = self._products[layer](read)
            gates += first if layer == 0 else self._bias[layer]
            gates[:, : 3 * self._hidden_size].sigmoid_()
            from_input, forget, out, new = gates.split(self._hidden_size, dim=1)
            cell.mul_(forget).addcmul_(from_input, new.tanh_())
            torch.tanh(cell, out=hidden).mul_(out)
        weight, bias = self._output
        logits = torch.addmm(bias, hidden, weight)
        if positions is not None and self._gates is not None:
            tokens = self._on_device(positions)[:, self._copied]
            logits = raise_copied(logits, self._gates(hidden), tokens)
        return logits.cpu().double().numpy()

    def _first(self, ids: NDArray[np.int64], positions: NDArray[np.int64] | None) -> Tensor:
        """Return the first layer's product with its input, a sum of rows of tables."""
        rows = self._rows[self._on_device(ids)]
        if positions is not None:
            entries = self._on_device(positions) + self._offsets
            rows += F.embedding_bag(entries, self._positions, mode="sum")
        return rows

    def _on_device(self, numbers: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(numbers).to(self._rows.device)

    @torch.inference_mode()
    def restart(self, row: int) -> None:
        """Replace the tune of a row by another one, in the initial state."""
        for state, begin in zip((self._hidden, self._cell), self._begin, strict=True):
            state[row] = begin

    @torch.inference_mode()
    def keep(self, rows: list[int]) -> None:
        """Remove from the batch all rows but these."""
        self._hidden, self._cell = self._hidden[rows], self._cell[rows]
        self._lay_out()

    def _lay_out(self) -> None:
        size = self._hidden_size
        own = list(zip(self._hidden.split(size, 1), self._cell.split(size, 1), strict=True))
        reads = [
            self._hidden[:, max(0, layer - 1) * size : (layer + 1) * size]
            for layer in range(len(own))
        ]
        self._slices = [(read, *states) for read, states in zip(reads, own, strict=True)]


def _packed(weight: Tensor) -> Tensor:
    """Order the gates input, forget, output, new: the three sigmoids are neighbours."""
    input_, forget, new, output = weight.chunk(4)
    return torch.cat([input_, forget, output, new])


def _position_rows(network: FolkRNN, weight: Tensor) -> Tensor:
    """Return the product of each value of each column with the first layer's weight."""
    rows = network.positions.split(network.column_sizes)
    weights = weight[:, network.input_rows.shape[1] :].split(network.positions.shape[1], dim=1)
    return torch.cat([row @ part.T for row, part in zip(rows, weights, strict=True)])


class _Product:
    """Product of states with a weight, in the fastest form for their number."""

    def __init__(self, weight: Tensor) -> None:
        self._weight = weight

    def __call__(self, states: Tensor) -> Tensor:
        if len(states) == 1:
            return torch.mm(states, self._transposed)
        return F.linear(states, self._weight)

    @cached_property
    def _transposed(self) -> Tensor:
        """Return the weight in the order in which a product with one state reads it."""
        return self._weight.T.contiguous()

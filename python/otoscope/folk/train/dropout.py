"""Dropout with one mask for all steps of a tune, and of recurrent weights: for few tunes.

A mask that changes with every step disturbs what an LSTM remembers and costs a sixth of the time of
a step of training; one that stays does neither.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from otoscope.folk.model.network import FolkRNN, State

__all__ = ["Dropout"]


class Dropout:
    """Forward pass of a network in training, with dropout that is the same at all steps.

    ``inputs``, ``outputs`` and ``weights`` are the rates of the first layer's input, of each
    layer's output, and of the weights from state to state.

    References
    ----------
    Gal and Ghahramani (2016), arXiv 1512.05287; Merity et al. (2018), arXiv 1708.02182.

    Examples
    --------
    >>> network = FolkRNN(5, hidden=8, layers=2, dropout=0)
    >>> logits, _ = Dropout(0.1, 0.5, 0.5)(network, torch.zeros(3, 7, dtype=torch.int64))
    >>> logits.shape
    torch.Size([3, 7, 5])
    """

    def __init__(self, inputs: float, outputs: float, weights: float) -> None:
        self._inputs, self._outputs, self._weights = inputs, outputs, weights

    def __call__(
        self,
        network: FolkRNN,
        ids: Tensor,
        state: State | None = None,
        *,
        positions: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Compute logits and state as the network does, with dropout."""
        hidden, cell = state or network.initial_state(len(ids))
        rows = _locked(network.read(ids, positions), self._inputs)
        after: list[State] = []
        for layer in range(network.layers):
            from_below, recurrent, *biases = (
                getattr(network.lstm, f"{name}_l{layer}")
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            weights = [from_below, F.dropout(recurrent, self._weights), *biases]
            before = [part[layer : layer + 1].to(rows.dtype) for part in (hidden, cell)]
            rows, *own = torch.lstm(rows, before, weights, True, 1, 0.0, True, False, True)
            after.append((own[0], own[1]))
            rows = _locked(rows, self._outputs)
        states = torch.cat([own[0] for own in after]), torch.cat([own[1] for own in after])
        return network.predict(rows, positions), states


def _locked(rows: Tensor, rate: float) -> Tensor:
    """Drop columns of rows [tune, step, column], in each tune others."""
    return rows * F.dropout(torch.ones_like(rows[:, :1]), rate)

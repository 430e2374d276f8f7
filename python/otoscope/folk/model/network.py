"""The network of folk-rnn: from the tokens of a tune to the logits of each next token.

Tokens are ids [tune, step], int64; logits [tune, step, token]; a state is hidden and cell, each
[layer, tune, unit]. A tune begins with ``<s>`` in the stored initial state, which is not zero. A
network may also read positions [tune, step, column] of `otoscope.folk.model.position`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from otoscope.errors import ParameterError
from otoscope.folk.model.position import position_columns
from otoscope.models.empty import empty

__all__ = ["FolkRNN", "State", "raise_copied"]

State = tuple[Tensor, Tensor]
"""Hidden and cell, each [layer, tune, unit]."""


class FolkRNN(nn.Module):
    """LSTM over the tokens of tunes; 5,599,881 weights with the paper's vocabulary of 137 tokens.

    Parameters
    ----------
    n_tokens : int
        Size of the vocabulary, including ``<s>`` and ``</s>``.
    embedding : int, optional
        Dimension of a learned embedding; one-hot vectors, as in the paper, if not given.
    hidden : int, default 512
        Number of units per layer.
    layers : int, default 3
        Number of LSTM layers.
    dropout : float, in [0, 1), default 0.5
        Dropout rate after each layer, in training.
    forget_bias : float, default 5.0
        Initial bias of the forget gates; all other biases are 0 initially.
    inputs : sequence of {"bar", "part", "earlier"}, default ()
        Positions that the network reads with each token; none in the paper.
    input_size : int, default 16
        Dimension of the embedding of each column of positions.
    seed : int or None, default 0
        Random seed of the orthogonal initial weights and the initial state. None leaves them
        without values, for a state that is loaded next.

    Raises
    ------
    ParameterError
        If a size is below 1, dropout not in [0, 1), or there is no such input.

    Notes
    -----
    Each gate has one bias, as in the authors' network. torch has two: the second stays at 0 and is
    not trained, so that the number of weights is the paper's; all of torch's are 5,606,025.

    ``hidden_init`` and ``cell_init`` [layer, unit] are the state before a tune: buffers, random
    rows of norm 1 initially (an orthogonal matrix with one row), stored with the weights.

    With the input "earlier" the logits of the tokens that followed some bars before are raised by
    gates, linear in the last layer's output: what is repeated need not pass through the layers.

    References
    ----------
    Sturm et al. (2016) :cite:`sturm2016folkrnn`, section III.

    Examples
    --------
    >>> net = FolkRNN(137)
    >>> sum(weight.numel() for weight in net.parameters() if weight.requires_grad)
    5599881
    """

    hidden_init: Tensor
    cell_init: Tensor
    one_hot: Tensor
    offsets: Tensor
    copied: Tensor

    def __init__(  # noqa: PLR0913 - a network has the settings it has
        self,
        n_tokens: int,
        *,
        embedding: int | None = None,
        hidden: int = 512,
        layers: int = 3,
        dropout: float = 0.5,
        forget_bias: float = 5.0,
        inputs: Sequence[str] = (),
        input_size: int = 16,
        seed: int | None = 0,
    ) -> None:
        sizes = {"n_tokens": n_tokens, "embedding": embedding, "hidden": hidden, "layers": layers}
        for name, size in {**sizes, "input_size": input_size}.items():
            if size is not None and size < 1:
                raise ParameterError(f"{name} is {size}, must be at least 1")
        if not 0 <= dropout < 1:
            raise ParameterError(f"dropout is {dropout}, must be in [0, 1)")
        super().__init__()
        self.settings: dict[str, Any] = {**sizes, "dropout": dropout}
        """Arguments that build an equal network, for a bundle."""
        self.n_tokens, self.hidden, self.layers = n_tokens, hidden, layers
        if embedding is None:
            self.register_buffer("one_hot", torch.eye(n_tokens), persistent=False)
        else:
            self.embedding = nn.Parameter(torch.empty(n_tokens, embedding))
        n_inputs = embedding or n_tokens
        columns = position_columns(inputs, n_tokens)
        self.inputs = tuple(inputs)
        copied = [place for place, column in enumerate(columns) if column.is_token]
        self.register_buffer("copied", torch.tensor(copied, dtype=torch.int64), persistent=False)
        if self.inputs:
            self.settings |= {"inputs": list(inputs), "input_size": input_size}
            self.column_sizes = [column.size for column in columns]
            ends = list(accumulate(self.column_sizes))
            self.positions = nn.Parameter(torch.empty(ends[-1], input_size))
            self.register_buffer("offsets", torch.tensor([0, *ends[:-1]]), persistent=False)
            n_inputs += input_size * len(columns)
        if copied:
            self.gates = empty(nn.Linear, hidden, len(copied))
        between = dropout if layers > 1 else 0.0  # torch warns of one that does nothing
        self.lstm = empty(nn.LSTM, n_inputs, hidden, layers, batch_first=True, dropout=between)
        self.dropout = nn.Dropout(dropout)
        self.output = empty(nn.Linear, hidden, n_tokens)
        for name in ("hidden_init", "cell_init"):
            self.register_buffer(name, torch.empty(layers, hidden))
        for layer in range(layers):  # two biases a gate: the second stays 0
            getattr(self.lstm, f"bias_hh_l{layer}").requires_grad_(False)
        if seed is not None:
            self._begin(forget_bias, torch.Generator().manual_seed(seed))

    @property
    def input_rows(self) -> Tensor:
        """Input of the first layer for each token: Tensor [token, column]."""
        return self.one_hot if self.settings["embedding"] is None else self.embedding

    def initial_state(self, n_tunes: int) -> State:
        """Return the state before a tune, repeated for several tunes.

        Parameters
        ----------
        n_tunes : int
            Number of tunes.

        Returns
        -------
        tuple of Tensor [layer, tune, unit]
            Hidden and cell state.

        Examples
        --------
        >>> FolkRNN(5, hidden=8, layers=2).initial_state(3)[0].shape
        torch.Size([2, 3, 8])
        """
        hidden, cell = (
            row[:, None].expand(-1, n_tunes, -1).contiguous()
            for row in (self.hidden_init, self.cell_init)
        )
        return hidden, cell

    def forward(
        self, ids: Tensor, state: State | None = None, *, positions: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Compute the logits of the next token after each token.

        Parameters
        ----------
        ids : Tensor [tune, step], int64
            Tokens; padding at the end changes nothing before it.
        state : tuple of Tensor [layer, tune, unit], optional
            Hidden and cell state before the first token; the initial state if not given.
        positions : Tensor [tune, step, column], int64, optional
            Positions after each token, of a network with inputs: `PositionReader.read`.

        Returns
        -------
        tuple of Tensor [tune, step, token] and tuple of Tensor [layer, tune, unit]
            Logits of the token after each, and the state after the last.

        Raises
        ------
        ParameterError
            If positions are missing, or the network has no inputs.

        Examples
        --------
        >>> logits, _ = FolkRNN(5, hidden=8, layers=2)(torch.zeros(3, 7, dtype=torch.int64))
        >>> logits.shape
        torch.Size([3, 7, 5])
        """
        outputs, state = self.lstm(self.read(ids, positions), state or self.initial_state(len(ids)))
        return self.predict(self.dropout(outputs), positions), state

    def read(self, ids: Tensor, positions: Tensor | None) -> Tensor:
        """Return the input of the first layer for tokens: Tensor [tune, step, column]."""
        if (positions is None) == bool(self.inputs):
            raise ParameterError(
                f"the network has {' and '.join(self.inputs) or 'no'} inputs; positions must be "
                "those that FolkModel.positions.read returns, or None without inputs"
            )
        rows = F.embedding(ids, self.input_rows)
        if positions is None:
            return rows
        read = F.embedding(positions + self.offsets, self.positions)
        return torch.cat([rows, read.flatten(2)], dim=2)

    def predict(self, outputs: Tensor, positions: Tensor | None) -> Tensor:
        """Return the logits [tune, step, token] after the last layer's outputs."""
        logits: Tensor = self.output(outputs)
        if positions is None or not len(self.copied):
            return logits
        return raise_copied(logits, self.gates(outputs), positions[..., self.copied])

    @torch.no_grad()
    def _begin(self, forget_bias: float, generator: torch.Generator) -> None:
        for name, weight in self.named_parameters():
            if weight.ndim == 1 or name.startswith("gates"):
                nn.init.zeros_(weight)
                continue
            for block in weight.chunk(4) if name.startswith("lstm") else [weight]:  # a gate each
                nn.init.orthogonal_(block, generator=generator)
        forget = slice(self.hidden, 2 * self.hidden)  # torch's order of gates: i, f, g, o
        for layer in range(self.layers):
            getattr(self.lstm, f"bias_ih_l{layer}")[forget] = forget_bias
        for row in (self.hidden_init, self.cell_init):
            row.copy_(F.normalize(torch.randn(row.shape, generator=generator), dim=1))


def raise_copied(logits: Tensor, gates: Tensor, tokens: Tensor) -> Tensor:
    """Add gates [..., column] to the logits [..., token] of the tokens [..., column] copied.

    >>> raise_copied(torch.zeros(3), torch.tensor([2.0, 5.0]), torch.tensor([1, 3]))  # 3 is none
    tensor([0., 2., 0.])
    """
    return F.pad(logits, (0, 1)).scatter_add(-1, tokens, gates)[..., :-1]

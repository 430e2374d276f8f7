"""Hidden states of a network that reads tunes, and embeddings of tunes made of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.folk.model.bundle import FolkModel
from otoscope.folk.model.likelihood import padded
from otoscope.folk.model.network import FolkRNN
from otoscope.protocols import evaluating

__all__ = ["embed_tunes", "freeze_units", "hidden_states"]


def hidden_states(
    model: FolkModel, tunes: Sequence[Sequence[str]], *, batch: int = 64
) -> Iterator[NDArray[np.float32]]:
    """Compute the hidden states of all layers after each token of tunes.

    Parameters
    ----------
    model : FolkModel
        Model; it is evaluated in eval mode.
    tunes : sequence of sequence of str
        Tokens of each tune without ``<s>`` and ``</s>``.
    batch : int, default 64
        Number of tunes per batch, at least 1.

    Returns
    -------
    iterator of array [token + 1, layer, unit]
        Outputs of each layer after ``<s>`` and after each token, tune by tune.

    Raises
    ------
    ParameterError
        If a token is unknown (names the token and its place) or batch is below 1.

    Examples
    --------
    >>> from otoscope.folk.tokens import Vocabulary
    >>> model = FolkModel(FolkRNN(4, hidden=8).eval(), Vocabulary(("<s>", "</s>", "A", "B")))
    >>> next(hidden_states(model, [["A", "B"]])).shape
    (3, 3, 8)
    """
    if batch < 1:
        raise ParameterError(f"batch is {batch}, must be at least 1")
    ids = [model.encode(tune, name=f"tune {at}")[:-1] for at, tune in enumerate(tunes, start=1)]
    return _states(model, ids, batch)


def embed_tunes(
    model: FolkModel, tunes: Sequence[Sequence[str]], *, batch: int = 64
) -> NDArray[np.float64]:
    """Embed each tune as the mean of the last layer's hidden states after its tokens.

    Parameters
    ----------
    model : FolkModel
        Model; it is evaluated in eval mode.
    tunes : sequence of sequence of str
        Tokens of each tune.
    batch : int, default 64
        Number of tunes per batch.

    Returns
    -------
    array [tune, unit], float64
        One row per tune.

    Raises
    ------
    ParameterError
        As by `hidden_states`.

    Examples
    --------
    >>> from otoscope.folk.tokens import Vocabulary
    >>> model = FolkModel(FolkRNN(4, hidden=8).eval(), Vocabulary(("<s>", "</s>", "A", "B")))
    >>> embed_tunes(model, [["A", "B"], ["B"]]).shape
    (2, 8)
    """
    rows = [state[:, -1].mean(0, dtype=float) for state in hidden_states(model, tunes, batch=batch)]
    return np.array(rows).reshape(len(rows), -1)


@torch.no_grad()
def freeze_units(model: FolkModel, values: Mapping[tuple[int, int], float]) -> FolkModel:
    """Return a model in which the outputs of units are constants: what they compute is ablated.

    Parameters
    ----------
    model : FolkModel
        Model; it stays as it is.
    values : mapping of (layer, unit) to float
        Output of each unit, for example its mean over many tunes.

    Returns
    -------
    FolkModel
        Network of the same form. Whatever reads a unit, the gates of its own layer and of the next,
        or the softmax, has the constant in its biases and a weight of 0 for the unit.

    Raises
    ------
    ParameterError
        If there is no such layer or unit.

    Examples
    --------
    >>> from otoscope.folk.tokens import Vocabulary
    >>> model = FolkModel(FolkRNN(4, hidden=8).eval(), Vocabulary(("<s>", "</s>", "A", "B")))
    >>> frozen = freeze_units(model, {(2, 5): 0.5})
    >>> bool((frozen.network.output.weight[:, 5] == 0).all())
    True
    """
    network = deepcopy(model.network)
    lstm, last = network.lstm, network.layers - 1
    for (layer, unit), value in values.items():
        if not (0 <= layer <= last and 0 <= unit < network.hidden):
            raise ParameterError(
                f"there is no unit {unit} of layer {layer}; the network has {last + 1} layers of "
                f"{network.hidden} units"
            )
        readers = [(f"hh_l{layer}", f"ih_l{layer}")]  # the second bias of a gate stays 0
        if layer < last:
            readers.append((f"ih_l{layer + 1}", f"ih_l{layer + 1}"))
        pairs = [(getattr(lstm, f"weight_{w}"), getattr(lstm, f"bias_{b}")) for w, b in readers]
        if layer == last:
            heads = [network.output, *([network.gates] if len(network.copied) else [])]
            pairs += [(head.weight, head.bias) for head in heads]
        for weight, bias in pairs:
            bias += value * weight[:, unit]
            weight[:, unit] = 0
    return replace(model, network=network)


def _states(
    model: FolkModel, ids: Sequence[Sequence[int]], batch: int
) -> Iterator[NDArray[np.float32]]:
    network, reader = model.network, model.positions
    for first in range(0, len(ids), batch):
        rows = ids[first : first + batch]
        positions = padded([reader.read(row) for row in rows]) if reader else None
        with evaluating(network), torch.inference_mode():
            layers = _layers(network, padded(rows), positions).cpu().numpy()
        for row, states in zip(rows, layers, strict=True):
            yield states[: len(row)]


def _layers(network: FolkRNN, ids: Tensor, positions: Tensor | None) -> Tensor:
    """Return the outputs [tune, step, layer, unit] of all layers; nn.LSTM returns the last only."""
    device = network.hidden_init.device
    rows = network.read(ids.to(device), positions if positions is None else positions.to(device))
    hidden, cell = network.initial_state(len(ids))
    outputs = []
    for layer in range(network.layers):
        with torch.random.fork_rng(devices=[]):  # the weights drawn here are replaced
            lstm = nn.LSTM(rows.shape[-1], network.hidden, batch_first=True).to(rows)
        own = {name: getattr(network.lstm, f"{name[:-1]}{layer}") for name in lstm.state_dict()}
        lstm.load_state_dict(own)
        rows, _ = lstm(rows, (hidden[layer, None], cell[layer, None]))
        outputs.append(rows)
    return torch.stack(outputs, 2)

"""A network of LSTM layers, unit by unit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from otoscope.folk.model import FolkRNN

Array = NDArray[np.float64]


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def lstm_by_definition(net: FolkRNN, ids: list[int]) -> Array:
    """Logits after each token; Sturm et al. 2016, equations of an LSTM layer, one bias a gate."""
    weights = {name: value.double().numpy() for name, value in net.state_dict().items()}
    weights["rows"] = net.input_rows.detach().double().numpy()
    hidden, cell = list(weights["hidden_init"]), list(weights["cell_init"])
    logits = []
    for one in ids:
        x = weights["rows"][one]
        for layer in range(net.layers):
            gates = (
                weights[f"lstm.weight_ih_l{layer}"] @ x
                + weights[f"lstm.weight_hh_l{layer}"] @ hidden[layer]
                + weights[f"lstm.bias_ih_l{layer}"]
            )
            i, f, g, o = gates.reshape(4, -1)
            cell[layer] = sigmoid(f) * cell[layer] + sigmoid(i) * np.tanh(g)
            x = hidden[layer] = sigmoid(o) * np.tanh(cell[layer])
        logits.append(weights["output.weight"] @ x + weights["output.bias"])
    return np.array(logits)

"""Hidden states: those of the network's own layers, whatever the batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from otoscope.errors import ParameterError
from otoscope.folk.data import generate_tune
from otoscope.folk.model import FolkModel, FolkRNN, embed_tunes, hidden_states
from otoscope.folk.tokens import Vocabulary, get_tokeniser

TUNES = [list(get_tokeniser("v2").tokens(generate_tune(0, i))) for i in range(3)]


def model(inputs: tuple[str, ...]) -> FolkModel:
    vocabulary = Vocabulary.of(TUNES)
    network = FolkRNN(len(vocabulary), embedding=5, hidden=7, layers=3, inputs=inputs)
    return FolkModel(network.eval(), vocabulary)


@pytest.mark.parametrize("inputs", [(), ("bar", "earlier")])
@torch.inference_mode()
def test_states_are_those_of_the_layers_in_turn(inputs: tuple[str, ...]) -> None:
    folk = model(inputs)
    network = folk.network
    ids = torch.tensor([folk.encode(TUNES[0], name="x")[:-1]])
    reader = folk.positions
    positions = torch.from_numpy(reader.read(ids[0].tolist()))[None] if reader else None
    states = list(hidden_states(folk, TUNES, batch=2))
    assert [row.shape for row in states] == [(len(tune) + 1, 3, 7) for tune in TUNES]
    last, _ = network.lstm(network.read(ids, positions), network.initial_state(1))
    torch.testing.assert_close(torch.from_numpy(states[0][:, 2]), last[0])
    weights = network.lstm.state_dict()
    hidden, cell = (state[0] for state in network.initial_state(1))
    for step, row in enumerate(network.read(ids, positions)[0]):  # the first layer, spelled out
        gates = row @ weights["weight_ih_l0"].T + hidden @ weights["weight_hh_l0"].T
        gates += weights["bias_ih_l0"]
        i, f, g, o = gates.chunk(4, dim=1)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        hidden = o.sigmoid() * cell.tanh()
        torch.testing.assert_close(torch.from_numpy(states[0][step, 0]), hidden[0])


def test_an_embedding_is_the_mean_of_the_last_layer() -> None:
    folk = model(())
    rows = [states[:, -1].mean(0) for states in hidden_states(folk, TUNES, batch=1)]
    np.testing.assert_allclose(embed_tunes(folk, TUNES), rows, rtol=1e-5, atol=1e-7)


def test_bad_input_is_refused() -> None:
    with pytest.raises(ParameterError, match="batch is 0"):
        hidden_states(model(()), TUNES, batch=0)
    with pytest.raises(ParameterError, match="'x'"):
        hidden_states(model(()), [["x"]])

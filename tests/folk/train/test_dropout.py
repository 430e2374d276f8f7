"""Dropout that stays the same over a tune; without rates it does nothing."""

from __future__ import annotations

import pytest
import torch

from otoscope.errors import ParameterError
from otoscope.folk.model import FolkRNN
from otoscope.folk.train import TrainFolkConfig
from otoscope.folk.train.dropout import Dropout

IDS = torch.randint(7, (5, 11), generator=torch.Generator().manual_seed(0))


def network(*, layers: int = 2) -> FolkRNN:
    return FolkRNN(7, embedding=6, hidden=40, layers=layers, dropout=0, inputs=["bar"])


def positions() -> torch.Tensor:
    return torch.randint(40, (5, 11, 3), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("layers", [1, 3])
def test_without_rates_it_is_the_network(layers: int) -> None:
    net = network(layers=layers)
    wanted, state = net(IDS[:, :6], positions=positions()[:, :6])
    forward = Dropout(0, 0, 0)
    logits, own = forward(net, IDS[:, :6], positions=positions()[:, :6])
    torch.testing.assert_close(logits, wanted)
    torch.testing.assert_close(own, state)
    rest, _ = forward(net, IDS[:, 6:], own, positions=positions()[:, 6:])
    whole, _ = net(IDS, positions=positions())
    torch.testing.assert_close(rest, whole[:, 6:])


def test_a_tune_lacks_the_same_outputs_at_all_steps_and_others_lack_others() -> None:
    """The last layer's outputs are seen as logits: the output layer is the identity."""
    net = FolkRNN(40, embedding=6, hidden=40, layers=1, dropout=0)
    with torch.no_grad():
        net.output.weight.copy_(torch.eye(40))
    torch.manual_seed(0)
    logits, _ = Dropout(0, 0.5, 0)(net, IDS)
    plain, _ = net(IDS)
    dropped = logits == 0
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert 0.3 < dropped.float().mean() < 0.7
    assert len({tuple(row) for row in dropped[:, 0].tolist()}) == len(IDS)
    torch.testing.assert_close(logits[~dropped], 2 * plain[~dropped])


def test_inputs_and_recurrent_weights_are_dropped_too() -> None:
    net = network()
    plain, _ = net(IDS, positions=positions())
    for rates in ((0.5, 0, 0), (0, 0, 0.5)):
        torch.manual_seed(0)
        logits, _ = Dropout(*rates)(net, IDS, positions=positions())
        assert not torch.allclose(logits, plain)
    # From its second step on a tune with all recurrent weights dropped forgets: only inputs count.
    torch.manual_seed(0)
    first, _ = Dropout(0, 0, 0.999999)(net, IDS[:, :1], positions=positions()[:, :1])
    assert not torch.allclose(first, plain[:, :1]), "the initial state is read by these weights"


@pytest.mark.parametrize("name", ["input_dropout", "weight_dropout"])
def test_rates_that_would_do_nothing_are_refused(name: str) -> None:
    with pytest.raises(ParameterError, match=rf"{name} is 0\.5, which needs locked"):
        TrainFolkConfig(**{name: 0.5})  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=rf"{name} is 1\.0, must be in \[0, 1\)"):
        TrainFolkConfig(locked=True, **{name: 1.0})  # type: ignore[arg-type]

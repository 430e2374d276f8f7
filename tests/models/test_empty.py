"""Layers without values: shapes, ties to containers, and the global generator left alone."""

from __future__ import annotations

import torch
from torch import nn

from otoscope.folk.model import FolkRNN
from otoscope.models import SVDNet
from otoscope.models.empty import empty


def test_an_empty_layer_has_the_weights_of_an_ordinary_one() -> None:
    for kind, sizes, settings in (
        (nn.Linear, (3, 4), {"bias": False}),
        (nn.Conv2d, (1, 2, 3), {"dtype": torch.float64}),
        (nn.LSTM, (3, 4, 2), {"bidirectional": True}),
    ):
        layer, ordinary = empty(kind, *sizes, **settings), kind(*sizes, **settings)
        weights, others = dict(layer.named_parameters()), dict(ordinary.named_parameters())
        assert {n: (w.shape, w.dtype, w.device) for n, w in weights.items()} == {
            n: (w.shape, w.dtype, w.device) for n, w in others.items()
        }
        layer.load_state_dict(ordinary.state_dict())
        batch = torch.rand(2, 1, 5, 5)[:, :, :, : 5 if kind is nn.Conv2d else 3]
        inputs = batch.to(settings.get("dtype", torch.float32))
        inputs = inputs[:, 0] if kind is nn.LSTM else inputs
        results = [net(inputs) for net in (layer, ordinary)]
        torch.testing.assert_close(*results, rtol=0, atol=0)


def test_networks_draw_nothing_from_the_global_generator() -> None:
    before = torch.get_rng_state()
    SVDNet(shrink=32)
    SVDNet(shrink=32, seed=None)
    FolkRNN(5, hidden=4, layers=2, seed=None)
    assert torch.equal(torch.get_rng_state(), before)

"""A network whose best input is known, and results of a maximisation with given numbers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from otoscope.explain.maximise import MaximisationResult, Setting

WEIGHT = torch.tensor([[3.0, -1.0, 0.5, 0.0]], dtype=torch.float64)


def linear(weight: Tensor = WEIGHT) -> nn.Sequential:
    """A network of one linear layer, "0"."""
    layer = nn.utils.skip_init(nn.Linear, weight.shape[1], len(weight), bias=False)
    layer.weight.data = weight.clone()
    return nn.Sequential(layer)


def maximised(activation: list[float], rate: float) -> MaximisationResult:
    """A setting that reached these activations, with inputs of the same numbers."""
    n = len(activation)
    values = torch.tensor(activation)
    return MaximisationResult(
        activation=values,
        input=values[:, None],
        latent=values[:, None],
        trace=values[:, None],
        steps=torch.ones(n, dtype=torch.int64),
        failed=~values.isfinite(),
        flat=torch.zeros(n, dtype=torch.bool),
        exploded=torch.zeros(n, dtype=torch.bool),
        setting=Setting(rate, 0.1, 100),
        seeds=range(n),
        maximise=True,
    )

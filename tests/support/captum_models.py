"""Small models of the kinds that captum's own tests explain."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Layers(nn.Module):
    """Two layers over three cells: sums with a threshold each, weighted for two outputs."""

    def forward(
        self, x: Tensor, scale: float | Tensor = 1.0, shift: float | Tensor = 0.0
    ) -> Tensor:
        total = x.double().sum(1, keepdim=True) * scale + shift
        hidden = (total + torch.tensor([-12.0, 2.0, 3.0]).double()).relu()
        return torch.stack([hidden.sum(1), hidden[:, 0] - 2 * hidden[:, 1] + x[:, 0]], 1)


class Sums(nn.Module):
    """Several inputs that meet before the layers, the later ones with more weight."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = Layers()

    def forward(self, *inputs: Any) -> Tensor:
        cells = [x.double() for x in inputs if isinstance(x, Tensor) and x.ndim > 1]
        further = inputs[len(cells) :]
        mixed = sum((i + 1) * x * x.roll(i, 1) for i, x in enumerate(cells))
        output: Tensor = self.layers(mixed, *further)
        return output


class Pictures(nn.Module):
    """A convolution, a threshold, a pool and a layer; further pictures are added to the first."""

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(2)
            self.conv = nn.Conv2d(channels, 2, 3, padding=1)
            self.pool = nn.MaxPool2d(2)
            self.full = nn.Linear(8, 10)
        self.double().eval()

    def forward(self, *pictures: Tensor) -> Tensor:
        summed = torch.stack(pictures).sum(0).double()
        output: Tensor = self.full(self.pool(self.conv(summed).relu()).flatten(1))
        return output


class Words(nn.Module):
    """Dense values, and indices of an embedding: a removed word is the word of index 0."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding.from_pretrained(torch.arange(24.0).reshape(8, 3).cos())

    def forward(self, dense: Tensor, words: Tensor) -> Tensor:
        embedded: Tensor = self.embedding(words.long()).sum(1)
        return (dense * embedded).cumsum(1) + embedded.relu()


def booleans(x: Tensor) -> Tensor:
    assert x.dtype is torch.bool
    return torch.stack([(x * torch.tensor([4.0, 3.0, 2.0])).sum(1), x.all(1) * 2.0], 1)

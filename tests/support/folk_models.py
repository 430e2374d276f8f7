"""Small networks of tunes whose answers are known: every token is as probable everywhere."""

from __future__ import annotations

from pathlib import Path

import torch

from otoscope.folk.data import generate_tune
from otoscope.folk.model import FolkModel, FolkRNN, save_folkrnn
from otoscope.folk.tokens import Vocabulary, get_tokeniser


def tokens_of(form: str, n: int = 40) -> list[list[str]]:
    """Generated tunes in tokens."""
    return [
        copy for index in range(n) for copy in get_tokeniser(form).copies(generate_tune(0, index))
    ]


def memoryless(path: Path, *, form: str = "v2", seed: int = 0) -> FolkModel:
    """A saved network that ignores what came before: its output is its bias."""
    vocabulary = Vocabulary.of(tokens_of(form))
    network = FolkRNN(len(vocabulary), hidden=4, layers=1).eval()
    with torch.no_grad():
        network.output.weight.zero_()
        network.output.bias.copy_(
            torch.randn(len(vocabulary), generator=torch.Generator().manual_seed(seed))
        )
    model = FolkModel(network, vocabulary, form)
    save_folkrnn(path, model)
    return model


def log_probability(model: FolkModel, token: str) -> float:
    """Of a token, anywhere, by such a network."""
    bias = model.network.output.bias.detach().double()
    return float(bias.log_softmax(0)[model.vocabulary.encode([token])[0]])

"""Small models of tunes, and tunes of their own making, for tests of folk-rnn."""

from __future__ import annotations

import torch

from otoscope.folk.model import FolkModel, FolkRNN
from otoscope.folk.tokens import Vocabulary

BODY = [*"CDEFGABcdez234<>[]-", "/2", "3/2", "/2>", "(3", "(2", "^F"]
TOKENS = ["M:4/4", "M:6/8", "M:3/4", "K:Cmaj", "K:Cdor", "|", "|:", ":|", "|1", "|2", *BODY]
VOCABULARY = Vocabulary.of([TOKENS])


def network(n_tokens: int, *, gain: float = 1.0, seed: int = 0) -> FolkRNN:
    """Make an untrained network; a larger gain makes it more decided."""
    net = FolkRNN(n_tokens, embedding=6, hidden=10, layers=2, seed=seed).eval()
    with torch.no_grad():
        net.output.weight *= gain
    return net


def folk_model(*, seed: int = 0, gain: float = 1.0) -> FolkModel:
    """Make an untrained model of v2 tokens."""
    return FolkModel(network(len(VOCABULARY), seed=seed, gain=gain), VOCABULARY)


def ids_of(*tokens: str) -> list[int]:
    """Look ids up."""
    return VOCABULARY.encode(tokens)

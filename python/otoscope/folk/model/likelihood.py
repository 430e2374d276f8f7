"""Surprise: minus the log probability of each token of a tune, given the tokens before it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.utils.rnn import pad_sequence

from otoscope.errors import ParameterError
from otoscope.folk.model.bundle import FolkModel
from otoscope.folk.model.network import FolkRNN
from otoscope.protocols import evaluating

__all__ = ["nats_per_token", "surprise", "surprise_of_ids"]


def surprise(
    model: FolkModel, tunes: Sequence[Sequence[str]], *, batch: int = 64
) -> list[NDArray[np.float64]]:
    """Compute the surprise of each token of tunes: minus the log of its probability.

    Parameters
    ----------
    model : FolkModel
        Model; it is evaluated in eval mode.
    tunes : sequence of sequence of str
        Tokens of each tune without ``<s>`` and ``</s>``.
    batch : int, default 64
        Number of tunes, of similar length, per batch; the result does not depend on it.

    Returns
    -------
    list of array [token + 1], float64, nats
        Surprise of each token and of ``</s>``, one array per tune.

    Raises
    ------
    ParameterError
        If a token is unknown (names the token and its place) or batch is below 1.

    Examples
    --------
    >>> from otoscope.folk.tokens import Vocabulary
    >>> model = FolkModel(FolkRNN(4, hidden=8).eval(), Vocabulary(("<s>", "</s>", "A", "B")))
    >>> surprise(model, [["A", "B"]])[0].shape
    (3,)
    """
    ids = [model.encode(tune, name=f"tune {at}") for at, tune in enumerate(tunes, start=1)]
    return surprise_of_ids(model.network, ids, batch=batch)


def nats_per_token(model: FolkModel, tunes: Sequence[Sequence[str]], *, batch: int = 64) -> float:
    """Compute the mean surprise over all tokens of all tunes (not over tunes), ``</s>`` included.

    Parameters
    ----------
    model : FolkModel
        Model; it is evaluated in eval mode.
    tunes : sequence of sequence of str
        Tokens of each tune, at least one tune.
    batch : int, default 64
        Number of tunes per batch.

    Returns
    -------
    float
        Cross-entropy in nats per token; its exponential is the perplexity.

    Raises
    ------
    ParameterError
        If there is no tune, or a token is unknown.

    Examples
    --------
    >>> from otoscope.folk.tokens import Vocabulary
    >>> model = FolkModel(FolkRNN(4, hidden=8).eval(), Vocabulary(("<s>", "</s>", "A", "B")))
    >>> 0 < nats_per_token(model, [["A", "B"]]) < 3
    True
    """
    if not tunes:
        raise ParameterError("there is no tune to score")
    return float(np.concatenate(surprise(model, tunes, batch=batch)).mean())


@torch.inference_mode()
def surprise_of_ids(
    network: FolkRNN, tunes: Sequence[Sequence[int]], *, batch: int = 64
) -> list[NDArray[np.float64]]:
    """Compute the surprise of tunes given as ids, ``<s>`` first and ``</s>`` last.

    Returns one array [id - 1] per tune, float64, nats: one number for each id but the first.
    """
    if batch < 1:
        raise ParameterError(f"batch is {batch}, must be at least 1")
    device = network.hidden_init.device
    nats_of_tunes: list[NDArray[np.float64]] = [np.empty(0)] * len(tunes)
    by_length = sorted(range(len(tunes)), key=lambda place: len(tunes[place]))
    for first in range(0, len(tunes), batch):
        places = by_length[first : first + batch]
        ids = pad_sequence([torch.tensor(tunes[place]) for place in places], batch_first=True)
        ids = ids.to(device)
        with evaluating(network):
            logits, _ = network(ids[:, :-1])
        nats = torch.nn.functional.cross_entropy(logits.mT, ids[:, 1:], reduction="none")
        for place, row in zip(places, nats.cpu().double().numpy(), strict=True):
            nats_of_tunes[place] = row[: len(tunes[place]) - 1]
    return nats_of_tunes

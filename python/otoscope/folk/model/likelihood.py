"""How surprising a tune is to a model: nats of each token, given all before it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.utils.rnn import pad_sequence

from otoscope.errors import ParameterError
from otoscope.folk.model.bundle import FolkModel
from otoscope.folk.model.network import FolkRNN

__all__ = ["nats_per_token", "surprise", "surprise_of_ids"]


def surprise(
    model: FolkModel, tunes: Sequence[Sequence[str]], *, batch: int = 64
) -> list[NDArray[np.float64]]:
    """Measure each token of each tune: minus the log of its probability.

    Parameters
    ----------
    model : FolkModel
        In evaluation mode, or dropout makes it stutter.
    tunes : sequence of sequence of str
        Tokens without ``<s>`` and ``</s>``.
    batch : int, default 64
        Tunes at a time, of similar length; the result does not depend on it.

    Returns
    -------
    list of array [token + 1], float64, nats
        One for each token, and one for ``</s>``.

    Raises
    ------
    ParameterError
        If a token is unknown (says which, where) or batch is below 1.

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
    """Average the surprise over all tokens of all tunes (not over tunes), ``</s>`` included.

    Parameters
    ----------
    model : FolkModel
        In evaluation mode.
    tunes : sequence of sequence of str
        At least one.
    batch : int, default 64
        Tunes at a time.

    Returns
    -------
    float
        Nats; its exponential is the perplexity.

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
    """Measure tunes that are ids already, ``<s>`` first and ``</s>`` last.

    Parameters
    ----------
    network : FolkRNN
        In evaluation mode.
    tunes : sequence of sequence of int
        Ids below the network's number of tokens, at least two a tune.
    batch : int, default 64
        Tunes at a time.

    Returns
    -------
    list of array [id - 1], float64, nats
        One for each id but the first.

    Raises
    ------
    ParameterError
        If batch is below 1.

    Examples
    --------
    >>> surprise_of_ids(FolkRNN(4, hidden=8).eval(), [[0, 2, 1]])[0].shape
    (2,)
    """
    if batch < 1:
        raise ParameterError(f"batch is {batch}, must be at least 1")
    device = network.hidden_init.device
    found: list[NDArray[np.float64]] = [np.empty(0)] * len(tunes)
    by_length = sorted(range(len(tunes)), key=lambda place: len(tunes[place]))
    for first in range(0, len(tunes), batch):
        places = by_length[first : first + batch]
        ids = pad_sequence([torch.tensor(tunes[place]) for place in places], batch_first=True)
        ids = ids.to(device)
        logits, _ = network(ids[:, :-1])
        nats = torch.nn.functional.cross_entropy(logits.mT, ids[:, 1:], reduction="none")
        for place, row in zip(places, nats.cpu().double().numpy(), strict=True):
            found[place] = row[: len(tunes[place]) - 1]
    return found

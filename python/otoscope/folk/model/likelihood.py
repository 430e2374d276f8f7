"""Surprise: minus the log probability of each token of a tune, given the tokens before it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from otoscope.errors import ParameterError
from otoscope.folk.model.bundle import FolkModel
from otoscope.protocols import evaluating

__all__ = ["nats_per_token", "note_nats", "padded", "surprise"]

_HEADER = 2  # tokens: meter and key


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
    >>> from otoscope.folk.model import FolkRNN
    >>> from otoscope.folk.tokens import Vocabulary
    >>> model = FolkModel(FolkRNN(4, hidden=8).eval(), Vocabulary(("<s>", "</s>", "A", "B")))
    >>> surprise(model, [["A", "B"]])[0].shape
    (3,)
    """
    if batch < 1:
        raise ParameterError(f"batch is {batch}, must be at least 1")
    ids = [model.encode(tune, name=f"tune {at}") for at, tune in enumerate(tunes, start=1)]
    nats_of_tunes: list[NDArray[np.float64]] = [np.empty(0)] * len(ids)
    by_length = sorted(range(len(ids)), key=lambda place: len(ids[place]))
    for first in range(0, len(ids), batch):
        places = by_length[first : first + batch]
        rows = _nats(model, [ids[place] for place in places])
        for place, row in zip(places, rows, strict=True):
            nats_of_tunes[place] = row[: len(ids[place]) - 1]
    return nats_of_tunes


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
    >>> from otoscope.folk.model import FolkRNN
    >>> from otoscope.folk.tokens import Vocabulary
    >>> model = FolkModel(FolkRNN(4, hidden=8).eval(), Vocabulary(("<s>", "</s>", "A", "B")))
    >>> 0 < nats_per_token(model, [["A", "B"]]) < 3
    True
    """
    if not tunes:
        raise ParameterError("there is no tune to score")
    return float(np.concatenate(surprise(model, tunes, batch=batch)).mean())


@torch.inference_mode()
def _nats(model: FolkModel, tunes: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """Return the surprise [tune, id] of each id but the first; that of padding means nothing."""
    network, reader = model.network, model.positions
    device = network.hidden_init.device
    ids = padded(tunes).to(device)
    positions = padded([reader.read(tune[:-1]) for tune in tunes]).to(device) if reader else None
    with evaluating(network):
        logits, _ = network(ids[:, :-1], positions=positions)
    nats = torch.nn.functional.cross_entropy(logits.mT, ids[:, 1:], reduction="none")
    return nats.cpu().double().numpy()


def padded(rows: Sequence[ArrayLike]) -> Tensor:
    """Stack rows of different lengths, filled up with 0 at the end."""
    return pad_sequence([torch.as_tensor(row) for row in rows], batch_first=True)


def note_nats(tokens: Sequence[str], nats: Sequence[float] | NDArray[np.float64]) -> list[float]:
    """Sum the surprise of each note, rest and chord over its tokens.

    Parameters
    ----------
    tokens : sequence of str
        Tokens of a tune in v2 or v3, with meter and key.
    nats : sequence of float [token]
        Surprise of each token.

    Returns
    -------
    list of float
        A sum for each note, rest and chord: of its sign, pitches, length, tie and broken rhythm.
        Meter, key, bar lines and signs of tuplets belong to none.

    Examples
    --------
    >>> note_nats(["M:2/4", "K:Cmaj", "C", "2", "|", "[", "C", "E", "]", "2"], range(10))
    [5.0, 35.0]
    """
    sums: list[float] = []
    in_chord = is_note = False
    for token, value in zip(tokens[_HEADER:], nats[_HEADER:], strict=True):
        begins = token == "[" or (not in_chord and token.strip("=^_,'").isalpha())
        if begins:
            sums.append(0.0)
            is_note = True
        elif token[0] in "|:(":
            is_note = False
        in_chord = token == "[" or (in_chord and token != "]")
        if is_note:
            sums[-1] += float(value)
    return sums

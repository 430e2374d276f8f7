"""Batches of tunes that are a function of the seed and their number: a run can begin at any.

A batch is ids [tune, step + 1], int64: all but the last are read, all but the first predicted.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from otoscope.errors import ParameterError

__all__ = ["PADDING", "Streams", "WholeTunes"]

PADDING = -100
"""Id of a place after a tune's end; torch's losses leave it out."""


class WholeTunes:
    """Whole tunes of similar length, padded: what the paper trains on.

    Parameters
    ----------
    tunes : sequence of list of int
        With boundaries.
    batch : int, >= 1
        Tunes a batch.
    seed : int, >= 0
        Of the order of the batches, and of tunes of one length, in each epoch.

    Examples
    --------
    >>> WholeTunes([[0, 2, 1], [0, 1]], batch=2, seed=0).at(0).tolist()
    [[0, 1, -100], [0, 2, 1]]
    """

    carries_state = False

    def __init__(self, tunes: Sequence[list[int]], *, batch: int, seed: int) -> None:
        self._tunes, self._batch, self._seed = tunes, batch, seed
        self.per_epoch = -(-len(tunes) // batch)
        self._order = lru_cache(maxsize=1)(self._shuffled)

    def at(self, number: int) -> Tensor:
        """Return batch ``number``, from 0, over all epochs: Tensor [tune, step + 1], int64."""
        epoch, place = divmod(number, self.per_epoch)
        chosen = self._order(epoch)[place]
        tunes = [torch.tensor(self._tunes[tune]) for tune in chosen]
        return pad_sequence(tunes, batch_first=True, padding_value=PADDING)

    def _shuffled(self, epoch: int) -> list[NDArray[np.int64]]:
        random = np.random.default_rng([self._seed, epoch])
        lengths = np.array([len(tune) for tune in self._tunes])
        by_length = np.lexsort((random.random(len(lengths)), lengths))
        batches = np.split(by_length, range(self._batch, len(lengths), self._batch))
        return [batches[place] for place in random.permutation(len(batches))]


class Streams:
    """All tunes one after another in several streams, cut into windows that follow each other.

    Parameters
    ----------
    tunes : sequence of list of int
        With boundaries.
    batch : int, >= 1
        Streams.
    window : int, >= 1
        Tokens of a stream in a batch.
    seed : int, >= 0
        Of the order of the tunes in each epoch.

    Raises
    ------
    ParameterError
        If the tunes do not fill one batch.

    Notes
    -----
    The network's state is carried from a batch to the next, but not from an epoch to the next.
    What is left at an epoch's end, less than a window a stream, is left out of it.

    Examples
    --------
    >>> streams = Streams([[0, 2, 2, 1], [0, 3, 3, 1]], batch=2, window=3, seed=0)
    >>> streams.per_epoch, sorted(streams.at(0).tolist())
    (1, [[0, 2, 2, 1], [0, 3, 3, 1]])
    """

    carries_state = True

    def __init__(self, tunes: Sequence[list[int]], *, batch: int, window: int, seed: int) -> None:
        self._tunes, self._batch, self._window, self._seed = tunes, batch, window, seed
        n_ids = sum(len(tune) for tune in tunes)
        self.per_epoch = (n_ids // batch - 1) // window
        if self.per_epoch < 1:
            raise ParameterError(
                f"the tunes have {n_ids} tokens; a batch of {batch} streams by {window} needs "
                f"{batch * (window + 1)}"
            )
        self._rows = lru_cache(maxsize=1)(self._laid_out)

    def at(self, number: int) -> Tensor:
        """Return batch ``number``, from 0, over all epochs: Tensor [stream, window + 1], int64."""
        epoch, place = divmod(number, self.per_epoch)
        first = place * self._window
        return self._rows(epoch)[:, first : first + self._window + 1]

    def _laid_out(self, epoch: int) -> Tensor:
        order = np.random.default_rng([self._seed, epoch]).permutation(len(self._tunes))
        ids = torch.tensor([one for tune in order for one in self._tunes[tune]])
        length = len(ids) // self._batch
        return ids[: length * self._batch].reshape(self._batch, length)

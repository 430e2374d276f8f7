"""Batches of tunes that are a function of seed and batch number, so that training can be resumed.

A batch is ids [tune, step + 1], int64: all steps but the last are input, all but the first are
targets. Tunes of several numbers per step, ids and then positions, make batches [tune, step + 1,
column].
"""

from __future__ import annotations

from collections.abc import Sequence, Sized
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from otoscope.errors import ParameterError
from otoscope.seeds import numpy_generator

__all__ = ["PADDING", "Streams", "TuneRows", "WholeTunes"]

TuneRows: TypeAlias = list[int] | NDArray[np.int64]
"""A tune: ids, or rows of ids and then positions."""

PADDING = -100
"""Id of a place after a tune's end; torch's losses ignore it."""


class WholeTunes:
    """Batches of whole tunes of similar length, padded, as in the paper; tunes have boundaries.

    Examples
    --------
    >>> WholeTunes([[0, 2, 1], [0, 1]], batch=2, seed=0).at(0).tolist()
    [[0, 1, -100], [0, 2, 1]]
    """

    def __init__(self, tunes: Sequence[TuneRows], *, batch: int, seed: int) -> None:
        self._tunes, self._batch, self._seed = tunes, batch, seed
        self.per_epoch = -(-len(tunes) // batch)
        self._order = lru_cache(maxsize=1)(self._shuffled)

    def at(self, number: int) -> Tensor:
        """Return batch ``number``, from 0 over all epochs: ids padded with `PADDING`."""
        epoch, place = divmod(number, self.per_epoch)
        indices = self._order(epoch)[place]
        tunes = [torch.as_tensor(self._tunes[index]) for index in indices]
        return pad_sequence(tunes, batch_first=True, padding_value=PADDING)

    def _shuffled(self, epoch: int) -> list[NDArray[np.int64]]:
        rng = numpy_generator(self._seed, epoch)
        lengths = np.array([len(tune) for tune in self._tunes])
        by_length = np.lexsort((rng.random(len(lengths)), lengths))
        batches = np.split(by_length, range(self._batch, len(lengths), self._batch))
        return [batches[place] for place in rng.permutation(len(batches))]


class Streams:
    """Windows of several streams of tunes; consecutive batches continue the streams.

    A tune begins with a window, and its last window is padded: so the network reads each tune from
    its initial state, as in sampling and scoring. (In streams without gaps a network settles in
    states that it cannot reach from there: 7.8 nats per token for tunes alone, 1.9 in the stream.)

    Examples
    --------
    >>> streams = Streams([[0, 2, 2, 2, 1], [0, 2, 1]], batch=1, window=3, seed=0)
    >>> [streams.at(number).tolist() for number in range(streams.per_epoch)]
    [[[0, 2, 2, 2]], [[2, 1, -100, -100]], [[0, 2, 1, -100]]]
    """

    def __init__(self, tunes: Sequence[TuneRows], *, batch: int, window: int, seed: int) -> None:
        self._tunes, self._batch, self._window, self._seed = tunes, batch, window, seed
        n_windows = sum(self._n_windows(tune) for tune in tunes)
        self.per_epoch = n_windows // batch
        if self.per_epoch < 1:
            raise ParameterError(
                f"the tunes fill {n_windows} windows of {window} tokens; batch is {batch}"
            )
        self._streams = lru_cache(maxsize=1)(self._laid_out)

    def at(self, number: int) -> Tensor:
        """Return batch ``number``, from 0 over all epochs: ids [stream, window + 1], padded."""
        epoch, place = divmod(number, self.per_epoch)
        return self._streams(epoch)[:, place]

    def _n_windows(self, tune: Sized) -> int:
        return -(-(len(tune) - 1) // self._window)

    def _laid_out(self, epoch: int) -> Tensor:
        """Return the streams of an epoch: Tensor [stream, place, window + 1] or with columns."""
        rows: list[Tensor] = []
        for place in numpy_generator(self._seed, epoch).permutation(len(self._tunes)):
            tune = torch.as_tensor(self._tunes[place])
            n_steps = self._n_windows(tune) * self._window + 1
            padded = torch.full((n_steps, *tune.shape[1:]), PADDING)
            padded[: len(tune)] = tune
            rows.append(padded.unfold(0, self._window + 1, self._window))
        windows = torch.cat(rows)[: self.per_epoch * self._batch]
        if windows.ndim == 3:  # unfold puts the window last
            windows = windows.mT
        return windows.reshape(self._batch, self.per_epoch, *windows.shape[1:])

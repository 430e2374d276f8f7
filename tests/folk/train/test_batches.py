"""Batches of tunes: every token once, in its tune, from any batch on."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from otoscope.errors import ParameterError
from otoscope.folk.train.batches import PADDING, Streams, WholeTunes

LENGTHS = st.lists(st.integers(0, 30), min_size=1, max_size=20)


def tunes_of(lengths: list[int]) -> list[list[int]]:
    """Tunes whose tokens tell which they are and where; 0 begins, 1 ends."""
    return [[0, *(100 * tune + at + 2 for at in range(n)), 1] for tune, n in enumerate(lengths)]


@given(lengths=LENGTHS, batch=st.integers(1, 7), seed=st.integers(0, 3))
def test_whole_tunes_come_once_an_epoch_with_others_of_their_length(
    lengths: list[int], batch: int, seed: int
) -> None:
    tunes = tunes_of(lengths)
    batches = WholeTunes(tunes, batch=batch, seed=seed)
    for epoch in range(2):
        result = [
            batches.at(epoch * batches.per_epoch + index) for index in range(batches.per_epoch)
        ]
        assert sorted(row for rows in rows_of(result) for row in rows) == sorted(tunes)
        spans = sorted(
            (min(len(r) for r in ids), max(len(r) for r in ids)) for ids in rows_of(result)
        )
        assert all(longest <= shortest for (_, longest), (shortest, _) in pairwise(spans))


def rows_of(batches: list[torch.Tensor]) -> list[list[list[int]]]:
    return [[row[row != PADDING].tolist() for row in ids] for ids in batches]


@given(lengths=LENGTHS, batch=st.integers(1, 3), window=st.integers(1, 9), seed=st.integers(0, 3))
def test_streams_hold_each_tune_in_windows_that_follow_each_other(
    lengths: list[int], batch: int, window: int, seed: int
) -> None:
    tunes = tunes_of(lengths)
    n_windows = sum(-(-(len(tune) - 1) // window) for tune in tunes)
    if n_windows < batch:
        with pytest.raises(ParameterError, match=f"fill {n_windows} windows of {window} tokens"):
            Streams(tunes, batch=batch, window=window, seed=seed)
        return
    streams = Streams(tunes, batch=batch, window=window, seed=seed)
    assert streams.per_epoch == n_windows // batch
    windows = torch.stack([streams.at(index) for index in range(streams.per_epoch)])
    left_out = n_windows - streams.per_epoch * batch
    predicted: list[int] = []
    for stream in windows.unbind(1):
        for before, after in pairwise(stream):
            assert after[0] == 0 or after[0] == before[-1]
        predicted += [token for token in stream[:, 1:].flatten().tolist() if token != PADDING]
    everything = [token for tune in tunes for token in tune[1:]]
    assert len(everything) - left_out * window <= len(predicted) <= len(everything)
    assert len(set(predicted) - {1}) == len(predicted) - predicted.count(1)
    assert set(predicted) <= set(everything)


def test_a_batch_is_a_function_of_seed_and_number() -> None:
    tunes = tunes_of([5, 9, 3, 12, 30, 2, 8] * 3)
    for make in (
        lambda seed: WholeTunes(tunes, batch=4, seed=seed),
        lambda seed: Streams(tunes, batch=2, window=4, seed=seed),
    ):
        batches = make(0)
        wanted = [batches.at(index).tolist() for index in range(3 * batches.per_epoch)]
        again = make(0)
        for index in reversed(range(3 * batches.per_epoch)):
            assert again.at(index).tolist() == wanted[index]
        assert wanted[: batches.per_epoch] != wanted[batches.per_epoch : 2 * batches.per_epoch]
        assert make(1).at(0).tolist() != wanted[0]

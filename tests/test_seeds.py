"""Seeds and generators of items."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from otoscope.errors import ParameterError
from otoscope.seeds import item_seed, numpy_generator, torch_generator


def test_an_item_seed_is_a_hash_of_its_arguments() -> None:
    digest = hashlib.blake2b(b'[0, "song.ogg", 3]', digest_size=8).hexdigest()
    assert item_seed(0, "song.ogg", 3) == int(digest, 16) // 2
    seeds = {item_seed(seed, name, i) for seed in range(3) for name in "ab" for i in range(5)}
    assert len(seeds) == 30
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_equal_keys_give_equal_streams_and_different_keys_others() -> None:
    keys = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 5), (0, 1, 2), (0, 1, 3)]
    numbers = [numpy_generator(*key).random() for key in keys]
    assert numbers == [numpy_generator(*key).random() for key in keys]
    assert len(set(numbers)) == len(keys)
    draws = [torch.rand(4, generator=torch_generator(*key)) for key in keys]
    for key, draw in zip(keys, draws, strict=True):
        torch.testing.assert_close(torch.rand(4, generator=torch_generator(*key)), draw)
    assert len({float(draw[0]) for draw in draws}) == len(keys)


def test_a_generator_without_a_key_is_numpys_own() -> None:
    assert numpy_generator(7).random() == numpy_generator(7, 0).random()
    assert numpy_generator(7).random() == np.random.default_rng(7).random()


@pytest.mark.parametrize("make", [numpy_generator, torch_generator])
@pytest.mark.parametrize("arguments", [(-1,), (0, -1)])
def test_negative_seeds_and_keys_are_refused(make: object, arguments: tuple[int, ...]) -> None:
    assert callable(make)
    with pytest.raises(ParameterError, match="must be an integer >= 0"):
        make(*arguments)

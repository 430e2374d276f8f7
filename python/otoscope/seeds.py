"""Seeds and random generators that belong to one item, whatever the order of the items.

The seed of a run and the key of an item (its index or name, the number of the try) give a seed or
a generator of its own. Results of a run therefore do not depend on batch size, on the number of
processes, or on which items were finished before an interruption.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from otoscope.errors import ParameterError
from otoscope.records import to_json

if TYPE_CHECKING:
    import torch

__all__ = ["item_seed", "numpy_generator", "torch_generator"]


def item_seed(seed: int, *key: int | str) -> int:
    """Derive the seed of one item.

    Parameters
    ----------
    seed : int
        Seed of the run.
    *key : int or str
        Key of the item: its name or index, the number of the try.

    Returns
    -------
    int
        Seed in [0, 2^63): equal for equal arguments, unrelated for others.

    Examples
    --------
    >>> item_seed(0, "song.ogg", 3) == item_seed(0, "song.ogg", 3)
    True
    >>> item_seed(0, "song.ogg", 3) == item_seed(0, "song.ogg", 4)
    False
    """
    digest = hashlib.blake2b(to_json([seed, *key]).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def numpy_generator(seed: int, *key: int) -> np.random.Generator:
    """Make the NumPy generator of one item.

    Parameters
    ----------
    seed : int
        Seed of the run, >= 0.
    *key : int
        Key of the item, >= 0.

    Returns
    -------
    numpy.random.Generator
        Equal streams for equal arguments, independent ones for others.

    Raises
    ------
    ParameterError
        If a number is negative.

    Examples
    --------
    >>> numpy_generator(0, 1).random() == numpy_generator(0, 2).random()
    False
    """
    _check(seed, key)
    return np.random.default_rng([seed, *key] if key else seed)


def torch_generator(seed: int, *key: int) -> torch.Generator:
    """Make the torch generator of one item.

    Parameters
    ----------
    seed : int
        Seed of the run, >= 0.
    *key : int
        Key of the item, >= 0.

    Returns
    -------
    torch.Generator
        On the CPU. Equal streams for equal arguments, independent ones for others.

    Raises
    ------
    ParameterError
        If a number is negative.

    Examples
    --------
    >>> import torch
    >>> first, second = torch_generator(0, 1), torch_generator(0, 2)
    >>> torch.equal(torch.rand(3, generator=first), torch.rand(3, generator=second))
    False
    """
    import torch

    _check(seed, key)
    state = np.random.SeedSequence(seed, spawn_key=key).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0] >> np.uint64(1)))


def _check(seed: int, key: tuple[int, ...]) -> None:
    if seed < 0 or min(key, default=0) < 0:
        raise ParameterError(f"seed is {seed} and the key {list(key)}; all must be >= 0")

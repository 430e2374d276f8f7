"""Seeds and random generators of single items, independent of the order of the items.

A seed or generator is derived from the seed of the run and the key of the item (its index or name,
the number of the try). Results therefore do not depend on batch size, on the number of processes,
or on the items that were finished before an interruption.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from otoscope.errors import require_integer
from otoscope.records import to_json

if TYPE_CHECKING:
    import torch

__all__ = ["item_seed", "numpy_generator", "torch_generator"]


def item_seed(seed: int, *key: int | str) -> int:
    """Derive the seed of an item, in [0, 2^63); equal arguments give equal seeds."""
    digest = hashlib.blake2b(to_json([seed, *key]).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def numpy_generator(seed: int, *key: int) -> np.random.Generator:
    """Make the NumPy generator of an item; different keys of one length give independent streams.

    Trailing zeros do not count: numpy_generator(7, 0) equals numpy_generator(7).
    """
    _check(seed, key)
    return np.random.default_rng([seed, *key] if key else seed)


def torch_generator(seed: int, *key: int) -> torch.Generator:
    """Make the torch generator (CPU) of an item; different keys give independent streams."""
    import torch

    _check(seed, key)
    state = np.random.SeedSequence(seed, spawn_key=key).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0] >> np.uint64(1)))


def _check(seed: int, key: tuple[int, ...]) -> None:
    for number in (seed, *key):
        require_integer("seed" if number is seed else "key of an item", number, least=0)

"""Seeds that belong to an item, in whatever order the items come."""

from __future__ import annotations

import hashlib

from otoscope.records import to_json

__all__ = ["item_seed"]


def item_seed(seed: int, *key: int | str) -> int:
    """Make the seed of one item, try, or link.

    Parameters
    ----------
    seed : int
        Of the whole run.
    *key : int or str
        What tells the item from others: its name, the number of the try, ...

    Returns
    -------
    int
        In [0, 2^63): the same for the same numbers and names, unrelated for others.

    Examples
    --------
    >>> item_seed(0, "song.ogg", 3) == item_seed(0, "song.ogg", 3)
    True
    >>> item_seed(0, "song.ogg", 3) == item_seed(0, "song.ogg", 4)
    False
    """
    digest = hashlib.blake2b(to_json([seed, *key]).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1

"""Random coalitions by their definition, segment by segment."""

from __future__ import annotations

import itertools
import math

from tests.oracles.noise import philox


def bernoulli(n_segments: int, sample: int, seed: int, probability: float) -> list[bool]:
    """A segment stays if its 32-bit number is below probability * 2^32."""
    numbers = itertools.chain.from_iterable(
        philox((q, sample & 0xFFFFFFFF, sample >> 32, 1), seed)
        for q in range(math.ceil(n_segments / 4))
    )
    return [next(numbers) < round(probability * 2**32) for _ in range(n_segments)]

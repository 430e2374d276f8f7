"""Philox's random numbers and the normal numbers made of them, one by one."""

from __future__ import annotations

import torch
from scipy.stats import norm
from torch import Tensor


def philox(counter: tuple[int, int, int, int], seed: int) -> list[int]:
    """Philox 4x32-10 as in table 2 and section 3.3 of Salmon et al. 2011, in integers."""
    key = [seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF]
    x = list(counter)
    for _ in range(10):
        low_product, high_product = 0xD2511F53 * x[0], 0xCD9E8D57 * x[2]
        x = [
            (high_product >> 32) ^ x[1] ^ key[0],
            high_product & 0xFFFFFFFF,
            (low_product >> 32) ^ x[3] ^ key[1],
            low_product & 0xFFFFFFFF,
        ]
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return x


def normal(random: int) -> float:
    """The normal quantile of a 32-bit number: 31 bits of tail probability and a sign."""
    tail = ((random >> 1) + 0.5) / 2**32
    z = -float(norm.ppf(tail))
    return z if random & 1 else -z


def noise(seed: int, excerpt: int, sample: int, cells: int) -> Tensor:
    """Standard normal numbers of one sample of one excerpt, cell by cell."""
    values = [normal(philox((c >> 2, sample, excerpt, 0), seed)[c & 3]) for c in range(cells)]
    return torch.tensor(values, dtype=torch.float64)

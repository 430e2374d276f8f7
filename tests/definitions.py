"""Each operator from its formula, slow and plain: the oracles of the tests.

Nothing here calls otoscope. Loops are Python loops where that makes the definition plainer.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from scipy.stats import norm
from torch import Tensor


def occlude(
    patch: Tensor,
    content: Tensor,
    segment: Tensor,
    keep: Tensor,
    shift: Tensor | None = None,
    scale: Tensor | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """out[e, s, c] = ((keep[s, segment[c]] ? patch[e, c] : content[e, c]) - shift) * scale."""
    rows = [torch.where(row[segment.long()], patch, content.expand_as(patch)) for row in keep]
    out = torch.stack(rows, 1) if rows else (patch + content)[:, None][:, :0]
    wide = torch.float64 if patch.dtype == torch.float64 else torch.float32
    if shift is not None or scale is not None or dtype not in (None, patch.dtype):
        out = out.to(wide)
    if shift is not None:
        out = out - shift.to(wide)
    if scale is not None:
        out = out * scale.to(wide)
    return out.to(dtype or patch.dtype)


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


def bernoulli(n_segments: int, sample: int, seed: int, probability: float) -> list[bool]:
    """A segment stays if its 32-bit number is below probability * 2^32."""
    numbers = itertools.chain.from_iterable(
        philox((q, sample & 0xFFFFFFFF, sample >> 32, 1), seed)
        for q in range(math.ceil(n_segments / 4))
    )
    return [next(numbers) < round(probability * 2**32) for _ in range(n_segments)]


def half_values() -> np.ndarray[tuple[int], np.dtype[np.float16]]:
    """All 65,536 half-precision numbers."""
    return np.arange(65536, dtype=np.uint16).view(np.float16)

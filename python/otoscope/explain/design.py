"""Designs: the coalitions of segments that the model evaluates, and the count of each.

Repeated draws are merged into counts before any forward pass. Every design holds the coalition of
all segments, the whole patch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from typing import TypeAlias

import torch
from torch import Tensor

from otoscope import ops
from otoscope.errors import Advice, Argument, ParameterError

__all__ = [
    "DEFAULT_DESIGN",
    "DEFAULT_SAMPLES",
    "DESIGNS",
    "MOST_EXACT",
    "SHAPLEY_DESIGNS",
    "Design",
    "draw_design",
    "resolve_design",
]

DEFAULT_DESIGN = "exact"
DEFAULT_SAMPLES = 2000
MOST_EXACT = 12
"""Largest number of segments of the design "exact": 4096 coalitions."""
SHAPLEY_DESIGNS = ("kernelshap", "paired", "permutation")
"""Designs made for Shapley values: these are the coefficients, and f(none) is the intercept.

The values are exact if the draws happen to hold all coalitions."""


@dataclass(frozen=True, eq=False)
class Design:
    """Distinct coalitions, the count of each, and the order of the draws."""

    kind: str  # one of DESIGNS
    coalitions: ops.Coalitions  # distinct rows, unless `merge` was False
    counts: Tensor  # [coalition], float64: number of samples per row
    row_of_sample: Tensor  # [sample], int64: row of each sample, in the order of the draws

    def cpu(self) -> Design:
        """Copy the design to the CPU."""
        return Design(
            self.kind, self.coalitions.to("cpu"), self.counts.cpu(), self.row_of_sample.cpu()
        )

    @property
    def n_samples(self) -> int:
        """Number of coalitions drawn, repeated ones included."""
        return len(self.row_of_sample)

    @property
    def is_complete(self) -> bool:
        """True if all ``2**n_segments`` coalitions are there, each once."""
        n = self.coalitions.n_segments
        return n < 63 and len(self.coalitions) == 1 << n and self._is_merged

    @property
    def is_random(self) -> bool:
        """True if another seed gives other coalitions."""
        return self.kind not in ("exact", "leave_one_out")

    @property
    def _is_merged(self) -> bool:
        return len(distinct(self.coalitions.bits)[0]) == len(self.coalitions)


def distinct(bits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the distinct rows of packed bits, the distinct row of each row, and their counts."""
    is_one_word = bits.shape[1] == 1  # then a sort of numbers is enough, and quicker
    rows, inverse, counts = (bits[:, 0] if is_one_word else bits).unique(
        dim=None if is_one_word else 0, return_inverse=True, return_counts=True
    )
    return rows[:, None] if is_one_word else rows, inverse, counts


def draw_design(
    kind: str,
    n_segments: int,
    *,
    n_samples: int | None = None,
    seed: int = 0,
    merge: bool = True,
    device: torch.device | str | None = None,
) -> Design:
    """Draw the coalitions of a design.

    Sources: Mishra et al. (2020) :cite:`mishra2020`, section III (bernoulli); Mishra et al. (2017)
    :cite:`mishra2017` (uniform_size: the temporal version); Lundberg and Lee (2017)
    :cite:`lundberg2017` (kernelshap); Covert and Lee (2021) :cite:`covert2021`, section 4.2
    (paired); Castro et al. (2009) :cite:`castro2009` (permutation); Bolaños et al. (2025)
    :cite:`bolanos2025` (windows).
    """
    make = resolve_design(kind)
    if n_segments < 1:
        raise ParameterError(f"n_segments is {n_segments}, must be >= 1")
    target = torch.device(device or "cpu")
    rows = make(n_segments, n_samples, seed).to(target)
    if merge:
        bits, row_of_sample, counts = distinct(rows.bits)
    else:
        bits, row_of_sample = rows.bits, torch.arange(len(rows), device=target)
        counts = torch.ones(len(rows), device=target)
    counts = counts.double()
    if kind == "exact" and n_samples is not None:
        counts *= n_samples / len(rows)
    return Design(kind, ops.Coalitions(bits, n_segments), counts, row_of_sample)


def resolve_design(kind: str) -> _Draw:
    """Return the function that draws a design; "windows" may have its numbers: "windows:3,0.4"."""
    name, colon, numbers = str(kind).partition(":")
    if name not in DESIGNS or (colon and name != "windows"):
        raise ParameterError(f"design is {kind!r}, must be one of {', '.join(DESIGNS)}")
    if not colon:
        return DESIGNS[name]
    try:
        length, fraction = numbers.split(",")
        window = int(length), float(fraction)
    except ValueError:
        window = 0, 0.0
    if window[0] < 1 or not 0 < window[1] < 1:
        raise ParameterError(
            f"design is {kind!r}; windows takes the length of a window in segments, >= 1, and the "
            "fraction of segments to remove, between 0 and 1: write windows:3,0.4"
        )
    return partial(_windows, length=window[0], fraction=window[1])


def _exact(n_segments: int, n_samples: int | None, seed: int) -> ops.Coalitions:
    if n_segments > MOST_EXACT:
        raise ParameterError(
            f"design 'exact' with {n_segments} segments costs 2^{n_segments} = "
            f"{2**n_segments:,} passes",
            advice=Advice(
                f"use at most {MOST_EXACT} segments, or draw coalitions with ",
                Argument("design", "kernelshap"),
                " and ",
                Argument("n_samples", DEFAULT_SAMPLES),
            ),
        )
    if n_samples is not None and n_samples < 1:
        raise ParameterError(f"n_samples is {n_samples}, must be >= 1")
    return ops.coalitions(n_segments, "exact")


def _bernoulli(n_segments: int, n_samples: int | None, seed: int) -> ops.Coalitions:
    n_drawn = _samples(n_samples, at_least=1) - 1
    return _prepend(ops.coalitions(n_segments, "bernoulli", n_drawn, seed=seed), [True])


def _uniform_size(n_segments: int, n_samples: int | None, seed: int) -> ops.Coalitions:
    n_drawn = _samples(n_samples, at_least=1) - 1
    sizes = torch.ones(n_segments + 1, dtype=torch.float64)
    sizes[n_segments] = 0  # at least one is removed
    drawn = ops.coalitions(n_segments, "by_size", n_drawn, size_weights=sizes, seed=seed)
    return _prepend(drawn, [True])


def _leave_one_out(n_segments: int, n_samples: int | None, seed: int) -> ops.Coalitions:
    if n_samples is not None:
        raise ParameterError(
            f"n_samples is {n_samples}; design 'leave_one_out' has {n_segments + 1} coalitions"
        )
    return _prepend(ops.coalitions(n_segments, "leave_one_out"), [True])


def _kernelshap(n_segments: int, n_samples: int | None, seed: int) -> ops.Coalitions:
    n_drawn = _samples(n_samples, at_least=3) - 2
    return _prepend(ops.coalitions(n_segments, "by_size", n_drawn, seed=seed), [True, False])


def _paired(n_segments: int, n_samples: int | None, seed: int) -> ops.Coalitions:
    """Draw coalitions as "kernelshap" does, each with its complement; or list all, if few."""
    n = _samples(n_samples, at_least=2)
    if n_segments < 63 and n >= 1 << n_segments:
        return ops.coalitions(n_segments, "exact")
    n_pairs = (_samples(n, at_least=2 * n_segments + 4) - 2) // 2
    keep = ops.coalitions(n_segments, "by_size", n_pairs, seed=seed).unpack()
    pairs = torch.stack([keep, ~keep], 1).flatten(0, 1)
    return _prepend(ops.pack(pairs), [True, False])


def _permutation(n_segments: int, n_samples: int | None, seed: int) -> ops.Coalitions:
    n_orders = _samples(n_samples, at_least=n_segments + 1) // (n_segments + 1)
    generator = torch.Generator().manual_seed(seed)
    joins_at = torch.rand(n_orders, 1, n_segments, generator=generator).argsort(-1)
    step = torch.arange(n_segments + 1)[:, None]
    return ops.pack((joins_at < step).reshape(-1, n_segments))


def _windows(
    n_segments: int, n_samples: int | None, seed: int, *, length: int = 3, fraction: float = 0.4
) -> ops.Coalitions:
    """Remove runs of neighbours: ``length`` at once, until a fraction of all is removed.

    Runs begin anywhere and may meet; the last is cut so that each coalition removes
    ``ceil(fraction * n_segments)``.
    """
    n_drawn = _samples(n_samples, at_least=1) - 1
    n_removed = math.ceil(fraction * n_segments)
    generator = torch.Generator().manual_seed(seed)
    # in the order of `start`: the runs of a sample cover more segments with each further run
    start = torch.rand(n_drawn, n_segments, generator=generator).argsort(1) - length // 2
    run = (start[..., None] + torch.arange(length)).clamp(0, n_segments - 1).flatten(1)
    first = torch.full((n_drawn, n_segments), run.shape[1], dtype=torch.int64)
    first.scatter_reduce_(1, run, torch.arange(run.shape[1]).expand_as(run), "amin")
    keep = first.argsort(1).argsort(1) >= n_removed
    return _prepend(ops.pack(keep), [True])


_Draw: TypeAlias = Callable[[int, "int | None", int], ops.Coalitions]

DESIGNS: dict[str, _Draw] = {
    "exact": _exact,
    "bernoulli": _bernoulli,
    "uniform_size": _uniform_size,
    "leave_one_out": _leave_one_out,
    "kernelshap": _kernelshap,
    "paired": _paired,
    "permutation": _permutation,
    "windows": _windows,
}


def _samples(n_samples: int | None, *, at_least: int) -> int:
    n = DEFAULT_SAMPLES if n_samples is None else n_samples
    if not isinstance(n, Integral) or n < at_least:
        raise ParameterError(f"n_samples is {n}, must be >= {at_least} for this design")
    return n


def _prepend(rows: ops.Coalitions, first: list[bool]) -> ops.Coalitions:
    """Prepend coalitions of all segments (True) or none (False)."""
    n = rows.n_segments
    front = ops.pack(torch.tensor(first)[:, None].expand(-1, n).contiguous())
    return ops.Coalitions(torch.cat([front.bits, rows.bits]), n)

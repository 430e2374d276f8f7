"""Make coalitions: the segments of a patch that each sample of an explanation keeps.

True, or a bit of 1, means that the segment is kept. Bits are packed, 64 segments per word:
[sample, word]; the unused high bits of the last word are 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from numbers import Integral
from typing import Literal

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from otoscope.errors import ParameterError
from otoscope.native import kernels
from otoscope.ops.library import call_constant, register, require_tensor

__all__ = ["Coalitions", "DesignKind", "coalitions", "pack"]

DesignKind = Literal["exact", "bernoulli", "leave_one_out", "by_size"]
_MOST_EXACT = 30  # segments: 2^30 rows are 8 GB of bits


@dataclass(frozen=True)
class Coalitions:
    """Coalitions as rows of packed bits.

    Parameters
    ----------
    bits : Tensor [sample, word], int64
        Packed bits; bit j of word w is 1 if segment 64 w + j is kept.
    n_segments : int
        Number of segments; words = ceil(n_segments / 64).

    Raises
    ------
    ParameterError
        If the bits have another dtype or shape.

    Examples
    --------
    >>> coalitions(3, "leave_one_out").unpack().int().tolist()
    [[0, 1, 1], [1, 0, 1], [1, 1, 0]]
    """

    bits: Tensor
    n_segments: int

    def __post_init__(self) -> None:
        words = _n_words(self.n_segments)
        if self.bits.dtype != torch.int64 or self.bits.ndim != 2 or self.bits.shape[1] != words:
            raise ParameterError(
                f"bits are {self.bits.dtype} {tuple(self.bits.shape)}; "
                f"{self.n_segments} segments need torch.int64 [sample, {words}]"
            )

    def __len__(self) -> int:
        """Return the number of samples."""
        return int(self.bits.shape[0])

    def __getitem__(self, rows: slice) -> Coalitions:
        """Select samples."""
        return Coalitions(self.bits[rows], self.n_segments)

    def to(self, device: torch.device | str) -> Coalitions:
        """Move the bits to a device.

        Parameters
        ----------
        device : device or str
            Device of the patches.

        Returns
        -------
        Coalitions
            The same rows on the device.

        Examples
        --------
        >>> len(coalitions(2, "exact").to("cpu"))
        4
        """
        return Coalitions(self.bits.to(device), self.n_segments)

    def unpack(self) -> Tensor:
        """Unpack the bits to a Tensor [sample, segment], bool; True keeps."""
        segment = torch.arange(self.n_segments, device=self.bits.device)
        return ((self.bits[:, segment >> 6] >> (segment & 63)) & 1).bool()


def pack(keep: Tensor) -> Coalitions:
    """Pack booleans into coalitions, 64 segments per word.

    Parameters
    ----------
    keep : Tensor [sample, segment], bool
        True keeps the segment.

    Returns
    -------
    Coalitions
        Packed rows, on the same device.

    Raises
    ------
    ParameterError
        If ``keep`` is not two-dimensional and boolean.

    Examples
    --------
    >>> pack(torch.tensor([[True, False, True]])).bits.tolist()
    [[5]]
    """
    require_tensor("keep", keep)
    if keep.dtype != torch.bool or keep.ndim != 2:
        raise ParameterError(
            f"keep is {keep.dtype} {tuple(keep.shape)}; it must be torch.bool [sample, segment]"
        )
    return Coalitions(call_constant(torch.ops.otoscope.pack.default, keep), keep.shape[1])


def coalitions(  # noqa: PLR0913 - each belongs to a design; a type for each would be more to learn
    n_segments: int,
    design: DesignKind,
    n_samples: int | None = None,
    *,
    probability: float = 0.5,
    size_weights: Tensor | None = None,
    seed: int = 0,
    first_sample: int = 0,
    device: torch.device | str | None = None,
) -> Coalitions:
    """Make the coalitions of a design.

    Parameters
    ----------
    n_segments : int
        Number of segments, at least 1.
    design : {"exact", "bernoulli", "leave_one_out", "by_size"}
        "exact": all 2^n rows; row i holds the bits of i. "bernoulli": every segment is kept with
        ``probability``, independently. "leave_one_out": row j occludes only segment j. "by_size":
        draws the number of kept segments by ``size_weights``, then a uniform subset of that size.
    n_samples : int, optional
        Number of rows, for the two random designs only.
    probability : float
        Probability that a segment is kept, in [0, 1].
    size_weights : Tensor [n_segments + 1], optional
        Weight of each size 0 .. n_segments, non-negative. By default the weights of kernel SHAP,
        (n - 1) / (k (n - k)) for 0 < k < n, and 0 for sizes 0 and n.
    seed : int
        Random seed. Row i of a random design depends only on ``seed`` and ``first_sample + i``: it
        is the same on every device and for any split into batches.
    first_sample : int
        Position of the first row in the stream of rows.
    device : torch.device or str, optional
        Device of the bits; by default the CPU.

    Returns
    -------
    Coalitions
        Packed rows.

    Raises
    ------
    ParameterError
        If a parameter is outside its range or does not belong to the design.

    References
    ----------
    Lundberg and Lee (2017) :cite:`lundberg2017`, theorem 2 (weights of sizes); Knuth (1997)
    :cite:`knuth1997`, section 3.4.2, algorithm S.

    Examples
    --------
    >>> len(coalitions(10, "exact"))
    1024
    >>> a = coalitions(10, "bernoulli", 6, seed=1)
    >>> b = coalitions(10, "bernoulli", 3, seed=1, first_sample=3)
    >>> bool((a.bits[3:] == b.bits).all())
    True
    """
    target = torch.device(device or "cpu")
    n_segments = _integer("n_segments", n_segments, least=1)
    seed, first_sample = (
        _integer(name, number) for name, number in (("seed", seed), ("first_sample", first_sample))
    )
    if design in ("bernoulli", "by_size"):
        threshold = _threshold(probability)
        size_cdf = _size_table(n_segments, size_weights, target) if design == "by_size" else None
        if n_samples is None:
            raise ParameterError(f'n_samples is None; design "{design}" needs a number >= 0')
        n_samples = _integer("n_samples", n_samples, least=0)
        bits = torch.empty(n_samples, _n_words(n_segments), dtype=torch.int64, device=target)
        call_constant(
            *(torch.ops.otoscope.draw_coalitions.default, bits, n_segments),
            *(signed(seed), first_sample, threshold, size_cdf),
        )
        return Coalitions(bits, n_segments)
    if n_samples is not None:
        raise ParameterError(
            f'n_samples is {n_samples}; design "{design}" has a fixed number of samples'
        )
    if design == "exact":
        return _exact(n_segments, target)
    if design == "leave_one_out":
        keep = ~torch.eye(n_segments, dtype=torch.bool, device=target)
        return pack(keep)
    raise ParameterError(
        f'design is "{design}"; it must be "exact", "bernoulli", "leave_one_out" or "by_size"'
    )


def _integer(name: str, number: object, *, least: int = -(2**63)) -> int:
    if not isinstance(number, Integral) or number < least:
        raise ParameterError(
            f"{name} is {number!r}; it must be an integer"
            + (f", at least {least}" if least > -(2**63) else "")
        )
    return int(number)


def _exact(n_segments: int, device: torch.device) -> Coalitions:
    if n_segments > _MOST_EXACT:
        raise ParameterError(
            f'design "exact" of {n_segments} segments has 2^{n_segments} coalitions; '
            f'at most {_MOST_EXACT} segments are possible: use "bernoulli" or "by_size"'
        )
    return Coalitions(torch.arange(1 << n_segments, device=device)[:, None], n_segments)


def _n_words(n_segments: int) -> int:
    return (n_segments + 63) // 64


def signed(seed: int) -> int:
    """Wrap an integer to int64, as torch schemas need; kernels read the same 64 bits unsigned."""
    return (seed + (1 << 63)) % (1 << 64) - (1 << 63)


def _threshold(probability: float) -> int:
    if not 0 <= probability <= 1:
        raise ParameterError(f"probability is {probability}; it must be in [0, 1]")
    return round(probability * 2**32)


# Weights of sizes: their version, and their tables by number of segments and device. An entry goes
# when its weights do.
_tables = WeakIdKeyDictionary()


def _size_table(n_segments: int, weights: Tensor | None, device: torch.device) -> Tensor:
    """Return `_size_cdf` on the device: made and copied once, for a copy waits for the GPU."""
    if weights is None:
        return _default_size_table(n_segments, device)
    if type(weights) is not Tensor or weights.is_inference():  # has no version to compare
        return _size_cdf(n_segments, weights).to(device)
    if weights not in _tables or _tables[weights][0] != weights._version:
        _tables[weights] = (weights._version, {})
    tables: dict[tuple[int, torch.device], Tensor] = _tables[weights][1]
    key = (n_segments, device)
    if key not in tables:
        tables[key] = _size_cdf(n_segments, weights).to(device)
    return tables[key]


@lru_cache(maxsize=64)
def _default_size_table(n_segments: int, device: torch.device) -> Tensor:
    return _size_cdf(n_segments, None).to(device)


def _size_cdf(n_segments: int, weights: Tensor | None) -> Tensor:
    """Return the cumulative distribution of sizes, times 2^32: [n_segments + 1], int64."""
    if weights is None:
        size = torch.arange(n_segments + 1, dtype=torch.float64)
        inner = (size > 0) & (size < n_segments)
        weights = torch.where(inner, 1 / (size * (n_segments - size)).clamp(min=1), 0.0)
        if n_segments == 1:  # only sizes 0 and 1 exist: equal weights
            weights = torch.ones(2, dtype=torch.float64)
    weights = weights.detach().double().cpu()
    n_sizes = n_segments + 1
    is_valid = weights.shape == (n_sizes,) and bool((weights >= 0).all())
    if not is_valid or not weights.sum().isfinite():
        raise ParameterError(
            f"size_weights are {weights.tolist()}; they must be {n_sizes} non-negative numbers"
        )
    if weights.sum() == 0:
        raise ParameterError("size_weights are all 0; at least one must be positive")
    cumulative = torch.cumsum(weights, 0) / weights.sum()
    return (cumulative * 2**32).round().to(torch.int64)


def _pack(keep: Tensor) -> Tensor:
    module, launch = kernels(keep.device)
    bits = keep.new_empty((keep.shape[0], _n_words(keep.shape[1])), dtype=torch.int64)
    module.pack(keep.contiguous(), bits, launch)
    return bits


def _pack_fake(keep: Tensor) -> Tensor:
    return keep.new_empty((keep.shape[0], _n_words(keep.shape[1])), dtype=torch.int64)


def _draw(
    bits: Tensor, segments: int, seed: int, first: int, threshold: int, size_cdf: Tensor | None
) -> None:
    module, launch = kernels(bits.device)
    module.draw(bits, segments, seed % (1 << 64), first, threshold, size_cdf, launch)


def _draw_fake(
    bits: Tensor, segments: int, seed: int, first: int, threshold: int, size_cdf: Tensor | None
) -> None:
    return None


register("pack(Tensor keep) -> Tensor", _pack, _pack_fake)
register(
    "draw_coalitions(Tensor(a!) bits, int segments, int seed, int first_sample, int threshold, "
    "Tensor? size_cdf) -> ()",
    _draw,
    _draw_fake,
)

"""Bounds on the difference from a sound, and exact projections onto them.

The ball of a signal-to-noise ratio of s dB around x holds all d with ||d|| <= ||x|| / 10^(s/20).
All bounds here shrink every sample towards 0 and never move one across it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.signal.snr import check_snr, radius, segment_energy

__all__ = ["Bound", "shrink"]


@dataclass(frozen=True, kw_only=True)
class Bound:
    """Bound on a difference from a sound; all parts hold at once, exactly.

    Parameters
    ----------
    snr_db : float
        Minimum signal-to-noise ratio over all samples, dB, > 0.
    norm : {"l2", "linf"}
        "l2": the ball ||d|| <= ||x|| / 10^(snr_db / 20). "linf": the cube |d_i| <= rms(x) /
        10^(snr_db / 20), whose corners lie on that ball.
    segmental_snr_db : float, optional
        Minimum ratio in each segment, dB, > 0.
    segment_length : int
        Samples per segment; segments do not overlap, and the last may be shorter.
    amplitude : float, optional
        Limit of |x + d|; None: no limit.

    Raises
    ------
    ParameterError
        If a ratio is not finite and > 0, or the norm is unknown.

    Examples
    --------
    >>> Bound(snr_db=20.0).project(torch.tensor([[3.0, 4.0]]), torch.tensor([[0.6, 0.8]]))
    tensor([[0.0600, 0.0800]])
    """

    snr_db: float
    norm: Literal["l2", "linf"] = "l2"
    segmental_snr_db: float | None = None
    segment_length: int = 512
    amplitude: float | None = 1.0

    def __post_init__(self) -> None:
        check_snr("snr_db", self.snr_db)
        if self.segmental_snr_db is not None:
            check_snr("segmental_snr_db", self.segmental_snr_db)
        if self.norm not in ("l2", "linf"):
            raise ParameterError(f"norm is {self.norm!r}, must be 'l2' or 'linf'")
        if self.segment_length < 1:
            raise ParameterError(f"segment_length is {self.segment_length}, must be >= 1 sample")
        if self.amplitude is not None and not self.amplitude > 0:
            raise ParameterError(f"amplitude is {self.amplitude}, must be > 0 or None")

    def reach(self, x: Tensor) -> Tensor:
        """Return the reach of the bound for each sound.

        ``x`` [batch, sample] -> [batch, 1].
        """
        length = radius(x, self.snr_db)[:, None]
        return (length if self.norm == "l2" else length / x.shape[1] ** 0.5).to(x)

    def project(self, difference: Tensor, x: Tensor) -> Tensor:
        """Project differences onto the bound.

        ``difference`` [batch, sample]; ``x`` [batch, sample] -> [batch, sample].

        Each segment is projected onto its ball; then the whole onto its ball, with the absolute
        values of the first result as caps. This is the exact projection: with e the difference, d
        its projection, and multipliers a_s >= 0 of segment s and b >= 0 of the whole, the KKT
        conditions are |d_i| = min(cap_i, |e_i| / (1 + a_s + b)), a ball being full where its
        multiplier is > 0. With the divisors m_s of segment s alone and M of the second projection,
        b = M - 1 and a_s = max(m_s - M, 0) satisfy them, since the result is
        min(cap_i, |e_i| / max(m_s, M)): a segment with m_s > M keeps its first projection, which
        fills its ball.
        """
        return self._nearest(difference, x).to(x)

    def _nearest(self, difference: Tensor, x: Tensor) -> Tensor:
        """Project in double precision: Tensor [batch, sample]."""
        size = difference.double().abs()
        cap = torch.full_like(size, torch.inf)
        if self.amplitude is not None:
            cap = (self.amplitude - x.double() * difference.sign()).clamp(min=0)
        if self.norm == "linf":
            cap = torch.minimum(cap, radius(x, self.snr_db)[:, None] / x.shape[1] ** 0.5)
        if self.segmental_snr_db is not None:
            cap = self._segments(size, cap, x, self.segmental_snr_db)
        if self.norm == "l2":
            cap = shrink(size, cap, radius(x, self.snr_db))
        return torch.minimum(size, cap) * difference.sign()

    def place(self, sound: Tensor, x: Tensor) -> Tensor:
        """Project sounds so that the difference from ``x`` is within the bound.

        ``sound, x`` [batch, sample] -> [batch, sample].
        """
        difference = self._nearest(sound - x, x)
        placed = (x + difference).to(x)
        is_beyond = (placed.double() - x.double()).abs() > difference.abs()
        placed = torch.where(is_beyond, placed.nextafter(x), placed)
        limit = self.amplitude
        return placed if limit is None else placed.clamp(-limit, limit)  # the cap is rounded

    def draw(self, x: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """Draw sounds uniformly from the ball (or cube), then project them onto the bound.

        ``x`` [batch, sample] -> [batch, sample].
        """
        rows = [self._drawn(x.shape[1], generator) for generator in generators]
        return self.place(x + self.reach(x) * torch.stack(rows).to(x), x)

    def _drawn(self, n_samples: int, generator: torch.Generator) -> Tensor:
        """Draw from the ball or cube of reach 1: Tensor [sample]."""
        if self.norm == "linf":
            return 2 * torch.rand(n_samples, generator=generator, dtype=torch.float64) - 1
        direction: Tensor = torch.randn(n_samples, generator=generator, dtype=torch.float64)
        fraction = torch.rand(1, generator=generator, dtype=torch.float64)
        drawn: Tensor = direction / direction.norm() * fraction ** (1 / n_samples)
        return drawn

    def _segments(self, size: Tensor, cap: Tensor, x: Tensor, segmental_snr_db: float) -> Tensor:
        """Shrink each segment into its own ball: Tensor [batch, sample]."""
        length, n_samples = self.segment_length, size.shape[1]
        room = segment_energy(x, length).sqrt() / 10 ** (segmental_snr_db / 20)
        sizes, caps = (
            F.pad(part, (0, -n_samples % length)).reshape(-1, length) for part in (size, cap)
        )
        return shrink(sizes, caps, room.flatten()).reshape(len(x), -1)[:, :n_samples]


def shrink(size: Tensor, cap: Tensor, radius: Tensor) -> Tensor:
    """Project absolute values [row, sample] onto a ball and a box around 0, in closed form.

    ``cap`` [row, sample] are half the edges of the box, >= 0, may be inf; ``radius`` [row] is that
    of the ball. Returns min(cap, size / m) with the smallest m >= 1 that lies in the ball.

    Samples reach their caps in the order of size / cap. With the first j capped, m^2 is the energy
    of the others divided by radius^2 minus the energy of the caps; the right j is the one whose m
    lies between the ratios of its neighbours. Example: size (3, 4), cap (inf, 1), radius 2: j = 1
    gives m^2 = 9 / (4 - 1), so the result is (sqrt(3), 1).
    """
    divisor = (size.norm(dim=-1) / radius).nan_to_num(1.0, posinf=torch.inf).clamp(min=1)
    plain: Tensor = size / divisor[:, None]
    is_capped = (plain > cap).any(-1)
    if is_capped.any():
        rows = is_capped.nonzero()[:, 0]
        plain[rows] = _capped(size[rows], cap[rows], radius[rows])
    return plain


def _capped(size: Tensor, cap: Tensor, radius: Tensor) -> Tensor:
    ratio, order = (size / cap).nan_to_num(0.0, posinf=torch.inf).sort(-1, descending=True)
    energy = size.gather(-1, order).square()
    taken = _from_zero(cap.gather(-1, order).square().cumsum(-1))  # by the first j samples
    rest = _from_zero(energy.flip(-1).cumsum(-1)).flip(-1)  # of all others
    # f(m), which falls with m, where m is the ratio of a sample: that one and those before it
    # are capped at the solution if the ball is not yet full there. 0 / 0 is no sample to cap.
    held = taken[:, 1:] + rest[:, 1:] / ratio.square()
    n_capped = (held <= radius.square()[:, None]).sum(-1, keepdim=True)
    left = (radius.square()[:, None] - taken.gather(-1, n_capped)).clamp(min=0)
    divisor = (rest.gather(-1, n_capped) / left).sqrt().nan_to_num(1.0, posinf=torch.inf)
    return torch.minimum(cap, size / divisor.clamp(min=1))


def _from_zero(total: Tensor) -> Tensor:
    return F.pad(total, (1, 0))

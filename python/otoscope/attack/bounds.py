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

from otoscope.attack.kernels import on_kernel, shift_into_ball_
from otoscope.errors import ParameterError
from otoscope.signal.snr import check_snr, radius, segment_energy

__all__ = ["Bound", "Region", "shrink"]


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

    def project(self, difference: Tensor, x: Tensor) -> Tensor:
        """Project differences onto the bound; see `Region`.

        ``difference`` [batch, sample]; ``x`` [batch, sample] -> [batch, sample].
        """
        return Region(self, x).project_(difference.clone()).to(x)

    def place(self, sound: Tensor, x: Tensor) -> Tensor:
        """Project sounds so that the difference from ``x`` is within the bound.

        ``sound, x`` [batch, sample] -> [batch, sample].
        """
        return Region(self, x).place_(sound.to(x, copy=True))

    def draw(self, x: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """Draw sounds uniformly from the ball (or cube), then project them onto the bound.

        ``x`` [batch, sample] -> [batch, sample].
        """
        rows = [self._drawn(x.shape[1], generator) for generator in generators]
        region = Region(self, x)
        return region.place_(x + region.reach * torch.stack(rows).to(x))

    def _drawn(self, n_samples: int, generator: torch.Generator) -> Tensor:
        """Draw from the ball or cube of reach 1: Tensor [sample]."""
        if self.norm == "linf":
            return 2 * torch.rand(n_samples, generator=generator, dtype=torch.float64) - 1
        direction: Tensor = torch.randn(n_samples, generator=generator, dtype=torch.float64)
        fraction = torch.rand(1, generator=generator, dtype=torch.float64)
        drawn: Tensor = direction / direction.norm() * fraction ** (1 / n_samples)
        return drawn


class Region:
    """Sounds within a bound of some sounds, and the memory that all projections onto it share.

    Parameters
    ----------
    bound : Bound
        Bound on the difference.
    x : Tensor [batch, sample]
        Sounds in the middle, none of them silent.

    Notes
    -----
    Each segment is projected onto its ball; then the whole onto its ball, with the absolute values
    of the first result as caps. This is the exact projection: with e the difference, d its
    projection, and multipliers a_s >= 0 of segment s and b >= 0 of the whole, the KKT conditions
    are |d_i| = min(cap_i, |e_i| / (1 + a_s + b)), a ball being full where its multiplier is > 0.
    With the divisors m_s of segment s alone and M of the second projection, b = M - 1 and
    a_s = max(m_s - M, 0) satisfy them, since the result is min(cap_i, |e_i| / max(m_s, M)): a
    segment with m_s > M keeps its first projection, which fills its ball.

    On a GPU a projection waits for the device where segments have bounds, or where a sound of the
    batch could reach the amplitude (its peak plus ``reach`` does): once for the test whether one
    does, and, as with segments, once for each round of `shrink`. Making a region waits twice.

    Examples
    --------
    >>> region = Region(Bound(snr_db=20.0), torch.tensor([[0.6, 0.8]]))
    >>> region.place_(torch.tensor([[0.6, 0.9]]))
    tensor([[0.6000, 0.9000]])
    """

    def __init__(self, bound: Bound, x: Tensor) -> None:
        self.bound, self.x = bound, x
        self.radius = radius(x, bound.snr_db)
        """Radius of the ball around each sound: Tensor [batch], float64."""
        self._radius = self.radius[:, None]
        self._edge = self._radius / x.shape[1] ** 0.5  # half the edge of the cube
        self.reach = (self._radius if bound.norm == "l2" else self._edge).to(x)
        """Reach of the bound for each sound, [batch, 1]: its radius, or half its edge."""
        self._wide, self._spare = torch.empty_like(x, dtype=torch.float64), torch.empty_like(x)
        limit = bound.amplitude
        peak = x.abs().amax(1) + 1.001 * self.reach[:, 0]
        self._is_clear = limit is None or bool((peak < limit).all())
        """Whether no difference within the ball or cube reaches the amplitude."""
        self._is_ball = self._is_clear and bound.norm == "l2" and bound.segmental_snr_db is None

    def place_(self, sound: Tensor) -> Tensor:
        """Project sounds [batch, sample] of the type of ``x``, in place."""
        return self.shift_(sound.sub_(self.x))

    def shift_(self, difference: Tensor) -> Tensor:
        """Replace differences from ``x`` [batch, sample], of its type, by the sounds placed there.

        All steps are taken in that type, with the norm in double precision: the bound is smaller by
        two roundings. Where a sum leaves it all the same, or segments have bounds, each sample that
        was rounded outwards comes nearer by a step of a float.
        """
        limit, dtype = self.bound.amplitude, difference.dtype
        slack = 2 * torch.finfo(dtype).eps
        if self._is_ball and on_kernel(difference, self.x):
            return shift_into_ball_(difference, self.x, self.radius, slack=slack)
        difference = self.project_(difference, slack=slack)
        placed = torch.add(self.x, difference, out=self._spare)
        holds = self._holds(placed)
        if placed.device.type != "cpu" or not bool(holds.all()):  # a GPU is not waited for
            is_beyond = (((placed - self.x).abs_() > difference.abs_()) & ~holds).to(dtype)
            # Faster than `where`, which mispredicts every other sample.
            torch.lerp(placed, torch.nextafter(placed, self.x), is_beyond, out=placed)
        if limit is not None and not self._is_clear:
            placed.clamp_(-limit, limit)  # the cap is rounded
        return difference.copy_(placed)

    def shift_ahead_(self, difference: Tensor, memory: Tensor, momentum: float) -> Tensor:
        """Project differences to z, and replace them by the sounds at z + momentum (z - memory).

        All [batch, sample]; the memory becomes z. See `shift_`.
        """
        if self._is_ball and on_kernel(difference, memory, self.x):
            return shift_into_ball_(
                difference,
                self.x,
                self.radius,
                slack=2 * torch.finfo(difference.dtype).eps,
                memory=memory,
                momentum=momentum,
            )
        z = self.project_(difference)
        ahead = torch.add((1 + momentum) * z, memory, alpha=-momentum)
        memory.copy_(z)
        return self.shift_(ahead)

    def _holds(self, sound: Tensor) -> Tensor:
        """Check the ball, or the cube, in double precision: [batch, 1]; False with segments."""
        if self.bound.segmental_snr_db is not None:
            return torch.zeros_like(self._radius, dtype=torch.bool)
        change = torch.sub(sound, self.x, out=self._wide)
        if self.bound.norm == "linf":
            size, limit = change.abs_().amax(1, keepdim=True), self._edge
        else:
            size, limit = change.norm(dim=1, keepdim=True), self._radius
        holds: Tensor = size <= limit
        return holds

    def project_(self, difference: Tensor, slack: float = 0.0) -> Tensor:
        """Project differences [batch, sample], in place; ``slack`` makes the bound smaller."""
        if self._is_ball and on_kernel(difference):
            return shift_into_ball_(difference, None, self.radius, slack=slack)
        bound, wide = self.bound, self._wide.copy_(difference)
        if bound.segmental_snr_db is None:
            if bound.norm == "l2":
                divisor = _divisor(wide.norm(dim=1), (1 - slack) * self._radius)
                difference.mul_(divisor.reciprocal().to(difference))
            else:
                edge = ((1 - slack) * self._edge).to(difference)
                torch.clamp(difference, -edge, edge, out=difference)
            if self._is_clear or bound.amplitude is None:
                return difference
            placed = self.x + difference
            if bool((torch.stack(placed.aminmax()).abs_() <= bound.amplitude).all()):
                return difference
            is_inside = placed.abs_().amax(1, keepdim=True) <= bound.amplitude
            capped = self._capped(wide).mul_(1 - slack).to(difference)
            return torch.where(is_inside, difference, capped, out=difference)
        return difference.copy_(self._capped(wide).mul_(1 - slack))

    def _capped(self, difference: Tensor) -> Tensor:
        """Project onto the ball of each segment, or samples that would clip."""
        bound, size = self.bound, difference.abs()
        cap = torch.full_like(size, torch.inf)
        if bound.amplitude is not None:
            cap = (bound.amplitude - self.x.double() * difference.sign()).clamp_(min=0)
        if bound.norm == "linf":
            cap = torch.minimum(cap, self._edge)
        if bound.segmental_snr_db is not None:
            cap = self._segments(size, cap, bound.segmental_snr_db)
        if bound.norm == "l2":
            cap = shrink(size, cap, self.radius)
        return torch.minimum(size, cap).mul_(difference.sign())

    def _segments(self, size: Tensor, cap: Tensor, segmental_snr_db: float) -> Tensor:
        """Shrink each segment into its own ball: Tensor [batch, sample]."""
        length, n_samples = self.bound.segment_length, size.shape[1]
        room = segment_energy(self.x, length).sqrt() / 10 ** (segmental_snr_db / 20)
        sizes, caps = (
            F.pad(part, (0, -n_samples % length)).reshape(-1, length) for part in (size, cap)
        )
        return shrink(sizes, caps, room.flatten()).reshape(len(size), -1)[:, :n_samples]


def shrink(size: Tensor, cap: Tensor, radius: Tensor) -> Tensor:
    """Project absolute values [row, sample] onto a ball and a box around 0, in closed form.

    ``cap`` [row, sample] are half the edges of the box, >= 0, may be inf; ``radius`` [row] is that
    of the ball. Returns min(cap, size / m) with the smallest m >= 1 that lies in the ball.

    m is approached from above: the samples beyond their caps at one m are capped, and the ball
    that is left to the others has a smaller m, at which the same samples and perhaps more are
    beyond. It is the solution when no sample comes to them. Example: size (3, 4), cap (inf, 1),
    radius 2: m is 5 / 2, which caps the second; then m^2 = 9 / (4 - 1), so the result is
    (sqrt(3), 1).
    """
    radius = radius[:, None]
    divisor = _divisor(size.norm(dim=-1), radius)
    is_capped = size > divisor * cap
    while True:
        rest = size.masked_fill(is_capped, 0).norm(dim=-1, keepdim=True)
        taken = cap.masked_fill(~is_capped, 0).square().sum(-1, keepdim=True)
        divisor = _divisor(rest[:, 0], (radius.square() - taken).clamp(min=0).sqrt())
        is_beyond = size > divisor * cap
        if not bool((is_beyond & ~is_capped).any()):
            return torch.where(is_capped, cap, size / divisor)
        is_capped |= is_beyond


def _divisor(norm: Tensor, radius: Tensor) -> Tensor:
    """Return the least m >= 1, [row, 1], at which norms [row] / m are within radii [row, 1]."""
    return (norm[:, None] / radius).nan_to_num(1.0, posinf=torch.inf).clamp(min=1)

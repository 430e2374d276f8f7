"""Elementwise parts of the steps of attacks: kernels on the CPU, torch's operators elsewhere.

Rows of a batch are independent; tensors that are named first are changed in place. The kernels take
float32 or float64, contiguous, as a search has them; other tensors go through torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from otoscope.native import host_kernel, kernels

__all__ = [
    "are_finite",
    "assess_outputs",
    "descend_",
    "divisor_of",
    "keep_best_",
    "on_kernel",
    "scale_magnitudes_",
    "shift_into_ball_",
]


def assess_outputs(
    outputs: Tensor, labels: Tensor, *, flags: Sequence[bool], least: float | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return loss, confidence and success, each [batch], and the gradient of the sum of losses.

    ``outputs`` [batch, output] or [batch, frame, output], for which `on_kernel` holds; ``flags``:
    whether outputs are probabilities, pooled posteriors votes, labels to be reached, and the
    cross-entropy of a label to leave climbed; ``least`` is the confidence of a success.
    """
    outputs = outputs.detach()
    loss, confidence = outputs.new_empty((2, len(outputs))).unbind()
    success = outputs.new_empty(len(outputs), dtype=torch.bool)
    results = (loss, confidence, success, torch.empty_like(outputs))
    least = -math.inf if least is None else least
    run, threads = host_kernel("assess"), kernels(outputs.device)[1]
    run(outputs, labels.contiguous(), *results, flags, least, threads)
    return results


def keep_best_(
    best: Sequence[Tensor],
    log: Sequence[Tensor],
    rows: Tensor,
    candidates: Sequence[Tensor],
    iteration: int,
    *,
    ignored: Tensor | None = None,
) -> None:
    """Keep those candidates of some sounds that score higher than the best so far.

    ``candidates``: sound [row, sample], score, confidence and success [row]; ``best``: the same of
    all sounds; ``rows`` [row], int64, are the sounds of the candidates. ``log``: history [batch,
    step], which receives the confidences, and iterations [batch], which receive ``iteration``.
    Candidates of ``ignored`` [row], bool, change nothing.
    """
    if ignored is None and on_kernel(*candidates[:3], *best[:3], log[0]):
        run, threads = host_kernel("keep_best"), kernels(rows.device)[1]
        run(rows, candidates, best, *log, iteration, threads)
        return
    # No row is chosen by its numbers: a GPU would have to finish before the host could go on.
    is_better = candidates[1] > best[1].index_select(0, rows)
    confidence, steps = candidates[2], torch.full_like(rows, iteration)
    if ignored is not None:
        is_better &= ~ignored
        confidence = confidence.masked_fill(ignored, torch.nan)
        steps = torch.where(ignored, log[1].index_select(0, rows), steps)
    log[0][:, iteration].index_copy_(0, rows, confidence)
    log[1].index_copy_(0, rows, steps)
    for kept, values in zip(best, candidates, strict=True):
        mask = is_better.view(-1, *[1] * (kept.ndim - 1))
        kept.index_copy_(0, rows, torch.where(mask, values, kept.index_select(0, rows)))


def are_finite(values: Tensor) -> bool:
    """Whether no number of a tensor [batch, ...] is NaN or infinite."""
    if on_kernel(values) and values.dtype.is_floating_point:
        return all(host_kernel("are_finite")(values.flatten(1), kernels(values.device)[1]))
    # A sum of squares is finite only if all its terms are; it may overflow by itself.
    return math.isfinite(values.norm()) or bool(values.isfinite().all())


def scale_magnitudes_(
    D: Tensor, G: Tensor, weights: Tensor, length: Tensor, *, normalises: bool
) -> Tensor:
    """Step against the slope of a loss with respect to magnitudes; phases stay.

    D, G [batch, frame, bin] complex; weights [bin]; length [batch], float64. With S and phase those
    of D, D becomes max(S - length slope, 0) e^{j phase}, slope = weights Re(e^{-j phase} G), of
    norm 1 if ``normalises``. G is overwritten. Bins of 0 have phase 0.
    """
    if on_kernel(D, G):
        run = host_kernel("scale_magnitudes")
        numbers = map(torch.view_as_real, (D, G))
        run(*numbers, weights, length, normalises, kernels(D.device)[1])
        return D
    S, size = _polar_(D)
    slope = (G.mul_(D.conj()).real / size).mul_(weights)
    slope *= (length.view(-1, 1, 1) / (divisor_of(slope) if normalises else 1)).to(slope)
    return D.mul_(torch.sub(S, slope, out=S).clamp_(min=0).div_(size))


def descend_(
    sound: Tensor, memory: Tensor, gradient: Tensor, x: Tensor, *, length: Tensor, momentum: float
) -> Tensor:
    """Step along a direction with momentum; return the difference from ``x``, in ``sound``.

    All [batch, sample] but length [batch], float64: memory <- momentum memory + gradient /
    |gradient|, then sound <- sound - length memory / |memory| - x.
    """
    if on_kernel(sound, memory, gradient, x):
        run = host_kernel("descend")
        run(sound, gradient, memory, x, length, momentum, kernels(x.device)[1])
        return sound
    memory.mul_(momentum).addcdiv_(gradient, divisor_of(gradient))
    divisor = divisor_of(memory) / length[:, None].to(memory)
    return sound.addcdiv_(memory, divisor, value=-1).sub_(x)


def shift_into_ball_(
    difference: Tensor,
    x: Tensor | None,
    radius: Tensor,
    *,
    slack: float = 0.0,
    memory: Tensor | None = None,
    momentum: float = 0.0,
) -> Tensor:
    """Project differences onto balls, and place them at ``x``; tensors for which `on_kernel` holds.

    difference, x, memory [batch, sample]; radius [batch], float64; ``slack`` is the fraction by
    which balls are made smaller, for rounding. Where the rounded sum leaves its ball all the same,
    each sample of the row that was rounded outwards comes nearer to ``x`` by a step of its type.
    With ``memory``, what is placed is z + momentum (z - memory), z being the projection onto the
    whole balls, and the memory becomes z.
    """
    run = host_kernel("shift_into_ball")
    run(difference, x, radius, slack, memory, momentum, kernels(difference.device)[1])
    return difference


def on_kernel(*tensors: Tensor) -> bool:
    """Whether the kernels take tensors: on the CPU, contiguous, all of one of their types."""
    first = tensors[0]
    types = (torch.float32, torch.float64, torch.complex64, torch.complex128)
    return first.dtype in types and all(
        t.device.type == "cpu" and t.dtype == first.dtype and t.is_contiguous() for t in tensors
    )


def divisor_of(vector: Tensor, order: int = 2) -> Tensor:
    """Return the norm of each row [batch, ...], as [batch, 1, ...]; 1 for rows of zeros."""
    norm = vector.flatten(1).norm(p=order, dim=1).view(-1, *[1] * (vector.ndim - 1))
    divisor: Tensor = norm.where(norm > 0, 1)
    return divisor


def _polar_(D: Tensor) -> tuple[Tensor, Tensor]:
    """Return magnitudes S of spectra, and the size of D; bins of 0 in D become 1, of phase 0."""
    re, im = D.real, D.imag
    S = torch.mul(re, re).addcmul_(im, im).sqrt_()  # abs takes three times as long
    is_zero = torch.eq(S, 0, out=torch.empty_like(S))
    re.add_(is_zero)
    return S, is_zero.add_(S)

"""Occlude segments of spectrograms in batches: the perturbation step of every explainer.

For every excerpt and sample, ``x = patch if keep[sample, segment] else content``, then
``(x - shift) * scale``. Patches are [excerpt, frame, mel]; True in ``keep`` means that the segment
is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.native import kernels
from otoscope.ops.coalitions import Coalitions, pack, signed
from otoscope.ops.library import (
    SCALARS,
    Linear,
    Tangents,
    call_constant,
    fold_vmap,
    register,
    require_device,
    require_tensor,
    share_memory,
)
from otoscope.ops.segment_map import SegmentMap

__all__ = ["Noise", "occlude"]


@dataclass(frozen=True)
class Noise:
    """Gaussian noise as content, drawn for every sample: ``loc + scale * normal``.

    The numbers are counter-based (Philox): cell c of sample s of excerpt e depends only on the seed
    and on (first_excerpt + e, first_sample + s, c), so the numbers are the same on every device and
    for any split into batches.

    Parameters
    ----------
    seed : int
        Random seed; any integer, of which the low 64 bits are used.
    loc, scale : float or Tensor broadcastable to [excerpt, frame, mel]
        Mean and standard deviation, in the units of the patch.
    first_excerpt, first_sample : int
        Position of this batch in the stream of noise.

    References
    ----------
    Salmon et al. (2011) :cite:`salmon2011`.

    Examples
    --------
    >>> Noise(0, loc=-1.0).scale
    1.0
    """

    seed: int
    loc: Tensor | float = 0.0
    scale: Tensor | float = 1.0
    first_excerpt: int = 0
    first_sample: int = 0


def occlude(  # noqa: PLR0913 - a name that scripts outside rely on (architecture)
    patch: Tensor,
    content: Tensor | Noise | float,
    segment: Tensor | SegmentMap,
    keep: Tensor | Coalitions,
    *,
    shift: Tensor | None = None,
    scale: Tensor | None = None,
    dtype: torch.dtype | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Replace the segments that a sample does not keep with content, for many samples.

    Parameters
    ----------
    patch : Tensor [excerpt, frame, mel] or [frame, mel]
        Spectrograms: float16, bfloat16, float32 or float64.
    content : Tensor, float or Noise
        Replacement of occluded segments: a tensor that broadcasts to the patch ([frame, mel]; [mel]
        for one value per band; [excerpt, 1, 1] for one value per excerpt), a number, or noise.
    segment : Tensor [frame, mel], integer, or SegmentMap
        Segment of each cell. A SegmentMap was checked when it was made; a tensor is checked in
        every call.
    keep : Tensor [sample, segment], bool, or Coalitions
        True keeps the segment; False replaces it with ``content``.
    shift, scale : Tensor [mel], optional
        Normalisation ``(x - shift) * scale`` of the result; constants, without gradient.
    dtype : torch.dtype, optional
        Type of the result; by default the type of the patch.
    out : Tensor, optional
        Contiguous buffer for the result, [excerpt, sample, frame, mel] or, as models take it,
        [excerpt * sample, 1, frame, mel]; without gradient.

    Returns
    -------
    Tensor [excerpt, sample, frame, mel]
        Occluded patches, without the excerpt axis if the patch has none; ``out`` if it was given.

    Raises
    ------
    ParameterError
        If shapes, types or devices do not fit.
    CudaUnavailable
        If the patch is on a GPU that the kernels cannot use.

    Notes
    -----
    Differentiable in ``patch`` and ``content`` (and the ``loc`` of noise), twice and in forward
    mode; sums over samples run in a fixed order. Results are equal bit for bit for any number of
    threads, batch split, and instruction set.

    References
    ----------
    Mishra et al. (2020) :cite:`mishra2020`, section III.

    Examples
    --------
    >>> patch = torch.ones(2, 3)
    >>> segment = torch.tensor([[0, 0, 1], [0, 0, 1]])
    >>> occlude(patch, 0.0, segment, torch.tensor([[True, False]]))
    tensor([[[1., 1., 0.],
             [1., 1., 0.]]])
    """
    batch = _with_excerpts(patch)
    segments = segment if isinstance(segment, SegmentMap) else _checked_map(segment, keep)
    packed = keep if isinstance(keep, Coalitions) else pack(keep)
    _check_segments(batch, segments, packed)
    if isinstance(content, Noise):
        values = _content("location of the noise", content.loc, batch)
        spread: Tensor | None = _content("scale of the noise", content.scale, batch)
        _refuse_gradient("scale of the noise", spread)
        key = [signed(content.seed), content.first_excerpt, content.first_sample]
    else:
        values, spread, key = _content("content", content, batch), None, [0, 0, 0]
    factors = [_per_mel(n, t, batch) for n, t in (("shift", shift), ("scale", scale))]
    to = _dtype(dtype, batch, out)
    shared = (batch, values, spread, key, segments.ids, packed.bits, segments.n, *factors)
    if out is None:
        result: Tensor = torch.ops.otoscope.occlude.default(*shared, to)
        return result if patch.ndim == 3 else result[0]
    shape = (batch.shape[0], len(packed), batch.shape[1], batch.shape[2])
    buffer = _buffer(out, shape, batch, values)
    if any(isinstance(x, Tensor) and share_memory(out, x) for x in shared):
        raise ParameterError("out shares memory with an input, which the operator still reads")
    call_constant(torch.ops.otoscope.occlude_out.default, *shared, buffer)
    return out


def _with_excerpts(patch: Tensor) -> Tensor:
    require_tensor("patch", patch)
    if patch.ndim not in (2, 3) or patch.dtype not in SCALARS:
        raise ParameterError(
            f"patch is {patch.dtype} {tuple(patch.shape)}; it must be floating point "
            "[frame, mel] or [excerpt, frame, mel]"
        )
    return patch if patch.ndim == 3 else patch[None]


def _checked_map(segment: Tensor, keep: Tensor | Coalitions) -> SegmentMap:
    return SegmentMap(segment, keep.n_segments if isinstance(keep, Coalitions) else keep.shape[-1])


def _check_segments(patch: Tensor, segments: SegmentMap, keep: Coalitions) -> None:
    if segments.ids.shape != patch.shape[1:]:
        raise ParameterError(
            f"segment has shape {tuple(segments.ids.shape)}, patch has {tuple(patch.shape[1:])}"
        )
    if segments.n != keep.n_segments:
        raise ParameterError(f"keep has {keep.n_segments} segments, segment has {segments.n}")
    require_device("segment", segments.ids, patch.device)
    require_device("keep", keep.bits, patch.device)


def _content(name: str, content: Tensor | float, patch: Tensor) -> Tensor:
    """Reshape content to three dimensions, each equal to that of the patch or 1."""
    if not isinstance(content, Tensor):
        return patch.new_full((1, 1, 1), content)
    require_device(name, content, patch.device)
    shape = (1,) * (3 - content.ndim) + tuple(content.shape)
    if len(shape) != 3 or any(c not in (1, p) for c, p in zip(shape, patch.shape, strict=True)):
        raise ParameterError(
            f"{name} has shape {tuple(content.shape)}, patch has {tuple(patch.shape)}"
        )
    if content.ndim == 3 and content.dtype == patch.dtype:
        return content
    return content.to(patch.dtype).reshape(shape)


def _per_mel(name: str, factor: Tensor | None, patch: Tensor) -> Tensor | None:
    if factor is None:
        return None
    require_device(name, factor, patch.device)
    if factor.shape != patch.shape[2:]:
        raise ParameterError(
            f"{name} has shape {tuple(factor.shape)}, patch has {patch.shape[2]} mel bands"
        )
    _refuse_gradient(name, factor)
    return factor.to(torch.float64 if patch.dtype == torch.float64 else torch.float32)


def _refuse_gradient(name: str, constant: Tensor | None) -> None:
    if constant is not None and constant.requires_grad and torch.is_grad_enabled():
        raise ParameterError(f"{name} requires a gradient, but occlude has none for it: detach it")


def _dtype(dtype: torch.dtype | None, patch: Tensor, out: Tensor | None) -> torch.dtype:
    result = dtype or (out.dtype if out is not None else patch.dtype)
    if result not in SCALARS or (out is not None and out.dtype != result):
        raise ParameterError(
            f"dtype is {result}{'' if out is None else f', out is {out.dtype}'}; "
            "it must be float16, bfloat16, float32 or float64, and that of out"
        )
    return result


def _buffer(
    out: Tensor, shape: tuple[int, int, int, int], patch: Tensor, content: Tensor
) -> Tensor:
    excerpts, samples, frames, mels = shape
    allowed = [shape, (excerpts * samples, 1, frames, mels)]
    if excerpts == 1:
        allowed.append(shape[1:])  # type: ignore[arg-type]
    if tuple(out.shape) not in allowed or not out.is_contiguous():
        how = "" if out.is_contiguous() else " and is not contiguous"
        raise ParameterError(
            f"out has shape {tuple(out.shape)}{how}; it must be {allowed[0]} or {allowed[1]}"
        )
    require_device("out", out, patch.device)
    if torch.is_grad_enabled() and (patch.requires_grad or content.requires_grad):
        raise ParameterError("out= gives no gradient: leave it out, or use torch.no_grad()")
    return out.view(shape)


def _occlude_out(*inputs: Any) -> None:
    patch, content, spread, (seed, *first), segment, keep, segments, shift, scale, out = inputs
    module, launch = kernels(patch.device)
    module.occlude(
        patch.contiguous(),
        content.contiguous(),
        _contiguous(spread),
        (seed % (1 << 64), *first),
        segment.contiguous(),
        keep.contiguous(),
        segments,
        _contiguous(shift),
        _contiguous(scale),
        out,
        launch,
    )


def _contiguous(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.contiguous()


def _occlude(patch: Tensor, *inputs: Any) -> Tensor:
    out = _occlude_fake(patch, *inputs)
    _occlude_out(patch, *inputs[:-1], out)
    return out


def _occlude_fake(patch: Tensor, *args: Any) -> Tensor:
    keep, dtype = args[4], args[-1]
    return patch.new_empty((patch.shape[0], keep.shape[0], *patch.shape[1:]), dtype=dtype)


def _occlude_out_fake(*args: Any) -> None: ...


def _backward(
    grad: Tensor,
    segment: Tensor,
    keep: Tensor,
    segments: int,
    scale: Tensor | None,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor]:
    grad_patch, grad_content = _backward_fake(grad, segment, keep, segments, scale, dtype)
    module, launch = kernels(grad.device)
    n = module.backward_scratch(*grad.shape)
    module.occlude_backward(
        grad.contiguous(),
        segment.contiguous(),
        keep.contiguous(),
        segments,
        _contiguous(scale),
        grad_patch,
        grad_content,
        grad.new_empty(n, dtype=torch.float64) if n else None,
        launch,
    )
    return grad_patch, grad_content


def _backward_fake(
    grad: Tensor,
    segment: Tensor,
    keep: Tensor,
    segments: int,
    scale: Tensor | None,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor]:
    shape = (grad.shape[0], *grad.shape[2:])
    return grad.new_empty(shape, dtype=dtype), grad.new_empty(shape, dtype=dtype)


def _save_for_gradient(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    patch, content, _, _, segment, keep, ctx.segments, _, scale, _ = inputs
    ctx.save_for_backward(segment, keep, scale)
    ctx.dtype, ctx.content_shape = patch.dtype, content.shape


def _gradient(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    segment, keep, scale = ctx.saved_tensors
    grad_patch, grad_content = torch.ops.otoscope.occlude_backward(
        grad, segment, keep, ctx.segments, scale, ctx.dtype
    )
    return grad_patch, grad_content.sum_to_size(ctx.content_shape), *(None,) * 8


def _save_for_second_gradient(ctx: Any, inputs: tuple[Any, ...], output: object) -> None:
    grad, segment, keep, ctx.segments, scale, _ = inputs
    ctx.save_for_backward(segment, keep, scale)
    ctx.dtype = grad.dtype


def _second_gradient(ctx: Any, patch: Tensor, content: Tensor) -> tuple[Tensor | None, ...]:
    """Occlude without shift: the adjoint of the gradient, which is linear in ``grad``."""
    segment, keep, scale = ctx.saved_tensors
    grad = torch.ops.otoscope.occlude(
        patch, content, None, [0, 0, 0], segment, keep, ctx.segments, None, scale, ctx.dtype
    )
    return grad, *(None,) * 5


def _tangent(args: list[Any], tangents: Tangents) -> Any:
    """Occlude the tangents without shift and noise: the operator is linear in both jointly."""
    patch, content, _, _, segment, keep, segments, _, scale, dtype = args
    directions = (
        tangents[place].contiguous() if place in tangents else torch.zeros_like(argument)
        for place, argument in enumerate((patch, content))
    )
    return torch.ops.otoscope.occlude(
        *directions, None, [0, 0, 0], segment, keep, segments, None, scale, dtype
    )


def _backward_tangent(args: list[Any], tangents: Tangents) -> Any:
    return torch.ops.otoscope.occlude_backward(tangents[0].contiguous(), *args[1:])


def _batched(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> Any:
    """Fold the axis of vmap into the excerpts; a content for all of them stays as it is."""
    patch, content, spread, *rest = args
    excerpts = patch.shape[0 if in_dims[0] is None else int(in_dims[0] == 0)]
    if spread is not None:
        raise ParameterError(
            "occlude with noise does not run under torch.vmap: pass it a batch instead"
        )
    if in_dims[1] is None and content.shape[0] == 1:
        return fold_vmap("occlude", (0,))(info, in_dims, patch, content, spread, *rest)
    if in_dims[1] is None:
        sizes, dims = (excerpts, *content.shape[1:]), None
    else:
        content = content.movedim(in_dims[1], 0)
        sizes, dims = (info.batch_size, excerpts, *content.shape[2:]), 0
    dims_of = (in_dims[0], dims, *in_dims[2:])
    return fold_vmap("occlude", (0, 1))(info, dims_of, patch, content.expand(sizes), spread, *rest)


_INPUTS = (
    "Tensor patch, Tensor content, Tensor? spread, int[] noise, Tensor segment, Tensor keep, "
    "int segments, Tensor? shift, Tensor? scale"
)
register(
    f"occlude({_INPUTS}, ScalarType dtype) -> Tensor",
    _occlude,
    _occlude_fake,
    gradient=_gradient,
    context=_save_for_gradient,
    linear=Linear((0, 1), _tangent, _batched),
)
register(f"occlude_out({_INPUTS}, Tensor(a!) out) -> ()", _occlude_out, _occlude_out_fake)
register(
    "occlude_backward(Tensor grad, Tensor segment, Tensor keep, int segments, Tensor? scale, "
    "ScalarType dtype) -> (Tensor, Tensor)",
    _backward,
    _backward_fake,
    gradient=_second_gradient,
    context=_save_for_second_gradient,
    linear=Linear((0,), _backward_tangent, fold_vmap("occlude_backward", (0,))),
)

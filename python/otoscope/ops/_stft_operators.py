"""Register the STFT operators with torch: implementations, fake kernels, gradients.

Schemas take one batch axis and contiguous tensors; `otoscope.ops.stft` checks the arguments. Frames
of 256 to 8192 samples, powers of two, run on this package's kernels, others on torch.fft.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import forward_ad

from otoscope.native import kernels
from otoscope.ops.frames import bin_weights, replace_magnitude
from otoscope.ops.library import Linear, Tangents, fold_vmap, register

__all__ = ["residual_of"]

KERNEL_SIZES = frozenset(2**k for k in range(8, 14))


@cache
def _twiddles_of(n_fft: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    k = torch.arange(n_fft, dtype=torch.float64)
    return torch.view_as_real(torch.exp(-2j * torch.pi / n_fft * k)).to(device, dtype)


def _twiddles(window: Tensor) -> Tensor:
    """Return the twiddle factors exp(-2 pi i k / n_fft) [n_fft, 2], made once per size."""
    return _twiddles_of(len(window), window.dtype, window.device)


def _on_kernels(window: Tensor) -> bool:
    return len(window) in KERNEL_SIZES


def _n_samples(D: Tensor, window: Tensor, hop_length: int) -> int:
    return int((D.shape[1] - 1) * hop_length + len(window))


def _torch_stft(y: Tensor, window: Tensor, hop_length: int) -> Tensor:
    D: Tensor = torch.fft.rfft(y.unfold(-1, len(window), hop_length) * window)
    return D


def _torch_istft(D: Tensor, window: Tensor, overlap: Tensor | None, hop_length: int) -> Tensor:
    y = _overlap_add(torch.fft.irfft(D, n=len(window)) * window, hop_length)
    return y if overlap is None else y * _reciprocal_overlap(D, window, overlap, hop_length)


def _reciprocal_overlap(D: Tensor, window: Tensor, overlap: Tensor, hop_length: int) -> Tensor:
    """Return 1 / W[n], or 0 for samples that no window reaches: Tensor [sample]."""
    count, n_fft = D.shape[1], len(window)
    # Blocks of a hop, for inductor compiles F.fold of a transposed tensor to other numbers.
    squares = F.pad(window.double() ** 2, (0, -n_fft % hop_length)).view(-1, hop_length)
    frame = torch.arange(count + len(squares) - 1, device=window.device)[:, None] - torch.arange(
        len(squares), device=window.device
    )
    W = (((frame >= 0) & (frame < count)).double() @ squares).flatten()
    W = W[: (count - 1) * hop_length + n_fft]
    is_reached = overlap[-1] < W
    return torch.where(is_reached, 1 / torch.where(is_reached, W, 1), 0).to(window.dtype)


def _overlap_add(frames: Tensor, hop_length: int) -> Tensor:
    """Add frames [batch, frame, n_fft], a hop apart: Tensor [batch, sample]."""
    batch, count, n_fft = frames.shape
    n_samples = (count - 1) * hop_length + n_fft
    y = F.fold(frames.mT, (1, n_samples), kernel_size=(1, n_fft), stride=(1, hop_length))
    return y.reshape(batch, n_samples)


def _stft(y: Tensor, window: Tensor, hop_length: int) -> Tensor:
    D = _stft_fake(y, window, hop_length)
    if D.numel() == 0:
        return D
    if not _on_kernels(window):
        return _torch_stft(y, window, hop_length)
    module, launch = kernels(y.device)
    module.stft(y, window, _twiddles(window), hop_length, torch.view_as_real(D), launch)
    return D


def _stft_fake(y: Tensor, window: Tensor, hop_length: int) -> Tensor:
    frames = (y.shape[1] - len(window)) // hop_length + 1
    return y.new_empty((y.shape[0], frames, len(window) // 2 + 1), dtype=y.dtype.to_complex())


def _istft(D: Tensor, window: Tensor, overlap: Tensor | None, hop_length: int) -> Tensor:
    y = _istft_fake(D, window, overlap, hop_length)
    if y.numel() == 0:
        return y
    if not _on_kernels(window):
        return _torch_istft(D, window, overlap, hop_length)
    module, launch = kernels(D.device)
    module.istft(torch.view_as_real(D), window, _twiddles(window), overlap, hop_length, y, launch)
    return y


def _istft_fake(D: Tensor, window: Tensor, overlap: Tensor | None, hop_length: int) -> Tensor:
    return window.new_empty((D.shape[0], _n_samples(D, window, hop_length)))


def _project_into(inputs: tuple[Any, ...], out: Tensor, residual: Tensor | None) -> None:
    """Project into ``out``, after replacing the magnitude if there is one; fill the residual."""
    D, magnitude, previous, momentum, window, overlap, hop_length = inputs
    if D.numel() == 0:
        if residual is not None:
            residual.zero_()
        return
    if not _on_kernels(window):
        C = D if magnitude is None else replace_magnitude(D, magnitude, previous, momentum)
        out.copy_(_torch_stft(_torch_istft(C, window, overlap, hop_length), window, hop_length))
        if residual is not None:
            residual.copy_(residual_of(out, magnitude, window))
        return
    module, launch = kernels(D.device)
    module.project(
        torch.view_as_real(D),
        magnitude,
        None if previous is None else torch.view_as_real(previous),
        momentum,
        window,
        _twiddles(window),
        overlap,
        hop_length,
        torch.view_as_real(out),
        residual,
        None if residual is None else residual.new_empty(D.shape[:2]),
        _scratch(module, D, window, hop_length),
        launch,
    )


def residual_of(D: Tensor, magnitude: Tensor, window: Tensor) -> Tensor:
    """Return the weighted norm of abs(D) - magnitude, per example: Tensor [batch], float64."""
    squared_error = (D.abs() - magnitude).double() ** 2 @ bin_weights(window).double()
    return squared_error.sum(-1).sqrt()


def _scratch(module: Any, D: Tensor, window: Tensor, hop_length: int) -> Tensor | None:
    """Allocate the signal between the transforms, if the kernel needs it in global memory."""
    if not module.needs_scratch(len(window), hop_length):
        return None
    return _istft_fake(D, window, None, hop_length)


def _project(*inputs: Any) -> Tensor:
    out = torch.empty_like(inputs[0])
    _project_into(inputs, out, None)
    return out


def _project_out(*inputs: Any) -> None:
    _project_into(inputs[:-1], inputs[-1], None)


def _griffin_lim_step(*inputs: Any) -> Tensor:
    residual = _residual_fake(inputs[0])
    _project_into(inputs[:-1], inputs[-1], residual)
    return residual


def _residual_fake(D: Tensor, *inputs: Any) -> Tensor:
    return D.new_empty((D.shape[0],), dtype=torch.float64)


def _magnitude_step(  # noqa: PLR0913 - the arguments of the schema
    magnitude: Tensor,
    gradient: Tensor,
    D: Tensor,
    original: Tensor,
    window: Tensor,
    overlap: Tensor,
    hop_length: int,
    step: float,
    radius: Tensor,
) -> tuple[Tensor, Tensor]:
    if D.numel() == 0:
        return torch.empty_like(magnitude), torch.empty_like(D)
    if not _on_kernels(window):
        Z = (magnitude - step * gradient).clamp(min=0)
        C = _torch_stft(
            _torch_istft(replace_magnitude(D, Z, None, 0.0), window, overlap, hop_length),
            window,
            hop_length,
        )
        distance = (C.abs() - original).double().square().sum((1, 2)).sqrt()
        weight = (1 / (1 + (distance / radius - 1).clamp(min=0))).to(Z.dtype)[:, None, None]
        return weight * C.abs() + (1 - weight) * original, C
    Y, C = torch.empty_like(magnitude), torch.empty_like(D)
    module, launch = kernels(D.device)
    module.magnitude_step(
        magnitude,
        gradient,
        torch.view_as_real(D),
        original,
        step,
        radius,
        window,
        _twiddles(window),
        overlap,
        hop_length,
        Y,
        torch.view_as_real(C),
        radius.new_empty(D.shape[:2]),
        _scratch(module, D, window, hop_length),
        launch,
    )
    return Y, C


def _magnitude_step_fake(magnitude: Tensor, *inputs: Any) -> tuple[Tensor, Tensor]:
    return torch.empty_like(magnitude), torch.empty_like(inputs[1])


# Gradients: torch's inner product of complex tensors counts every one-sided bin once, so adjoints
# contain the weights of the bins: A^T g = n_fft OLA(g / weights), P^T g = weights P(g / weights).


def _stft_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    y, window, ctx.hop_length = inputs
    ctx.save_for_backward(window)
    ctx.n_samples = y.shape[1]


def _stft_gradient(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    (window,) = ctx.saved_tensors
    scaled = grad * (len(window) / bin_weights(window))
    y = torch.ops.otoscope.istft(scaled.contiguous(), window, None, ctx.hop_length)
    return torch.nn.functional.pad(y, (0, ctx.n_samples - y.shape[1])), None, None


def _istft_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    D, window, overlap, ctx.hop_length = inputs
    gain = None
    if overlap is not None:
        gain = _reciprocal_overlap(D, window, overlap, ctx.hop_length)
    ctx.save_for_backward(window, gain)


def _istft_gradient(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    window, gain = ctx.saved_tensors
    scaled = grad if gain is None else grad * gain
    D = torch.ops.otoscope.stft(scaled.contiguous(), window, ctx.hop_length)
    return D * (bin_weights(window) / len(window)), None, None, None


def _project_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, magnitude, _, _, window, overlap, ctx.hop_length = inputs
    ctx.is_linear = magnitude is None
    ctx.save_for_backward(window, overlap)


def _project_gradient(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    if not ctx.is_linear:
        raise RuntimeError("otoscope::project with a magnitude has no gradient: use ops.project")
    window, overlap = ctx.saved_tensors
    weights = bin_weights(window)
    D = torch.ops.otoscope.project(
        (grad / weights).contiguous(), None, None, 0.0, window, overlap, ctx.hop_length
    )
    return D * weights, *(None,) * 6


def _stft_tangent(args: list[Any], tangents: Tangents) -> Any:
    return torch.ops.otoscope.stft(tangents[0].contiguous(), *args[1:])


def _istft_tangent(args: list[Any], tangents: Tangents) -> Any:
    return torch.ops.otoscope.istft(tangents[0].contiguous(), *args[1:])


def _project_tangent(args: list[Any], tangents: Tangents) -> Any:
    D, magnitude, previous, momentum, *frames = args
    direction = tangents.get(0)
    if magnitude is not None:
        replaced = replace_magnitude(D, magnitude, previous, momentum)
        direction = forward_ad.unpack_dual(replaced).tangent
    assert direction is not None  # noqa: S101 - for mypy: an argument has a tangent
    return torch.ops.otoscope.project(direction.contiguous(), None, None, 0.0, *frames)


_FRAMES = "Tensor window, Tensor overlap, int hop_length"
_REPLACEMENT = "Tensor? magnitude, Tensor? previous, float momentum"
register(
    "stft(Tensor y, Tensor window, int hop_length) -> Tensor",
    _stft,
    _stft_fake,
    gradient=_stft_gradient,
    context=_stft_context,
    linear=Linear((0,), _stft_tangent, fold_vmap("stft", (0,))),
)
register(
    "istft(Tensor D, Tensor window, Tensor? overlap, int hop_length) -> Tensor",
    _istft,
    _istft_fake,
    gradient=_istft_gradient,
    context=_istft_context,
    linear=Linear((0,), _istft_tangent, fold_vmap("istft", (0,))),
)
register(
    f"project(Tensor D, {_REPLACEMENT}, {_FRAMES}) -> Tensor",
    _project,
    lambda D, *inputs: torch.empty_like(D),
    gradient=_project_gradient,
    context=_project_context,
    linear=Linear((0, 1, 2), _project_tangent, fold_vmap("project", (0, 1, 2))),
)
register(
    f"project_out(Tensor D, {_REPLACEMENT}, {_FRAMES}, Tensor(a!) out) -> ()",
    _project_out,
    lambda *inputs: None,
)
register(
    "griffin_lim_step(Tensor D, Tensor magnitude, Tensor? previous, float momentum, "
    f"{_FRAMES}, Tensor(a!) out) -> Tensor",
    _griffin_lim_step,
    _residual_fake,
)
register(
    "magnitude_step(Tensor magnitude, Tensor gradient, Tensor D, Tensor original, "
    f"{_FRAMES}, float step, Tensor radius) -> (Tensor, Tensor)",
    _magnitude_step,
    _magnitude_step_fake,
)

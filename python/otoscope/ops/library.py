"""Register operators in ``torch.ops.otoscope``, and check their tensors.

``Library.define`` and ``impl`` rather than ``custom_op``: the same checks pass (opcheck, compile),
and a call costs a third less.

Derivatives are refused or right, never 0 without a word: an operator is linear in some arguments
(`Linear`), whose tangents and vmap axes it maps, and refuses tangents of all others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch._C._functorch import TransformType, is_functorch_wrapped_tensor
from torch.autograd import forward_ad

from otoscope.errors import ParameterError

__all__ = [
    "SCALARS",
    "Linear",
    "Tangents",
    "call_constant",
    "fold_vmap",
    "has_numbers",
    "in_forward_mode",
    "register",
    "require_device",
    "require_samples",
    "require_tensor",
    "share_memory",
]

Tangents = dict[int, Tensor]  # tangent of an argument, by its place


class Linear(NamedTuple):
    """Map tangents and axes of vmap of an operator that is linear in some arguments.

    ``tangent`` maps all arguments (primal and tangent joined) and the tangents by place to the
    tangent of the result; ``batched`` is the rule of `torch.library.register_vmap`.
    """

    places: tuple[int, ...]  # of the arguments that may have a tangent
    tangent: Callable[[list[Any], Tangents], Any]
    batched: Callable[..., Any]


class _Library(torch.library.Library):
    """Library whose autograd kernels map tangents of forward mode, or refuse them."""

    def __init__(self) -> None:
        super().__init__("otoscope", "DEF")  # type: ignore[no-untyped-call]
        self.linear: dict[str, Linear] = {}  # by the operator's name

    def impl(
        self, op_name: str, fn: Callable[..., Any], dispatch_key: str = "", **options: Any
    ) -> None:
        """Register an implementation."""
        if dispatch_key == "Autograd":
            fn = _with_tangents(op_name, self.linear.get(op_name), fn)
        super().impl(op_name, fn, dispatch_key, **options)  # type: ignore[no-untyped-call]


LIBRARY = _Library()
SCALARS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def register(
    schema: str,
    kernel: Callable[..., Any],
    fake: Callable[..., Any],
    *,
    gradient: Callable[..., Any] | None = None,
    context: Callable[..., None] | None = None,
    linear: Linear | None = None,
) -> None:
    """Define an operator.

    ``kernel`` serves CPU and CUDA, ``fake`` tensors without data; ``gradient`` and ``context`` are
    those of `torch.library.register_autograd`. Without ``linear``, tangents and vmap are refused.
    """
    name = schema.split("(")[0]
    LIBRARY.define(schema)  # type: ignore[no-untyped-call]
    for key in ("CPU", "CUDA"):
        LIBRARY.impl(name, kernel, key)
    torch.library.register_fake(f"otoscope::{name}", fake, lib=LIBRARY)
    if linear is not None:
        LIBRARY.linear[name] = linear
    if gradient is not None:
        torch.library.register_autograd(
            f"otoscope::{name}", gradient, setup_context=context, lib=LIBRARY
        )
    else:
        LIBRARY.impl(name, _below_autograd(name), "Autograd", with_keyset=True)

    def refuse(info: object, in_dims: object, *args: object) -> None:
        raise ParameterError(
            f"otoscope::{name} does not run under torch.vmap: pass it a batch instead"
        )

    torch.library.register_vmap(
        f"otoscope::{name}", refuse if linear is None else linear.batched, lib=LIBRARY
    )


def in_forward_mode() -> bool:
    """Return True inside `torch.func.jvp` or a dual level: tensors may have tangents."""
    return forward_ad._current_level >= 0


def call_constant(op: Callable[..., Any], *args: Any) -> Any:
    """Call an operator without derivatives; pass by the kernel that looks for tangents."""
    if in_forward_mode() or torch.compiler.is_compiling():
        return op(*args)
    with torch._C._AutoDispatchBelowAutograd():
        return op(*args)


def has_numbers(tensor: Tensor) -> bool:
    """Return False for a tensor that is traced or on ``meta``: its numbers cannot be read."""
    if torch.compiler.is_compiling() or tensor.is_meta:
        return False
    return type(tensor) in (Tensor, nn.Parameter)


def _below_autograd(name: str) -> Callable[..., Any]:
    """Return the autograd kernel of an operator without a gradient."""

    def kernel(keyset: Any, *args: Any) -> Any:
        op = getattr(torch.ops.otoscope, name).default
        with torch._C._AutoDispatchBelowAutograd():
            return op.redispatch(keyset & torch._C._after_autograd_keyset, *args)

    return kernel


def _with_tangents(
    name: str, linear: Linear | None, reverse: Callable[..., Any]
) -> Callable[..., Any]:
    """Return an autograd kernel that maps or refuses tangents around one of reverse mode."""

    def kernel(keyset: Any, *args: Any) -> Any:
        if _is_in_function_transform():
            if any(isinstance(arg, Tensor) and arg.requires_grad for arg in args):
                raise ParameterError(
                    f"otoscope::{name} does not run under torch.func.grad, vjp, jacrev or hessian: "
                    "use torch.autograd.grad or torch.autograd.functional.jacobian"
                )
            return _below_autograd(name)(keyset, *args)
        if not in_forward_mode():
            return reverse(keyset, *args)
        primals, tangents = list(args), Tangents()
        for place, arg in enumerate(args):
            if isinstance(arg, Tensor):
                primals[place], tangent = forward_ad.unpack_dual(arg)
                if tangent is not None:
                    tangents[place] = tangent
        if not tangents:
            return reverse(keyset, *args)
        constant = tangents.keys() - (linear.places if linear else ())
        if linear is None or constant:
            place = min(constant)
            argument = getattr(torch.ops.otoscope, name).default._schema.arguments[place].name
            raise ParameterError(
                f"otoscope::{name} has no forward-mode derivative in {argument!r}: detach it, or "
                "use an operator that has one (stft, istft_ls, project and occlude without out=)"
            )
        outputs, direction = reverse(keyset, *primals), linear.tangent(list(args), tangents)
        if isinstance(outputs, tuple):
            return tuple(map(forward_ad.make_dual, outputs, direction))
        return forward_ad.make_dual(outputs, direction)

    return kernel


def _is_in_function_transform() -> bool:
    """Return True inside `torch.func.grad` and what is made of it, which no operator supports."""
    if not torch._C._are_functorch_transforms_active():
        return False
    return bool(torch._C._functorch.peek_interpreter_stack().key() == TransformType.Grad)


def fold_vmap(name: str, places: Sequence[int]) -> Callable[..., Any]:
    """Return a rule of vmap that folds its axis into the batch axis of the arguments at places."""

    def rule(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Any, Any]:
        n = info.batch_size
        folded = list(args)
        for place, (arg, dim) in enumerate(zip(args, in_dims, strict=True)):
            if place in places and isinstance(arg, Tensor):
                rows = arg.expand(n, *arg.shape) if dim is None else arg.movedim(dim, 0)
                folded[place] = rows.flatten(0, 1).contiguous()
            elif isinstance(arg, Tensor) and dim is not None:
                raise ParameterError(
                    f"otoscope::{name} does not run under torch.vmap over its constants: pass it "
                    "a batch instead"
                )
        outputs = getattr(torch.ops.otoscope, name)(*folded)
        if isinstance(outputs, tuple):
            return tuple(_unfold(part, n) for part in outputs), (0,) * len(outputs)
        return _unfold(outputs, n), 0

    return rule


def _unfold(rows: Tensor, n: int) -> Tensor:
    return rows.reshape(n, len(rows) // n if n else 0, *rows.shape[1:])


def require_tensor(name: str, value: object) -> None:
    """Raise ParameterError if an argument is not a dense Tensor."""
    if not isinstance(value, Tensor):
        raise ParameterError(
            f"{name} is {type(value).__name__}, must be a torch.Tensor: torch.as_tensor({name})"
        )
    _require_dense(name, value)


def require_samples(name: str, y: Tensor) -> None:
    """Raise ParameterError if samples of a sound are integers; say how to scale PCM."""
    if y.is_floating_point() or y.is_complex():
        return
    remedy = {
        torch.uint8: "of 8-bit PCM give (samples - 128.0) / 128",
        torch.int16: "of 16-bit PCM give samples / 32768",
        torch.int32: "of 32-bit PCM give samples / 2**31",
    }.get(y.dtype, "convert them, with .float() or .astype('float32')")
    kind = str(y.dtype).removeprefix("torch.")
    raise ParameterError(f"{name} is {kind}, a sound has floating samples in [-1, 1]; {remedy}")


def require_device(name: str, tensor: Tensor, device: torch.device) -> None:
    """Raise ParameterError if a tensor is on another device (nothing is copied) or not dense."""
    _require_dense(name, tensor)
    if tensor.device != device:
        raise ParameterError(
            f"{name} is on {tensor.device}, the rest is on {device}: move one with .to()"
        )


def _require_dense(name: str, tensor: Tensor) -> None:
    if tensor.layout != torch.strided or tensor.is_nested:
        layout = str(tensor.layout).removeprefix("torch.").strip("_")
        kind = "nested" if tensor.is_nested else layout
        raise ParameterError(f"{name} is a {kind} tensor, must be dense: to_dense() or padded")


def share_memory(a: Tensor, b: Tensor) -> bool:
    """Return True if the memory of two tensors overlaps, from first to last element."""
    if not all(has_numbers(t) and not is_functorch_wrapped_tensor(t) for t in (a, b)):
        return False  # no memory of their own
    if a.untyped_storage().data_ptr() != b.untyped_storage().data_ptr():
        return False
    return max(a.data_ptr(), b.data_ptr()) < min(_end(a), _end(b))


def _end(tensor: Tensor) -> int:
    """Return the address after the last element."""
    steps = sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride(), strict=True))
    return tensor.data_ptr() + (steps + 1) * tensor.element_size()

"""Register operators in ``torch.ops.otoscope``, and check their tensors.

``Library.define`` and ``impl`` rather than ``custom_op``: the same checks pass (opcheck, compile),
and a call costs a third less.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from otoscope.errors import ParameterError

__all__ = ["LIBRARY", "SCALARS", "register", "require_device", "share_memory"]

LIBRARY = torch.library.Library("otoscope", "DEF")
SCALARS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def register(schema: str, kernel: Callable[..., Any], fake: Callable[..., Any]) -> None:
    """Define an operator: ``kernel`` serves CPU and CUDA, ``fake`` tensors without data."""
    name = schema.split("(")[0]
    LIBRARY.define(schema)
    for key in ("CPU", "CUDA"):
        LIBRARY.impl(name, kernel, key)
    torch.library.register_fake(f"otoscope::{name}", fake, lib=LIBRARY)

    def refuse(info: object, in_dims: object, *args: object) -> None:
        raise ParameterError(
            f"otoscope::{name} does not run under torch.vmap: pass it a batch instead"
        )

    torch.library.register_vmap(f"otoscope::{name}", refuse, lib=LIBRARY)


def require_device(name: str, tensor: Tensor, device: torch.device) -> None:
    """Raise ParameterError if a tensor is on another device: nothing is copied silently."""
    if tensor.device != device:
        raise ParameterError(
            f"{name} is on {tensor.device}, the rest is on {device}: move one with .to()"
        )


def share_memory(a: Tensor, b: Tensor) -> bool:
    """Return True if the memory of two tensors overlaps, from first to last element."""
    if a.untyped_storage().data_ptr() != b.untyped_storage().data_ptr():
        return False
    return max(a.data_ptr(), b.data_ptr()) < min(_end(a), _end(b))


def _end(tensor: Tensor) -> int:
    """Return the address after the last element."""
    steps = sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride(), strict=True))
    return tensor.data_ptr() + (steps + 1) * tensor.element_size()

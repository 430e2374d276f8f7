"""The operator library ``torch.ops.otoscope``, and what its operators share.

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
    """Define an operator: one Python function serves both devices, and vmap is refused.

    Parameters
    ----------
    schema : str
        In torch's schema language, without the namespace.
    kernel : callable
        The implementation for CPU and CUDA tensors.
    fake : callable
        The implementation for tensors without data: shapes and types only.

    Examples
    --------
    >>> "occlude" in dir(torch.ops.otoscope)
    True
    """
    name = schema.split("(")[0]
    LIBRARY.define(schema)
    for key in ("CPU", "CUDA"):
        LIBRARY.impl(name, kernel, key)
    torch.library.register_fake(f"otoscope::{name}", fake, lib=LIBRARY)

    def refuse(info: object, in_dims: object, *args: object) -> None:
        raise ParameterError(
            f"otoscope::{name} does not run under torch.vmap: it takes batches itself"
        )

    torch.library.register_vmap(f"otoscope::{name}", refuse, lib=LIBRARY)


def require_device(name: str, tensor: Tensor, device: torch.device) -> None:
    """Refuse a tensor that lies elsewhere: nothing is copied between devices silently.

    Parameters
    ----------
    name : str
        What the tensor is called in the message.
    tensor : Tensor
        The tensor to check.
    device : torch.device
        Where it must be.

    Raises
    ------
    ParameterError
        If it is not there.

    Examples
    --------
    >>> require_device("content", torch.zeros(1), torch.device("cpu"))
    """
    if tensor.device != device:
        raise ParameterError(
            f"{name} is on {tensor.device}, the rest is on {device}: move one with .to()"
        )


def share_memory(a: Tensor, b: Tensor) -> bool:
    """Tell whether two tensors may lie on the same memory, wholly or in part.

    Parameters
    ----------
    a, b : Tensor
        Views of one storage, or not.

    Returns
    -------
    bool
        True if the bytes from the first to the last element overlap.

    Examples
    --------
    >>> x = torch.zeros(4)
    >>> share_memory(x[:3], x[2:]), share_memory(x[:2], x[2:])
    (True, False)
    """
    if a.untyped_storage().data_ptr() != b.untyped_storage().data_ptr():
        return False
    return max(a.data_ptr(), b.data_ptr()) < min(_end(a), _end(b))


def _end(tensor: Tensor) -> int:
    """Address after the last element."""
    steps = sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride(), strict=True))
    return tensor.data_ptr() + (steps + 1) * tensor.element_size()

"""Layers with memory for their weights and no values yet."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import nn

__all__ = ["empty"]

Layer = TypeVar("Layer", bound=nn.Module)


def empty(layer: type[Layer], *sizes: Any, **settings: Any) -> Layer:
    """Make a layer whose weights are written next.

    PyTorch's own initial values would draw from the global generator, and take time. ``skip_init``
    of PyTorch does the same; its ``empty_like`` imports sympy.

    Parameters
    ----------
    layer : type
        Class of the layer.
    *sizes, **settings : object
        Its arguments.

    Returns
    -------
    nn.Module
        Layer with weights on the CPU.

    Examples
    --------
    >>> empty(nn.Linear, 2, 3).weight.shape
    torch.Size([3, 2])
    """
    with torch.device("meta"):
        made = layer(*sizes, **settings)
    for owner in made.modules():
        for name, weight in list(owner.named_parameters(recurse=False)):
            memory = torch.empty(weight.shape, dtype=weight.dtype, device="cpu")
            setattr(owner, name, nn.Parameter(memory, requires_grad=weight.requires_grad))
    return made

"""Arguments in captum's forms: tuples of inputs, baselines, feature masks, targets.

The first dimension of an input counts its examples. A feature mask holds the feature of each cell;
it broadcasts to its input, with 1 row for all examples or one row per example.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, TypeAlias

import torch
from torch import Tensor

from otoscope.errors import ParameterError

__all__ = [
    "ArgumentError",
    "Baseline",
    "CaptumTarget",
    "Inputs",
    "Mask",
    "Scalar",
    "as_baselines",
    "as_masks",
    "as_tuple",
    "like_inputs",
    "number_features",
    "of_example",
    "repeated",
    "repeated_target",
    "select",
    "spread",
]

Inputs: TypeAlias = "Tensor | tuple[Tensor, ...]"
Scalar: TypeAlias = "int | float"
Baseline: TypeAlias = "Tensor | Scalar | tuple[Tensor | Scalar, ...] | None"
Mask: TypeAlias = "Tensor | tuple[Tensor, ...] | None"
CaptumTarget: TypeAlias = (
    "int | tuple[int, ...] | Tensor | list[int] | list[tuple[int, ...]] | None"
)


class ArgumentError(ParameterError, AssertionError):
    """Raised where captum raises an AssertionError; a ParameterError of otoscope as well."""


def as_tuple(inputs: object) -> tuple[Tensor, ...]:
    """Return one input or several as a tuple."""
    tensors = inputs if isinstance(inputs, tuple) else (inputs,)
    for x in tensors:
        if not isinstance(x, Tensor):
            raise ArgumentError(
                f"inputs hold a {type(x).__name__}, must be a Tensor or a tuple of Tensors"
            )
    return tensors


def as_baselines(baselines: object, inputs: Sequence[Tensor]) -> tuple[Tensor | Scalar, ...]:
    """Return one baseline per input, zero by default."""
    if baselines is None:
        return tuple(False if x.dtype is torch.bool else 0 for x in inputs)
    values = baselines if isinstance(baselines, tuple) else (baselines,)
    for value in values:
        if not isinstance(value, Tensor | int | float):
            raise ArgumentError(
                f"baselines hold a {type(value).__name__}, must be Tensors or numbers"
            )
    if len(values) != len(inputs):
        raise ArgumentError(f"there are {len(values)} baselines for {len(inputs)} inputs")
    return values


def like_inputs(
    baselines: Sequence[Tensor | Scalar], inputs: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """Expand baselines to the inputs' shapes, so that a model can take them."""
    return tuple(
        b.expand_as(x) if isinstance(b, Tensor) else torch.full_like(x, b)
        for b, x in zip(baselines, inputs, strict=True)
    )


def as_masks(feature_mask: Mask, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Return one mask per input, of as many dimensions; by default each cell is a feature."""
    if feature_mask is None:
        sizes = [prod(x.shape[1:]) for x in inputs]
        numbers = torch.arange(sum(sizes)).split(sizes)
        return tuple(
            n.reshape(1, *x.shape[1:]).to(x.device) for n, x in zip(numbers, inputs, strict=True)
        )
    masks = tuple(map(_whole, as_tuple(feature_mask)))
    if len(masks) != len(inputs):
        raise ArgumentError(f"there are {len(masks)} feature masks for {len(inputs)} inputs")
    for mask, x in zip(masks, inputs, strict=True):
        sizes_match = zip(reversed(mask.shape), reversed(x.shape), strict=False)
        if mask.ndim > x.ndim or any(m not in (1, size) for m, size in sizes_match):
            raise ArgumentError(
                f"a feature mask has shape {tuple(mask.shape)}, its input {tuple(x.shape)}; "
                "the mask must broadcast to the input"
            )
    return tuple(
        mask.to(x.device).reshape((1,) * (x.ndim - mask.ndim) + mask.shape)
        for mask, x in zip(masks, inputs, strict=True)
    )


def _whole(mask: Tensor) -> Tensor:
    """Return a mask as integers; refuse fractions, which differ between captum's methods."""
    if mask.is_complex() or (mask.is_floating_point() and bool((mask != mask.floor()).any())):
        raise ArgumentError(
            f"a feature mask is {mask.dtype} with fractions, must hold whole numbers or booleans"
        )
    if mask.is_floating_point() and mask.numel() and float(mask.abs().max()) >= 2**63:
        raise ArgumentError("a feature mask holds infinity, must hold whole numbers or booleans")
    return mask.long()


def number_features(masks: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], int]:
    """Renumber the features of all masks 0, 1, ... in ascending order; return their number too."""
    flat = torch.cat([mask.flatten().cpu() for mask in masks])
    values, numbers = flat.unique(return_inverse=True)
    parts = numbers.split([mask.numel() for mask in masks])
    ids = tuple(n.reshape(m.shape).to(m.device) for n, m in zip(parts, masks, strict=True))
    return ids, len(values)


def repeated(argument: Any, times: int) -> Any:
    """Repeat a tensor for each copy of the examples."""
    is_rows = isinstance(argument, Tensor) and argument.ndim
    return torch.cat([argument] * times) if is_rows else argument


def repeated_target(target: CaptumTarget, times: int) -> CaptumTarget:
    """Repeat targets per example; a target for all examples stays."""
    if isinstance(target, Tensor) and target.numel() > 1:
        return torch.cat([target] * times)
    return target * times if isinstance(target, list) else target


def of_example(argument: Any, example: int, n_examples: int) -> Any:
    """Select one example's part of an argument, or of each member of a tuple."""
    if isinstance(argument, tuple):
        return tuple(of_example(member, example, n_examples) for member in argument)
    is_sequence = isinstance(argument, list) or (isinstance(argument, Tensor) and argument.ndim)
    if is_sequence and len(argument) == n_examples:
        return argument[example : example + 1]
    return argument


def select(output: Any, target: CaptumTarget) -> Any:
    """Select one number per example from an output [batch, ...]; without a target, all of it."""
    if target is None:
        return output
    if not isinstance(output, Tensor) or not output.ndim:
        raise ArgumentError(f"target is {target!r}, but the forward function returns one number")
    if isinstance(target, Tensor):
        if target.numel() != 1 and target.shape != output.shape[:1]:
            raise ArgumentError(
                f"target has shape {tuple(target.shape)}, the output {tuple(output.shape)}"
            )
        target = target.tolist() if target.ndim and target.numel() > 1 else int(target.item())
    if isinstance(target, int):
        target = (target,)
    if isinstance(target, tuple):
        if len(target) >= output.ndim:
            raise ArgumentError(f"target is {target}, the output has shape {tuple(output.shape)}")
        index: tuple[Any, ...] = (slice(None), *target)
        return output[index]
    return _select_each(output, target)


def _select_each(output: Tensor, target: Any) -> Tensor:
    if not isinstance(target, list) or len(target) != len(output):
        raise ArgumentError(
            f"target is {target!r}, must be an index, a tuple of indices, or a list or Tensor of "
            f"{len(output)}, one per example"
        )
    if all(isinstance(index, int) for index in target):
        if output.ndim != 2:
            raise ArgumentError(
                f"target is a list of indices, the output has shape {tuple(output.shape)}; "
                "it must be [batch, output]"
            )
        chosen = torch.tensor(target, device=output.device)
        return output.gather(1, chosen[:, None])[:, 0]
    if not all(isinstance(index, tuple) for index in target):
        raise ArgumentError(f"target is {target!r}, must hold indices or tuples of indices")
    indices: list[tuple[int, ...]] = target
    return torch.stack([row[index] for row, index in zip(output, indices, strict=True)])


def spread(values: Tensor, ids: Tensor, shape: Sequence[int]) -> Tensor:
    """Map values [row, ..., feature] to the cells of an input, by their feature ids.

    ``ids`` is [1 or row, ...] and broadcasts to the input; the result is [row, ..., cells of an
    example], and empty where the input has no cells.
    """
    cells = tuple(shape[1:])
    if 0 in shape:
        return values.new_zeros(*values.shape[:-1], *cells)
    ids, values = ids.expand(len(ids), *cells), values.to(ids.device)
    if len(ids) == 1:
        return values[..., ids[0]]
    if len(ids) != len(values):
        raise ArgumentError(
            f"the feature mask differs between {len(ids)} examples, but the forward function "
            f"returns {len(values)} values; give one mask for all, [1, ...]"
        )
    return torch.stack([value[..., cells_of] for value, cells_of in zip(values, ids, strict=True)])

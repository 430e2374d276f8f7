"""Arguments in captum's forms: tuples of inputs, baselines, feature masks, targets.

The first dimension of an input counts its examples. A feature mask says which feature each cell
belongs to; it broadcasts to its input, with 1 row for all examples or one each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from otoscope.errors import ParameterError

__all__ = [
    "ArgumentError",
    "Baseline",
    "Inputs",
    "Mask",
    "Scalar",
    "Target",
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
Target: TypeAlias = "int | tuple[int, ...] | Tensor | list[int] | list[tuple[int, ...]] | None"


class ArgumentError(ParameterError, AssertionError):
    """An argument that captum refuses with an AssertionError; otoscope's ParameterError as well."""


def as_tuple(inputs: object) -> tuple[Tensor, ...]:
    """Take one input or several as a tuple."""
    given = inputs if isinstance(inputs, tuple) else (inputs,)
    for one in given:
        if not isinstance(one, Tensor):
            raise ArgumentError(
                f"inputs hold a {type(one).__name__}, must be a Tensor or a tuple of Tensors"
            )
    return given


def as_baselines(baselines: object, inputs: Sequence[Tensor]) -> tuple[Tensor | Scalar, ...]:
    """Give each input its baseline: zero if none is given."""
    if baselines is None:
        return tuple(False if one.dtype is torch.bool else 0 for one in inputs)
    given = baselines if isinstance(baselines, tuple) else (baselines,)
    for one in given:
        if not isinstance(one, Tensor | int | float):
            raise ArgumentError(
                f"baselines hold a {type(one).__name__}, must be Tensors or numbers"
            )
    if len(given) != len(inputs):
        raise ArgumentError(f"there are {len(given)} baselines for {len(inputs)} inputs")
    return given


def like_inputs(
    baselines: Sequence[Tensor | Scalar], inputs: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """Write baselines out as tensors to which a forward function can be applied."""
    return tuple(
        b.expand_as(x) if isinstance(b, Tensor) else torch.full_like(x, b)
        for b, x in zip(baselines, inputs, strict=True)
    )


def as_masks(feature_mask: Mask, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Give each input its mask, with as many dimensions; without one, each cell is a feature."""
    if feature_mask is None:
        sizes = [one[:1].numel() for one in inputs]
        numbers = torch.arange(sum(sizes)).split(sizes)
        return tuple(
            n.reshape(x[:1].shape).to(x.device) for n, x in zip(numbers, inputs, strict=True)
        )
    given = as_tuple(feature_mask)
    if len(given) != len(inputs):
        raise ArgumentError(f"there are {len(given)} feature masks for {len(inputs)} inputs")
    for mask, one in zip(given, inputs, strict=True):
        sizes_match = zip(reversed(mask.shape), reversed(one.shape), strict=False)
        if mask.ndim > one.ndim or any(m not in (1, size) for m, size in sizes_match):
            raise ArgumentError(
                f"a feature mask has shape {tuple(mask.shape)}, its input {tuple(one.shape)}; "
                "it must broadcast to it"
            )
    return tuple(
        mask.to(one.device).reshape((1,) * (one.ndim - mask.ndim) + mask.shape)
        for mask, one in zip(given, inputs, strict=True)
    )


def number_features(masks: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], int]:
    """Number whatever values the masks hold 0, 1, ... in ascending order, across inputs."""
    flat = torch.cat([mask.flatten().cpu() for mask in masks])
    values, numbers = flat.unique(return_inverse=True)
    parts = numbers.split([mask.numel() for mask in masks])
    ids = tuple(n.reshape(m.shape).to(m.device) for n, m in zip(parts, masks, strict=True))
    return ids, len(values)


def repeated(argument: Any, times: int) -> Any:
    """Repeat a tensor for each copy of the examples."""
    is_rows = isinstance(argument, Tensor) and argument.ndim
    return torch.cat([argument] * times) if is_rows else argument


def repeated_target(target: Target, times: int) -> Target:
    """Repeat targets of one each; one for all stays as it is."""
    if isinstance(target, Tensor) and target.numel() > 1:
        return torch.cat([target] * times)
    return target * times if isinstance(target, list) else target


def of_example(argument: Any, example: int, n_examples: int) -> Any:
    """Take one example's part of an argument, or of each member of a tuple."""
    if isinstance(argument, tuple):
        return tuple(of_example(member, example, n_examples) for member in argument)
    is_sequence = isinstance(argument, list) or (isinstance(argument, Tensor) and argument.ndim)
    if is_sequence and len(argument) == n_examples:
        return argument[example : example + 1]
    return argument


def select(output: Any, target: Target) -> Any:
    """Choose one number of each example's output.

    Parameters
    ----------
    output : Tensor [batch, ...] or number
        What the forward function returned; a number only without a target.
    target : int, tuple, Tensor, list, or None
        An index or a tuple of them for all examples, or a list or Tensor of one each.

    Returns
    -------
    Tensor or number
        [batch, ...] without the dimensions that the target chose from.

    Raises
    ------
    ArgumentError
        If the target is of another form, or of another length than the output.

    Examples
    --------
    >>> select(torch.arange(6.0).reshape(2, 3), [0, 2])
    tensor([0., 5.])
    """
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
        places: tuple[Any, ...] = (slice(None), *target)
        return output[places]
    return _select_each(output, target)


def _select_each(output: Tensor, target: Any) -> Tensor:
    if not isinstance(target, list) or len(target) != len(output):
        raise ArgumentError(
            f"target is {target!r}, must be an index, a tuple of indices, or a list or Tensor of "
            f"{len(output)}, one an example"
        )
    if all(isinstance(one, int) for one in target):
        if output.ndim != 2:
            raise ArgumentError(
                f"target is a list of indices, the output has shape {tuple(output.shape)}; "
                "it must be [batch, output]"
            )
        chosen = torch.tensor(target, device=output.device)
        return output.gather(1, chosen[:, None])[:, 0]
    if not all(isinstance(one, tuple) for one in target):
        raise ArgumentError(f"target is {target!r}, must hold indices or tuples of indices")
    places: list[tuple[int, ...]] = target
    return torch.stack([row[one] for row, one in zip(output, places, strict=True)])


def spread(values: Tensor, ids: Tensor, shape: Sequence[int]) -> Tensor:
    """Give each cell of an input its feature's value.

    Parameters
    ----------
    values : Tensor [row, ..., feature]
        A row for each output of the forward function.
    ids : Tensor [1 or row, ...]
        The feature of each cell; broadcasts to the input.
    shape : sequence of int
        Of the input.

    Returns
    -------
    Tensor [row, ..., cells of an example]
        Zero where the input has no cells.

    Raises
    ------
    ArgumentError
        If there is a mask for each example, but not an output.

    Examples
    --------
    >>> spread(torch.tensor([[5.0, 7.0]]), torch.tensor([[1, 0, 1]]), (4, 3))
    tensor([[7., 5., 7.]])
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
    return torch.stack([value[..., one] for value, one in zip(values, ids, strict=True)])

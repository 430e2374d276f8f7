"""Games: a forward function as a cooperative game, whose players are features of its inputs.

A feature that stays has the input's values, a removed one the baseline's. ``keep`` is bool
[coalition, feature] (True stays); a batch holds coalition after coalition, each with all examples.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from otoscope import ops
from otoscope.adapters.captum._arguments import (
    ArgumentError,
    CaptumTarget,
    Scalar,
    repeated,
    repeated_target,
    select,
)
from otoscope.explain.shared import NotTraced, SharedForward
from otoscope.protocols import among_louder, batch_dependence, dependence_text
from otoscope.protocols.signature import is_module

__all__ = ["Game", "evaluate_coalitions", "in_parts", "number"]

_ROWS, _CELLS = 4096, 1 << 24  # most coalitions, and coalitions x features, per part of a table
_MOST_SHARED = 256  # features; with more, a shared pass costs more than it saves
_EXCERPTS = 4  # examples per shared pass
_TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}  # relative to the largest output


@dataclass(eq=False)
class Game:
    """A forward function and all its arguments except the coalitions."""

    forward_func: Callable[..., Any]  # of the inputs, then of the additional arguments
    inputs: tuple[Tensor, ...]  # [example, ...]
    baselines: tuple[Tensor | Scalar, ...]  # values of removed features; broadcast to the inputs
    ids: tuple[Tensor, ...]  # feature of each cell, from 0; broadcast to the inputs
    target: CaptumTarget
    additional: tuple[Any, ...]  # tensors are repeated with the inputs
    per_eval: int  # coalitions per forward pass

    def evaluate(self, inputs: tuple[Tensor, ...], times: int = 1) -> Any:
        """Call the forward function on ``times`` copies of the examples and select the target."""
        more = tuple(repeated(argument, times) for argument in self.additional)
        own = [x.clone() for x in inputs]  # a forward function may write into its inputs
        return select(self.forward_func(*own, *more), repeated_target(self.target, times))

    def perturbed(self, keep: Tensor) -> tuple[Tensor, ...]:
        """Make the inputs of some coalitions."""
        rows = []
        for x, baseline, ids in zip(self.inputs, self.baselines, self.ids, strict=True):
            stays = keep.to(x.device)[:, ids]
            rows.append(torch.where(stays, x, baseline).flatten(0, 1))
        return tuple(rows)


def evaluate_coalitions(
    game: Game, parts: Iterable[Tensor], like: Tensor, progress: Callable[[int], None]
) -> Tensor:
    """Return the output of each coalition, shaped like ``like``: Tensor [coalition, ...].

    One shared forward pass serves an nn.Module in eval mode with one input of floats and one
    feature mask for all examples; otherwise the forward function is called on batches of
    ``per_eval`` coalitions. ``parts`` are the coalitions, some at a time; ``progress`` is called
    with the number of coalitions that were evaluated.
    """
    outputs: list[Tensor] = []
    forward = _shared(game, like)
    for keep in parts:
        output = None if forward is None else _share(game, forward, keep)
        if output is not None and not outputs:
            output = output if _agrees(output[:1], game, keep[:1], like) else None
        if output is None:
            forward, output = None, torch.cat(list(_by_batches(game, keep, like, progress)))
        else:
            progress(len(keep))
        if forward is None and not outputs:
            _warn_if_rows_meet(game, keep, output, like)
        outputs.append(output)
    return torch.cat(outputs) if outputs else like.new_zeros(0, *like.shape)


def in_parts(n_rows: int, n_features: int) -> Iterator[tuple[int, int]]:
    """Yield the first row and one past the last of each part of a table of coalitions."""
    step = max(1, min(_ROWS, _CELLS // max(1, n_features)))
    for first in range(0, n_rows, step):
        yield first, min(first + step, n_rows)


def number(output: object) -> Tensor:
    """Return a forward function's output as a tensor."""
    if isinstance(output, Tensor):
        return output.clone()  # a forward function may write the next into the same memory
    if not isinstance(output, int | float):
        raise ArgumentError(
            f"forward_func returned a {type(output).__name__}, must be a Tensor or a number"
        )
    return torch.tensor(output, dtype=torch.int64 if isinstance(output, int) else torch.float64)


def _by_batches(
    game: Game, keep: Tensor, like: Tensor, progress: Callable[[int], None]
) -> Iterator[Tensor]:
    for rows in keep.split(game.per_eval):
        output = number(game.evaluate(game.perturbed(rows), len(rows)))
        grown = (len(rows) * like.shape[0], *like.shape[1:]) if like.ndim else ()
        if game.per_eval > 1 and (not grown or output.shape != grown):
            raise ArgumentError(
                f"perturbations_per_eval is {game.per_eval}, so the output must grow with the "
                f"batch; it has shape {tuple(like.shape)} for one perturbation and "
                f"{tuple(output.shape)} for {len(rows)}: use perturbations_per_eval=1"
            )
        progress(len(rows))
        yield output.reshape(len(rows), *like.shape)


def _warn_if_rows_meet(game: Game, keep: Tensor, outputs: Tensor, like: Tensor) -> None:
    """Warn if the outputs for a coalition depend on the others of its pass."""

    def again(first: int, last: int) -> Tensor:
        alone = replace(game, per_eval=last - first)
        return torch.cat(list(_by_batches(alone, keep[first:last], like, lambda done: None)))

    step = min(game.per_eval, len(keep))
    floats = [x.dtype for x in game.inputs if x.is_floating_point()]
    least = max(floats, key=lambda dtype: torch.finfo(dtype).eps, default=None)

    def beside() -> Tensor:
        ends = [x.unflatten(0, (2, -1)) for x in game.perturbed(keep[[0, -1]])]
        rows = tuple(among_louder(x).flatten(0, 1) for x in ends)
        return number(game.evaluate(rows, 4)).reshape(4, *like.shape)[1:-1]

    is_float = len(floats) == len(game.inputs) and like.ndim > 0
    if dependence := batch_dependence(
        again, outputs, step, inputs=least, beside=beside if is_float else None
    ):
        text = dependence_text(dependence, "a coalition")
        remedy = "" if dependence == "random" else "; perturbations_per_eval=1 evaluates each alone"
        warnings.warn(f"{text}{remedy}", stacklevel=4)


def _shared(game: Game, like: Tensor) -> SharedForward | None:
    model, x, baseline = game.forward_func, game.inputs[0], game.baselines[0]
    fits = (
        is_module(model)
        and isinstance(model, nn.Module)
        and not any(part.training for part in model.modules())
        and len(game.inputs) == 1
        and not game.additional
        and x.ndim > 2
        and x.numel() > 0
        and x.is_floating_point()
        and torch.result_type(x, baseline) == x.dtype
        and len(game.ids[0]) == 1
        and int(game.ids[0].max()) < _MOST_SHARED
        and like.shape[:1] == x.shape[:1]
    )
    if not fits:
        return None
    try:
        batch = 8 if x.device.type == "cpu" else 256
        return SharedForward(model, x.shape[1:], x.dtype, x.device, batch)
    except NotTraced:
        return None


def _share(game: Game, forward: SharedForward, keep: Tensor) -> Tensor | None:
    """Return outputs [coalition, example, ...], or None if the model has no row per example."""
    x = game.inputs[0]
    baseline = torch.as_tensor(game.baselines[0], dtype=x.dtype, device=x.device)
    ids, rows = game.ids[0].expand(1, *x.shape[1:])[0], ops.pack(keep.contiguous()).to(x.device)
    pairs = zip(x.split(_EXCERPTS), baseline.expand_as(x).split(_EXCERPTS), strict=True)
    try:
        parts = [forward(examples, content, ids, rows) for examples, content in pairs]
    except NotTraced:
        return None
    raw = torch.cat(parts).transpose(0, 1)
    if raw.shape[:2] != (len(keep), len(x)):
        return None
    output: Tensor = select(raw.flatten(0, 1), repeated_target(game.target, len(keep)))
    return output.reshape(*raw.shape[:2], *output.shape[1:])


def _agrees(shared: Tensor, game: Game, keep: Tensor, like: Tensor) -> bool:
    """Compare a shared and a plain pass: they differ if examples of a batch interact."""
    plain = next(_by_batches(replace(game, per_eval=1), keep, like, lambda done: None))
    tolerance = _TOLERANCE.get(shared.dtype, 1e-2) * float(plain.abs().max())
    return shared.shape == plain.shape and bool(((shared - plain).abs() <= tolerance).all())

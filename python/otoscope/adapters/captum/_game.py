"""A forward function as a cooperative game: features of its inputs join, its output is the worth.

A feature that stays has the input's values, another one the baseline's. Conventions: ``keep`` is
bool [coalition, feature], True stays; a batch holds coalition after coalition, each with all
examples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from otoscope import ops
from otoscope.adapters.captum._arguments import (
    ArgumentError,
    Scalar,
    Target,
    repeated,
    repeated_target,
    select,
)
from otoscope.explain.shared import NotTraced, SharedForward

__all__ = ["Game", "evaluate_coalitions", "in_parts", "number"]

_ROWS, _CELLS = 4096, 1 << 24  # of a table of coalitions that is held at once
_MOST_SHARED = 256  # features; with more, a shared pass needs longer than it saves
_EXCERPTS = 4  # that share a pass
_TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}  # of the largest output


@dataclass(eq=False)
class Game:
    """What is asked of a forward function, but for the coalitions.

    Parameters
    ----------
    forward_func : callable
        Of the inputs and the additional arguments.
    inputs : tuple of Tensor
        Example by example.
    baselines : tuple of Tensor or number
        What stands where a feature is off; each broadcasts to its input.
    ids : tuple of Tensor
        The feature of each cell, from 0; each broadcasts to its input.
    target : int, tuple, Tensor, list, or None
        Which output counts.
    additional : tuple
        Further arguments; tensors are repeated with the inputs.
    per_eval : int
        Coalitions a forward pass.
    """

    forward_func: Callable[..., Any]
    inputs: tuple[Tensor, ...]
    baselines: tuple[Tensor | Scalar, ...]
    ids: tuple[Tensor, ...]
    target: Target
    additional: tuple[Any, ...]
    per_eval: int

    def ask(self, inputs: tuple[Tensor, ...], times: int = 1) -> Any:
        """Call the forward function on ``times`` copies of the examples and choose the target."""
        more = tuple(repeated(argument, times) for argument in self.additional)
        return select(self.forward_func(*inputs, *more), repeated_target(self.target, times))

    def perturbed(self, keep: Tensor) -> tuple[Tensor, ...]:
        """Write out the inputs of some coalitions."""
        rows = []
        for one, baseline, ids in zip(self.inputs, self.baselines, self.ids, strict=True):
            stays = keep.to(one.device)[:, ids]
            rows.append(torch.where(stays, one, baseline).flatten(0, 1))
        return tuple(rows)


def evaluate_coalitions(
    game: Game, parts: Iterable[Tensor], like: Tensor, progress: Callable[[int], None]
) -> Tensor:
    """Give the worth of each coalition, by one shared forward pass if that can be.

    It can for an nn.Module in eval mode with one input of floats and one feature mask for all
    examples; otherwise the forward function is called on batches of ``per_eval`` coalitions.

    Parameters
    ----------
    game : Game
        What to ask.
    parts : iterable of Tensor [coalition, feature], bool
        The coalitions, some at a time.
    like : Tensor
        The output for one coalition.
    progress : callable
        Told how many coalitions were done.

    Returns
    -------
    Tensor [coalition, ...]
        Each as ``like``.

    Raises
    ------
    ArgumentError
        If the output does not grow with the batch as it must.

    Examples
    --------
    >>> x, ids = torch.tensor([[1.0, 5.0]]), torch.tensor([[0, 1]])
    >>> game = Game(lambda x: x.sum(1), (x,), (0.0,), (ids,), None, (), 1)
    >>> keep = torch.tensor([[True, True], [True, False]])
    >>> evaluate_coalitions(game, [keep], torch.zeros(1), lambda done: None)
    tensor([[6.],
            [1.]])
    """
    answers: list[Tensor] = []
    forward = _shared(game, like)
    for keep in parts:
        found = None if forward is None else _share(game, forward, keep)
        if found is not None and not answers:
            found = found if _agrees(found[:1], game, keep[:1], like) else None
        if found is None:
            forward, found = None, torch.cat(list(_plainly(game, keep, like, progress)))
        else:
            progress(len(keep))
        answers.append(found)
    return torch.cat(answers) if answers else like.new_zeros(0, *like.shape)


def in_parts(n_rows: int, n_features: int) -> Iterator[tuple[int, int]]:
    """Split a table of coalitions so that a part is not too large: first and last row + 1."""
    step = max(1, min(_ROWS, _CELLS // max(1, n_features)))
    for first in range(0, n_rows, step):
        yield first, min(first + step, n_rows)


def number(output: object) -> Tensor:
    """Take a forward function's output as a tensor."""
    if isinstance(output, Tensor):
        return output
    if not isinstance(output, int | float):
        raise ArgumentError(
            f"forward_func returned a {type(output).__name__}, must be a Tensor or a number"
        )
    return torch.tensor(output, dtype=torch.int64 if isinstance(output, int) else torch.float64)


def _plainly(
    game: Game, keep: Tensor, like: Tensor, progress: Callable[[int], None]
) -> Iterator[Tensor]:
    for rows in keep.split(game.per_eval):
        output = number(game.ask(game.perturbed(rows), len(rows)))
        grown = (len(rows) * like.shape[0], *like.shape[1:]) if like.ndim else ()
        if game.per_eval > 1 and (not grown or output.shape != grown):
            raise ArgumentError(
                f"perturbations_per_eval is {game.per_eval}, so the output must grow with the "
                f"batch; it has shape {tuple(like.shape)} for one perturbation and "
                f"{tuple(output.shape)} for {len(rows)}: use perturbations_per_eval=1"
            )
        progress(len(rows))
        yield output.reshape(len(rows), *like.shape)


def _shared(game: Game, like: Tensor) -> SharedForward | None:
    model, one, baseline = game.forward_func, game.inputs[0], game.baselines[0]
    fits = (
        isinstance(model, nn.Module)
        and not any(part.training for part in model.modules())
        and len(game.inputs) == 1
        and not game.additional
        and one.ndim > 2
        and one.numel() > 0
        and one.is_floating_point()
        and torch.result_type(one, baseline) == one.dtype
        and len(game.ids[0]) == 1
        and int(game.ids[0].max()) < _MOST_SHARED
        and like.shape[:1] == one.shape[:1]
    )
    if not fits:
        return None
    try:
        batch = 8 if one.device.type == "cpu" else 256
        return SharedForward(model, one.shape[1:], one.dtype, one.device, batch)
    except NotTraced:
        return None


def _share(game: Game, forward: SharedForward, keep: Tensor) -> Tensor | None:
    """Outputs [coalition, example, ...], or None if the model does not return a row for each."""
    one = game.inputs[0]
    baseline = torch.as_tensor(game.baselines[0], dtype=one.dtype, device=one.device)
    ids, rows = game.ids[0].expand(1, *one.shape[1:])[0], ops.pack(keep.contiguous()).to(one.device)
    pairs = zip(one.split(_EXCERPTS), baseline.expand_as(one).split(_EXCERPTS), strict=True)
    try:
        parts = [forward(examples, content, ids, rows) for examples, content in pairs]
    except NotTraced:
        return None
    raw = torch.cat(parts).transpose(0, 1)
    if raw.shape[:2] != (len(keep), len(one)):
        return None
    output: Tensor = select(raw.flatten(0, 1), repeated_target(game.target, len(keep)))
    return output.reshape(*raw.shape[:2], *output.shape[1:])


def _agrees(found: Tensor, game: Game, keep: Tensor, like: Tensor) -> bool:
    """Whether a shared pass gives what a plain one does: not if examples of a batch interact."""
    wanted = next(_plainly(replace(game, per_eval=1), keep, like, lambda done: None))
    tolerance = _TOLERANCE.get(found.dtype, 1e-2) * float(wanted.abs().max())
    return found.shape == wanted.shape and bool(((found - wanted).abs() <= tolerance).all())

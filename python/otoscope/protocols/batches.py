"""Whether the outputs of a model depend on the batches in which they are computed."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from otoscope.errors import ParameterError

__all__ = ["Rows", "among_louder", "batch_dependence", "dependence_text"]

_ROUNDING = {torch.float64: 1e-9, torch.float32: 1e-4}  # relative to the largest output


def batch_dependence(
    evaluate: Callable[[int, int], Tensor],
    outputs: Tensor,
    step: int,
    *,
    inputs: torch.dtype | None = None,
    beside: Callable[[], Tensor] | None = None,
) -> Literal["", "random", "batch"]:
    """Find out whether outputs depend on the batches in which they were computed.

    Parameters
    ----------
    evaluate : callable
        Function (first row, one past the last) -> outputs of these rows, computed as one batch.
    outputs : Tensor [row, output]
        Outputs computed in batches of ``step`` rows.
    step : int
        Size of these batches.
    inputs : torch.dtype, optional
        Type of the model's inputs, which may be less exact than that of its outputs.
    beside : callable, optional
        Evaluates the first row and the last in a batch with louder ones, see `among_louder`, and
        returns their outputs: a largest value over the batch changes the quiet rows alone. A model
        that refuses such rows is not asked further.

    Returns
    -------
    {"", "random", "batch"}
        Empty if two rows have the same outputs in another batch, up to rounding; "random" if the
        same batch has other outputs when it is evaluated again; otherwise "batch". A single row is
        evaluated again.

    Examples
    --------
    >>> rows = torch.tensor([[1.0], [2.0], [5.0]])
    >>> centred = lambda first, last: rows[first:last] - rows[first:last].mean()
    >>> batch_dependence(centred, centred(0, 3), step=3)
    'batch'
    """
    n = len(outputs)
    if n == 0 or step < min(n, 2):  # each row was alone in its batch
        return ""
    first = step - 1 if step < n else 0  # one row of either batch, or fewer rows than before
    last = first + (2 if n > 2 else 1)
    known, other = outputs[first:last].cpu(), evaluate(first, last)
    is_exact = other.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
    types = (other.dtype, inputs or other.dtype)
    tolerance = max(_ROUNDING.get(dtype, 1e-2) for dtype in types) if is_exact else 1e-2
    scale = float(outputs[outputs.isfinite()].abs().max()) if outputs.isfinite().any() else 0.0

    def agree(a: Tensor, b: Tensor) -> bool:
        return torch.allclose(
            a.double().cpu(), b.double().cpu(), rtol=0, atol=tolerance * scale, equal_nan=True
        )

    if not agree(known, other):
        return "batch" if n > 1 and agree(other, evaluate(first, last)) else "random"
    if beside is None:
        return ""
    try:
        other = beside()
    except ParameterError:
        return ""
    if agree(outputs[[0, -1]], other):
        return ""
    return "batch" if agree(other, beside()) else "random"


def among_louder(rows: Tensor) -> Tensor:
    """Put rows between two beyond their range: the last one raised, and lowered.

    Parameters
    ----------
    rows : Tensor [row, ...]
        Inputs of a floating type.

    Returns
    -------
    Tensor [row + 2, ...]
        Inputs for a batch.

    Examples
    --------
    >>> among_louder(torch.tensor([[0.0], [1.0]])).tolist()
    [[10.0], [0.0], [1.0], [-8.0]]
    """
    shift = 8 * rows.abs().amax() + 1
    return torch.cat([rows[-1:] + shift, rows, rows[-1:] - shift])


class Rows:
    """Evaluate batches of rows, each row alone once outputs were seen to depend on the batch.

    Parameters
    ----------
    evaluate : callable
        Function of a batch [row, ...] that returns outputs [row, ...].
    row : str
        What the rows are, for the warning: "an excerpt".

    Examples
    --------
    >>> rows = Rows(lambda batch: batch * 2, "a number")
    >>> rows(torch.ones(3, 1)).tolist()
    [[2.0], [2.0], [2.0]]
    """

    def __init__(self, evaluate: Callable[[Tensor], Tensor], row: str) -> None:
        self._evaluate, self._row = evaluate, row
        self._is_checked = self._is_alone = False

    def __call__(self, batch: Tensor, step: int | None = None) -> Tensor:
        """Return the outputs of rows, evaluated ``step`` at a time, by default at once."""
        step = step or max(1, len(batch))
        outputs = self._in_batches(batch, 1 if self._is_alone else step)
        if self._is_checked or step == 1 or len(batch) < 2:
            return outputs
        self._is_checked = True
        dependence = batch_dependence(
            lambda first, last: self._evaluate(batch[first:last]),
            outputs,
            step,
            beside=lambda: self._evaluate(among_louder(batch[[0, -1]]))[1:-1],
        )
        text = dependence_text(dependence, self._row)
        if dependence == "random":
            warnings.warn(text, stacklevel=3)
        elif dependence:
            warnings.warn(f"{text}; each is evaluated alone", stacklevel=3)
            self._is_alone = True
            outputs = self._in_batches(batch, 1)
        return outputs

    def _in_batches(self, batch: Tensor, step: int) -> Tensor:
        return torch.cat([self._evaluate(part) for part in batch.split(step)])


def dependence_text(dependence: str, row: str) -> str:
    """Say what `batch_dependence` returned of the outputs for a row, such as "a sound".

    Parameters
    ----------
    dependence : {"random", "batch"}
        What was returned.
    row : str
        What the rows of a batch are.

    Returns
    -------
    str
        Clause of a warning.

    Examples
    --------
    >>> dependence_text("batch", "a sound")
    'the outputs for a sound depend on the others of its batch'
    """
    if dependence == "random":
        return "the model is random: it has other outputs when the same batch comes again"
    return f"the outputs for {row} depend on the others of its batch"

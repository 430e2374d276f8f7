"""Whether the outputs of a model depend on the batches in which they are computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

__all__ = ["batch_dependence", "dependence_text"]

_ROUNDING = {torch.float64: 1e-9, torch.float32: 1e-4}  # relative to the largest output


def batch_dependence(
    evaluate: Callable[[int, int], Tensor],
    outputs: Tensor,
    step: int,
    *,
    inputs: torch.dtype | None = None,
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

    if agree(known, other):
        return ""
    return "batch" if n > 1 and agree(other, evaluate(first, last)) else "random"


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

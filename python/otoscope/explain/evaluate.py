"""The table of an explanation: the model's outputs for each coalition, batch by batch.

The model is any callable, [batch, 1, frame, mel] -> [batch, output] or [batch].
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from otoscope import ops
from otoscope.errors import ParameterError
from otoscope.explain.segments import Segments
from otoscope.protocols import Model, call_model, device_of

__all__ = [
    "batch_size",
    "evaluate",
    "model_name",
    "require_finite",
    "require_same_device",
]


def evaluate(
    model: Model,
    values: Tensor,
    content: Tensor | ops.Noise,
    segments: ops.SegmentMap,
    coalitions: ops.Coalitions,
    *,
    max_batch: int | None = None,
) -> Iterator[Tensor]:
    """Ask the model about every coalition of a patch.

    Parameters
    ----------
    model : callable
        [batch, 1, frame, mel] -> [batch, output] or [batch].
    values : Tensor [frame, mel]
        The patch.
    content : Tensor or ops.Noise
        What stands where a segment is off; noise is drawn by the coalition's row.
    segments : ops.SegmentMap
        The id of each cell.
    coalitions : ops.Coalitions
        Which segments stay.
    max_batch : int, optional
        Coalitions a forward pass; `batch_size` says how many if not given.

    Yields
    ------
    Tensor [batch, output]
        float64 on the CPU, in the order of the coalitions.

    Raises
    ------
    ParameterError
        If the model fails, or returns something else than a row for each excerpt.

    Examples
    --------
    >>> rows = ops.coalitions(2, "exact")
    >>> ids = ops.SegmentMap(torch.tensor([[0], [1]]))
    >>> list(evaluate(lambda x: x.sum((1, 2, 3)), torch.tensor([[1.0], [5.0]]), torch.tensor(0.0),
    ...               ids, rows))[0].T
    tensor([[0., 1., 5., 6.]], dtype=torch.float64)
    """
    step = batch_size(values.device, max_batch)
    for first in range(0, len(coalitions), step):
        drawn = content
        if isinstance(content, ops.Noise):
            drawn = replace(content, first_sample=content.first_sample + first)
        excerpts = ops.occlude(values, drawn, segments, coalitions[first : first + step])
        yield call_model(model, excerpts[:, None]).double().cpu()


def batch_size(device: torch.device, max_batch: int | None) -> int:
    """How many coalitions go through the model at once.

    Parameters
    ----------
    device : device
        Where the patch is.
    max_batch : int, optional
        The user's wish; without one 8 on the CPU, whose caches hold no more, else 256.

    Returns
    -------
    int
        At least 1.

    Raises
    ------
    ParameterError
        If ``max_batch`` is below 1.

    Examples
    --------
    >>> batch_size(torch.device("cpu"), None)
    8
    """
    if max_batch is not None and max_batch < 1:
        raise ParameterError(f"max_batch is {max_batch}, must be >= 1")
    return max_batch or (8 if device.type == "cpu" else 256)


def require_finite(
    outputs: Tensor, targets: list[str], coalitions: ops.Coalitions, segments: Segments
) -> None:
    """Refuse a table with a number that is NaN or infinite.

    Parameters
    ----------
    outputs : Tensor [coalition, target]
        The model's outputs.
    targets : list of str
        Their names.
    coalitions : ops.Coalitions
        Which segments stayed.
    segments : Segments
        Their names.

    Raises
    ------
    ParameterError
        Names the first such number, its target, and the segments that were off.

    Examples
    --------
    >>> from otoscope.explain.segments import temporal
    >>> from otoscope.protocols import Patch
    >>> cut = temporal(2)(Patch(torch.zeros(2, 1)))
    >>> require_finite(torch.zeros(4, 1), ["singing"], ops.coalitions(2, "exact"), cut)
    """
    bad = (~outputs.isfinite()).nonzero()
    if len(bad):
        row, column = bad[0].tolist()
        kept = coalitions[row : row + 1].unpack()[0].tolist()
        off = [e.name for e, stays in zip(segments.extents, kept, strict=True) if not stays]
        raise ParameterError(
            f"output {targets[column]!r} is {float(outputs[row, column])} for the patch "
            f"{'without ' + ', '.join(off) if off else 'as it is'}; each coalition needs a finite "
            "output: check the model and the content"
        )


def require_same_device(model: object, patch: Tensor) -> None:
    """Refuse a model and a patch on different devices.

    Parameters
    ----------
    model : object
        A module's device is that of its first parameter or buffer.
    patch : Tensor
        The patch's values.

    Raises
    ------
    ParameterError
        If they differ; names both.

    Examples
    --------
    >>> require_same_device(nn.Linear(1, 1), torch.zeros(1))
    """
    device = device_of(model, default=patch.device)
    if device != patch.device:
        raise ParameterError(
            f"the model is on {device}, the patch on {patch.device}; move one of them: "
            f"model.to({str(patch.device)!r}) or values.to({str(device)!r})"
        )


def model_name(model: object) -> str:
    """Name a model for records and reports.

    Parameters
    ----------
    model : object
        Its ``name`` if that is a text, as a `Listener`'s is; else a function's or a class's name.

    Returns
    -------
    str
        Never empty.

    Examples
    --------
    >>> model_name(nn.Linear(1, 1)), model_name(torch.sigmoid)
    ('Linear', 'sigmoid')
    """
    names = (getattr(model, "name", None), getattr(model, "__name__", None))
    given = [name for name in names if isinstance(name, str) and name]
    return given[0] if given else type(model).__name__

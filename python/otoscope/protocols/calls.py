"""Guarded calls of a model: eval mode, error messages, checks of the outputs."""

from __future__ import annotations

import hashlib
import math
import traceback
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

from otoscope.errors import (
    IN_MODEL_FILE,
    Advice,
    Argument,
    CudaUnavailable,
    MissingExtra,
    ParameterError,
    Terminated,
)
from otoscope.protocols.outputs import as_outputs
from otoscope.protocols.reach import module_of, modules_of

__all__ = [
    "Model",
    "call_guarded",
    "call_model",
    "check_outputs",
    "device_of",
    "dtype_of",
    "outputs_not_finite",
    "weights_digest",
]

Model: TypeAlias = Callable[[Tensor], Any]
"""Any function of a batch, a network or not: Tensor [batch, ...] -> outputs, see `as_outputs`."""


def call_model(
    model: Model,
    batch: Tensor,
    *,
    axes: str = "[batch, 1, frame, mel]",
    frames: bool = False,
    gradient: bool = False,
    finite: bool = False,
) -> Tensor:
    """Call a model on a batch and check its outputs.

    The caller sets eval mode: see `modes.evaluating`.

    Parameters
    ----------
    model : callable
        Tensor [batch, ...] -> [batch, output] or [batch], in any form that `as_outputs` takes.
    batch : Tensor [batch, ...]
        Input of the model.
    axes : str
        Names of the input's axes, for messages.
    frames : bool
        Also accept outputs [batch, frame, output].
    gradient : bool
        Record the graph, and require outputs of a floating type on the batch's device. Otherwise
        the model runs under `torch.no_grad`.
    finite : bool
        Refuse outputs that are NaN or infinite.

    Returns
    -------
    Tensor [batch, output] or [batch, frame, output]
        Outputs, copied; [batch] becomes [batch, 1].

    Raises
    ------
    ParameterError
        If the model raises an error or its outputs fail a check.

    Examples
    --------
    >>> call_model(lambda x: x.mean((1, 2, 3)), torch.ones(2, 1, 4, 3))
    tensor([[1.],
            [1.]])
    """
    with torch.set_grad_enabled(gradient and torch.is_grad_enabled()):
        outputs = as_outputs(call_guarded(model, batch, axes=axes))
    if gradient and isinstance(outputs, Tensor):
        if not outputs.is_floating_point():
            raise ParameterError(
                f"the model returned {outputs.dtype}; must return a floating Tensor"
            )
        if outputs.device != batch.device:
            raise ParameterError(
                f"the model returned outputs on {outputs.device}, x is on {batch.device}: "
                "move x with .to()"
            )
    # a model may write its next outputs into the same memory
    return check_outputs(outputs, len(batch), frames=frames, finite=finite).clone()


def call_guarded(
    function: Callable[[Tensor], object],
    batch: Tensor,
    *,
    name: str = "the model",
    axes: str = "",
) -> Any:
    """Call a function on a batch; report an error with the batch's shape and the line.

    Parameters
    ----------
    function : callable
        Function of a batch.
    batch : Tensor [batch, ...]
        Input of the function.
    name : str
        Name of the function in messages.
    axes : str
        Names of the input's axes, for messages.

    Returns
    -------
    object
        Result of the function, unchecked.

    Raises
    ------
    ParameterError
        If the function raises an error that states no remedy.

    Examples
    --------
    >>> call_guarded(lambda batch: ["loud"], torch.ones(1, 4))
    ['loud']
    """
    try:
        return function(batch.clone())  # it may write into its input
    except (ParameterError, CudaUnavailable, MissingExtra, torch.OutOfMemoryError):
        raise  # these state their remedy
    except (KeyboardInterrupt, Terminated):
        raise  # these end the process
    except BaseException as err:
        inside = traceback.extract_tb(err.__traceback__)[1:]
        own = [frame for frame in inside if "site-packages" not in frame.filename]
        line = f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
        given = getattr(function, "given", None)  # of a model that is called in its own layout
        if callable(given) and batch.ndim == 4:
            batch, axes = given(batch)
        shape = f"{list(batch.shape)} = {axes}" if axes else f"{list(batch.shape)}"
        raise ParameterError(
            f"{name} was given {shape} and raised {type(err).__name__}: {err}{line}"
        ) from err


def check_outputs(
    outputs: object, n_items: int, *, frames: bool = False, finite: bool = False
) -> Tensor:
    """Check the outputs of a model.

    Parameters
    ----------
    outputs : object
        Result of the model, in any form that `as_outputs` takes.
    n_items : int
        Size of the batch.
    frames : bool
        Also accept outputs [batch, frame, output].
    finite : bool
        Refuse outputs that are NaN or infinite.

    Returns
    -------
    Tensor [batch, output] or [batch, frame, output]
        Outputs; [batch] becomes [batch, 1].

    Raises
    ------
    ParameterError
        If the outputs hold no Tensor, are complex, or have another shape.

    Examples
    --------
    >>> check_outputs(torch.zeros(3), 3).shape
    torch.Size([3, 1])
    """
    outputs = as_outputs(outputs)
    if not isinstance(outputs, Tensor):
        raise ParameterError(
            f"the model returned a {type(outputs).__name__}, must be a Tensor or array "
            "[batch, output], or a tuple, dictionary or object that holds one"
        )
    ndims = (1, 2, 3) if frames else (1, 2)
    if outputs.ndim not in ndims or len(outputs) != n_items or 0 in outputs.shape[1:]:
        allowed = ", [batch, frame, output] or [batch]" if frames else " or [batch]"
        is_framewise = not frames and outputs.ndim == 3 and len(outputs) == n_items
        raise ParameterError(
            f"the model returned shape {tuple(outputs.shape)} for a batch of {n_items}, must be "
            f"[batch, output]{allowed}",
            advice=Advice(
                "pool outputs per frame with ", Argument("pooling", "mean", IN_MODEL_FILE)
            )
            if is_framewise
            else None,
        )
    if outputs.is_complex():
        raise ParameterError(f"the model returned {outputs.dtype}, must return real numbers")
    # A sum is finite only if all its terms are; it may overflow by itself.
    is_suspect = finite and not math.isfinite(outputs.detach().sum())
    n_bad = int((~outputs.isfinite()).sum()) if is_suspect else 0
    if n_bad:
        raise outputs_not_finite(n_bad, outputs.numel())
    return outputs[:, None] if outputs.ndim == 1 else outputs


def outputs_not_finite(n_bad: int, n_outputs: int) -> ParameterError:
    """Make the error of a model with outputs that are NaN or infinite."""
    return ParameterError(
        f"{n_bad} of {n_outputs} outputs of the model are NaN or infinite: "
        "is it made for such sounds?"
    )


def device_of(model: object, default: torch.device | str = "cpu") -> torch.device:
    """Return the device of a model's first parameter or buffer.

    Parameters
    ----------
    model : object
        An nn.Module, or any callable.
    default : device
        Device of a model without parameters and buffers.

    Returns
    -------
    torch.device
        Device for the model's inputs.

    Examples
    --------
    >>> device_of(torch.nn.Linear(1, 1)), device_of(torch.sigmoid)
    (device(type='cpu'), device(type='cpu'))
    """
    return next((weight.device for weight in _weights(model)), torch.device(default))


def dtype_of(model: object, default: torch.dtype = torch.float32) -> torch.dtype:
    """Return the dtype of a model's first floating parameter or buffer.

    Parameters
    ----------
    model : object
        An nn.Module, or any callable. If all networks that a function reaches are float32, or all
        float64, so are its inputs; functions convert to other types themselves.
    default : torch.dtype
        Type for a model without floating parameters and buffers.

    Returns
    -------
    torch.dtype
        Type for the model's inputs.

    Examples
    --------
    >>> dtype_of(torch.nn.Linear(1, 1).double())
    torch.float64
    """
    own = next((w.dtype for w in _weights(model) if w.is_floating_point()), None)
    if own is not None:
        return own
    reached = chain.from_iterable(map(_weights, modules_of(model)))
    types = {weight.dtype for weight in reached if weight.is_floating_point()}
    (only,) = types if len(types) == 1 else (default,)
    return only if only in (torch.float32, torch.float64) else default


def weights_digest(model: object) -> str:
    """Digest a model's parameters and buffers: training it further gives another digest.

    Parameters
    ----------
    model : object
        An nn.Module, or any callable: then the modules that it reaches count.

    Returns
    -------
    str
        16 hexadecimal digits; empty for a model without parameters and buffers.

    Examples
    --------
    >>> weights_digest(torch.nn.ReLU()), len(weights_digest(torch.nn.Linear(1, 1)))
    ('', 16)
    """
    digest, is_empty, known = hashlib.sha256(), True, set[int]()
    only = module_of(model)
    for module in (*([only] if only else []), *modules_of(model)):
        if id(module) in known:
            continue
        known.update(map(id, module.modules()))
        for name, values in sorted(module.state_dict().items()):
            for content in _contents(values):
                digest.update(name.encode() + content)
                is_empty = False
    return "" if is_empty else digest.hexdigest()[:16]


def _contents(values: object) -> Iterator[bytes]:
    """Return the bytes of a member of a state: a Tensor, or what a module packs."""
    if isinstance(values, Tensor) and values.is_nested:
        yield from _contents(values.unbind())
    elif isinstance(values, Tensor) and not is_lazy(values) and not values.is_meta:
        if values.layout is not torch.strided and values.layout is not torch._mkldnn:  # type: ignore[attr-defined]
            pairs = values.to_sparse_coo().coalesce()
            yield from _contents((list(values.shape), pairs.indices(), pairs.values()))
            return
        whole = values.detach().cpu().to_dense() if values.is_mkldnn else values.detach().cpu()
        whole = whole.dequantize() if whole.is_quantized else whole.resolve_conj().resolve_neg()
        yield whole.contiguous().flatten().view(torch.uint8).numpy().tobytes()
    elif isinstance(values, (tuple, list)):
        for part in values:
            yield from _contents(part)
    elif isinstance(values, Mapping):
        yield from _contents(list(values.items()))
    elif isinstance(values, np.ndarray):
        yield np.ascontiguousarray(values).tobytes()
    elif isinstance(values, (bool, int, float, str, torch.dtype)):
        yield repr(values).encode()


def _weights(model: object) -> Iterator[Tensor]:
    module = module_of(model)
    if module is not None:
        yield from chain(module.parameters(), module.buffers())

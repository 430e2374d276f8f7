"""Guarded calls of a model: eval mode, error messages, checks of the outputs."""

from __future__ import annotations

import hashlib
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from types import MethodType
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from otoscope.errors import (
    Advice,
    Argument,
    CudaUnavailable,
    MissingExtra,
    ParameterError,
    Terminated,
)
from otoscope.protocols.outputs import as_outputs
from otoscope.protocols.reach import modules_of

__all__ = [
    "Model",
    "call_guarded",
    "call_model",
    "check_outputs",
    "device_of",
    "dtype_of",
    "evaluating",
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

    The caller sets eval mode: see `evaluating`.

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
            advice=Advice("pool outputs per frame with ", Argument("pooling", "mean"))
            if is_framewise
            else None,
        )
    if outputs.is_complex():
        raise ParameterError(f"the model returned {outputs.dtype}, must return real numbers")
    n_bad = int((~outputs.isfinite()).sum()) if finite else 0
    if n_bad:
        raise ParameterError(
            f"{n_bad} of {outputs.numel()} outputs of the model are NaN or infinite: "
            "is it made for such sounds?"
        )
    return outputs[:, None] if outputs.ndim == 1 else outputs


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
    >>> device_of(nn.Linear(1, 1)), device_of(torch.sigmoid)
    (device(type='cpu'), device(type='cpu'))
    """
    return next((weight.device for weight in _weights(model)), torch.device(default))


def dtype_of(model: object, default: torch.dtype = torch.float32) -> torch.dtype:
    """Return the dtype of a model's first floating parameter or buffer.

    Parameters
    ----------
    model : object
        An nn.Module, or any callable.
    default : torch.dtype
        Type for a model without floating parameters and buffers.

    Returns
    -------
    torch.dtype
        Type for the model's inputs.

    Examples
    --------
    >>> dtype_of(nn.Linear(1, 1).double())
    torch.float64
    """
    return next((w.dtype for w in _weights(model) if w.is_floating_point()), default)


def weights_digest(model: object) -> str:
    """Digest a model's parameters and buffers: training it further gives another digest.

    Parameters
    ----------
    model : object
        An nn.Module, or any callable.

    Returns
    -------
    str
        16 hexadecimal digits; empty for a model without parameters and buffers.

    Examples
    --------
    >>> weights_digest(nn.ReLU()), len(weights_digest(nn.Linear(1, 1)))
    ('', 16)
    """
    module = _unwrapped(model)
    state = module.state_dict() if isinstance(module, nn.Module) else {}
    digest = hashlib.sha256()
    for name, values in sorted(state.items()):
        if isinstance(values, Tensor):
            digest.update(name.encode())
            content = values.detach().cpu().contiguous().flatten().view(torch.uint8)
            digest.update(content.numpy().data)
    return digest.hexdigest()[:16] if state else ""


@contextmanager
def evaluating(model: object) -> Iterator[bool]:
    """Put a model in eval mode; restore the mode of each module afterwards.

    Several threads may evaluate one model at once: the last restores the modes.

    Parameters
    ----------
    model : object
        Module, or a callable: then all modules that it reaches, by a tap, a partial function, a
        bound method, a closure or a global.

    Yields
    ------
    bool
        True if a module was in train mode.

    Examples
    --------
    >>> net = nn.Dropout()
    >>> with evaluating(net.forward) as was_training:
    ...     net.training, was_training
    (False, True)
    >>> net.training
    True
    """
    modules = modules_of(model)
    with _EVALUATING:
        held = [part for part in modules if part.training or id(part) in _HELD]
        for part in held:
            _HELD[id(part)] = _HELD.get(id(part), 0) + 1
            part.training = False
    try:
        yield bool(held)
    finally:
        with _EVALUATING:
            for part in held:
                _HELD[id(part)] -= 1
                if not _HELD[id(part)]:
                    del _HELD[id(part)]
                    part.training = True


_EVALUATING = threading.Lock()
_HELD: dict[int, int] = {}
"""Number of evaluations of each module that was in train mode before the first of them."""


def _weights(model: object) -> Iterator[Tensor]:
    module = _unwrapped(model)
    if isinstance(module, nn.Module):
        yield from chain(module.parameters(), module.buffers())


def _unwrapped(model: object) -> object:
    """Return the module that a tap, a partial function or a bound method passes its input to."""
    if isinstance(model, nn.Module):
        return model
    if isinstance(model, partial):
        return _unwrapped(model.func)
    if isinstance(model, MethodType):
        return _unwrapped(model.__self__)
    return getattr(model, "module", None)

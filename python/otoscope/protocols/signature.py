"""Signatures: how a model is called, and which part of its answer is meant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from otoscope.errors import IN_MODEL_FILE, Advice, Argument, ParameterError
from otoscope.protocols.layout import HOUSE, InputLayout, looks_transposed, parse_layout
from otoscope.protocols.outputs import as_outputs

__all__ = [
    "Adapted",
    "Fixed",
    "Pooling",
    "Signature",
    "is_module",
    "signature",
    "with_remedy",
]

Fixed: TypeAlias = "Mapping[str, Any] | tuple[Any, ...] | None"
"""Other inputs of a model: by name, or by place; ``...`` marks the place of the batch."""
Pooling: TypeAlias = Literal["mean", "max"] | None
"""Pooling of a model's second axis, for outputs [batch, frame, output] or [batch, frame]."""

_OTHERS = ("b 1 frame mel", "b 1 mel frame", "b mel frame", "b frame mel", "b 3 mel frame")
"""Layouts that are tried when a model refuses the one it was given."""
_TYPES = {torch.float32: "float", torch.float64: "double"}
_SOUNDS = ("b 1 sample", "b 2 sample", "b sample")


@dataclass(frozen=True, eq=False)
class Signature:
    """Hold how a model is called; made by `signature`.

    Parameters
    ----------
    layout : InputLayout
        Axes of its input.
    fixed : mapping, tuple or None
        Its other inputs.
    output : str, int or None
        Part of its answer; see `as_outputs`.
    pooling : {"mean", "max"} or None
        Pooling of the second axis of the output.
    """

    layout: InputLayout = HOUSE
    fixed: Fixed = None
    output: str | int | None = None
    pooling: Pooling = None

    @property
    def is_plain(self) -> bool:
        """True if the model is called with [batch, 1, frame, mel] alone."""
        is_alone = not self.fixed and self.output is None and self.pooling is None
        return self.layout == HOUSE and is_alone

    def call(self, model: Callable[..., Any], batch: Tensor, *others: Any) -> Any:
        """Call a model on a batch [batch, 1, frame, mel] and others; return its outputs."""
        x = self.layout.arrange(batch)
        outputs = as_outputs(self._answer(model, x, len(batch), others), self.output)
        if self.pooling is None or not isinstance(outputs, Tensor):
            return outputs
        if outputs.ndim not in (2, 3):
            raise ParameterError(
                f"pooling is {self.pooling!r} and the model returned shape "
                f"{tuple(outputs.shape)}, must be [batch, frame, output] or [batch, frame]"
            )
        return outputs.mean(1) if self.pooling == "mean" else outputs.amax(1)

    def _answer(self, model: Callable[..., Any], x: Tensor, n: int, others: tuple[Any, ...]) -> Any:
        if not self.fixed:
            return model(x, *others)

        def given(value: Any) -> Any:
            if value is ...:
                return x
            if not isinstance(value, Tensor):
                return value
            value = value.to(x.device)
            is_one = value.ndim > 0 and len(value) == 1
            return value.expand(n, *value.shape[1:]) if is_one else value

        if isinstance(self.fixed, Mapping):
            named = {name: given(value) for name, value in self.fixed.items()}
            is_named = _names_batch(self.fixed.values())
            return model(*others, **named) if is_named else model(x, *others, **named)
        placed = [given(value) for value in (*self.fixed, *others)]
        return model(*placed) if _names_batch(self.fixed) else model(x, *placed)


class Adapted(nn.Module):
    """Call a model in its own layout, as a module of [batch, 1, frame, mel].

    Parameters
    ----------
    model : callable
        An nn.Module or any function.
    layout, fixed, output, pooling
        See `signature`.

    Examples
    --------
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(40 * 100, 2))
    >>> Adapted(net, layout="b mel frame")(torch.zeros(8, 1, 100, 40)).shape
    torch.Size([8, 2])
    """

    def __init__(
        self,
        model: Callable[..., Any],
        *,
        layout: str | InputLayout | None = None,
        fixed: Fixed = None,
        output: str | int | None = None,
        pooling: Pooling = None,
    ) -> None:
        super().__init__()
        self.training = False  # the model's own mode counts
        self.model = model
        self.signature = signature(layout, fixed, output, pooling)

    def forward(self, batch: Tensor, *others: Any) -> Any:
        """Compute the outputs [batch, output] of a batch [batch, 1, frame, mel] and others."""
        return self.signature.call(self.model, batch, *others)

    def given(self, batch: Tensor) -> tuple[Tensor, str]:
        """Return what the model is given for a batch, and the names of its axes, for messages."""
        return self.signature.layout.arrange(batch), self.signature.layout.named


def signature(
    layout: str | InputLayout | None = None,
    fixed: Fixed = None,
    output: str | int | None = None,
    pooling: Pooling = None,
) -> Signature:
    """Describe how a model is called.

    Parameters
    ----------
    layout : str, optional
        Axes of the model's input, such as "b 1 mel frame" or "b sample"; see `parse_layout`.
    fixed : dict or tuple, optional
        Other inputs: by name, or by place after the batch. ``...`` marks where the batch goes if
        it is not the first argument: ``{"text": tokens, "audio": ...}``. A Tensor whose first
        axis has size 1 is repeated for each item of the batch; anything else is passed as it is.
    output : str or int, optional
        Part of the answer that is meant; see `as_outputs`.
    pooling : {"mean", "max"}, optional
        Pooling of outputs per frame.

    Returns
    -------
    Signature
        The settings, checked.

    Raises
    ------
    ParameterError
        If a setting is of another kind.

    Examples
    --------
    >>> net = torch.nn.Bilinear(3, 2, 1)
    >>> form = signature("b sample", fixed=(torch.ones(1, 2),))
    >>> form.call(net, torch.zeros(8, 1, 3, 1)).shape
    torch.Size([8, 1])
    """
    if fixed is not None and not isinstance(fixed, Mapping | tuple):
        raise ParameterError(
            f"fixed is {type(fixed).__name__}, must be a dictionary by name or a tuple by place"
        )
    values = fixed.values() if isinstance(fixed, Mapping) else fixed or ()
    if sum(value is ... for value in values) > 1:
        raise ParameterError("fixed holds ... twice; it stands for the batch, which comes once")
    if output is not None and (isinstance(output, bool) or not isinstance(output, str | int)):
        raise ParameterError(f"output is {output!r}, must be a part's name or index")
    if pooling not in (None, "mean", "max"):
        raise ParameterError(f"pooling is {pooling!r}, must be 'mean' or 'max'")
    return Signature(parse_layout(layout), fixed, output, pooling)


def is_module(model: object) -> bool:
    """Tell whether a model is an nn.Module, or one adapted."""
    return isinstance(model.model if isinstance(model, Adapted) else model, nn.Module)


def with_remedy(
    err: ParameterError,
    model: Callable[..., Any],
    batch: Tensor,
    *,
    layout: InputLayout = HOUSE,
) -> ParameterError:
    """Add to a model's error the layout or type in which it takes the batch [batch, 1, frame, mel].

    Usual ones are tried if the model itself raised; the error stays as it is if the model refuses
    all, or if it has a remedy already. ``layout`` is that of a model without signature.
    """
    if err.__cause__ is None or err.advice is not None:
        return err
    form = getattr(model, "signature", None)
    if not isinstance(form, Signature):
        form, inner = Signature(layout), model
    else:  # an adapted model, or a listener
        inner = model.model if isinstance(model, Adapted) else getattr(model, "network", model)
    batch = batch[:1].expand(2, *batch.shape[1:])
    for kind, name in _TYPES.items():
        if kind != batch.dtype and _takes(form, inner, batch.to(kind)):
            conversion = (
                f"it takes {kind}, and the input is {batch.dtype}: convert it, with .{name}() or, "
                f"of an array, .astype({str(kind).removeprefix('torch.')!r})"
            )
            return ParameterError(err.message, advice=Advice(conversion))
    for name in _SOUNDS if form.layout.is_sound else _OTHERS:
        other = replace(form, layout=parse_layout(name))
        if other.layout != form.layout and _takes(other, inner, batch):
            swapped = InputLayout(_swapped(other.layout))
            if swapped not in (form.layout, other.layout) and _takes(
                replace(form, layout=swapped), inner, batch
            ):
                return ParameterError(err.message, advice=_either(batch, other.layout, swapped))
            advice = _advice(
                batch, form.layout, other.layout, is_listener=hasattr(model, "prepare")
            )
            return ParameterError(err.message, advice=advice)
    return err


def _either(batch: Tensor, one: InputLayout, other: InputLayout) -> Advice:
    """Say that a model takes pictures and transposed ones, so that its training decides."""
    shapes = [f"{list(it.arrange(batch).shape)} = {it.named}" for it in (one, other)]
    return Advice(
        f"the model takes {shapes[0]} and also {shapes[1]}: give the one of its training, ",
        Argument("layout", str(one), IN_MODEL_FILE),
        " or ",
        Argument("layout", str(other), IN_MODEL_FILE),
    )


def _takes(form: Signature, model: Callable[..., Any], batch: Tensor) -> bool:
    """Tell whether a model that is called in a form has an output for each item of a batch."""
    try:
        with torch.no_grad():
            outputs = form.call(model, batch.clone())
    except Exception:  # whatever a model raises at a wrong shape or type
        return False
    return isinstance(outputs, Tensor) and outputs.shape[:1] == batch.shape[:1]


def _advice(batch: Tensor, given: InputLayout, taken: InputLayout, *, is_listener: bool) -> Advice:
    """Say how to give a model the batch [batch, 1, frame, mel] that it takes in another layout."""
    shape, place = list(taken.arrange(batch).shape), Argument("layout", str(taken), IN_MODEL_FILE)
    if taken.is_sound:
        return Advice(
            f"it takes {shape} = {taken.named}: give SoundLIME or WaveformListener ", place
        )
    if is_listener:  # which arranges the pictures itself
        return Advice(f"the model takes {shape} = {taken.named}: give ", place)
    is_odd = looks_transposed(*batch.shape[2:])
    if given != HOUSE and taken.axes == _swapped(given) and is_odd:
        return Advice(
            f"it takes {shape}, so the axes of the array are not those of the layout: give its "
            "transpose, or a Patch"
        )
    if given == HOUSE and is_odd and "frame" in taken.axes:
        other = InputLayout(_swapped(taken))
        return Advice(
            f"the model takes {shape}: if that is {other.named}, as it looks, give ",
            Argument("layout", str(other), IN_MODEL_FILE),
            f"; if {taken.named}, ",
            place,
        )
    return Advice(
        f"the model takes {shape} = {taken.named}: give a Patch, or an array with these axes, and ",
        place,
    )


def _swapped(layout: InputLayout) -> tuple[str, ...]:
    """Name the axes of the transposed picture."""
    return tuple({"frame": "mel", "mel": "frame"}.get(axis, axis) for axis in layout.axes)


def _names_batch(values: Any) -> bool:
    return any(value is ... for value in values)

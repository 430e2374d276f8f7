"""Outputs of any model as one Tensor: the rule for arrays, tuples, dictionaries and objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from numbers import Number
from typing import Any

import numpy as np
from torch import Tensor

from otoscope.errors import IN_MODEL_FILE, Advice, Argument, ParameterError
from otoscope.protocols.patch import as_tensor

__all__ = ["as_outputs"]


def as_outputs(answer: Any, output: str | int | None = None) -> Any:
    """Reduce what a model returns to one Tensor.

    Parameters
    ----------
    answer : object
        Return value of a model.
    output : str or int, optional
        Name or index of the part to take, where the rule would take another one or none.

    Returns
    -------
    Tensor or object
        * A Tensor stays, an array or a list of numbers becomes one.
        * A tuple or list without names gives its first member.
        * Of named parts (a dictionary, dataclass, named tuple, or an object with the attribute
          ``logits``), the part ``logits`` or, without one, the only Tensor or array.

        The rule is applied again to the part that it takes. Anything else stays as it is.

    Raises
    ------
    ParameterError
        If there is no such part, or named parts hold several Tensors and none is called ``logits``.

    Examples
    --------
    >>> import torch
    >>> as_outputs({"logits": torch.ones(2), "hidden": torch.zeros(2, 8)})
    tensor([1., 1.])
    >>> as_outputs((np.zeros(2), None))
    tensor([0., 0.], dtype=torch.float64)
    """
    if output is not None:
        return as_outputs(_chosen(answer, output))
    if isinstance(answer, Tensor):
        return answer
    if _is_array(answer):
        return as_tensor("the model's output", answer)
    if parts := dict(_named(answer)):
        part = _usual(answer, parts)
    elif isinstance(answer, tuple | list) and answer:
        is_numbers = all(isinstance(number, Number) for number in answer)
        part = np.asarray(answer) if is_numbers else answer[0]
    else:
        part = None
    return answer if part is None else as_outputs(part)


def _usual(answer: object, parts: dict[str, Any]) -> Any:
    """Return the part ``logits``, or the only one that is a Tensor or an array; None if none is."""
    if parts.get("logits") is not None:
        return parts["logits"]
    names = [name for name, part in parts.items() if isinstance(part, Tensor) or _is_array(part)]
    if len(names) > 1:
        raise ParameterError(
            f"the model returned a {type(answer).__name__} of {', '.join(names)}, "
            "and none of them is called logits",
            advice=Advice(
                "name the one to take with ", Argument("output", names[0], IN_MODEL_FILE)
            ),
        )
    return parts[names[0]] if names else None


def _chosen(answer: object, output: str | int) -> Any:
    """Return the part of a name or index."""
    parts = dict(_named(answer))
    if isinstance(output, str):
        if output in parts or hasattr(answer, output):
            return parts[output] if output in parts else getattr(answer, output)
        held = f" of {', '.join(parts)}" if parts else ""
    else:
        members = answer if isinstance(answer, tuple | list) else list(parts.values())
        if -len(members) <= output < len(members):
            return members[output]
        held = f" of {len(members)} parts"
    raise ParameterError(
        f"output is {output!r}, the model returned a {type(answer).__name__}{held}"
    )


def _named(answer: Any) -> Iterator[tuple[str, Any]]:
    """Yield the named parts of a dictionary, dataclass, named tuple, or object with logits."""
    if isinstance(answer, Mapping):
        yield from ((str(name), part) for name, part in answer.items())
    elif isinstance(answer, tuple) and hasattr(answer, "_fields"):
        yield from zip(answer._fields, answer, strict=True)
    elif is_dataclass(answer) and not isinstance(answer, type):
        yield from ((field.name, getattr(answer, field.name)) for field in fields(answer))
    elif not isinstance(answer, Tensor) and hasattr(answer, "logits"):
        yield "logits", answer.logits


def _is_array(value: object) -> bool:
    return hasattr(value, "__array__") and not isinstance(value, Tensor)

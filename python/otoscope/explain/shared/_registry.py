"""Which ATen operations sheets know, by name; each handler is given its arguments by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from torch import Tensor

from otoscope.explain.shared._sheet import NotLocal, Sheet

__all__ = ["HANDLERS", "Arguments", "Work", "handles"]

Arguments: TypeAlias = dict[str, Any]


@dataclass
class Work:
    """Multiplications by weights: how many were done, and how many a plain evaluation does.

    Parameters
    ----------
    batch : int
        Samples of the traced batch, which sizes in the graph are of.
    done, plain : int
        An excerpt's.
    """

    batch: int
    done: int = 0
    plain: int = 0

    def add(self, sheet: Sheet, per_position: int, *, rows: int | None = None) -> None:
        """Count an operation on every position of a sheet.

        Parameters
        ----------
        sheet : Sheet
            What is computed.
        per_position : int
            Multiplications a position.
        rows : int, optional
            Rows that are computed, if not those of the sheet.
        """
        layout = sheet.layout
        self.done += per_position * (layout.n_rows if rows is None else rows)
        self.plain += per_position * layout.area * len(layout.samples)


Handler: TypeAlias = Callable[[Arguments, Work], Any]
Given = TypeVar("Given", bound=Handler)
HANDLERS: dict[str, Handler] = {}


def handles(*names: str) -> Callable[[Given], Given]:
    """Register a handler for ATen operations of some names."""

    def register(handler: Given) -> Given:
        for name in names:
            HANDLERS[name] = handler
        return handler

    return register


def sheet_of(arguments: Arguments, name: str) -> Sheet:
    """Take an argument that must be a sheet.

    Raises
    ------
    NotLocal
        If it is a constant, and another argument is what depends on the samples.
    """
    found = arguments[name]
    if not isinstance(found, Sheet):
        raise NotLocal(f"its {name} does not depend on the segments")
    return found


def constant(value: Any) -> Tensor | None:
    """Take an argument that must not depend on the samples."""
    if isinstance(value, Sheet):
        raise NotLocal("its parameters depend on the segments")
    return value if isinstance(value, Tensor) else None


def required(value: Any) -> Tensor:
    """Take a weight that there must be."""
    found = constant(value)
    if found is None:
        raise NotLocal("has no weight")
    return found

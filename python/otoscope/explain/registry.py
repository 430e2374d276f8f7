"""Registry: what a user can name in text, such as contents and segmentations.

One table per kind, filled by a decorator where each entry is defined. The resolver, the command
line's help, the report and the tests read it. An entry is written as its name, or with numbers as
"NAME:6x4", "NAME:8,4" or, as records write it, "NAME(8, 4)".
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from otoscope.errors import ParameterError

__all__ = ["Registry", "RegistryEntry", "entries_of"]

Made = TypeVar("Made")

_ENTRY = re.compile(r"\s*[A-Za-z_]\w*(?:\([^)]*\)|:[^,]*(?:,\s*[-+.\d][^,]*)*)?|[^,]+")

_WRITTEN = re.compile(r"(\w+)(?::([^()]*)|\(([^()]*)\))?")


@dataclass(frozen=True)
class RegistryEntry(Generic[Made]):
    """A named entry: ``example`` is written in text; empty if only Python can make the entry."""

    name: str
    make: Callable[..., Made]
    description: str
    example: str


def entries_of(text: str) -> list[str]:
    """Split a list of entries at its commas, except those between the numbers of an entry.

    Examples
    --------
    >>> entries_of("mean_inp, blur:8,4, noise,-0.5")
    ['mean_inp', 'blur:8,4', 'noise', '-0.5']
    """
    return [entry.strip() for entry in _ENTRY.findall(text) if entry.strip()] or [text]


class Registry(Generic[Made]):
    """Entries of one kind by name, in the order of registration."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.entries: dict[str, RegistryEntry[Made]] = {}

    def add(
        self, name: str, make: Callable[..., Made], description: str, example: str | None = None
    ) -> None:
        """Add an entry; its example is its name by default."""
        if name in self.entries:
            raise ParameterError(f"{self.kind} {name!r} is registered already")
        self.entries[name] = RegistryEntry(
            name, make, description, name if example is None else example
        )

    def examples(self) -> list[str]:
        """List one example of each entry that can be written in text."""
        return [entry.example for entry in self.entries.values() if entry.example]

    def make(self, text: str) -> Made | None:
        """Make the entry that a text names; None if there is no such name in text."""
        match = _WRITTEN.fullmatch(text)
        entry = self.entries.get(match[1]) if match else None
        if match is None or entry is None or not entry.example:
            return None
        written = match[2] if match[2] is not None else match[3]
        numbers = re.split(r"[x,]", written) if written else []
        return entry.make(*self._arguments(entry, text, numbers))

    def _arguments(self, entry: RegistryEntry[Made], text: str, numbers: list[str]) -> list[float]:
        parameters = [
            p
            for p in inspect.signature(entry.make).parameters.values()
            if p.kind is p.POSITIONAL_OR_KEYWORD
        ]
        n_required = sum(p.default is p.empty for p in parameters)
        try:
            if not n_required <= len(numbers) <= len(parameters):
                raise ValueError
            return [
                _number(number, is_integer="int" in str(parameter.annotation))
                for number, parameter in zip(numbers, parameters, strict=False)
            ]
        except ValueError:
            names = ", ".join(p.name for p in parameters) or "no numbers"
            raise ParameterError(
                f"{self.kind} is {text!r}; {entry.name} takes {names}: write {entry.example}"
            ) from None

    def choices(self) -> str:
        """Enumerate the examples as a sentence does."""
        *others, last = self.examples()
        return f"{', '.join(others)} or {last}" if others else last


def _number(text: str, *, is_integer: bool) -> float:
    if not text.isascii():  # int() reads digits of other scripts too
        raise ValueError
    return int(text) if is_integer else float(text)

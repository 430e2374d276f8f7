"""Facts and tables: texts in rows, for pages, commands and records."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Fact", "ResultTable"]


@dataclass(frozen=True)
class Fact:
    """A setting or a measure of a page, with a note on what it means (empty if obvious)."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class ResultTable:
    """A table that a command prints and a record keeps: title, column names and printed cells."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

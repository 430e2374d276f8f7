"""The record that an experiment writes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from otoscope import records

__all__ = ["write_record"]


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write everything that was measured, as JSON: whole, or not at all."""
    with records.replacing(path) as draft:
        draft.write_text(records.to_json(record) + "\n", encoding="utf-8")

"""The record that an experiment writes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from otoscope import records
from otoscope.documents import document

__all__ = ["write_record"]


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write everything that was measured, as a JSON document: whole, or not at all.

    The document's kind has the name of the file. Records without "format" are of version 1 too.
    """
    content = document(f"otoscope.papers.{path.stem}", 1, record)
    records.write_text(path, records.to_json(content) + "\n")

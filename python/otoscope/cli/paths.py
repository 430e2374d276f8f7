"""Files that a command is to write: told before the work, not after it."""

from __future__ import annotations

import os
from pathlib import Path

from otoscope.errors import ParameterError

__all__ = ["require_folder", "require_writable"]


def require_writable(path: Path | None) -> None:
    """Refuse a file that cannot be written; None is none."""
    if path is None:
        return
    if path.is_dir():
        raise ParameterError(f"{path} is a folder; name a file in it")
    if not path.parent.exists():
        raise ParameterError(f"{path} cannot be written: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise ParameterError(f"{path} cannot be written: {path.parent} does not let you")


def require_folder(path: Path | None) -> None:
    """Refuse a folder that is not there and cannot be made, or cannot be written; None is none."""
    if path is None:
        return
    there = next(p for p in (path, *path.absolute().parents) if p.exists())
    if not there.is_dir():
        raise ParameterError(f"{path} cannot be written: {there} is not a folder")
    if not os.access(there, os.W_OK):
        raise ParameterError(f"{path} cannot be written: {there} does not let you")

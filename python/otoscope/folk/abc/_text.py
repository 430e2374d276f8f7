"""Text from the bytes of a file, or why there is none."""

from __future__ import annotations

import re

from otoscope.folk.abc.errors import NotationError

__all__ = ["decode"]


def decode(content: bytes) -> str:
    """Return the text of a file's content.

    Raises
    ------
    NotationError
        If it is empty or not text.
    """
    if not content.strip():
        raise NotationError("the file is empty, needs a tune", reason="empty file")
    if re.search(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]", content):
        raise NotationError("the file is binary, needs text", reason="binary file")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")

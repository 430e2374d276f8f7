"""Messages of protocol buffers: numbered fields, read without their schema or any code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["fields", "varint"]

_VARINT_BITS = 70


def fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Iterate over numbers and values (int or bytes) of the fields of a protocol buffer."""
    position = 0
    while position < len(message):
        tag, position = varint(message, position)
        kind = tag & 7
        if kind == 0:
            value, position = varint(message, position)
            yield tag >> 3, value
            continue
        if kind == 2:
            length, position = varint(message, position)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError(f"a field of kind {kind}")
        if position + length > len(message):
            raise ValueError("a field is cut short")
        yield tag >> 3, message[position : position + length]
        position += length


def varint(content: bytes, position: int) -> tuple[int, int]:
    """Read an integer of 7 bits per byte, low bits first; return it and the offset after it."""
    value = shift = 0
    while shift < _VARINT_BITS:
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position
    raise ValueError("an integer has more than 64 bits")

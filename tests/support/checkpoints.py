"""Checkpoints of TensorFlow 1, written by the description of the format."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np


def varint(number: int) -> bytes:
    """Write 7 bits per byte, low bits first."""
    return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + varint(number >> 7)


def _block(entries: list[tuple[bytes, bytes]]) -> bytes:
    """Write entries of a table that share no prefix, and one restart point."""
    return b"".join(
        varint(0) + varint(len(key)) + varint(len(value)) + key + value for key, value in entries
    ) + struct.pack("<II", 0, 1)


def write_checkpoint(prefix: Path, variables: Mapping[str, np.ndarray]) -> Path:
    """Write float32 variables as an index and a data file."""
    entries, data = [], b""
    for name in sorted(variables):
        values = np.asarray(variables[name], "<f4")
        sizes = b"".join(
            b"\x12" + varint(len(size)) + size
            for size in (b"\x08" + varint(n) for n in values.shape)
        )
        entry = b"\x08\x01\x12" + varint(len(sizes)) + sizes
        entry += b"\x20" + varint(len(data)) + b"\x28" + varint(values.nbytes)
        entries.append((name.encode(), entry))
        data += values.tobytes()
    variables_block = _block(entries)
    blocks = _block([(b"~", varint(0) + varint(len(variables_block)))])
    places = varint(0) + varint(0) + varint(len(variables_block) + 5) + varint(len(blocks))
    footer = places.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)
    prefix.with_name(prefix.name + ".index").write_bytes(
        variables_block + bytes(5) + blocks + bytes(5) + footer
    )
    prefix.with_name(prefix.name + ".data-00000-of-00001").write_bytes(data)
    return prefix

"""TensorFlow 1 checkpoints (an index and a data file), read without TensorFlow.

The index is a sorted string table in LevelDB's format: blocks of entries whose keys share prefixes,
and a footer with the position of the index of blocks. Its values are protocol buffers
(BundleEntryProto) with the position of each variable in the data file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from otoscope.errors import ParameterError
from otoscope.models.zoo.protobuf import fields, varint

__all__ = ["read_variables"]

_MAGIC = 0xDB4775248B80FB57
_DTYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8"}
_FOOTER = 48
_TRAILER = 5  # after each block: compression, checksum
_UNCOMPRESSED = 0
_LONGEST_NAME = 4096


def read_variables(prefix: str | Path) -> dict[str, np.ndarray]:
    """Read all numeric variables of a checkpoint by name; ``prefix`` may end in "/"."""
    try:
        index = Path(f"{prefix}.index").read_bytes()
        data = Path(f"{prefix}.data-00000-of-00001").read_bytes()
        return dict(_variables(index, data))
    except (OSError, ValueError, IndexError, struct.error) as err:
        raise ParameterError(f"{prefix} is not a TensorFlow 1 checkpoint: {err}") from err


def _variables(index: bytes, data: bytes) -> Iterator[tuple[str, np.ndarray]]:
    n_bytes = 0  # entries may overlap, but all together they are no larger than the file
    for name, entry in _table(index):
        if not name:
            continue  # the header, about the whole file
        try:
            values = _variable(dict(fields(entry)), data)
        except (LookupError, TypeError, ValueError, OverflowError) as err:
            reason = f"field {err} is missing" if isinstance(err, KeyError) else err
            entry_name = name.decode(errors="replace")
            raise ValueError(f"its entry {entry_name!r} is damaged: {reason}") from err
        if values is not None:
            n_bytes += values.nbytes
            if n_bytes > len(data):
                raise ValueError("its entries have more values than the data file")
            yield name.decode(), values


def _variable(entry: dict[int, Any], data: bytes) -> np.ndarray | None:
    """Read the values of an entry; None if they are not numbers."""
    if entry.get(1) not in _DTYPES:
        return None
    size = [
        dict(fields(dimension)).get(1, 0)
        for number, dimension in fields(entry.get(2, b""))
        if number == 2
    ]
    start = entry.get(4, 0)
    return np.frombuffer(data[start : start + entry[5]], _DTYPES[entry[1]]).reshape(size)


def _table(index: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Iterate over keys and values of a sorted string table."""
    footer = index[-_FOOTER:]
    (magic,) = struct.unpack("<Q", footer[-8:])
    if magic != _MAGIC:
        raise ValueError("the index ends without the table's magic number")
    _meta_start, position = varint(footer, 0)
    _meta_size, position = varint(footer, position)
    n_bytes = 0
    for _, handle in _block(index, *_start_and_size(footer[position:])):
        start, size = _start_and_size(handle)
        n_bytes += size
        if n_bytes > len(index):
            raise ValueError("its blocks are larger than the index")
        yield from _block(index, start, size)


def _start_and_size(handle: bytes) -> tuple[int, int]:
    start, position = varint(handle, 0)
    return start, varint(handle, position)[0]


def _block(index: bytes, start: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    if index[start + size] != _UNCOMPRESSED:
        raise ValueError("the index is compressed")
    block = index[start : start + size]
    (n_restarts,) = struct.unpack("<I", block[-4:])
    end = len(block) - 4 * (n_restarts + 1)
    position, key = 0, b""
    while position < end:
        shared, position = varint(block, position)
        suffix, position = varint(block, position)
        length, position = varint(block, position)
        key = key[:shared] + block[position : position + suffix]
        if len(key) > _LONGEST_NAME:
            raise ValueError(f"a name has {len(key)} bytes")
        position += suffix
        yield key, block[position : position + length]
        position += length

"""Records of runs: JSON Lines files that stay readable if the process is killed at any byte.

A record is a line of ASCII JSON that ends in a newline, appended by a single write. A process
killed during the write leaves a last line without newline: reading skips it, and opening the file
for writing removes it. Other files (images, reports, sounds) are written by :func:`replacing`:
they are complete or absent.

JSON has no NaN and no infinity: both are written as null. Scalars and arrays of NumPy and torch
become numbers and lists, dataclasses become objects.
"""

from __future__ import annotations

import json
import math
import os
import platform
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from otoscope.errors import ParameterError

__all__ = [
    "Records",
    "read",
    "replacing",
    "stream",
    "to_json",
    "to_plain",
    "versions",
]

_OURS = ("key", "seed", "versions")  # fields that Records adds


class Records:
    """A JSON Lines file to which one process appends, and which can be continued.

    Parameters
    ----------
    path : str or Path
        File; created if missing, in an existing folder.

    Raises
    ------
    ParameterError
        If another process is writing to the file, or a complete line of the file is not a record.

    Notes
    -----
    Each record holds ``key``, ``seed`` and ``versions`` besides the values given. A record is on
    the disk when `append` returns.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "scores.jsonl"
    >>> for _ in range(2):  # the second run skips all songs
    ...     with Records(path) as records:
    ...         for song in ["a.ogg", "b.ogg"]:
    ...             if song not in records:
    ...                 records.append(song, {"score": 0.5}, seed=None)
    >>> [record["key"] for record in read(path)]
    ['a.ogg', 'b.ogg']
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._file: BinaryIO = self._path.open("a+b", buffering=0)
        try:
            _lock(self._file, self._path)
            self._done, self._end = set[str](), 0
            for record, end in _whole(self._path):
                self._done.add(_canonical(record["key"]))
                self._end = end
            self._file.truncate(self._end)
        except BaseException:
            self._file.close()
            raise

    def __contains__(self, key: object) -> bool:
        """Return True if the file has a record with this key."""
        return _canonical(key) in self._done

    def append(self, key: object, values: Mapping[str, object], *, seed: int | None) -> None:
        """Append a record as a line.

        Parameters
        ----------
        key : str, number, list, dict or dataclass
            Key of the record, for example a file name or all settings of a run; unique in the file.
        values : Mapping of str to object
            Values of the record. NaN and infinities become null.
        seed : int or None
            Seed that reproduces the values; None if nothing is random.

        Raises
        ------
        ParameterError
            If the file has a record with this key, a value cannot be written as JSON, or ``values``
            has a field named key, seed or versions.
        OSError
            If the disk is full; the file then ends after the previous record.
        """
        name = _canonical(key)
        if name in self._done:
            raise ParameterError(f"{self._path} has a record of {name} already; ask `in` first")
        if taken := [field for field in _OURS if field in values]:
            raise ParameterError(f"a record's values hold {taken}; Records adds these fields")
        record = {"key": key, **values, "seed": seed, "versions": versions()}
        line = to_json(record).encode("ascii") + b"\n"
        try:
            written = 0
            while written < len(line):  # a nearly full disk accepts a part, then fails
                written += self._file.write(line[written:])
            os.fsync(self._file.fileno())
        except BaseException:
            self._file.truncate(self._end)
            raise
        self._end += len(line)
        self._done.add(name)

    def close(self) -> None:
        """Close the file, and release it for other processes."""
        self._file.close()

    def __enter__(self) -> Records:
        """Return the open file."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the file, whatever happened."""
        self.close()


def read(path: str | Path) -> list[dict[str, Any]]:
    """Read all complete records of a file; a record that is being written is skipped.

    Parameters
    ----------
    path : str or Path
        JSON Lines file written by `Records`.

    Returns
    -------
    list of dict
        Records in the order in which they were written.

    Raises
    ------
    ParameterError
        If a complete line is not a record: the file is damaged or of another kind.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "torn.jsonl"
    >>> _ = path.write_text('{"key": 1, "score": 0.5}\\n{"key": 2, "sc')
    >>> read(path)
    [{'key': 1, 'score': 0.5}]
    """
    return list(stream(path))


def stream(path: str | Path) -> Iterator[dict[str, Any]]:
    """Iterate over the complete records of a file, which may be larger than the memory.

    Parameters
    ----------
    path : str or Path
        JSON Lines file written by `Records`.

    Yields
    ------
    dict
        Records in the order in which they were written.

    Raises
    ------
    ParameterError
        If a complete line is not a record: the file is damaged or of another kind.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "scores.jsonl"
    >>> _ = path.write_text('{"key": 1, "score": 0.5}\\n{"key": 2, "score": 0.7}\\n')
    >>> max(record["score"] for record in stream(path))
    0.7
    """
    for record, _ in _whole(Path(path)):
        yield record


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Write a complete file or nothing: to a draft, which is renamed if the block succeeds.

    Parameters
    ----------
    path : str or Path
        File to write or replace. A link is followed, and stays a link.

    Yields
    ------
    Path
        Draft: an empty file in the same folder with the same suffix. If the block raises, the draft
        is removed and the old file is unchanged.

    Raises
    ------
    ParameterError
        If ``path`` exists and is not a regular file.
    OSError
        If the folder is missing or cannot be written to; raised before the block runs.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "why.html"
    >>> with replacing(path) as draft:
    ...     _ = draft.write_text("<p>because</p>")
    >>> path.read_text()
    '<p>because</p>'
    """
    target = Path(path).resolve()
    if target.exists() and not target.is_file():
        raise ParameterError(f"{path} is not a regular file; give the path of a file")
    draft = target.with_name(f".{target.stem}-{secrets.token_hex(4)}{target.suffix}")
    try:
        draft.touch(exist_ok=False)
    except OSError as err:  # the user knows the path, not the draft
        raise OSError(err.errno, err.strerror, str(path)) from None
    try:
        yield draft
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def to_json(value: object, *, indent: int | None = None) -> str:
    """Convert a value to ASCII JSON text.

    Parameters
    ----------
    value : object
        None, bool, int, float, str, Path, dict with str keys, list, tuple, dataclass, NumPy or
        torch scalar or array, or nestings of these. NaN and infinities become null.
    indent : int, optional
        Spaces per level; by default the text is a single line.

    Returns
    -------
    str
        JSON text.

    Raises
    ------
    ParameterError
        If a value cannot be written as JSON.

    Examples
    --------
    >>> import numpy as np
    >>> to_json({"snr_db": np.float32(40), "p_value": float("nan"), "lag_frames": np.arange(3)})
    '{"snr_db": 40.0, "p_value": null, "lag_frames": [0, 1, 2]}'
    """
    return json.dumps(to_plain(value), indent=indent, allow_nan=False)


def to_plain(value: object) -> Any:
    """Convert a value to the types of JSON.

    Parameters
    ----------
    value : object
        Value of a type that `to_json` accepts.

    Returns
    -------
    None, bool, int, float, str, list or dict
        Result of parsing the value's JSON: tuples and arrays as lists, dataclasses as dicts, NaN
        and infinities as None.

    Raises
    ------
    ParameterError
        If a value cannot be written as JSON.

    Examples
    --------
    >>> to_plain({"snr_db": (40.0, float("inf"))})
    {'snr_db': [40.0, None]}
    """
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, Mapping):
        if odd := [name for name in value if not isinstance(name, str)]:
            raise ParameterError(f"an object in JSON has the name {odd[0]!r}; names are strings")
        return {name: to_plain(item) for name, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if hasattr(value, "tolist"):  # NumPy and torch, scalars and arrays
        return to_plain(value.tolist())
    raise ParameterError(
        f"{value!r} of type {type(value).__name__} has no form in JSON; "
        "give numbers, strings, lists, dicts, dataclasses or arrays"
    )


@cache
def versions() -> Mapping[str, str]:
    """Return the versions of otoscope, torch, numpy and python, "not installed" where missing."""
    installed = {name: _version(name) for name in ("otoscope", "torch", "numpy")}
    return {**installed, "python": platform.python_version()}


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"


def _canonical(key: object) -> str:
    """Return the same text for equal keys, whatever the order of their fields."""
    return json.dumps(to_plain(key), sort_keys=True, allow_nan=False)


def _whole(path: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """Iterate over the complete records of a file, each with the offset at which it ends."""
    end = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            if not isinstance(record, dict) or "key" not in record:
                raise ParameterError(
                    f"{path}, line {number} is not a record: {line[:60]!r}; "
                    "a record is a JSON object with a key"
                )
            end += len(line)
            yield record, end


def _lock(file: BinaryIO, path: Path) -> None:
    """Exclude other writers until the file is closed or the process ends."""
    if sys.platform == "win32":
        return  # no fcntl: the user must exclude other writers
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as err:
        raise ParameterError(
            f"{path} is being written by another process; wait for it or name another file"
        ) from err

"""Records of runs: JSON Lines files that stay readable if the process is killed at any byte.

A record is a line of ASCII JSON that ends in a newline, appended by a single write. A process
killed during the write leaves a last line without newline: reading skips it, and opening the file
for writing removes it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from otoscope.errors import ParameterError
from otoscope.foreign import parse_json
from otoscope.records import locks
from otoscope.records.files import replacing
from otoscope.records.plain import to_json, to_plain, versions

__all__ = ["Records", "read", "stream"]

_OURS = ("key", "seed", "versions")  # fields that Records adds
_BEGINNING = b'{"key": '  # of every record


class Records:
    """A JSON Lines file to which one process appends, and which can be continued.

    Parameters
    ----------
    path : str or Path
        File; created if missing, in an existing folder.

    Raises
    ------
    ParameterError
        If another process is writing to the file, or the file has lines that Records did not write.

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
        self._file: BinaryIO = locks.open_locked(self._path, path)
        try:
            self._read()
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

    def remove(self, keys: Iterable[object]) -> None:
        """Remove records: the file is written anew, whole or not at all.

        Parameters
        ----------
        keys : iterable
            Keys of records; those that the file lacks are passed over.

        Raises
        ------
        ParameterError
            If another process takes the file over.
        """
        names = {_canonical(key) for key in keys} & self._done
        if not names:
            return
        with replacing(self._path) as draft:
            with draft.open("wb") as file:
                for record, line in _lines(self._path):
                    if _canonical(record["key"]) not in names:
                        file.write(line)
            if locks.IS_WINDOWS:  # which replaces no open file
                self._file.close()
        self._file.close()
        self._file = locks.open_locked(self._path, self._path)
        self._read()

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
        """Close the file, whatever happened; after an error remove it if it has no records."""
        if error is not None and not self._end:
            if locks.IS_WINDOWS:  # which removes no open file
                self.close()
            with suppress(OSError):  # on Windows another has opened it
                self._path.unlink()
        self.close()

    def _read(self) -> None:
        """Read the keys, and cut off what a killed writer left after them."""
        self._done, self._end, is_ours = set[str](), 0, True
        for record, line in _lines(self._path):
            self._done.add(_canonical(record["key"]))
            self._end += len(line)
            is_ours = is_ours and _is_ours(record)
        with self._path.open("rb") as file:
            file.seek(self._end)
            tail = file.read()
        if not tail:
            return
        if not (is_ours and (self._end or _is_torn(tail))):
            raise ParameterError(
                f"{self._path} ends in {tail[:60]!r}, which is no record; name another file"
            )
        self._file.truncate(self._end)


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
    for record, _ in _lines(Path(path)):
        yield record


def _canonical(key: object) -> str:
    """Return the same text for equal keys, whatever the order of their fields."""
    return json.dumps(to_plain(key), sort_keys=True, allow_nan=False)


def _lines(path: Path) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Iterate over the complete records of a file, each with its line."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            record = _parsed(line)
            if not isinstance(record, dict) or "key" not in record:
                raise ParameterError(
                    f"{path}, line {number} is not a record: {line[:60]!r}; "
                    "a record is a JSON object with a key"
                )
            yield record, line


def _parsed(line: bytes) -> object:
    try:
        return parse_json(line, name="the line")
    except ParameterError:
        return None


def _is_ours(record: object) -> bool:
    return (
        isinstance(record, dict)
        and isinstance(record.get("versions"), dict)
        and "otoscope" in record["versions"]
    )


def _is_torn(tail: bytes) -> bool:
    """Return whether the only line of a file may be a record of ours whose writer was killed."""
    record = _parsed(tail)
    if record is not None:
        return _is_ours(record)
    return tail[: len(_BEGINNING)] == _BEGINNING[: len(tail)]

"""Places for the parts of a batch: a folder of this machine, or an object store, by its URI.

A file of a place is complete or absent: a draft that is renamed on a disk, one whole PUT in a
store. A claim has an owner and a time, so that two commands do not write to one place; on a disk it
goes with its process, in a store it is renewed, and ends some time after its process.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from otoscope.errors import ParameterError, require_extra
from otoscope.records import files, locks

__all__ = ["Claim", "Place", "PlaceFull"]

_WAITS = 0.5, 1.0, 2.0, 4.0, 8.0  # seconds before a store is asked again
_RENEWED = 15.0  # seconds between renewals of a claim in a store
_STALE = 75.0  # seconds after which a claim that is not renewed has no owner
_SETTLED = 0.5  # seconds in which a rival's claim shows


class PlaceFull(ParameterError):
    """Error for a place that takes no more files: full, read-only, or out of reach."""


class Place:
    """Folder or prefix of an object store that files are written to, whole.

    Parameters
    ----------
    uri : str
        Path of a folder, or a URI as pyarrow reads it: file, s3, gs, hdfs; others by fsspec. A
        store beside Amazon's is named as in "s3://bucket/run?endpoint_override=HOST:9000".

    Raises
    ------
    MissingExtra
        If pyarrow is not installed.
    ParameterError
        If the URI cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> place = Place(tempfile.mkdtemp())  # doctest: +SKIP
    >>> place.write("part-0.parquet", b"...")  # doctest: +SKIP
    >>> place.names()  # doctest: +SKIP
    {'part-0.parquet': 3}
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri if "://" in uri else os.path.abspath(uri)  # noqa: PTH100 - keeps links
        self.folder: Path | None = None if "://" in uri else Path(self.uri)
        self._fs = require_extra("pyarrow.fs", "scale")
        if self.folder is None:
            self.filesystem, self.root = self._opened(uri)
            if isinstance(self.filesystem, self._fs.LocalFileSystem):
                self.folder = Path(self.root)
        else:
            self.filesystem, self.root = self._fs.LocalFileSystem(), str(self.folder)

    def __reduce__(self) -> tuple[type[Place], tuple[str]]:
        """Pickle as the URI: a process opens the store for itself."""
        return Place, (self.uri,)

    def names(self, under: str = "") -> dict[str, int]:
        """List the files of the place, each with its size in bytes; none if it does not exist."""
        try:
            selected = self._fs.FileSelector(self._path(under), allow_not_found=True)
            listed = self.filesystem.get_file_info(selected)
        except OSError as err:
            raise ParameterError(f"{self.uri} cannot be listed: {_reason(err)}") from err
        kinds = self._fs.FileType
        return {info.base_name: info.size for info in listed if info.type == kinds.File}

    def read(self, name: str) -> bytes | None:
        """Read a file; None if it does not exist."""
        try:
            with self.filesystem.open_input_stream(self._path(name)) as stream:
                content: bytes = stream.read()
            return content
        except FileNotFoundError:
            return None
        except OSError as err:
            raise ParameterError(f"{self.uri}/{name} cannot be read: {_reason(err)}") from err

    def write(self, name: str, content: bytes) -> None:
        """Write a file, complete or not at all; a store that refuses is asked again for a while.

        Raises
        ------
        PlaceFull
            If the place takes no file.
        """
        waits = iter(() if self.folder else _WAITS)
        while True:
            try:
                self._write(name, content)
                return
            except (OSError, ParameterError) as err:
                if (wait := next(waits, None)) is None:
                    raise PlaceFull(f"{self.uri} takes no file: {_reason(err)}") from err
                time.sleep(wait)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with suppress(OSError):
            self.filesystem.delete_file(self._path(name))

    @contextmanager
    def claimed(self, name: str, others: str) -> Iterator[Claim]:
        """Exclude other writers while the block runs.

        Parameters
        ----------
        name : str
            Name of the claim, a file of the place.
        others : str
            Claims whose names begin with this exclude each other, unless they end in the same
            "-of-N", as shards of one whole do.

        Raises
        ------
        ParameterError
            If another process has a claim; its owner and time are named.
        """
        with ExitStack() as stack:
            if self.folder is not None:
                try:
                    stack.enter_context(locks.claimed(self.folder / name))
                except ParameterError as err:
                    raise self._taken(name) from err
            for other in sorted(self.names()):
                if other.startswith(others) and not _are_shards(name, other):
                    self._refuse(name, other)
            claim = Claim(self, name)
            claim.take()
            stack.callback(claim.release)
            yield claim

    def owner(self, name: str) -> dict[str, Any] | None:
        """Read the owner of a claim: process, host, and time in seconds; None if it has none."""
        with suppress(ValueError, ParameterError):
            owner = json.loads(self.read(name) or b"null")
            if isinstance(owner, dict) and isinstance(owner.get("renewed"), int | float):
                return owner
        return None

    def _refuse(self, name: str, other: str) -> None:
        """Refuse to go on beside another claim whose owner lives."""
        if self.folder is not None:
            if other == name:  # the lock is ours, so that its owner was killed
                return
            try:
                with locks.claimed(self.folder / other):
                    self.remove(other)
            except ParameterError as err:
                raise self._taken(other) from err
            return
        owner = self.owner(other)
        if owner is None or time.time() - owner["renewed"] > _STALE or _has_ended(owner):
            self.remove(other)
            return
        raise self._taken(other)

    def _taken(self, name: str) -> ParameterError:
        owner = self.owner(name) or {}
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(owner.get("since", 0)))
        who = f"process {owner.get('pid')} on {owner.get('host')} since {since}"
        later = "" if self.folder else f"; a killed one is forgotten after {_STALE:.0f} s"
        return ParameterError(
            f"{self.uri} is being written by {who if owner else 'another process'}; wait for it or "
            f"name another place{later}"
        )

    def _opened(self, uri: str) -> tuple[Any, str]:
        invalid = require_extra("pyarrow", "scale").ArrowInvalid
        try:
            if uri.startswith("s3://"):
                with suppress(invalid):  # one request per file; an older pyarrow makes three
                    whole = f"{uri}{'&' if '?' in uri else '?'}allow_delayed_open=true"
                    filesystem, root = self._fs.FileSystem.from_uri(whole)
                    return filesystem, root
            filesystem, root = self._fs.FileSystem.from_uri(uri)
            return filesystem, root
        except (OSError, ValueError) as err:
            if not isinstance(err, invalid) or "Unrecognized filesystem" not in str(err):
                raise ParameterError(f"{uri} cannot be opened: {_reason(err)}") from err
        from fsspec.core import url_to_fs

        try:
            filesystem, root = url_to_fs(uri)
        except (ImportError, ValueError) as err:
            raise ParameterError(f"{uri} cannot be opened: {_reason(err)}") from err
        return self._fs.PyFileSystem(self._fs.FSSpecHandler(filesystem)), root

    def _path(self, name: str) -> str:
        return f"{self.root}/{name}" if name else self.root

    def _write(self, name: str, content: bytes) -> None:
        if self.folder is not None:
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with files.replacing(path) as draft:
                draft.write_bytes(content)
            return
        with self.filesystem.open_output_stream(self._path(name)) as stream:
            stream.write(content)


class Claim:
    """Claim of a place by this process, renewed while it lives."""

    def __init__(self, place: Place, name: str) -> None:
        self._place, self._name, self._since = place, name, time.time()
        self._ended, self._rival = threading.Event(), ""

    def take(self) -> None:
        """Write the claim, and in a store see whether a rival wrote it at the same moment."""
        self._write()
        if self._place.folder is not None:
            return
        time.sleep(_SETTLED)
        self._look()
        self.check()
        threading.Thread(target=self._renew, daemon=True).start()

    def check(self) -> None:
        """Raise ParameterError if another process has taken the place over."""
        if self._rival:
            raise ParameterError(
                f"{self._place.uri} was taken over by {self._rival}; what is written stays"
            )

    def release(self) -> None:
        """End the claim."""
        self._ended.set()
        if not self._rival:
            self._place.remove(self._name)

    def _write(self) -> None:
        about = {"pid": os.getpid(), "host": socket.gethostname(), "since": self._since}
        content = json.dumps({**about, "renewed": time.time()}).encode()
        self._place.write(self._name, content)

    def _look(self) -> None:
        owner = self._place.owner(self._name)
        ours = os.getpid(), socket.gethostname()
        if owner and (owner.get("pid"), owner.get("host")) != ours:
            self._rival = f"process {owner.get('pid')} on {owner.get('host')}"

    def _renew(self) -> None:
        while not self._ended.wait(_RENEWED):
            with suppress(OSError, ParameterError):  # a store that refuses is asked again
                self._look()
                if self._rival or self._ended.is_set():
                    return
                self._write()


def _are_shards(name: str, other: str) -> bool:
    """Return whether two claims are of different shards of one number of shards."""
    of = [text.rpartition("-of-")[2] for text in (name, other)]
    return "-of-" in name and "-of-" in other and of[0] == of[1] and name != other


def _has_ended(owner: dict[str, Any]) -> bool:
    """Return whether the owner of a claim was a process of this machine that is gone."""
    if owner.get("host") != socket.gethostname() or not isinstance(owner.get("pid"), int):
        return False
    if locks.IS_WINDOWS:  # where signal 0 is that of Ctrl-C
        return False
    try:
        os.kill(owner["pid"], 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return bool(owner["pid"] == os.getpid())


def _reason(err: BaseException) -> str:
    """Say in one line what a file system answered."""
    text = getattr(err, "strerror", None) or str(err)
    return " ".join(str(text).split()).removesuffix(".")[:300]

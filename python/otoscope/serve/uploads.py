"""Uploads and results of the workbench, in a folder that goes with the server.

A file is called by a random name of ours; the name that a user gave is a text for pages and is no
part of any path. What is not used for a while is deleted.
"""

from __future__ import annotations

import re
import secrets
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from otoscope.errors import ParameterError
from otoscope.records import claimed
from otoscope.workflows.recording import SUFFIXES

__all__ = ["Limits", "Store", "Upload", "megabytes", "store", "told_name"]

_PREFIX = "otoscope-serve-"
_MOST_NAME = 120  # characters
_UNTOLD = re.compile(r"[\\/\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_ZIP = ".zip"


@dataclass(frozen=True)
class Limits:
    """Limits of what users of the workbench upload and let be done.

    Parameters
    ----------
    upload_bytes : int
        Largest upload.
    stored_bytes : int
        Largest size of all uploads and results together.
    seconds : float
        Longest sound.
    files : int
        Largest number of sounds in an archive, or on a side of a distance.
    unpacked_bytes : int
        Largest size of the sounds of an archive.
    kept_seconds : float
        Time after its last use for which an upload or a result is kept.
    job_seconds : float
        Longest time for a job.

    Examples
    --------
    >>> Limits().kept_seconds
    3600.0
    """

    upload_bytes: int = 100 * 2**20
    stored_bytes: int = 4 * 2**30
    seconds: float = 1200.0
    files: int = 500
    unpacked_bytes: int = 2**30
    kept_seconds: float = 3600.0
    job_seconds: float = 1800.0


@dataclass
class Upload:
    """A sound or an archive of sounds that a user has uploaded.

    Parameters
    ----------
    path : Path
        The file; its stem is the secret name of the upload.
    name : str
        The user's name of it, as a text to show.
    used : float
        Time of the last use.
    """

    path: Path
    name: str
    used: float = field(default_factory=time.monotonic)

    @property
    def is_archive(self) -> bool:
        """Whether it is an archive of sounds."""
        return self.path.suffix == _ZIP


class Store:
    """Uploads and results below a folder.

    Parameters
    ----------
    folder : Path
        Folder of this server alone.
    limits : Limits
        Limits of the uploads.
    """

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.folder, self.limits = folder, limits
        self._uploads: dict[str, Upload] = {}
        self._results: dict[str, float] = {}

    async def receive(self, chunks: AsyncIterator[bytes], name: str) -> Upload:
        """Write an upload to a file, and count its bytes meanwhile.

        Raises
        ------
        ParameterError
            If its name is none of a sound or an archive, or it or all of them are too large.
        """
        told, suffix = told_name(name), Path(told_name(name)).suffix.lower()
        if suffix not in {*SUFFIXES, _ZIP}:
            raise ParameterError(
                f"{told} is no sound by its name, which must end in "
                f"{', '.join(sorted(SUFFIXES))} or {_ZIP} (a folder of sounds)"
            )
        key, n_bytes = secrets.token_hex(12), 0
        room = self.limits.stored_bytes - self.n_bytes()
        path = self.folder / f"{key}{suffix}"
        try:
            with path.open("xb") as file:
                async for chunk in chunks:
                    n_bytes += len(chunk)
                    if n_bytes > self.limits.upload_bytes:
                        most = megabytes(self.limits.upload_bytes)
                        raise ParameterError(f"{told} has more than {most}, the most that is taken")
                    if n_bytes > room:
                        raise ParameterError("the server is full of uploads; try again later")
                    file.write(chunk)
            if not n_bytes:
                raise ParameterError(f"{told} is empty")
        except BaseException:  # a browser that goes away, too
            path.unlink(missing_ok=True)
            raise
        upload = self._uploads[key] = Upload(path, told)
        return upload

    def upload(self, key: str) -> Upload:
        """Return an upload by its secret name, and keep it longer.

        Raises
        ------
        ParameterError
            If there is none, or it was deleted.
        """
        upload = self._uploads.get(key)
        if upload is None:
            raise ParameterError("the upload is gone; upload it again")
        upload.used = time.monotonic()
        return upload

    def new_result(self) -> Path:
        """Make a folder for the files of a result."""
        folder = self.folder / secrets.token_hex(12)
        folder.mkdir(mode=0o700)
        self._results[folder.name] = time.monotonic()
        return folder

    def result(self, key: str) -> Path | None:
        """Return the folder of a result by its secret name, and keep it longer."""
        if key not in self._results:
            return None
        self._results[key] = time.monotonic()
        return self.folder / key

    def forget(self, keys: Collection[str]) -> None:
        """Delete uploads and results by their secret names; others are left out."""
        for key in keys:
            upload = self._uploads.pop(key, None)
            if upload is not None:
                upload.path.unlink(missing_ok=True)
            if upload is not None or self._results.pop(key, None) is not None:
                shutil.rmtree(self.folder / key, ignore_errors=True)

    def sweep(self, in_use: Collection[str] = ()) -> None:
        """Delete what was not used for a while, except what is in use."""
        last = {key: upload.used for key, upload in self._uploads.items()} | self._results
        now = time.monotonic()
        for key in in_use:
            if key in self._uploads:
                self._uploads[key].used = now
            elif key in self._results:
                self._results[key] = now
        old = [key for key, used in last.items() if now - used > self.limits.kept_seconds]
        self.forget([key for key in old if key not in in_use])

    def n_bytes(self) -> int:
        """Count the bytes of all files."""
        total = 0
        for path in self.folder.rglob("*"):
            with suppress(OSError):  # deleted meanwhile
                total += path.stat().st_size
        return total


@contextmanager
def store(limits: Limits) -> Iterator[Store]:
    """Make a store in a temporary folder, and delete it at the end.

    Folders of servers that were killed are deleted first.
    """
    parent = Path(tempfile.gettempdir())
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(ParameterError, OSError), claimed(folder):  # of one that runs
            shutil.rmtree(folder)
    folder = parent / f"{_PREFIX}{secrets.token_hex(6)}"
    with claimed(folder):
        folder.mkdir(mode=0o700)
        try:
            yield Store(folder, limits)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def told_name(name: str) -> str:
    """Make a user's name of a file a text of one line, without its folders.

    Examples
    --------
    >>> told_name("../songs/a.wav")
    'a.wav'
    """
    told = _UNTOLD.sub("", re.split(r"[\\/]", name)[-1]).strip()
    return told if len(told) <= _MOST_NAME else told[: _MOST_NAME // 2] + told[-_MOST_NAME // 2 :]


def megabytes(n_bytes: float) -> str:
    """Write a size in MB."""
    return f"{n_bytes / 2**20:,.0f} MB"

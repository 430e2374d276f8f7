"""Files that are complete or absent: written as drafts, and renamed.

A draft is locked by its writer. Drafts of writers that were killed are removed when a later process
first writes to the folder.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from otoscope.errors import ParameterError
from otoscope.records import locks

__all__ = [
    "is_unchanged",
    "new_folder",
    "remove_dead_drafts",
    "replacing",
    "stamp",
    "write_text",
]

_OURS = re.compile(r"\.otoscope-[0-9a-f]{12}\.(draft|lock)")
_FOLDER = ".d"  # ending of a folder's draft, beside the file that locks it
_WAITS = 0.01, 0.03, 0.1, 0.3, 0.5, 1.0  # seconds before a rename is tried again on Windows
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # of writes, which name no file
_AGE = 60.0  # seconds; on Windows a draft is unlocked for a moment before it is renamed

_visited: set[Path] = set()  # folders without dead drafts


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
    draft, lock = _new_draft(target, path)
    try:
        with _as_written(draft, path):
            yield draft
            with draft.open("r+b") as written:  # Windows flushes files open for writing only
                os.fsync(written.fileno())
            if locks.IS_WINDOWS:  # which renames no open file
                lock.close()
            _rename(draft, target)
    finally:
        lock.close()
        draft.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    r"""Write a text in UTF-8, whole or not at all; lines end in ``\n`` on every system.

    Parameters
    ----------
    path : str or Path
        File to write or replace; see `replacing`.
    text : str
        Content.

    Examples
    --------
    >>> import tempfile
    >>> write_text(Path(tempfile.mkdtemp()) / "names.txt", "Jürgen\n")
    """
    with replacing(path) as draft:  # names of files may hold what UTF-8 lacks
        draft.write_text(text, "utf-8", "backslashreplace", newline="\n")


@contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """Write a whole folder or nothing: write to a draft, and rename it at the end of the block.

    Parameters
    ----------
    path : str or Path
        Folder that does not exist or is empty. Missing parents are made.

    Yields
    ------
    Path
        Draft beside ``path``; removed if the block raises.

    Raises
    ------
    ParameterError
        If ``path`` is a file, or a folder that is not empty, or another process is writing it.
    OSError
        If the folder cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "tunes"
    >>> with new_folder(path) as draft:
    ...     _ = (draft / "train.txt").write_text("")
    >>> [file.name for file in path.iterdir()]
    ['train.txt']
    """
    target = Path(path).resolve()
    with locks.claimed(path):
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise ParameterError(f"{path} is there and is not an empty folder; name a new one")
        owner, lock = _new_draft(target, path)
        draft = owner.with_name(owner.name + _FOLDER)
        try:
            with _as_written(draft, path):
                draft.mkdir()
                yield draft
                if target.exists():
                    target.rmdir()  # some systems do not rename onto an empty folder
                _rename(draft, target)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
            lock.close()
            owner.unlink(missing_ok=True)


def remove_dead_drafts(folder: Path) -> None:
    """Remove drafts and locks of killed processes from a folder.

    Parameters
    ----------
    folder : Path
        Folder; its sub-folders are not searched.

    Examples
    --------
    >>> remove_dead_drafts(Path("songs"))
    """
    _visited.add(folder)
    for draft in folder.glob(".otoscope-*"):
        if not _OURS.match(draft.name) or draft.is_symlink() or not draft.is_file():
            continue
        with suppress(OSError):
            if locks.IS_WINDOWS and time.time() - draft.stat().st_mtime < _AGE:
                continue
            with draft.open("r+b", buffering=0) as file:
                if not locks.acquire(file, without_locks=False):
                    continue
                shutil.rmtree(draft.with_name(draft.name + _FOLDER), ignore_errors=True)
                if not locks.IS_WINDOWS:
                    draft.unlink()
            draft.unlink(missing_ok=True)


def stamp(path: str | Path) -> dict[str, Any]:
    """Return what identifies the content of a file: size, times and hash.

    Parameters
    ----------
    path : str or Path
        File that can be read.

    Returns
    -------
    dict
        ``size`` in bytes, ``mtime_ns`` and ``ctime_ns`` (times of the last change of content, and
        of content or attributes), ``sha256``.

    Examples
    --------
    >>> from otoscope.data import sample
    >>> sorted(stamp(sample().path))
    ['ctime_ns', 'mtime_ns', 'sha256', 'size']
    """
    status = Path(path).stat()  # first: a change during the reading shows next time
    return {**_times(status), "sha256": file_digest(path)}


def is_unchanged(path: str | Path, before: Mapping[str, Any]) -> bool:
    """Return whether a file has the content that was stamped.

    Parameters
    ----------
    path : str or Path
        File.
    before : Mapping
        Result of `stamp`.

    Returns
    -------
    bool
        True if size, time of the last change and hash are the same. The file is read only if its
        attributes have changed since (on Windows, which keeps no time of that, always).

    Examples
    --------
    >>> from otoscope.data import sample
    >>> is_unchanged(sample().path, stamp(sample().path))
    True
    """
    times = _times(Path(path).stat())
    changed = [name for name, value in times.items() if before.get(name) != value]
    if "size" in changed or "mtime_ns" in changed:
        return False
    if not changed and not locks.IS_WINDOWS:
        return True
    return before.get("sha256") == file_digest(path)


def file_digest(path: str | Path) -> str:
    """Return the SHA-256 of a file, read in blocks."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _times(status: os.stat_result) -> dict[str, int]:
    return {
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "ctime_ns": status.st_ctime_ns,
    }


def _new_draft(target: Path, path: str | Path) -> tuple[Path, BinaryIO]:
    """Make and lock an empty draft beside a target."""
    if target.parent not in _visited:
        remove_dead_drafts(target.parent)
    while True:
        draft = target.with_name(f".otoscope-{secrets.token_hex(6)}.draft{target.suffix}")
        try:
            lock: BinaryIO = draft.open("xb", buffering=0)
        except OSError as err:  # the user knows the path, not the draft
            raise OSError(err.errno, err.strerror, str(path)) from None
        if locks.acquire(lock) and draft.exists():
            return draft, lock
        lock.close()  # taken for a dead one before it was locked


@contextmanager
def _as_written(draft: Path, path: str | Path) -> Iterator[None]:
    """Name the user's path, not the draft, in errors of the system."""
    try:
        yield
    except OSError as err:
        place = draft if err.filename is None and err.errno in _FULL else err.filename
        if not isinstance(place, str | Path) or draft not in (Path(place), *Path(place).parents):
            raise
        named = Path(path) / Path(place).relative_to(draft)
        raise OSError(err.errno, err.strerror, str(named)) from err


def _rename(draft: Path, target: Path) -> None:
    """Rename onto a target; on Windows again and again, while a reader has it open."""
    for wait in _WAITS if locks.IS_WINDOWS else ():
        try:
            draft.replace(target)
            return
        except PermissionError:
            time.sleep(wait)
    draft.replace(target)

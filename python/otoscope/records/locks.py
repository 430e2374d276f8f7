"""Locks: one writer of a file or folder at a time, until the block ends or the process dies.

A lock belongs to an open file, and the operating system releases it however the process ends: by
``flock`` on POSIX, by a locked byte beyond any content on Windows. Where a file system has no
locks, writers are not excluded.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from otoscope.errors import ParameterError

__all__ = ["acquire", "claimed", "open_locked"]

IS_WINDOWS = sys.platform == "win32"

_BYTE = 2**31 - 2  # locked on Windows: the last one that its C library can lock
_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EBADF}

_held: dict[Path, int] = {}  # what this process has claimed, each with its thread


@contextmanager
def claimed(*paths: str | Path) -> Iterator[None]:
    """Exclude other writers of files or folders while the block runs.

    Parameters
    ----------
    *paths : str or Path
        Files or folders, which need not exist. Missing parents are made, and removed at the end if
        they are empty. A thread may claim again what it has claimed, and what is inside.

    Raises
    ------
    ParameterError
        If another process or thread has claimed one of them.
    OSError
        If a folder cannot be written.

    Notes
    -----
    The lock is a hidden file beside the path, removed at the end of the block. A killed process
    leaves the file, but not the lock; the next writer removes it.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with claimed(folder / "model"):
    ...     len(list(folder.iterdir()))
    1
    >>> len(list(folder.iterdir()))
    0
    """
    with ExitStack() as stack:
        for target, path in {Path(path).resolve(): path for path in paths}.items():
            stack.enter_context(_claimed(target, path))
        yield


def open_locked(place: Path, path: str | Path) -> BinaryIO:
    """Open a file to append to and lock it until it is closed; ``path`` is named in errors."""
    while True:
        file: BinaryIO = place.open("a+b", buffering=0)
        if not acquire(file):
            file.close()
            raise ParameterError(
                f"{path} is being written by another process; wait for it or name another file"
            )
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), place.stat()):
                return file
        file.close()  # its last owner removed or replaced it meanwhile


def acquire(file: BinaryIO, *, without_locks: bool = True) -> bool:
    """Lock an open file until it is closed; return False if another has locked it.

    ``without_locks`` is returned where the file system has no locks.
    """
    if sys.platform == "win32":
        import msvcrt

        file.seek(_BYTE)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as err:
        if err.errno not in _UNSUPPORTED:
            raise
        return without_locks
    return True


@contextmanager
def _claimed(target: Path, path: str | Path) -> Iterator[None]:
    thread = threading.get_ident()
    if any(_held.get(outer) == thread for outer in (target, *target.parents)):
        yield
        return
    place = _lock_file(target)
    with _parents(place), _owned(place, path):
        _held[target] = thread
        try:
            yield
        finally:
            del _held[target]


@contextmanager
def _owned(place: Path, path: str | Path) -> Iterator[None]:
    """Hold a lock file; remove it while it is still locked, or right after on Windows."""
    try:
        file = open_locked(place, path)
    except OSError as err:  # the user knows the path, not the lock
        raise OSError(err.errno, err.strerror, str(path)) from None
    try:
        yield
    finally:
        if IS_WINDOWS:
            file.close()
        with suppress(OSError):  # on Windows another has opened it
            place.unlink()
        file.close()


@contextmanager
def _parents(place: Path) -> Iterator[None]:
    """Make missing parents; at the end remove those that are empty."""
    missing = [folder for folder in place.parents if not folder.exists()]
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        for folder in missing:
            with suppress(OSError):
                folder.rmdir()


def _lock_file(target: Path) -> Path:
    """Name the lock: beside the target, or inside a folder whose parent cannot be written."""
    name = hashlib.sha256(os.path.normcase(target.name).encode("utf-8", "surrogatepass"))
    lock = f".otoscope-{name.hexdigest()[:12]}.lock"
    parent = target.parent
    if target.is_dir() and (parent == target or not os.access(parent, os.W_OK)):
        return target / lock
    return parent / lock

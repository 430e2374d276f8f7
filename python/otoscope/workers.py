"""Worker processes that end with their parent, however it ends."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any

__all__ = ["end_with", "watched_backend"]

_POLL = 0.5  # seconds
_SYNCHRONIZE = 0x00100000  # right to wait for a process, on Windows
_INFINITE = 0xFFFFFFFF


def watched_backend() -> Any:
    """Make a backend for ``joblib.Parallel`` whose processes end with this one.

    Returns
    -------
    joblib's loky backend
        Backend that starts `end_with` in each process, before any job.

    Examples
    --------
    >>> from joblib import Parallel, delayed
    >>> Parallel(n_jobs=1, backend=watched_backend())(delayed(abs)(n) for n in (-1, 1))
    [1, 1]
    """
    from joblib.parallel import BACKENDS

    loky: Any = BACKENDS["loky"]

    class Watched(loky):  # type: ignore[misc]
        """The loky backend, with an initializer."""

        def configure(self, *args: Any, **settings: Any) -> Any:
            """Start processes that watch this one."""
            return super().configure(
                *args, initializer=end_with, initargs=(os.getpid(),), **settings
            )

    return Watched()


def end_with(parent: int) -> None:
    """End this process as soon as its parent has ended.

    Parameters
    ----------
    parent : int
        Identifier of the parent. A killed parent cannot tell its children, and they would wait for
        work for ever, with its standard output open.

    Examples
    --------
    >>> end_with(os.getppid())
    """
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    if sys.platform == "win32":
        _wait(parent)
    else:
        while os.getppid() == parent:  # another process adopts orphans
            time.sleep(_POLL)
    os._exit(1)


def _wait(process: int) -> None:
    """Wait for the end of a process on Windows, where orphans keep the number of their parent."""
    import ctypes

    kernel: Any = ctypes.WinDLL("kernel32")  # type: ignore[attr-defined,unused-ignore]
    kernel.OpenProcess.restype = ctypes.c_void_p
    kernel.OpenProcess.argtypes = (ctypes.c_uint32, ctypes.c_int, ctypes.c_uint32)
    kernel.WaitForSingleObject.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
    handle = kernel.OpenProcess(_SYNCHRONIZE, False, process)
    if handle:  # else it has ended
        kernel.WaitForSingleObject(handle, _INFINITE)

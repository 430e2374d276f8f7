"""Worker processes that end with their parent, however it ends, and whose end is an error."""

from __future__ import annotations

import os
import pickle
import re
import signal
import sys
import threading
import time
import warnings
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from otoscope.errors import Advice, Argument, ParameterError

__all__ = ["end_with", "results", "watched_backend"]

_Result = TypeVar("_Result")

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
            _start_trackers()
            return super().configure(
                *args, initializer=end_with, initargs=(os.getpid(),), **settings
            )

        def submit(self, *args: Any, **settings: Any) -> Any:
            """Start processes that Ctrl-C, which all of a terminal receive, does not reach."""
            with _interrupts_blocked():
                return super().submit(*args, **settings)

    return Watched()


def results(computed: Iterable[_Result]) -> Iterator[_Result]:
    """Yield what workers compute; a worker that ends before its work is done is an error.

    Parameters
    ----------
    computed : iterable
        Results of ``joblib.Parallel(return_as="generator")``.

    Yields
    ------
    object
        The results, in order.

    Raises
    ------
    ParameterError
        If a worker was killed, as by a system that lacks memory, or its work cannot be sent to it.

    Examples
    --------
    >>> list(results([1, 2]))
    [1, 2]
    """
    from joblib.externals.loky.process_executor import BrokenProcessPool

    try:
        for result in computed:  # noqa: UP028 - which would close it with its warning
            yield result
    except BrokenProcessPool as err:
        codes = re.search(r"\{(.+?)\}", str(err))
        raise ParameterError(
            f"a worker process was ended before its work was done ({codes[1] if codes else err}), "
            "perhaps for lack of memory",
            advice=Advice("take fewer ", Argument("workers")),
        ) from err
    except pickle.PicklingError as err:
        raise ParameterError(
            f"the work cannot be sent to worker processes ({_last_line(err.__cause__ or err)})",
            advice=Advice("take ", Argument("workers", 1)),
        ) from err
    finally:
        if isinstance(computed, Generator):
            with warnings.catch_warnings():  # joblib warns of tasks that are no longer needed
                warnings.simplefilter("ignore")
                computed.close()


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


def _last_line(err: BaseException) -> str:
    """Return what a traceback that came as a text ends in: the error."""
    return str(err).strip('"\n').rpartition("\n")[2]


def _start_trackers() -> None:
    """Start the trackers of resources first: their start ends `_interrupts_blocked`."""
    from multiprocessing import resource_tracker

    from joblib.externals.loky.backend import resource_tracker as loky_tracker

    loky_tracker.ensure_running()
    if sys.platform != "win32":
        resource_tracker.ensure_running()


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Hold interruptions back until the end of the block; processes begun in it inherit that."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


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

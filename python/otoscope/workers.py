"""Worker processes: each makes its work once, keeps it, and ends with its parent.

A worker is a Python of its own that runs on one core: the threads of torch and of BLAS would
compete with those of other workers.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import IO, Any, NoReturn, TypeAlias

from otoscope.errors import ParameterError, Terminated

__all__ = ["Message", "Worker", "end", "end_with", "say"]

Message: TypeAlias = "tuple[str, Any, Sequence[warnings.WarningMessage]]"
"""What a worker sends: "said", "result", "done" or "failed"; a value; warnings."""

_POLL = 0.5  # seconds
_GRACE = 5.0  # seconds that a worker has to remove its temporary files
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
_CODE = """
import pickle, sys
try:
    sys.path[:] = pickle.load(sys.stdin.buffer)
except (EOFError, pickle.UnpicklingError):
    sys.exit(1)  # the parent has ended
from otoscope.workers import serve
serve()
"""
_LISTENERS: list[Callable[[Any], None]] = []  # the parent, in a worker
_SYNCHRONIZE = 0x00100000  # right to wait for a process, on Windows
_INFINITE = 0xFFFFFFFF


class Worker:
    """Process that makes its work once, and answers for one item after another.

    Parameters
    ----------
    make : bytes
        Pickle of a function that makes the work: a function of an item that yields its results.

    Examples
    --------
    >>> worker = Worker(pickle.dumps(lambda: range))  # doctest: +SKIP
    >>> [value for kind, value, _ in worker.work(2)]  # doctest: +SKIP
    [0, 1, None]
    """

    def __init__(self, make: bytes) -> None:
        is_windows = sys.platform == "win32"
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CODE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **dict.fromkeys(_THREADS, "1")},
            # A Ctrl-C is for the parent, which then stops its workers.
            start_new_session=not is_windows,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        self._hello: tuple[Any, ...] = sys.path, (os.getpid(), list(warnings.filters), make)

    def work(self, item: Any) -> Iterator[Message]:
        """Yield the messages for an item.

        Parameters
        ----------
        item : object
            Anything that can be pickled.

        Yields
        ------
        tuple of (str, object, sequence)
            Kind ("said" by `say`, "result", and at the end "done" or "failed"), value, and
            warnings.

        Raises
        ------
        EOFError, OSError
            If the process was ended.

        Examples
        --------
        >>> next(worker.work(2))  # doctest: +SKIP
        ('result', 0, ())
        """
        source, sink = self._process.stdout, self._process.stdin
        for sent in (*self._hello, item):
            _send(sink, sent)
        self._hello = ()
        while True:
            message: Message = pickle.load(source)  # type: ignore[arg-type]
            yield message
            if message[0] in ("done", "failed"):
                return

    def is_alive(self) -> bool:
        """Tell whether the process has not ended.

        Examples
        --------
        >>> worker.is_alive()  # doctest: +SKIP
        True
        """
        return self._process.poll() is None

    def terminate(self) -> None:
        """Ask the process to end.

        Examples
        --------
        >>> worker.terminate()  # doctest: +SKIP
        """
        self._process.terminate()

    def stop(self) -> str:
        """End the process.

        Returns
        -------
        str
            What has ended it: "signal 9", "exit code 1".

        Examples
        --------
        >>> worker.stop()  # doctest: +SKIP
        'signal 15'
        """
        self.terminate()
        with suppress(OSError, ValueError):
            self._process.stdin.close()  # type: ignore[union-attr]
        try:
            code = self._process.wait(timeout=_GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        with suppress(OSError):
            self._process.stdout.close()  # type: ignore[union-attr]
        return f"signal {-code}" if code < 0 else f"exit code {code}"


def _send(sink: Any, thing: Any) -> None:
    sink.write(pickle.dumps(thing, pickle.HIGHEST_PROTOCOL))
    sink.flush()


def end(workers: Iterable[Worker]) -> None:
    """End workers, all at once."""
    workers = [*workers]
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.stop()


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


def say(value: Any) -> None:
    """Send a value at once, from within the work of a worker; elsewhere, do nothing.

    Parameters
    ----------
    value : object
        Anything that can be pickled, such as how much of an item is done.

    Examples
    --------
    >>> say("half of it")
    """
    for listener in _LISTENERS:
        listener(value)


def serve() -> None:
    """Work as the process of a worker: read items from stdin, write messages to stdout."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a model prints must not come between the messages
    # The input ends, perhaps in the middle of a message, when the parent does.
    with answers, suppress(Terminated, BrokenPipeError, EOFError, pickle.UnpicklingError):
        _serve(sys.stdin.buffer, answers)


def _serve(source: IO[bytes], answers: IO[bytes]) -> None:
    parent, filters, make = pickle.load(source)
    end_with(parent)
    signal.signal(signal.SIGTERM, _stop)  # temporary files are removed
    warnings.filters[:] = filters  # type: ignore[index]
    work: Any = None

    def answer(kind: str, value: Any, caught: list[warnings.WarningMessage]) -> None:
        _send(answers, (kind, value, tuple(caught)))
        caught.clear()

    _LISTENERS.append(lambda value: _send(answers, ("said", value, ())))
    while True:
        try:
            item = pickle.load(source)
        except EOFError:
            _ignore_signals()
            return
        with warnings.catch_warnings(record=True) as caught:
            try:
                if work is None:
                    work = _refuse  # what cannot be made once is not tried again
                    work = pickle.loads(make)()
                for result in work(item):
                    answer("result", result, caught)
                answer("done", None, caught)
            except Exception:  # the parent meets it again
                answer("failed", None, [])


def _refuse(_: Any) -> NoReturn:
    raise ParameterError("there is nothing to work with")


def _stop(*_: Any) -> NoReturn:
    _ignore_signals()
    raise Terminated(1)


def _ignore_signals() -> None:
    """End without a word, whatever the parent sends while the work is freed."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


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

"""Pool of processes that keep their work, such as a loaded model, from item to item.

A worker is a Python of its own that makes its work once, such as loading a model, keeps it, and
works on one item after another. It runs on one core: the threads of torch and of BLAS would compete
with those of the other workers.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from itertools import islice
from queue import Empty, SimpleQueue
from typing import IO, Any, NoReturn, TypeAlias, TypeVar

from otoscope.errors import Advice, Argument, ParameterError, Terminated, WorkerEnded
from otoscope.workers import end_with

__all__ = ["Worker", "check_same", "mapped", "n_cores"]

Item = TypeVar("Item")
Result = TypeVar("Result")
_Message: TypeAlias = tuple[str, Any, Sequence[warnings.WarningMessage]]

_POLL = 0.5  # seconds
_GRACE = 5.0  # seconds that a worker has to remove its temporary files
_WORTH = 4  # items that repay the start of a process, which takes as long as two or three of them
_AHEAD = 2  # items per worker that are computed before they are asked for
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
_CODE = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); "
    "from otoscope.pool import serve; serve()"
)


def mapped(
    make: Callable[[], Callable[[Item], Iterable[Result]]],
    items: Sequence[Item],
    *,
    here: Callable[[Item], Iterable[Result]],
    workers: int | None = None,
    device: str = "cpu",
) -> Generator[Iterator[Result], None, None]:
    """Work on items in several processes, and yield the results of each item, in order.

    Parameters
    ----------
    make : callable
        Makes the work in each worker: a function of an item that yields its results. Sent to the
        worker as a pickle, as are items and results.
    items : sequence
        Items to work on.
    here : callable
        The same work in this process, for a single worker. An item that raises an error in a worker
        is worked on here again, where the error is raised with all that belongs to it.
    workers : int, optional
        Number of workers, >= 1, each on one core. By default all cores, and this process alone,
        with its own number of threads, if there are too few items to repay a start, or the device
        is a GPU.
    device : str
        Device of the work.

    Yields
    ------
    iterator
        Results of an item, as they come. It raises `WorkerEnded` if the worker was killed; another
        worker goes on with the next item. Warnings are given again in this process.

    Raises
    ------
    ParameterError
        If ``workers`` is below 1.

    Examples
    --------
    >>> [list(results) for results in mapped(lambda: range, [1, 2], here=range)]
    [[0], [0, 1]]
    """
    if workers is not None and workers < 1:
        raise ParameterError(f"workers is {workers}, must be >= 1")
    n = workers or (n_cores() if device == "cpu" else 1)
    n = min(n, len(items) // (1 if workers else _WORTH))
    if n > 1:
        yield from _Pool(make, items, here, n).results()
        return
    with _one_thread() if workers and len(items) > 1 else nullcontext():
        for item in items:
            yield iter(here(item))


def n_cores() -> int:
    """Count the cores that this process may use.

    Examples
    --------
    >>> n_cores() >= 1
    True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_same(here: Any, there: Any) -> None:
    """Refuse to work with another model than the parent, such as one of random weights.

    The parent then works alone.
    """
    if here != there:
        raise ParameterError(f"the model is {here} in a worker, {there} in its parent")


def serve() -> None:
    """Work as the process of a worker: read items from stdin, write messages to stdout."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a model prints must not come between the messages
    with answers, suppress(Terminated, BrokenPipeError):
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


class _Pool:
    """Workers for some items, each attended by a thread of this process."""

    def __init__(self, make: Any, items: Sequence[Any], here: Any, n: int) -> None:
        self._make, self._items, self._here, self._n = pickle.dumps(make), items, here, n
        self._messages = [SimpleQueue[_Message]() for _ in items]
        self._next, self._room = iter(range(len(items))), threading.Semaphore(_AHEAD * n)
        self._lock, self._is_closed = threading.Lock(), False
        self._processes: list[Worker] = []

    def results(self) -> Iterator[Iterator[Any]]:
        """Yield the results of each item."""
        threads = [threading.Thread(target=self._attend, daemon=True) for _ in range(self._n)]
        for thread in threads:
            thread.start()
        try:
            for number in range(len(self._items)):
                yield self._results_of(number)
                self._room.release()
        finally:
            with self._lock:
                self._is_closed = True
            self._room.release(self._n)
            for process in self._processes:
                process.terminate()
            for process in self._processes:
                process.stop()
            for thread in threads:
                thread.join()

    def _results_of(self, number: int) -> Iterator[Any]:
        item, n_results = self._items[number], 0
        while True:
            kind, value, caught = self._message(number)
            for it in caught:
                warnings.warn_explicit(it.message, it.category, it.filename, it.lineno)
            if kind == "result":
                yield value
                n_results += 1
            elif kind == "failed":
                yield from islice(self._here(item), n_results, None)
                return
            elif kind == "done":
                return
            else:
                raise WorkerEnded(
                    f"the process that worked on it was ended ({value}), as when memory is short",
                    advice=Advice("less is needed with ", Argument("workers", self._n - 1)),
                )

    def _message(self, number: int) -> _Message:
        while True:  # in short waits: on Windows nothing interrupts a long one
            with suppress(Empty):
                return self._messages[number].get(timeout=_POLL)

    def _attend(self) -> None:
        """Hand item after item to a worker; start another one after its end."""
        worker = None
        while True:
            self._room.acquire()
            with self._lock:
                number = None if self._is_closed else next(self._next, None)
                if number is not None and worker is None:
                    worker = Worker(self._make)
                    self._processes.append(worker)
            if number is None or worker is None:
                break
            try:
                for message in worker.work(self._items[number]):
                    self._messages[number].put(message)
            except Exception:  # the pipe is closed, or what came through it is torn
                self._messages[number].put(("ended", worker.stop(), ()))
                worker = None
        if worker is not None:
            worker.stop()


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

    def work(self, item: Any) -> Iterator[_Message]:
        """Yield the messages for an item.

        Parameters
        ----------
        item : object
            Anything that can be pickled.

        Yields
        ------
        tuple of (str, object, sequence)
            Kind ("result", and at the end "done" or "failed"), result, and warnings.

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
            message: _Message = pickle.load(source)  # type: ignore[arg-type]
            yield message
            if message[0] != "result":
                return

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


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch run in one thread, as in a worker."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)

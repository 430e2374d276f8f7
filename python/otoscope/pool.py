"""Pool of processes that keep their work, such as a loaded model, from item to item.

A worker is a Python of its own that makes its work once, such as loading a model, keeps it, and
works on one item after another. It runs on one core: the threads of torch and of BLAS would compete
with those of the other workers.
"""

from __future__ import annotations

import os
import pickle
import threading
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from itertools import islice
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, TypeVar

from otoscope.errors import Advice, Argument, ParameterError, WorkerEnded
from otoscope.workers import Message, Worker, end

__all__ = ["Pool", "check_same", "mapped", "n_cores", "one_thread"]

Item = TypeVar("Item")
Result = TypeVar("Result")
Self = TypeVar("Self", bound="Pool")

_POLL = 0.5  # seconds
_WORTH = 4  # items that repay the start of a process, which takes as long as two or three of them
_AHEAD = 2  # items per worker that are computed before they are asked for


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
    with (
        one_thread() if n <= 1 and workers and len(items) > 1 else nullcontext(),
        Pool(make) as pool,
    ):
        yield from pool.mapped(items, n, here=here)


class Pool:
    """Processes that stay from one call to the next, and end with the block.

    Parameters
    ----------
    make : callable
        Makes the work in each worker, see `mapped`.

    Examples
    --------
    >>> with Pool(lambda: range) as pool:
    ...     [[*results] for n in (1, 2) for results in pool.mapped([n], 1, here=range)]
    [[0], [0, 1]]
    """

    def __init__(self, make: Callable[[], Callable[[Any], Iterable[Any]]]) -> None:
        self.make, self.idle = make, list[Worker]()

    def mapped(
        self,
        items: Sequence[Item],
        n: int,
        *,
        here: Callable[[Item], Iterable[Result]],
        sent: Callable[[Item], Any] | None = None,
    ) -> Generator[Iterator[Result], None, None]:
        """Work on items in ``n`` processes, and yield the results of each item, in order.

        Parameters
        ----------
        items : sequence
            Items to work on.
        n : int
            Number of workers; with one, the work is done in this process.
        here : callable
            The same work in this process, see `otoscope.pool.mapped`.
        sent : callable, optional
            What a worker gets for an item; by default the item. If it raises an error, the item is
            worked on here.

        Yields
        ------
        iterator
            Results of an item, see `otoscope.pool.mapped`.

        Examples
        --------
        >>> with Pool(lambda: range) as pool:
        ...     [[*results] for results in pool.mapped([1, 2], 1, here=range)]
        [[0], [0, 1]]
        """
        n = min(n, len(items))
        if n > 1:
            yield from _Run(self, items, n, here, sent or (lambda item: item)).results()
            return
        for item in items:
            yield iter(here(item))

    def __enter__(self: Self) -> Self:
        """Return the pool."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the processes."""
        end(self.idle)
        self.idle.clear()


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


class _Run:
    """Workers of a pool for some items, each attended by a thread of this process."""

    def __init__(self, pool: Pool, items: Sequence[Any], n: int, here: Any, sent: Any) -> None:
        self._pool, self._items, self._n, self._here, self._sent = pool, items, n, here, sent
        self._make = pickle.dumps(pool.make)
        self._messages = [SimpleQueue[Message]() for _ in items]
        self._next, self._room = iter(range(len(items))), threading.Semaphore(_AHEAD * n)
        self._lock, self._is_closed, self._is_complete = threading.Lock(), False, False
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
            self._is_complete = True
        finally:
            with self._lock:
                self._is_closed = True
            self._room.release(self._n)
            if not self._is_complete:
                end(self._processes)
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

    def _message(self, number: int) -> Message:
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
            if number is None:
                break
            try:
                if worker is None:
                    worker = self._worker()
                    with self._lock:
                        self._processes.append(worker)
            except OSError:  # no process can be started, so that it is worked on here
                self._messages[number].put(("failed", None, ()))
                continue
            try:
                item = self._sent(self._items[number])
            except Exception:  # it cannot be sent, so that it is worked on here
                self._messages[number].put(("failed", None, ()))
                continue
            try:
                for message in worker.work(item):
                    self._messages[number].put(message)
            except Exception:  # the pipe is closed, or what came through it is torn
                self._messages[number].put(("ended", worker.stop(), ()))
                worker = None
        if worker is not None and (self._is_complete or not self._is_closed):
            self._pool.idle.append(worker)
        elif worker is not None:
            worker.stop()

    def _worker(self) -> Worker:
        """Take a worker of an earlier run, or start one."""
        while self._pool.idle:
            worker = self._pool.idle.pop()
            if worker.is_alive():
                return worker
            worker.stop()
        return Worker(self._make)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch run in one thread, as in a worker."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)

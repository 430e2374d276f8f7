"""The threads of a shared pass: each takes whole parts through torch by itself.

torch divides every operation among threads that wait for each other at full speed: a pass of many
short operations gains little by a second thread, and waits long where another process has taken its
core. Here every operation runs in one thread, and parts of a layer are divided among threads.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TypeVar

import torch

__all__ = ["crew", "for_each"]

Part = TypeVar("Part")
Result = TypeVar("Result")


class _Here(threading.local):
    """The helpers of the pass that runs in this thread."""

    pool: Executor | None = None
    size: int = 0


_HERE = _Here()


@contextmanager
def crew(device: torch.device) -> Iterator[None]:
    """Give the passes of this thread as many threads as torch has, and torch one in each."""
    n_threads = torch.get_num_threads()
    if n_threads == 1 or device.type != "cpu":
        yield
        return
    torch.set_num_threads(1)
    try:
        # begun anew: the system puts a new thread on an idle core, an old one beside its waker
        with ThreadPoolExecutor(n_threads - 1, "crew", torch.set_num_threads, (1,)) as pool:
            begun = threading.Barrier(n_threads)
            for _ in range(n_threads - 1):
                pool.submit(_begin, begun)
            begun.wait()
            _HERE.pool, _HERE.size = pool, n_threads - 1
            yield
    finally:
        _HERE.pool = None
        torch.set_num_threads(n_threads)  # also of threads that begin later


def _begin(begun: threading.Barrier) -> None:
    """Let torch read its number of threads, which clears caches, before any thread computes."""
    torch.get_num_threads()
    begun.wait()


def for_each(parts: Sequence[Part], function: Callable[[Part], Result]) -> list[Result]:
    """Apply a function to each part, in the threads of the crew if there is one.

    A helper that has not begun when all parts are taken is not waited for.
    """
    if _HERE.pool is None or len(parts) < 2:
        return [function(part) for part in parts]
    results: dict[int, Result] = {}
    remaining, grad = deque(enumerate(parts)), torch.is_grad_enabled()

    def take() -> tuple[int, Part] | None:
        with suppress(IndexError):  # another thread took the last
            return remaining.popleft()
        return None

    def work() -> None:
        try:
            with torch.set_grad_enabled(grad):
                while taken := take():
                    results[taken[0]] = function(taken[1])
        finally:
            remaining.clear()  # an error ends the work of all

    helpers = [_HERE.pool.submit(work) for _ in range(min(_HERE.size, len(parts) - 1))]
    try:
        work()
    finally:
        begun = [helper for helper in helpers if not helper.cancel()]
        for helper in begun:
            helper.exception()  # waits: what it writes may be freed next
    for helper in begun:
        helper.result()
    return [results[number] for number in range(len(parts))]

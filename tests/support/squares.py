"""Work for `otoscope.pool.mapped` that imports no torch."""

from __future__ import annotations

import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator

from otoscope.errors import ParameterError


def squared() -> Callable[[int], Iterator[tuple[int, int]]]:
    """Make work that prints, warns, and fails or kills its worker at some items."""
    sys.stdout.write("this must not come between the messages")

    def work(item: int) -> Iterator[tuple[int, int]]:
        os.write(1, b"nor this")
        yield item**2, threads()
        if item == 3:
            raise ParameterError("3 is refused")
        if item == 5 and int(os.environ["PARENT_ID"]) != os.getpid():
            os.kill(os.getpid(), signal.SIGKILL)
        if item == 6:
            warnings.warn("6 is odd", UserWarning, stacklevel=1)
        yield -item, os.getpid()

    return work


def sleeping() -> Callable[[float], Iterator[int]]:
    """Make work that says which process it is in, and takes seconds."""

    def work(seconds: float) -> Iterator[int]:
        yield os.getpid()
        time.sleep(seconds)

    return work


def threads() -> int:
    """Count the threads of torch, where it is loaded."""
    return int(os.environ.get("OMP_NUM_THREADS", 0))


def broken() -> Callable[[int], Iterator[int]]:
    """Fail to make the work."""
    raise ParameterError("no model")

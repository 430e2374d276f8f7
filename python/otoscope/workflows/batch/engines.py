"""Engines of a batch: this process, processes of this machine by joblib, or a cluster by Ray.

An engine hands calls to processes; `run` keeps at most two per worker in flight, so that memory
does not grow with the number of chunks. A chunk whose worker was killed is halved until the file
that kills workers is alone.
"""

from __future__ import annotations

import os
import socket
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future
from concurrent.futures import wait as wait_for
from functools import partial
from typing import Any, Protocol

from otoscope.errors import ParameterError, require_extra
from otoscope.pool import n_cores
from otoscope.workers import end_with
from otoscope.workflows.batch.manifest import Chunk
from otoscope.workflows.batch.work import Counts

__all__ = ["Engine", "Joblib", "Lost", "Ray", "Serial", "call", "make_engine", "run"]

_POLL = 0.5  # seconds
_NO_CLUSTER = 10.0  # seconds that an address has to answer
_COUNTED = 10.0  # seconds between counts of a cluster's cores
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""First bytes of a client of HTTP/2, with empty settings: RFC 9113, sections 3.4 and 6.5."""
_TRIES = 2  # workers that a single file may kill
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


class Lost:
    """Stands for the result of a call whose process was killed."""


class Engine(Protocol):
    """Processes that take calls."""

    @property
    def name(self) -> str:
        """Name of the engine."""
        ...

    @property
    def isolates(self) -> bool:
        """Whether a killed process loses its own call only."""
        ...

    @property
    def threads(self) -> int | None:
        """Number of torch's threads in each process; None for its own number."""
        ...

    @property
    def room(self) -> int:
        """Number of calls that may be in flight."""
        ...

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Hand out a call; return its handle."""
        ...

    def ready(self, handles: Iterable[Any]) -> list[tuple[Any, Any]]:
        """Wait for calls; return the handles of those that ended, each with its result or `Lost`.

        What a call raised is raised.
        """
        ...

    def close(self) -> None:
        """End the processes."""
        ...


def run(
    engine: Engine, work: Callable[[Chunk], tuple[Any, ...]], chunks: Iterable[Chunk]
) -> Iterator[Counts | Chunk]:
    """Work on chunks, and yield the counts of each, as they come.

    Parameters
    ----------
    engine : Engine
        Processes.
    work : callable
        Makes of a chunk the function and the arguments to call.
    chunks : iterable of Chunk
        Taken as there is room.

    Yields
    ------
    Counts or Chunk
        Counts of a part; or a chunk of one file that killed its worker again and again.
    """
    waiting, again, suspects = iter(chunks), deque[Chunk](), deque[Chunk]()
    running: dict[Any, Chunk] = {}
    while True:
        is_alone = bool(suspects)  # a suspect runs by itself, after all that is in flight
        if is_alone and not running:
            chunk = suspects.popleft()
            running[engine.submit(*work(chunk))] = chunk
        while not is_alone and len(running) < engine.room:
            if (further := again.popleft() if again else next(waiting, None)) is None:
                break
            running[engine.submit(*work(further))] = further
        if not running:
            return
        n_running = len(running)
        for handle, result in engine.ready(running):
            chunk = running.pop(handle)
            if not isinstance(result, Lost):
                yield result
            elif not engine.isolates and n_running > 1:
                suspects.append(chunk)  # which of them it was shows when each runs alone
            elif len(chunk.files) == 1 and chunk.n_lost + 1 >= _TRIES:
                yield chunk
            else:
                (again if engine.isolates else suspects).extend(chunk.halves())


def call(engine: Engine, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a process of the engine, and return its result."""
    handle = engine.submit(function, *arguments)
    while not (ended := engine.ready([handle])):
        pass
    if isinstance(result := ended[0][1], Lost):
        raise ParameterError("the process that loads the model was killed, as when memory is short")
    return result


def make_engine(workers: int | None, ray: str | None, *, device: str = "cpu") -> Engine:
    """Choose the engine: Ray's cluster at an address, else one process per worker.

    Raises
    ------
    ParameterError
        If ``workers`` is below 1, both are given, or no cluster answers at the address.
    MissingExtra
        If Ray is not installed.
    """
    if workers is not None and workers < 1:
        raise ParameterError(f"workers is {workers}, must be >= 1")
    if ray is not None and workers is not None:
        raise ParameterError(f"workers is {workers} beside ray {ray!r}: choose one")
    if ray is not None:
        return Ray(ray, device=device)
    n = workers or (n_cores() if device == "cpu" else 1)
    return Serial() if n == 1 else Joblib(n)


class Serial:
    """This process, with its own number of threads."""

    name, isolates, threads, room = "serial", True, None, 1

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Keep the call for `ready`."""
        return partial(function, *arguments)

    def ready(self, handles: Iterable[Any]) -> list[tuple[Any, Any]]:
        """Do the first call."""
        handle = next(iter(handles))
        return [(handle, handle())]

    def close(self) -> None:
        """Do nothing."""


class Joblib:
    """Processes of this machine, each on one core, by joblib's loky.

    A worker that is killed breaks the pool: all calls in flight are lost, and another pool begins.
    """

    name, isolates, threads = "joblib", False, 1

    def __init__(self, n: int) -> None:
        self._n = n
        self._pool: Any = None

    @property
    def room(self) -> int:
        """Number of calls that may be in flight."""
        return 2 * self._n

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Hand out a call; begin a pool if there is none."""
        pool = self._pool or self._begun()
        try:
            return pool.submit(function, *arguments)
        except BrokenExecutor:
            self.close()
            return self._begun().submit(function, *arguments)

    def ready(self, handles: Iterable[Any]) -> list[tuple[Any, Any]]:
        """Wait for a call; if its worker was killed, all others are lost too."""
        listed, done = list(handles), set[Any]()
        while not done:  # in short waits, which an interruption ends
            done, _ = wait_for(listed, timeout=_POLL, return_when=FIRST_COMPLETED)
        is_broken = any(isinstance(future.exception(), BrokenExecutor) for future in done)
        if is_broken:
            self.close()
            wait_for(listed)
        return [(f, _outcome(f)) for f in (listed if is_broken else done)]

    def close(self) -> None:
        """Kill the workers."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, kill_workers=True)

    def _begun(self) -> Any:
        from joblib.externals.loky import ProcessPoolExecutor

        # A worker that grew is replaced between two calls.
        warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
        self._pool = ProcessPoolExecutor(
            self._n,
            env=dict.fromkeys(_THREADS, "1"),
            initializer=_begin_worker,
            initargs=(os.getpid(),),
        )
        return self._pool


def _begin_worker(parent: int) -> None:
    """End with the parent; leave interruptions to it."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with(parent)


def _outcome(future: Future[Any]) -> Any:
    if future.cancelled() or isinstance(future.exception(), BrokenExecutor):
        return Lost()
    return future.result()


class Ray:
    """Cluster of Ray: "local" starts one on this machine, "auto" and HOST:PORT join one.

    Tasks keep no state, so that a node may go at any time. Ray's own dashboard and statistics of
    usage stay off.
    """

    name, isolates, threads = "ray", True, 1

    def __init__(self, address: str, *, device: str = "cpu") -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        self._ray: Any = require_extra("ray", "scale")
        self._address = _checked_address(address)
        self._remote: dict[Any, Any] = {}
        self._gpus = 0 if device == "cpu" else 1
        self._counted, self._cores = 0.0, 1
        settings: Mapping[str, Any] = {"log_to_driver": False, "logging_level": "error"}
        if address == "local":
            settings = {**settings, "num_cpus": n_cores(), "include_dashboard": False}
        try:
            self._ray.init(address=self._address, **settings)
        except (ConnectionError, ValueError, RuntimeError, OSError) as err:
            reason = " ".join(str(err).split())[:300]
            raise ParameterError(f"ray is {address!r}, where no cluster answers: {reason}") from err

    @property
    def room(self) -> int:
        """Number of calls that may be in flight: two per core of the cluster, counted anew."""
        if time.monotonic() - self._counted > _COUNTED:
            kind = "GPU" if self._gpus else "CPU"
            self._cores = max(1, int(self._ray.cluster_resources().get(kind, 1)))
            self._counted = time.monotonic()
        return 2 * self._cores

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Hand out a call as a task that is tried once more if its node goes."""
        if function not in self._remote:
            # max_calls=0: else a task with a GPU ends its worker, and the next loads the model anew
            options = {"num_cpus": 1, "num_gpus": self._gpus, "max_retries": 1, "max_calls": 0}
            self._remote[function] = self._ray.remote(**options)(function)
        return self._remote[function].remote(*arguments)

    def ready(self, handles: Iterable[Any]) -> list[tuple[Any, Any]]:
        """Wait for a task, and take all that are done."""
        listed, done = list(handles), list[Any]()
        while not done:
            done, _ = self._ray.wait(listed, timeout=_POLL)
        done, _ = self._ray.wait(listed, num_returns=len(listed), timeout=0)
        return [(ref, self._outcome(ref)) for ref in done]

    def close(self) -> None:
        """Leave the cluster; that of this machine ends."""
        self._ray.shutdown()

    def _outcome(self, ref: Any) -> Any:
        errors = self._ray.exceptions
        try:
            return self._ray.get(ref)
        except errors.RayTaskError as err:
            raise (err.cause if isinstance(err.cause, Exception) else err) from None
        except errors.RayError:  # of the worker or its node
            return Lost()


def _checked_address(address: str) -> str:
    """Return the address for Ray; that of a cluster must answer within ten seconds."""
    if address in ("local", "auto"):
        return address
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isdecimal() and 0 < int(port) < 65536):
        raise ParameterError(f"ray is {address!r}, must be local, auto or HOST:PORT")
    end, reason = time.monotonic() + _NO_CLUSTER, ""
    while time.monotonic() < end:
        try:
            with socket.create_connection((host, int(port)), timeout=_NO_CLUSTER) as connection:
                _require_http_2(connection)
                return address
        except OSError as err:
            reason = err.strerror or str(err)
            time.sleep(_POLL)
    raise ParameterError(f"ray is {address!r}, where no cluster answers: {reason}")


def _require_http_2(connection: socket.socket) -> None:
    """Raise OSError unless a gRPC server, such as Ray's, greets; Ray itself waits for minutes."""
    if os.environ.get("RAY_USE_TLS") == "1":
        return
    connection.sendall(_GREETING)
    frame = connection.recv(9)
    if len(frame) < 4 or frame[3] != 4:  # type of a frame of settings
        raise OSError("it is no server of Ray")

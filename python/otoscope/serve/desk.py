"""Jobs in a line, done by one process that holds the models; a second one waits, warm.

A job is cancelled by ending its process: the warm one takes its place at once, and another one is
started. A job whose process was ended from outside says so, and the next one is done.
"""

from __future__ import annotations

import pickle
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from otoscope.errors import ParameterError
from otoscope.workers import Worker

__all__ = ["Desk", "Job", "JobState"]

JobState: TypeAlias = Literal["waiting", "working", "done", "failed", "cancelled"]

_KEPT = 200  # finished jobs
_KEPT_SECONDS = 600.0
_WAITING = 32  # jobs


@dataclass(eq=False)
class Job:
    """A job and what became of it.

    Parameters
    ----------
    item : object
        What to do; sent to the process.
    key : str
        Secret name of the job.
    state : {"waiting", "working", "done", "failed", "cancelled"}
        Where it stands.
    result : object
        What the process answered, if done; the reason, if failed.
    """

    item: Any
    key: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    state: JobState = "waiting"
    result: Any = None
    ended: float = 0.0

    @property
    def is_over(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in ("done", "failed", "cancelled")


class Desk:
    """A line of jobs and the process that does them.

    Parameters
    ----------
    make : callable
        Makes the work in the process: a function of an item that yields one result. None as an
        item only loads what it needs.
    """

    def __init__(self, make: Callable[[], Callable[[Any], Iterable[Any]]]) -> None:
        self._make = pickle.dumps(make)
        self._lock = threading.Condition()
        self._line: deque[Job] = deque()
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._current: Job | None = None
        self._is_closed = False
        self._at_work, self._spare = _Warm(self._make), _Warm(self._make)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def submit(self, item: Any) -> Job:
        """Put a job at the end of the line."""
        with self._lock:
            if len(self._line) >= _WAITING:
                raise ParameterError(f"{_WAITING} jobs are waiting; try again in a moment")
            self._forget()
            job = Job(item)
            self._jobs[job.key] = job
            self._line.append(job)
            self._lock.notify_all()
            return job

    def job(self, key: str) -> Job | None:
        """Return a job by its secret name; None after a while, or after a restart."""
        return self._jobs.get(key)

    def place(self, job: Job) -> int:
        """Return how many jobs are before a waiting one; 0 for others."""
        with self._lock:
            if job.state != "waiting" or job not in self._line:
                return 0
            return self._line.index(job) + (self._current is not None)

    def cancel(self, job: Job) -> None:
        """Take a job out of the line, or end the process that does it."""
        with self._lock:
            if job.is_over:
                return
            job.state, job.ended = "cancelled", time.monotonic()
            if job in self._line:
                self._line.remove(job)
            elif job is self._current:
                self._at_work.worker.terminate()

    def close(self) -> None:
        """End both processes."""
        with self._lock:
            self._is_closed = True
            self._lock.notify_all()
            self._at_work.worker.terminate()
            self._spare.worker.terminate()
        self._thread.join()
        for warm in (self._at_work, self._spare):
            warm.worker.stop()

    def _serve(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._is_closed or bool(self._line))
                if self._is_closed:
                    return
                job = self._current = self._line.popleft()
                job.state = "working"
            try:
                result = self._at_work.result(job.item)
                self._end(job, "done", result)
            except ParameterError as err:
                self._end(job, "failed", str(err))
            except Exception:  # the pipe is closed: the process was ended
                how = self._at_work.worker.stop()
                self._end(job, "failed", f"the process that worked on it was ended ({how})")
                with self._lock:
                    if self._is_closed:
                        return
                    self._at_work, self._spare = self._spare, _Warm(self._make)

    def _end(self, job: Job, state: JobState, result: Any) -> None:
        with self._lock:
            self._current = None
            if job.state != "cancelled":
                job.result, job.ended, job.state = result, time.monotonic(), state

    def _forget(self) -> None:
        """Drop what ended long ago, and the oldest of too many."""
        now = time.monotonic()
        for key, job in list(self._jobs.items()):
            too_many = len(self._jobs) > _KEPT + len(self._line)
            if job.is_over and (too_many or now - job.ended > _KEPT_SECONDS):
                del self._jobs[key]


class _Warm:
    """A process that loads its models at once."""

    def __init__(self, make: bytes) -> None:
        self.worker = Worker(make)
        self._loading = threading.Thread(target=self._load, daemon=True)
        self._loading.start()

    def result(self, item: Any) -> Any:
        """Return the result of an item; `ParameterError` if the work says so."""
        self._loading.join()
        kind, value, _ = next(iter(list(self.worker.work(item))))
        if kind != "result":
            raise RuntimeError("the work failed in a way that it does not name")
        if isinstance(value, ParameterError):
            raise value
        return value

    def _load(self) -> None:
        with suppress(Exception):  # the first job meets it again
            list(self.worker.work(None))

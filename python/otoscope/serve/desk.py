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
from functools import partial
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
    said : object
        What the process has said last, see `workers.say`.
    """

    item: Any
    key: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    state: JobState = "waiting"
    result: Any = None
    said: Any = None
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
    kept_seconds : float
        Time after its end for which a job is known.
    most_seconds : float, optional
        Longest time for a job; one that takes longer is ended.
    """

    def __init__(
        self,
        make: Callable[[], Callable[[Any], Iterable[Any]]],
        *,
        kept_seconds: float = _KEPT_SECONDS,
        most_seconds: float | None = None,
    ) -> None:
        self._make = pickle.dumps(make)
        self._lock = threading.Condition()
        self._line: deque[Job] = deque()
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._current: Job | None = None
        self._kept_seconds, self._most_seconds = kept_seconds, most_seconds
        self._is_closed = self._is_worn = False  # worn: its process was told to end
        self._at_work = _Warm(self._make)
        self._spare = _Warm(self._make, after=self._at_work)
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
                self._end_process()

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

    def unfinished(self) -> list[Job]:
        """List the jobs that wait or are worked on."""
        with self._lock:
            return [*self._line, *([self._current] if self._current else [])]

    def _serve(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._is_closed or bool(self._line))
                if self._is_closed:
                    return
                job = self._current = self._line.popleft()
                job.state = "working"
            clock = threading.Timer(self._most_seconds or 0, self._expire, (job,))
            clock.daemon = True
            if self._most_seconds is not None:
                clock.start()
            state, result = self._outcome(job)
            clock.cancel()
            with self._lock:
                self._current = None
                if not job.is_over:
                    job.result, job.ended, job.state = result, time.monotonic(), state
                if self._is_closed:
                    return
                if self._is_worn:
                    worn, self._at_work, self._is_worn = self._at_work, self._spare, False
                    self._spare = _Warm(self._make)
                    threading.Thread(target=worn.worker.stop, daemon=True).start()

    def _outcome(self, job: Job) -> tuple[JobState, Any]:
        """Let the process work on a job; what has become of it."""
        try:
            return "done", self._at_work.result(job.item, partial(setattr, job, "said"))
        except ParameterError as err:
            return "failed", str(err)
        except Exception:  # the pipe is closed: the process was ended
            how = "" if job.is_over else self._at_work.worker.stop()
            self._is_worn = True
            return "failed", f"the process that worked on it was ended ({how})"

    def _expire(self, job: Job) -> None:
        """End a job that takes too long."""
        with self._lock:
            if job is self._current and not job.is_over:
                job.result = f"it took longer than {self._most_seconds:g} s, and was ended"
                job.ended, job.state = time.monotonic(), "failed"
                self._end_process()

    def _end_process(self) -> None:
        self._is_worn = True
        self._at_work.worker.terminate()

    def _forget(self) -> None:
        """Drop what ended long ago, and the oldest of too many."""
        now = time.monotonic()
        for key, job in list(self._jobs.items()):
            too_many = len(self._jobs) > _KEPT + len(self._line)
            if job.is_over and (too_many or now - job.ended > self._kept_seconds):
                del self._jobs[key]


class _Warm:
    """A process that loads its models at once."""

    def __init__(self, make: bytes, after: _Warm | None = None) -> None:
        self.worker, self._before = Worker(make), after
        self._loading = threading.Thread(target=self._load, daemon=True)
        self._loading.start()

    def result(self, item: Any, said: Callable[[Any], None]) -> Any:
        """Return the result of an item; `ParameterError` if the work says so."""
        self._loading.join()
        kind, value = "", None
        for message in self.worker.work(item):
            if message[0] == "said":
                said(message[1])
            elif not kind:
                kind, value = message[:2]
        if kind != "result":
            raise RuntimeError("the work failed in a way that it does not name")
        if isinstance(value, ParameterError):
            raise value
        return value

    def _load(self) -> None:
        if self._before is not None:  # one that waits must not slow down the one that works
            self._before._loading.join()
            self._before = None
        with suppress(Exception):  # the first job meets it again
            list(self.worker.work(None))

"""The desk: jobs in order, cancelled, and done although a process was killed."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from otoscope.errors import ParameterError
from otoscope.serve.desk import Desk, Job
from tests.support.paths import ROOT
from tests.support.tasks import make_tasks

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.syspath_prepend(ROOT)
    here = Desk(make_tasks)
    yield here
    here.close()


def until(condition: Callable[[], Any]) -> None:
    for _ in range(2400):
        if condition():
            return
        time.sleep(0.05)
    pytest.fail("not within two minutes")


def ended(job: Job) -> Job:
    until(lambda: job.is_over)
    return job


def test_jobs_are_done_in_order_by_one_process(desk: Desk) -> None:
    jobs = [desk.submit({"echo": number}) for number in range(10)]
    assert [ended(job).result["echo"] for job in jobs] == list(range(10))
    assert len({job.result["pid"] for job in jobs}) == 1
    assert len({job.key for job in jobs}) == 10
    assert desk.job(jobs[0].key) is jobs[0]
    assert desk.job("another") is None


def test_an_error_of_the_work_is_its_answer(desk: Desk) -> None:
    job = ended(desk.submit({"refuse": "no such tune"}))
    assert (job.state, job.result) == ("failed", "no such tune")
    assert ended(desk.submit({"echo": 1})).state == "done"


def test_a_cancelled_job_frees_the_process(desk: Desk, tmp_path: Path) -> None:
    held = desk.submit({"hold": str(tmp_path / "held")})
    waiting, gone = desk.submit({"echo": 2}), desk.submit({"echo": 3})
    until((tmp_path / "held").exists)
    assert (held.state, desk.place(waiting), desk.place(gone)) == ("working", 1, 2)
    desk.cancel(gone)
    desk.cancel(held)
    assert ended(held).state == "cancelled"
    assert ended(waiting).result["echo"] == 2
    assert gone.state == "cancelled"
    desk.cancel(waiting)
    assert waiting.state == "done"


def test_a_killed_process_is_named_and_the_next_job_is_done(desk: Desk, tmp_path: Path) -> None:
    held = desk.submit({"hold": str(tmp_path / "held")})
    until((tmp_path / "held").exists)
    after = desk.submit({"echo": 4})
    until(lambda: (tmp_path / "held").read_text())
    os.kill(int((tmp_path / "held").read_text()), signal.SIGKILL)
    assert ended(held).state == "failed"
    assert "was ended (signal 9)" in held.result
    assert ended(after).result["echo"] == 4


def test_a_long_line_is_refused_and_old_results_are_forgotten(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ended(desk.submit({"echo": 0}))
    monkeypatch.setattr(desk, "_kept_seconds", -1.0)
    held = desk.submit({"hold": str(tmp_path / "held")})
    assert desk.job(first.key) is None
    until((tmp_path / "held").exists)
    for number in range(32):
        desk.submit({"echo": number})
    with pytest.raises(ParameterError, match="32 jobs are waiting"):
        desk.submit({"echo": 33})
    desk.cancel(held)


def test_what_the_work_says_is_told_before_its_result(desk: Desk) -> None:
    job = ended(desk.submit({"say": ["a", "b"]}))
    assert (job.said, job.result["say"]) == ("b", ["a", "b"])


def test_a_job_that_takes_too_long_is_ended_and_the_next_one_is_done(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(ROOT)
    desk = Desk(make_tasks, most_seconds=1.0)
    try:
        ended(desk.submit({"echo": 0}))
        held = ended(desk.submit({"hold": str(tmp_path / "held")}))
        assert (held.state, "longer than 1 s" in held.result) == ("failed", True)
        assert ended(desk.submit({"echo": 1})).state == "done"
    finally:
        desk.close()

"""Worker processes end with their parent: killed, terminated or interrupted."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from joblib import Parallel, delayed

from otoscope import workers
from otoscope.errors import ParameterError
from otoscope.signal import write_audio
from otoscope.workers import results, watched_backend
from tests.support.processes import ended, family

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
PARENT = """
import os, sys, time
from joblib import Parallel, delayed
from otoscope.workers import watched_backend

def work(seconds):
    print(os.getpid(), flush=True)
    time.sleep(seconds)
    print("outlived its parent", flush=True)

Parallel(n_jobs=2, backend=watched_backend())(delayed(work)(60) for _ in range(2))
"""


@POSIX
def test_workers_of_a_killed_parent_end_and_its_pipe_is_closed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        children = [int(parent.stdout.readline()) for _ in range(2)]
        parent.send_signal(signal.SIGKILL)
        assert parent.stdout.readline() == ""  # the end comes only when the workers have ended
    assert all(ended(child, 30) for child in children)


@POSIX
def test_a_worker_whose_parent_ended_before_it_began_ends() -> None:
    code = "from otoscope.workers import end_with; import time; end_with(1); time.sleep(60)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=50).returncode == 1


@pytest.mark.parametrize(
    ("work", "match"),
    [
        (
            delayed(os._exit)(9),
            r"was ended before its work was done \(EXIT\(9\).*\), perhaps for lack of memory; "
            "take fewer workers=",
        ),
        (
            delayed(id)(threading.Lock()),
            r"\(TypeError: cannot pickle '_thread.lock' object\); take workers=1",
        ),
    ],
)
def test_a_worker_that_cannot_do_its_work_is_an_error_with_its_remedy(
    work: Any, match: str
) -> None:
    parallel = Parallel(2, return_as="generator", backend=watched_backend())
    with pytest.raises(ParameterError, match=match):
        list(results(parallel(work for _ in range(2))))


@POSIX
def test_an_interruption_of_a_terminal_reaches_the_parent_alone() -> None:
    ask = delayed(signal.pthread_sigmask)(signal.SIG_BLOCK, ())
    masks = Parallel(2, backend=watched_backend())(ask for _ in range(4))
    assert all(signal.SIGINT in mask for mask in masks)
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.parametrize(("handle", "waits"), [(7, [(7, 0xFFFFFFFF)]), (None, [])])
def test_on_windows_a_worker_waits_for_the_handle_of_its_parent(
    handle: int | None, waits: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, waited = [], []

    def open_process(rights: int, inherit: bool, process: int) -> int | None:
        opened.append((rights, inherit, process))
        return handle

    def wait(waited_for: int, milliseconds: int) -> None:
        waited.append((waited_for, milliseconds))

    kernel = SimpleNamespace(OpenProcess=open_process, WaitForSingleObject=wait)
    monkeypatch.setattr(ctypes, "WinDLL", lambda _: kernel, raising=False)
    workers._wait(99)
    assert (opened, waited) == ([(0x00100000, False, 99)], waits)


MODEL = """
import torch
def make():
    return lambda y: torch.stack([y.square().mean(-1), 1 - y.square().mean(-1)], -1)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="Linux lists children")
@pytest.mark.parametrize("stop", ["SIGKILL", "SIGTERM", "SIGINT"])
def test_a_stopped_interrogation_leaves_nothing(stop: str, tmp_path: Path) -> None:
    for i in range(24):
        path = tmp_path / "data" / "ab"[i % 2] / f"{i}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        y = torch.randn(6 * 16000, generator=torch.Generator().manual_seed(i)) / 20
        write_audio(path, y.clamp(-1, 1), sr=16000)
    (tmp_path / "m.py").write_text(MODEL)
    command = ["interrogate", "--model", "m.py:make", "--data", "data", "--classes", "a,b"]
    command += ["--tempo", "6", "--workers", "2", "--html", "a.html"]
    before = sorted(tmp_path.rglob("*"))
    with subprocess.Popen(
        [sys.executable, "-m", "otoscope.cli", *command],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as job:
        while len(workers_of_job := family(job.pid)) < 2:
            assert job.poll() is None
            time.sleep(0.05)
        time.sleep(1)
        if stop == "SIGINT":  # a terminal sends it to all
            os.killpg(job.pid, signal.SIGINT)
        else:
            job.send_signal(getattr(signal, stop))
        assert job.stdout is not None
        shown = job.stdout.read()  # ends only when the workers have
        assert b"Traceback" not in shown
        assert job.wait() != 0
    assert all(ended(worker, 30) for worker in workers_of_job)
    if stop != "SIGKILL":
        left = [path for path in sorted(tmp_path.rglob("*")) if "__pycache__" not in str(path)]
        assert left == before


def test_work_that_is_no_longer_needed_ends_without_a_warning() -> None:
    def computed() -> Generator[int]:
        try:
            yield from (1, 2)
        finally:
            warnings.warn("1 task has been cancelled", stacklevel=2)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        left: Any = results(computed())
        assert next(left) == 1
        left.close()

"""Worker processes end with their parent: killed, terminated or interrupted."""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from otoscope import workers
from otoscope.signal import write_audio
from tests.support.paths import ROOT
from tests.support.processes import ended, family

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
PARENT = """
from otoscope.pool import mapped
from tests.support.squares import sleeping

for results in mapped(sleeping, [60, 60], here=sleeping(), workers=2):
    print(next(results), flush=True)
"""


@POSIX
def test_workers_of_a_killed_parent_end_and_its_pipe_is_closed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
    ) as parent:
        assert parent.stdout is not None
        assert all(int(parent.stdout.readline()) for _ in range(2))
        children = family(parent.pid)
        parent.send_signal(signal.SIGKILL)
        assert parent.stdout.readline() == ""  # the end comes only when the workers have ended
    assert children
    assert all(ended(child, 30) for child in children)


@POSIX
def test_a_worker_whose_parent_ended_before_it_began_ends() -> None:
    code = "from otoscope.workers import end_with; import time; end_with(1); time.sleep(60)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=50).returncode == 1


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


@pytest.mark.parametrize("n_messages", [0, 1, 2])
@pytest.mark.parametrize("n_lost", [0, 1])
def test_a_worker_whose_parent_ends_first_says_nothing(n_messages: int, n_lost: int) -> None:
    hello: tuple[Any, ...] = sys.path, (os.getpid(), [], pickle.dumps(list)), "an item"
    sent = b"".join(pickle.dumps(message) for message in hello[:n_messages])
    sent = sent[: len(sent) - n_lost]
    done = subprocess.run(
        [sys.executable, "-c", workers._CODE], input=sent, capture_output=True, check=False
    )
    assert (done.stdout, done.stderr) == (b"", b"")


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

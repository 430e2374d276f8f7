"""A pool gives the same results for any number of workers, and leaves none behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch

from otoscope import pool
from otoscope.errors import ParameterError, WorkerEnded
from otoscope.signal import write_audio
from tests.support.paths import ROOT
from tests.support.processes import ended, family
from tests.support.squares import broken, squared

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


def outcomes(n: int, items: list[int], make: Any = squared) -> list[list[object]]:
    """Return the first part of each result of each item, or the error in its place."""
    rows: list[list[object]] = []
    for results in pool.mapped(make, items, here=squared(), workers=n):
        rows.append([])
        try:
            rows[-1].extend(result[0] for result in results)
        except ParameterError as err:
            rows[-1].append(str(err))
    return rows


@pytest.fixture
def _parent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARENT_ID", str(os.getpid()))
    monkeypatch.syspath_prepend(ROOT)  # other tests put folders with a tests.py before it


@pytest.mark.usefixtures("_parent")
def test_results_come_in_order_and_are_the_same_for_any_number_of_workers() -> None:
    items = [*range(5), 6, 7, 8]
    with pytest.warns(UserWarning, match="6 is odd"):
        alone = outcomes(1, items)
    assert alone[3:5] == [[9, "3 is refused"], [16, -4]]
    for n in (2, 3):
        with pytest.warns(UserWarning, match="6 is odd"):
            assert outcomes(n, items) == alone


@POSIX
@pytest.mark.usefixtures("_parent")
def test_the_item_of_a_killed_worker_is_named_and_the_rest_goes_on() -> None:
    rows = outcomes(2, [4, 5, 7, 8, 9])
    assert rows[:1] + rows[2:] == [[16, -4], [49, -7], [64, -8], [81, -9]]
    assert rows[1][0] == 25
    assert "(signal 9)" in str(rows[1][1])
    mapped = pool.mapped(squared, [5, 4], here=squared(), workers=2)
    with closing(mapped), pytest.raises(WorkerEnded, match="memory is short"):
        list(next(mapped))


@pytest.mark.usefixtures("_parent")
def test_workers_stay_from_call_to_call_and_what_cannot_be_sent_is_done_here() -> None:
    def sent(item: int) -> int:
        if item == 11:
            raise TypeError("cannot be pickled")
        return item

    with pool.Pool(squared) as workers:
        rounds = []
        for _ in range(2):
            mapped = workers.mapped([10, 11, 12, 13], 2, here=squared(), sent=sent)
            rounds.append([list(results) for results in mapped])
        processes = [worker._process for worker in workers.idle]
        assert len(processes) == 2
    assert [[first[0] for first, _ in rows] for rows in rounds] == [[100, 121, 144, 169]] * 2
    assert rounds[0][1][1][1] == os.getpid()
    pids = {last[1] for rows in rounds for _, last in rows} - {os.getpid()}
    assert pids <= {process.pid for process in processes}
    assert all(process.poll() is not None for process in processes)


@pytest.mark.usefixtures("_parent")
def test_what_no_worker_can_make_is_done_here() -> None:
    assert outcomes(2, [1, 2, 4], broken) == [[1, -1], [4, -2], [16, -4]]
    with pytest.raises(ParameterError, match="workers is 0, must be >= 1"):
        outcomes(0, [1])


@pytest.mark.usefixtures("_parent")
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="Linux lists children")
def test_workers_are_processes_of_one_thread_that_end_with_the_work() -> None:
    before = set(family(os.getpid()))
    mapped = pool.mapped(squared, list(range(10, 30)), here=squared(), workers=2)
    rows = [list(next(mapped)) for _ in range(4)]
    pids = {row[1][1] for row in rows}
    processes = set(family(os.getpid())) - before
    assert len(processes) == 2
    assert pids <= processes
    assert {row[0][1] for row in rows} == {1}
    mapped.close()  # as at an interruption
    assert set(family(os.getpid())) == before


def test_few_items_do_not_repay_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "n_cores", lambda: 64)
    for n_items, device in ((7, "cpu"), (100, "cuda")):
        here = [os.getpid()] * n_items
        rows = pool.mapped(broken, range(n_items), here=lambda _: [os.getpid()], device=device)
        assert [pid for row in rows for pid in row] == here


MODEL = """
import os, time, torch
from pathlib import Path
from otoscope.models import Listener
from otoscope.signal import svd2015

def hold(is_loud):
    if is_loud and os.environ.get("HOLD"):
        Path(f"held-{os.getpid()}").touch()
        time.sleep(3600)

class Slow(torch.nn.Linear):
    def forward(self, x):
        hold(x.mean() > 1)
        time.sleep(.02)
        return super().forward(x.flatten(1)).sigmoid()

def make():
    torch.manual_seed(0)
    net = torch.nn.Sequential(Slow(115 * 80, 1))
    return Listener(net, svd2015(), mean=torch.zeros(80), std=torch.ones(80), patch_frames=115,
                    output_names=["up"])

def label():
    def scores(y):
        power = y.square().mean(-1)
        hold(power.max() > .02)
        return torch.stack([power, 1 - power], -1)
    return scores
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder with 24 sounds, of which those in b are loud, and a model."""
    for i in range(24):
        path = tmp_path / "data" / "ab"[i % 2] / f"{i}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        y = torch.randn(6 * 16000, generator=torch.Generator().manual_seed(i)) / (
            4 if i % 2 else 20
        )
        write_audio(path, y.clamp(-1, 1), sr=16000)
    (tmp_path / "m.py").write_text(MODEL)
    return tmp_path


def started(folder: Path, command: str) -> subprocess.Popen[bytes]:
    """Start a command and wait for its two workers."""
    words = [sys.executable, "-m", "otoscope.cli", *command.split(), "--workers", "2"]
    job = subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while len(family(job.pid)) < 2:
        assert job.poll() is None, job.communicate()
        time.sleep(0.05)
    return job


ATTACK = "attack data --model m.py:make --out adv --steps 1 --snr-db 80 --duration 2"
EXPLAIN = "explain data --model m.py:make --segments temporal:6 --json rows.jsonl --html a.html"
LINUX = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="Linux lists children")


@pytest.mark.slow
@LINUX
@pytest.mark.parametrize("stop", ["SIGKILL", "SIGTERM", "SIGINT"])
@pytest.mark.parametrize(
    ("command", "kept"),
    [
        (
            "interrogate --model m.py:label --data data --classes a,b --tempo 6 --html a.html",
            "nothing is written: the same command begins anew",
        ),
        (ATTACK, "attack.jsonl holds the files until now: the same command resumes"),
        (EXPLAIN, "rows.jsonl holds the excerpts until now: the same command resumes"),
        (
            "stats data --model m.py:make --layer 0 --hop 0.2 --out a.npz",
            "a.partial.npz holds the files until now: the same command resumes",
        ),
    ],
)
def test_a_stopped_command_leaves_no_process(
    command: str, kept: str, stop: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLD", "yes")  # at the loud sounds, until it is stopped
    before = sorted(folder.rglob("*"))
    with started(folder, command) as job:
        workers_of_job = family(job.pid)
        while len(list(folder.glob("held-*"))) < 1 + (not kept.startswith("nothing")):
            assert job.poll() is None, job.communicate()
            time.sleep(0.05)
        time.sleep(2)  # in which it takes what the quiet sounds gave
        job.send_signal(getattr(signal, stop))
        _, errors = job.communicate()  # ends only when the workers have
        assert job.returncode != 0
    assert all(ended(worker, 30) for worker in workers_of_job)
    if stop == "SIGINT":
        assert kept in errors.decode()
    if stop != "SIGKILL" and kept.startswith("nothing"):
        left = [p for p in sorted(folder.rglob("*")) if not re.search("held-|__pycache__", str(p))]
        assert left == before


@pytest.mark.slow
@LINUX
@pytest.mark.parametrize("command", [EXPLAIN, f"{ATTACK} --json rows.jsonl"])
def test_the_file_of_a_killed_worker_has_a_row_and_is_worked_on_again(
    command: str, folder: Path
) -> None:
    with started(folder, command) as job:
        while len(read_lines(folder / "rows.jsonl")) < 2:
            time.sleep(0.05)
        os.kill(family(job.pid)[0], signal.SIGKILL)
        job.communicate()
    rows = read_lines(folder / "rows.jsonl")
    errors = [row["error"] for row in rows if row["error"]]
    assert (len(rows), len(errors)) == (24, 1)
    assert "was ended (signal 9)" in errors[0]
    words = [sys.executable, "-m", "otoscope.cli", *command.split(), "--workers", "1"]
    again = subprocess.run(words, cwd=folder, check=False, capture_output=True, text=True)
    assert "23 rows were in rows.jsonl already" in again.stderr
    assert again.returncode < 2
    rows = read_lines(folder / "rows.jsonl")
    words[words.index("rows.jsonl")] = "other.jsonl"
    subprocess.run(words, cwd=folder, check=False, capture_output=True)
    by_file = {row["file"]: comparable(row) for row in rows}
    assert by_file == {row["file"]: comparable(row) for row in read_lines(folder / "other.jsonl")}
    assert len(by_file) == 24


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read the whole lines of a file that is being written."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def comparable(row: dict[str, Any]) -> dict[str, Any]:
    """Leave out when a row was made."""
    assert not row["error"]
    if "adversary" in row["sources"]:
        row["sources"]["adversary"] = row["sources"]["adversary"]["sha256"]
    return {name: value for name, value in row.items() if name not in ("seconds", "created")}


@POSIX
def test_a_worker_that_is_asked_twice_to_end_ends_without_a_word() -> None:
    """The second signal comes while Python ends, and would be reported as an ignored exception."""
    code = (
        "import atexit, os, signal; from otoscope import workers; "
        "end = lambda: os.kill(os.getpid(), signal.SIGTERM); atexit.register(end); "
        "signal.signal(signal.SIGTERM, workers._stop); end()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")

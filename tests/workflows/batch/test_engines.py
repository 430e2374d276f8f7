"""Chunks of killed workers are halved until the file that kills is alone; nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")

from otoscope.workflows.batch.engines import Lost, run
from otoscope.workflows.batch.manifest import Chunk, Manifest
from otoscope.workflows.batch.work import Counts
from tests.support.batches import files_in, run_tiny, texts
from tests.support.paths import ROOT


class Pretended:
    """Workers that are killed by some files; a pool loses all calls in flight, a cluster one."""

    name, threads = "pretended", 1

    def __init__(self, killers: set[str], *, isolates: bool, room: int = 4) -> None:
        self.killers, self.isolates, self.room = killers, isolates, room
        self.n_calls, self.most, self.done = 0, 0, Counter[str]()

    def submit(self, function: Any, *arguments: Any) -> tuple[int, Chunk]:
        self.n_calls += 1
        return self.n_calls, arguments[0]

    def ready(self, handles: Iterable[Any]) -> list[tuple[Any, Any]]:
        listed = list(handles)
        self.most = max(self.most, len(listed))
        _, chunk = handle = listed[0]
        if self.killers & {*chunk.files}:
            return [(h, Lost()) for h in ([handle] if self.isolates else listed)]
        self.done.update(chunk.files)
        return [(handle, Counts(len(chunk.files), len(chunk.files), 0))]

    def close(self) -> None:
        """Do nothing."""


def manifest(n: int) -> Manifest:
    files = [f"{number}.wav" for number in range(n)]
    return Manifest(files, "", lambda first, end: ("",) * (end - first))


@pytest.mark.parametrize("isolates", [True, False])
@pytest.mark.parametrize("size", [1, 16])
@pytest.mark.parametrize("killers", [set(), {"7.wav"}, {"0.wav", "1.wav", "33.wav", "99.wav"}])
def test_killers_are_found_and_the_others_are_done(
    killers: set[str], size: int, isolates: bool
) -> None:
    engine = Pretended(killers, isolates=isolates)
    outcomes = list(run(engine, lambda chunk: (print, chunk), manifest(100).chunks(size)))
    found = {file for chunk in outcomes if isinstance(chunk, Chunk) for file in chunk.files}
    assert found == killers
    assert engine.done.keys() == {f"{n}.wav" for n in range(100)} - killers
    assert max(engine.done.values()) == 1
    assert engine.most <= engine.room


def test_chunks_are_taken_as_there_is_room() -> None:
    taken = []

    def chunks() -> Any:
        for chunk in manifest(1000).chunks(1):
            taken.append(chunk)
            yield chunk

    outcomes = run(Pretended(set(), isolates=True), lambda chunk: (print, chunk), chunks())
    for number, _ in enumerate(outcomes, 1):
        assert len(taken) <= number + 4


def test_names_of_chunks_are_those_of_their_files() -> None:
    one, two = manifest(4).chunks(2)
    again, _ = manifest(3).chunks(2)
    assert one.name == again.name != two.name
    assert one.halves()[0].files == ("0.wav",)


DRIVER = """
import sys
from tests.support.batches import Tiny, run_tiny
run_tiny(sys.argv[1], sys.argv[2], task=Tiny(seconds=float(sys.argv[3])), workers=2, chunk=4)
"""


def driver(manifest: Path, out: Path, seconds: float) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", DRIVER, str(manifest), str(out), str(seconds)]
    return subprocess.Popen(command, cwd=ROOT, start_new_session=True)


def wait_for_parts(out: Path, n: int, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None and len(list(out.glob("part-*.parquet"))) < n:
        time.sleep(0.05)


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
def test_a_killed_worker_and_a_killed_driver_lose_nothing(tmp_path: Path) -> None:
    manifest, out = texts(tmp_path / "in", ["a", *"bcdefgh", "bad"] * 7), tmp_path / "out"
    first = driver(manifest, out, 0.1)
    wait_for_parts(out, 2, first)
    commands = {child: Path(f"/proc/{child}/cmdline").read_text() for child in children(first.pid)}
    pool = [child for child, command in commands.items() if "LokyProcess" in command]
    os.kill(pool[0], signal.SIGKILL)  # and not the tracker of resources
    wait_for_parts(out, 5, first)
    workers = children(first.pid)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    n_parts = len(list(out.glob("part-*.parquet")))
    assert n_parts > 0
    deadline = time.monotonic() + 30
    while any(is_running(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [pid for pid in workers if is_running(pid)]  # they end with their parent
    result = run_tiny(manifest, out, task=None, workers=2, chunk=4)
    assert result.n_before + result.counts.files == 63
    errors = files_in(out)
    assert len(errors) == 63
    assert sum(bool(error) for error in errors.values()) == 7


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
def test_a_file_that_kills_its_worker_is_found(tmp_path: Path) -> None:
    contents = [*"abcde", "kill", *"fgh"]
    out = tmp_path / "out"
    result = run_tiny(texts(tmp_path / "in", contents), out, workers=2, chunk=4)
    assert result.counts[:3] == (9, 9, 1)
    errors = {file: error for file, error in files_in(out).items() if error}
    assert list(errors) == ["00005.txt"]
    assert "killed the worker" in errors["00005.txt"]


@pytest.mark.slow
def test_two_drivers_at_once_write_each_file_once(tmp_path: Path) -> None:
    manifest, out = texts(tmp_path / "in", list("abcdefgh") * 4), tmp_path / "out"
    both = [driver(manifest, out, 0.4) for _ in range(2)]  # seconds longer than a start takes
    codes = sorted(process.wait() for process in both)
    assert codes == [0, 1]  # the second is refused
    assert len(files_in(out)) == 32


MEASURED = """
import json, resource, sys
from tests.support.batches import run_tiny
result = run_tiny(sys.argv[1], sys.argv[2], workers=2, chunk=16)
print(json.dumps([result.counts.files, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
                  resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB there")
def test_five_thousand_files_take_the_memory_of_five_hundred(tmp_path: Path) -> None:
    peaks = {}
    for n in (500, 5000):
        manifest = texts(tmp_path / str(n), [str(i) for i in range(n)])
        command = [sys.executable, "-c", MEASURED, str(manifest), str(tmp_path / f"out{n}")]
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        files, *peaks[n] = json.loads(ran.stdout)
        assert files == n
    assert len(files_in(tmp_path / "out5000")) == 5000
    for few, many in zip(peaks[500], peaks[5000], strict=True):
        assert many - few < 32 * 1024  # KiB

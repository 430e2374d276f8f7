"""Books of up to 100,000 tunes: CPU time per 1,000 tunes, and the most memory of a process.

Each job is a process of its own, on random tunes of 16 bars. "read" reads a book tune by tune, as
the commands do; "check" checks all and holds their checks (`otoscope folk check`), "nearest" looks
for 100 tunes in the book (`otoscope folk nearest`), "analyse" compares 100 tunes with halves of it
(`otoscope folk analyse`, 50 draws). If time grows with the number of tunes and no faster, the tunes
of the smaller book take as long each: the bar. Times are CPU seconds of one run each. Checks, which
are all held, and analysis, to end in minutes, take books of a third of the tunes. The most memory
is an upper limit: a process begins as large as this one, about 1 GB after it has written the books.

    python benchmarks/bench_tune_books.py [--quick]
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import numpy as np

from command import run
from otoscope.folk.workflows.analyse import AnalyseFolkConfig, analyse_folk
from otoscope.folk.workflows.book_tunes import stream_book_tunes
from otoscope.folk.workflows.check import CheckFolkConfig, check_folk
from otoscope.folk.workflows.nearest import NearestFolkConfig, nearest_folk
from timing import Bar, Case, Timing

SIZES = {"cpu": (10_000, 100_000), "cuda": (10_000, 100_000), "quick": (20, 60)}
# By what the numbers of tunes are divided.
JOBS = {"read": 1, "check": 3, "nearest": 1, "analyse": 3}
_NOTES = np.array([*"DEFGABcdefg", "f2", "e2", "A2", "^c", "G>A", "(3def"])


def book(n: int) -> str:
    """Write n random tunes of two repeated parts of eight bars."""
    drawn = _NOTES[np.random.default_rng(n).integers(0, len(_NOTES), (n, 16, 6))]
    bars = [["".join(bar) for bar in tune] for tune in drawn.tolist()]
    return "\n".join(
        f"X:{number}\nT:Tune {number}\nM:6/8\nL:1/8\nK:D\n"
        f"|:{'|'.join(tune[:8])}:|\n|:{'|'.join(tune[8:])}:|\n"
        for number, tune in enumerate(bars, start=1)
    )


def do(job: str, path: Path, queries: Path) -> dict[str, float]:
    """Do a job in this process; return its CPU seconds and the process's most memory."""
    import resource  # of Unix

    start = process_time()
    if job == "read":
        for _ in stream_book_tunes(path):
            pass
    elif job == "check":
        check_folk(CheckFolkConfig(str(path)))
    elif job == "nearest":
        nearest_folk(NearestFolkConfig(str(queries), (str(path),)))
    else:
        analyse_folk(AnalyseFolkConfig(str(path), str(queries), n_draws=50))
    seconds = process_time() - start
    return {
        "seconds": seconds,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    }


def cases(device: str, sizes: tuple[int, int]) -> Iterator[Case]:
    """Measure each job with both books."""
    del device  # reading is the CPU's
    with TemporaryDirectory() as folder:
        queries = Path(folder) / "queries.abc"
        queries.write_text(book(min(100, sizes[0])))
        for job, divisor in JOBS.items():
            books = {n // divisor: Path(folder) / f"{n // divisor}.abc" for n in sizes}
            for n, path in books.items():
                path.write_text(book(n))
            yield case(job, queries, books)


def case(job: str, queries: Path, books: dict[int, Path]) -> Case:
    """Measure a job with both books."""
    few, many = books
    rows: dict[int, dict[str, float]] = {}
    for n, path in books.items():
        command = (sys.executable, __file__, "--do", job, str(path), str(queries))
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        rows[n] = json.loads(done.stdout)
    timings = {n: Timing((row["seconds"] * 1e3 / n,)) for n, row in rows.items()}
    peaks = {n: row["peak_mb"] for n, row in rows.items()}
    text = ", ".join(f"{peaks[n]:,.0f} MB at {n:,}" for n in books)
    rivals = {"ours": timings[many], f"of {few:,}": timings[few]}
    linear = timings[few].median_s / timings[many].median_s
    facts = {"tunes": many, "peak_mb": {str(n): peak for n, peak in peaks.items()}}
    bar = Bar(f"time per tune, {few:,} / {many:,}", linear, 0.8)
    return Case(f"{job}, per 1,000 of {many:,} tunes; {text}", facts, rivals, bar)


def main() -> None:
    """Measure, and write the results; with --do, do one job."""
    if sys.argv[1:2] == ["--do"]:
        job, *paths = sys.argv[2:]
        print(json.dumps(do(job, *map(Path, paths))))
    else:
        run("tune_books", __doc__, cases, SIZES)


if __name__ == "__main__":
    main()

"""Simulate the driver of a batch of up to 1,000,000 files and 1,000 workers, without audio.

The manifest and the parts are real; the workers are pretended, each chunk ends after a drawn time,
and its part is written by whoever simulates, which is not counted. Each size is a new process.
Measured are CPU seconds and peak memory of the driver: a first run, another run that finds nothing
to do, one with another size of chunks, which opens all parts, and the reading of all rows.

    python benchmarks/simulate_batch.py [--quick]

writes ``${OUT:-benchmarks/simulations}/batch.json``.
"""

from __future__ import annotations

import heapq
import io
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from otoscope.records import read_parts, to_json, versions, write_text
from otoscope.records.places import Place
from otoscope.workflows.batch.batch import BatchConfig, Todo
from otoscope.workflows.batch.engines import run
from otoscope.workflows.batch.manifest import Chunk, read_manifest
from otoscope.workflows.batch.schema import encoded
from otoscope.workflows.batch.work import Counts

SIZES = (10_000, 100_000, 1_000_000)
QUICK = (200, 400, 800)
WORKERS, CHUNK = 1000, 16
NAME = "artist-{:05}/album-{:06}/{:08}.ogg"
STEPS = ("first run", "nothing to do", "other chunks", "read two columns")


class Pretended:
    """A thousand workers whose chunks end after drawn times; parts are written as they end."""

    name, isolates, threads, room = "pretended", True, 1, 2 * WORKERS

    def __init__(self, place: Place) -> None:
        self._place, self._generator = place, np.random.default_rng(0)
        self._now, self._free = 0.0, [0.0] * WORKERS
        self._ends: list[tuple[float, int, Chunk]] = []
        self._n, self.written, self.simulated = 0, 0.0, 0.0

    def submit(self, function: Any, *arguments: Any) -> int:
        """Give a chunk to the worker that is free first."""
        self._n += 1
        begin = max(heapq.heappop(self._free), self._now)
        ends = begin + float(self._generator.gamma(4.0, 4.0))  # a mean of 16 s, one per file
        heapq.heappush(self._free, ends)
        heapq.heappush(self._ends, (ends, self._n, arguments[0]))
        return self._n

    def ready(self, handles: Iterable[int]) -> list[tuple[int, Counts]]:
        """Let the chunk end that ends first, and write its part."""
        self._now, number, chunk = heapq.heappop(self._ends)
        self.simulated = self._now
        began = time.process_time()
        write(self._place, chunk)
        self.written += time.process_time() - began
        return [(number, Counts(len(chunk.files), len(chunk.files), 0))]

    def close(self) -> None:
        """Do nothing."""


def places(n: int) -> list[str]:
    """Make names as long as those of the manifest, to be replaced in a part."""
    return [f"{number:02}".ljust(len(NAME.format(0, 0, 0)), "#") for number in range(n)]


@cache
def template(n: int) -> bytes:
    """Write a part of made-up explanations of ten segments, plain, so that names can be replaced.

    Encoding each part takes the workers 3 ms, which are not the driver's.
    """
    row = {
        "error": "",
        "target": "singing",
        "r2": 0.9,
        "coefficients": [0.1] * 10,
        "settings": "{}",
        "written": np.datetime64("2026-01-01", "us").item(),
    }
    content = encoded("explain", [{**row, "file": file} for file in places(n)])
    sink, plain = io.BytesIO(), {"use_dictionary": False, "write_statistics": False}
    pq.write_table(pq.read_table(io.BytesIO(content)), sink, compression="NONE", **plain)
    return sink.getvalue()


def write(place: Place, chunk: Chunk) -> None:
    """Write the part of a chunk."""
    assert place.folder is not None
    content = template(len(chunk.files))
    for before, file in zip(places(len(chunk.files)), chunk.files, strict=True):
        content = content.replace(before.encode(), file.encode())
    (place.folder / f"{chunk.name}.parquet").write_bytes(content)


def step(name: str, folder: Path, n: int) -> dict[str, float]:
    """Do one step in this process: CPU seconds, seconds and peak memory of the driver, in MiB."""
    before, began, clock = usage(), time.process_time(), time.monotonic()
    place, written, more = Place(str(folder / "out")), 0.0, dict[str, float]()
    if name == "read two columns":
        n_rows = len(read_parts(place.uri, columns=["file", "r2"]))
    else:
        manifest = read_manifest(str(folder / "manifest.parquet"))
        size = 20 if name == "other chunks" else CHUNK
        config = BatchConfig("explain", None, "", place.uri, chunk=size)
        todo, engine = Todo(manifest, config, place), Pretended(place)
        done = sum(
            counts.files
            for counts in run(engine, lambda chunk: (print, chunk), todo.chunks())
            if isinstance(counts, Counts)
        )
        n_rows, written = todo.n_all - todo.n_files + done, engine.written
        more = {"simulated_hours": engine.simulated / 3600} if done else {}
    assert n_rows == n, (n_rows, n)
    cpu = time.process_time() - began - written
    seconds = time.monotonic() - clock - written
    return {"cpu_s": cpu, "wall_s": seconds, "added_mib": usage() - before, "mib": usage(), **more}


def usage() -> float:
    """Return the peak memory of this process, in MiB, without that of its parent before exec."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def simulate(sizes: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Simulate each size, each step in a new process."""
    for n in sizes:
        with TemporaryDirectory() as folder:
            names = [NAME.format(i // 500, i // 12, i) for i in range(n)]
            pq.write_table(pa.table({"path": names}), Path(folder) / "manifest.parquet")
            (Path(folder) / "out").mkdir()
            steps = {}
            for name in STEPS:
                command = [sys.executable, __file__, "--step", name, folder, str(n)]
                told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
                steps[name] = json.loads(told)
                print(f"{n:,} files, {name}: {told.strip()}", file=sys.stderr, flush=True)
            sizes_of_parts = [path.stat().st_size for path in Path(folder, "out").iterdir()]
            yield {
                "files": n,
                "parts": len(sizes_of_parts),
                "megabytes": sum(sizes_of_parts) / 1e6,
                "steps": steps,
            }


def exponents(results: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Return the exponents of CPU time and of added memory between the two largest sizes."""
    few, many = results[-2:]
    ratio = math.log(many["files"] / few["files"])

    def exponent(name: str, key: str) -> float:
        pair = [max(result["steps"][name][key], 1e-3) for result in (few, many)]
        return math.log(pair[1] / pair[0]) / ratio

    return {name: {key: exponent(name, key) for key in ("cpu_s", "added_mib")} for name in STEPS}


def table(record: Mapping[str, Any]) -> str:
    """Return the table of the documentation."""
    results = record["results"]
    heads = [f"{result['files']:,} files" for result in results]
    lines = [
        f"| driver | {' | '.join(heads)} | exponent of CPU, memory |",
        "|---|" + "---|" * (len(results) + 1),
    ]
    for name in STEPS:
        cells = [
            f"{steps['cpu_s']:.3g} s, {steps['mib']:.0f} MiB"
            for steps in (result["steps"][name] for result in results)
        ]
        e = record["exponents"][name]
        lines.append(f"| {name} | {' | '.join(cells)} | {e['cpu_s']:.2f}, {e['added_mib']:.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Simulate all sizes, and write the record."""
    if sys.argv[1:2] == ["--step"]:
        _, name, folder, n = sys.argv[1:]
        print(json.dumps(step(name, Path(folder), int(n))))
        return
    results = list(simulate(QUICK if "--quick" in sys.argv else SIZES))
    record = {
        "command": "python benchmarks/simulate_batch.py",
        "workers": WORKERS,
        "chunk": CHUNK,
        "cores": os.cpu_count(),
        "versions": {**versions(), "pyarrow": pa.__version__},
        "results": results,
        "exponents": exponents(results),
    }
    out = Path(os.environ.get("OUT", Path(__file__).parent / "simulations"))
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "batch.json", to_json(record, indent=2) + "\n")
    print(table(record))


if __name__ == "__main__":
    main()

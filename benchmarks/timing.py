"""Time functions comparably: warm-up, repeats, rivals in turn in one run; write a JSON document.

`measure` times one function, `compare` several in turn, `write` puts the cases of a benchmark into
``${OUT:-benchmarks/results}/<benchmark>.<device>.json``, device being ``cpu`` or the GPU's name::

    {"benchmark": "occlude",
     "command": "python benchmarks/bench_occlude.py --device cpu",
     "environment": {"device": "cpu", "name": "AMD EPYC", "threads": 1, "isa": "avx2",
                     "commit": "0123abc", "versions": {...}, "malloc": {...}},
     "cases": [{"name": "fill, 36.8 MB",
                "parameters": {"samples": 1000, "frames": 115, "mels": 80},
                "rivals": {"ours": {"median_s": .., "low_s": .., "high_s": .., "repeats": ..},
                           "fill_": {...}},
                "ratios": {"fill_": 1.15},
                "bar": {"text": "fill_ / ours", "at_least": 0.9, "value": 1.15, "met": true}}]}

A ratio is the rival's time over ours: above 1 we are faster. It is the median over the rounds of
one `compare`, so that a machine that slows down in the middle slows down both. low and high are
quartiles. Nothing is written for a device that did not run it.
"""

from __future__ import annotations

import os
import platform
import random
import re
import shlex
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from otoscope import native
from otoscope.errors import CudaUnavailable, ParameterError
from otoscope.records import replacing, to_json, versions

ROOT = Path(__file__).resolve().parent.parent
_AHEAD_CYCLES = 1_000_000  # about half a millisecond


@dataclass(frozen=True)
class Timing:
    """Seconds of one call, once per repeat."""

    seconds: tuple[float, ...]

    @property
    def median_s(self) -> float:
        """Median of the repeats, in seconds per call."""
        return statistics.median(self.seconds)

    @property
    def quartiles_s(self) -> tuple[float, float]:
        """First and third quartile of the repeats, in seconds per call."""
        if len(self.seconds) == 1:
            return self.seconds[0], self.seconds[0]
        low, _, high = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return low, high

    def summary(self) -> dict[str, float]:
        """Return the entry of the JSON document."""
        low, high = self.quartiles_s
        return {
            "median_s": self.median_s,
            "low_s": low,
            "high_s": high,
            "repeats": len(self.seconds),
        }


@dataclass(frozen=True)
class Bar:
    """Lower limit of a value, which the project asks of itself."""

    text: str
    value: float
    at_least: float

    @property
    def met(self) -> bool:
        """True if the value reaches the bar; NaN does not."""
        return self.value >= self.at_least


@dataclass(frozen=True)
class Case:
    """One comparison of a benchmark: the rival called ours and the others, at one size."""

    name: str
    parameters: Mapping[str, object]
    rivals: Mapping[str, Timing]
    bar: Bar | None = None

    @property
    def ratios(self) -> dict[str, float]:
        """Each rival's time over ours."""
        ours = self.rivals["ours"]
        return {name: ratio(rival, ours) for name, rival in self.rivals.items() if name != "ours"}

    def summary(self) -> dict[str, object]:
        """Return the entry of the JSON document."""
        bar = None if self.bar is None else {**asdict(self.bar), "met": self.bar.met}
        return {
            "name": self.name,
            "parameters": self.parameters,
            "rivals": {name: timing.summary() for name, timing in self.rivals.items()},
            "ratios": self.ratios,
            "bar": bar,
        }


def measure(
    function: Callable[[], object],
    *,
    device: str = "cpu",
    repeats: int = 30,
    warmup: int = 3,
    calls: int = 1,
) -> Timing:
    """Time one function: CUDA events on a GPU, the wall clock on a CPU.

    A repeat is the mean of `calls` calls, for functions that are too short for the clock.
    """
    timings = compare({"it": function}, device=device, repeats=repeats, warmup=warmup, calls=calls)
    return timings["it"]


def compare(
    functions: Mapping[str, Callable[[], object]],
    *,
    device: str = "cpu",
    repeats: int = 30,
    warmup: int = 3,
    calls: int = 1,
) -> dict[str, Timing]:
    """Time rivals in turn: each round runs all of them once, another one first each time.

    The others follow in a random order: a run changes the caches, and no rival shall always follow
    the same other rival.
    """
    if min(repeats, calls) < 1 or warmup < 0:
        raise ParameterError(f"repeats {repeats}, calls {calls}, warmup {warmup}: need 1, 1, 0")
    once = _once_on_cuda if _is_cuda(device) else _once_on_cpu
    names = list(functions)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    order = random.Random(0)
    for number in range(-warmup, repeats):
        first = names[number % len(names)]
        others = [name for name in names if name != first]
        for name in [first, *order.sample(others, len(others))]:
            elapsed = once(functions[name], calls)
            if number >= 0:
                seconds[name].append(elapsed)
    return {name: Timing(tuple(seconds[name])) for name in names}


def ratio(rival: Timing, ours: Timing) -> float:
    """Return the time of the rival over ours: the median over the rounds of both."""
    return statistics.median(
        theirs / mine for theirs, mine in zip(rival.seconds, ours.seconds, strict=True)
    )


def environment(device: str = "cpu") -> dict[str, Any]:
    """Describe what the numbers depend on: machine, instruction set, threads, versions, commit."""
    common = {
        "commit": _commit(),
        "versions": dict(versions()),
        "malloc": {name: os.environ[name] for name in sorted(os.environ) if "MALLOC_" in name},
    }
    if _is_cuda(device):
        properties = torch.cuda.get_device_properties(device)
        return {
            "device": "cuda",
            "name": properties.name,
            "capability": f"{properties.major}.{properties.minor}",
            "memory_bytes": properties.total_memory,
            "cuda": torch.version.cuda,
            **common,
        }
    return {
        "device": "cpu",
        "name": cpu_name(),
        "isa": native.isa(),
        "threads": torch.get_num_threads(),
        **common,
    }


def write(benchmark: str, cases: Iterable[Case], *, device: str = "cpu") -> Path:
    """Write the JSON of a benchmark that has run on ``device``, and return its path."""
    where = environment(device)
    slug = "cpu" if where["device"] == "cpu" else re.sub(r"[^a-z0-9]+", "-", where["name"].lower())
    folder = Path(os.environ.get("OUT", ROOT / "benchmarks" / "results"))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{benchmark}.{slug}.json"
    result = {
        "benchmark": benchmark,
        "command": _command(),
        "environment": where,
        "cases": [case.summary() for case in cases],
    }
    with replacing(path) as draft:
        draft.write_text(to_json(result, indent=1) + "\n")
    return path


def cpu_name() -> str:
    """Return the name of the processor on Linux, the architecture elsewhere."""
    info = Path("/proc/cpuinfo")
    match = re.search(r"model name\s*: (.+)", info.read_text()) if info.exists() else None
    return match[1] if match else platform.machine()


def _is_cuda(device: str) -> bool:
    kind = torch.device(device).type
    if kind == "cpu":
        return False
    if kind != "cuda":
        raise ParameterError(f"device is {device!r}; benchmarks run on cpu or cuda")
    if not torch.cuda.is_available():
        raise CudaUnavailable(f"nothing can be timed on {device}: torch sees no CUDA device")
    return True


def _once_on_cpu(function: Callable[[], object], calls: int) -> float:
    start = perf_counter()
    for _ in range(calls):
        function()
    return (perf_counter() - start) / calls


def _once_on_cuda(function: Callable[[], object], calls: int) -> float:
    start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    torch.cuda._sleep(_AHEAD_CYCLES)  # the host queues meanwhile: the GPU never waits for a launch
    start.record()
    for _ in range(calls):
        function()
    stop.record()
    stop.synchronize()
    milliseconds: float = start.elapsed_time(stop)
    return milliseconds / 1000 / calls


def _command() -> str:
    """Return the command line of this run, as typed in the repository."""
    script = Path(sys.argv[0]).resolve()
    name = script.relative_to(ROOT) if script.is_relative_to(ROOT) else script
    return shlex.join(["python", str(name), *sys.argv[1:]])


def _commit() -> str:
    """Return the commit, with a + if the sources differ from it; "unknown" outside a checkout."""
    sources = [".", ":!benchmarks/results", ":!docs"]
    try:
        commit = _git("rev-parse", "--short=12", "HEAD")
        return commit + ("+" if _git("status", "--porcelain", "--", *sources) else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    ask = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()

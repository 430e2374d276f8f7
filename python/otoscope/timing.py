"""Time functions comparably: warm-up, repeats, rivals in turn in one run.

`measure` times one function, `compare` several in turn; a `ratio` is the rival's time over ours,
the median over the rounds of one `compare`, so that a machine that slows down in the middle slows
down both.
"""

from __future__ import annotations

import platform
import random
import re
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from otoscope import native
from otoscope.errors import CudaUnavailable, ParameterError
from otoscope.records import versions

__all__ = ["Timing", "compare", "in_units", "machine", "measure", "ratio"]

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
    calls: int | Mapping[str, int] = 1,
) -> dict[str, Timing]:
    """Time rivals in turn: each round runs all of them once, another one first each time.

    The others follow in a random order: a run changes the caches, and no rival shall always follow
    the same other rival. A repeat is the mean of `calls` calls, of some rivals if they are named.
    """
    n_calls = {name: calls if isinstance(calls, int) else calls.get(name, 1) for name in functions}
    if min(repeats, *n_calls.values()) < 1 or warmup < 0:
        raise ParameterError(f"repeats {repeats}, calls {calls}, warmup {warmup}: need 1, 1, 0")
    once = _once_on_cuda if _is_cuda(device) else _once_on_cpu
    names = list(functions)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    order = random.Random(0)
    for number in range(-warmup, repeats):
        first = names[number % len(names)]
        others = [name for name in names if name != first]
        for name in [first, *order.sample(others, len(others))]:
            elapsed = once(functions[name], n_calls[name])
            if number >= 0:
                seconds[name].append(elapsed)
    return {name: Timing(tuple(seconds[name])) for name in names}


def ratio(rival: Timing, ours: Timing) -> float:
    """Return the time of the rival over ours: the median over the rounds of both."""
    return statistics.median(
        theirs / mine for theirs, mine in zip(rival.seconds, ours.seconds, strict=True)
    )


def machine(device: str = "cpu") -> dict[str, Any]:
    """Describe what times depend on: device, instruction set, threads and versions."""
    if _is_cuda(device):
        properties = torch.cuda.get_device_properties(device)
        return {
            "device": "cuda",
            "name": properties.name,
            "capability": f"{properties.major}.{properties.minor}",
            "memory_bytes": properties.total_memory,
            "cuda": torch.version.cuda,
            "versions": dict(versions()),
        }
    return {
        "device": "cpu",
        "name": _cpu_name(),
        "isa": native.isa(),
        "threads": torch.get_num_threads(),
        "versions": dict(versions()),
    }


def in_units(seconds: float) -> str:
    """Format seconds with three digits, in s, ms, us or ns."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def _cpu_name() -> str:
    """Return the name of the processor on Linux, the architecture elsewhere."""
    info = Path("/proc/cpuinfo")
    text = info.read_text(encoding="utf-8") if info.exists() else ""
    match = re.search(r"model name\s*: (.+)", text)
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

"""Time functions comparably: warm-up, repeats, rivals in turn in one run; write a JSON document.

`otoscope.timing` measures; `write` puts the cases of a benchmark into
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

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from otoscope.records import replacing, to_json
from otoscope.timing import Timing, compare, in_units, machine, measure, ratio

__all__ = [
    "ROOT",
    "Bar",
    "Case",
    "Timing",
    "compare",
    "environment",
    "measure",
    "ratio",
    "write",
]

ROOT = Path(__file__).resolve().parent.parent


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

    @property
    def rates(self) -> dict[str, float]:
        """What ours moved and computed a second, and its share of a floor that was measured.

        From the parameters "bytes", "flop", and "floor_s": the seconds that as many bytes or
        operations took where nothing else was done.
        """
        seconds = self.rivals["ours"].median_s
        rates = {}
        if "bytes" in self.parameters:
            rates["gigabytes_per_s"] = float(str(self.parameters["bytes"])) / seconds / 1e9
        if "flop" in self.parameters:
            rates["teraflop_per_s"] = float(str(self.parameters["flop"])) / seconds / 1e12
        if "floor_s" in self.parameters:
            rates["share_of_floor"] = float(str(self.parameters["floor_s"])) / seconds
        return rates

    def told(self) -> str:
        """Return ours and its rates in a line."""
        units = {"gigabytes_per_s": "GB/s", "teraflop_per_s": "TFLOP/s"}
        rates = [
            f"{value:.3g} {units.get(name, 'of the floor')}" for name, value in self.rates.items()
        ]
        return ", ".join([in_units(self.rivals["ours"].median_s), *rates])

    def summary(self) -> dict[str, object]:
        """Return the entry of the JSON document."""
        bar = None if self.bar is None else {**asdict(self.bar), "met": self.bar.met}
        return {
            "name": self.name,
            "parameters": self.parameters,
            "rivals": {name: timing.summary() for name, timing in self.rivals.items()},
            "ratios": self.ratios,
            **({"rates": self.rates} if self.rates else {}),
            "bar": bar,
        }


def environment(device: str = "cpu") -> dict[str, Any]:
    """Describe what the numbers depend on: machine, instruction set, threads, versions, commit."""
    malloc = {name: os.environ[name] for name in sorted(os.environ) if "MALLOC_" in name}
    return {"commit": _commit(), "malloc": malloc, **machine(device), **_gpu_state(device)}


def _gpu_state(device: str) -> dict[str, object]:
    """Return driver, clocks and power of a GPU as nvidia-smi has them, and the size of its L2."""
    if not device.startswith("cuda"):
        return {}
    asked = ("driver_version", "clocks.sm", "clocks.max.sm", "clocks.mem", "power.limit")
    state: dict[str, object] = {"l2_bytes": torch.cuda.get_device_properties(device).L2_cache_size}
    query = ["nvidia-smi", f"--query-gpu={','.join(asked)}", "--format=csv,noheader", "--id=0"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, check=True, timeout=20).stdout
    except (OSError, subprocess.SubprocessError):
        return state
    return state | dict(zip(asked, (part.strip() for part in told.split(",")), strict=False))


def write(
    benchmark: str, cases: Iterable[Case], *, device: str = "cpu", is_part: bool = False
) -> Path:
    """Write the JSON of a benchmark that has run on ``device``, and return its path.

    If ``is_part``, cases of other subjects stay that were measured
    with the same commit, machine and versions.
    """
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
    if is_part and path.exists():
        before = json.loads(path.read_text())
        written = json.loads(to_json(result))  # numbers as they are read
        if before["environment"] == written["environment"]:
            new = {_subject(case["name"]) for case in written["cases"]}
            kept = [case for case in before["cases"] if _subject(case["name"]) not in new]
            result["cases"] = kept + written["cases"]
    with replacing(path) as draft:
        draft.write_text(to_json(result, indent=1) + "\n")
    return path


def _subject(name: str) -> str:
    """Return what a case is about: its name without results of the measurement."""
    return re.split(r"; |: (?=\d+ |leave)", name)[0]


def _command() -> str:
    """Return the command line of this run, as typed in the repository, for all its cases."""
    script, arguments = Path(sys.argv[0]).resolve(), sys.argv[1:]
    if "--only" in arguments:
        at = arguments.index("--only")
        arguments = arguments[:at] + arguments[at + 2 :]
    name = script.relative_to(ROOT) if script.is_relative_to(ROOT) else script
    return shlex.join(["python", str(name), *arguments])


def _commit() -> str:
    """Return the commit, with a + if the sources differ from it; "unknown" outside a checkout."""
    if "COMMIT" in os.environ:  # of a copy without .git
        return os.environ["COMMIT"]
    sources = [".", ":!benchmarks/results", ":!docs"]
    try:
        commit = _git("rev-parse", "--short=12", "HEAD")
        return commit + ("+" if _git("status", "--porcelain", "--", *sources) else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    ask = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()

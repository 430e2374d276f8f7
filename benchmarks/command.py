"""Run a benchmark of an operator from the command line, and print a table."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from memory import keep_freed_memory
from otoscope import native
from otoscope.errors import MissingExtra
from table import show
from timing import ROOT, Case, write

Sizes = TypeVar("Sizes")

_LEFT_OUT = 77  # exit code where a rival is not installed, as of a skipped test of automake


def run(
    benchmark: str,
    about: str | None,
    cases: Callable[[str, Sizes], Iterator[Case]],
    sizes: Mapping[str, Sizes],
) -> None:
    """Measure on all available devices, or on the selected one.

    `sizes` are those of "cpu", "cuda" and "quick"; `about` is the script's docstring.
    """
    keep_freed_memory()
    usable = ["cpu", "cuda"] if native.cuda_status().available else ["cpu"]
    parser = argparse.ArgumentParser(description=about.splitlines()[0] if about else None)
    parser.add_argument("--device", choices=["cpu", "cuda"], help="by default all that work")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, into build/quick: a test")
    options = parser.parse_args()
    if os.getloadavg()[0] > 0.5:
        load = os.getloadavg()[0]
        print(f"load {load:.1f}: torch's threads wait for each other when others work")
    if options.quick:
        os.environ.setdefault("OUT", str(ROOT / "build" / "quick"))
    for device in [options.device] if options.device else usable:
        chosen = sizes["quick" if options.quick else device]
        measured: list[Case] = []
        path = None
        try:
            for case in cases(device, chosen):
                measured.append(case)
                path = write(benchmark, measured, device=device)  # a time-out leaves the rest
                print(f"{case.name}: {case.told()}", flush=True)
        except MissingExtra as err:
            print(f"left out: {err}")
            raise SystemExit(_LEFT_OUT) from None
        if path is not None:
            show(path)

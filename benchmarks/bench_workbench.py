"""The workbench in Chromium: from the click to the report of an explanation.

Each round starts `otoscope serve` and opens the page in a new browser context. "start to page" runs
from the start of the process until the page is ready; "first explanation" from the click on
"Explain", with the sample and the model that are chosen already, until the report is painted, the
first one of this server; "next explanation" is the same with another content. The first one is to
be there within four seconds on two cores: the bar. Without Chromium, playwright or the extra serve
it says so.

    python benchmarks/bench_workbench.py [--quick]
"""

from __future__ import annotations

from collections.abc import Iterator

from bench_compose import measured, missing
from command import run
from timing import Bar, Case, Timing

SIZES = {"cpu": (5, 4), "cuda": (5, 4), "quick": (1, 1)}  # rounds, next explanations in each
AT_MOST = 4.0  # seconds
# Two frames after the report is loaded it is on the screen.
_EXPLAIN = """async () => {
  const frame = () => new Promise(requestAnimationFrame), told = document.body.dataset;
  const contents = document.getElementById("content"), before = told.seen;
  const start = performance.now();
  document.querySelector("[data-run=explain]").click();
  while (told.seen === before || told.seen !== told.shown) await frame();
  await frame();
  await frame();
  const seconds = (performance.now() - start) / 1000;
  contents.selectedIndex = (contents.selectedIndex + 1) % contents.length;
  return seconds;
}"""


def cases(device: str, sizes: tuple[int, int]) -> Iterator[Case]:
    """Measure start, first and next explanations."""
    del device  # the workbench runs on the CPU
    names = ("start to page", "first explanation", "next explanation")
    for name, seconds in measured(*sizes, path="/", act=_EXPLAIN, names=names).items():
        timing = Timing(tuple(seconds))
        bar = AT_MOST / timing.median_s if name == "first explanation" else None
        yield Case(
            name,
            {"rounds": sizes[0], "model": "synth-singing", "segments": "temporal:10"},
            {"ours": timing},
            None if bar is None else Bar(f"{AT_MOST:g} s / ours", bar, 1.0),
        )


if __name__ == "__main__":
    if reason := missing():
        print(f"workbench: not measured: {reason}")
    else:
        run("workbench", __doc__, cases, SIZES)

"""Write docs/performance.md from benchmarks/results/*.json: no number on the page is typed by hand.

The form of the JSON is told in benchmarks/timing.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from otoscope.records import replacing

ROOT = Path(__file__).resolve().parent.parent

_INTRODUCTION = """\
<!-- Written by docs/write_performance.py; run that, do not edit this. -->
# Performance

Every number here was printed by the command above its table, on the machine named there. Times are
medians of one call, with the quartiles in brackets. Rivals ran in turn with ours in one run; a
ratio is the rival's time over ours, so above 1 we are faster. A bar is what the project asks of
itself; a missed one is shown as missed.
"""


def page(results: list[dict[str, Any]], benchmarks: list[str]) -> str:
    """Write the page: a section for each benchmark, a table for each device that ran it."""
    names = sorted({*benchmarks, *(result["benchmark"] for result in results)})
    if not names:
        return f"{_INTRODUCTION}\nNothing has been measured yet.\n"
    return "\n".join([_INTRODUCTION, *(_section(name, results) for name in names)])


def measured(folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Read the results in the folder of the benchmarks, and the names of all benchmarks there."""
    results = [json.loads(path.read_text()) for path in sorted(folder.glob("results/*.json"))]
    return results, [path.stem.removeprefix("bench_") for path in folder.glob("bench_*.py")]


def _section(name: str, results: list[dict[str, Any]]) -> str:
    ours = [result for result in results if result["benchmark"] == name]
    devices = {result["environment"]["device"] for result in ours}
    parts = [f"## {name}\n", *(_run(result) for result in ours)]
    if "cpu" not in devices:
        parts.append("Not yet run on a CPU.\n")
    if "cuda" not in devices:
        parts.append("Not yet run on a GPU.\n")
    return "\n".join(parts)


def _run(result: dict[str, Any]) -> str:
    where = result["environment"]
    versions = ", ".join(f"{name} {version}" for name, version in where["versions"].items())
    facts = [f"commit {where['commit']}", versions]
    if where["device"] == "cpu":
        threads, kernels = (_settings(result, name) for name in ("threads", "isa"))
        facts[:0] = [f"{threads} thread(s)", f"{kernels} kernels"]
    else:
        facts[:0] = [f"compute capability {where['capability']}", f"CUDA {where['cuda']}"]
    facts += [f"{name}={value}" for name, value in where["malloc"].items()]
    lines = [
        f"### {where['name']}\n",
        f"`{result['command']}`\n",
        "; ".join(facts) + ".\n",
        "| case | rival | time | rival / ours | bar |",
        "|---|---|---|---|---|",
        *(line for case in result["cases"] for line in _rows(case)),
    ]
    notes = [note for case in result["cases"] for note in _notes(case["name"], case["parameters"])]
    return "\n".join([*lines, *([""] if notes else []), *notes]) + "\n"


def _settings(result: dict[str, Any], name: str) -> str:
    """All that the cases ran with; cases that do not tell ran as the environment says."""
    usual = result["environment"][name]
    found = {str(case["parameters"].get(name, usual)) for case in result["cases"]}
    return " or ".join(sorted(found or {str(usual)}))


def _notes(name: str, facts: dict[str, Any]) -> Iterator[str]:
    """What a ratio does not say: what was done, how exact it was, how much of real time."""
    if "plan" in facts:
        off, first = f"{facts['largest_difference']:.1g}", f"{facts['first_call_s']:.2f} s"
        yield (
            f"- {_cell(name)}: {facts['plan']}; largest difference from torch {off}; "
            f"first call, with the trace, {first}."
        )
    if "times_real_time" in facts and "stretcher_share" not in facts:
        yield (
            f"- {_cell(name)}: {facts['times_real_time']:.0f} times real time; largest difference "
            f"from the rival {facts['largest_difference']:.1g}."
        )
    if "stretcher_share" in facts:
        yield (
            f"- {_cell(name)}: {facts['times_real_time']:.0f} times real time; of what one process "
            f"takes the stretcher has {facts['stretcher_share']:.0%}; peak memory "
            f"{facts['peak_mb']:.0f} MB."
        )


def _rows(case: dict[str, Any]) -> list[str]:
    """One row for each rival, ours first; the case and its bar stand in the first."""
    names = sorted(case["rivals"], key=lambda name: name != "ours")
    rows = []
    for name in names:
        ratio = case["ratios"].get(name)
        cells = [
            _cell(case["name"]) if name == names[0] else "",
            _cell(name),
            _time(case["rivals"][name]),
            "" if ratio is None else f"{ratio:.2f}",
            _bar(case["bar"]) if name == names[0] else "",
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return rows


def _bar(bar: dict[str, Any] | None) -> str:
    if bar is None:
        return ""
    verdict = "met" if bar["met"] else "**missed**"
    value = "none" if bar["value"] is None else f"{bar['value']:.3g}"
    return f"{_cell(bar['text'])}: {value}, at least {bar['at_least']:.3g}: {verdict}"


def _time(rival: dict[str, float]) -> str:
    scale, unit = next(
        (scale, unit)
        for scale, unit in ((1, "s"), (1e3, "ms"), (1e6, "us"), (1e9, "ns"))
        if rival["median_s"] * scale >= 1 or unit == "ns"
    )
    median, low, high = (rival[name] * scale for name in ("median_s", "low_s", "high_s"))
    return f"{median:.3g} {unit} ({low:.3g}, {high:.3g})"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    """Read what was measured and write the page."""
    with replacing(ROOT / "docs" / "performance.md") as draft:
        draft.write_text(page(*measured(ROOT / "benchmarks")))


if __name__ == "__main__":
    main()

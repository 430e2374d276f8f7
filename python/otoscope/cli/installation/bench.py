"""otoscope bench: how fast are the operators and explanations on this machine?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from rich.table import Table

from otoscope.cli.options import Device, Json, Quick
from otoscope.cli.output import bars, console, is_printed, write_json

if TYPE_CHECKING:
    from otoscope.workflows.bench import BenchResult

__all__ = ["bench"]


def bench(device: Device = "cpu", quick: Quick = False, json_path: Json = None) -> None:
    """Measure this machine: the operators, and explanations against plain passes.

    Close other programs first. Results of GPUs and processors that the performance page lacks are
    welcome: send the JSON.

    Example: otoscope bench --device cpu --json speed.json
    """
    from otoscope.workflows.bench import BenchConfig, run_bench

    with bars() as progress:
        result = run_bench(BenchConfig(device, quick), progress=progress)
    write_json(result.to_dict(), json_path)
    if not is_printed(json_path):
        _show(result)


def _show(result: BenchResult) -> None:
    out, where = console(), result.machine
    threads = f", {where['threads']} threads" if "threads" in where else ""
    out.print(f"{where['name']} ({where['device']}{threads})")
    table = Table(box=None, pad_edge=False)
    for heading in ("job", "a second", "GB/s written", "against", "times as fast"):
        table.add_column(heading, justify="left" if heading in ("job", "against") else "right")
    for row in result.rows:
        speed = "" if row.n_bytes is None else f"{row.n_bytes / row.timing.median_s / 1e9:.1f}"
        rate = f"{row.per_second:,.0f}" if row.per_second >= 100 else f"{row.per_second:.3g}"
        table.add_row(row.name, f"{rate} {row.unit}", speed, row.rival, f"{row.ratio:.3g}")
    out.print(table, soft_wrap=False)
    for note in result.notes:
        out.print(note)
    typer.echo("versions: " + ", ".join(f"{k} {v}" for k, v in where["versions"].items()))

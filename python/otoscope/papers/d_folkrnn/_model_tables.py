"""Tables and figure of the experiment that looks into a network of tunes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from otoscope.papers.d_folkrnn.units import CONCEPTS, TOKEN_CLASSES
from otoscope.report.figures import COLOURS, ResultTable, svg_figure

__all__ = ["draw_softmax", "model_tables"]


def model_tables(rows: Sequence[dict[str, Any]]) -> list[ResultTable]:
    """Print the rows; those of random units and groups as ranges."""
    kinds = {kind: [row for row in rows if row["kind"] == kind] for kind in ("unit", "group")}
    primes = [row for row in rows if row["kind"] == "prime" and not row["unknown"]]
    return [
        _softmax_table(rows[0]),
        *_unit_tables(kinds["unit"]),
        *_group_tables(kinds["group"]),
        _prime_table(primes),
    ]


def _softmax_table(row: dict[str, Any]) -> ResultTable:
    cells = [(rank, f"{nats:.3f}") for rank, nats in row["nats_by_rank"].items()]
    values = row["singular_values"]
    title = (
        f"Softmax layer: {len(values)} singular values from {values[0]:.1f} to {values[-1]:.2f}, "
        f"{row['above_random']} above all of random matrices, effective rank "
        f"{row['effective_rank']:.0f}"
    )
    return ResultTable(title, ("kept", "nats per token"), tuple(cells))


def _unit_tables(rows: Sequence[dict[str, Any]]) -> list[ResultTable]:
    random = [row for row in rows if row["concept"] == "random"]
    tables = []
    for concept in CONCEPTS:
        cells = [
            (
                row["unit"],
                f"{row['found'][concept]:+.2f}",
                _bounds(row["tested"][concept], "+.2f"),
                *(_bounds(row["nats"][name], "+.4f") for name in TOKEN_CLASSES),
            )
            for row in rows
            if row["concept"] == concept
        ]
        tested = [abs(row["tested"][concept]["value"]) for row in random]
        cells.append(
            (
                f"{len(random)} random units",
                "",
                f"at most {max(tested):.2f}",
                *(
                    _range([row["nats"][name]["value"] for row in random], "+.4f")
                    for name in TOKEN_CLASSES
                ),
            )
        )
        columns = (
            "unit",
            "first half",
            "second half (95 %)",
            *(f"{c}, nats" for c in TOKEN_CLASSES),
        )
        tables.append(ResultTable(f"Units for {concept}, each ablated", columns, tuple(cells)))
    return tables


def _group_tables(rows: Sequence[dict[str, Any]]) -> list[ResultTable]:
    random = [row for row in rows if row["concept"] == "random"]
    size, rules = len(rows[0]["units"]), [*rows[0]["rules"]]
    harm, lost = [], []
    for row in rows:
        if row["concept"] != "random":
            harm.append((row["concept"], *(_bounds(row["nats"][c], "+.3f") for c in TOKEN_CLASSES)))
            changes = [_bounds(rule["change"], "+.3f") for rule in row["rules"].values()]
            lost.append((row["concept"], *changes))
    name = f"{len(random)} random groups"
    harm.append(
        (
            name,
            *(_range([row["nats"][c]["value"] for row in random], "+.3f") for c in TOKEN_CLASSES),
        )
    )
    lost.append(
        (
            name,
            *(
                _range([row["rules"][r]["change"]["value"] for row in random], "+.3f")
                for r in rules
            ),
        )
    )
    return [
        ResultTable(
            f"{size} units ablated together: nats per token", ("", *TOKEN_CLASSES), tuple(harm)
        ),
        ResultTable(
            f"{size} units ablated together: change of the rate of sampled tunes",
            ("", *rules),
            tuple(lost),
        ),
    ]


def _prime_table(rows: Sequence[dict[str, Any]]) -> ResultTable:
    names = {
        "nats": ".2f",
        "accidentals_early": ".1%",
        "accidentals": ".1%",
        "valid": ".1%",
        "finished": ".1%",
        "comes_again": ".1%",
    }
    cells = [
        (
            row["prime"],
            f"{row['prime_nats']:.2f}",
            *(_bounds(row[name], form) for name, form in names.items()),
        )
        for row in rows
    ]
    columns = (
        *("prime", "nats of the prime", "nats after", "accidentals, first 16 notes"),
        *("accidentals", "no bad bar", "finished", "first bar comes again"),
    )
    return ResultTable("Primes, and how they are continued (95 %)", columns, tuple(cells))


def _bounds(interval: dict[str, float], form: str) -> str:
    value, low, high = (format(interval[name], form) for name in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def _range(values: Sequence[float], form: str) -> str:
    return f"{format(min(values), form)} to {format(max(values), form)}"


def draw_softmax(row: dict[str, Any], path: Path) -> None:
    """Draw the singular values, and nats by rank."""
    with svg_figure(path, width=6.4, height=2.7) as figure:
        left, right = figure.subplots(1, 2)
        left.plot(row["singular_values"], color=COLOURS[0], label="softmax layer")
        left.plot(row["random"], color=COLOURS[3], label="random, same norm")
        left.set_xlabel("number")
        left.set_ylabel("singular value")
        left.legend(frameon=False)
        ranks = {int(rank): nats for rank, nats in row["nats_by_rank"].items()}
        right.plot(list(ranks), list(ranks.values()), marker="o", color=COLOURS[0])
        right.set_xscale("log", base=2)
        right.set_xlabel("singular values kept")
        right.set_ylabel("nats per token")

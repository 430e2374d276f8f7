"""Simulate how often 95 % intervals of distances hold the truth, over songs that vary as a whole.

    python examples/interval_coverage.py --songs 12 24 48 --draws 300 --json interval_coverage.json

Each song has 8 rows that share its level: leaving out rows, not songs, would be far too sure. The
true Frechet distance is known; of the other measures the truth is the mean of independent draws of
this size, since counts of neighbours and clusters depend on the number of rows.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path
from statistics import fmean, stdev

import torch
from torch import Tensor

from otoscope.metrics import FeatureSet, Statistics
from otoscope.records import replacing, to_json, versions
from otoscope.workflows.measures import cited_measures
from otoscope.workflows.stats import StatsResult

ROWS, COLUMNS, SHIFT = 8, 4, 0.5
_OF_SONG = _OF_ROW = 0.5**0.5  # deviations; together 1


def main() -> None:
    """Simulate, print and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--songs", type=int, nargs="+", default=[24], help="songs of each side")
    parser.add_argument("--draws", type=int, default=300, help="pairs of sets, >= 2")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="file for every number")
    options = parser.parse_args()
    rows = []
    for n in options.songs:
        for row in simulate(n, options.draws, options.seed):
            rows.append(row)
            print(
                f"{n} songs, {row['measure']}: truth {row['truth']:.3g}, deviation of draws "
                f"{row['deviation']:.3g}, half width {row['half_width']:.3g}, "
                f"coverage {row['coverage']:.1%} of {options.draws}"
            )
    if options.json:
        settings = {"draws": options.draws, "seed": options.seed, "rows": ROWS, "columns": COLUMNS}
        record = {"settings": settings, "versions": versions(), "rows": rows}
        with replacing(options.json) as draft:
            draft.write_text(to_json(record, indent=1) + "\n")


def simulate(n_songs: int, draws: int, seed: int) -> list[dict[str, float | int | str]]:
    """Return truth, deviation and coverage of each measure that has an interval."""
    generator = torch.Generator().manual_seed(seed)
    values, bounds = defaultdict[str, list[float]](list), defaultdict[str, list[list[float]]](list)
    for index in range(2 * draws):  # the first half gives the truth
        sides = [_songs(n_songs, shift, generator) for shift in (0.0, SHIFT)]
        for it in cited_measures(*sides, interval=index >= draws, seed=index):
            if index < draws and it.value is not None:
                values[it.name].append(it.value)
            elif it.low is not None and it.high is not None:
                bounds[it.name].append([it.low, it.high])
    truth = {name: fmean(part) for name, part in values.items()} | {"FAD": COLUMNS * SHIFT**2}
    return [
        {
            "songs": n_songs,
            "measure": name,
            "truth": truth[name],
            "deviation": stdev(values[name]),
            "half_width": fmean((high - low) / 2 for low, high in part),
            "coverage": fmean(low <= truth[name] <= high for low, high in part),
        }
        for name, part in bounds.items()
    ]


def _songs(n: int, shift: float, generator: torch.Generator) -> StatsResult:
    """Draw songs, each with a level of its own."""
    level = torch.randn(n, 1, COLUMNS, generator=generator)
    rows: Tensor = torch.randn(n, ROWS, COLUMNS, generator=generator)
    rows = (_OF_SONG * level + _OF_ROW * rows + shift).flatten(0, 1).double()
    settings = {"excerpts": {str(song): ROWS for song in range(n)}, "files": {}}
    features = FeatureSet.none().added(rows, keep_rows=True)
    return StatsResult(Path("songs"), Statistics.of(features, settings=settings))


if __name__ == "__main__":
    main()

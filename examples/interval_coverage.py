"""Simulate how often 95 % intervals of distances hold the truth, by columns and number of songs.

    python examples/interval_coverage.py --columns 1 4 16 64 200 --songs 8 24 48 --json FILE

Each song has 8 rows that share its level: leaving out rows, not songs, would be far too sure.
Kernel distances between these normal distributions are known. The truth of all other measures is
the mean over the draws, for sets of this size; the last column says how often the interval of FAD
holds the distance between the distributions instead, which is no claim of it.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from pathlib import Path
from statistics import fmean, stdev

import torch
from torch import Tensor

from otoscope.metrics import FeatureSet, Statistics, median_distance
from otoscope.records import replacing, to_json, versions
from otoscope.workflows.measures import cited_measures
from otoscope.workflows.stats import StatsResult

ROWS = 8
_OF_SONG = _OF_ROW = 0.5**0.5  # deviations; together 1
_NAMES = ("FAD", "KID", "KAD", "MAD", "precision", "recall", "density", "coverage")


def main() -> None:
    """Simulate, print and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--columns", type=int, nargs="+", default=[64], help="width of the layer")
    parser.add_argument("--songs", type=int, nargs="+", default=[24], help="songs of each side")
    parser.add_argument("--shift", type=float, nargs="+", default=[0.3], help="of each mean")
    parser.add_argument("--draws", type=int, default=100, help="pairs of sets, >= 2")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="file for every number")
    options = parser.parse_args()
    cells = [(c, n, s) for c in options.columns for n in options.songs for s in options.shift]
    rows = []
    print(f"| columns | songs | shift | {' | '.join(_NAMES)} | (FAD, of distributions) |")
    print("|---" * (len(_NAMES) + 4) + "|")
    for columns, n, shift in cells:
        found = simulate(columns, n, shift, options.draws, options.seed)
        rows += found
        by_name = {row["measure"]: row for row in found}
        shares = [f"{by_name[x]['coverage']:.0%}" if x in by_name else "—" for x in _NAMES]
        shares.append(f"{found[0]['of_distributions']:.0%}")
        print(f"| {columns} | {n} | {shift:g} | {' | '.join(shares)} |", flush=True)
    if options.json:
        settings = {"draws": options.draws, "seed": options.seed, "rows": ROWS}
        record = {"settings": settings, "versions": versions(), "rows": rows}
        with replacing(options.json) as draft:
            draft.write_text(to_json(record, indent=1) + "\n")


def simulate(
    columns: int, n_songs: int, shift: float, draws: int, seed: int
) -> list[dict[str, float | int | str]]:
    """Return truth, deviation and coverage of each measure that has an interval."""
    generator = torch.Generator().manual_seed(seed)
    values, bounds = defaultdict[str, list[float]](list), defaultdict[str, list[list[float]]](list)
    known: dict[str, list[float]] = {"KID": [], "KAD": []}
    for index in range(draws):
        sides = [_songs(n_songs, columns, x, generator) for x in (0.0, shift)]
        known["KID"].append(_kernel_distance(columns, shift))
        known["KAD"].append(_audio_distance(columns, shift, median_distance(sides[0].rows())))
        for it in cited_measures(*sides, interval=True, seed=index):
            if it.value is not None:
                values[it.name].append(it.value)
            if it.low is not None and it.high is not None:
                bounds[it.name].append([it.low, it.high])
    rows: list[dict[str, float | int | str]] = []
    for name, part in bounds.items():
        if len(part) < draws / 2:  # too near 0 to have an interval
            continue
        truth = known.get(name) or [fmean(values[name])] * len(part)
        held = [low <= true <= high for true, (low, high) in zip(truth, part, strict=True)]
        row: dict[str, float | int | str] = {
            "columns": columns,
            "songs": n_songs,
            "shift": shift,
            "measure": name,
            "truth": fmean(truth),
            "mean": fmean(values[name]),
            "deviation": stdev(values[name]),
            "half_width": fmean((high - low) / 2 for low, high in part),
            "intervals": len(part),
            "coverage": fmean(held),
        }
        if name == "FAD":
            distance = columns * shift**2
            row["of_distributions"] = fmean(low <= distance <= high for low, high in part)
        rows.append(row)
    return rows


def _kernel_distance(c: int, shift: float) -> float:
    """Return KID between N(0, I) and N(shift, I): moments of x.y / c up to the third."""
    s = shift**2
    return 3 * s + 3 * s**2 + s**3 + (3 * s + 6 * s**2) / c + 6 * s / c**2


def _audio_distance(c: int, shift: float, bandwidth: float) -> float:
    """Return KAD between them: a Gaussian kernel over a normal difference of variance 2."""
    b = bandwidth**2
    return 200 * math.pow(b / (b + 2), c / 2) * -math.expm1(-c * shift**2 / (2 * (b + 2)))


def _songs(n: int, columns: int, shift: float, generator: torch.Generator) -> StatsResult:
    """Draw songs, each with a level of its own."""
    level = torch.randn(n, 1, columns, generator=generator)
    rows: Tensor = torch.randn(n, ROWS, columns, generator=generator)
    rows = (_OF_SONG * level + _OF_ROW * rows + shift).flatten(0, 1).double()
    settings = {"excerpts": {str(song): ROWS for song in range(n)}, "files": {}}
    features = FeatureSet.none().added(rows, keep_rows=True)
    return StatsResult(Path("songs"), Statistics.of(features, settings=settings))


if __name__ == "__main__":
    main()

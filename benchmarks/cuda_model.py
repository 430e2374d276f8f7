"""Estimate the CUDA kernels' times at the sizes of their bars; no GPU has run them.

    python benchmarks/cuda_model.py > docs/explanation/cuda-estimates.md

Assumptions, each of which a GPU may contradict:

* A multiprocessor starts 2.25 instructions of a warp per clock; all 132 run at 1.755 GHz.
* Memory that is streamed reaches 92 % of the data sheet's bandwidth, for us and for a fill or copy.
* A kernel takes as long as the slowest of: its bytes, its instructions, its matrix units, its
  shared memory; these overlap fully. Blocks end in whole waves where that is stated.
* A store of 4 bytes with the lanes 16 bytes apart occupies four times its bytes between L1 and L2,
  which moves 64 bytes per clock and multiprocessor.
* Double matrix units do 128 multiply-adds per clock and multiprocessor (67 TFLOP/s at 1.98 GHz), in
  each of the shapes that PTX has; shared memory gives 128 bytes per clock.
* L2 takes 5.5 TB/s of stores, and a launch 3 us.
* Where blocks of a multiprocessor do not cover it, a wait for memory takes 700 clocks and one for a
  barrier 40.
* Instructions are those of machine code for sm_90: of the hot loop, from the record
  (benchmarks/results/cuda.static.json), and for the projection, whose loops are long, the segments
  between barriers that a plain iteration runs. "Before" is commit 4e86fda, compiled alike.
* torch's times are those that the reading of the kernels expected, and no measurement either.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RECORD = Path(__file__).resolve().parent / "results" / "cuda.static.json"
CLOCK, MULTIPROCESSORS, ISSUE, REACHED = 1.755e9, 132, 2.25, 0.92
RATE = CLOCK * MULTIPROCESSORS  # clocks of all multiprocessors per second
WAIT, BARRIER = 700, 40  # clocks
L2, LAUNCH = 5.5e12, 3e-6  # bytes per second, seconds
PROJECTION = "project_kernel<float, 1024>"
COUNTED = 4086  # instructions of that kernel in the record whose segments `iteration` adds up


@dataclass(frozen=True)
class Chip:
    """Name and bandwidth in bytes per second; both have the same multiprocessors."""

    name: str
    bandwidth: float

    def streaming(self, n_bytes: float) -> float:
        """Seconds to move bytes."""
        return n_bytes / (self.bandwidth * REACHED)


CHIPS = (Chip("H100", 3.35e12), Chip("H200", 4.8e12))


@dataclass(frozen=True)
class Estimate:
    """Seconds before and after, and the value that the bar asks for, before and after."""

    name: str
    bar: str
    before: float
    after: float
    value_before: float
    value_after: float
    at_least: float
    limit: str  # what takes longest

    @property
    def met(self) -> bool:
        """True if the bar is expected to be met."""
        return self.value_after >= self.at_least


def occlusion(chip: Chip, kernel: dict[str, Any], samples: int) -> Estimate:
    """Write [sample, 115, 80] in float32; the bar is a fill of as many bytes.

    Outputs of 37 MB stay in L2, which takes a fill and ours alike: there the bar depends on what a
    block does beside its 16 samples, reading its tile, which is as long as 4 samples.
    """
    n_bytes = samples * 115 * 80 * 4.0
    in_l2 = n_bytes < 50e6
    fill = n_bytes / L2 if in_l2 else chip.streaming(n_bytes)
    stored = n_bytes / 512  # warps' stores of 16 bytes a lane
    unrolled = max(1, kernel["stores"]["16"] - 3)  # remainders of the loop store too
    instructions = stored * kernel["hot_loop"] / unrolled / (ISSUE * RATE)
    reading = 1.25 if in_l2 else 1 + 4 / 64  # 16 or 64 samples a block, and 4 for its tile
    after = max(fill, instructions) * reading + LAUNCH
    narrow = 4 * n_bytes / (64 * RATE)
    reading = 2 if in_l2 else 1 + 4 / 64  # blocks had 4 samples
    before = max(fill, narrow, stored * 175 / 4 / (ISSUE * RATE)) * reading + LAUNCH
    fill += LAUNCH
    limit = "memory" if fill >= instructions else "instructions"
    return Estimate(
        f"`occlude`, float32, {samples} samples", "fill_ / ours", before, after,
        fill / before, fill / after, 0.85, limit + (", in L2" if in_l2 else ""),
    )  # fmt: skip


def iteration(chip: Chip, hop: int, bar: str) -> Estimate:
    """Project 64 spectra of 30 s, 1024 samples per frame, four frames at once."""
    batch, frames, bins = 64, 30 * 22050 // hop + 1, 513
    n_bytes = batch * frames * bins * (8 + 4 + 8.0)
    tile, groups_in, groups_out = tile_of(hop, frames, batch)
    # A thread's instructions per group: loop and bins, three stages, frames added; then loop and
    # window, three stages, bins. Their conditions (momentum, gradient, error) are not taken.
    inverse, forward = 256 + 352 + (82 if hop == 256 else 67), 120 + 270 + 115
    rest = 300 + 5.6 * ((tile - 1) * hop + 1024) / 256  # samples are zeroed and normalised
    of_thread = groups_in * inverse + groups_out * forward + rest
    busiest = -(-batch * -(-frames // tile) // MULTIPROCESSORS)
    instructions = busiest * of_thread * 8 / (ISSUE * CLOCK)
    moved = chip.streaming(n_bytes)
    after = max(moved, instructions)
    tiles = batch * -(-frames // (32 if hop == 256 else 20))
    before = tiles * 72_000 * (1 if hop == 256 else 0.9) * 8 / (ISSUE * RATE)
    limit = "memory" if moved >= instructions else "instructions"
    theirs = 4.5e-3 * 256 / hop
    if bar == "copy":
        values, least, text = (moved / before, moved / after), 0.6, "copy_ of as many bytes / ours"
    else:
        values, least, text = (theirs / before, theirs / after), 4.0, "torch / ours"
    return Estimate(f"iteration, 1024/{hop}, batch 64", text, before, after, *values, least, limit)


def tile_of(hop: int, frames: int, batch: int) -> tuple[int, int, int]:
    """Choose frames per tile as csrc/stft/block.h does, and count its groups there and back."""
    halo, shared, best = 1023 // hop, 228 << 10, (math.inf, 0, 0, 0)
    for tile in range(1, 65):
        n_bytes = (2 * 4 * 544 + (tile - 1) * hop + 1024) * 4 + 256 * 8
        resident = min(3, shared // (n_bytes + 1024))
        if resident < 1:
            break
        busiest = -(-batch * -(-frames // tile) // MULTIPROCESSORS)
        groups = -(-(tile + 2 * halo) // 4), -(-tile // 4)
        rest = busiest % resident
        rounds = busiest - rest + (2 if rest == 1 and resident > 1 else rest)
        time = rounds * (sum(groups) + 1) * (8, 5, 4)[resident - 1]
        best = min(best, (time, tile, *groups))
    return best[1:]


def moments(chip: Chip, kernel: dict[str, Any], columns: int) -> Estimate:
    """Update by 50,000 rows of float32: tiles of 128 x 64, steps of 16 rows, one block in place."""
    rows = 50_000
    right = -(-columns // 64)
    pairs = sum(right - 2 * left for left in range(-(-right // 2)))
    parts = max(1, min(2112 // pairs, (1 << 24) // (pairs * 8192), rows // 256))
    blocks, steps = pairs * parts, -(-rows // parts) / 16
    matrix = 128 * 64 * 16 / 128
    # Fragments of 16 numbers deep: a warp reads 32 x 16 and 16 x 32; then tiles are stored.
    shared = 8 * (32 * 16 + 16 * 32) * 8 / 128 + 192 * 16 * 8 / 128 + 192 * 16 * 8 / 128
    # The loop holds the conversion of a tile twice, 90 instructions; a warp runs one of them.
    issued = 8 * (kernel["hot_loop"] - 90) / ISSUE
    step = max(matrix, shared, issued) + BARRIER + 0.1 * matrix  # halves overlap, not fully
    waves = -(-blocks // MULTIPROCESSORS)
    sums = (
        rows * columns * 4 / (chip.bandwidth * REACHED)
        + 2 * parts * pairs * 8192 * 8 / chip.bandwidth
    )
    after = waves * steps * step / CLOCK + sums + 10e-6
    of_tile = 8 * WAIT + 8 * 420 / ISSUE + 2 * BARRIER  # 8 loads in a row; 420 instructions
    tiles = -(-columns // 64) * (-(-columns // 64) + 1) // 2
    before = -(-tiles // (3 * MULTIPROCESSORS)) * rows / 16 * of_tile / CLOCK + 0.4e-3
    theirs = {2048: 7.5e-3, 512: 0.8e-3, 128: 0.2e-3}[columns]
    limit = "matrix units" if matrix >= max(shared, issued) else "instructions"
    return Estimate(
        f"`moments_update`, 50,000 x {columns}, float32", "torchmetrics / ours", before, after,
        theirs / before, theirs / after, 1.4 if columns == 2048 else 1.0, limit,
    )  # fmt: skip


def estimates(chip: Chip, record: dict[str, Any]) -> list[Estimate]:
    """Estimate all bars on a chip."""
    on = {name: kernels["sm_90"] for name, kernels in record["kernels"].items()}
    fill = on["occlude_kernel<uint32, void, true, true>"]
    scatter = on["scatter_kernel<MatrixEngine, float32, true>"]
    return [
        *(occlusion(chip, fill, samples) for samples in (32768, 1000)),
        *(iteration(chip, hop, bar) for hop in (256, 512) for bar in ("copy", "torch")),
        *(moments(chip, scatter, columns) for columns in (2048, 512, 128)),
    ]


def page(record: dict[str, Any]) -> str:
    """Write the page of the documentation."""
    lines = ["# Estimates for the CUDA kernels", "", *_INTRODUCTION]
    for chip in CHIPS:
        rows = estimates(chip, record)
        missed = [row for row in rows if not row.met]
        lines += ["", f"## {chip.name}", ""]
        lines += [
            "| kernel | estimate before | estimate now | bar | before | now | expected | by |"
        ]
        lines += ["|---|---|---|---|---|---|---|---|"]
        for row in rows:
            verdict = "met" if row.met else "missed"
            lines.append(
                f"| {row.name} | {row.before * 1e3:.2g} ms | {row.after * 1e3:.2g} ms | "
                f"{row.bar} >= {row.at_least:g} | {row.value_before:.2f} | {row.value_after:.2f} | "
                f"{verdict} | {row.limit} |"
            )
        names = "; ".join(f"{row.name} ({row.bar}), limited by {row.limit}" for row in missed)
        lines += ["", f"Expected to be missed: {names or 'none'}."]
    return "\n".join([*lines, "", *_CONCLUSION]) + "\n"


_INTRODUCTION = (
    "No GPU has run these kernels yet: every time on this page is an **estimate**, made from",
    "counted instructions by `benchmarks/cuda_model.py`, which says what it assumes. What was",
    "measured stands in [Performance](../performance.md), and nothing of this page does. The",
    "counts are those of `benchmarks/results/cuda.static.json`: registers, shared memory, spills,",
    "accesses by width and instructions of each kernel on each architecture. `.ci/cuda` compares",
    "them at each change, and `make cuda-report` writes them anew. Before is the state that a",
    "reading of the machine code found slow: stores of 4 bytes, frames added to samples that they",
    "do not reach, loads waited for one by one. For 512 and 128 columns the bar is torchmetrics.",
)
_CONCLUSION = (
    "An iteration is bound by its instructions and not by memory. A thread executes about 690 for",
    "each group of four frames on the way to the signal (350 for the stages of the transform, 250",
    "for loading and weighing bins, 80 for adding frames) and 505 on the way back. On an H100,",
    "the bar of 60 % of a copy has a margin of 2 to 5 %, which is less than the model is worth: a",
    "GPU may miss it. On an H200, which has the same multiprocessors and faster memory, it asks",
    "for 30 % fewer instructions, hardly more than the stages and the bins alone, and is expected",
    "to be missed. What could still go is the halo: frames at the ends of a tile are transformed",
    "by two blocks, 6 of 59. The first measurement to take on a GPU is therefore the projection's",
    "(`benchmarks/gpu.sh --only stft`).",
)


if __name__ == "__main__":
    print(page(json.loads(RECORD.read_text())), end="")

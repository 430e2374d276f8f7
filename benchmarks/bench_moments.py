"""Mean and scatter of features, and the Frechet distance of two sets, against torchmetrics.

A rival's update is torchmetrics' own: `FrechetInceptionDistance` with a feature extractor that
gives back what it gets. It turns features into float64, and adds their sum and the product of their
matrix with itself; ours centres them first and computes half of it. "dsyrk" is BLAS's product of
half a matrix, through scipy, on features that are float64 already: the floor of an update.

On a GPU, "products" is the same update by torch's own products of centred float64 rows, and the
columns of VGGish (128) and of others (512) are measured too, as are 27 sets at once and a merge.
"largest_error" is that of our scatter against a product in float64 on the same device.

    python benchmarks/bench_moments.py [--device cpu|cuda] [--quick]
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg.blas import dsyrk
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from bench_occlude import per_call
from command import run
from otoscope import native
from otoscope.metrics import FrechetDistance
from otoscope.ops import Moments, moments, moments_merge, moments_update
from otoscope.ops.moments import update_by_products
from timing import Bar, Case, compare, measure, ratio

_UPDATE_BARS = {"avx2": 1.5, "baseline": 1.5, "cuda": 1.4}
_COMPUTE_BAR = 3.0


@dataclass(frozen=True)
class Sizes:
    """Sizes of a run."""

    columns: tuple[int, ...]
    rows: int
    rounds: int
    distance: tuple[int, int]  # columns and rows


SIZES = {
    "cpu": Sizes((512, 1024, 2048), rows=1000, rounds=15, distance=(2048, 3000)),
    "cuda": Sizes((2048, 512, 128), rows=50_000, rounds=15, distance=(2048, 50_000)),
    "quick": Sizes((32,), rows=50, rounds=2, distance=(16, 40)),
}


class Through(nn.Module):
    """A feature extractor whose input is features."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.num_features = columns

    def forward(self, features: Tensor) -> Tensor:
        """Give them back."""
        return features


def theirs(columns: int, device: str) -> FrechetInceptionDistance:
    """torchmetrics' metric on features."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        metric = FrechetInceptionDistance(Through(columns)).to(device)
        metric.set_dtype(torch.float64)
        return metric


def cases(device: str, sizes: Sizes) -> Iterator[Case]:
    """Run all cases on a device."""
    if device == "cuda":
        sets = [("cuda", 1)]
    else:
        isas = ["avx2", "baseline"] if "avx2" in native.features() else ["baseline"]
        sets = [(isa, threads) for isa in isas for threads in (1, 2)]
    for isa, threads in sets:
        if isa != "cuda":
            native.use_isa(isa)
        torch.set_num_threads(threads)
        for columns in sizes.columns:
            yield update_case(columns, isa, threads, sizes)
    native.use_isa("best")
    if device == "cuda":
        yield from gpu_cases(sizes)
    for threads in (1,) if device == "cuda" else (1, 2):
        torch.set_num_threads(threads)
        yield distance_case(device, threads, sizes)


def update_case(columns: int, isa: str, threads: int, sizes: Sizes) -> Case:
    """One batch of float32 features joins the state."""
    device = "cuda" if isa == "cuda" else "cpu"
    features = torch.randn(sizes.rows, columns, generator=torch.Generator().manual_seed(0))
    features = features.to(device)
    state, metric = Moments.none(columns, device=device), theirs(columns, device)
    rivals: dict[str, Callable[[], object]] = {
        "ours": lambda: moments_update(*state, features),
        "torchmetrics": lambda: metric.update(features, real=True),
    }
    if device == "cuda":
        other = Moments.none(columns, device=device)
        rivals["products"] = lambda: update_by_products(*other, features)
    if device == "cpu" and threads == 1:
        x = np.asfortranarray(features.numpy().T.astype(np.float64))
        total = np.zeros((columns, columns), order="F")
        rivals["dsyrk"] = lambda: dsyrk(1.0, x, beta=1.0, c=total, overwrite_c=True)
    timings = compare(rivals, device=device, repeats=sizes.rounds)
    bar = None
    if isa in _UPDATE_BARS and (isa != "cuda" or columns == 2048):
        value = ratio(timings["torchmetrics"], timings["ours"])
        bar = Bar("torchmetrics / ours", value, _UPDATE_BARS[isa])
    where = isa if isa == "cuda" else f"{isa}, threads {threads}"
    facts: dict[str, object] = {
        **{"columns": columns, "rows": sizes.rows, "isa": isa, "threads": threads},
        "flop": sizes.rows * columns * (columns + 1),  # of half a matrix
    }
    if device == "cuda":
        facts["largest_error"] = largest_error(features)
    return Case(f"update, {sizes.rows} x {columns}, {where}", facts, timings, bar)


def largest_error(features: Tensor) -> float:
    """Largest error of our scatter, as a fraction of its largest element."""
    scatter = moments(features).scatter
    centred = features.double() - features.double().mean(0)
    expected = centred.mT @ centred
    return float((scatter - expected).abs().max() / expected.abs().max())


def gpu_cases(sizes: Sizes) -> Iterator[Case]:
    """27 sets of few columns at once, launches of an update, and a merge of many columns."""
    random = torch.Generator("cuda").manual_seed(0)
    rows, columns = max(1, sizes.rows // 27), min(sizes.columns)
    features = torch.randn(27, rows, columns, device="cuda", generator=random)
    states = Moments.none(columns, sets=27, device="cuda")
    timings = compare(
        {
            "ours": lambda: moments_update(*states, features),
            "one after the other": lambda: [moments(part) for part in features],
        },
        device="cuda",
        repeats=sizes.rounds,
    )
    facts = {"columns": columns, "rows": rows, "sets": 27}
    yield Case(f"update, 27 sets of {rows} x {columns}, cuda", facts, timings)
    alone = Moments.none(columns, device="cuda")
    launches, waits = per_call(lambda: moments_update(*alone, features[0]))
    timing = measure(
        lambda: moments_update(*alone, features[0]), device="cuda", repeats=sizes.rounds
    )
    counted = {"columns": columns, "rows": rows, "launches": launches, "synchronisations": waits}
    yield Case("update: launches and synchronisations", counted, {"ours": timing})
    state = moments(torch.randn(sizes.rows, max(sizes.columns), device="cuda", generator=random))
    timings = compare(
        {"ours": lambda: moments_merge(state, state), "copy": lambda: state.scatter.clone()},
        device="cuda",
        repeats=sizes.rounds,
    )
    moved = {"columns": max(sizes.columns), "bytes": 5 * state.scatter.nbytes}
    yield Case(f"merge, {max(sizes.columns)} columns, cuda", moved, timings)


def distance_case(device: str, threads: int, sizes: Sizes) -> Case:
    """Both sides are known; the distance is computed anew, nothing is kept from the call before."""
    columns, rows = sizes.distance
    random = torch.Generator().manual_seed(0)
    real, generated = torch.randn(2, rows, columns, generator=random).to(device)
    ours, rival = FrechetDistance().to(device), theirs(columns, device)
    for metric in (ours, rival):
        metric.update(real, real=True)
        metric.update(1.1 * generated + 0.1, real=False)

    def anew(metric: FrechetDistance | FrechetInceptionDistance) -> Tensor:
        metric._computed = None
        if isinstance(metric, FrechetDistance):
            metric._fitted = None  # the real set's factor
        value: Tensor = metric.compute()
        return value

    apart = abs(float(anew(ours)) / float(anew(rival)) - 1)
    timings = compare(
        {"ours": lambda: anew(ours), "torchmetrics": lambda: anew(rival)},
        device=device,
        repeats=1 if device == "cuda" else min(3, sizes.rounds),  # eigvals take seconds there
        warmup=1,
    )
    bar = Bar("torchmetrics / ours", ratio(timings["torchmetrics"], timings["ours"]), _COMPUTE_BAR)
    facts = {
        "columns": columns,
        "rows": rows,
        "relative_difference": apart,
        "isa": device if device == "cuda" else native.isa(),
        "threads": threads,
    }
    return Case(f"distance, d {columns}, threads {threads}", facts, timings, bar)


def main() -> None:
    """Measure, and write the results."""
    run("moments", __doc__, cases, SIZES)


if __name__ == "__main__":
    main()

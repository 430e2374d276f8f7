"""The grid of paper B beside 27 runs per seed, one after another.

"ours" is `ActivationMaximiser.grid`: runs of the longest length serve the shorter ones, rows go
together, stop where they exploded or are stationary, and the memory layout is chosen by a trial.
"sequential" is what a reader of the paper would write in torch alone: for each setting and seed
torch.optim.Adam on one latent, keeping the best activation. Before they are timed, ours without
stops must give the rival's best activations. Both go through the same generator of the paper's
width. Times are CPU seconds of one thread; the bar is 2 on a CPU and 10 on a GPU. Beside it stands
how much the best activations of rows that are stationary differ from those that do not stop.

    python benchmarks/bench_maximise.py [--device cpu|cuda] [--quick]
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor, nn

from command import run
from otoscope.explain.maximise import ActivationMaximiser, GeneratorPrior, GridResult, Stopping
from otoscope.models import MelGenerator, SVDNet
from otoscope.taps import Tap
from timing import Bar, Case, Timing

RATES = PENALTIES = (0.1, 0.01, 0.001)
_BOUND, _PATIENCE = 500.0, 100
_SAME = 1e-3  # relative difference of activations, for rows of other batches


@dataclass(frozen=True)
class Sizes:
    """Numbers of iterations, seeds, divisor of the widths, repeats, and the bar."""

    iterations: Sequence[int]
    seeds: int
    shrink: int
    repeats: int
    bar: float


SIZES = {
    "cpu": Sizes((100, 500, 1000), 2, 1, 1, 2.0),
    "cuda": Sizes((100, 500, 1000), 50, 1, 1, 10.0),
    "quick": Sizes((1, 2, 3), 1, 8, 1, 0.0),
}


def cases(device: str, sizes: Sizes) -> Iterator[Case]:
    """Time a grid."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    net = SVDNet(shrink=sizes.shrink).eval().to(device)
    generator = MelGenerator(shrink=sizes.shrink).eval().to(device)
    sides: dict[str, list[float]] = {"ours": [], "sequential": []}
    whole = grid(net, generator, sizes, stops=False)
    for _ in range(sizes.repeats):
        start = time.process_time()
        stopped = grid(net, generator, sizes, stops=True)
        sides["ours"].append(time.process_time() - start)
        start = time.process_time()
        rival = sequential(net, generator, sizes)
        sides["sequential"].append(time.process_time() - start)
        made = torch.stack([result.activation for result in whole.results]).cpu()
        difference = float(((made - rival).abs() / rival.abs().clamp(min=1)).max())
        if difference > _SAME:
            raise SystemExit(f"activations differ from torch.optim.Adam's by {difference:.1e}")
    lost = [
        float((a.activation - b.activation).abs()[~b.exploded].max()) if not b.exploded.all() else 0
        for a, b in zip(whole.results, stopped.results, strict=True)
    ]
    timings = {name: Timing(tuple(seconds)) for name, seconds in sides.items()}
    steps = sum(int(result.steps.sum()) for result in stopped.results)
    facts = {
        "seeds": sizes.seeds,
        "iterations": list(sizes.iterations),
        "difference": difference,
        "lost by stationary rows": max(lost),
        "exploded": sum(int(result.exploded.sum()) for result in stopped.results),
        "fraction of steps": steps / (9 * sizes.seeds * sum(sizes.iterations)),
    }
    bar = Bar("sequential / ours", min(sides["sequential"]) / min(sides["ours"]), sizes.bar)
    yield Case(f"27 settings, {sizes.seeds} seeds", facts, timings, bar)
    torch.set_num_threads(threads)


def grid(net: SVDNet, generator: MelGenerator, sizes: Sizes, *, stops: bool) -> GridResult:
    """Search all settings by otoscope."""
    maximiser = ActivationMaximiser(
        net,
        GeneratorPrior(generator, generator.latent_size),
        layer="fc9",
        unit=0,
        memory_format="auto",
        stopping=Stopping(_BOUND, _PATIENCE) if stops else None,
    )
    return maximiser.grid(
        rates=RATES, penalties=PENALTIES, iterations=sizes.iterations, seeds=sizes.seeds
    )


def sequential(net: nn.Module, generator: MelGenerator, sizes: Sizes) -> Tensor:
    """Search all settings one by one: best activations [setting, seed]."""
    logit, device = Tap(net, "fc9"), next(net.parameters()).device
    best = torch.full((27, sizes.seeds), -torch.inf)
    settings = product(RATES, PENALTIES, sizes.iterations)
    for i, (rate, penalty, iterations) in enumerate(settings):
        for seed in range(sizes.seeds):
            latent = torch.randn(128, generator=torch.Generator().manual_seed(seed))[None]
            z = latent.to(device).requires_grad_()
            adam = torch.optim.Adam([z], lr=rate)
            for step in range(iterations):
                activation = logit(generator(z))[0, 0]
                best[i, seed] = max(float(best[i, seed]), float(activation.detach()))
                if step + 1 < iterations:
                    adam.zero_grad()
                    (penalty * z.square().sum() - activation).backward()
                    adam.step()
    return best


if __name__ == "__main__":
    run("maximise", __doc__, cases, SIZES)

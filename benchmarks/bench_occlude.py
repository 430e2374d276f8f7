"""Occlusion against a bare fill, torch.where, captum's Lime, torch's random numbers and autograd.

A fill of the same buffer is the floor: every cell must be written once. "kernel" is the native
module, called with tensors that are ready, and has the bar; "function" is `otoscope.ops.occlude`,
as users call it: PyTorch's dispatch and our checks cost it some microseconds more, whatever the
size. Both run in turn with their rivals, on one thread, into the same buffer.

captum's step is what `LimeBase.attribute` does to make the model's inputs, called as it calls it:
for each sample captum's own functions draw a coalition and fill in the input, and 128 samples are
concatenated to a batch. Distances, model and fit are left out. Ours draws its coalitions too.

    python benchmarks/bench_occlude.py [--device cpu|cuda] [--quick]
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec

import torch
from torch import Tensor
from torch._C._autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from command import run
from otoscope import native
from otoscope.ops import Coalitions, Noise, SegmentMap, coalitions, occlude
from timing import Bar, Case, Timing, compare, measure, ratio

FRAMES, MELS = 115, 80  # paper A's patches
_AT_ONCE = 128  # captum: perturbations_per_eval
_BARS = {"cuda": (0.85, 0.85), "avx2": (0.9, 0.6), "baseline": (0.3, 0.3)}  # large, small


@dataclass(frozen=True)
class Sizes:
    """Samples of each size, rounds, and calls of a small size per round."""

    samples: tuple[int, ...]
    rounds: int
    calls: int


SIZES = {
    "cpu": Sizes(samples=(1000, 28), rounds=25, calls=20),  # 36.8 MB, and 1 MB that stays in cache
    # 1.2 GB, many times the cache; a fill of 36.8 MB stays in the L2 of a large GPU.
    "cuda": Sizes(samples=(32768, 1000), rounds=25, calls=20),
    "quick": Sizes(samples=(20, 3), rounds=3, calls=1),
}


@dataclass(frozen=True)
class Occlusion:
    """All that one call needs, made before."""

    patch: Tensor  # [1, frame, mel]
    content: Tensor  # [1, frame, mel]
    segments: SegmentMap
    keep: Coalitions
    out: Tensor  # [1, sample, frame, mel]
    ids: Tensor  # [frame, mel], int64: torch's indices
    stays: Tensor  # [sample, segment], bool

    @classmethod
    def of(cls, ids: Tensor, out: Tensor) -> Occlusion:
        """Occlude a random patch by another, in as many samples as ``out`` has rows."""
        device = out.device
        random = torch.Generator().manual_seed(0)
        patch, content = torch.randn(2, 1, FRAMES, MELS, generator=random).to(device)
        segments = SegmentMap(ids.to(device))
        keep = coalitions(segments.n, "bernoulli", out.shape[1], device=device)
        return cls(patch, content, segments, keep, out, ids.to(device), keep.unpack())

    def kernel(self) -> Callable[[], object]:
        """Call the native module, and nothing around it."""
        module, last = native.kernels(self.patch.device)
        ids, bits, n = self.segments.ids, self.keep.bits, self.segments.n
        where = (ids, bits, n, None, None, self.out, last)
        return partial(module.occlude, self.patch, self.content, None, (0, 0, 0), *where)

    def function(self) -> Tensor:
        """Call the operator as users do."""
        return occlude(self.patch, self.content, self.segments, self.keep, out=self.out)

    def fill(self) -> Tensor:
        """Write as much, with nothing to read."""
        return self.out.fill_(0.5)

    def where(self) -> Tensor:
        """Do the same in plain torch."""
        kept = self.stays[:, self.ids]
        return torch.where(kept, self.patch, self.content, out=self.out[0])

    def noise(self) -> Tensor:
        """Occlude by fresh noise."""
        return occlude(self.patch, Noise(0), self.segments, self.keep, out=self.out)

    def draw_and_occlude(self) -> Tensor:
        """Draw the coalitions too."""
        keep = coalitions(self.segments.n, "bernoulli", len(self.keep), device=self.out.device)
        return occlude(self.patch, self.content, self.segments, keep, out=self.out)

    def captum_step(self) -> Tensor:
        """Do as captum's Lime does; give the last batch."""
        from captum.attr._core.lime import default_from_interp_rep_transform, default_perturb_func

        mask, n = self.ids[None], self.segments.n
        batch: list[Tensor] = []
        for sample in range(len(self.keep)):
            if sample % _AT_ONCE == 0:
                batch = []
            drawn = default_perturb_func(self.patch, num_interp_features=n)
            batch.append(
                default_from_interp_rep_transform(
                    drawn, self.patch, feature_mask=mask, baselines=self.content
                )
            )
            if len(batch) == _AT_ONCE or sample + 1 == len(self.keep):
                inputs = torch.cat(batch)
        return inputs


def segment_maps() -> dict[str, Tensor]:
    """Segment of each cell, [frame, mel]: blocks of frames, of bands, and as scattered as can be.

    Blocks are expanded views: torch.where's own indexing is quicker on them.
    """
    random = torch.Generator().manual_seed(0)
    shape = (FRAMES, MELS)
    return {
        "temporal(10)": _blocks(FRAMES, 10)[:, None].expand(shape),
        "spectral(10)": _blocks(MELS, 10).expand(shape),
        "random 10": torch.randint(10, shape, generator=random),
        "random 200": torch.randint(200, shape, generator=random),
    }


def _blocks(size: int, n: int) -> Tensor:
    return (torch.arange(size) // (size // n)).clamp(max=n - 1)


def cases(device: str, sizes: Sizes) -> Iterator[Case]:
    """Run everything on a device, where CUDA counts as one more instruction set."""
    if device == "cuda":
        sets = ["cuda"]
    else:
        sets = ["avx2", "baseline"] if "avx2" in native.features() else ["baseline"]
    for isa in sets:
        yield from fill_cases(device, isa, sizes)
    for case in (half_case, noise_case, backward_case):
        yield case(device, sizes)
    if find_spec("captum"):
        yield captum_case(device, sizes)
    else:
        print("captum is not installed: its Lime is left out")
    if device == "cuda":
        yield launch_case(sizes)
        yield host_case(sizes)
        yield many_case(sizes)


def fill_cases(device: str, isa: str, sizes: Sizes) -> Iterator[Case]:
    """Kernel and function against the fill, for each size and map."""
    native.use_isa("best" if device == "cuda" else isa)
    for samples in sizes.samples:
        out = torch.empty(1, samples, FRAMES, MELS, device=device)
        large = samples == max(sizes.samples)
        for name, ids in segment_maps().items():
            example = Occlusion.of(ids, out)
            rivals = {
                "kernel": example.kernel(),
                "function": example.function,
                "fill_": example.fill,
                "torch.where": example.where,
            }
            calls = 1 if large else sizes.calls
            timings = compare(rivals, device=device, repeats=sizes.rounds, calls=calls)
            for ours, others in (("kernel", ["fill_"]), ("function", ["fill_", "torch.where"])):
                yield _case(
                    f"{ours}, {_megabytes(out)}, {name}, {isa}",
                    {"samples": samples, "map": name, "isa": isa, **_traffic(out, timings)},
                    {"ours": timings[ours], **{other: timings[other] for other in others}},
                    at_least=_BARS[isa][not large] if ours == "kernel" else None,
                )
    native.use_isa("best")


def half_case(device: str, sizes: Sizes) -> Case:
    """Write float16 from a float32 patch, as a half-precision model wants it."""
    example = _large(device, sizes, torch.float16)
    rivals = {"ours": example.function, "fill_": example.fill}
    timings = compare(rivals, device=device, repeats=sizes.rounds)
    name = f"function, {_megabytes(example.out)} of float16, temporal(10)"
    traffic = _traffic(example.out, timings)
    return _case(name, {"samples": len(example.keep), "dtype": "float16", **traffic}, timings)


def noise_case(device: str, sizes: Sizes) -> Case:
    """Draw the content of every cell, as many numbers as the rival draws."""
    out = torch.empty(1, max(1, max(sizes.samples) // 10), FRAMES, MELS, device=device)
    one = torch.zeros(FRAMES, MELS, dtype=torch.int64)
    example = Occlusion.of(one, out)
    example.keep.bits.zero_()
    rivals = {
        "ours": example.noise,
        "torch.randn": lambda: torch.randn(out.shape, out=out, device=device),
        "fill_": example.fill,
    }
    timings = compare(rivals, device=device, repeats=sizes.rounds)
    return _case(f"noise in every cell, {_megabytes(out)}", {"samples": out.shape[1]}, timings)


def backward_case(device: str, sizes: Sizes) -> Case:
    """Gradients to patch and content: the backward pass alone, on both sides."""
    samples = min(1000, max(sizes.samples))
    out = torch.empty(1, samples, FRAMES, MELS, device=device)
    example = Occlusion.of(segment_maps()["temporal(10)"], out)
    leaves = [t.clone().requires_grad_() for t in (example.patch, example.content)]
    ours = occlude(leaves[0], leaves[1], example.segments, example.keep)
    theirs = torch.where(example.stays[:, example.ids], leaves[0], leaves[1])[None]
    grad = torch.randn_like(out)
    rivals = {
        name: partial(torch.autograd.grad, result, leaves, grad, retain_graph=True)
        for name, result in (("ours", ours), ("autograd of torch.where", theirs))
    }
    timings = compare(rivals, device=device, repeats=sizes.rounds)
    return _case(f"backward, {_megabytes(grad)}, temporal(10)", {"samples": samples}, timings)


def captum_case(device: str, sizes: Sizes) -> Case:
    """The perturbation step of a whole explanation."""
    samples = min(1000, max(sizes.samples))
    out = torch.empty(1, samples, FRAMES, MELS, device=device)
    example = Occlusion.of(segment_maps()["temporal(10)"], out)
    rivals = {"ours": example.draw_and_occlude, "captum": example.captum_step}
    timings = compare(rivals, device=device, repeats=min(10, sizes.rounds), warmup=1)
    name = f"perturbation step, {samples} samples, temporal(10)"
    return _case(name, {"samples": samples, "at_once": _AT_ONCE}, timings, at_least=10)


def launch_case(sizes: Sizes) -> Case:
    """Count what a call asks of the GPU: one launch, and never to be waited for."""
    example = _large("cuda", sizes, torch.float32)
    launches, waits = per_call(example.function)
    timings = {"ours": measure(example.function, device="cuda", repeats=sizes.rounds)}
    bar = Bar("1 / (launches + synchronisations) of a call", 1 / max(launches + waits, 1e-9), 1)
    parameters = {"launches": launches, "synchronisations": waits}
    return Case("function: launches and synchronisations", parameters, timings, bar)


def host_case(sizes: Sizes) -> Case:
    """Time that a call takes on the host: of the smallest output, whose kernel takes no longer."""
    example = Occlusion.of(
        segment_maps()["temporal(10)"], torch.empty(1, 1, FRAMES, MELS, device="cuda")
    )
    rivals = {"ours": example.function, "kernel": example.kernel(), "fill_": example.fill}
    timings = {name: measure_host(call, repeats=sizes.rounds) for name, call in rivals.items()}
    return Case("function, time on the host", {"samples": 1}, timings)


def measure_host(function: Callable[[], object], *, repeats: int, calls: int = 100) -> Timing:
    """Time calls on the host's clock; the queue of the GPU is empty before."""
    function()
    seconds = []
    for _ in range(repeats):
        torch.cuda.synchronize()
        began = time.perf_counter()
        for _ in range(calls):
            function()
        seconds.append((time.perf_counter() - began) / calls)
    torch.cuda.synchronize()
    return Timing(tuple(seconds))


def many_case(sizes: Sizes) -> Case:
    """More than 2^31 cells of float16: indices of 64 bits."""
    samples = 250_000 if max(sizes.samples) > 1000 else 20
    out = torch.empty(1, samples, FRAMES, MELS, device="cuda", dtype=torch.float16)
    example = Occlusion.of(segment_maps()["temporal(10)"], out)
    timings = compare(
        {"ours": example.function, "fill_": example.fill},
        device="cuda",
        repeats=min(5, sizes.rounds),
    )
    kept = example.stays[-1, example.ids]
    expected = torch.where(kept, example.patch[0], example.content[0]).half()
    facts = {"samples": samples, "is_right": torch.equal(out[0, -1], expected)}
    return _case(
        f"function, {out.numel() / 2**31:.2f} x 2^31 cells",
        {**facts, **_traffic(out, timings)},
        timings,
    )


def per_call(function: Callable[[], object], calls: int = 10) -> tuple[float, float]:
    """Count launches (kernels, copies, memsets) and synchronisations of a call, by the profiler.

    What the profiler itself adds is the same for one call and for more, and cancels.
    """
    function()
    one, more = _gpu_events(function, 1), _gpu_events(function, 1 + calls)
    return (more[0] - one[0]) / calls, (more[1] - one[1]) / calls


def _gpu_events(function: Callable[[], object], calls: int) -> tuple[int, int]:
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as recorded:
        for _ in range(calls):
            function()
        torch.cuda.synchronize()
    events = recorded.events() or []
    on_gpu = [event for event in events if event.device_type == DeviceType.CUDA]
    return len(on_gpu), sum("Synchronize" in event.name for event in events)


def _large(device: str, sizes: Sizes, dtype: torch.dtype) -> Occlusion:
    out = torch.empty(1, max(sizes.samples), FRAMES, MELS, device=device, dtype=dtype)
    return Occlusion.of(segment_maps()["temporal(10)"], out)


def _traffic(out: Tensor, timings: dict[str, Timing]) -> dict[str, object]:
    """Bytes that must be written, and the bandwidth that the fill reached with as many."""
    seconds = timings["fill_"].median_s
    return {"bytes": out.nbytes, "fill_bytes_per_s": out.nbytes / seconds, "floor_s": seconds}


def _case(
    name: str,
    parameters: dict[str, object],
    timings: dict[str, Timing],
    at_least: float | None = None,
) -> Case:
    """Compare ours with the others; a bar refers to the first of them."""
    bar = None
    if at_least is not None:
        first = next(rival for rival in timings if rival != "ours")
        value = ratio(timings[first], timings["ours"])
        bar = Bar(f"{first} / ours", value, at_least)
    return Case(name, {"frames": FRAMES, "mels": MELS, **parameters}, timings, bar)


def _megabytes(tensor: Tensor) -> str:
    return f"{tensor.nbytes / 1e6:.1f} MB"


def main() -> None:
    """Measure, and write the results."""
    torch.set_num_threads(1)
    run("occlude", __doc__, cases, SIZES)


if __name__ == "__main__":
    main()

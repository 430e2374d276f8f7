"""Compare transforms, projection and Griffin-Lim iterations with plain torch.

30 s at 22,050 Hz in float32, frames of 1024 samples. Ours writes into `out=` where there is one.
torch allocates, from memory that glibc keeps: for torch.fft, `out=` is one copy more (9.9 ms
against 7.6 ms for irfft and rfft). "irfft + rfft" on the same frames is the floor of P: no window,
no overlap-add, no division. torch.istft and torch.stft centre their frames, as they must with
windows that end in 0, and have as many as ours.

An iteration is one `project(magnitude=)`; torch's is S Z / (|Z| + 1e-16), torch.istft, torch.stft.
"angle" takes the phases by torch.angle and torch.polar instead. All calls start from one spectrum.

    python benchmarks/bench_stft.py [--device cpu|cuda] [--quick]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import partial
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from bench_occlude import measure_host, per_call
from command import run
from otoscope import native
from otoscope.ops import griffin_lim_step, istft_ls, magnitude_step, project, stft
from timing import Bar, Case, compare, measure, ratio

SECONDS, SR, MOMENTUM = 30, 22050, 0.99
_ITERATIONS = 8  # of librosa's
_PROJECTION_BARS = {256: 1 / 1.5, 512: 1 / 2}  # irfft + rfft / ours, by hop
_ITERATION_BARS = {"avx2": 4.0, "baseline": 3.0, "cuda": 4.0}
_OF_THE_BANDWIDTH = 0.6

Rivals = dict[str, Callable[[], object]]


@dataclass(frozen=True)
class Sizes:
    """Sizes of a run."""

    batch: int
    seconds: float
    rounds: int


SIZES = {
    "cpu": Sizes(batch=1, seconds=SECONDS, rounds=25),
    "cuda": Sizes(batch=64, seconds=SECONDS, rounds=25),  # 680 MB a spectrum
    "quick": Sizes(batch=1, seconds=0.3, rounds=2),
}


@dataclass(frozen=True)
class Setting:
    """Instruction set, threads and sizes of a case."""

    isa: str  # cuda counts as one more instruction set
    threads: int
    sizes: Sizes

    @property
    def device(self) -> str:
        """Device of the tensors."""
        return "cuda" if self.isa == "cuda" else "cpu"

    def enter(self) -> None:
        """Select the instruction set and the number of threads."""
        native.use_isa("best" if self.isa == "cuda" else self.isa)
        torch.set_num_threads(self.threads)

    def __str__(self) -> str:
        """Describe the setting in the name of a case."""
        return self.isa if self.isa == "cuda" else f"{self.isa}, threads {self.threads}"


@dataclass(frozen=True)
class Noise:
    """Tensors of all calls, made before; spectra are [batch, frame, bin]."""

    n_fft: int
    hop_length: int
    window: Tensor  # [n_fft]
    y: Tensor  # [batch, sample]
    D: Tensor
    previous: Tensor
    S: Tensor
    gradient: Tensor
    radius: Tensor  # [batch]
    out: Tensor

    @classmethod
    def of(cls, n_fft: int, hop_length: int, sizes: Sizes, device: str) -> Noise:
        """Draw spectra that no signal has."""
        random = torch.Generator(device).manual_seed(0)
        drawn: dict[str, Any] = {"generator": random, "device": device}
        frames = int(sizes.seconds * SR) // hop_length + 1
        shape = (sizes.batch, frames, n_fft // 2 + 1)
        D, previous = torch.randn(2, *shape, dtype=torch.complex64, **drawn)
        S, gradient = torch.randn(2, *shape, **drawn).abs_()
        return cls(
            n_fft,
            hop_length,
            torch.hann_window(n_fft, device=device),
            torch.randn(sizes.batch, (frames - 1) * hop_length + n_fft, **drawn),
            D,
            previous,
            S,
            gradient,
            S.norm(dim=(1, 2)) / 100,
            torch.empty_like(D),
        )

    def double(self) -> Noise:
        """Return the same in float64."""
        wide: dict[str, Any] = {
            f.name: value.to(torch.complex128 if value.is_complex() else torch.float64)
            for f in fields(self)
            if isinstance(value := getattr(self, f.name), Tensor)
        }
        return replace(self, **wide)

    @property
    def options(self) -> dict[str, Any]:
        """Arguments of every operator."""
        return {"window": self.window, "hop_length": self.hop_length}

    def stft(self) -> Tensor:
        """Compute the STFT, A."""
        return stft(self.y, **self.options)

    def istft(self) -> Tensor:
        """Compute the least-squares inverse."""
        return istft_ls(self.D, **self.options)

    def project(self) -> Tensor:
        """P."""
        return project(self.D, out=self.out, **self.options)

    def iterate(self) -> Tensor:
        """Replace the magnitude, then project."""
        return project(self.D, magnitude=self.S, out=self.out, **self.options)

    def iterate_fast(self) -> Tensor:
        """Replace the magnitude with momentum, then project."""
        memory: dict[str, Any] = {"momentum": MOMENTUM, "previous": self.previous}
        return project(self.D, magnitude=self.S, out=self.out, **memory, **self.options)

    def iterate_and_measure(self) -> tuple[Tensor, Tensor]:
        """The same with the residual."""
        return griffin_lim_step(self.D, magnitude=self.S, out=self.out, **self.options)

    def attack(self) -> tuple[Tensor, Tensor]:
        """A step of paper E's adversary."""
        inputs = (self.S, self.gradient, self.D, self.S)
        return magnitude_step(*inputs, step=0.1, radius=self.radius, **self.options)

    def many(self) -> Tensor:
        """Run fast iterations and invert, as librosa.griffinlim does."""
        previous, D = self.D, project(self.D, magnitude=self.S, **self.options)
        for _ in range(_ITERATIONS - 1):
            memory: dict[str, Any] = {"momentum": MOMENTUM, "previous": previous}
            previous, D = D, project(D, magnitude=self.S, **memory, **self.options)
        return istft_ls(D, **self.options)


@dataclass(frozen=True)
class Torch:
    """The same calls in plain torch; torch.stft returns [batch, bin, frame], a view of ours."""

    noise: Noise

    def stft(self, y: Tensor | None = None) -> Tensor:
        """torch.stft: of the same frames, or of a signal with its frames centred."""
        noise = self.noise
        return torch.stft(
            noise.y if y is None else y,
            noise.n_fft,
            noise.hop_length,
            window=noise.window,
            center=y is not None,
            return_complex=True,
        )

    def istft(self, D: Tensor | None = None) -> Tensor:
        """torch.istft."""
        noise = self.noise
        spectrum = noise.D.mT if D is None else D
        return torch.istft(spectrum, noise.n_fft, noise.hop_length, window=noise.window)

    def bare(self) -> Tensor:
        """Transform the frames there and back, nothing else."""
        D: Tensor = torch.fft.rfft(torch.fft.irfft(self.noise.D, n=self.noise.n_fft))
        return D

    def project(self, D: Tensor | None = None) -> Tensor:
        """P."""
        return self.stft(self.istft(D))

    def replace_magnitude(self, Z: Tensor) -> Tensor:
        """Return the magnitude S with the phase of Z."""
        return self.noise.S.mT * Z / (Z.abs() + 1e-16)

    def iterate(self) -> Tensor:
        """Compute one iteration."""
        return self.project(self.replace_magnitude(self.noise.D.mT))

    def iterate_by_angle(self) -> Tensor:
        """The same with phases as angles."""
        return self.project(torch.polar(self.noise.S.mT, self.noise.D.mT.angle()))

    def iterate_fast(self) -> Tensor:
        """The same with momentum, as librosa and torchaudio write it."""
        before = self.noise.previous.mT
        ahead = torch.sub(self.noise.D.mT, before, alpha=MOMENTUM / (1 + MOMENTUM))
        return self.project(self.replace_magnitude(ahead))

    def iterate_and_measure(self) -> tuple[Tensor, Tensor]:
        """The same with the residual; the weights of the bins are left out."""
        Z = self.iterate()
        return Z, (Z.abs() - self.noise.S.mT).norm(dim=(1, 2))

    def attack(self) -> tuple[Tensor, Tensor]:
        """A step of paper E's adversary."""
        noise = self.noise
        S = noise.S.mT
        clipped = (S - 0.1 * noise.gradient.mT).clamp_(min=0)
        D = noise.D.mT
        C = self.project(clipped * D / (D.abs() + 1e-16))
        Z = C.abs()
        nu = ((Z - S).norm(dim=(1, 2)) / noise.radius - 1).clamp_(min=0)[:, None, None]
        return (Z + nu * S) / (1 + nu), C


def cases(device: str, sizes: Sizes) -> Iterator[Case]:
    """Run all cases on a device."""
    if device == "cuda":
        gpu = Setting("cuda", 1, sizes)
        gpu.enter()
        for hop in _PROJECTION_BARS:
            yield from step_cases(gpu, 1024, hop, bars=True)
            yield from transform_cases(gpu, 1024, hop)
            yield from bandwidth_cases(gpu, 1024, hop)
        yield from launch_cases(gpu)
        yield from further_cases(gpu)
    else:
        sets = ["avx2", "baseline"] if "avx2" in native.features() else ["baseline"]
        for setting in (Setting(isa, threads, sizes) for isa in sets for threads in (1, 2)):
            setting.enter()
            for hop in _PROJECTION_BARS:
                yield from step_cases(setting, 1024, hop, bars=True)
                if setting.isa == sets[0]:
                    yield from transform_cases(setting, 1024, hop)
    best = Setting("cuda" if device == "cuda" else sets[0], 1, sizes)
    best.enter()
    for n_fft in (512, 2048, 4096):
        yield from step_cases(best, n_fft, n_fft // 4, bars=False)
    if device == "cpu":
        yield from librosa_cases(best)
    native.use_isa("best")


def step_cases(setting: Setting, n_fft: int, hop: int, *, bars: bool) -> Iterator[Case]:
    """Compare P and the iterations."""
    ours = Noise.of(n_fft, hop, setting.sizes, setting.device)
    theirs = Torch(ours)
    bar = _ITERATION_BARS[setting.isa] if bars else None
    floor = _PROJECTION_BARS[hop] if bars and setting.device == "cpu" else None
    projections: Rivals = {"irfft + rfft": theirs.bare, "istft + stft": theirs.project}
    yield _case(setting, ours, "P", ours.project, projections, floor)
    iterations: Rivals = {"torch": theirs.iterate, "torch, angle": theirs.iterate_by_angle}
    yield _case(setting, ours, "iteration", ours.iterate, iterations, bar)
    if bars:
        fast: Rivals = {"torch": theirs.iterate_fast}
        yield _case(setting, ours, "iteration, momentum", ours.iterate_fast, fast)
        measured: Rivals = {"torch": theirs.iterate_and_measure}
        yield _case(setting, ours, "iteration, residual", ours.iterate_and_measure, measured)


def transform_cases(setting: Setting, n_fft: int, hop: int) -> Iterator[Case]:
    """Compare each transform alone, and the adversary's step."""
    ours = Noise.of(n_fft, hop, setting.sizes, setting.device)
    theirs = Torch(ours)
    yield _case(setting, ours, "stft", ours.stft, {"torch.stft": theirs.stft})
    yield _case(setting, ours, "istft_ls", ours.istft, {"torch.istft": theirs.istft})
    yield _case(setting, ours, "magnitude_step", ours.attack, {"torch": theirs.attack})


def further_cases(gpu: Setting) -> Iterator[Case]:
    """One example, long frames, a small hop (two kernels), host time, float64."""
    for batch, n_fft, hop in ((1, 1024, 256), (8, 8192, 2048), (8, 1024, 128)):
        few = replace(gpu, sizes=replace(gpu.sizes, batch=batch))
        yield from step_cases(few, n_fft, hop, bars=False)
    ours = Noise.of(1024, 256, replace(gpu.sizes, batch=1, seconds=0.1), "cuda")
    rivals = {"ours": ours.iterate, "torch": Torch(ours).iterate}
    timings = {name: measure_host(call, repeats=gpu.sizes.rounds) for name, call in rivals.items()}
    yield Case("iteration, host time", _facts(gpu, ours), timings)
    double = Noise.of(1024, 256, replace(gpu.sizes, batch=8), "cuda").double()
    yield _case(gpu, double, "iteration, float64", double.iterate, {"torch": Torch(double).iterate})


def librosa_cases(setting: Setting) -> Iterator[Case]:
    """Compare a whole inversion; librosa's defaults except for the number of iterations."""
    if not find_spec("librosa"):
        print("librosa is not installed: it is left out")
        return
    import librosa

    ours = Noise.of(1024, 256, setting.sizes, "cpu")
    S = ours.S[0].T.numpy()
    rival = partial(librosa.griffinlim, S, n_iter=_ITERATIONS, hop_length=256, random_state=0)
    name = f"{_ITERATIONS} iterations and the sound"
    yield _case(setting, ours, name, ours.many, {"librosa.griffinlim": rival}, rounds=5)


def bandwidth_cases(setting: Setting, n_fft: int, hop: int) -> Iterator[Case]:
    """An iteration must read spectrum and magnitudes and write a spectrum; and it can be replayed.

    The floor is what a plain copy of the spectrum needs, for as many bytes.
    """
    ours = Noise.of(n_fft, hop, setting.sizes, setting.device)
    graph = torch.cuda.CUDAGraph()
    ours.iterate()
    with torch.cuda.graph(graph):
        ours.iterate()
    rivals: Rivals = {"ours": ours.iterate, "replayed graph": graph.replay}
    rivals["copy_"] = lambda: ours.out.copy_(ours.D)
    timings = compare(rivals, device=setting.device, repeats=setting.sizes.rounds)
    moved, copied = ours.D.nbytes + ours.S.nbytes + ours.out.nbytes, ours.D.nbytes * 2
    fraction = ratio(timings["copy_"], timings["ours"]) * moved / copied
    bar = Bar("copy_ of as many bytes / ours", fraction, _OF_THE_BANDWIDTH)
    floor = timings["copy_"].median_s * moved / copied
    facts = {**_facts(setting, ours), "bytes": moved, "copied_bytes": copied, "floor_s": floor}
    yield Case(f"iteration, bandwidth, {_size(ours)}, {setting}", facts, timings, bar)


def launch_cases(setting: Setting) -> Iterator[Case]:
    """Count the launches of an iteration (two) and its synchronisations (none).

    The residual takes one more, and a projection that is not fused another.
    """
    few = replace(setting.sizes, batch=1)
    large, long = (Noise.of(n_fft, n_fft // 4, few, setting.device) for n_fft in (1024, 8192))
    for name, call, noise in (
        ("iteration", large.iterate, large),
        ("iteration, residual", large.iterate_and_measure, large),
        ("iteration, residual", long.iterate_and_measure, long),
    ):
        launches, waits = per_call(call)
        timing = measure(call, device="cuda", repeats=setting.sizes.rounds)
        value = 2 / max(launches + 2 * waits, 1e-9)
        bar = Bar("2 / (launches + 2 synchronisations)", value, 1) if name == "iteration" else None
        facts = {**_facts(setting, noise), "launches": launches, "synchronisations": waits}
        yield Case(f"{name}, {_size(noise)}: launches and waits", facts, {"ours": timing}, bar)


def _case(
    setting: Setting,
    noise: Noise,
    name: str,
    ours: Callable[[], object],
    others: Rivals,
    at_least: float | None = None,
    rounds: int = 1000,
) -> Case:
    """Compare ours with the others; a bar refers to the first of them."""
    repeats = min(rounds, setting.sizes.rounds)
    timings = compare({"ours": ours, **others}, device=setting.device, repeats=repeats)
    first = next(iter(others))
    bar = None
    if at_least is not None:
        bar = Bar(f"{first} / ours", ratio(timings[first], timings["ours"]), at_least)
    return Case(f"{name}, {_size(noise)}, {setting}", _facts(setting, noise), timings, bar)


def _facts(setting: Setting, noise: Noise) -> dict[str, object]:
    return {
        "n_fft": noise.n_fft,
        "hop_length": noise.hop_length,
        "batch": len(noise.D),
        "frames": noise.D.shape[1],
        "isa": setting.isa,
        "threads": setting.threads,
    }


def _size(noise: Noise) -> str:
    return f"{noise.n_fft}/{noise.hop_length}"


def main() -> None:
    """Measure, and write the results."""
    run("stft", __doc__, cases, SIZES)


if __name__ == "__main__":
    main()

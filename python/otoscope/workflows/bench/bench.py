"""Measure this machine: the operators, and explanations against plain passes.

Each job runs in turn with its rival: the floor (a fill of the same memory) or the same in plain
torch. Inputs are random numbers; no time depends on their values.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from otoscope.documents import document
from otoscope.errors import CudaUnavailable, ParameterError
from otoscope.models import SVDNet
from otoscope.ops import (
    Moments,
    SegmentMap,
    coalitions,
    moments_update,
    occlude,
    project,
    stft,
)
from otoscope.progress import Progress, silent, tracked
from otoscope.timing import Timing, compare, machine, ratio
from otoscope.workflows.bench.plain import Question, fastest

__all__ = ["BenchConfig", "BenchResult", "BenchRow", "run_bench"]

FRAMES, MELS, SEGMENTS = 115, 80, 10  # paper A's excerpts
_RATE, _N_FFT, _HOP = 22050, 1024, 256


@dataclass(frozen=True)
class BenchConfig:
    """Say what to measure, and on what device.

    Parameters
    ----------
    device : {"cpu", "cuda"}
        Device that is measured.
    quick : bool
        Run a small version, for a first look.

    Raises
    ------
    ParameterError
        If the device is neither.
    """

    device: str = "cpu"
    quick: bool = False

    def __post_init__(self) -> None:
        if self.device not in ("cpu", "cuda"):
            raise ParameterError(f"device is {self.device!r}; cpu and cuda can be measured")


@dataclass(frozen=True)
class BenchRow:
    """One job beside its rival.

    Parameters
    ----------
    name : str
        Job and its size.
    unit : str
        What is counted, plural.
    count : int
        Number of these in one call.
    timing : Timing
        Seconds of a call of ours.
    rival : str
        What runs in turn with it.
    ratio : float
        Time of the rival over ours: above 1 ours is faster; a fill is the floor, at most 1.
    n_bytes : int, optional
        Bytes that a call writes.
    """

    name: str
    unit: str
    count: int
    timing: Timing
    rival: str
    ratio: float
    n_bytes: int | None = None

    @property
    def per_second(self) -> float:
        """Number of units in a second."""
        return self.count / self.timing.median_s

    def to_dict(self) -> dict[str, Any]:
        """Return the row in JSON's types; times are in seconds."""
        return {
            "name": self.name,
            "unit": self.unit,
            "per_second": self.per_second,
            "bytes_per_second": self.n_bytes and self.n_bytes / self.timing.median_s,
            "seconds_per_call": self.timing.summary(),
            "rival": self.rival,
            "ratio": self.ratio,
        }


@dataclass(frozen=True, eq=False)
class BenchResult:
    """Times of this machine.

    Parameters
    ----------
    settings : BenchConfig
        Settings of the run.
    machine : mapping
        Device, threads, instruction set and versions, see `timing.machine`.
    rows : tuple of BenchRow
        Jobs in the order in which they ran.
    load : float
        Average number of busy processes in the minute before, NaN where the system does not say.
    """

    settings: BenchConfig
    machine: Mapping[str, Any]
    rows: tuple[BenchRow, ...]
    load: float

    @property
    def notes(self) -> tuple[str, ...]:
        """Reasons for caution."""
        if self.load > 0.5 and self.settings.device == "cpu":
            return (
                f"{self.load:.1f} other processes were busy when this began: the times are not "
                "those of an idle machine.",
            )
        return ()

    def to_dict(self) -> dict[str, Any]:
        """Return settings, machine and rows in JSON's types."""
        content = {
            "settings": self.settings,
            "machine": self.machine,
            "load": self.load,
            "rows": [row.to_dict() for row in self.rows],
            "notes": self.notes,
        }
        return document("otoscope.Bench", 1, content)


def run_bench(settings: BenchConfig, *, progress: Progress = silent) -> BenchResult:
    """Measure occlusions, projections, moments and explanations, each beside its rival.

    Parameters
    ----------
    settings : BenchConfig
        Device and size.
    progress : callable
        Called with the number of jobs done, see `progress`.

    Returns
    -------
    BenchResult
        Rates and ratios.

    Raises
    ------
    CudaUnavailable
        If the device is "cuda" and torch sees none.

    Examples
    --------
    >>> result = run_bench(BenchConfig(quick=True))  # doctest: +SKIP
    >>> result.rows[0].per_second  # doctest: +SKIP
    250000.0
    """
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise CudaUnavailable("nothing can be measured on cuda: torch sees no CUDA device")
    try:
        load = os.getloadavg()[0]
    except (AttributeError, OSError):  # Windows has none
        load = float("nan")
    jobs: list[Callable[[BenchConfig], BenchRow]] = [_occlude, _project, _moments, _explain]
    rows = [job(settings) for job in tracked(progress, jobs, "jobs")]
    return BenchResult(settings, machine(settings.device), tuple(rows), load)


def _row(
    settings: BenchConfig,
    name: str,
    unit: str,
    count: int,
    calls: Mapping[str, Callable[[], object]],
    n_bytes: int | None = None,
) -> BenchRow:
    """Run ours in turn with the rival, the other of the two ``calls``."""
    rounds = 3 if settings.quick else 15
    timings = compare(calls, device=settings.device, repeats=rounds, warmup=1)
    (rival,) = (call for call in calls if call != "ours")
    value = ratio(timings[rival], timings["ours"])
    return BenchRow(name, unit, count, timings["ours"], rival, value, n_bytes)


def _occlude(settings: BenchConfig) -> BenchRow:
    """Write occluded excerpts; the floor is a fill of the same memory."""
    on_cuda = settings.device == "cuda"
    n = 100 if settings.quick else 32768 if on_cuda else 1000
    patch, content = _numbers(settings, 2, 1, FRAMES, MELS)
    ids = (torch.arange(FRAMES) * SEGMENTS // FRAMES)[:, None].expand(FRAMES, MELS)
    segments = SegmentMap(ids.to(settings.device))
    keep = coalitions(SEGMENTS, "bernoulli", n, device=settings.device)
    out = torch.empty(1, n, FRAMES, MELS, device=settings.device)
    calls: dict[str, Callable[[], object]] = {
        "ours": lambda: occlude(patch, content, segments, keep, out=out),
        "fill of the same memory": lambda: out.fill_(0.5),
    }
    name = f"occlude {n:,} x {FRAMES} x {MELS}, {SEGMENTS} segments"
    return _row(settings, name, "occluded excerpts", n, calls, out.nbytes)


def _project(settings: BenchConfig) -> BenchRow:
    """Project spectra back to those of sounds (paper E)."""
    seconds = 1 if settings.quick else 30
    batch = 64 if settings.device == "cuda" and not settings.quick else 1
    window = torch.hann_window(_N_FFT, device=settings.device)
    y = _numbers(settings, batch, seconds * _RATE)
    options: dict[str, Any] = {"window": window, "hop_length": _HOP}
    spectrum = stft(y, **options)
    out = torch.empty_like(spectrum)

    def in_torch() -> Tensor:
        sound = torch.istft(spectrum.mT, _N_FFT, _HOP, window=window)
        D: Tensor = torch.stft(sound, _N_FFT, _HOP, window=window, return_complex=True)
        return D

    calls: dict[str, Callable[[], object]] = {
        "ours": lambda: project(spectrum, out=out, **options),
        "torch.istft, torch.stft": in_torch,
    }
    name = f"project {batch * seconds} s at {_RATE:,} Hz, {_N_FFT}/{_HOP}"
    return _row(settings, name, "seconds of sound", batch * seconds, calls, spectrum.nbytes)


def _moments(settings: BenchConfig) -> BenchRow:
    """Add features to a mean and covariance, in float64."""
    rows, columns = (100, 64) if settings.quick else (1000, 2048)
    features = _numbers(settings, rows, columns)
    state = Moments.none(columns, device=settings.device)

    def in_torch() -> Tensor:
        x = features.double()
        centred = x - x.mean(0)
        return centred.T @ centred

    calls: dict[str, Callable[[], object]] = {
        "ours": lambda: moments_update(*state, features),
        "torch, float64": in_torch,
    }
    return _row(settings, f"moments of {rows:,} x {columns:,}", "rows of features", rows, calls)


def _explain(settings: BenchConfig) -> BenchRow:
    """Explain an excerpt of paper A's network exactly; the rival evaluates the same coalitions."""
    segments = 5 if settings.quick else SEGMENTS
    net = SVDNet(shrink=8 if settings.quick else 1).eval().to(settings.device)
    values = _numbers(settings, 1, FRAMES, MELS)
    question = Question(f"SVDNet, {segments} segments", net, values, segments)
    lime = question.lime
    keep = coalitions(segments, "exact", device=settings.device).unpack()
    plain, _ = fastest(question, keep)
    calls: dict[str, Callable[[], object]] = {
        "ours": lambda: lime.explain(values[0]),
        f"plain passes ({plain})": partial(question.in_batches, keep, plain),
    }
    name = f"explain SVDNet{' / 8' * settings.quick}, {len(keep):,} coalitions"
    return _row(settings, name, "explanations", 1, calls)


def _numbers(settings: BenchConfig, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(settings.device)

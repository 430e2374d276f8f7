"""Signals and spectra for tests of the STFT operators, with the expected results."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.oracles import stft as definitions
from tests.oracles.stft import Array

Options = dict[str, Any]
MOMENTUM, STEP = 0.9, 0.25


@dataclass(frozen=True)
class Example:
    """What the operators take, in numbers that float32 has, and what they must give."""

    hop_length: int
    window: Array  # [n_fft], nowhere 0, unlike its mirror image
    y: Array  # [batch, sample], some samples longer than the frames reach
    C: Array  # [batch, frame, bin], that no signal has, complex at DC and Nyquist too
    before: Array  # [batch, frame, bin], within a third of C: with momentum nothing cancels
    S: Array  # [batch, frame, bin], >= 0
    gradient: Array  # [batch, frame, bin]
    radius: Array  # [batch], too small for every second example

    @classmethod
    @cache
    def of(cls, n_fft: int, hop_length: int, frames: int, batch: int = 2) -> Example:
        random = np.random.default_rng(n_fft + hop_length)

        def normal(*shape: int) -> Array:
            return random.standard_normal(shape).astype(np.float32).astype(float)

        shape = (batch, frames, n_fft // 2 + 1)
        C, S = normal(*shape) + 1j * normal(*shape), np.abs(normal(*shape))
        before = C * (1 + random.uniform(-1, 1, shape) / 3)
        return cls(
            hop_length,
            (0.1 + random.random(n_fft)).astype(np.float32).astype(float),
            normal(batch, (frames - 1) * hop_length + n_fft + hop_length // 2),
            C,
            before.astype(np.complex64).astype(complex),
            S,
            normal(*shape),
            np.sqrt((S**2).sum((1, 2))) * np.resize([0.3, 30], batch),
        )

    @cached_property
    def D(self) -> Array:
        return definitions.stft(self.y, self.window, self.hop_length)

    @cached_property
    def x(self) -> Array:
        return definitions.istft_ls(self.C, self.window, self.hop_length)

    @cached_property
    def P(self) -> Array:
        return definitions.stft(self.x, self.window, self.hop_length)

    @cached_property
    def step(self) -> tuple[Array, Array]:
        return definitions.griffin_lim_step(
            self.C, self.window, self.hop_length, self.S, MOMENTUM, self.before
        )

    @cached_property
    def adversary(self) -> tuple[Array, Array]:
        around = np.abs(self.C)
        return definitions.magnitude_step(
            self.S, self.gradient, self.C, around, self.window, self.hop_length, STEP, self.radius
        )

    def tensors(self, names: str, like: Tensor) -> list[Tensor]:
        """Some of it, by name."""

        def tensor(values: Array) -> Tensor:
            dtype = like.dtype.to_complex() if np.iscomplexobj(values) else like.dtype
            return torch.from_numpy(values).to(like.device, dtype)

        return [tensor(getattr(self, name)) for name in names.split()]


def near(got: Tensor, wanted: Array, n_fft: int, size: Array | float | None = None) -> None:
    """A transform rounds log2(N) times: that times eps of the largest value, or of ``size``."""
    assert got.shape == wanted.shape
    if wanted.size == 0:
        return
    largest = np.abs(wanted).max() if size is None else size
    allowed = torch.finfo(got.dtype).eps * math.log2(n_fft) * largest
    error = np.abs(got.cpu().numpy() - wanted)
    assert np.all(error <= allowed), f"{error.max():.3g} is off, {np.max(allowed):.3g} allowed"


def near_signal(got: Tensor, example: Example) -> None:
    """As `near`; sums of frames are then divided by W, which is small at the ends."""
    frames, n_fft = example.C.shape[1], len(example.window)
    summed = definitions.overlap_add(np.stack([example.window] * frames), example.hop_length)
    W = definitions.overlap(example.window, example.hop_length, frames)
    largest = np.abs(example.x * W / summed).max() if example.x.size else 0
    near(got, example.x, n_fft, size=largest * summed / W)


def same(got: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(got, wanted, rtol=0, atol=0)

"""Clicks and tones, and where and how high a stretched sound has them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

SR = 22050


def clicks(seconds: float = 6.0, *, every: float = 0.5, sr: int = SR) -> tuple[Tensor, np.ndarray]:
    """Short decaying beeps, and the samples at which they begin."""
    t = torch.arange(round(200 / SR * sr)) / sr
    beep = torch.exp(-600 * t) * torch.sin(6283.2 * t)
    y = torch.zeros(round(seconds * sr))
    begins = np.arange(every, seconds - 0.25, every) * sr
    for begin in begins.round().astype(int):
        y[begin : begin + len(beep)] = beep
    return y, begins


def centres(y: Tensor, near: np.ndarray, reach: int = 2000) -> np.ndarray:
    """Centres of energy around some samples."""
    found = []
    for place in near.round().astype(int):
        energy = y[place - reach : place + reach].double().square().numpy()
        found.append(place - reach + (np.arange(len(energy)) * energy).sum() / energy.sum())
    return np.array(found)


def frequency(y: Tensor) -> float:
    """Of the strongest partial in the middle second."""
    middle = y[len(y) // 2 - SR // 2 :][:SR].double().numpy()
    bins = 1 << 21
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), bins))
    return float(spectrum.argmax() * SR / bins)


def sine(hz: float, seconds: float = 3.0) -> Tensor:
    return torch.sin(2 * torch.pi * hz * torch.arange(round(SR * seconds)) / SR)

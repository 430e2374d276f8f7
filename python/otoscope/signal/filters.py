"""Filters: smooth equalisation, IIR high-pass and low-pass, and reverberation.

Waveforms are [..., sample]; the equaliser and the reverberation add no delay.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from otoscope.errors import ParameterError

__all__ = [
    "KNOTS_HZ",
    "convolve",
    "decaying_noise",
    "equalise",
    "recursive_filter",
    "sections",
    "smooth_gain_db",
]

KNOTS_HZ = tuple(20.0 * 2**octave for octave in range(11))  # to 20,480 Hz


def equalise(y: Tensor, *, sr: float, knots_db: Tensor) -> Tensor:
    """Apply gains in dB at the 11 frequencies ``KNOTS_HZ``, interpolated, with zero phase."""
    from scipy.fft import next_fast_len

    n = y.shape[-1]
    # One more second of zeros: ringing over one end must not wrap around to the other.
    size = next_fast_len(n + round(sr), real=True)
    hz = torch.fft.rfftfreq(size, 1 / sr, dtype=torch.float64)
    gain = 10 ** (smooth_gain_db(hz, knots_db) / 20)
    spectrum = torch.fft.rfft(y, size) * gain.to(y)
    filtered: Tensor = torch.fft.irfft(spectrum, size)
    return filtered[..., :n]


def smooth_gain_db(hz: Tensor, knots_db: Tensor) -> Tensor:
    """Interpolate gains at ``KNOTS_HZ`` over log-frequency, monotone between the knots.

    Gains are constant beyond the outer knots. The cubics are those of Fritsch and Carlson,
    "Monotone piecewise cubic interpolation", 1980.
    """
    if knots_db.shape != (len(KNOTS_HZ),):
        raise ParameterError(
            f"knots_db is {tuple(knots_db.shape)}, must be [{len(KNOTS_HZ)}]: one gain per octave "
            "from 20 Hz"
        )
    for hertz, gain_db in zip(KNOTS_HZ, knots_db.tolist(), strict=True):
        if not math.isfinite(gain_db):
            raise ParameterError(f"knots_db is {gain_db} dB at {hertz:g} Hz, must be finite")
    from scipy.interpolate import PchipInterpolator

    octave = (hz.double().clamp(KNOTS_HZ[0], KNOTS_HZ[-1]) / KNOTS_HZ[0]).log2()
    with np.errstate(over="ignore"):  # PCHIP divides by slopes; below 1e-308 the result is 0
        curve = PchipInterpolator(np.arange(len(KNOTS_HZ)), knots_db.double().numpy())
    return torch.from_numpy(curve(octave.numpy()))


def recursive_filter(
    y: Tensor,
    *,
    sr: float,
    stop_hz: float,
    pass_hz: float,
    stop_db: float,
    pass_db: float = 1.0,
    zero_phase: bool = False,
) -> Tensor:
    """Apply the minimum-order IIR filter that meets the specification.

    The filter is a high-pass if stop_hz < pass_hz, else a low-pass. Attenuation is at least
    ``stop_db`` in the stop band and at most ``pass_db`` in the pass band. The filter is a Chebyshev
    type II: the pass band has no ripple. ``zero_phase`` filters forward and backward, each with
    half of the attenuation in dB. The initial state is that of a constant input.
    """
    from scipy.signal import sosfilt, sosfilt_zi, sosfiltfilt

    halves = 2 if zero_phase else 1
    sos = sections(sr, stop_hz, pass_hz, stop_db / halves, pass_db / halves)
    sound = y.detach().cpu().double().numpy()
    if zero_phase:
        padding = min(sound.shape[-1] - 1, round(sr / abs(pass_hz - stop_hz)))
        filtered = sosfiltfilt(sos, sound, padlen=padding)
    else:
        lead = (1,) * (sound.ndim - 1)
        state = sosfilt_zi(sos).reshape(len(sos), *lead, 2) * sound[..., :1]
        filtered, _ = sosfilt(sos, sound, zi=state)
    return torch.from_numpy(filtered.copy()).to(y)


@lru_cache(maxsize=64)
def sections(
    sr: float, stop_hz: float, pass_hz: float, stop_db: float, pass_db: float
) -> NDArray[np.float64]:
    """Design a Chebyshev type II filter as second-order sections [section, 6]."""
    for name, edge in (("stop_hz", stop_hz), ("pass_hz", pass_hz)):
        if not 0 < edge < sr / 2:
            raise ParameterError(
                f"{name} is {edge:g} Hz, must be in (0, {sr / 2:g}) at a sampling rate of {sr:g} Hz"
            )
    if stop_hz == pass_hz:
        raise ParameterError(
            f"stop_hz and pass_hz are both {stop_hz:g} Hz; stop_hz must be below for a high-pass, "
            "above for a low-pass"
        )
    if not pass_db > 0:
        raise ParameterError(f"pass_db is {pass_db:g} dB, must be above 0")
    if not pass_db < stop_db < math.inf:
        raise ParameterError(
            f"stop_db is {stop_db:g} dB, must be finite and above pass_db, {pass_db:g} dB"
        )
    from scipy.signal import iirdesign

    sos = iirdesign(pass_hz, stop_hz, pass_db, stop_db, ftype="cheby2", output="sos", fs=sr)
    return np.asarray(sos, dtype=np.float64)


def decaying_noise(
    *, sr: float, rt60: float, direct_db: float, generator: torch.Generator
) -> Tensor:
    """Draw an impulse response: an impulse, then noise that decays by 60 dB in ``rt60`` s.

    ``direct_db`` is the energy of the impulse over that of the noise; a longer response extends the
    noise of a shorter one. Model: Moorer, "About this reverberation business", 1979.
    """
    if not 0 < sr < math.inf:
        raise ParameterError(f"sr is {sr:g} Hz, must be finite and above 0")
    if not 2 <= rt60 * sr < math.inf:
        raise ParameterError(
            f"rt60 is {rt60:g} s, must be finite and two samples or more: {2 / sr:.3g} s at "
            f"{sr:g} Hz"
        )
    if not math.isfinite(direct_db):
        raise ParameterError(f"direct_db is {direct_db:g} dB, must be finite")
    seconds = torch.arange(round(rt60 * sr), dtype=torch.float64) / sr
    noise = torch.randn(len(seconds), generator=generator, dtype=torch.float64)
    room: Tensor = noise * 10 ** (-3 * seconds / rt60)
    room *= 10 ** (-direct_db / 20) / room[1:].norm()
    room[0] = 1
    return room


def convolve(y: Tensor, impulse: Tensor) -> Tensor:
    """Convolve with an impulse response [tap] and keep the length of ``y``."""
    from scipy.fft import next_fast_len

    n = y.shape[-1]
    size = next_fast_len(n + len(impulse) - 1, real=True)
    product = torch.fft.rfft(y.double(), size) * torch.fft.rfft(impulse.double(), size)
    wet: Tensor = torch.fft.irfft(product, size)
    return wet[..., :n].to(y)

"""Gains that vary smoothly over frequency, without delay."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from otoscope.errors import ParameterError

__all__ = ["KNOTS_HZ", "equalise", "smooth_gain_db"]

KNOTS_HZ = tuple(20.0 * 2**octave for octave in range(11))  # to 20,480 Hz


def equalise(y: Tensor, *, sr: float, knots_db: Tensor) -> Tensor:
    """Apply a smooth gain over frequency.

    Parameters
    ----------
    y : Tensor [..., sample]
        Sound.
    sr : float
        Samples a second.
    knots_db : Tensor [11]
        Gains at 20, 40, ... 20,480 Hz (``KNOTS_HZ``), dB.

    Returns
    -------
    Tensor [..., sample]
        Filtered with zero phase, each frequency by exactly the gain of `smooth_gain_db`.

    Raises
    ------
    ParameterError
        If there are not 11 gains, or one is not finite.

    Examples
    --------
    >>> louder = equalise(torch.ones(4), sr=8000, knots_db=torch.full((11,), 20.0))
    >>> round(float(louder[1]), 1)
    10.0
    """
    from scipy.fft import next_fast_len

    n = y.shape[-1]
    # A second more: what rings over one end is not to come in at the other.
    size = next_fast_len(n + round(sr), real=True)
    hz = torch.fft.rfftfreq(size, 1 / sr, dtype=torch.float64)
    gain = 10 ** (smooth_gain_db(hz, knots_db) / 20)
    spectrum = torch.fft.rfft(y, size) * gain.to(y)
    filtered: Tensor = torch.fft.irfft(spectrum, size)
    return filtered[..., :n]


def smooth_gain_db(hz: Tensor, knots_db: Tensor) -> Tensor:
    """Interpolate gains over the logarithm of frequency, never beyond those at the knots.

    Parameters
    ----------
    hz : Tensor [bin]
        Frequencies, >= 0.
    knots_db : Tensor [11]
        Gains at ``KNOTS_HZ``, dB.

    Returns
    -------
    Tensor [bin]
        dB, float64: monotone between two knots (Fritsch and Carlson's cubics); below the first
        and above the last as there.

    Raises
    ------
    ParameterError
        If there are not 11 gains, or one is not finite.

    References
    ----------
    Fritsch and Carlson, "Monotone piecewise cubic interpolation", 1980.

    Examples
    --------
    >>> smooth_gain_db(torch.tensor([0.0, 20.0, 30000.0]), torch.arange(11.0))
    tensor([ 0.,  0., 10.], dtype=torch.float64)
    """
    if knots_db.shape != (len(KNOTS_HZ),) or not bool(knots_db.isfinite().all()):
        raise ParameterError(
            f"knots_db is {tuple(knots_db.shape)}, must be [{len(KNOTS_HZ)}], finite: "
            "one gain an octave from 20 Hz"
        )
    from scipy.interpolate import PchipInterpolator

    octave = (hz.double().clamp(KNOTS_HZ[0], KNOTS_HZ[-1]) / KNOTS_HZ[0]).log2()
    with np.errstate(over="ignore"):  # it divides by slopes; of less than 1e-308, they are none
        curve = PchipInterpolator(np.arange(len(KNOTS_HZ)), knots_db.double().numpy())
    return torch.from_numpy(curve(octave.numpy()))

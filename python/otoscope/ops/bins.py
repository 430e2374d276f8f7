"""Bins of one-sided spectra: how often each counts, and magnitudes that take another's phases."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["bin_weights", "turned"]


def bin_weights(window: Tensor) -> Tensor:
    """How often each bin of a one-sided spectrum counts in sums over all frequencies.

    Parameters
    ----------
    window : Tensor [n_fft]
        Of the analysis; gives size, type and device.

    Returns
    -------
    Tensor [bin]
        1 at DC and, where n_fft is even, at Nyquist; 2 elsewhere.

    Examples
    --------
    >>> bin_weights(torch.ones(4)), bin_weights(torch.ones(5))
    (tensor([1., 2., 1.]), tensor([1., 2., 2.]))
    """
    weights = window.new_full((len(window) // 2 + 1,), 2.0)
    weights[0] = 1
    if len(window) % 2 == 0:
        weights[-1] = 1
    return weights


def turned(D: Tensor, magnitude: Tensor, previous: Tensor | None, momentum: float) -> Tensor:
    """Give magnitudes the phases of D + momentum (D - previous).

    Parameters
    ----------
    D : Tensor [..., bin]
        Complex.
    magnitude : Tensor [..., bin]
        Real, >= 0.
    previous : Tensor [..., bin], optional
        The spectrum before; None: the phases of D.
    momentum : float
        >= 0.

    Returns
    -------
    Tensor [..., bin]
        Complex; the phase of 0 is 0. Differentiable.

    Examples
    --------
    >>> turned(torch.tensor([2j, 0j]), torch.tensor([3.0, 4.0]), None, 0.0)
    tensor([0.+3.j, 4.+0.j])
    """
    ahead = D if previous is None else D + momentum * (D - previous)
    square = ahead.real**2 + ahead.imag**2
    silent = square < torch.finfo(square.dtype).tiny  # NaN is not: it goes on
    unit = torch.where(silent, 1, ahead * torch.where(silent, 1, square).rsqrt())
    return magnitude * unit

"""The consistency operators by torch.fft: for frames that the kernels do not know.

Signals are [batch, sample], spectra [batch, frame, bin]; nothing is checked here.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["istft", "reciprocal_overlap", "stft"]


def stft(y: Tensor, window: Tensor, hop_length: int) -> Tensor:
    """Transform every whole frame."""
    D: Tensor = torch.fft.rfft(y.unfold(-1, len(window), hop_length) * window)
    return D


def istft(D: Tensor, window: Tensor, overlap: Tensor | None, hop_length: int) -> Tensor:
    """Overlap-add the windowed frames; divide by the overlap if it is given."""
    y = _overlap_add(torch.fft.irfft(D, n=len(window)) * window, hop_length)
    return y if overlap is None else y * reciprocal_overlap(D, window, overlap, hop_length)


def reciprocal_overlap(D: Tensor, window: Tensor, overlap: Tensor, hop_length: int) -> Tensor:
    """Give 1 / W[n], and 0 where no window reaches: Tensor [sample]."""
    squares = (window.double() ** 2).expand(1, D.shape[1], -1)
    W = _overlap_add(squares, hop_length)[0]
    reached = overlap[-1] < W
    return torch.where(reached, 1 / torch.where(reached, W, 1), 0).to(window.dtype)


def _overlap_add(frames: Tensor, hop_length: int) -> Tensor:
    """Sum frames [batch, frame, n_fft] at their places: [batch, sample]."""
    batch, count, n_fft = frames.shape
    n_samples = (count - 1) * hop_length + n_fft
    y = F.fold(frames.mT, (1, n_samples), kernel_size=(1, n_fft), stride=(1, hop_length))
    return y.reshape(batch, n_samples)

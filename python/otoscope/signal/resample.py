"""Another rate of samples, and back."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from otoscope.errors import ParameterError

__all__ = ["resample", "resample_round_trip"]


def resample(y: Tensor, *, orig_sr: float, target_sr: float) -> Tensor:
    """Resample by soxr (high quality).

    Parameters
    ----------
    y : Tensor [..., sample]
        Sound, at least one sample.
    orig_sr, target_sr : float
        Samples a second of ``y`` and of the result; only their ratio matters.

    Returns
    -------
    Tensor [..., ceil(sample * target_sr / orig_sr)]
        In time with ``y``; what lies below 0.9 of the lower half-rate
        is kept, what lies above that half is gone.

    Raises
    ------
    ParameterError
        If there is no sample, or a rate is not positive.

    Examples
    --------
    >>> resample(torch.zeros(2, 441), orig_sr=44100, target_sr=16000).shape
    torch.Size([2, 160])
    """
    for name, rate in (("orig_sr", orig_sr), ("target_sr", target_sr)):
        if not 0 < rate < float("inf"):
            raise ParameterError(f"{name} is {rate}, must be > 0")
    if y.ndim == 0 or y.numel() == 0:
        raise ParameterError(f"y has shape {tuple(y.shape)}, must be [..., sample], not empty")
    import librosa

    resampled = librosa.resample(
        y.detach().cpu().numpy(), orig_sr=orig_sr, target_sr=target_sr, res_type="soxr_hq"
    )
    return torch.from_numpy(resampled).to(y)


def resample_round_trip(y: Tensor, *, sr: float, through_sr: float) -> Tensor:
    """Resample and resample back.

    Parameters
    ----------
    y : Tensor [..., sample]
        Sound, at least one sample.
    sr : float
        Samples a second.
    through_sr : float
        Samples a second between; below ``sr`` it is a sharp low-pass of half of it.

    Returns
    -------
    Tensor [..., sample]
        In time with ``y`` and as long.

    Raises
    ------
    ParameterError
        As in `resample`.

    Examples
    --------
    >>> resample_round_trip(torch.zeros(1000), sr=22050, through_sr=16000).shape
    torch.Size([1000])
    """
    between = resample(y, orig_sr=sr, target_sr=through_sr)
    back = resample(between, orig_sr=through_sr, target_sr=sr)
    return F.pad(back, (0, y.shape[-1] - back.shape[-1]))  # lengths were rounded

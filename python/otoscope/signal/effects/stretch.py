"""Tempo without pitch, and pitch without tempo.

Resampling changes both at once and is never meant by "tempo" here. Two stretchers that share no
code: what only one of them brings about is its artefact, not the tempo's effect.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from otoscope.errors import ParameterError, require_extra
from otoscope.signal.resample import resample

__all__ = ["STRETCHERS", "check_stretcher", "pitch_shift", "stretch"]

_FRAME = 2048 / 22050  # seconds of the vocoder's: one as long as a beat would keep the tempo


def stretch(y: Tensor, *, sr: float, rate: float, stretcher: str = "python-stretch") -> Tensor:
    """Play faster or slower at the same pitch.

    Parameters
    ----------
    y : Tensor [sample] or [channel, sample]
        Sound, at least one sample.
    sr : float
        Samples a second.
    rate : float
        Tempo after over tempo before, in [0.1, 10]: 1.06 is 6 % faster.
    stretcher : {"python-stretch", "librosa"}
        Signalsmith's (extra ``horse``), sharp at onsets; or librosa's phase vocoder.

    Returns
    -------
    Tensor [..., round(sample / rate)]
        What was at second t is at t / rate. Computed in float32 on the CPU.

    Raises
    ------
    ParameterError
        If there is no sample, no such stretcher, or the rate is out of its range.
    MissingExtra
        If python-stretch is not installed.

    Notes
    -----
    At 22,050 Hz python-stretch leaves onsets within 10 samples of their place, librosa within half
    of its frame, 46 ms at any rate; a sine's frequency is within 0.01 cent with both.

    The last window of a stretcher fades out. It is made to lie behind the end, in 1/8 s of the
    sound mirrored there.

    Examples
    --------
    >>> stretch(torch.zeros(2, 10600), sr=8000, rate=1.06, stretcher="librosa").shape
    torch.Size([2, 10000])
    """
    check_stretcher(stretcher)
    if y.ndim not in (1, 2) or y.numel() == 0:
        raise ParameterError(
            f"y has shape {tuple(y.shape)}, must be [sample] or [channel, sample], not empty"
        )
    if not 0.1 <= rate <= 10:
        raise ParameterError(f"rate is {rate}, must be in [0.1, 10] (1.06 is 6 % faster)")
    n = y.shape[-1]
    sound = torch.atleast_2d(y.detach().cpu().float())
    mirrored = F.pad(sound, (0, min(n - 1, round(sr / 8))), mode="reflect")
    stretched = torch.from_numpy(STRETCHERS[stretcher](mirrored.numpy(), sr, rate))
    fitted = F.pad(stretched, (0, round(n / rate) - stretched.shape[-1]))
    return fitted.reshape(*y.shape[:-1], -1).to(y)


def pitch_shift(y: Tensor, *, sr: float, cents: float, stretcher: str = "python-stretch") -> Tensor:
    """Move all frequencies by a ratio at the same tempo: stretch, then resample.

    Parameters
    ----------
    y : Tensor [sample] or [channel, sample]
        Sound, at least one sample.
    sr : float
        Samples a second.
    cents : float
        1200 to the octave, up where positive; to three octaves.
    stretcher : {"python-stretch", "librosa"}
        As in `stretch`.

    Returns
    -------
    Tensor [..., sample]
        As long as ``y``. Formants move with the pitch.

    Raises
    ------
    ParameterError
        As in `stretch`.
    MissingExtra
        If python-stretch is not installed.

    Notes
    -----
    python-stretch can shift by itself, but off by 4 cents at a semitone (440 Hz, 22,050 Hz).

    Examples
    --------
    >>> pitch_shift(torch.zeros(8000), sr=8000, cents=100, stretcher="librosa").shape
    torch.Size([8000])
    """
    ratio = 2 ** (cents / 1200)
    longer = stretch(y, sr=sr, rate=1 / ratio, stretcher=stretcher)
    shifted = resample(longer, orig_sr=ratio * sr, target_sr=sr)
    return F.pad(shifted, (0, y.shape[-1] - shifted.shape[-1]))  # lengths were rounded


def check_stretcher(stretcher: str) -> None:
    """Refuse a stretcher that there is not.

    Parameters
    ----------
    stretcher : str
        Its name.

    Raises
    ------
    ParameterError
        If it is none of `STRETCHERS`.

    Examples
    --------
    >>> check_stretcher("librosa")
    """
    if stretcher not in STRETCHERS:
        raise ParameterError(f"stretcher is {stretcher!r}, must be one of {', '.join(STRETCHERS)}")


def _signalsmith(y: NDArray[np.float32], sr: float, rate: float) -> NDArray[np.float32]:
    package = require_extra(
        "python_stretch",
        "horse",
        command='pip install "otoscope[horse]" (or choose the stretcher librosa, less sharp)',
    )
    stretcher = package.Signalsmith.Stretch(0)  # a seed: it draws phases at great factors
    stretcher.preset(len(y), sr)
    stretcher.timeFactor = rate
    return np.asarray(stretcher.process(y), dtype=np.float32)


def _phase_vocoder(y: NDArray[np.float32], sr: float, rate: float) -> NDArray[np.float32]:
    import librosa

    n_fft = 4 * max(1, round(_FRAME * sr / 4))  # four whole hops
    y = np.pad(y, ((0, 0), (0, max(0, n_fft - y.shape[1]))))  # it warns of less than a frame
    return np.asarray(librosa.effects.time_stretch(y, rate=rate, n_fft=n_fft), dtype=np.float32)


STRETCHERS: dict[str, Callable[[NDArray[np.float32], float, float], NDArray[np.float32]]] = {
    "python-stretch": _signalsmith,
    "librosa": _phase_vocoder,
}

"""Resampling, time stretching and pitch shifting.

Two time stretchers share no code: an effect that only one of them shows is its artefact, not an
effect of tempo.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from otoscope import native
from otoscope.errors import ParameterError, require_extra
from otoscope.signal.stft import get_window, hann, istft, stft

__all__ = [
    "STRETCHERS",
    "check_stretcher",
    "pitch_shift",
    "resample",
    "resample_round_trip",
    "stretch",
]

_WINDOW = 0.12  # s, of the own stretcher
_AT_ONCE = 64  # frames of it whose spectra fit a second-level cache
_FRAME = 2048 / 22050  # s, of the phase vocoder; a frame as long as a beat would keep the tempo


def resample(y: Tensor, *, orig_sr: float, target_sr: float) -> Tensor:
    """Resample [..., sample] with soxr (high quality), without delay; only the ratio matters.

    Frequencies below 0.9 of the lower Nyquist frequency are kept, those above it are removed.
    """
    for name, rate in (("orig_sr", orig_sr), ("target_sr", target_sr)):
        if not 0 < rate < float("inf"):
            raise ParameterError(f"{name} is {rate}, must be > 0")
    if y.ndim == 0 or y.numel() == 0:
        raise ParameterError(f"y has shape {tuple(y.shape)}, must be [..., sample], not empty")
    if orig_sr == target_sr:
        return y
    import soxr

    n_samples = math.ceil(y.shape[-1] * (float(target_sr) / orig_sr))
    channels = np.atleast_2d(y.detach().cpu().numpy()).reshape(-1, y.shape[-1])
    resampled = torch.zeros(len(channels), n_samples, dtype=y.dtype)
    for channel, out in zip(channels, resampled, strict=True):
        part = torch.from_numpy(soxr.resample(channel, orig_sr, target_sr, "HQ")[:n_samples])
        out[: len(part)] = part
    return resampled.reshape(*y.shape[:-1], n_samples).to(y)


def resample_round_trip(y: Tensor, *, sr: float, through_sr: float) -> Tensor:
    """Resample to ``through_sr`` and back; below ``sr``, a sharp low-pass at through_sr / 2."""
    between = resample(y, orig_sr=sr, target_sr=through_sr)
    back = resample(between, orig_sr=through_sr, target_sr=sr)
    return F.pad(back, (0, y.shape[-1] - back.shape[-1]))  # lengths were rounded


def stretch(y: Tensor, *, sr: float, rate: float, stretcher: str = "python-stretch") -> Tensor:
    """Change the tempo by the factor ``rate``, in [0.1, 10], without changing the pitch.

    At 22,050 Hz python-stretch moves onsets by at most 10 samples, librosa's phase vocoder by at
    most half of its 93 ms frame at any rate; a sine's frequency changes by less than 0.01 cent with
    both. The last window of a stretcher fades out: 1/8 s of mirrored signal is appended and cut off
    again.
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
    """Shift the pitch by up to three octaves (1200 cents each) without changing the tempo.

    Stretches, then resamples; formants move as well. The pitch shifter of python-stretch itself is
    off by 4 cents at a semitone (440 Hz, 22,050 Hz).
    """
    ratio = 2 ** (cents / 1200)
    longer = stretch(y, sr=sr, rate=1 / ratio, stretcher=stretcher)
    shifted = resample(longer, orig_sr=ratio * sr, target_sr=sr)
    return F.pad(shifted, (0, y.shape[-1] - shifted.shape[-1]))  # lengths were rounded


def check_stretcher(stretcher: str) -> None:
    """Check that a stretcher of this name exists."""
    if stretcher not in STRETCHERS:
        raise ParameterError(f"stretcher is {stretcher!r}, must be one of {', '.join(STRETCHERS)}")


def _signalsmith(y: NDArray[np.float32], sr: float, rate: float) -> NDArray[np.float32]:
    package = require_extra(
        "python_stretch",
        "horse",
        command='pip install "otoscope[horse]" (or choose the stretcher librosa, less sharp)',
    )
    stretcher = package.Signalsmith.Stretch(0)  # seed: large factors use random phases
    stretcher.preset(len(y), sr)
    stretcher.timeFactor = rate
    return np.asarray(stretcher.process(y), dtype=np.float32)


@lru_cache
def _padded_hann(win_length: int, n_fft: int) -> Tensor:
    return get_window(hann(win_length), n_fft=n_fft, win_length=win_length)


def _phase_vocoder(y: NDArray[np.float32], sr: float, rate: float) -> NDArray[np.float32]:
    """Give each new frame the magnitude between two frames, and their difference of phase.

    Equals ``librosa.effects.time_stretch`` of float64 samples; librosa adds the phases of float32
    samples in float32, and loses them in a long sound.
    """
    hop_length = max(1, round(_FRAME * sr / 4))  # a quarter of a frame
    n_fft = 4 * hop_length
    sound = F.pad(torch.from_numpy(y), (0, max(0, n_fft - y.shape[1])))
    D = stft(sound, window=hann(n_fft), hop_length=hop_length, center=True)
    position = torch.arange(0, D.shape[-2], rate, dtype=torch.float64)
    first = position.long()
    D = F.pad(D, (0, 0, 0, 1))
    size = D.abs()
    phasor = torch.where(size > 0, D / size, 1.0)
    within = (position - first).float()[:, None]
    mag = size[:, first].lerp(size[:, first + 1], within)
    advance = phasor[:, first + 1] * phasor[:, first].conj()
    phase = torch.cat([phasor[:, :1], advance[:, :-1]], 1).cumprod(1)
    length = round(sound.shape[-1] / rate)
    D = mag * phase
    out = istft(D, window=hann(n_fft), hop_length=hop_length, center=True, length=length)
    return np.asarray(out.numpy())


def _phase_keeper(y: NDArray[np.float32], sr: float, rate: float) -> NDArray[np.float32]:
    """Move the frames, and turn them so that phases go on over time and over frequency.

    After the stretcher of Luff (Signalsmith): predictions over time and frequency, weighted by
    energies; its window and hop.
    """
    hop_length = max(16, round(_WINDOW * sr / 4))
    win_length = 4 * hop_length
    n_fft = 1 << (win_length - 1).bit_length()
    window = _padded_hann(win_length, n_fft)
    loudest = float(np.abs(y).max()) or 1.0
    before = hop_length + n_fft // 2
    sound = F.pad(torch.from_numpy(y / loudest), (before, before + n_fft))
    starts = sound.unfold(-1, n_fft, 1)  # [channel, start, sample], without a copy
    length = round(y.shape[1] / rate)
    position = (torch.arange(-(-length // hop_length) + 4, dtype=torch.float64) * hop_length * rate)
    start = (position.round().long() + hop_length).clamp(max=starts.shape[1] - 1)
    turned = torch.empty(len(y), len(start), n_fft // 2 + 1, dtype=torch.complex64)
    turn = native.host_kernel("propagate_phases")
    for first in range(0, len(start), _AT_ONCE):
        at = start[first : first + _AT_ONCE]
        spectra = [
            stft(starts[:, places].flatten(1), window=window, hop_length=n_fft)
            for places in (at, at - hop_length)
        ]
        turn(*map(torch.view_as_real, (*spectra, turned)), first, rate, round(4 * n_fft / win_length))
    out = istft(turned, window=window, hop_length=hop_length, center=True, length=length)
    return np.asarray((out * loudest).numpy())


STRETCHERS: dict[str, Callable[[NDArray[np.float32], float, float], NDArray[np.float32]]] = {
    "otoscope": _phase_keeper,
    "python-stretch": _signalsmith,
    "librosa": _phase_vocoder,
}

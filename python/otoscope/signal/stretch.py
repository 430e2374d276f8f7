"""Resampling, time stretching and pitch shifting.

Three time stretchers share no code that makes phases: an effect that only one of them shows is its
artefact, not an effect of tempo.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from otoscope import native
from otoscope.errors import ParameterError, require_extra
from otoscope.signal.stft import get_window, hann, istft, stft

__all__ = [
    "DEFAULT_STRETCHER",
    "STRETCHERS",
    "check_stretcher",
    "pitch_shift",
    "resample",
    "resample_round_trip",
    "stretch",
]

DEFAULT_STRETCHER = "otoscope"

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


def stretch(y: Tensor, *, sr: float, rate: float, stretcher: str = DEFAULT_STRETCHER) -> Tensor:
    """Change the tempo by the factor ``rate``, in [0.1, 10], without changing the pitch.

    At 22,050 Hz and tempi 0.9 to 1.15 times as fast otoscope's moves onsets by at most 4 samples,
    python-stretch by at most 10, librosa's phase vocoder by at most half of its 93 ms frame; a
    sine's frequency changes by less than 0.01 cent with all. The last window of a stretcher fades
    out: 1/8 s of mirrored signal is appended and cut off again.
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


def pitch_shift(
    y: Tensor, *, sr: float, cents: float, stretcher: str = DEFAULT_STRETCHER
) -> Tensor:
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
        command='pip install "otoscope[horse]" (or choose the stretcher otoscope)',
    )
    stretcher = package.Signalsmith.Stretch(0)  # seed: large factors use random phases
    stretcher.preset(len(y), sr)
    stretcher.timeFactor = rate
    return np.asarray(stretcher.process(y), dtype=np.float32)


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
    """Move the frames of a phase vocoder that keeps phases over time and over frequency.

    The predictions of phases are those of Signalsmith Stretch (Luff), in one pass for all channels;
    window and hop are the same: 0.12 s and a quarter.
    """
    hop_length = max(64, round(_WINDOW * sr / 4))
    n_fft = 1 << (4 * hop_length - 1).bit_length()
    window = get_window(hann(4 * hop_length), n_fft=n_fft, win_length=4 * hop_length)
    reach = round(4 * n_fft / (4 * hop_length))  # the width of a partial
    peak = (
        float(np.abs(y).max()) or 1.0
    )  # products of four spectra must neither under- nor overflow
    length = round(y.shape[1] / rate)
    frame = torch.arange(-(-length // hop_length) + 1, dtype=torch.float64)
    centre = (frame * hop_length * rate).round().long().clamp(max=y.shape[1])
    before = n_fft // 2 + hop_length
    excerpts = F.pad(torch.from_numpy(y / peak), (before, n_fft)).unfold(-1, n_fft, 1)  # a view
    turned = torch.empty(len(y), len(frame), n_fft // 2 + 1, dtype=torch.complex64)
    propagate = native.host_kernel("propagate_phases")
    for first in range(0, len(frame), _AT_ONCE):
        start = centre[first : first + _AT_ONCE]
        here, before_it = (
            stft(excerpts[:, starts].flatten(1), window=window, hop_length=n_fft)
            for starts in (start + hop_length, start)
        )
        propagate(*map(torch.view_as_real, (here, before_it, turned)), first, rate, reach)
    out = istft(turned, window=window, hop_length=hop_length, center=True, length=length)
    return np.asarray(out.mul_(peak).numpy())


STRETCHERS: dict[str, Callable[[NDArray[np.float32], float, float], NDArray[np.float32]]] = {
    "otoscope": _phase_keeper,
    "python-stretch": _signalsmith,
    "librosa": _phase_vocoder,
}

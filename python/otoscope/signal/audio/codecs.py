"""Lossy coding and back: what a file format leaves of a sound."""

from __future__ import annotations

import io

import torch
import torch.nn.functional as F
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.signal.stft import hann, istft, stft

__all__ = ["mp3"]

# Rates of MPEG-1, 2 and 2.5 with libsndfile's least and greatest constant bit rates, kbit/s.
_BITRATES = {
    **dict.fromkeys((32000, 44100, 48000), (32, 320)),
    **dict.fromkeys((16000, 22050, 24000), (8, 160)),
    **dict.fromkeys((8000, 11025, 12000), (8, 64)),
}
_DELAY = 1105  # samples: LAME's encoder 576, the decoder 529
_FRAME, _HOP = 512, 128  # of the gradient's transform


def mp3(y: Tensor, *, sr: int, bitrate: int = 128) -> Tensor:
    """Encode as MP3 and decode.

    Parameters
    ----------
    y : Tensor [..., sample]
        Sound, about -1 to 1.
    sr : int
        Samples a second, one that MP3 has: 8000 to 48000.
    bitrate : int
        kbit/s, constant; the nearest that MP3 has is taken. At 16 to 24 kHz up to 160.

    Returns
    -------
    Tensor [..., sample]
        What libsndfile (LAME, mpg123) makes of it, in time with ``y``. The gradient passes
        straight through what the coder keeps: see Notes.

    Raises
    ------
    ParameterError
        If MP3 has no such rate, or none so small or great a bit rate.

    Notes
    -----
    Encoder and decoder delay a sound by 1105 samples. The file says so and the decoder mends it,
    except at the lowest bit rates, whose frames have no room for that: there it is cut here.

    The gradient is that of a filter in time and frequency with the gain that coding had, at most
    1. Straight through everything, a logarithmic front end would send it into the bands that the
    coder leaves out, where it is largest and nothing comes of it: expecting MP3 at 64 kbit/s,
    attacks on two songs then failed that succeed with the filter.

    Examples
    --------
    >>> mp3(torch.zeros(2, 16000), sr=16000, bitrate=64).shape
    torch.Size([2, 16000])
    """
    if sr not in _BITRATES:
        raise ParameterError(
            f"sr is {sr}; MP3 has {', '.join(map(str, sorted(_BITRATES)))}: resample first"
        )
    least, greatest = _BITRATES[sr]
    if not least < bitrate <= greatest:
        raise ParameterError(
            f"bitrate is {bitrate} kbit/s, must be in ({least}, {greatest}] at {sr} Hz"
        )
    compression = (greatest - bitrate) / (greatest - least)
    flat = y.detach().reshape(-1, y.shape[-1]).cpu().float()
    coded = torch.stack([_recode(row, sr, compression) for row in flat]).reshape(y.shape).to(y)
    if not y.requires_grad:
        return coded
    kept = _kept(y, coded)
    return coded + (kept - kept.detach())


def _kept(y: Tensor, coded: Tensor) -> Tensor:
    """Filter a sound by the gain that coding had in each bin: Tensor [..., sample]."""
    window = hann(_FRAME)
    ends = (_FRAME, _FRAME + -y.shape[-1] % _HOP)
    D, C = (stft(F.pad(part, ends), window=window, hop_length=_HOP) for part in (y, coded))
    size = D.detach().abs()
    gain = (C.abs() / size.where(size > 0, 1)).clamp(max=1)
    return istft(gain * D, window=window, hop_length=_HOP)[..., _FRAME:][..., : y.shape[-1]]


def _recode(y: Tensor, sr: int, compression: float) -> Tensor:
    import soundfile

    file = io.BytesIO()
    soundfile.write(
        file,
        y.numpy(),
        sr,
        format="MP3",
        subtype="MPEG_LAYER_III",
        compression_level=compression,
        bitrate_mode="CONSTANT",
    )
    file.seek(0)
    coded = torch.from_numpy(soundfile.read(file, dtype="float32")[0])
    return coded if len(coded) == len(y) else coded[_DELAY : _DELAY + len(y)]

"""Lossy coding round trips: encode and decode with MP3, Vorbis or Opus.

Waveforms are [..., sample], values about -1 to 1; each row is coded on its own, without delay.
"""

from __future__ import annotations

import io
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.signal.stft import hann, istft, stft

__all__ = ["mp3", "opus", "vorbis"]

# Sample rates of MPEG-1, 2 and 2.5: lowest and highest constant bit rate of libsndfile, kbit/s.
_MP3_BITRATES = {
    **dict.fromkeys((32000, 44100, 48000), (32, 320)),
    **dict.fromkeys((16000, 22050, 24000), (8, 160)),
    **dict.fromkeys((8000, 11025, 12000), (8, 64)),
}
_MP3_DELAY = 1105  # samples: 576 of LAME's encoder, 529 of the decoder
_FRAME, _HOP = 512, 128  # samples, of the transform that filters the gradient

_OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
_OPUS_BITRATES = (6, 256)  # kbit/s, lowest and highest of libsndfile for one channel
_BLOCK = 1 << 16


def mp3(y: Tensor, *, sr: int, bitrate: int = 128) -> Tensor:
    """Encode as MP3 (LAME) at the nearest constant bit rate, in kbit/s, and decode.

    The gradient is that of a time-frequency filter whose gain is that of the coding, at most 1. A
    straight-through gradient would be largest, behind a logarithmic front end, in the bands that
    the coder removes: with it, attacks that expect MP3 at 64 kbit/s failed on two songs where they
    succeed with the filter.
    """
    if sr not in _MP3_BITRATES:
        raise ParameterError(
            f"sr is {sr}; MP3 has {', '.join(map(str, sorted(_MP3_BITRATES)))}: resample first"
        )
    least, greatest = _MP3_BITRATES[sr]
    if not least < bitrate <= greatest:
        raise ParameterError(
            f"bitrate is {bitrate} kbit/s, must be in ({least}, {greatest}] at {sr} Hz"
        )
    compression = (greatest - bitrate) / (greatest - least)
    coded = _code_rows(
        y,
        sr,
        format="MP3",
        subtype="MPEG_LAYER_III",
        compression_level=compression,
        bitrate_mode="CONSTANT",
    )
    if not y.requires_grad:
        return coded
    filtered = _filter_as_coded(y, coded)
    return coded + (filtered - filtered.detach())


def vorbis(y: Tensor, *, sr: int, quality: float) -> Tensor:
    """Encode as Vorbis and decode; quality in [0, 100] %, ten times the ``-q`` of oggenc.

    At quality 50, one channel of noise at 44.1 kHz takes about 95 kbit/s. Not differentiable.
    """
    if not 8000 <= sr <= 192000:
        raise ParameterError(f"sr is {sr}; Vorbis has 8000 to 192000: resample first")
    if not 0 <= quality <= 100:
        raise ParameterError(f"quality is {quality} %, must be in [0, 100]")
    compression = 1 - quality / 100
    return _code_rows(y, sr, format="OGG", subtype="VORBIS", compression_level=compression)


def opus(y: Tensor, *, sr: int, bitrate: float) -> Tensor:
    """Encode as Opus and decode, at a variable bit rate around ``bitrate`` kbit/s, in [6, 256].

    At the lowest bit rates, the delay can reach 2 samples. Not differentiable.
    """
    import soundfile

    if "OPUS" not in soundfile.available_subtypes("OGG"):
        raise ParameterError(
            f"libsndfile {soundfile.__libsndfile_version__} has no Opus; it needs 1.0.29 or later"
        )
    if sr not in _OPUS_RATES:
        raise ParameterError(
            f"sr is {sr}; Opus has {', '.join(map(str, _OPUS_RATES))}: resample first"
        )
    least, greatest = _OPUS_BITRATES
    if not least <= bitrate <= greatest:
        raise ParameterError(f"bitrate is {bitrate} kbit/s, must be in [{least}, {greatest}]")
    compression = (greatest - bitrate) / (greatest - least)
    return _code_rows(y, sr, format="OGG", subtype="OPUS", compression_level=compression)


def _filter_as_coded(y: Tensor, coded: Tensor) -> Tensor:
    """Filter a waveform with the gain of the coding in each bin: Tensor [..., sample]."""
    window = hann(_FRAME)
    ends = (_FRAME, _FRAME + -y.shape[-1] % _HOP)
    D, C = (stft(F.pad(part, ends), window=window, hop_length=_HOP) for part in (y, coded))
    size = D.detach().abs()
    gain = (C.abs() / size.where(size > 0, 1)).clamp(max=1)
    return istft(gain * D, window=window, hop_length=_HOP)[..., _FRAME:][..., : y.shape[-1]]


def _code_rows(y: Tensor, sr: int, **settings: Any) -> Tensor:
    """Encode and decode each row with the settings of `soundfile.SoundFile`, without delay."""
    rows = y.detach().reshape(-1, y.shape[-1]).cpu().float()
    return torch.stack([_code(row, sr, **settings) for row in rows]).reshape(y.shape).to(y)


def _code(y: Tensor, sr: int, **settings: Any) -> Tensor:
    import soundfile

    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", sr, 1, **settings) as file:
        # In blocks: libsndfile's Vorbis encoder overflows its stack on long inputs.
        for block in y.split(_BLOCK):
            file.write(block.numpy())
    buffer.seek(0)
    coded = torch.from_numpy(soundfile.read(buffer, dtype="float32")[0])
    if settings["format"] == "MP3" and len(coded) != len(y):
        # The file states the delay and the decoder removes it, except at the lowest bit rates,
        # whose frames have no room for it.
        coded = coded[_MP3_DELAY : _MP3_DELAY + len(y)]
    return F.pad(coded, (0, len(y) - len(coded)))

"""Vorbis and Opus, and back: what the two codecs of an Ogg file leave of a sound."""

from __future__ import annotations

import io

import torch
import torch.nn.functional as F
from torch import Tensor

from otoscope.errors import ParameterError

__all__ = ["opus", "vorbis"]

_OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
_OPUS_BITRATES = (6, 256)  # kbit/s, libsndfile's least and greatest for one channel
_BLOCK = 1 << 16


def vorbis(y: Tensor, *, sr: int, quality: float) -> Tensor:
    """Encode as Vorbis and decode.

    Parameters
    ----------
    y : Tensor [..., sample]
        Sound, about -1 to 1; each channel is coded by itself.
    sr : int
        Samples a second, 8000 to 192000.
    quality : float
        In [0, 100] %: ten times the ``-q`` of oggenc. 50 is about 95 kbit/s for one channel of
        noise at 44.1 kHz.

    Returns
    -------
    Tensor [..., sample]
        What libsndfile makes of it, in time with ``y``. Not differentiable.

    Raises
    ------
    ParameterError
        If the rate or the quality is out of range.

    Examples
    --------
    >>> vorbis(torch.zeros(2, 16000), sr=16000, quality=50).shape
    torch.Size([2, 16000])
    """
    if not 8000 <= sr <= 192000:
        raise ParameterError(f"sr is {sr}; Vorbis has 8000 to 192000: resample first")
    if not 0 <= quality <= 100:
        raise ParameterError(f"quality is {quality} %, must be in [0, 100]")
    return _each(y, sr, "VORBIS", 1 - quality / 100)


def opus(y: Tensor, *, sr: int, bitrate: float) -> Tensor:
    """Encode as Opus and decode.

    Parameters
    ----------
    y : Tensor [..., sample]
        Sound, about -1 to 1; each channel is coded by itself.
    sr : int
        Samples a second, one that Opus has: 8000, 12000, 16000, 24000 or 48000.
    bitrate : float
        kbit/s of a channel, in [6, 256]; it varies around this.

    Returns
    -------
    Tensor [..., sample]
        What libsndfile makes of it, in time with ``y`` (within 2 samples at the lowest rates,
        where little of the waveform is left). Not differentiable.

    Raises
    ------
    ParameterError
        If Opus has no such rate, the bit rate is out of range, or libsndfile has no Opus.

    Examples
    --------
    >>> opus(torch.zeros(2, 16000), sr=16000, bitrate=64).shape
    torch.Size([2, 16000])
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
    return _each(y, sr, "OPUS", (greatest - bitrate) / (greatest - least))


def _each(y: Tensor, sr: int, subtype: str, compression: float) -> Tensor:
    flat = y.detach().reshape(-1, y.shape[-1]).cpu().float()
    coded = [_recode(row, sr, subtype, compression) for row in flat]
    return torch.stack(coded).reshape(y.shape).to(y)


def _recode(y: Tensor, sr: int, subtype: str, compression: float) -> Tensor:
    import soundfile

    buffer = io.BytesIO()
    with soundfile.SoundFile(
        buffer, "w", sr, 1, format="OGG", subtype=subtype, compression_level=compression
    ) as file:
        # In blocks: libsndfile's Vorbis encoder overruns its stack on long ones.
        for block in y.split(_BLOCK):
            file.write(block.numpy())
    buffer.seek(0)
    coded = torch.from_numpy(soundfile.read(buffer, dtype="float32")[0])
    return F.pad(coded, (0, len(y) - len(coded)))

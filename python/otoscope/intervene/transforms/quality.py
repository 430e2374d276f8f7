"""Losses of recording and storage: codecs, resampling, bit depth, noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.intervene.base import RenderInput
from otoscope.intervene.registry import register
from otoscope.intervene.sound import SoundIntervention
from otoscope.signal.audio.codecs import mp3, opus, vorbis
from otoscope.signal.snr import add_noise
from otoscope.signal.stretch import resample_round_trip

__all__ = ["BitDepth", "CodecRoundTrip", "Resample", "WhiteNoise"]


@dataclass(frozen=True)
class _Codec:
    unit: str
    bounds: tuple[float, float]
    usual: float
    recode: Callable[[Tensor, int, float], Tensor]


_CODECS = {
    "mp3": _Codec("kbit/s", (9, 320), 64, lambda y, sr, dose: mp3(y, sr=sr, bitrate=round(dose))),
    "vorbis": _Codec("%", (1, 100), 50, lambda y, sr, dose: vorbis(y, sr=sr, quality=dose)),
    "opus": _Codec("kbit/s", (6, 256), 64, lambda y, sr, dose: opus(y, sr=sr, bitrate=dose)),
}


@register(
    "--codec",
    "Codec round trip: mp3, vorbis or opus, or with the amount as in mp3:32 (kbit/s; for vorbis "
    "the quality in percent). Repeatable.",
    theme="quality",
    usual=64,
    variants=({"codec": "vorbis", "amount": 50}, {"codec": "opus"}),
    metavar="NAME[:AMOUNT]",
)
@dataclass(frozen=True)
class CodecRoundTrip(SoundIntervention):
    """Encode and decode with a lossy codec, aligned in time; each channel by itself.

    Parameters
    ----------
    amount : float
        For mp3 and opus the bit rate per channel in kbit/s, in [9, 320] (a smaller range at low
        sampling rates) and [6, 256]; for vorbis the quality in percent, in [1, 100].
    codec : {"mp3", "vorbis", "opus"}
        Name of the codec. Opus supports 8, 12, 16, 24 and 48 kHz only, mp3 the usual rates up to
        48 kHz.
    label_preserving : bool
        Claim that the right answer stays.

    Examples
    --------
    >>> import torch
    >>> print(CodecRoundTrip(64), CodecRoundTrip(50, codec="vorbis"), sep=", ")
    mp3 64 kbit/s, vorbis 50 %
    >>> CodecRoundTrip(64).render(torch.zeros(16000), 16000).shape
    torch.Size([16000])
    """

    amount: float
    codec: str = "mp3"

    def __post_init__(self) -> None:
        if self.codec not in _CODECS:
            raise ParameterError(f"codec is {self.codec!r}, must be one of {', '.join(_CODECS)}")
        super().__post_init__()

    @classmethod
    def parse(cls, text: str) -> CodecRoundTrip:
        """Read "mp3" (at its usual amount) or "mp3:32"."""
        name, _, amount = text.partition(":")
        if name not in _CODECS:
            raise ParameterError(f"codec is {text!r}, must be one of {', '.join(_CODECS)}")
        usual = _CODECS[name].usual
        try:
            value = float(amount) if amount else usual
        except ValueError:
            raise ParameterError(f"codec is {text!r}, must be as {name}:{usual:g}") from None
        return cls(value, codec=name)

    @property
    def name(self) -> str:
        """Name of the codec."""
        return self.codec

    @property
    def unit(self) -> str:
        """Unit of the amount."""
        return _CODECS[self.codec].unit

    @property
    def bounds(self) -> tuple[float, float]:
        """Least and greatest amount."""
        return _CODECS[self.codec].bounds

    def placebo(self) -> CodecRoundTrip:
        """Return the intervention itself: a round trip is nothing but artefact."""
        return self

    def _transform(self, source: RenderInput) -> Tensor:
        return _CODECS[self.codec].recode(source.y, source.integer_sr, self.amount)


@register(
    "--resample",
    "Sampling rate to resample to and back from, in Hz.",
    theme="quality",
    usual=11025,
)
@dataclass(frozen=True)
class Resample(SoundIntervention):
    """Resample and resample back: a sharp low-pass if the rate in between is lower.

    Parameters
    ----------
    hz : float
        Sampling rate in between, in Hz, in [1000, 192000]. Tempo and pitch stay.
    label_preserving : bool
        Claim that the right answer stays.

    Examples
    --------
    >>> import torch
    >>> Resample(8000).render(torch.zeros(22050), 22050).shape
    torch.Size([22050])
    """

    hz: float

    name = "resampled"
    unit = "Hz"
    bounds = (1000.0, 192000.0)

    def placebo(self) -> Resample:
        """Return the intervention itself: it is a round trip."""
        return self

    def _transform(self, source: RenderInput) -> Tensor:
        return resample_round_trip(source.y, sr=source.sr, through_sr=self.hz)


@register(
    "--noise",
    "Signal-to-noise ratio of added white noise, in dB.",
    theme="quality",
    usual=40,
)
@dataclass(frozen=True)
class WhiteNoise(SoundIntervention):
    """Add white noise, independent for each channel.

    Parameters
    ----------
    snr_db : float
        Signal-to-noise ratio in dB, in [1, 120], exact over the excerpt, which must not be silent.
        The seed sets the noise, the dose its level.
    label_preserving : bool
        Claim that the right answer stays.

    Examples
    --------
    >>> import torch
    >>> noisy = WhiteNoise(20).render(torch.ones(100), 8000, seed=3)
    >>> round(float((noisy - 1).square().mean()), 6)
    0.01
    """

    snr_db: float

    name = "noise"
    unit = "dB SNR"
    bounds = (1.0, 120.0)
    is_random = True

    def _transform(self, source: RenderInput) -> Tensor:
        return add_noise(source.y, snr_db=self.snr_db, generator=source.generator())


@register("--bits", "Bit depth that samples are rounded to.", theme="quality", usual=12)
@dataclass(frozen=True)
class BitDepth(SoundIntervention):
    """Round samples to the nearest of 2^bits levels, without dither.

    Parameters
    ----------
    bits : int
        Bit depth, in [1, 24]. Levels lie 2^(1 - bits) apart, from -1; samples beyond the highest
        or the lowest level are clipped.
    label_preserving : bool
        Claim that the right answer stays.

    Examples
    --------
    >>> import torch
    >>> BitDepth(2).render(torch.tensor([-1.0, -0.3, 0.3, 1.0]), 8000)
    tensor([-1.0000, -0.5000,  0.5000,  0.5000])
    """

    bits: int

    name = "bit depth"
    unit = "bits"
    bounds = (1, 24)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bits != int(self.bits):
            raise ParameterError(f"bits is {self.bits}, must be a whole number")

    def _transform(self, source: RenderInput) -> Tensor:
        half = float(2 ** (int(self.bits) - 1))
        rounded: Tensor = (source.y * half).round().clamp(-half, half - 1) / half
        return rounded

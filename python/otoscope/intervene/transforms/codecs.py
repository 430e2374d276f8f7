"""What storing and sending leaves of a sound: lossy codecs, another rate, fewer bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.intervene.base import SoundIntervention
from otoscope.intervene.source import Source
from otoscope.signal.audio.codecs import mp3
from otoscope.signal.audio.ogg import opus, vorbis
from otoscope.signal.resample import resample_round_trip

__all__ = ["BitDepth", "CodecRoundTrip", "Resample"]


@dataclass(frozen=True)
class _Codec:
    unit: str
    bounds: tuple[float, float]
    recode: Callable[[Tensor, int, float], Tensor]


_CODECS = {
    "mp3": _Codec("kbit/s", (9, 320), lambda y, sr, dose: mp3(y, sr=sr, bitrate=round(dose))),
    "vorbis": _Codec("%", (1, 100), lambda y, sr, dose: vorbis(y, sr=sr, quality=dose)),
    "opus": _Codec("kbit/s", (6, 256), lambda y, sr, dose: opus(y, sr=sr, bitrate=dose)),
}


@dataclass(frozen=True)
class CodecRoundTrip(SoundIntervention):
    """Encode and decode, in time with the sound; each channel by itself.

    Parameters
    ----------
    amount : float
        For mp3 and opus the bit rate of a channel in kbit/s, 9 to 320 (fewer at low rates of
        samples) and 6 to 256; for vorbis the quality in %, 1 to 100.
    codec : {"mp3", "vorbis", "opus"}
        Opus has 8, 12, 16, 24 and 48 kHz only, mp3 the usual rates to 48 kHz.
    irrelevant : bool
        Claims that the right answer stays.

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

    @property
    def name(self) -> str:
        """The codec's."""
        return self.codec

    @property
    def unit(self) -> str:
        """Of the amount."""
        return _CODECS[self.codec].unit

    @property
    def bounds(self) -> tuple[float, float]:
        """Least and greatest amount."""
        return _CODECS[self.codec].bounds

    def placebo(self) -> CodecRoundTrip:
        """Give itself: it is artefact and nothing else."""
        return self

    def _changed(self, source: Source) -> Tensor:
        return _CODECS[self.codec].recode(source.y, source.whole_sr, self.amount)


@dataclass(frozen=True)
class Resample(SoundIntervention):
    """Resample and resample back: below the sound's rate a sharp low-pass, tempo and pitch stay.

    Parameters
    ----------
    hz : float
        Samples a second between, in [1000, 192000].
    irrelevant : bool
        Claims that the right answer stays.

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
        """Give itself: it is a round trip."""
        return self

    def _changed(self, source: Source) -> Tensor:
        return resample_round_trip(source.y, sr=source.sr, through_sr=self.hz)


@dataclass(frozen=True)
class BitDepth(SoundIntervention):
    """Round samples to the nearest of 2^bits levels, without dither.

    Parameters
    ----------
    bits : int
        In [1, 24]. Levels lie 2^(1 - bits) apart, from -1; what is beyond them is clipped.
    irrelevant : bool
        Claims that the right answer stays.

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

    def _changed(self, source: Source) -> Tensor:
        half = float(2 ** (int(self.bits) - 1))
        rounded: Tensor = (source.y * half).round().clamp(-half, half - 1) / half
        return rounded

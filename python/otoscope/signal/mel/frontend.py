"""Front ends: sound [..., sample] to log-mel pictures [..., frame, mel], and back to sound.

A front end is its settings; equal settings give equal numbers. Frame i owns the samples
i * hop_length ... (i + 1) * hop_length, counted from ``first_sample``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.signal.griffin_lim import griffin_lim
from otoscope.signal.mel.domain import Compression
from otoscope.signal.mel.filterbank import (
    kaldi_filters,
    librosa_filters,
    mel_centres,
    svd2015_filters,
)
from otoscope.signal.stft import istft, n_frames, stft

__all__ = ["FrontEnd", "librosa_mel", "svd2015"]

_FILTERS: dict[str, Callable[..., Tensor]] = {
    "svd2015": svd2015_filters,
    "slaney": librosa_filters,
    "htk": partial(librosa_filters, htk=True),
    "kaldi": kaldi_filters,
}


@dataclass(frozen=True, kw_only=True)
class FrontEnd:
    """A log-mel front end.

    Parameters
    ----------
    sample_rate : int
        Samples a second of the sound it takes.
    n_fft, hop_length : int
        Samples of a frame and between frames.
    n_mels : int
        Bands.
    fmin, fmax : float
        Feet of the first and the last filter, Hz; fmax at most half the rate.
    filters : {"svd2015", "slaney", "htk", "kaldi"}
        Filters of Schlueter and Grill, librosa's on Slaney's or HTK's mel scale, or Kaldi's.
    window : {"hann", "hann_symmetric"}
        Periodic, as librosa has it, or symmetric.
    power : float
        1: filters weigh magnitudes; 2: powers.
    centred : bool
        True: frame i lies around sample i * hop_length, and beyond the ends is silence. False:
        frame i begins at sample i * hop_length, and only whole frames count.
    compression : Compression
        The logarithm.

    Raises
    ------
    ParameterError
        If a size is below 1 or the band exceeds half the rate.

    Examples
    --------
    >>> svd2015().log_mel(torch.zeros(44100)).shape
    torch.Size([137, 80])
    """

    sample_rate: int
    n_fft: int
    hop_length: int
    n_mels: int
    fmin: float
    fmax: float
    filters: Literal["svd2015", "slaney", "htk", "kaldi"]
    window: Literal["hann", "hann_symmetric"]
    power: float
    centred: bool
    compression: Compression

    def __post_init__(self) -> None:
        for name in ("sample_rate", "n_fft", "hop_length", "n_mels"):
            if getattr(self, name) < 1:
                raise ParameterError(f"{name} is {getattr(self, name)}, must be >= 1")
        if not 0 <= self.fmin < self.fmax <= self.sample_rate / 2:
            raise ParameterError(
                f"fmin is {self.fmin}, fmax {self.fmax}; must be 0 <= fmin < fmax <= "
                f"{self.sample_rate / 2} (half the rate)"
            )

    @cached_property
    def taper(self) -> Tensor:
        """Window of a frame: Tensor [n_fft], float64."""
        periodic = self.window == "hann"
        taper: Tensor = torch.hann_window(self.n_fft, periodic=periodic, dtype=torch.float64)
        return taper

    @cached_property
    def filterbank(self) -> Tensor:
        """Filters: Tensor [bin, mel], float64."""
        return _FILTERS[self.filters](
            self.sample_rate, self.n_fft, n_mels=self.n_mels, fmin=self.fmin, fmax=self.fmax
        )

    @cached_property
    def inverse_filterbank(self) -> Tensor:
        """Pseudo-inverse of the filters: Tensor [mel, bin], float64."""
        inverse: Tensor = torch.linalg.pinv(self.filterbank)
        return inverse

    @cached_property
    def mel_hz(self) -> Tensor:
        """Centre of each band: Tensor [mel], Hz."""
        htk = self.filters != "slaney"
        return mel_centres(self.n_mels, fmin=self.fmin, fmax=self.fmax, htk=htk)

    @property
    def lead(self) -> int:
        """Count of a frame's samples before those it owns."""
        return self.n_fft // 2 if self.centred else max(0, self.n_fft - self.hop_length) // 2

    @property
    def first_sample(self) -> int:
        """The first sample that frame 0 owns."""
        return 0 if self.centred else self.lead

    def spectrum(self, y: Tensor) -> Tensor:
        """Transform a sound to complex spectra: Tensor [..., sample] to [..., frame, bin].

        Parameters
        ----------
        y : Tensor [..., sample]
            Floating, at ``sample_rate``.

        Returns
        -------
        Tensor [..., frame, bin]
            Raw frames, or centred ones with silence beyond the ends.

        Raises
        ------
        ParameterError
            If there is not one whole frame.

        Examples
        --------
        >>> svd2015().spectrum(torch.zeros(44100)).shape
        torch.Size([137, 513])
        """
        whole = n_frames(y.shape[-1], n_fft=self.n_fft, hop_length=self.hop_length)
        if not self.centred and whole == 0:
            raise ParameterError(
                f"y has {y.shape[-1]} samples; one frame needs {self.n_fft} "
                f"({1000 * self.n_fft / self.sample_rate:.0f} ms)"
            )
        return stft(y, window=self.taper, hop_length=self.hop_length, center=self.centred)

    def mel(self, y: Tensor) -> Tensor:
        """Measure the energies of the filters: Tensor [..., sample] to [..., frame, mel], >= 0.

        Parameters
        ----------
        y : Tensor [..., sample]
            Floating, at ``sample_rate``.

        Returns
        -------
        Tensor [..., frame, mel]
            Sums of magnitudes or powers; differentiable.

        Examples
        --------
        >>> svd2015().mel(torch.zeros(1024))[0, 0]
        tensor(0.)
        """
        S = self.spectrum(y).abs()
        return (S if self.power == 1 else S**self.power) @ self.filterbank.to(S)

    def log_mel(self, y: Tensor) -> Tensor:
        """Draw the log-mel picture: Tensor [..., sample] to [..., frame, mel].

        Parameters
        ----------
        y : Tensor [..., sample]
            Floating, at ``sample_rate``.

        Returns
        -------
        Tensor [..., frame, mel]
            Compressed energies; differentiable.

        Examples
        --------
        >>> svd2015().log_mel(torch.zeros(1024))[0, 0]
        tensor(-16.1181)
        """
        return self.compression.compress(self.mel(y))

    def invert(
        self, mel: Tensor, *, phase_of: Tensor | None = None, n_iter: int = 32, seed: int = 0
    ) -> Tensor:
        """Make a sound for energies of the filters.

        Parameters
        ----------
        mel : Tensor [frame, mel]
            Energies, >= 0, as `mel` gives them.
        phase_of : Tensor [sample], optional
            The sound that the frames own, to take phases from; default: Griffin-Lim.
        n_iter : int
            Iterations of Griffin-Lim.
        seed : int
            Seed of the initial phases.

        Returns
        -------
        Tensor [frame * hop_length]
            The samples that the frames own.

        Raises
        ------
        ParameterError
            If ``mel`` is not [frame, mel] with the front end's bands.

        Notes
        -----
        Magnitudes are the filters' pseudo-inverse applied to the energies, negative ones set to
        0: detail within a band is lost.

        Examples
        --------
        >>> svd2015().invert(torch.zeros(2, 80)).shape
        torch.Size([630])
        """
        if mel.ndim != 2 or mel.shape[1] != self.n_mels:
            raise ParameterError(
                f"mel has shape {tuple(mel.shape)}, must be [frame, {self.n_mels}]"
            )
        S = (mel @ self.inverse_filterbank.to(mel)).clamp(min=0) ** (1 / self.power)
        window, hop_length = self.taper, self.hop_length
        if phase_of is None:
            y = griffin_lim(
                S,
                window=window,
                hop_length=hop_length,
                n_fft=self.n_fft,
                n_iter=n_iter,
                center=False,
                rng=torch.Generator(S.device).manual_seed(seed),
            )
        else:
            covered = (len(mel) - 1) * hop_length + self.n_fft
            whole = F.pad(phase_of.to(S), (self.lead, covered - self.lead - len(phase_of)))
            phase = stft(whole, window=window, hop_length=hop_length).angle()
            y = istft(torch.polar(S, phase), window=window, hop_length=hop_length)
        owned = y[self.lead :][: len(mel) * hop_length]
        return F.pad(owned, (0, len(mel) * hop_length - len(owned)))


def svd2015(*, sample_rate: int = 22050, hop_length: int | None = None) -> FrontEnd:
    """Front end of Schlueter and Grill's singing-voice detector: 80 mels, 70 frames per second.

    Parameters
    ----------
    sample_rate : int
        Samples a second.
    hop_length : int, optional
        Samples between frames; 315 at 22,050 Hz. At other rates it must be given.

    Returns
    -------
    FrontEnd
        1024 samples per frame, not centred, symmetric Hann, magnitudes, ln(max(mel, 1e-7)).

    Raises
    ------
    ParameterError
        If the rate is not 22,050 Hz and no hop is given.

    References
    ----------
    Schlueter and Grill, "Exploring data augmentation for improved singing voice detection with
    neural networks", ISMIR 2015, section 3.1.

    Examples
    --------
    >>> svd2015().hop_length
    315
    """
    if hop_length is None:
        if sample_rate != 22050:
            raise ParameterError(
                f"sample_rate is {sample_rate}; the hop of 315 samples is for 22050 Hz: "
                f"give hop_length (70 frames per second are {sample_rate / 70:.2f} samples)"
            )
        hop_length = 315
    return FrontEnd(
        sample_rate=sample_rate,
        n_fft=1024,
        hop_length=hop_length,
        n_mels=80,
        fmin=27.5,
        fmax=8000.0,
        filters="svd2015",
        window="hann_symmetric",
        power=1.0,
        centred=False,
        compression=Compression("ln", 1e-7),
    )


def librosa_mel(
    *,
    sr: int = 22050,
    n_fft: int = 2048,
    hop_length: int = 512,
    n_mels: int = 128,
    fmin: float = 0.0,
    fmax: float | None = None,
    compression: Compression | None = None,
) -> FrontEnd:
    """Front end with the numbers of ``librosa.feature.melspectrogram``: centred, power 2.

    Parameters
    ----------
    sr, n_fft, hop_length, n_mels : int
        As librosa has them.
    fmin, fmax : float
        As librosa has them; fmax None: half the rate.
    compression : Compression, optional
        Default: ln(max(mel, 1e-10)).

    Returns
    -------
    FrontEnd
        Slaney's mel scale, filters of equal area, periodic Hann, silence beyond the ends.

    Examples
    --------
    >>> librosa_mel().mel(torch.zeros(22050)).shape
    torch.Size([44, 128])
    """
    return FrontEnd(
        sample_rate=sr,
        n_fft=n_fft,
        hop_length=hop_length,
        n_mels=n_mels,
        fmin=fmin,
        fmax=sr / 2 if fmax is None else fmax,
        filters="slaney",
        window="hann",
        power=2.0,
        centred=True,
        compression=compression or Compression("ln", 1e-10),
    )

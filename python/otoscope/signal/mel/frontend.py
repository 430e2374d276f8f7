"""Log-mel front ends: waveforms [..., sample] to log-mel spectrograms [..., frame, mel] and back.

Front ends with equal settings give equal values. Frame i covers the samples i * hop_length ...
(i + 1) * hop_length - 1, counted from ``first_sample``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.signal.griffin_lim import griffin_lim
from otoscope.signal.mel.domain import Compression
from otoscope.signal.mel.filterbank import mel_centres, mel_filters
from otoscope.signal.mel.pcen import PCEN
from otoscope.signal.stft import PADDINGS, get_window, istft, n_frames, stft

__all__ = ["FrontEnd", "librosa_mel", "svd2015"]


@dataclass(frozen=True, kw_only=True)
class FrontEnd:
    """Log-mel front end.

    Parameters
    ----------
    sample_rate : int
        Sample rate of the waveforms, in Hz.
    n_fft, hop_length : int
        Samples per frame and between frames.
    n_mels : int
        Number of mel bands.
    fmin, fmax : float
        Lower edge of the first and upper edge of the last filter, in Hz; fmax <= sample_rate / 2.
    filters : {"svd2015", "slaney", "htk", "kaldi"}
        Filters of Schlueter and Grill, librosa's on Slaney's or HTK's mel scale, or Kaldi's.
    window : str, float, tuple, Tensor or array
        "hann", the periodic Hann window, as in librosa; "hann_symmetric"; another window of
        ``scipy.signal.get_window``; or the samples of a window.
    power : float
        Exponent of the magnitudes: 1 for magnitudes, 2 for powers.
    centred : bool
        If True, frame i is centred at sample i * hop_length, and both ends are padded with zeros;
        otherwise frame i starts at sample i * hop_length, and only whole frames count.
    compression : Compression or PCEN
        Logarithmic compression, or per-channel energy normalisation.
    win_length : int, optional
        Length of the window, centred in the frame; by default ``n_fft``.
    norm : {"slaney"} or None
        Normalisation of the filters "slaney" and "htk": equal area, or unit height.
    pad_mode : str
        Padding of centred frames: "constant" (zeros), "reflect", "edge" or "circular".

    Raises
    ------
    ParameterError
        If a size is below 1, the range of frequencies exceeds sample_rate / 2, or a setting is
        unknown.

    Warns
    -----
    EmptyFilters
        When the filters are first used, if some hold no bin of the transform: their bands have the
        same value for every sound. "svd2015" filters of this kind raise ParameterError.

    Examples
    --------
    >>> svd2015().log_mel(torch.zeros(44100)).shape
    torch.Size([137, 80])
    >>> svd2015().spectrum(torch.zeros(44100)).shape
    torch.Size([137, 513])
    """

    sample_rate: int
    n_fft: int
    hop_length: int
    n_mels: int
    fmin: float
    fmax: float
    filters: Literal["svd2015", "slaney", "htk", "kaldi"]
    window: str | float | tuple[Any, ...]
    power: float
    centred: bool
    compression: Compression | PCEN
    win_length: int | None = None
    norm: Literal["slaney"] | None = "slaney"
    pad_mode: str = "constant"

    def __post_init__(self) -> None:
        for name in ("sample_rate", "n_fft", "hop_length", "n_mels"):
            if getattr(self, name) < 1:
                raise ParameterError(f"{name} is {getattr(self, name)}, must be >= 1")
        if not 0 <= self.fmin < self.fmax <= self.sample_rate / 2:
            raise ParameterError(
                f"fmin is {self.fmin}, fmax {self.fmax}; must be 0 <= fmin < fmax <= "
                f"{self.sample_rate / 2} (half the rate)"
            )
        if self.norm not in ("slaney", None):
            raise ParameterError(f"norm is {self.norm!r}, must be 'slaney' or None")
        if self.norm is None and self.filters == "svd2015":
            raise ParameterError("norm is None; filters 'svd2015' sum to 1 by their definition")
        if self.pad_mode not in PADDINGS:
            raise ParameterError(
                f"pad_mode is {self.pad_mode!r}, must be one of {', '.join(PADDINGS)}"
            )
        if isinstance(self.window, Tensor | np.ndarray):  # a tuple compares, and can be written
            object.__setattr__(self, "window", tuple(self.window.tolist()))
        if isinstance(self.compression, PCEN) and self.compression.frame_rate is None:
            rated = replace(self.compression, frame_rate=self.sample_rate / self.hop_length)
            object.__setattr__(self, "compression", rated)
        self.taper  # noqa: B018  # refuses an unknown window at once

    @cached_property
    def taper(self) -> Tensor:
        """Window of a frame: Tensor [n_fft], float64."""
        window: Any = self.window
        length = self.win_length or self.n_fft
        if window in ("hann", "hann_symmetric"):
            window = torch.hann_window(length, periodic=window == "hann", dtype=torch.float64)
        elif isinstance(window, tuple) and not isinstance(window[0], str):
            window = torch.tensor(window, dtype=torch.float64)
        return get_window(window, n_fft=self.n_fft, win_length=self.win_length)

    @cached_property
    def filterbank(self) -> Tensor:
        """Mel filterbank: Tensor [bin, mel], float64; warns of filters without any bin."""
        return mel_filters(
            self.filters,
            self.sample_rate,
            self.n_fft,
            n_mels=self.n_mels,
            fmin=self.fmin,
            fmax=self.fmax,
            norm=self.norm,
        )

    @cached_property
    def inverse_filterbank(self) -> Tensor:
        """Pseudo-inverse of the filterbank: Tensor [mel, bin], float64."""
        inverse: Tensor = torch.linalg.pinv(self.filterbank)
        return inverse

    @cached_property
    def mel_hz(self) -> Tensor:
        """Centre frequency of each band: Tensor [mel], in Hz."""
        htk = self.filters != "slaney"
        return mel_centres(self.n_mels, fmin=self.fmin, fmax=self.fmax, htk=htk)

    @property
    def lead(self) -> int:
        """Number of samples of a frame before those it covers."""
        return self.n_fft // 2 if self.centred else max(0, self.n_fft - self.hop_length) // 2

    @property
    def first_sample(self) -> int:
        """Index of the first sample that frame 0 covers."""
        return 0 if self.centred else self.lead

    @property
    def frame_offset(self) -> float:
        """Time of the middle of frame 0, in seconds."""
        return 0.0 if self.centred else (self.lead + self.hop_length / 2) / self.sample_rate

    def n_samples(self, n_frames: int) -> int:
        """Compute the smallest number of samples that gives a number of frames.

        Parameters
        ----------
        n_frames : int
            Number of frames, >= 1.

        Returns
        -------
        int
            Number of samples.

        Examples
        --------
        >>> from otoscope.signal import librosa_mel
        >>> librosa_mel(sr=8000, n_fft=64, hop_length=16, n_mels=8).n_samples(3)
        32
        """
        return (n_frames - 1) * self.hop_length + (0 if self.centred else self.n_fft)

    def spectrum(self, y: Tensor) -> Tensor:
        """Compute the complex spectrum [..., frame, bin] of waveforms [..., sample].

        Raises
        ------
        ParameterError
            If the waveforms are shorter than one frame that is not centred.
        """
        whole = n_frames(y.shape[-1], n_fft=self.n_fft, hop_length=self.hop_length)
        if not self.centred and whole == 0:
            raise ParameterError(
                f"y has {y.shape[-1]} samples; one frame needs {self.n_fft} "
                f"({1000 * self.n_fft / self.sample_rate:.0f} ms)"
            )
        return stft(
            y,
            window=self.taper,
            hop_length=self.hop_length,
            center=self.centred,
            pad_mode=self.pad_mode,
        )

    def mel(self, y: Tensor) -> Tensor:
        """Compute mel energies [..., frame, mel], >= 0, of waveforms; differentiable."""
        S = self.spectrum(y).abs()
        return (S if self.power == 1 else S**self.power) @ self.filterbank.to(S)

    def log_mel(self, y: Tensor) -> Tensor:
        """Compute log-mel spectrograms [..., frame, mel] of waveforms; differentiable."""
        return self.compression.compress(self.mel(y))

    def invert(
        self, mel: Tensor, *, phase_of: Tensor | None = None, n_iter: int = 32, seed: int = 0
    ) -> Tensor:
        """Reconstruct a waveform from mel energies.

        Parameters
        ----------
        mel : Tensor [frame, mel]
            Mel energies, >= 0, as `mel` computes them.
        phase_of : Tensor [sample], optional
            Waveform covered by the frames, whose phases are used. Default: Griffin-Lim.
        n_iter : int
            Number of Griffin-Lim iterations.
        seed : int
            Seed of the initial phases.

        Returns
        -------
        Tensor [frame * hop_length]
            Waveform covered by the frames.

        Raises
        ------
        ParameterError
            If ``mel`` is not [frame, mel] with the bands of the front end.

        Notes
        -----
        Magnitudes are computed with the pseudo-inverse of the filterbank, and negative ones set to
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
    """Create the front end of Schlueter and Grill (2015): 80 bands, 70 frames per second.

    Parameters
    ----------
    sample_rate : int
        Sample rate of the waveforms, in Hz.
    hop_length : int, optional
        Samples between frames. Default: 315 at 22,050 Hz; required at other rates.

    Returns
    -------
    FrontEnd
        Front end with 1024 samples per frame, not centred, a symmetric Hann window, magnitudes, and
        ln(max(mel, 1e-7)).

    Raises
    ------
    ParameterError
        If the rate is not 22,050 Hz and ``hop_length`` is not given.

    References
    ----------
    Schlüter and Grill (2015) :cite:`schlueter2015`, section 3.1.

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


def librosa_mel(  # noqa: PLR0913 - librosa's arguments
    *,
    sr: int = 22050,
    n_fft: int = 2048,
    hop_length: int = 512,
    n_mels: int = 128,
    fmin: float = 0.0,
    fmax: float | None = None,
    win_length: int | None = None,
    window: str | float | tuple[Any, ...] | Tensor = "hann",
    power: float = 2.0,
    pad_mode: str = "constant",
    htk: bool = False,
    norm: Literal["slaney"] | None = "slaney",
    compression: Compression | PCEN | None = None,
) -> FrontEnd:
    """Create a front end with the values of ``librosa.feature.melspectrogram``, centred.

    Parameters
    ----------
    sr, n_fft, hop_length, n_mels : int
        Sample rate in Hz, samples per frame, samples between frames, and number of bands.
    fmin, fmax : float
        Lower and upper edge of the filters, in Hz; by default 0 and sr / 2.
    win_length, window, power, pad_mode
        See `FrontEnd`.
    htk : bool
        Use HTK's mel scale instead of Slaney's.
    norm : {"slaney"} or None
        Filters of equal area, or of unit height.
    compression : Compression or PCEN, optional
        Compression. Default: ln(max(mel, 1e-10)). ``Compression("db", 1e-10, ref="max",
        top_db=80)`` is ``librosa.power_to_db(ref=np.max)``.

    Returns
    -------
    FrontEnd
        Front end. torchaudio's ``MelSpectrogram`` has ``htk=True, norm=None,
        pad_mode="reflect"``.

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
        filters="htk" if htk else "slaney",
        window=window,  # type: ignore[arg-type]  # the front end makes a tuple of a Tensor
        power=power,
        centred=True,
        compression=compression or Compression("ln", 1e-10),
        win_length=win_length,
        norm=norm,
        pad_mode=pad_mode,
    )

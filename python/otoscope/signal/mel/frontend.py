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
from otoscope.signal.mel.filterbank import bin_hz, mel_centres, mel_filters
from otoscope.signal.mel.pcen import PCEN
from otoscope.signal.stft import PADDINGS, get_window, istft, n_frames, stft

__all__ = ["FrontEnd"]


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
    filters : {"svd2015", "slaney", "htk", "kaldi", "bins"}
        Filters of Schlueter and Grill, librosa's on Slaney's or HTK's mel scale, or Kaldi's; or
        the bins of the transform, unfiltered.
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
    >>> from otoscope.signal import svd2015
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
    filters: Literal["svd2015", "slaney", "htk", "kaldi", "bins"]
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
        if self.filters == "bins":
            return torch.from_numpy(bin_hz(self.sample_rate, self.n_fft)).float()
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
        S = S if self.power == 1 else S**self.power
        return S if self.filters == "bins" else S @ self.filterbank.to(S)

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
        >>> from otoscope.signal import svd2015
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

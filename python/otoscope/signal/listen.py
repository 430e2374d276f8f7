"""Resynthesis of selected cells: a waveform under a gain per cell of a [frame, mel] patch.

The original phase is kept. Frame i covers samples i * hop_length ... (i + 1) * hop_length - 1.
Gains are linear: 1 keeps a cell, 0 silences it.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.signal.stft import hann, istft, stft

__all__ = ["fade", "filter_cells", "listen", "sound_of", "spectrum_of", "window_length"]

FADE_SECONDS = 0.005
WINDOW_SECONDS = 0.046


def listen(y: Tensor, gain: Tensor, *, sr: float, hop_length: int, mel_hz: Tensor) -> Tensor:
    """Apply a gain to each cell of a spectrogram and return the waveform.

    Gains that are equal in all bands are applied in time, with 5 ms fades; others by filtering.

    Parameters
    ----------
    y : Tensor [sample]
        Waveform of the patch.
    gain : Tensor [frame, mel]
        Linear gain of each cell, or a mask (True stays).
    sr : float
        Sample rate of ``y``, in Hz.
    hop_length : int
        Samples between frames.
    mel_hz : Tensor [mel]
        Centre frequency of each band, in Hz, ascending.

    Returns
    -------
    Tensor [sample]
        Waveform as long as ``y``.

    Raises
    ------
    ParameterError
        If the shapes do not match.

    Examples
    --------
    >>> import torch
    >>> keep = torch.zeros(10, 4)
    >>> listen(torch.ones(1000), keep, sr=8000, hop_length=100, mel_hz=torch.arange(4.0)).sum()
    tensor(0.)
    """
    if gain.ndim != 2 or gain.shape[1] != len(mel_hz):
        raise ParameterError(f"gain has shape {tuple(gain.shape)}, must be [frame, {len(mel_hz)}]")
    gain = gain.to(y)
    if bool((gain == gain[:, :1]).all()):
        return fade(y, gain[:, 0], sr=sr, hop_length=hop_length)
    return filter_cells(y, gain, sr=sr, hop_length=hop_length, mel_hz=mel_hz)


def fade(y: Tensor, gain: Tensor, *, sr: float, hop_length: int) -> Tensor:
    """Apply a gain per frame, with linear 5 ms fades inside the kept parts.

    The last gain extends to the end of ``y``; both ends of ``y`` are outside and fade as well.
    """
    step = gain[_frame_of(torch.arange(len(y)), hop_length, len(gain))].to(y)
    n = max(1, round(FADE_SECONDS * sr))
    padded = F.pad(step, (n, n))
    # Means over the n + 1 samples before and after: ramps that lie inside the kept part.
    before, after = (padded[s : s + len(y) + n][None, None] for s in (0, n))
    means = [F.avg_pool1d(part, n + 1, 1)[0, 0] for part in (before, after)]
    return y * torch.minimum(*means)


def filter_cells(y: Tensor, gain: Tensor, *, sr: float, hop_length: int, mel_hz: Tensor) -> Tensor:
    """Filter with a gain per frame and band, keeping the phase.

    Gains are interpolated linearly in Hz between band centres and constant beyond the outer ones.
    """
    n_fft = window_length(sr)
    D = spectrum_of(y, n_fft)
    centre = torch.arange(D.shape[0], device=y.device) * (n_fft // 4) - n_fft // 2
    frame_gain = gain[_frame_of(centre, hop_length, len(gain))]
    bin_gain = frame_gain.to(y) @ _bands_to_bins(mel_hz, sr=sr, n_fft=n_fft).to(y)
    return sound_of(D * bin_gain, n_fft, len(y))


def window_length(sr: float) -> int:
    """Return the length of the window of a filter in samples: a power of two near 46 ms."""
    return int(max(16, 2 ** round(np.log2(WINDOW_SECONDS * sr))))


def spectrum_of(y: Tensor, n_fft: int) -> Tensor:
    """Compute the spectrum [..., frame, bin] of a sound [..., sample], four frames per sample.

    Frame i is centred on sample i * n_fft / 4 - n_fft / 2. Gains that add up to 1 in each cell
    give sounds (`sound_of`) that add up to the sound.
    """
    hop = n_fft // 4
    return stft(F.pad(y, (n_fft, n_fft + hop)), window=hann(n_fft), hop_length=hop)


def sound_of(D: Tensor, n_fft: int, n_samples: int) -> Tensor:
    """Invert `spectrum_of` by least squares: a sound [..., sample]."""
    y = istft(D, window=hann(n_fft), hop_length=n_fft // 4)
    return y[..., n_fft : n_fft + n_samples]


def _frame_of(sample: Tensor, hop_length: int, count: int) -> Tensor:
    """Index the frame that covers each sample; the outer frames extend to both ends."""
    return (sample // hop_length).clamp(0, count - 1)


def _bands_to_bins(mel_hz: Tensor, *, sr: float, n_fft: int) -> Tensor:
    """Build triangles of unit height [mel, bin] that sum to 1 in each bin."""
    bin_hz = np.fft.rfftfreq(n_fft, 1 / sr)
    centres = mel_hz.detach().cpu().double().numpy()
    rows = [np.interp(bin_hz, centres, one_hot) for one_hot in np.eye(len(centres))]
    return torch.from_numpy(np.stack(rows))

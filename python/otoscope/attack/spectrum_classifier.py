"""A model of magnitude spectra as a differentiable classifier of sounds."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from otoscope.attack.objective import Outputs
from otoscope.signal.stft import hann, stft

__all__ = ["SpectrumClassifier"]


class SpectrumClassifier(nn.Module):
    """Classify sounds by a model of magnitude spectra, through the front end of the paper.

    Parameters
    ----------
    model : callable
        Magnitudes [batch, frame, bin] -> [batch, output] or [batch, frame, output].
    n_fft, hop_length : int
        Samples of a frame and between frames; the window is a symmetric Hann, nothing is padded.
    outputs : {"logits", "probabilities"}, optional
        What the model gives.
    sample_rate : int
        Samples a second.

    References
    ----------
    Kereliuk, Sturm and Larsen, "Deep learning and music adversaries", IEEE Trans. Multimedia
    17(11), 2015, section III.

    Examples
    --------
    >>> import torch
    >>> SpectrumClassifier(nn.Linear(513, 10))(torch.zeros(1, 2048)).shape
    torch.Size([1, 3, 10])
    """

    def __init__(
        self,
        model: Callable[[Tensor], Tensor],
        *,
        n_fft: int = 1024,
        hop_length: int = 512,
        outputs: Outputs | None = None,
        sample_rate: int = 22050,
    ) -> None:
        super().__init__()
        self.model = model
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.outputs = outputs
        self.sample_rate = sample_rate

    def forward(self, sound: Tensor) -> Tensor:
        """Compute the outputs for sounds.

        Parameters
        ----------
        sound : Tensor [batch, sample]
            At ``sample_rate``, at least one frame long.

        Returns
        -------
        Tensor [batch, output] or [batch, frame, output]
            Differentiable.

        Examples
        --------
        >>> import torch
        >>> SpectrumClassifier(nn.Linear(513, 2))(torch.zeros(1, 1024)).shape
        torch.Size([1, 1, 2])
        """
        window = hann(self.n_fft, periodic=False)
        return self.model(stft(sound, window=window, hop_length=self.hop_length).abs())

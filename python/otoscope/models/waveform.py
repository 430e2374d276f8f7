"""Listening model of waveforms: a network that hears samples, as files and commands need it.

Its frames are runs of samples: [sample] becomes [frame, hop_length], without loss, and back before
the network hears them. So timelines, attacks, interrogations and distances treat it as any model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.models.listener import Listener
from otoscope.protocols import Fixed, Pooling
from otoscope.signal import Compression

__all__ = ["WaveformListener"]

_FRAME_SECONDS = 0.01


@dataclass(frozen=True)
class _Samples:
    """Front end that only cuts a sound into frames; it has the members of a `FrontEnd`."""

    sample_rate: int
    hop_length: int
    first_sample: int = 0

    @property
    def compression(self) -> Compression:
        """Compression of which silence is 0, as in samples."""
        return Compression("log10")

    @property
    def n_mels(self) -> int:
        """Samples per frame."""
        return self.hop_length

    @property
    def mel_hz(self) -> Tensor:
        """Numbers of the samples of a frame: they have no frequencies."""
        return torch.arange(self.hop_length, dtype=torch.float32)

    def n_samples(self, n_frames: int) -> int:
        """Return the number of samples of some frames."""
        return n_frames * self.hop_length

    def log_mel(self, y: Tensor) -> Tensor:
        """Cut [..., sample] into [..., frame, sample of the frame]; what is left over goes."""
        n_frames = y.shape[-1] // self.hop_length
        whole = y[..., : n_frames * self.hop_length]
        frames: Tensor = whole.unflatten(-1, (n_frames, self.hop_length))
        return frames


class WaveformListener(Listener):
    """Combine a network of waveforms with its sampling rate and the length that it hears at once.

    Parameters
    ----------
    network : nn.Module
        Network from waveforms [batch, sample] to [batch, output] or [batch].
    sample_rate : int
        Sampling rate of the waveforms, in Hz.
    seconds : float
        Length of the excerpts that the network hears, in seconds; rounded to whole samples.
    output_names : sequence of str
        Names of the outputs, one per column.
    name : str
        Name in records and reports; `load` sets it if empty.
    layout : str, optional
        Axes of the network's input if they are others: "b 1 sample".
    fixed, output, pooling
        Its other inputs, the part of its answer that is meant, and the pooling of outputs per
        frame; see `protocols.signature`.

    Raises
    ------
    ParameterError
        If a number is out of range, or the network is no nn.Module.

    Notes
    -----
    `SoundLIME` explains it by components of the sound, see `otoscope.components`. It takes
    [batch, sample], or [batch, 1, frame, sample of the frame] as `prepare` makes them.

    Examples
    --------
    >>> net = nn.Sequential(nn.Linear(8000, 2), nn.Softmax(1))
    >>> model = WaveformListener(net, sample_rate=16000, seconds=0.5, output_names=["no", "yes"])
    >>> model.patch((torch.zeros(16000), 16000), start=0.25).duration
    0.5
    """

    hears_sounds = True

    def __init__(  # noqa: PLR0913 - the facts of a model, all keyword-only
        self,
        network: nn.Module,
        *,
        sample_rate: int,
        seconds: float,
        output_names: Sequence[str],
        name: str = "",
        layout: str | None = None,
        fixed: Fixed = None,
        output: str | int | None = None,
        pooling: Pooling = None,
    ) -> None:
        if not isinstance(network, nn.Module):
            raise ParameterError(f"network is {type(network).__name__}, must be an nn.Module")
        if not (sample_rate >= 1 and int(sample_rate) == sample_rate):
            raise ParameterError(f"sample_rate is {sample_rate}, must be a whole number of Hz")
        n_samples = round(seconds * sample_rate) if 0 < seconds < float("inf") else 0
        if n_samples < 1:
            raise ParameterError(f"seconds is {seconds}, must be > 0")
        most = max(1, round(_FRAME_SECONDS * sample_rate))
        hop = next(size for size in range(most, 0, -1) if n_samples % size == 0)
        super().__init__(
            network,
            _Samples(int(sample_rate), hop),  # type: ignore[arg-type]
            mean=torch.zeros(hop),
            std=torch.ones(hop),
            patch_frames=n_samples // hop,
            output_names=output_names,
            name=name,
            layout=layout or "b sample",
            fixed=fixed,
            output=output,
            pooling=pooling,
        )
        if not self.signature.layout.is_sound:
            raise ParameterError(f"layout is {layout!r}, must name the axis sample: 'b 1 sample'")

    @property
    def n_samples(self) -> int:
        """Samples that the network hears at once."""
        return self.patch_frames * self.hop_length

    def extra_repr(self) -> str:
        """Say how long the excerpts are, which ``seconds`` is rounded to."""
        n, rate = self.n_samples, self.sample_rate
        return f"excerpts of {n / rate:.6g} s: {n} samples at {rate} Hz"

    def forward(self, batch: Tensor) -> Tensor:
        """Compute the outputs [batch, output] of waveforms [batch, sample], or of their frames."""
        outputs: Tensor = self.signature.call(self.network, _planes(batch))
        return outputs

    def given(self, batch: Tensor) -> tuple[Tensor, str]:
        """Return what the network is given for a batch, and the names of its axes, for messages."""
        layout = self.signature.layout
        return layout.arrange(_planes(batch)), layout.named

    def invert(self, values: Tensor, *, y: Tensor | None = None) -> Tensor:
        """Join the frames [frame, sample of the frame] to the waveform that they are."""
        return values.flatten()


def _planes(batch: Tensor) -> Tensor:
    """Join waveforms [batch, sample], or their frames, to [batch, 1, sample, 1]."""
    if batch.ndim == 3 and batch.shape[1] > 1:
        raise ParameterError(
            f"the sound has {batch.shape[1]} channels, the model hears one: mix it with y.mean(0)"
        )
    return batch.flatten(1)[:, None, :, None]

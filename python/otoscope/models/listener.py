"""Listening model made of a network, its front end and its normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from otoscope.errors import Advice, Argument, ParameterError
from otoscope.protocols import Patch, Sound
from otoscope.signal import PCEN, Domain, FrontEnd, mono, read_audio
from otoscope.signal.excerpts import cut
from otoscope.taps import Tap

__all__ = ["Listener"]


class Listener(nn.Module):
    """Combine a network with its front end and normalisation to a `ListeningModel`.

    As an ``nn.Module`` it maps [batch, 1, frame, mel] to [batch, output].

    Parameters
    ----------
    network : nn.Module
        Network from standardised excerpts [batch, 1, frame, mel] to [batch, output].
    front_end : FrontEnd
        Transform of a waveform to a log-mel spectrogram.
    mean, std : Tensor [mel]
        Normalisation: values = (log_mel - mean) / std.
    patch_frames : int
        Length of the excerpts in frames, >= 1. May be changed later if the network takes any
        length.
    output_names : sequence of str
        Names of the outputs, one per column.
    name : str
        Name in records and reports; `load` sets it if empty.

    Raises
    ------
    ParameterError
        If mean and std do not fit the bands of the front end.

    Examples
    --------
    >>> from otoscope.models import SVDNet
    >>> from otoscope.signal import svd2015
    >>> model = Listener(
    ...     SVDNet(), svd2015(), mean=torch.zeros(80), std=torch.ones(80),
    ...     patch_frames=115, output_names=["singing"],
    ... ).eval()
    >>> patch = model.patch((torch.zeros(44100), 22050))
    >>> model(patch.values[None, None]).shape
    torch.Size([1, 1])
    """

    mean: Tensor
    std: Tensor
    differentiable = True

    def __init__(
        self,
        network: nn.Module,
        front_end: FrontEnd,
        *,
        mean: Tensor,
        std: Tensor,
        patch_frames: int,
        output_names: Sequence[str],
        name: str = "",
    ) -> None:
        super().__init__()
        if mean.shape != (front_end.n_mels,):
            raise ParameterError(
                f"mean has shape {tuple(mean.shape)}, the front end has {front_end.n_mels} bands"
            )
        if patch_frames < 1 or not output_names:
            raise ParameterError(
                f"patch_frames is {patch_frames} and there are {len(output_names)} output names; "
                "both must be >= 1"
            )
        self.name = name
        self.network = network
        self.front_end = front_end
        self.patch_frames = patch_frames
        self.output_names = tuple(output_names)
        domain = Domain(mean.float(), std.float(), front_end.compression)  # checks std
        self.register_buffer("mean", domain.mean)
        self.register_buffer("std", domain.std)

    @property
    def sample_rate(self) -> int:
        """Sampling rate that `prepare` expects, in Hz."""
        return self.front_end.sample_rate

    @property
    def hop_length(self) -> int:
        """Samples from one frame to the next."""
        return self.front_end.hop_length

    @property
    def n_mels(self) -> int:
        """Number of mel bands of the input."""
        return self.front_end.n_mels

    @property
    def mel_hz(self) -> Tensor:
        """Centre frequencies of the bands: Tensor [mel], Hz."""
        return self.front_end.mel_hz

    @property
    def domain(self) -> Domain:
        """Mean, std, compression and floor of the input."""
        return Domain(self.mean, self.std, self.front_end.compression)

    def forward(self, batch: Tensor) -> Tensor:
        """Compute the outputs [batch, output] of standardised excerpts [batch, 1, frame, mel]."""
        outputs: Tensor = self.network(batch)
        return outputs

    def prepare(self, y: Tensor) -> Tensor:
        """Transform a sound [..., sample] at ``sample_rate`` to the input domain; differentiable.

        The result [..., frame, mel] is the standardised log-mel spectrogram of the whole sound.
        """
        return self.domain.values(self.front_end.log_mel(y.to(self.mean.device)))

    def patch(self, sound: Sound, *, start: float = 0.0, padded: bool = False) -> Patch:
        """Cut an excerpt that begins at ``start`` seconds; see `patches`."""
        return self.patches(sound, [start], padded=padded)[0]

    def patches(
        self, sound: Sound, starts: Sequence[float], *, padded: bool = False
    ) -> list[Patch]:
        """Cut several excerpts from a sound, which is read once.

        Parameters
        ----------
        sound : str, PathLike or (y, sr)
            File, or samples [sample] or [channel, sample] with their sampling rate.
        starts : sequence of float
            Starts in seconds, >= 0; rounded to whole frames.
        padded : bool
            Append silence if the sound ends before an excerpt.

        Returns
        -------
        list of Patch
            One excerpt per start, with values on the model's device.

        Raises
        ------
        ParameterError
            If the sound cannot be read, or an excerpt ends beyond it and ``padded`` is False.
        """
        y, lead = self._samples(sound), 0
        length, hop = self.patch_frames, self.hop_length
        if length * hop <= len(y) < self.front_end.n_samples(length):
            # The sound of a patch: its frames cover it, but their windows reach beyond.
            lead = self.front_end.first_sample
            y = F.pad(y, (lead, self.front_end.n_samples(length) - lead - len(y)))
        with torch.no_grad():
            values = self.prepare(y)
            domain = self._domain_of(y)
        patches = [self._excerpt(y, values, domain, start, padded=padded) for start in starts]
        if lead:
            patches = [
                replace(patch, start=patch.start - lead / self.sample_rate) for patch in patches
            ]
        return patches

    def invert(self, values: Tensor, *, y: Tensor | None = None) -> Tensor:
        """Synthesise a sound from input values.

        Parameters
        ----------
        values : Tensor [frame, mel]
            Standardised values.
        y : Tensor [sample], optional
            Waveform that supplies the phase; by default Griffin-Lim estimates it.

        Returns
        -------
        Tensor [frame * hop_length]
            Waveform at ``sample_rate``.
        """
        return self.front_end.invert(self.domain.mel(values), phase_of=y)

    def tap(self, layer: str) -> Tap:
        """Return a layer of ``network.named_modules()`` as a function of the input."""
        return Tap(self.network, layer)

    def _samples(self, sound: Sound) -> Tensor:
        if isinstance(sound, str | PathLike):
            return read_audio(sound, sr=self.sample_rate)[0]
        if not isinstance(sound, tuple) or len(sound) != 2:
            raise ParameterError(
                f"sound is {type(sound).__name__}, must be a file's name or (y, sr)"
            )
        y, sr = sound
        return mono(y, sr, sr=self.sample_rate)[0]

    def _domain_of(self, y: Tensor) -> Domain:
        """Return the domain of a sound: its silence may depend on the loudest cell."""
        compression = self.front_end.compression
        if isinstance(compression, PCEN) or not compression.is_relative:
            return self.domain
        peak = float(self.front_end.mel(y.to(self.mean.device)).max())
        return replace(self.domain, compression=compression.at(peak))

    def _excerpt(
        self, y: Tensor, values: Tensor, domain: Domain, start: float, *, padded: bool
    ) -> Patch:
        hop, rate, length = self.hop_length, self.sample_rate, self.patch_frames
        last = len(values) - (1 if padded else length)  # last possible first frame of an excerpt
        advice = None if padded else Advice(Argument("padded", True), " fills up with silence")
        if last < 0:
            raise ParameterError(
                f"the sound lasts {len(y) / rate:.2f} s, too short for an excerpt of "
                f"{length * hop / rate:.2f} s",
                advice=advice,
            )
        if not 0 <= start <= last * hop / rate:
            raise ParameterError(
                f"start is {start:g} s, must be in [0, {last * hop / rate:.2f}] for a sound of "
                f"{len(y) / rate:.2f} s and an excerpt of {length * hop / rate:.2f} s",
                advice=advice,
            )
        first = round(start * rate / hop)
        offset = first * hop + self.front_end.first_sample
        owned = torch.zeros(length * hop)
        samples = y[offset : offset + length * hop]
        owned[: len(samples)] = samples
        return Patch(
            cut(values, first, length, floor=domain.floor),
            y=owned,
            sr=rate,
            hop_length=hop,
            mel_hz=self.mel_hz,
            start=offset / rate,
            domain=domain,
        )

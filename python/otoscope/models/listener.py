"""Listening model made of a network, its front end and its normalisation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from os import PathLike
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from otoscope.errors import Advice, Argument, ParameterError
from otoscope.models.given import GivenFrontEnd, complete_front_end
from otoscope.protocols import (
    Fixed,
    Patch,
    Pooling,
    Sound,
    call_model,
    dtype_of,
    evaluating,
    signature,
)
from otoscope.protocols.listening import CONTEXT, depends_on_clip, numbered, require_distinct
from otoscope.protocols.patch import as_tensor
from otoscope.protocols.signature import with_remedy
from otoscope.signal import PCEN, Compression, Domain, FrontEnd, mono
from otoscope.signal.audio.files import LONG, SamplesOnDisk, samples
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
    front_end : FrontEnd or callable
        Transform of a waveform to a log-mel spectrogram; or any function or module of a sound
        [sample] that returns [frame, mel] or [mel, frame], with ``sample_rate`` and ``hop_length``.
    mean, std : Tensor [mel], optional
        Normalisation: values = (log_mel - mean) / std. Default: none.
    patch_frames : int, optional
        Length of the excerpts in frames, >= 1. May be changed later if the network takes any
        length.
    seconds : float, optional
        Length in seconds instead of ``patch_frames``; rounded to whole frames, see ``repr``.
    output_names : sequence of str, optional
        Names of the outputs, one per column. Default: "output 0" and so on; the network is called
        once to count them.
    name : str
        Name in records and reports; `load` sets it if empty.
    sample_rate, hop_length : int, optional
        Rate and hop of a front end that is a callable.
    mel_hz : Tensor or array [mel], optional
        Centre frequencies of its bands in Hz, for playback and for axes in Hz.
    compression : Compression or PCEN, optional
        Compression that it applies, for contents such as silence.
    per_excerpt : bool
        Transform each excerpt by itself, where values depend on the whole clip: decibels below its
        maximum, normalisation per clip. Always so if the front end returns a fixed size.
    layout, fixed, output, pooling
        Axes of the network's input, its other inputs, the part of its answer that is meant, and the
        pooling of outputs per frame; see `protocols.signature`.

    Raises
    ------
    ParameterError
        If mean and std do not fit the bands of the front end, its frames are not ``hop_length``
        apart, two outputs have one name, or a setting is missing or unknown.

    Examples
    --------
    >>> from otoscope.models import SVDNet
    >>> from otoscope.signal import svd2015
    >>> model = Listener(SVDNet(), svd2015(), patch_frames=115, output_names=["singing"]).eval()
    >>> patch = model.patch((torch.zeros(44100), 22050))
    >>> model(patch.values[None, None]).shape
    torch.Size([1, 1])
    """

    mean: Tensor
    std: Tensor
    front_end: FrontEnd | GivenFrontEnd

    def __init__(  # noqa: PLR0913 - the facts of a model, all keyword-only
        self,
        network: nn.Module,
        front_end: FrontEnd | Callable[[Tensor], Any],
        *,
        mean: Tensor | None = None,
        std: Tensor | None = None,
        patch_frames: int | None = None,
        seconds: float | None = None,
        output_names: Sequence[str] | None = None,
        name: str = "",
        sample_rate: int | None = None,
        hop_length: int | None = None,
        mel_hz: object = None,
        compression: Compression | PCEN | None = None,
        per_excerpt: bool = False,
        layout: str | None = None,
        fixed: Fixed = None,
        output: str | int | None = None,
        pooling: Pooling = None,
    ) -> None:
        super().__init__()
        self.signature = signature(layout, fixed, output, pooling)
        front_end, patch_frames = complete_front_end(
            front_end,
            patch_frames,
            seconds,
            sample_rate=sample_rate,
            hop_length=hop_length,
            mel_hz=mel_hz,
            compression=compression,
        )
        mean, std = (
            torch.full((front_end.n_mels,), neutral) if given is None else as_tensor(named, given)
            for named, given, neutral in (("mean", mean, 0.0), ("std", std, 1.0))
        )
        if mean.shape != (front_end.n_mels,):
            raise ParameterError(
                f"mean has shape {tuple(mean.shape)}, the front end has {front_end.n_mels} bands"
            )
        if patch_frames < 1:
            raise ParameterError(f"patch_frames is {patch_frames}, must be >= 1")
        if output_names is not None and not output_names:
            raise ParameterError("output_names is empty, must name each output, or be None")
        require_distinct("output_names", output_names or ())
        self.name = name
        self.network = network
        self.front_end = front_end
        self.patch_frames = patch_frames
        self.differentiable = getattr(front_end, "differentiable", True)
        self.per_excerpt = per_excerpt or getattr(front_end, "is_fixed", False)
        domain = Domain(mean.float(), std.float())  # checks std
        self.register_buffer("mean", domain.mean)
        self.register_buffer("std", domain.std)
        self.output_names = tuple(output_names or self._count_outputs())

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
        """Centre frequencies of the bands: Tensor [mel], Hz; None if they are not known."""
        return self.front_end.mel_hz  # type: ignore[return-value]

    @property
    def domain(self) -> Domain:
        """Mean, std, compression and floor of the input; None if the compression is not known."""
        compression = self.front_end.compression
        return Domain(self.mean, self.std, compression) if compression else None  # type: ignore[return-value]

    @property
    def excerpt_samples(self) -> int:
        """Number of samples from which the values of an excerpt are computed."""
        length = self.patch_frames
        return max(length * self.hop_length, self.front_end.n_samples(length))

    def extra_repr(self) -> str:
        """Say how long the excerpts are, which ``seconds`` is rounded to."""
        n, hop, rate = self.patch_frames, self.hop_length, self.sample_rate
        return f"excerpts of {n * hop / rate:.6g} s: {n} frames of {hop} samples at {rate} Hz"

    def forward(self, batch: Tensor) -> Tensor:
        """Compute the outputs [batch, output] of standardised excerpts [batch, 1, frame, mel]."""
        outputs: Tensor = self.signature.call(self.network, batch)
        return outputs

    def given(self, batch: Tensor) -> tuple[Tensor, str]:
        """Return what the network is given for a batch, and the names of its axes, for messages."""
        return self.signature.layout.arrange(batch), self.signature.layout.named

    def prepare(self, y: Tensor) -> Tensor:
        """Transform a sound [..., sample] at ``sample_rate`` to the input domain; differentiable.

        The result [..., frame, mel] is the standardised log-mel spectrogram of the whole sound.
        """
        log_mel = self.front_end.log_mel(y.to(self.mean.device))
        if isinstance(self.front_end, GivenFrontEnd):  # NumPy computes in float64
            log_mel = log_mel.to(self.mean)
        return (log_mel - self.mean.to(log_mel)) / self.std.to(log_mel)

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
        whole, lead = self._samples(sound), 0
        if self.per_excerpt:
            return [self._alone(whole, start, padded=padded) for start in starts]
        if len(whole) > LONG * self.sample_rate and not depends_on_clip(self):
            return [self._around(whole, start, padded=padded) for start in starts]
        y = whole[:]
        length, hop = self.patch_frames, self.hop_length
        if length * hop <= len(y) < self.front_end.n_samples(length):
            # The sound of a patch: its frames cover it, but their windows reach beyond.
            lead = self.front_end.first_sample
            y = F.pad(y, (lead, self.front_end.n_samples(length) - lead - len(y)))
        with torch.no_grad():
            if padded and self.domain is None:  # silence has no known value, but a sound
                y = F.pad(y, (0, self.excerpt_samples))
            values = self.prepare(y)
            domain = self._domain_of(y)
        patches = [self._excerpt(y, values, domain, start, padded=padded) for start in starts]
        return [replace(patch, start=patch.start - lead / self.sample_rate) for patch in patches]

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
        if isinstance(self.front_end, GivenFrontEnd):
            raise ParameterError(
                "front_end is a function, which has no inverse; a FrontEnd has one (docs/howto/"
                "own-model.md)"
            )
        return self.front_end.invert(self.domain.mel(values), phase_of=y)

    def tap(self, layer: str) -> Tap:
        """Return a layer of ``network.named_modules()`` as a function of the input."""
        tap = Tap(self.network, layer)  # refuses an unknown layer by the network's names
        return tap if self.signature.is_plain else Tap(self, f"network.{layer}")

    def _count_outputs(self) -> list[str]:
        """Name the outputs by number, as many as the network has for an excerpt of silence."""
        with torch.no_grad(), evaluating(self):
            values = self.prepare(torch.zeros(self.excerpt_samples))[: self.patch_frames]
            batch = values[None, None].to(dtype_of(self.network))
            try:
                outputs = call_model(self, batch)
            except ParameterError as err:
                raise with_remedy(err, self, batch) from err.__cause__
        return numbered(outputs.shape[1])

    def _samples(self, sound: Sound) -> Tensor | SamplesOnDisk:
        if isinstance(sound, str | PathLike):
            return samples(sound, sr=self.sample_rate)
        if not isinstance(sound, tuple) or len(sound) != 2:
            raise ParameterError(
                f"sound is {type(sound).__name__}, must be a file's name or (y, sr)"
            )
        return mono(*sound, sr=self.sample_rate)[0]

    def _around(self, y: Tensor | SamplesOnDisk, start: float, *, padded: bool) -> Patch:
        """Cut an excerpt of a long sound, of which only the part around it is transformed."""
        hop, rate, length = self.hop_length, self.sample_rate, self.patch_frames
        context = math.ceil(max(CONTEXT * rate / hop, length + rate / hop))
        first = last = len(y) // hop - context - length  # the end refuses what is out of range
        if 0 <= start < len(y) / rate:
            first = max(0, min(last, round(start * rate / hop) - context))
        end = (first + 2 * context + length) * hop
        part, padded = y[first * hop : end], padded and end >= len(y)
        with torch.no_grad():
            if padded and self.domain is None:
                part = F.pad(part, (0, self.excerpt_samples))
            values, domain = self.prepare(part), self._domain_of(part)
        return self._excerpt(y, values, domain, start, padded=padded, before=first)

    def _alone(self, y: Tensor | SamplesOnDisk, start: float, *, padded: bool) -> Patch:
        """Cut an excerpt of the sound, then transform it."""
        hop, n, length = self.hop_length, self.excerpt_samples, self.patch_frames
        last = (len(y) - (1 if padded else n)) // hop
        self._check_start(y, start, last, padded=padded)
        first = round(start * self.sample_rate / hop)
        sound = y[first * hop : first * hop + n]
        sound = F.pad(sound, (0, n - len(sound)))
        with torch.no_grad():
            values, domain = self.prepare(sound)[:length], self._domain_of(sound)
        offset = self.front_end.first_sample
        return Patch(
            values,
            y=F.pad(sound, (0, offset))[offset : offset + length * hop],
            sr=self.sample_rate,
            hop_length=hop,
            mel_hz=self.mel_hz,
            start=(first * hop + offset) / self.sample_rate,
            domain=domain,
            layout="frame mel",
        )

    def _domain_of(self, y: Tensor) -> Domain | None:
        """Return the domain of a sound: its silence may depend on the loudest cell."""
        compression = self.front_end.compression
        if not isinstance(compression, Compression) or not compression.is_relative:
            return self.domain
        if isinstance(self.front_end, GivenFrontEnd):
            return self.domain
        peak = float(self.front_end.mel(y.to(self.mean.device)).max())
        return replace(self.domain, compression=compression.at(peak))

    def _excerpt(
        self,
        y: Tensor | SamplesOnDisk,
        values: Tensor,
        domain: Domain | None,
        start: float,
        *,
        padded: bool,
        before: int = 0,
    ) -> Patch:
        """Cut an excerpt of values that begin ``before`` frames after the sound."""
        hop, rate, length = self.hop_length, self.sample_rate, self.patch_frames
        is_filled = padded and domain is not None
        last = before + len(values) - (1 if is_filled else length)  # last first frame of an excerpt
        self._check_start(y, start, last, padded=padded)
        first = round(start * rate / hop)
        offset = first * hop + self.front_end.first_sample
        owned = torch.zeros(length * hop)
        samples = y[offset : offset + length * hop]
        owned[: len(samples)] = samples
        if domain is None:
            excerpt = values[first - before : first - before + length]
        else:
            excerpt = cut(values, first - before, length, floor=domain.floor)
        return Patch(
            excerpt,
            y=owned,
            sr=rate,
            hop_length=hop,
            mel_hz=self.mel_hz,
            start=offset / rate,
            domain=domain,
            layout="frame mel",
        )

    def _check_start(
        self, y: Tensor | SamplesOnDisk, start: float, last: int, *, padded: bool
    ) -> None:
        """Refuse a start beyond the frame that may be the first of an excerpt."""
        hop, rate, length = self.hop_length, self.sample_rate, self.patch_frames
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

"""What a layer of a model says of sound files: features of their excerpts, streamed.

A file is read and heard piece by piece, with enough sound around each piece that its frames are
those of the whole file; memory does not grow with it. A layer's output of more axes than
[batch, channel] is averaged over the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from otoscope.errors import Advice, Argument, ParameterError
from otoscope.metrics import FeatureSet
from otoscope.protocols import device_of, evaluating
from otoscope.signal.audio.blocks import Blocks
from otoscope.signal.excerpts import sliding
from otoscope.taps import Tap
from otoscope.workflows._recording import PADDED, listening_model

__all__ = ["FeatureSettings", "SoundFeatures", "comparable", "differences"]

_BATCH = 16  # excerpts a forward pass
_ROOM = 1.0  # seconds around a piece: more than any window

# The last layer before the outputs, and the axis of its channels.
_DEFAULT_LAYERS = {
    "MusicTagger": ("dense", 1),  # 200, after ReLU and norm
    "EventDetector": ("leave.1", 2),  # 256 a frame, after ReLU
    "SVDNet": ("fc8", 1),  # 64 / shrink, after leaky ReLU
}


@dataclass(frozen=True)
class FeatureSettings:
    """Which features of which excerpts.

    Parameters
    ----------
    model : str, optional
        Name of a model, a bundle, or FILE.py:FUNCTION; see `otoscope.models.load`.
    layer : str, optional
        Layer of the network whose output is the feature. By default the last before the outputs,
        for models of the zoo.
    hop : float, optional
        Distance between excerpts, in seconds. By default the length of an excerpt.
    channel_axis : int, optional
        Axis of the layer's output that becomes the columns; the others are averaged. By default 1.
    padded : bool
        Append silence to files that are shorter than an excerpt.
    device : str
        Device that the model runs on: cpu or cuda.

    Examples
    --------
    >>> FeatureSettings("musicnn-mtt").layer
    """

    model: str | None = None
    layer: str | None = None
    hop: float | None = None
    channel_axis: int | None = None
    padded: bool = False
    device: str = "cpu"


class SoundFeatures:
    """Features of sound files, by one model and layer.

    Parameters
    ----------
    settings : FeatureSettings
        Which.

    Raises
    ------
    ParameterError
        If there is no such model, layer (names the nearest) or device, or the hop is none.

    Examples
    --------
    >>> SoundFeatures(FeatureSettings("synth-singing")).about["layer"]
    'fc8'
    """

    def __init__(self, settings: FeatureSettings) -> None:
        if settings.hop is not None and not 0 < settings.hop < float("inf"):
            raise ParameterError(f"hop is {settings.hop}, must be seconds above 0")
        if settings.model is None:
            raise ParameterError(
                "no model is named",
                advice=Advice("name one, such as ", Argument("model", "musicnn-mtt")),
            )
        self._model: Any = listening_model(settings.model, device=settings.device)
        network = getattr(self._model, "network", self._model)
        if not isinstance(network, nn.Module):
            raise ParameterError(f"{settings.model} is no nn.Module, so it has no layers to tap")
        layer, axis = _layer(network, settings)
        self._tap = Tap(network, layer)
        self._axis = axis
        self._padded = settings.padded
        frames_a_second = self._model.sample_rate / self._model.hop_length
        length = self._model.patch_frames
        self._hop = (
            length if settings.hop is None else max(1, round(settings.hop * frames_a_second))
        )
        self._room = ceil(_ROOM * frames_a_second)
        self._device = device_of(network)
        self.about: dict[str, Any] = {
            "model": settings.model,
            "weights": _digest(self._model),
            "layer": layer,
            "channel_axis": axis,
            "sample_rate": self._model.sample_rate,
            "hop_length": self._model.hop_length,
            "excerpt_frames": length,
            "hop_frames": self._hop,
            "padded": settings.padded,
        }
        """All that the features depend on, in JSON's types."""

    def check(self) -> None:
        """Hear an excerpt of silence, so that wrong settings are told before any file is read.

        Raises
        ------
        ParameterError
            If the layer's output has no such channel axis.

        Examples
        --------
        >>> SoundFeatures(FeatureSettings("synth-singing")).check()
        """
        n_frames = self._model.patch_frames + self._room
        list(self.rows([torch.zeros(n_frames * self._model.hop_length)]))

    def of(self, path: Path) -> tuple[FeatureSet, int]:
        """Find the features of all excerpts of a file.

        Parameters
        ----------
        path : Path
            A sound file.

        Returns
        -------
        features : FeatureSet
            A row an excerpt.
        file_sr : int
            Samples a second in the file.

        Raises
        ------
        ParameterError
            If the file cannot be read or is too short, or a feature is not finite.

        Examples
        --------
        >>> features.of(Path("song.ogg"))[0].n_rows  # doctest: +SKIP
        71
        """
        blocks = Blocks(path, sr=self._model.sample_rate)
        held = FeatureSet.none()
        for rows in self.rows(blocks):
            held = held.added(rows)
        return held, blocks.file_sr

    def rows(self, sound: Iterable[Tensor]) -> Iterator[Tensor]:
        """Find the features of a sound's excerpts, some at a time.

        Parameters
        ----------
        sound : iterable of Tensor [sample]
            One after the other, at the model's rate: `otoscope.signal.audio.blocks.Blocks`.

        Yields
        ------
        Tensor [excerpt, column]
            On the CPU, in the order of time.

        Raises
        ------
        ParameterError
            As `of` does.

        Examples
        --------
        >>> features = SoundFeatures(FeatureSettings("synth-singing"))
        >>> [rows.shape for rows in features.rows([torch.randn(4 * 22050)])]
        [torch.Size([2, 16])]
        """
        with torch.no_grad(), evaluating(self._model):
            for batch in self._batches(sound):
                yield self._columns(self._tap(batch))

    def _columns(self, output: Tensor) -> Tensor:
        if not -output.ndim <= self._axis < output.ndim or self._axis % output.ndim == 0:
            raise ParameterError(
                f"channel_axis is {self._axis}; layer {self._tap.layer!r} gives "
                f"{tuple(output.shape)}, of which the first axis is the batch"
            )
        if output.ndim > 2:
            output = output.movedim(self._axis, 1).flatten(2).mean(2)
        return output.cpu()

    def _batches(self, blocks: Iterable[Tensor]) -> Iterator[Tensor]:
        """Excerpts [batch, 1, frame, mel] of a sound that comes in blocks."""
        model = self._model
        length, step = model.patch_frames, model.hop_length
        room = self._room
        wanted = (_BATCH - 1) * self._hop + length  # frames of a batch
        sound, before = torch.zeros(0), 0  # frames in `sound` before the next excerpt
        n_samples = n_excerpts = 0
        for block in blocks:
            sound, n_samples = torch.cat([sound, block]), n_samples + len(block)
            while len(sound) >= (before + wanted + room) * step:
                values = self._prepared(sound[: (before + wanted + room) * step])
                yield sliding(values[before : before + wanted], length, hop=self._hop)[:, None]
                n_excerpts += _BATCH
                before += _BATCH * self._hop
                dropped = min(max(0, before - room), len(sound) // step)
                sound, before = sound[dropped * step :], before - dropped
        rest = len(sound) - before * step
        if self._padded and n_excerpts == 0 and 0 < rest < (length + room) * step:
            values = self._prepared(F.pad(sound, (0, (length + room) * step)))[:length]
        elif rest < (length - 1) * step:
            values = torch.zeros(0, model.n_mels)  # too few samples for some front ends to say so
        else:
            values = self._prepared(sound)[before:]
        if len(values) >= length:
            for part in sliding(values, length, hop=self._hop).split(_BATCH):
                yield part[:, None]
        elif n_excerpts == 0:
            raise ParameterError(
                f"the sound lasts {n_samples / model.sample_rate:.2f} s, too short for an excerpt "
                f"of {length * step / model.sample_rate:.2f} s",
                advice=None if self._padded else PADDED,
            )

    def _prepared(self, sound: Tensor) -> Tensor:
        values: Tensor = self._model.prepare(sound.to(self._device))
        return values


def comparable(about: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the model's name: the weights say which it is, whatever it was loaded by.

    Parameters
    ----------
    about : dict
        Of `SoundFeatures`.

    Returns
    -------
    dict
        What must be the same for features to be compared.

    Examples
    --------
    >>> comparable({"model": "a", "layer": "fc8"})
    {'layer': 'fc8'}
    """
    return {name: value for name, value in about.items() if name != "model"}


def differences(here: Mapping[str, Any], there: Mapping[str, Any]) -> str:
    """Say in what two settings differ.

    Parameters
    ----------
    here, there : dict
        Of `SoundFeatures`.

    Returns
    -------
    str
        Empty if features may be compared.

    Examples
    --------
    >>> differences({"layer": "fc8"}, {"layer": "fc7"})
    'layer fc8 and fc7'
    """
    a, b = comparable(here), comparable(there)
    names = [name for name in {**a, **b} if a.get(name) != b.get(name)]
    told = [f"{name} {a.get(name)} and {b.get(name)}" for name in names]
    if "weights" in names:
        told.insert(0, f"model {here.get('model')} and {there.get('model')}")
    return ", ".join(told)


def _layer(network: nn.Module, settings: FeatureSettings) -> tuple[str, int]:
    kind = type(network).__name__
    default, axis = _DEFAULT_LAYERS.get(kind, ("", 1))
    layer = settings.layer or default
    if not layer:
        names = [name for name, _ in network.named_modules() if name]
        raise ParameterError(
            f"{settings.model} has no default layer",
            advice=Advice("name one with ", Argument("layer"), f": {', '.join(names[-8:])}"),
        )
    if settings.channel_axis is not None:
        axis = settings.channel_axis
    return layer, axis


def _digest(model: Any) -> str:
    """One short text for equal weights, so that a model that was trained on is another."""
    digest = hashlib.sha256()
    for name, values in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(values.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()[:16]

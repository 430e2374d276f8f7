"""Features of the excerpts of sound files, in a layer of a model, computed in a stream.

A file is read and processed in pieces, see `models.pieces`; memory does not grow with its length. A
layer's output with more axes than [batch, unit] is averaged over the other axes, see `taps`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from otoscope.errors import Advice, Argument, ParameterError
from otoscope.metrics import FeatureSet
from otoscope.models.pieces import excerpt_batches
from otoscope.protocols import Rows, evaluating, model_name
from otoscope.protocols.listening import depends_on_clip
from otoscope.signal.audio.files import Blocks
from otoscope.taps import OutputAxes, Tap
from otoscope.workflows.recording import load_identified_listener

__all__ = [
    "FeatureConfig",
    "SoundFeatures",
    "comparable",
    "differences",
    "layer_feature",
    "layer_tap",
]

# The last layer before the outputs.
_DEFAULT_LAYERS = {
    "MusicTagger": "dense",  # 200, after ReLU and norm
    "EventDetector": "leave.1",  # 256 per frame, after ReLU
    "SVDNet": "fc8",  # 64 / shrink, after leaky ReLU
    "SileroVAD": "leave.0",  # 128 per chunk, after ReLU
    "JaVAD": "head.1",  # 256 or 320, after ReLU
    "Crepe": "features",  # 256 per window
    "SpeakerEncoder": "embedding",  # 256, after ReLU
    "SpeakerVerifier": "encoder.embedding",
    "DNSMOS": "opinion.dense",  # 64, after ReLU
    "Opinion": "dense",
}
_UNITS_OF_CREPE = 2  # [batch, window, unit], flattened from windows [time, channel]


@dataclass(frozen=True)
class FeatureConfig:
    """Model and layer that give the features, and the excerpts.

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
        Axis of the layer's output that becomes the columns; the others are averaged. By default
        that of the units: the last of recurrent, linear, attention and embedding layers, 1 of
        convolutions. Required where the layer's type does not say it.
    padded : bool
        Append silence to files that are shorter than an excerpt.
    device : str
        Device that the model runs on: cpu or cuda.

    Examples
    --------
    >>> FeatureConfig("musicnn-mtt").layer
    """

    model: str | None = None
    layer: str | None = None
    hop: float | None = None
    channel_axis: int | None = None
    padded: bool = False
    device: str = "cpu"


class SoundFeatures:
    """Features of sound files, by one model and layer; wrong settings fail at construction.

    ``keep_rows`` keeps the features of all excerpts, however many, beside their moments.
    """

    def __init__(self, config: FeatureConfig, *, keep_rows: bool = False) -> None:
        self.config, self.keep_rows = config, keep_rows
        if config.hop is not None and not 0 < config.hop < float("inf"):
            raise ParameterError(f"hop is {config.hop}, must be seconds above 0")
        if config.model is None:
            raise ParameterError(
                "no model is named",
                advice=Advice("name one, such as ", Argument("model", "musicnn-mtt")),
            )
        self._model: Any
        self._model, identity = load_identified_listener(config.model, device=config.device)
        advice = Advice("name it with ", Argument("channel_axis", 2), " or another axis")
        tap, axes = _tapped(self._model, config, advice)
        layer = tap.layer
        self._columns = Rows(lambda batch: _columns(tap, axes, batch), "an excerpt")
        self._padded = config.padded
        frame_rate = self._model.sample_rate / self._model.hop_length
        length = self._model.patch_frames
        self._hop = length if config.hop is None else max(1, round(config.hop * frame_rate))
        self.about: dict[str, Any] = {
            "model": config.model,
            "name": model_name(self._model),
            "weights": identity["weights"],
            "layer": layer,
            "channel_axis": axes.units,
            "sample_rate": self._model.sample_rate,
            "hop_length": self._model.hop_length,
            "excerpt_frames": length,
            "hop_frames": self._hop,
            "padded": config.padded,
            **({"transformed": alone} if (alone := _transformed(self._model)) else {}),
        }
        """Everything that the features depend on but the code of a user's model, as JSON."""
        self.code = identity["code"]

    def check(self) -> None:
        """Process an excerpt of silence: what fails for it fails before any file is read."""
        list(self.rows([_silence(self._model)]))

    def extract(self, path: Path) -> tuple[FeatureSet, int]:
        """Compute the features of all excerpts of a file; return the file's sampling rate too."""
        blocks = Blocks(path, sr=self._model.sample_rate)
        features = FeatureSet.none()
        for rows in self.rows(blocks):
            features = features.added(rows, keep_rows=self.keep_rows)
        return features, blocks.file_sr

    def rows(self, sound: Iterable[Tensor]) -> Iterator[Tensor]:
        """Compute features [excerpt, column] of a sound that comes in blocks [sample].

        The rows are on the CPU and in the order of time.
        """
        with torch.no_grad(), evaluating(self._model):
            for batch in excerpt_batches(self._model, sound, hop=self._hop, padded=self._padded):
                yield self._columns(batch)


def layer_feature(
    model: Any, name: str, layer: str | None = None
) -> tuple[Callable[[Tensor], Tensor], str]:
    """Return the features [batch, column] of a layer as a function of a batch, and its name."""
    tap, axes = layer_tap(model, name, layer)

    def feature(batch: Tensor) -> Tensor:
        with torch.no_grad(), evaluating(model):
            return _columns(tap, axes, batch)

    return feature, tap.layer


def layer_tap(model: Any, name: str, layer: str | None = None) -> tuple[Tap, OutputAxes]:
    """Return the tap of a layer of a listening model, by default the last, and its axes."""
    advice = Advice("take a layer whose type does with ", Argument("layer"))
    return _tapped(model, FeatureConfig(name, layer), advice)


def comparable(about: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the model's names: the weights identify it, whatever name it was loaded by."""
    return {name: value for name, value in about.items() if name not in ("model", "name")}


def differences(here: Mapping[str, Any], there: Mapping[str, Any]) -> str:
    """List the settings in which features differ; an empty text if they are comparable."""
    a, b = comparable(here), comparable(there)
    names = [name for name in {**a, **b} if a.get(name) != b.get(name)]
    texts = [f"{name} {a.get(name)} and {b.get(name)}" for name in names]
    if "weights" in names:
        texts.insert(0, f"model {here.get('model')} and {there.get('model')}")
    return ", ".join(texts)


def _tapped(model: Any, config: FeatureConfig, advice: Advice) -> tuple[Tap, OutputAxes]:
    """Return the tap of the layer that is named, or of the default one, and its axes.

    ``advice`` is the remedy where the axis of the units is not known.
    """
    network = getattr(model, "network", model)
    if not isinstance(network, nn.Module):
        raise ParameterError(f"{config.model} is no nn.Module, so it has no layers to tap")
    layer = _layer(network, config)
    own = getattr(model, "tap", None)
    tap = own(layer) if callable(own) else Tap(network, layer)
    silence = next(excerpt_batches(model, [_silence(model)], hop=model.patch_frames))
    axes = tap.axes(silence)
    if config.channel_axis is not None:
        n, axis = len(axes.shape), config.channel_axis
        if not -n <= axis < n or axis % n == axes.rows:
            raise ParameterError(
                f"channel_axis is {axis}; layer {tap.layer!r} gives {axes.shape}, of which "
                f"axis {axes.rows} is the batch"
            )
        axes = replace(axes, units=axis)
    elif axes.units is None and type(network).__name__ == "Crepe" and config.layer is None:
        axes = replace(axes, units=_UNITS_OF_CREPE)
    axes.require_units(advice)
    return tap, axes


def _silence(model: Any) -> Tensor:
    return torch.zeros(model.patch_frames * model.hop_length + model.sample_rate)


def _transformed(model: Any) -> str:
    """Say what is transformed at once, if it is no matter of frames."""
    if getattr(model, "per_excerpt", False):
        return "each excerpt"
    return "the sound" if depends_on_clip(model) else ""


def _columns(tap: Tap, axes: OutputAxes, batch: Tensor) -> Tensor:
    return axes.arrange(tap(batch)).mean(2).cpu()


def _layer(network: nn.Module, config: FeatureConfig) -> str:
    layer = config.layer or _DEFAULT_LAYERS.get(type(network).__name__, "")
    layers = dict(network.named_modules())
    if layer not in layers:  # of a listener, whose layers are those of its network
        layer = layer.removeprefix("network.")
    if not layer:
        names = [name for name in layers if name]
        raise ParameterError(
            f"{config.model} has no default layer",
            advice=Advice("name one with ", Argument("layer"), f": {', '.join(names[-8:])}"),
        )
    return layer

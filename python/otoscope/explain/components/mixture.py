"""Mixtures: a sound as the sum of its components, each beside the sound that replaces it.

Components that overlap lie in different layers, so that each sample of a layer belongs to one
component: a mixture is a patch [sample, layer] with a segment per component, whose layers the
model adds up before it listens. Occlusion, coalitions and the shared pass are those of patches.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from otoscope import ops
from otoscope.errors import Advice, ParameterError
from otoscope.explain.components.base import Components, Excerpt, Part
from otoscope.protocols import InputLayout, call_model
from otoscope.protocols.layout import SOUND
from otoscope.protocols.signature import with_remedy

__all__ = ["Mixed", "Mixture", "mix", "require_answer"]

_COVERS_DB = -90.0  # float32 is exact to -140 dB


@dataclass(frozen=True, eq=False)
class Mixture:
    """A sound as the sum of its components, each beside the sound that replaces it.

    Parameters
    ----------
    kept : Tensor [sample, layer]
        Samples of the components; of a sound of several channels, [sample, channel * layer].
    replaced : Tensor [sample, layer]
        Samples of the replacements.
    ids : Tensor [sample, layer], int32
        Component of each sample.
    n_components : int
        Number of components.
    n_channels : int
        Number of channels; 0 for [sample].
    """

    kept: Tensor
    replaced: Tensor
    ids: Tensor
    n_components: int
    n_channels: int = 0

    def render(self, keep: Tensor | ops.Coalitions) -> Tensor:
        """Make the sounds that the model hears.

        Parameters
        ----------
        keep : Tensor [coalition, component], bool, or ops.Coalitions
            Components that stay.

        Returns
        -------
        Tensor [coalition, sample] or [coalition, channel, sample]
            The model's inputs, to the bit.
        """
        segments = ops.SegmentMap(self.ids, self.n_components)
        return add_layers(ops.occlude(self.kept, self.replaced, segments, keep), self.n_channels)

    def variants(self, n_coalitions: int) -> float:
        """Return the mean number of values that a sample has over some coalitions, at most."""
        is_there = (self.kept != 0) | (self.replaced != 0)
        at_once = is_there.sum(1) / max(1, self.n_channels)
        return float(torch.exp2(at_once).clamp(max=n_coalitions).mean())

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Mixture:
        """Move the samples to a device and a type."""
        return Mixture(
            self.kept.to(device, dtype),
            self.replaced.to(device, dtype),
            self.ids.to(device),
            self.n_components,
            self.n_channels,
        )


class Mixed(nn.Module):
    """Call a model of sounds with mixtures [batch, 1, sample, layer], whose layers it adds up."""

    def __init__(self, model: Any, n_channels: int, layout: InputLayout | None) -> None:
        super().__init__()
        self.model, self.n_channels, self.layout = model, n_channels, layout
        if layout is not None and not layout.is_sound:
            raise ParameterError(
                f"layout is {str(layout)!r}, which is of pictures, and a sound is explained; join "
                "the network to its front end with otoscope.models.Listener, or, for a network of "
                "waveforms, name the axis sample"
            )
        if layout is not None and n_channels:
            raise ParameterError(
                f"layout is {str(layout)!r} and the sound has {n_channels} channels; mix it to "
                "mono with y.mean(0), or leave layout out for a model of [batch, channel, sample]"
            )

    def forward(self, batch: Tensor) -> Any:
        """Add the layers up, and ask the model."""
        sounds = add_layers(batch[:, 0], self.n_channels)
        return self.model(sounds if self.layout is None else sounds[:, None, :, None])

    def given(self, batch: Tensor) -> tuple[Tensor, str]:
        """Return what the model is given for a batch, and the names of its axes, for messages."""
        sounds = add_layers(batch[:, 0], self.n_channels)
        if self.layout is not None:
            return self.layout.arrange(sounds[:, None, :, None]), self.layout.named
        return sounds, "[batch, channel, sample]" if self.n_channels else "[batch, sample]"


def add_layers(batch: Tensor, n_channels: int) -> Tensor:
    """Add the layers up: [batch, sample, layer] -> [batch, sample] or [batch, channel, sample]."""
    if not n_channels:
        return batch.sum(-1)
    channels: Tensor = batch.unflatten(-1, (n_channels, -1)).sum(-1).transpose(1, 2)
    return channels


def mix(components: Components, excerpt: Excerpt) -> tuple[Mixture, list[Part]]:
    """Split a sound into components that add up to it, in float64 on the CPU."""
    parts = components.split(excerpt.whole, excerpt)
    if not parts:
        raise ParameterError(f"components {components} select no part")
    total = torch.zeros_like(excerpt.y)
    for part in parts:
        total[..., part.first : part.first + part.kept.shape[-1]] += part.kept
    _check_cover(components, excerpt, total)
    return _layered(parts, excerpt), parts


def require_answer(model: Mixed, mixture: Mixture) -> None:
    """Refuse a sound that the model does not take, with the layout or channels that it takes.

    A convolution takes [1, sample] for a sound of one channel without a batch, so it gets two.
    """
    batch = mixture.kept[None, None]
    is_ambiguous = model.layout is None and not model.n_channels
    try:
        call_model(model, batch.expand(1 + is_ambiguous, *batch.shape[1:]))
    except ParameterError as err:
        advised = _with_channels(err, model, batch)
        if is_ambiguous and advised.advice is None:  # the model may be one for single sounds
            with suppress(ParameterError):
                call_model(model, batch)
                return
        raise advised from err.__cause__


def _with_channels(err: ParameterError, model: Mixed, batch: Tensor) -> ParameterError:
    """Add to a model's error the layout, or the number of channels, with which it takes a sound."""
    sounds = add_layers(batch[:, 0], model.n_channels)
    if not model.n_channels:
        layout = model.layout or SOUND
        return with_remedy(err, model.model, sounds[:, None, :, None], layout=layout)
    try:
        call_model(model.model, sounds.mean(1))
    except ParameterError:
        return err
    return ParameterError(err.message, advice=Advice("the model takes mono: give y.mean(0)"))


def _check_cover(components: Components, excerpt: Excerpt, total: Tensor) -> None:
    error = excerpt.y - total
    power, whole = float(error.square().sum()), float(excerpt.y.square().sum())
    if power <= whole * 10 ** (_COVERS_DB / 10):
        return
    level = 10 * math.log10(power / whole) if whole else math.inf
    loud = error.abs() > error.abs().max() / 100
    at = (loud if loud.ndim == 1 else loud.any(0)).nonzero()[:, 0]
    first, last = int(at[0]), int(at[-1]) + 1
    where = (
        f"samples {first}-{last}"
        if excerpt.sr is None
        else f"{first / excerpt.sr:.2f}-{last / excerpt.sr:.2f} s"
    )
    raise ParameterError(
        f"components {components} do not cover the sound once: their sum differs from it at "
        f"{where}, by {level:.1f} dB against the sound; add what is missing with |, or take "
        "away what is there twice"
    )


def _layered(parts: Sequence[Part], excerpt: Excerpt) -> Mixture:
    """Put each part into the first layer that is free where the part lies.

    Invariant: ``ends[i]`` is one past the last sample of layer i. Two windows that cross fade lie
    in two layers: 0, 1, 0, 1, ...
    """
    layers: list[list[int]] = []
    ends: list[int] = []
    for i in sorted(range(len(parts)), key=lambda i: (parts[i].first, i)):
        first, end = parts[i].first, parts[i].first + parts[i].kept.shape[-1]
        free = next((k for k, last in enumerate(ends) if last <= first), len(layers))
        if free == len(layers):
            layers.append([])
            ends.append(0)
        layers[free].append(i)
        ends[free] = end
    lead, n = excerpt.y.shape[:-1], excerpt.n_samples
    kept = torch.zeros(*lead, len(layers), n, dtype=torch.float64)
    replaced, ids = kept.clone(), torch.zeros(len(layers), n, dtype=torch.int32)
    for layer, members in enumerate(layers):
        for i in members:
            first, end = parts[i].first, parts[i].first + parts[i].kept.shape[-1]
            kept[..., layer, first:end] = parts[i].kept
            replaced[..., layer, first:end] = parts[i].replaced
            ids[layer, (first if i != members[0] else 0) :] = i
    n_channels = lead[0] if lead else 0
    return Mixture(
        kept.flatten(0, -2).T.contiguous(),
        replaced.flatten(0, -2).T.contiguous(),
        ids.repeat(max(1, n_channels), 1).T.contiguous(),
        len(parts),
        n_channels,
    )

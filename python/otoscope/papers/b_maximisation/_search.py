"""Shared parts of the experiments: real excerpts of songs, priors, and the search of a unit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.explain.maximise import ActivationMaximiser, Extremes, RawPrior, Stopping
from otoscope.explain.maximise.unit import Index
from otoscope.models.checksummed import bundle_files
from otoscope.models.generator_bundle import find_generator
from otoscope.models.pieces import excerpt_batches
from otoscope.papers.a_soundlime._excerpts import (
    SongStems,
    digest_of_songs,
    song_names,
    song_stems,
)
from otoscope.protocols import evaluating
from otoscope.records.files import file_digest
from otoscope.workflows import MaximiseConfig
from otoscope.workflows.maximise.priors import FittedPrior, choose_prior
from otoscope.workflows.recording import load_identified_listener

__all__ = [
    "PUBLISHED",
    "RealExcerpts",
    "SearchSettings",
    "UnitSearch",
    "direction_name",
    "directions_of",
    "excerpts_of",
    "mixes",
]

PUBLISHED = {
    "maximise": (1.654, 33.087, 1557.7),
    "minimise": (0.541, 16.086, 60533.0),
    "two outputs, non-vocal": (3.894, 28.6, 88626.0),
    "two outputs, vocal": (8.459, 233.0, 26752.0),
}
"""The paper's distances of the best, median and worst setting."""

_BOUND = 30  # times the largest real activation: beyond it a row has exploded
_PATIENCE = 300  # steps without a gain after which a row stops: with 100, some stop on a plateau


class SearchSettings(Protocol):
    """Settings that all experiments of maximisation have."""

    @property
    def model(self) -> str:
        """Name of the model."""
        ...

    @property
    def layer(self) -> str:
        """Layer of the unit."""
        ...

    @property
    def unit(self) -> str:
        """Index of the unit."""
        ...

    @property
    def generator(self) -> Path | None:
        """Generator, None for the shipped one."""
        ...

    @property
    def songs(self) -> Path | None:
        """Folder of stems, None for our synthesiser's songs."""
        ...

    @property
    def n_songs(self) -> int:
        """Number of songs."""
        ...

    @property
    def every(self) -> float:
        """Seconds between excerpts."""
        ...

    @property
    def seed(self) -> int:
        """Random seed."""
        ...

    @property
    def device(self) -> str:
        """Device of the model."""
        ...


@dataclass(frozen=True, eq=False)
class RealExcerpts:
    """Excerpts of the songs' mixes, as inputs of the model, with the unit's activations."""

    values: Tensor  # [excerpt, 1, frame, mel]
    songs: tuple[str, ...]  # of each excerpt
    activations: Tensor  # [excerpt], float64

    def furthest(self, k: int, *, maximise: bool) -> Tensor:
        """Return the places of the k excerpts with the largest, or smallest, activations."""
        order = self.activations.argsort(descending=maximise, stable=True)
        return order[:k]


class UnitSearch:
    """A model's unit, real excerpts, and maximisers by the name of a prior."""

    def __init__(self, settings: SearchSettings) -> None:
        self.settings = settings
        self.model, self.identity = load_identified_listener(settings.model, device=settings.device)
        self.names = song_names(settings.songs, settings.n_songs)
        self._index = index_of(settings.unit)
        self._unit = self._unsearched()
        self.real = self._read()
        self._moments = Extremes(
            (),
            len(self.real.values),
            self.real.values.double().mean((0, 1, 2)),
            self.real.values.double().std((0, 1, 2), correction=0),
        )

    @property
    def about(self) -> dict[str, Any]:
        """Identities of model, songs and generator, on which all rows depend."""
        settings = self.settings
        place = find_generator(settings.generator)
        return {
            "model": self.identity,
            "songs": digest_of_songs(settings.songs, settings.n_songs),
            "generator": [file_digest(file)[:16] for file in bundle_files(place)],
        }

    @property
    def hop(self) -> int:
        """Frames between real excerpts."""
        rate: float = self.model.sample_rate / self.model.hop_length
        return max(1, round(self.settings.every * rate))

    def prior(self, name: str) -> FittedPrior:
        """Fit a prior to the real excerpts."""
        config = MaximiseConfig(
            self.settings.model, self.settings.layer, prior=name, generator=self._generator(name)
        )
        return choose_prior(self.model, config).like(self._moments, self.real.values[:512])

    def prior_name(self, name: str) -> str:
        """Return the name of a prior, which "auto" does not tell."""
        config = MaximiseConfig(
            self.settings.model, self.settings.layer, prior=name, generator=self._generator(name)
        )
        return choose_prior(self.model, config).name

    def of_unit(self, unit: int, activations: Tensor) -> UnitSearch:
        """Search another unit of the layer, with its activations by the real excerpts."""
        other = copy(self)
        other._index = unit
        other._unit = other._unsearched()
        other.real = replace(self.real, activations=activations)
        return other

    def maximiser(self, prior: str, *, maximise: bool, stops: bool = True) -> ActivationMaximiser:
        """Compose a search that stops exploded and stationary rows, unless told otherwise."""
        fitted = self.prior(prior)
        bound = _BOUND * float(self.real.activations.abs().max().clamp(min=1e-6))
        return ActivationMaximiser(
            self.model,
            fitted.prior,
            layer=self.settings.layer,
            unit=self._index,
            prepare=fitted.prepare,
            maximise=maximise,
            memory_format="auto",
            stopping=Stopping(bound, _PATIENCE) if stops else None,
        )

    def activations(self, values: Tensor) -> Tensor:
        """Compute the unit's activations [excerpt], float64, of inputs [excerpt, 1, frame, mel]."""
        with torch.no_grad(), evaluating(self.model):
            parts = [self._unit.unit(part).double().cpu() for part in values.split(16)]
        return torch.cat(parts)

    def features(self, layer: str) -> Callable[[Tensor], Tensor]:
        """Return the features [excerpt, unit] of a layer as a function, positions averaged."""
        from otoscope.workflows.maximise.specimens import layer_features

        feature = layer_features(self.model, layer)
        return lambda values: torch.cat(
            [feature(part).detach().double().cpu() for part in values.split(16)]
        )

    def _unsearched(self) -> ActivationMaximiser:
        plain = RawPrior((1, self.model.patch_frames, self.model.n_mels))
        return ActivationMaximiser(self.model, plain, layer=self.settings.layer, unit=self._index)

    def _generator(self, prior: str) -> Path | None:
        return self.settings.generator if prior in ("auto", "gan") else None

    def _read(self) -> RealExcerpts:
        model, settings = self.model, self.settings
        if not settings.every > 0:
            raise ParameterError(f"every is {settings.every}, must be seconds above 0")
        excerpts, songs = excerpts_of(settings, model, self.names, hop=self.hop)
        if len(songs) < 2:
            raise ParameterError(f"there is {len(songs)} real excerpt: a distance needs two")
        return RealExcerpts(excerpts, songs, self.activations(excerpts))


def excerpts_of(
    settings: SearchSettings, model: Any, names: Sequence[str], *, hop: int
) -> tuple[Tensor, tuple[str, ...]]:
    """Read the excerpts [excerpt, 1, frame, mel] of songs, and the song of each."""
    values, songs = list[Tensor](), list[str]()
    for name, stems in zip(names, mixes(settings, model, len(names)), strict=True):
        for batch in excerpt_batches(model, [stems.voice + stems.backing], hop=hop):
            values.append(batch)
            songs += [name] * len(batch)
    return torch.cat(values), tuple(songs)


def mixes(settings: SearchSettings, model: Any, n: int) -> Iterator[SongStems]:
    """Yield the stems of the songs at the model's rate."""
    for index in range(n):
        stems = song_stems(settings.songs, index, sr=model.sample_rate, seed=settings.seed)
        length = min(len(stems.voice), len(stems.backing))
        yield replace(stems, voice=stems.voice[:length], backing=stems.backing[:length])


def index_of(unit: str) -> Index:
    """Read an index, "3" or "3,10,5" or "...,3"."""
    return MaximiseConfig("m", "l", unit=unit).index


def direction_name(maximise: bool) -> str:
    """Return "maximise" or "minimise"."""
    return "maximise" if maximise else "minimise"


def directions_of(text: str) -> tuple[bool, ...]:
    """Read "maximise", "minimise" or "both"."""
    known = {"maximise": (True,), "minimise": (False,), "both": (True, False)}
    if not re.fullmatch("|".join(known), text):
        raise ParameterError(f"direction is {text!r}, must be maximise, minimise or both")
    return known[text]

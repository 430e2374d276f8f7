"""Priors by name, fitted to a model and to real excerpts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from otoscope.errors import Advice, Argument, Ignored, ParameterError
from otoscope.explain.maximise import (
    Extremes,
    FourierPrior,
    GeneratorPrior,
    MacoPrior,
    Prior,
    RawPrior,
    ScaledPrior,
)
from otoscope.explain.maximise.priors import ignored_regularisers
from otoscope.models.generator_bundle import (
    TrainedGenerator,
    load_generator,
)
from otoscope.protocols import device_of, dtype_of
from otoscope.seeds import numpy_generator
from otoscope.workflows.maximise.specimens import floor_of

__all__ = [
    "PRIORS",
    "ChosenPrior",
    "FittedPrior",
    "PriorSettings",
    "Reservoir",
    "choose_prior",
    "ignored_settings",
    "refuse_penalties",
    "regularisers",
]

PRIORS = ("auto", "gan", "maco", "fourier", "raw")
"""Names of the priors; "auto" is gan where the generator fits the model, else maco."""

_N_KEPT = 512  # excerpts whose magnitudes the prior maco has


class PriorSettings(Protocol):
    """Settings of a prior, as `MaximiseConfig` has them."""

    @property
    def prior(self) -> str:
        """Name of the prior."""
        ...

    @property
    def generator(self) -> Path | None:
        """Generator, None for the shipped one."""
        ...

    @property
    def l2(self) -> float:
        """Weight of the sum of squares."""
        ...

    @property
    def variation(self) -> float:
        """Weight of the total variation."""
        ...

    @property
    def blur(self) -> float:
        """Deviation of the blur, in cells."""
        ...

    @property
    def blur_every(self) -> int:
        """Steps between blurs."""
        ...

    @property
    def jitter(self) -> tuple[int, int]:
        """Largest shift, in frames and bands."""
        ...

    @property
    def iterations(self) -> tuple[int, ...]:
        """Numbers of iterations."""
        ...


@dataclass(frozen=True, eq=False)
class FittedPrior:
    """A prior, and the function from its outputs to the model's inputs."""

    prior: Prior
    prepare: Callable[[Tensor], Tensor] | None


@dataclass(frozen=True, eq=False)
class ChosenPrior:
    """A prior for a model, before the real excerpts are known."""

    name: str
    model: Any
    settings: PriorSettings
    generator: TrainedGenerator | None

    def like(self, real: Extremes, excerpts: Tensor) -> FittedPrior:
        """Fit the prior to real excerpts: their moments, and magnitudes of ``excerpts``."""
        model, settings = self.model, self.settings
        floor = floor_of(model, real)

        def above_floor(x: Tensor) -> Tensor:
            return x if floor is None else torch.maximum(x, floor.to(x))

        if self.generator is not None:
            network = self.generator.network.to(device_of(model), dtype_of(model))
            prior = GeneratorPrior(network, network.latent_size)
            return FittedPrior(prior, lambda x: above_floor(model.domain.values(x)))
        shape = (1, model.patch_frames, model.n_mels)
        if self.name == "maco":
            return FittedPrior(MacoPrior.of(excerpts), above_floor)
        made: Prior = FourierPrior(shape)
        if self.name == "raw":
            blur = settings.blur, settings.blur_every
            made = RawPrior(shape, settings.l2, settings.variation, *blur)
        return FittedPrior(ScaledPrior.like(made, real), above_floor)


def choose_prior(model: Any, settings: PriorSettings) -> ChosenPrior:
    """Choose the prior of a model by its name; with "auto", gan if the generator fits, else maco.

    A generator that is named, or that prior gan needs, must fit the model.
    """
    name, generator = settings.prior, None
    if name == "gan" or settings.generator is not None:
        name, generator = "gan", load_generator(settings.generator)
        _require_fit(generator, model)
    elif name == "auto":
        name, generator = "gan", load_generator()
        try:
            _require_fit(generator, model)
        except ParameterError:
            name, generator = "maco", None
    return ChosenPrior(name, model, settings, generator)


def ignored_settings(settings: PriorSettings) -> list[Ignored]:
    """List the settings that change nothing with this prior."""
    ignored = ignored_regularisers(
        settings.prior,
        blur=settings.blur,
        blur_every=settings.blur_every,
        iterations=max(settings.iterations),
    )
    if settings.prior not in ("auto", "gan"):
        reason = f"which is of prior gan, not {settings.prior}"
        ignored.append(Ignored("generator", reason, (Argument("prior", "gan"),)))
    return ignored


def refuse_penalties(
    prior: str, penalties: tuple[float, ...], usual: tuple[tuple[float, ...], ...]
) -> None:
    """Refuse penalties with prior maco, other than the ``usual`` ones: defaults and a grid."""
    if prior == "maco" and penalties not in usual:
        raise ParameterError(
            f"penalty is {', '.join(map(str, penalties))}, and all phases of prior maco are "
            "equally likely",
            advice=Advice("leave out ", Argument("penalty"), ", or choose another prior"),
        )


def regularisers(settings: PriorSettings, prior: str) -> str:
    """Name the prior and the regularisers that differ from the defaults."""
    parts = [prior]
    both = (("l2", settings.l2, 1), ("variation", settings.variation, 0))
    parts += [f"{name} {value:g}" for name, value, usual in both if value != usual]
    if settings.blur:
        parts.append(f"blur {settings.blur:g} every {settings.blur_every} steps")
    if any(settings.jitter):
        parts.append("jitter {} frames, {} bands".format(*settings.jitter))
    return ", ".join(parts)


class Reservoir:
    """Pass excerpts on, and keep at most 512 of them, each with the same probability."""

    def __init__(self, excerpts: Iterable[Tensor], *, seed: int) -> None:
        self._source, self._rng = excerpts, numpy_generator(seed)
        self._kept: list[Tensor] = []

    def __iter__(self) -> Iterator[Tensor]:
        for i, excerpt in enumerate(self._source):
            if i < _N_KEPT:
                self._kept.append(excerpt)
            elif (place := int(self._rng.integers(i + 1))) < _N_KEPT:
                self._kept[place] = excerpt
            yield excerpt

    @property
    def excerpts(self) -> Tensor:
        """Those that are kept: Tensor [excerpt, 1, frame, mel]."""
        return torch.stack(self._kept)


def _require_fit(generator: TrainedGenerator, model: Any) -> None:
    generator.require_fit(getattr(model, "front_end", None), model.patch_frames, model.n_mels)

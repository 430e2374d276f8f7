"""Interventions on sound, and their composition.

All renderings of an item have the same duration and begin where the sound begins: a faster
rendering takes more of the sound, a slower one less. Nothing is padded with silence, which would be
a cue of its own. ``first | second`` composes two interventions into a `Chain`.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.intervene.base import Intervention, RenderInput
from otoscope.seeds import item_seed

__all__ = ["Chain", "SoundIntervention", "longest_duration"]


@dataclass(frozen=True)
class SoundIntervention(Intervention):
    """An intervention on sound; a subclass implements ``_transform``.

    Examples
    --------
    >>> from otoscope.intervene import Crop, Tempo
    >>> Tempo(6).input_length(100, 8000), Crop(1).input_length(100, 8000)
    (106, 8100)
    """

    @abstractmethod
    def _transform(self, source: RenderInput) -> Tensor:
        """Return the changed sound at a dose other than 0: at least ``source.n_samples``."""

    def input_length(self, n_samples: int, sr: float) -> int:
        """Return the number of samples of the sound that a rendering of ``n_samples`` takes.

        A subclass that takes more or less than it returns overrides this method; the number must
        not fall as ``n_samples`` grows.
        """
        return n_samples

    def render(
        self, y: Tensor, sr: float, *, duration: float | None = None, seed: int = 0
    ) -> Tensor:
        """Apply the intervention to one sound.

        Parameters
        ----------
        y : Tensor [sample] or [channel, sample]
            Sound, float32 or float64, finite, about -1 to 1. Random numbers are drawn once for all
            channels, except those of noise.
        sr : float
            Sampling rate, in Hz.
        duration : float, optional
            Duration of the result, in seconds. Default: the longest that ``y`` allows, at most its
            own.
        seed : int
            Seed of the item: see `item_seed`. It sets the random numbers, the dose their size.

        Returns
        -------
        Tensor [round(duration * sr)] or [channel, round(duration * sr)]
            Changed sound, with the dtype and on the device of ``y``; computed on the CPU, not
            differentiable. At a dose of 0 the beginning of ``y``, bit by bit.

        Raises
        ------
        ParameterError
            If ``y`` is not a sound or is too short (the message names the longest duration), or if
            the intervention cannot be applied at this ``sr``.

        Examples
        --------
        >>> from otoscope.intervene import Tempo
        >>> Tempo(6, stretcher="librosa").render(torch.zeros(10600), 8000, duration=1.25).shape
        torch.Size([10000])
        """
        source = self.prepare(y, sr, duration=duration, seed=seed)
        return self.apply(source).to(y, copy=True)

    def prepare(
        self, y: Tensor, sr: float, *, duration: float | None = None, seed: int = 0
    ) -> RenderInput:
        """Validate a sound and cut out what a rendering takes; arguments as for `render`."""
        _check_sound(y, sr)
        if duration is not None and not 0 < duration < math.inf:
            raise ParameterError(f"duration is {duration} s, must be > 0")
        whole = y.shape[-1]
        n = self.longest_rendering(whole, sr) if duration is None else round(duration * sr)
        if n < 1:
            raise ParameterError(
                f"{self}: y has {whole / sr:g} s, duration is {duration} s: no sample would be left"
            )
        needed = self.input_length(n, sr)
        if needed > whole:
            raise ParameterError(
                f"{self}: y has {whole / sr:.6g} s, and {n / sr:.6g} s of the rendering take "
                f"{needed / sr:.6g} s: analyse at most {self.longest_rendering(whole, sr) / sr:.6g}"
                " s"
            )
        return RenderInput(y.detach()[..., :needed].cpu(), sr, n, seed)

    @torch.no_grad()
    def apply(self, source: RenderInput) -> Tensor:
        """Render a prepared sound, on the CPU; at a dose of 0 the result is a view of it."""
        own = replace(source, y=source.y.clone())  # a transform may write into its input
        changed = self._transform(own) if self.dose else source.y
        return changed[..., : source.n_samples]

    def longest_rendering(self, n_samples: int, sr: float) -> int:
        """Return the length of the longest rendering of a sound of ``n_samples``, at most that."""
        lengths = range(n_samples + 1)
        return bisect_right(lengths, n_samples, key=lambda n: self.input_length(n, sr)) - 1

    def __or__(self, other: SoundIntervention) -> Chain:
        """Apply this intervention, then the other."""
        return Chain((self, other))


@dataclass(frozen=True)
class Chain(SoundIntervention):
    """A composition: one intervention after another, each with its own random numbers.

    Its dose is 1, or 0 if all links are off; for other doses, vary the links.

    Parameters
    ----------
    links : tuple of SoundIntervention
        Interventions in the order of application, at least one; chains among them are flattened.
    label_preserving : bool
        Claim that the right answer stays; False if any link does not claim so.

    Examples
    --------
    >>> from otoscope.intervene import Gain, Polarity
    >>> print(Gain(6) | Polarity())
    gain +6 dB | polarity
    """

    links: tuple[SoundIntervention, ...]

    unit = ""
    bounds = (1.0, 1.0)

    def __post_init__(self) -> None:
        if not self.links or not all(isinstance(link, SoundIntervention) for link in self.links):
            raise ParameterError(
                f"links is {self.links!r}, must hold one or more interventions on sound"
            )
        flat = [
            part
            for link in self.links
            for part in (link.links if isinstance(link, Chain) else (link,))
        ]
        object.__setattr__(self, "links", tuple(flat))
        claim = self.label_preserving and all(link.label_preserving for link in flat)
        object.__setattr__(self, "label_preserving", claim)

    @property
    def name(self) -> str:
        """The links in order, so that one interrogation can hold two chains."""
        return str(self)

    @property
    def is_random(self) -> bool:
        """Whether a rendering of any link depends on the seed."""
        return any(link.is_random for link in self.links)

    @property
    def dose(self) -> float:
        """1, or 0 if all links are off."""
        return float(any(link.dose for link in self.links))

    @property
    def pitch_ratio(self) -> float | None:
        """Product of the links' factors of frequencies; None if no link changes the pitch."""
        ratios = [link.pitch_ratio for link in self.links if link.pitch_ratio is not None]
        return math.prod(ratios) if ratios else None

    @property
    def time_ratio(self) -> float | None:
        """Product of the links' factors of the tempo; None if no link changes it."""
        ratios = [link.time_ratio for link in self.links if link.time_ratio is not None]
        return math.prod(ratios) if ratios else None

    @property
    def time_shift(self) -> float | None:
        """Sum of the links' shifts in s, each scaled by later links; None if no link shifts."""
        shift = None
        for link in self.links:
            if shift is not None:
                shift /= link.time_ratio or 1.0
            if link.time_shift is not None:
                shift = (shift or 0.0) + link.time_shift
        return shift

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of the links."""
        return {"intervention": "Chain", "links": [link.settings for link in self.links]}

    def with_dose(self, dose: float) -> Chain:
        """Return the chain itself for a dose of 1, or all its links off for a dose of 0."""
        if dose not in (0, 1):
            raise ParameterError(
                f"chain: dose is {dose:g}, must be 0 (off) or 1: for others, vary its links"
            )
        return self if dose else Chain(tuple(link.with_dose(0) for link in self.links))

    def placebo(self) -> Chain | None:
        """Return the placebos of all links, or None if a link has none."""
        placebos = [link.placebo() for link in self.links]
        sounds = tuple(p for p in placebos if isinstance(p, SoundIntervention))
        return Chain(sounds) if len(sounds) == len(placebos) else None

    def input_length(self, n_samples: int, sr: float) -> int:
        """Return the number of samples that the first link takes."""
        return self._lengths(n_samples, sr)[0]

    def __str__(self) -> str:
        """The links, in order."""
        return " | ".join(map(str, self.links))

    def _lengths(self, n_samples: int, sr: float) -> list[int]:
        """Return the numbers of samples before the first link, between links, after the last."""
        backwards = accumulate(
            reversed(self.links), lambda n, link: link.input_length(n, sr), initial=n_samples
        )
        return list(backwards)[::-1]

    def _transform(self, source: RenderInput) -> Tensor:
        y, lengths = source.y, self._lengths(source.n_samples, source.sr)[1:]
        for place, (link, n) in enumerate(zip(self.links, lengths, strict=True)):
            own = replace(source, y=y, n_samples=n, seed=item_seed(source.seed, place))
            y = link.apply(own)
        return y


def longest_duration(
    interventions: Iterable[SoundIntervention], n_samples: int, sr: float
) -> float:
    """Return the longest duration that all interventions can render.

    Parameters
    ----------
    interventions : iterable of SoundIntervention
        Interventions, each at its greatest doses.
    n_samples : int
        Length of the shortest sound, in samples.
    sr : float
        Sampling rate, in Hz.

    Returns
    -------
    float
        Duration in seconds, at most that of the sound.

    Examples
    --------
    >>> from otoscope.intervene import Gain, Tempo
    >>> round(longest_duration([Tempo(6), Tempo(-6), Gain(3)], 80000, 8000), 3)
    9.434
    """
    longest = (i.longest_rendering(n_samples, sr) for i in interventions)
    return min(longest, default=n_samples) / sr


def _check_sound(y: Tensor, sr: float) -> None:
    """Raise ParameterError unless ``y`` is a finite float sound and ``sr`` is positive."""
    if y.ndim not in (1, 2) or y.dtype not in (torch.float32, torch.float64) or y.numel() == 0:
        raise ParameterError(
            f"y is {y.dtype} {tuple(y.shape)}, must be float32 or float64, "
            "[sample] or [channel, sample], not empty"
        )
    if y.ndim == 2 and y.shape[0] > y.shape[1]:
        raise ParameterError(
            f"y has {y.shape[0]} channels of {y.shape[1]} samples; for [sample, channel] pass y.T"
        )
    if bad := int((~y.isfinite()).sum()):
        raise ParameterError(f"{bad} of {y.numel()} samples of y are NaN or infinite")
    if not 0 < sr < float("inf"):
        raise ParameterError(f"sr is {sr}, must be > 0")

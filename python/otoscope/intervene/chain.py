"""Several interventions in a row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.intervene.base import SoundIntervention
from otoscope.intervene.source import Source
from otoscope.seeds import item_seed

__all__ = ["Chain"]


@dataclass(frozen=True)
class Chain(SoundIntervention):
    """One intervention after another, each with random numbers of its own.

    Its dose is 1, or 0 if all links are off; for other doses, vary the links.

    Parameters
    ----------
    links : tuple of SoundIntervention
        From the first to the last, at least one; a chain among them is taken apart.
    irrelevant : bool
        False if it is of a link.

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
        claimed = self.irrelevant and all(link.irrelevant for link in flat)
        object.__setattr__(self, "irrelevant", claimed)

    @property
    def name(self) -> str:
        """The links, in order: two chains may be asked about at once."""
        return str(self)

    @property
    def is_random(self) -> bool:
        """Whether a link's rendering depends on the seed."""
        return any(link.is_random for link in self.links)

    @property
    def dose(self) -> float:
        """1, or 0 if all links are off."""
        return float(any(link.dose for link in self.links))

    @property
    def settings(self) -> dict[str, Any]:
        """Those of the links."""
        return {"intervention": "Chain", "links": [link.settings for link in self.links]}

    def with_dose(self, dose: float) -> Chain:
        """Switch it off, or leave it.

        Parameters
        ----------
        dose : float
            0: all links off; 1: as it is.

        Returns
        -------
        Chain
            This, or one of links that are off.

        Raises
        ------
        ParameterError
            If the dose is neither.

        Examples
        --------
        >>> from otoscope.intervene import Gain, Polarity
        >>> print((Gain(6) | Polarity()).with_dose(0))
        gain 0 dB | polarity kept
        """
        if dose not in (0, 1):
            raise ParameterError(
                f"chain: dose is {dose:g}, must be 0 (off) or 1: for others, vary its links"
            )
        return self if dose else Chain(tuple(link.with_dose(0) for link in self.links))

    def placebo(self) -> Chain | None:
        """Give the placebos of all links, or None if a link has none."""
        placebos = [link.placebo() for link in self.links]
        sounds = tuple(p for p in placebos if isinstance(p, SoundIntervention))
        return Chain(sounds) if len(sounds) == len(placebos) else None

    def _needed(self, n_samples: int, sr: float) -> int:
        return self._lengths(n_samples, sr)[0]

    def __str__(self) -> str:
        """The links, in order."""
        return " | ".join(map(str, self.links))

    def _lengths(self, n_samples: int, sr: float) -> list[int]:
        """Samples before the first link, between links, and after the last."""
        backwards = accumulate(
            reversed(self.links), lambda n, link: link.needed(n, sr), initial=n_samples
        )
        return list(backwards)[::-1]

    def _changed(self, source: Source) -> Tensor:
        y, after = source.y, self._lengths(source.n_samples, source.sr)[1:]
        for place, (link, n) in enumerate(zip(self.links, after, strict=True)):
            own = replace(source, y=y, n_samples=n, seed=item_seed(source.seed, place))
            y = link.rendered(own)
        return y

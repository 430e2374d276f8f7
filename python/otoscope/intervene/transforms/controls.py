"""Replace the sound by silence, noise or another sound, to test whether it is used at all.

An answer that stays without the sound, with noise in its place, or with the sound of another item,
does not depend on the sound: the system goes by silence, length or luck.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.intervene.base import RenderInput
from otoscope.intervene.sound import SoundIntervention

__all__ = ["CONTROLS", "NoAudio", "NoiseInstead", "OtherItem"]


@dataclass(frozen=True)
class _Replacement(SoundIntervention):
    """A replacement of the whole sound; off or on."""

    is_on: float = 1
    label_preserving: bool = field(default=False, kw_only=True)

    unit = ""
    bounds = (1.0, 1.0)

    def __str__(self) -> str:
        """Name, without a dose."""
        return self.name if self.is_on else f"{self.name}: off"


@dataclass(frozen=True)
class NoAudio(_Replacement):
    """Replace the sound by digital silence.

    Parameters
    ----------
    is_on : float
        1 to replace it, 0 to leave the sound as it is.
    label_preserving : bool
        Claim that the right answer stays; False: it is a positive control.

    Examples
    --------
    >>> NoAudio().render(torch.ones(3), 8000)
    tensor([0., 0., 0.])
    """

    name = "no audio"

    def _transform(self, source: RenderInput) -> Tensor:
        return torch.zeros_like(source.y)


@dataclass(frozen=True)
class NoiseInstead(_Replacement):
    """Replace the sound by white noise of the same level.

    Parameters
    ----------
    is_on : float
        1 to replace it, 0 to leave the sound as it is.
    label_preserving : bool
        Claim that the right answer stays; False: it is a positive control.

    Examples
    --------
    >>> y = NoiseInstead().render(torch.full((8000,), 0.25), 8000)
    >>> round(float(y.square().mean().sqrt()), 2)
    0.25
    """

    name = "noise instead"
    is_random = True

    def _transform(self, source: RenderInput) -> Tensor:
        noise = torch.randn(source.y.shape, generator=source.generator(), dtype=source.y.dtype)
        level = source.y.square().mean().sqrt()
        changed: Tensor = noise * (level / noise.square().mean().sqrt())
        return changed


@dataclass(frozen=True)
class OtherItem(_Replacement):
    """Replace the sound by that of another item: the one half of all items further on.

    `Interrogation` applies it; by itself it has no other item. Where items are sorted by class, the
    other is of another class.

    Parameters
    ----------
    is_on : float
        1 to replace it, 0 to leave the sound as it is.
    label_preserving : bool
        Claim that the right answer stays; False: it is a positive control.

    Examples
    --------
    >>> print(OtherItem())
    another item's sound
    """

    name = "another item's sound"

    def _transform(self, source: RenderInput) -> Tensor:
        raise ParameterError(f"{self} is applied by an interrogation, which has the other items")


CONTROLS: dict[str, type[NoAudio] | type[NoiseInstead] | type[OtherItem]] = {
    "no-audio": NoAudio,
    "noise-instead": NoiseInstead,
    "other-item": OtherItem,
}
"""Controls by their names at the command line."""

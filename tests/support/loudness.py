"""Systems and sounds that tests of interrogations share: what is answered is known by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from otoscope.intervene import (
    Crop,
    Gain,
    Interrogation,
    InterrogationResult,
    InterrogationSettings,
    Intervention,
    LeadingSilence,
    Polarity,
    SoundIntervention,
)
from otoscope.intervene.base import RenderInput
from otoscope.records import to_json

SR = 80
AMPLITUDES = [0.2, 0.3, 0.35, 0.45, 0.48, 0.52, 0.6, 0.7, 0.9, 0.3, 0.55, 0.8]
LABELS = ["soft"] * 5 + ["loud"] * 5 + ["soft", "loud"]
FAMILY: list[SoundIntervention] = [Gain(6), Polarity(), Crop(0.1), LeadingSilence(0.1)]
FAST = InterrogationSettings(sr=SR, n_draws=50)


@dataclass(frozen=True)
class Shift(SoundIntervention):
    """Turn a sound round by some samples: no peak is another, and there is a way back."""

    steps: float

    name = "shift"
    unit = "samples"
    bounds = (-9.0, 9.0)
    is_proportional = True

    def placebo(self) -> Intervention:
        return self | self.with_dose(-self.steps)

    def _transform(self, source: RenderInput) -> Tensor:
        return source.y.roll(round(self.steps), -1)


def steady(amplitudes: Sequence[float], n_samples: int = 40) -> Tensor:
    """Sounds [item, sample] that change their sign at each sample: a gain scales their peak."""
    sign = 1 - 2 * (torch.arange(n_samples) % 2)
    return torch.tensor(amplitudes)[:, None] * sign


def by_peak(sounds: Tensor) -> list[str]:
    """What a system says that goes by loudness alone."""
    return ["loud" if y.abs().max() > 0.5 else "soft" for y in sounds]


def loudness(**asked: Any) -> Interrogation:
    """Interrogate it about twelve sounds, of which it gets nine right."""
    settings = InterrogationSettings(**{"sr": SR, "n_draws": 50, **asked})
    return Interrogation(by_peak, steady(AMPLITUDES), LABELS, settings=settings)


def silent(items: Sequence[int]) -> list[tuple[Tensor, int]]:
    """The twelve sounds, some of them silent."""
    return [(y * (i not in items), SR) for i, y in enumerate(steady(AMPLITUDES))]


def without_settings(found: InterrogationResult) -> dict[str, Any]:
    """All that was found, as JSON has it."""
    plain: dict[str, Any] = json.loads(to_json(found.to_dict()))
    del plain["settings"]
    return plain

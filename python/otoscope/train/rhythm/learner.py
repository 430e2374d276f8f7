"""DeSPerF in training: loss of a batch of segments, validation by whole sounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.models.desperf import DeSPerF, save_desperf
from otoscope.seeds import torch_generator
from otoscope.train.loop import fixed_settings
from otoscope.train.rhythm.periodicities import Periodicities

__all__ = ["RhythmLearner", "TrainRhythmConfig", "voted"]

_LEAST_DEVIATION = 1e-3  # of a lag
_LEAST_POSTERIOR = 1e-6  # of a label that no segment votes for


@dataclass(frozen=True)
class TrainRhythmConfig:
    """Settings of a training of DeSPerF; none is known to be the published system's.

    Parameters
    ----------
    hidden : tuple of int
        Units of each hidden layer.
    unit : {"relu", "sigmoid"}
        Kind of the hidden units.
    dropout : float
        Fraction of each hidden layer's outputs that is dropped while training, in [0, 1).
    segment : float
        Length of a segment, in seconds.
    hop : float, optional
        From one segment to the next, in seconds. Default: ``segment``.
    vote : {"sum", "majority"}
        How segments decide for a sound.
    batch : int
        Number of segments in a batch.
    epochs : int
        Largest number of passes over the segments.
    learning_rate : float
        Rate of Adam.
    patience : int
        Epochs without a lower validation error after which training stops.
    seed : int
        Random seed of weights, order and dropout.

    Raises
    ------
    ParameterError
        If a setting is out of range.

    Examples
    --------
    >>> TrainRhythmConfig(hidden=(50,)).unit
    'relu'
    """

    hidden: tuple[int, ...] = (200, 200, 200)
    unit: Literal["relu", "sigmoid"] = "relu"
    dropout: float = 0.25
    segment: float = 10.0
    hop: float | None = None
    vote: Literal["sum", "majority"] = "sum"
    batch: int = 32
    epochs: int = 200
    learning_rate: float = 0.001
    patience: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("batch", "epochs", "patience"):
            if getattr(self, name) < 1:
                raise ParameterError(f"{name} is {getattr(self, name)}, must be >= 1")
        if not self.learning_rate > 0:
            raise ParameterError(f"learning_rate is {self.learning_rate}, must be > 0")


class RhythmLearner:
    """A system with the features to train on and its optimiser: a `Trainee`."""

    def __init__(
        self,
        system: DeSPerF,
        train: Periodicities,
        valid: Periodicities,
        settings: TrainRhythmConfig,
        path: Path,
        *,
        card: Mapping[str, str],
    ) -> None:
        self.system, self.settings, self.path, self.card = system, settings, path, card
        features = train.segments.double()
        std = features.std(0, correction=0)
        system.mean.copy_(features.mean(0))
        system.std.copy_(std.where(std >= _LEAST_DEVIATION, 1.0))
        self.optimiser: torch.optim.Optimizer = torch.optim.Adam(
            system.parameters(), settings.learning_rate
        )
        self._features, self._labels, self._valid = train.segments, train.segment_labels, valid
        self._batch = min(settings.batch, len(self._labels))
        self._drawn = -1, torch.empty(0)
        self.identity: Mapping[str, object] = {
            "settings": fixed_settings(settings),
            "sounds": [train.digest, valid.digest],
            "labels": list(system.output_names),
        }

    @property
    def network(self) -> nn.Module:
        """System in training."""
        return self.system

    @property
    def steps_per_epoch(self) -> int:
        """Number of whole batches of an epoch."""
        return len(self._labels) // self._batch

    def learning_rate(self, step: int) -> float:
        """Return the constant rate."""
        return self.settings.learning_rate

    def loss(self, step: int) -> Tensor:
        """Return the cross-entropy of a step's segments."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if self._drawn[0] != epoch:
            generator = torch_generator(self.settings.seed, 1, epoch)
            self._drawn = epoch, torch.randperm(len(self._labels), generator=generator)
        rows = self._drawn[1][place * self._batch :][: self._batch]
        return F.cross_entropy(self.system.decisions(self._features[rows]), self._labels[rows])

    @torch.no_grad()
    def validate(self) -> float:
        """Return the mean cross-entropy of the validation sounds' posteriors, in nats."""
        posteriors = voted(self.system, self._valid)
        return float(F.nll_loss(posteriors.clamp(min=_LEAST_POSTERIOR).log(), self._valid.labels))

    def save_best(self) -> None:
        """Write the system as a bundle."""
        save_desperf(self.path, self.system, card=self.card)

    def state(self) -> dict[str, Any]:
        """Return nothing: all is in weights and optimiser."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore nothing."""


def voted(system: DeSPerF, sounds: Periodicities) -> Tensor:
    """Return the posteriors [sound, label] of sounds whose features are known."""
    return torch.stack([system.decide(system.decisions(own)) for own in sounds.features])

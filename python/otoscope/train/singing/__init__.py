"""Training of the full-size singing-voice detector on generated songs."""

from __future__ import annotations

from otoscope.train.singing.augment import Augmentation
from otoscope.train.singing.stems import Mixing
from otoscope.train.singing.training import (
    TrainSingingConfig,
    TrainSingingResult,
    train_singing,
)

__all__ = [
    "Augmentation",
    "Mixing",
    "TrainSingingConfig",
    "TrainSingingResult",
    "train_singing",
]

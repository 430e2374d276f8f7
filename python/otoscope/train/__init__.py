"""Training: the only place with an optimiser over weights. Lightning, the extra "train"."""

from __future__ import annotations

from otoscope.train.folk import FolkTraining, Progress, TrainedFolk, train_folk

__all__ = ["FolkTraining", "Progress", "TrainedFolk", "train_folk"]

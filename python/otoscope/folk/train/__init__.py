"""Training of networks that generate folk tunes."""

from __future__ import annotations

from otoscope.folk.train.training import FolkTraining, Progress, TrainedFolk, train_folk

__all__ = ["FolkTraining", "Progress", "TrainedFolk", "train_folk"]

"""Training of networks that generate folk tunes."""

from __future__ import annotations

from otoscope.folk.train.recipe import TrainFolkConfig
from otoscope.folk.train.training import TrainFolkResult, train_folk

__all__ = ["TrainFolkConfig", "TrainFolkResult", "train_folk"]

"""Training of networks that generate folk tunes."""

from __future__ import annotations

from otoscope.folk.train.recipe import TrainFolkConfig
from otoscope.folk.train.training import TrainFolkResult, held_out_nats, train_folk

__all__ = ["TrainFolkConfig", "TrainFolkResult", "held_out_nats", "train_folk"]

"""Training: the only package with an optimiser over weights."""

from __future__ import annotations

from otoscope.train.folder import training_folder
from otoscope.train.loop import LoopConfig, StepResult, Trainee, TrainingHistory, run_training

__all__ = [
    "LoopConfig",
    "StepResult",
    "Trainee",
    "TrainingHistory",
    "run_training",
    "training_folder",
]

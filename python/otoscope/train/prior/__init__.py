"""Training of generators of log-mel excerpts, the priors of activation maximisation."""

from __future__ import annotations

from otoscope.train.prior.excerpts import MelExcerpts, read_excerpts, sounds_of
from otoscope.train.prior.learner import TrainPriorConfig
from otoscope.train.prior.training import TrainPriorResult, train_prior

__all__ = [
    "MelExcerpts",
    "TrainPriorConfig",
    "TrainPriorResult",
    "read_excerpts",
    "sounds_of",
    "train_prior",
]

"""Training of DeSPerF, paper C's system, on folders of labelled sounds."""

from otoscope.train.rhythm.learner import TrainRhythmConfig
from otoscope.train.rhythm.periodicities import Periodicities, read_periodicities
from otoscope.train.rhythm.training import TrainRhythmResult, train_on_periodicities, train_rhythm

__all__ = [
    "Periodicities",
    "TrainRhythmConfig",
    "TrainRhythmResult",
    "read_periodicities",
    "train_on_periodicities",
    "train_rhythm",
]

"""Adversaries that end as valid sound."""

from __future__ import annotations

from otoscope.attack.evaluate import evaluate
from otoscope.attack.evaluation import Evaluation
from otoscope.attack.goal import Goal
from otoscope.attack.magnitude import MagnitudeAdversary
from otoscope.attack.objective import aggregate
from otoscope.attack.result import AttackResult
from otoscope.attack.spectrum_classifier import SpectrumClassifier
from otoscope.attack.transforms import Gain, Mp3, Noise, Shift
from otoscope.attack.waveform import WaveformPGD
from otoscope.signal.snr import segmental_snr_db, snr_db

__all__ = [
    "AttackResult",
    "Evaluation",
    "Gain",
    "Goal",
    "MagnitudeAdversary",
    "Mp3",
    "Noise",
    "Shift",
    "SpectrumClassifier",
    "WaveformPGD",
    "aggregate",
    "evaluate",
    "segmental_snr_db",
    "snr_db",
]

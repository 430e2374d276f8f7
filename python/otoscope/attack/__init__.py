"""Adversaries that end as valid sound."""

from __future__ import annotations

from otoscope.attack.classifier import SpectrumClassifier
from otoscope.attack.evaluation import Evaluation, evaluate
from otoscope.attack.magnitude import MagnitudeAdversary
from otoscope.attack.objective import Goal, aggregate
from otoscope.attack.result import AttackResult
from otoscope.attack.transforms import Mp3Coding, RandomGain, RandomNoise, RandomShift
from otoscope.attack.waveform import WaveformPGD
from otoscope.signal.snr import segmental_snr_db, snr_db

__all__ = [
    "AttackResult",
    "Evaluation",
    "Goal",
    "MagnitudeAdversary",
    "Mp3Coding",
    "RandomGain",
    "RandomNoise",
    "RandomShift",
    "SpectrumClassifier",
    "WaveformPGD",
    "aggregate",
    "evaluate",
    "segmental_snr_db",
    "snr_db",
]

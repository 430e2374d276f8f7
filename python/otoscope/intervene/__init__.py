"""Interventions on sound, and the interrogation that tests whether a system is a "horse"."""

from __future__ import annotations

from otoscope.intervene.base import Intervention
from otoscope.intervene.cache import RenderCache
from otoscope.intervene.interrogation.exchange import (
    Export,
    Unasked,
    export_sounds,
    import_predictions,
    read_export,
)
from otoscope.intervene.interrogation.interrogation import Interrogation
from otoscope.intervene.interrogation.outputs import interrogate_outputs
from otoscope.intervene.interrogation.result import Flip, InterrogationResult
from otoscope.intervene.interrogation.session import InterrogationSettings
from otoscope.intervene.interrogation.verdict import DoseCurve, DosePoint, SearchResult, Verdict
from otoscope.intervene.registry import registered
from otoscope.intervene.sound import Chain, SoundIntervention, longest_duration
from otoscope.intervene.statistics.bootstrap import GroupBootstrap
from otoscope.intervene.statistics.chance import ChanceLevel, chance_level
from otoscope.intervene.statistics.regulated import RegulatedBootstrap, RegulatedResult
from otoscope.intervene.statistics.significance import cochran_q, holm, mcnemar
from otoscope.intervene.transfer import Overlap, TransferResult
from otoscope.intervene.transforms.controls import NoAudio, NoiseInstead, OtherItem
from otoscope.intervene.transforms.features import FeatureDilation
from otoscope.intervene.transforms.filters import Equaliser, Gain, HighPass, LowPass
from otoscope.intervene.transforms.playback import Crop, LeadingSilence, Polarity, Reverb
from otoscope.intervene.transforms.quality import BitDepth, CodecRoundTrip, Resample, WhiteNoise
from otoscope.intervene.transforms.tempo import Pitch, Tempo, dilation_percent

__all__ = [
    "BitDepth",
    "Chain",
    "ChanceLevel",
    "CodecRoundTrip",
    "Crop",
    "DoseCurve",
    "DosePoint",
    "Equaliser",
    "Export",
    "FeatureDilation",
    "Flip",
    "Gain",
    "GroupBootstrap",
    "HighPass",
    "Interrogation",
    "InterrogationResult",
    "InterrogationSettings",
    "Intervention",
    "LeadingSilence",
    "LowPass",
    "NoAudio",
    "NoiseInstead",
    "OtherItem",
    "Overlap",
    "Pitch",
    "Polarity",
    "RegulatedBootstrap",
    "RegulatedResult",
    "RenderCache",
    "Resample",
    "Reverb",
    "SearchResult",
    "SoundIntervention",
    "Tempo",
    "TransferResult",
    "Unasked",
    "Verdict",
    "WhiteNoise",
    "chance_level",
    "cochran_q",
    "dilation_percent",
    "export_sounds",
    "holm",
    "import_predictions",
    "interrogate_outputs",
    "longest_duration",
    "mcnemar",
    "read_export",
    "registered",
]

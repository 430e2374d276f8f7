"""Does a system listen, or is it a horse: interventions on its sound."""

from __future__ import annotations

from otoscope.intervene.base import Intervention, SoundIntervention, longest_duration
from otoscope.intervene.chain import Chain
from otoscope.intervene.interrogation.cache import RenderCache
from otoscope.intervene.interrogation.interrogation import Interrogation
from otoscope.intervene.interrogation.result import (
    Curve,
    Flip,
    Interrogated,
    Point,
    Search,
    Verdict,
)
from otoscope.intervene.interrogation.settings import InterrogationSettings
from otoscope.intervene.statistics.bootstrap import GroupBootstrap, chance
from otoscope.intervene.statistics.regulated import Regulated, RegulatedBootstrap
from otoscope.intervene.statistics.significance import cochran_q, holm, mcnemar
from otoscope.intervene.transforms.codecs import BitDepth, CodecRoundTrip, Resample
from otoscope.intervene.transforms.excerpt import Crop, LeadingSilence
from otoscope.intervene.transforms.features import FeatureDilation
from otoscope.intervene.transforms.filters import Equaliser, HighPass, LowPass
from otoscope.intervene.transforms.level import Gain, Polarity
from otoscope.intervene.transforms.room import Noise, Reverb
from otoscope.intervene.transforms.tempo import Pitch, Tempo, dilation_percent

__all__ = [
    "BitDepth",
    "Chain",
    "CodecRoundTrip",
    "Crop",
    "Curve",
    "Equaliser",
    "FeatureDilation",
    "Flip",
    "Gain",
    "GroupBootstrap",
    "HighPass",
    "Interrogated",
    "Interrogation",
    "InterrogationSettings",
    "Intervention",
    "LeadingSilence",
    "LowPass",
    "Noise",
    "Pitch",
    "Point",
    "Polarity",
    "Regulated",
    "RegulatedBootstrap",
    "RenderCache",
    "Resample",
    "Reverb",
    "Search",
    "SoundIntervention",
    "Tempo",
    "Verdict",
    "chance",
    "cochran_q",
    "dilation_percent",
    "holm",
    "longest_duration",
    "mcnemar",
]

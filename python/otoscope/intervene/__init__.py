"""Does a system listen, or is it a horse: interventions on its sound."""

from __future__ import annotations

from otoscope.intervene.base import Intervention, SoundIntervention, longest_duration
from otoscope.intervene.cache import RenderCache
from otoscope.intervene.chain import Chain
from otoscope.intervene.codecs import BitDepth, CodecRoundTrip, Resample
from otoscope.intervene.draws import item_seed
from otoscope.intervene.excerpt import Crop, LeadingSilence
from otoscope.intervene.features import FeatureDilation
from otoscope.intervene.filters import Equaliser, HighPass, LowPass
from otoscope.intervene.interrogated import Curve, Flip, Interrogated, Point, Search, Verdict
from otoscope.intervene.interrogation import Interrogation
from otoscope.intervene.judge import Hears
from otoscope.intervene.level import Gain, Polarity
from otoscope.intervene.regulated import Regulated, RegulatedBootstrap
from otoscope.intervene.room import Noise, Reverb
from otoscope.intervene.settings import InterrogationSettings
from otoscope.intervene.significance import cochran_q, holm, mcnemar
from otoscope.intervene.statistics import GroupBootstrap, chance
from otoscope.intervene.tempo import Pitch, Tempo, dilation_percent

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
    "Hears",
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
    "item_seed",
    "longest_duration",
    "mcnemar",
]

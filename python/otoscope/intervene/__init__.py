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
from otoscope.intervene.level import Gain, Polarity
from otoscope.intervene.room import Noise, Reverb
from otoscope.intervene.tempo import Pitch, Tempo, dilation_percent

__all__ = [
    "BitDepth",
    "Chain",
    "CodecRoundTrip",
    "Crop",
    "Equaliser",
    "FeatureDilation",
    "Gain",
    "HighPass",
    "Intervention",
    "LeadingSilence",
    "LowPass",
    "Noise",
    "Pitch",
    "Polarity",
    "RenderCache",
    "Resample",
    "Reverb",
    "SoundIntervention",
    "Tempo",
    "dilation_percent",
    "item_seed",
    "longest_duration",
]

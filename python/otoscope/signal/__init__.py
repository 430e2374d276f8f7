"""Audio files, spectra, mel front ends and resynthesis.

Shapes: waveforms [..., sample], values about -1 to 1; spectra [..., frame, bin]; mel
spectrograms [..., frame, mel]. librosa's spectrograms are [mel, frame]: transpose them.
"""

from __future__ import annotations

from otoscope.signal.audio.files import encode_audio, mono, read_audio, write_audio
from otoscope.signal.audio.truncation import TruncatedSound, truncation
from otoscope.signal.griffin_lim import griffin_lim
from otoscope.signal.listen import listen
from otoscope.signal.mel.domain import Compression, Domain
from otoscope.signal.mel.filterbank import EmptyFilters
from otoscope.signal.mel.frontend import FrontEnd
from otoscope.signal.mel.pcen import PCEN
from otoscope.signal.mel.presets import librosa_mel, magnitude_spectrum, svd2015
from otoscope.signal.stft import istft, stft

__all__ = [
    "PCEN",
    "Compression",
    "Domain",
    "EmptyFilters",
    "FrontEnd",
    "TruncatedSound",
    "encode_audio",
    "griffin_lim",
    "istft",
    "librosa_mel",
    "listen",
    "magnitude_spectrum",
    "mono",
    "read_audio",
    "stft",
    "svd2015",
    "truncation",
    "write_audio",
]

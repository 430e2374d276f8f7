"""Interfaces of sound and of listening models for explainers, attacks and reports.

``Patch`` is an excerpt of sound, [frame, mel] in a model's input domain, with its waveform.
``ListeningModel`` describes a model of sound. A plain callable [batch, 1, frame, mel] ->
[batch, output] is enough to explain a bare tensor; the rest is needed for files and listening.
Frame i of a patch owns samples i * hop_length ... (i + 1) * hop_length of its sound.
"""

from otoscope.protocols.calls import (
    Model,
    call_guarded,
    call_model,
    check_outputs,
    device_of,
    dtype_of,
    evaluating,
)
from otoscope.protocols.classifier import SoundClassifier
from otoscope.protocols.listening import ListeningModel, Sound, Target, choose_targets
from otoscope.protocols.patch import Patch

__all__ = [
    "ListeningModel",
    "Model",
    "Patch",
    "Sound",
    "SoundClassifier",
    "Target",
    "call_guarded",
    "call_model",
    "check_outputs",
    "choose_targets",
    "device_of",
    "dtype_of",
    "evaluating",
]

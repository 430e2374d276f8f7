"""Interfaces between models of sound and the explainers, attacks and reports that use them.

``Patch`` is an excerpt, [frame, mel] in the input domain of a model, with its waveform.
``ListeningModel`` describes a model of sound. To explain a bare tensor, any callable
[batch, 1, frame, mel] -> [batch, output] is enough; files and playback need the full interface.
Frame i of a patch owns the samples i * hop_length ... (i + 1) * hop_length of its sound.
"""

from otoscope.protocols.batches import Rows, among_louder, batch_dependence, dependence_text
from otoscope.protocols.calls import (
    Model,
    call_guarded,
    call_model,
    check_outputs,
    device_of,
    dtype_of,
    weights_digest,
)
from otoscope.protocols.classifier import SoundClassifier, model_name
from otoscope.protocols.layout import InputLayout, TransposedPicture, parse_layout
from otoscope.protocols.listening import (
    ListeningModel,
    Outputs,
    Sound,
    Target,
    choose_targets,
    declared_outputs,
    read_sound,
)
from otoscope.protocols.memory_format import (
    FormatTrial,
    MemoryFormat,
    check_memory_format,
    in_channels_last,
)
from otoscope.protocols.modes import differentiating, evaluating
from otoscope.protocols.outputs import as_outputs
from otoscope.protocols.patch import Patch
from otoscope.protocols.signature import (
    Adapted,
    Fixed,
    Pooling,
    Signature,
    signature,
)

__all__ = [
    "Adapted",
    "Fixed",
    "FormatTrial",
    "InputLayout",
    "ListeningModel",
    "MemoryFormat",
    "Model",
    "Outputs",
    "Patch",
    "Pooling",
    "Rows",
    "Signature",
    "Sound",
    "SoundClassifier",
    "Target",
    "TransposedPicture",
    "among_louder",
    "as_outputs",
    "batch_dependence",
    "call_guarded",
    "call_model",
    "check_memory_format",
    "check_outputs",
    "choose_targets",
    "declared_outputs",
    "dependence_text",
    "device_of",
    "differentiating",
    "dtype_of",
    "evaluating",
    "in_channels_last",
    "model_name",
    "parse_layout",
    "read_sound",
    "signature",
    "weights_digest",
]

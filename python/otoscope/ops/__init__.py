"""PyTorch operators over the native kernels, as functions of tensors."""

from otoscope.ops.coalitions import Coalitions, coalitions, pack
from otoscope.ops.frames import bin_weights, replace_magnitude
from otoscope.ops.moments import Moments, moments, moments_merge, moments_update
from otoscope.ops.occlude import Noise, occlude
from otoscope.ops.segment_map import SegmentMap
from otoscope.ops.self_test import self_test
from otoscope.ops.stft import griffin_lim_step, istft_ls, magnitude_step, project, stft

__all__ = [
    "Coalitions",
    "Moments",
    "Noise",
    "SegmentMap",
    "bin_weights",
    "coalitions",
    "griffin_lim_step",
    "istft_ls",
    "magnitude_step",
    "moments",
    "moments_merge",
    "moments_update",
    "occlude",
    "pack",
    "project",
    "replace_magnitude",
    "self_test",
    "stft",
]

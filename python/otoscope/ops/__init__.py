"""Operators over the native kernels, as functions of tensors."""

from otoscope.ops.coalitions import Coalitions, coalitions, pack
from otoscope.ops.occlude import Noise, occlude
from otoscope.ops.segment_map import SegmentMap
from otoscope.ops.self_test import self_test

__all__ = ["Coalitions", "Noise", "SegmentMap", "coalitions", "occlude", "pack", "self_test"]

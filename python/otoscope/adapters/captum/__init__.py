"""captum's interface to perturbation methods: swap the import, keep the calls.

Write ``from otoscope.adapters.captum import FeatureAblation`` instead of ``from captum.attr import
FeatureAblation``; captum itself is not needed. Arguments, results, errors and warnings are those of
captum 0.9; docs/howto/captum.md lists the differences and their reasons. An nn.Module in eval mode
with one input shares its forward pass between the coalitions.
"""

from otoscope.adapters.captum._arguments import ArgumentError
from otoscope.adapters.captum.ablation import FeatureAblation, Occlusion
from otoscope.adapters.captum.lime import Lime, get_exp_kernel_similarity_function
from otoscope.adapters.captum.lime_base import LimeBase
from otoscope.adapters.captum.shapley import ShapleyValues, ShapleyValueSampling
from otoscope.adapters.captum.soundlime import KernelShap, SoundLIME

__all__ = [
    "ArgumentError",
    "FeatureAblation",
    "KernelShap",
    "Lime",
    "LimeBase",
    "Occlusion",
    "ShapleyValueSampling",
    "ShapleyValues",
    "SoundLIME",
    "get_exp_kernel_similarity_function",
]

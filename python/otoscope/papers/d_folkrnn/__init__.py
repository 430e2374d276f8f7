"""Experiments of paper D: what the network of this package writes, and what its recipe is worth."""

from __future__ import annotations

from otoscope.papers.d_folkrnn.endless import FolkEndlessConfig, folk_endless
from otoscope.papers.d_folkrnn.options import FolkOptionsConfig, folk_options
from otoscope.papers.d_folkrnn.samples import FolkSamplesConfig, folkrnn_samples

__all__ = [
    "FolkEndlessConfig",
    "FolkOptionsConfig",
    "FolkSamplesConfig",
    "folk_endless",
    "folk_options",
    "folkrnn_samples",
]

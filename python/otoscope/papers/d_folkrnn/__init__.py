"""Experiments of paper D: what the network of this package writes, and what its recipe is worth."""

from __future__ import annotations

from otoscope.papers.d_folkrnn.endless import FolkEndlessConfig, folk_endless
from otoscope.papers.d_folkrnn.form import FolkFormConfig, folk_form
from otoscope.papers.d_folkrnn.model import FolkModelConfig, folk_model
from otoscope.papers.d_folkrnn.options import FolkOptionsConfig, folk_options
from otoscope.papers.d_folkrnn.population import FolkPopulationConfig, folk_population
from otoscope.papers.d_folkrnn.samples import FolkSamplesConfig, folkrnn_samples
from otoscope.papers.d_folkrnn.temperature import FolkTemperatureConfig, folk_temperature

__all__ = [
    "FolkEndlessConfig",
    "FolkFormConfig",
    "FolkModelConfig",
    "FolkOptionsConfig",
    "FolkPopulationConfig",
    "FolkSamplesConfig",
    "FolkTemperatureConfig",
    "folk_endless",
    "folk_form",
    "folk_model",
    "folk_options",
    "folk_population",
    "folk_temperature",
    "folkrnn_samples",
]

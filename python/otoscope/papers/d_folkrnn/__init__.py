"""Experiments of paper D: the tunes that the network of this package writes, beside real ones."""

from __future__ import annotations

from otoscope.papers.d_folkrnn.samples import FolkSamplesConfig, folkrnn_samples

__all__ = ["FolkSamplesConfig", "folkrnn_samples"]

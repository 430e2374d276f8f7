"""Corpora we generate, and loaders of real sets.

`synthesise` makes songs up with nothing installed; `write_singing` renders sung ones with sampled
instruments; `sample` finds the two that come with the package. Times are seconds, sounds float32.
"""

from __future__ import annotations

from otoscope.data.shipped import Sample, sample, sample_names
from otoscope.data.singing import SingingRecipe, SungSong, render, write_singing
from otoscope.data.song import Song, frame_truth, mix_stems
from otoscope.data.synth import synthesise

__all__ = [
    "Sample",
    "SingingRecipe",
    "Song",
    "SungSong",
    "frame_truth",
    "mix_stems",
    "render",
    "sample",
    "sample_names",
    "synthesise",
    "write_singing",
]

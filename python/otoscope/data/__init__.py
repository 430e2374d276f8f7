"""Corpora we generate, and loaders of real sets.

`synthesise` makes songs up with nothing installed; `write_singing` renders sung ones with sampled
instruments; `sample` finds the two that come with the package. `plan_dance` and `render_dance` make
dances whose style and tempo go together or not; `load_ballroom` reads real ones. Times are seconds,
sounds float32.
"""

from __future__ import annotations

from otoscope.data.ballroom import (
    BallroomRecording,
    BallroomRhythm,
    load_ballroom,
    load_ballroom_rhythm,
)
from otoscope.data.dance import DanceClip, DanceRecipe, plan_dance, render_dance, write_dance
from otoscope.data.shipped import Sample, sample, sample_names
from otoscope.data.singing import SingingRecipe, SungSong, render, write_singing
from otoscope.data.synthesis.song import Song, frame_truth, mix_stems
from otoscope.data.synthesis.synth import synthesise

__all__ = [
    "BallroomRecording",
    "BallroomRhythm",
    "DanceClip",
    "DanceRecipe",
    "Sample",
    "SingingRecipe",
    "Song",
    "SungSong",
    "frame_truth",
    "load_ballroom",
    "load_ballroom_rhythm",
    "mix_stems",
    "plan_dance",
    "render",
    "render_dance",
    "sample",
    "sample_names",
    "synthesise",
    "write_dance",
    "write_singing",
]

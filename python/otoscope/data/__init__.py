"""Generated corpora with known ground truth, and loaders of public datasets.

`synthesise` makes songs without further packages; `write_singing` renders songs with sampled voice
and instruments; `sample` returns songs of the package. `plan_dance` and `render_dance` make dances
whose style and tempo are confounded or not; `load_ballroom` loads real ones. `load_annotated` and
`load_stems` load songs of others. Times are in seconds,
waveforms float32.
"""

from __future__ import annotations

from otoscope.data.annotated import AnnotatedSong, load_annotated, load_jamendo, load_sung
from otoscope.data.ballroom import (
    BallroomRecording,
    BallroomRhythm,
    load_ballroom,
    load_ballroom_rhythm,
)
from otoscope.data.dance import DanceClip, DanceRecipe, plan_dance, render_dance, write_dance
from otoscope.data.singing import (
    SINGING_RECIPES,
    Singer,
    SingingRecipe,
    SungSong,
    render,
    synthesise,
    write_singing,
)
from otoscope.data.songs import Sample, sample, sample_names
from otoscope.data.stems import StemSong, load_stems
from otoscope.data.synthesis.song import Song, frame_truth, mix_stems

__all__ = [
    "SINGING_RECIPES",
    "AnnotatedSong",
    "BallroomRecording",
    "BallroomRhythm",
    "DanceClip",
    "DanceRecipe",
    "Sample",
    "Singer",
    "SingingRecipe",
    "Song",
    "StemSong",
    "SungSong",
    "frame_truth",
    "load_annotated",
    "load_ballroom",
    "load_ballroom_rhythm",
    "load_jamendo",
    "load_stems",
    "load_sung",
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

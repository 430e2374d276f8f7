"""Generated corpora with known ground truth, and loaders of public datasets.

`synthesise` makes songs without further packages; `write_singing` renders songs with sampled voice
and instruments; `sample` returns songs of the package. `plan_dance` and `render_dance` make dances
whose style and tempo are confounded or not; `write_genres` a corpus of ten genres with artists.
`load_ballroom` loads real dances. `load_annotated` and
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
from otoscope.data.concept_pairs import ConceptPair, render_concept
from otoscope.data.concepts import ConceptSounds, load_concept_caps
from otoscope.data.dance import DanceClip, DanceRecipe, plan_dance, render_dance, write_dance
from otoscope.data.genres import (
    GenreClip,
    GenreRecipe,
    plan_genres,
    render_genre,
    write_genres,
)
from otoscope.data.labelled import (
    LabelledSound,
    load_genre_folders,
    load_genres,
    load_gtzan,
    load_lmd,
)
from otoscope.data.partition import DividedFolder, Partition, partition, read_partition
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
    "ConceptPair",
    "ConceptSounds",
    "DanceClip",
    "DanceRecipe",
    "DividedFolder",
    "GenreClip",
    "GenreRecipe",
    "LabelledSound",
    "Partition",
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
    "load_concept_caps",
    "load_genre_folders",
    "load_genres",
    "load_gtzan",
    "load_jamendo",
    "load_lmd",
    "load_stems",
    "load_sung",
    "mix_stems",
    "partition",
    "plan_dance",
    "plan_genres",
    "read_partition",
    "render",
    "render_concept",
    "render_dance",
    "render_genre",
    "sample",
    "sample_names",
    "synthesise",
    "write_dance",
    "write_genres",
    "write_singing",
]

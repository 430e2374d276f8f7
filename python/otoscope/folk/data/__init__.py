"""Folk tunes for a model to learn: read, counted where they cannot be, split without leaks.

Printed collections, users' ABC, and files of tokens in the form of folk-rnn's authors become tunes
in tokens; near duplicates stay together when some are held out. `generate_tune` makes up tunes by
rule.

References
----------
Sturm, Santos, Ben-Tal, Korshunova: Music transcription modelling and composition using deep
learning, 2016, section 3.
"""

from __future__ import annotations

from otoscope.folk.data.generate import GENERATED_METERS, GENERATED_MODES, generate_tune
from otoscope.folk.data.prepared import (
    PlacedTune,
    PreparedTunes,
    load_prepared,
    new_folder,
    save_prepared,
)
from otoscope.folk.data.prints import COLLECTIONS, collection_files
from otoscope.folk.data.reading import Form, Origin, ReadTune, RejectedTune, files_of, read_tunes
from otoscope.folk.data.split import SPLITS, group_tunes, split_groups
from otoscope.folk.data.tally import SourceTally, SplitTally, Tally, tally

__all__ = [
    "COLLECTIONS",
    "GENERATED_METERS",
    "GENERATED_MODES",
    "SPLITS",
    "Form",
    "Origin",
    "PlacedTune",
    "PreparedTunes",
    "ReadTune",
    "RejectedTune",
    "SourceTally",
    "SplitTally",
    "Tally",
    "collection_files",
    "files_of",
    "generate_tune",
    "group_tunes",
    "load_prepared",
    "new_folder",
    "read_tunes",
    "save_prepared",
    "split_groups",
    "tally",
]

"""Folk tunes for a model to learn: read, tokenised, and split without near duplicates across.

Printed collections, users' ABC, and files of tokens in the form of folk-rnn's authors become tunes
in tokens; near duplicates stay in one split. `generate_tune` composes tunes by rule.

References
----------
Sturm et al. (2016) :cite:`sturm2016folkrnn`, section 3.
"""

from __future__ import annotations

from otoscope.folk.data.collections import COLLECTIONS, collection_files
from otoscope.folk.data.counts import SourceCounts, SplitCounts, TuneCounts, count_tunes
from otoscope.folk.data.generate import GENERATED_METERS, GENERATED_MODES, generate_tune
from otoscope.folk.data.prepared import (
    PreparedTunes,
    SplitTune,
    is_prepared,
    load_prepared,
    save_prepared,
)
from otoscope.folk.data.sources import (
    Origin,
    RejectedTune,
    TokenisedTune,
    TokenVersion,
    files_of,
    read_tunes,
)
from otoscope.folk.data.split import SPLITS, group_tunes, halve_groups, split_groups

__all__ = [
    "COLLECTIONS",
    "GENERATED_METERS",
    "GENERATED_MODES",
    "SPLITS",
    "Origin",
    "PreparedTunes",
    "RejectedTune",
    "SourceCounts",
    "SplitCounts",
    "SplitTune",
    "TokenVersion",
    "TokenisedTune",
    "TuneCounts",
    "collection_files",
    "count_tunes",
    "files_of",
    "generate_tune",
    "group_tunes",
    "halve_groups",
    "is_prepared",
    "load_prepared",
    "read_tunes",
    "save_prepared",
    "split_groups",
]

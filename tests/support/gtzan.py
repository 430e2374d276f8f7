"""The genres of GTZAN, whose folders the loader looks for."""

from __future__ import annotations

GTZAN = [
    "blues",
    "classical",
    "country",
    "disco",
    "hiphop",
    "jazz",
    "metal",
    "pop",
    "reggae",
    "rock",
]

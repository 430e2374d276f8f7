"""Records and files of runs, which stay readable if the process is killed at any byte.

Records are lines of JSON, each written at once. Other files are complete or absent. Locks keep two
processes from writing to the same place. Parts of a batch are read as one table.
"""

from __future__ import annotations

from otoscope.records.files import (
    is_unchanged,
    new_folder,
    remove_dead_drafts,
    replacing,
    stamp,
    write_text,
)
from otoscope.records.lines import Records, read, stream
from otoscope.records.locks import claimed
from otoscope.records.parts import read_parts
from otoscope.records.plain import cell, distinct_names, printable, to_json, to_plain, versions

__all__ = [
    "Records",
    "cell",
    "claimed",
    "distinct_names",
    "is_unchanged",
    "new_folder",
    "printable",
    "read",
    "read_parts",
    "remove_dead_drafts",
    "replacing",
    "stamp",
    "stream",
    "to_json",
    "to_plain",
    "versions",
    "write_text",
]

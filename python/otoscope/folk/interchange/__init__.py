"""Tunes in files of notation programs: MusicXML written and read, MIDI read."""

from otoscope.folk.interchange.plain import unambiguous
from otoscope.folk.interchange.reading import SUFFIXES, read_score
from otoscope.folk.interchange.writing import to_musicxml

__all__ = ["SUFFIXES", "read_score", "to_musicxml", "unambiguous"]

"""Tunes in files of notation programs: MusicXML written and read, MIDI read."""

from otoscope.folk.interchange.plain import unambiguous
from otoscope.folk.interchange.reading import BOOKS, SUFFIXES, read_score, stream_file
from otoscope.folk.interchange.writing import to_musicxml

__all__ = ["BOOKS", "SUFFIXES", "read_score", "stream_file", "to_musicxml", "unambiguous"]

"""Written music: ABC notation, tunes, MIDI and an index of interval n-grams."""

from otoscope.folk.abc.book import parse_book, read_book, write_book
from otoscope.folk.abc.elements import (
    Bar,
    Broken,
    Chord,
    Element,
    Field,
    Grace,
    Mark,
    MeasureRest,
    Note,
    Rest,
    Tuplet,
)
from otoscope.folk.abc.errors import REASONS, ConversionError, NotationError
from otoscope.folk.abc.key import Key
from otoscope.folk.abc.measures import Measure, Part
from otoscope.folk.abc.meter import Meter
from otoscope.folk.abc.midi import to_midi
from otoscope.folk.abc.ngrams import Neighbour, NgramIndex
from otoscope.folk.abc.sounding import MidiNote
from otoscope.folk.abc.timing import Timed
from otoscope.folk.abc.transposition import transpose
from otoscope.folk.abc.tune import Tune

__all__ = [
    "REASONS",
    "Bar",
    "Broken",
    "Chord",
    "ConversionError",
    "Element",
    "Field",
    "Grace",
    "Key",
    "Mark",
    "Measure",
    "MeasureRest",
    "Meter",
    "MidiNote",
    "Neighbour",
    "NgramIndex",
    "NotationError",
    "Note",
    "Part",
    "Rest",
    "Timed",
    "Tune",
    "Tuplet",
    "parse_book",
    "read_book",
    "to_midi",
    "transpose",
    "write_book",
]

"""ABC notation: tunes read and written, MIDI, transposition, and an index of interval n-grams."""

from otoscope.folk.abc.durations import TimedElement
from otoscope.folk.abc.elements import (
    BarLine,
    BrokenRhythm,
    Chord,
    Element,
    GraceNotes,
    InlineField,
    Mark,
    MeasureRest,
    Note,
    Rest,
    Tuplet,
)
from otoscope.folk.abc.errors import REASONS, ConversionError, NotationError
from otoscope.folk.abc.form import Form, Section
from otoscope.folk.abc.key import Key
from otoscope.folk.abc.meter import Meter
from otoscope.folk.abc.midi import to_midi
from otoscope.folk.abc.ngrams import Neighbour, NgramIndex
from otoscope.folk.abc.structure import Measure, Part
from otoscope.folk.abc.text.book import book_to_abc, parse_book, parse_tune, read_book, to_abc
from otoscope.folk.abc.transposition import transpose
from otoscope.folk.abc.tune import MidiNote, Tune

__all__ = [
    "REASONS",
    "BarLine",
    "BrokenRhythm",
    "Chord",
    "ConversionError",
    "Element",
    "Form",
    "GraceNotes",
    "InlineField",
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
    "Section",
    "TimedElement",
    "Tune",
    "Tuplet",
    "book_to_abc",
    "parse_book",
    "parse_tune",
    "read_book",
    "to_abc",
    "to_midi",
    "transpose",
]

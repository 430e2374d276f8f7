"""Written music: ABC, tokens, tunes and an index of interval n-grams."""

from otoscope.notation.book import parse_book, read_book, write_book
from otoscope.notation.elements import (
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
from otoscope.notation.errors import REASONS, ConversionError, NotationError
from otoscope.notation.key import Key
from otoscope.notation.measures import Measure, Part
from otoscope.notation.meter import Meter
from otoscope.notation.midi import to_midi
from otoscope.notation.ngrams import Neighbour, NgramIndex
from otoscope.notation.plain import to_c
from otoscope.notation.sounding import MidiNote
from otoscope.notation.timing import Timed
from otoscope.notation.token_file import read_token_file, write_token_file
from otoscope.notation.tokens import Tokeniser, tokeniser
from otoscope.notation.transposition import transpose
from otoscope.notation.tune import Tune
from otoscope.notation.vocabulary import Vocabulary

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
    "Tokeniser",
    "Tune",
    "Tuplet",
    "Vocabulary",
    "parse_book",
    "read_book",
    "read_token_file",
    "to_c",
    "to_midi",
    "tokeniser",
    "transpose",
    "write_book",
    "write_token_file",
]

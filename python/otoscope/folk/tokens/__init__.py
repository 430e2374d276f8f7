"""Tokens: tunes as sequences of tokens, vocabularies, and the authors' text format."""

from otoscope.folk.tokens.normal_form import normalise_tune
from otoscope.folk.tokens.token_file import read_token_file, write_token_file
from otoscope.folk.tokens.tokeniser import Tokeniser, get_tokeniser
from otoscope.folk.tokens.vocabulary import Vocabulary

__all__ = [
    "Tokeniser",
    "Vocabulary",
    "get_tokeniser",
    "normalise_tune",
    "read_token_file",
    "write_token_file",
]

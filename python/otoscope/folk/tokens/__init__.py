"""Tunes as sequences of tokens, and the vocabularies that number them."""

from otoscope.folk.tokens.plain import to_c
from otoscope.folk.tokens.token_file import read_token_file, write_token_file
from otoscope.folk.tokens.tokeniser import Tokeniser, tokeniser
from otoscope.folk.tokens.vocabulary import Vocabulary

__all__ = ["Tokeniser", "Vocabulary", "read_token_file", "to_c", "tokeniser", "write_token_file"]

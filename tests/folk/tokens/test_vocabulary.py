"""Vocabularies: ids, errors, and their JSON document."""

from __future__ import annotations

import json

import pytest

from otoscope.errors import ParameterError
from otoscope.folk.tokens import Vocabulary


def test_vocabulary_maps_tokens_and_ids() -> None:
    vocabulary = Vocabulary.of([["b", "a"], ["c", "a"]])
    assert set(vocabulary.tokens) == {"<s>", "</s>", "a", "b", "c"}
    ids = vocabulary.encode(["a", "c", "</s>"])
    assert vocabulary.decode(ids) == ["a", "c", "</s>"]
    assert ids[2] == vocabulary.stop != vocabulary.start
    assert len(vocabulary) == 5
    assert "a" in vocabulary
    assert "d" not in vocabulary
    assert Vocabulary.from_json(vocabulary.to_json()) == vocabulary


def test_vocabulary_documents_have_a_version_and_older_ones_are_read() -> None:
    vocabulary = Vocabulary.of([["b", "a"]])
    assert json.loads(vocabulary.to_json())["format"] == "otoscope.Vocabulary/2"
    assert Vocabulary.from_json(json.dumps(vocabulary.tokens)) == vocabulary


def test_vocabulary_names_the_unknown_token() -> None:
    vocabulary = Vocabulary.of([["a"]])
    with pytest.raises(ParameterError, match="token 2 is 'x', which is not among the 3 tokens"):
        vocabulary.encode(["a", "x"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ('{"a": 1}', "not a vocabulary; its format must be otoscope.Vocabulary/2"),
        ("[1]", "not a vocabulary"),
        ("7", "not a vocabulary"),
        ('{"format": "otoscope.Vocabulary/2", "tokens": "C"}', "not a vocabulary"),
        ('{"format": "otoscope.Vocabulary/9"}', "has format otoscope.Vocabulary/9, this otoscope"),
        ('{"format": "otoscope.Tally/1", "tokens": ["<s>", "</s>"]}', "not a vocabulary"),
        ('["<s>", "a"]', "tokens lack </s>"),
        ('["<s>", "</s>", "a", "a"]', "tokens are there twice: a"),
    ],
)
def test_vocabulary_files_that_are_none(text: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Vocabulary.from_json(text)

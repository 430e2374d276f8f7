"""Tune books: which texts are tunes, and files that are read tune by tune."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from otoscope.folk.abc import NotationError, Tune, parse_book, parse_tune, read_book


@pytest.mark.parametrize(
    ("text", "reason", "message"),
    [
        ("", "empty text", "needs a tune"),
        ("only words\n", "no tune", "no tune found"),
        ("X:1\nT:No key\n", "no key field", "line 1, column 1: .* no K: field"),
        ("X:1\nCDE\nK:C\nC|", "no key field", "line 2, column 1: 'CDE' came before"),
        ("X:1\nK:C\n", "no music", "no notes"),
        ("X:1\nK:C\n|z|", "no music", "line 3: .* no notes"),
        ("X:1\nK:C\nC|\n\nX:2\nK:C\nC|", "several tunes", "2 tunes came"),
    ],
)
def test_what_is_not_one_tune(text: str, reason: str, message: str) -> None:
    with pytest.raises(NotationError, match=message) as caught:
        parse_tune(text)
    assert caught.value.reason == reason


def test_one_bad_tune_does_not_fail_the_book() -> None:
    book = "% a book\nL:1/4\n\nX:1\nK:C\nC|\n\nwords\n\nX:2\nK:C\nC;|\nX:3\nT:last\nK:G\nF|\n"
    first, second, third = parse_book(book)
    assert isinstance(first, Tune)
    assert isinstance(second, NotationError)
    assert isinstance(third, Tune)
    assert (second.line, second.column) == (12, 2)
    assert first.notes[0].duration == Fraction(1, 4)  # of the fields before the first tune
    assert (third.title, third.line, third.notes[0].pitch) == ("last", 13, 66)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b" \n\n", "empty"),
        (b"X:1\nK:C\n\x00\x01\x02", "binary"),
        (b"\x89PNG\r\n\x1a\n\x00", "binary"),
        (b"no tune here", "no tune found"),
    ],
)
def test_files_that_are_no_books(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "book.abc"
    path.write_bytes(content)
    with pytest.raises(NotationError, match=rf"book\.abc: .*{message}"):
        read_book(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_files_in_two_encodings(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "book.abc"
    path.write_bytes("X:1\r\nT:Fáinne\r\nK:C\r\nC|\r\n".encode(encoding))
    (read,) = read_book(path)
    assert isinstance(read, Tune)
    assert read.title == "Fáinne"

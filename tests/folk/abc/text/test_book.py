"""Tune books: which texts are tunes, and files that are read tune by tune."""

from __future__ import annotations

import gc
import pickle
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from otoscope.folk.abc import NotationError, Tune, parse_book, parse_tune, read_book
from otoscope.folk.abc.text.book import listed
from otoscope.folk.abc.text.signs import signs_in


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


def states() -> Iterator[bool]:
    yield gc.isenabled()


def failing() -> Iterator[int]:
    yield 1
    raise NotationError("the end", reason="no tune")


@pytest.mark.parametrize("is_on", [True, False])
def test_the_garbage_collector_rests_while_tunes_are_listed(is_on: bool) -> None:
    usual = gc.isenabled()
    try:
        (gc.enable if is_on else gc.disable)()
        assert listed(states()) == [False]
        assert gc.isenabled() is is_on
        with pytest.raises(NotationError, match="the end"):
            listed(failing())
        assert gc.isenabled() is is_on
    finally:
        (gc.enable if usual else gc.disable)()


def test_reading_leaves_no_cycles() -> None:
    good, bad = "X:1\nK:G\n|:G2 ^F>D-D|[CE]{g}z (3abc:|\n\n", "X:2\nK:C\nC;DE|\n\n"
    parse_book((good + bad) * 3)
    gc.collect()
    parse_book((good + bad) * 50)
    assert gc.collect() < 50


def test_every_element_is_copied_to_another_place_and_pickled() -> None:
    text = "X:1\nM:6/8\nK:G\n|:G2>^F-F|[CE]{g}z (3abc|1 Z [K:D] !trill!d:|"
    elements = parse_tune(text).elements
    assert len({type(element) for element in elements}) == 10
    for element in elements:
        for copy in (element.at(7, 9), pickle.loads(pickle.dumps(element))):
            assert copy == element
            assert type(copy) is type(element)
        assert element.at(7, 9).place == (7, 9)


def test_signs_are_read_once_and_a_thousand_are_kept() -> None:
    key = parse_tune("K:D\nd|").key
    signs = signs_in(key, Fraction(1, 8))
    assert signs is signs_in(key, Fraction(1, 8))
    assert signs["f2"] is signs["f2"]
    assert [signs[f"f{n}"].note for n in range(1, 3000)][-1] is not None
    assert len(signs) <= 1024
    note = signs["f2"].note
    assert note is not None
    assert (note.pitch, note.length) == (78, Fraction(1, 4))

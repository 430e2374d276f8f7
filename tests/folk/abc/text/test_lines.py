"""Files of text: lines end at line ends alone, and any encoding gives the words of its author."""

from __future__ import annotations

from pathlib import Path

import pytest

from otoscope.folk.abc import NotationError, Tune, parse_book, parse_tune, read_book, to_abc
from otoscope.folk.tokens import read_token_file

HEAD = b"X:1\nT:a\nM:4/4\nL:1/8\nK:C\nCDEF|\n"
NO_LINE_ENDS = ["\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]


def read(folder: Path, content: bytes) -> Tune:
    path = folder / "book.abc"
    path.write_bytes(content)
    (tune,) = read_book(path)
    assert isinstance(tune, Tune)
    return tune


def pitches(tune: Tune) -> list[int]:
    return [note.pitch for note in tune.notes]


@pytest.mark.parametrize(
    "content",
    [
        HEAD + b"w:wait\x85 a be-ad\n",
        HEAD + b"W:wait\x85 bad deed\n",
        HEAD + "W:wait\u2028bad\n".encode(),
        HEAD.replace(b"T:a", b"T:wait\x85 a bit"),
        HEAD.replace(b"T:a", b"T:a\x0bb"),
        HEAD + b"w:a\x0cbad\n",
        HEAD + b"r:a\x85bad\n",
        HEAD + b"N:a\x0bbad\n",
        HEAD + b"%%text a\x0bbad\n",
        HEAD.replace(b"CDEF", b'"a\x85b"CDEF'),
    ],
)
def test_words_never_become_notes(tmp_path: Path, content: bytes) -> None:
    assert pitches(read(tmp_path, content)) == [60, 62, 64, 65]


@pytest.mark.parametrize("character", NO_LINE_ENDS)
@pytest.mark.parametrize("field", ["T", "C", "R", "N", "P", "w", "W"])
def test_other_characters_end_no_line(character: str, field: str) -> None:
    tune = parse_tune(f"X:1\n{field}:a{character}bad\nK:C\nCD|\n{field}:a{character}bad\nE|")
    assert pitches(tune) == [60, 62, 64]
    assert parse_tune(to_abc(tune)) == tune


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_three_line_ends(tmp_path: Path, end: str) -> None:
    book = HEAD.decode() + "\nX:2\nK:C\nC;D|\n"
    (tmp_path / "book.abc").write_bytes(book.replace("\n", end).encode())
    tune, error = read_book(tmp_path / "book.abc")
    assert isinstance(tune, Tune)
    assert isinstance(error, NotationError)
    assert (pitches(tune), error.line, error.column) == ([60, 62, 64, 65], 10, 2)


@pytest.mark.parametrize(
    ("title", "read_as"),
    [
        (b"\x93Q\x94", "\u201cQ\u201d"),
        (b"\x80 \x8a\x9f", "\u20ac \u0160\u0178"),
        (b"F\xe1inne", "Fáinne"),
        (b"\x81\x9d", "\x81\x9d"),  # undefined in Windows-1252
        ("Fáinne \u2028".encode(), "Fáinne"),
    ],
)
def test_titles_in_windows_1252(tmp_path: Path, title: bytes, read_as: str) -> None:
    tune = read(tmp_path, HEAD.replace(b"T:a", b"T:" + title))
    assert tune.title == read_as
    assert parse_tune(to_abc(tune)) == tune


def test_encodings_in_one_file(tmp_path: Path) -> None:
    """Books are put together from files of several encodings."""
    content = "X:1\nT:Fáinne\nK:C\nC|\n\n".encode() + b"X:2\nT:F\xe1inne\nK:C\nC|\n"
    (tmp_path / "book.abc").write_bytes(content)
    assert [t.title for t in read_book(tmp_path / "book.abc") if isinstance(t, Tune)] == [
        "Fáinne",
        "Fáinne",
    ]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_byte_order_marks(tmp_path: Path, encoding: str) -> None:
    content = "X:1\r\nT:Fáinne\r\nK:C\r\nCD|\r\n".encode(encoding)
    tune = read(tmp_path, content)
    assert (tune.title, pitches(tune)) == ("Fáinne", [60, 62])


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_wide_characters_without_the_mark_of_utf_16_are_refused(
    tmp_path: Path, encoding: str
) -> None:
    with pytest.raises(NotationError, match="needs text"):
        read(tmp_path, "X:1\nK:C\nC|\n".encode(encoding))


@pytest.mark.parametrize("broken", [b"\x00", b"\x00\xd8C\x00"])
def test_broken_utf_16_is_refused(tmp_path: Path, broken: bytes) -> None:
    with pytest.raises(NotationError, match="broken UTF-16 at byte 24"):
        read(tmp_path, "X:1\nK:C\nC|\n".encode("utf-16") + broken)


@pytest.mark.parametrize("field", [b"I:abc-charset iso-8859-2", b"%%abc-charset ISO-8859-2"])
def test_charset_of_the_standard(tmp_path: Path, field: bytes) -> None:
    content = field + b"\n" + HEAD.replace(b"T:a", "T:Dvořák".encode("iso-8859-2"))
    assert read(tmp_path, content).title == "Dvořák"


def test_token_files_have_the_same_lines(tmp_path: Path) -> None:
    path = tmp_path / "tokens.txt"
    path.write_bytes(b"M:4/4\r\nK:Cmaj\r\nC 2 \x0c| \r\n")
    assert read_token_file(path) == [["M:4/4", "K:Cmaj", "C", "2", "|"]]


def test_blank_lines_take_no_time() -> None:
    """Each line between X: and K: was examined again for each blank line."""
    book = parse_book("X:1\n" + "\n" * 50_000 + "K:C\nC|\n")
    assert [type(tune) for tune in book] == [Tune]

"""The authors' text format: three lines per tune."""

from __future__ import annotations

from pathlib import Path

import pytest

from otoscope.folk.abc import NotationError
from otoscope.folk.tokens import read_token_file, write_token_file

TUNES = [["M:4/4", "K:Cmaj", "C", "2", "|"], ["M:4/4", "K:Cmin", "c", "|"]]


def test_token_files_are_three_lines_a_tune(tmp_path: Path) -> None:
    path = tmp_path / "tunes.txt"
    write_token_file(path, TUNES)
    assert path.read_text() == "M:4/4\nK:Cmaj\nC 2 |\n\nM:4/4\nK:Cmin\nc |\n"
    assert read_token_file(path) == TUNES


def test_token_files_are_read_with_their_errors(tmp_path: Path) -> None:
    path = tmp_path / "tunes.txt"
    path.write_text("M:4/4\nK:Cmaj\nC\n\n\nM:4/4\nC D\n\n<s> M:3/4\nK:Cmin\nz </s>\n")
    first, second, third = read_token_file(path)
    assert first == ["M:4/4", "K:Cmaj", "C"]
    assert third == ["M:3/4", "K:Cmin", "z"]
    assert isinstance(second, NotationError)
    assert (second.line, second.reason) == (6, "three lines")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "empty"), (b"\x00\x01", "binary"), (b"X:1\nK:C\nC\n\n", "no tune")],
)
def test_token_files_that_are_none(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "tunes.txt"
    path.write_bytes(content)
    with pytest.raises(NotationError, match=rf"tunes\.txt: .*{message}"):
        read_token_file(path)

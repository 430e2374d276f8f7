"""Sources of tunes: every tune is tokenised or rejected with its place and reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from otoscope.errors import MissingExtra, ParameterError
from otoscope.folk import data as tunes
from otoscope.folk.abc import to_abc
from otoscope.folk.data import (
    RejectedTune,
    TokenisedTune,
    generate_tune,
    read_tunes,
)
from otoscope.folk.data.sources import TokenVersion
from otoscope.folk.tokens import get_tokeniser, write_token_file

BROKEN = "X:2\nT:Broken\nM:4/4\nL:1/8\nK:G\nGABc d2 }e2|\n"


def read(
    source: Path | str, tokens: TokenVersion = "v2"
) -> tuple[list[TokenisedTune], list[RejectedTune]]:
    tunes = list(read_tunes(str(source), tokens=tokens))
    return (
        [tune for tune in tunes if isinstance(tune, TokenisedTune)],
        [tune for tune in tunes if isinstance(tune, RejectedTune)],
    )


def test_broken_tunes_are_rejected_with_their_place(tmp_path: Path) -> None:
    good = to_abc(generate_tune(0, 0))
    path = tmp_path / "tunes.abc"
    path.write_text(f"{good}\n{BROKEN}\n{good}")
    kept, (rejected,) = read(path)
    assert [tune.origin.number for tune in kept] == [1, 3]
    line = path.read_text().splitlines().index("GABc d2 }e2|") + 1
    assert (rejected.line, rejected.column) == (line, 9)
    assert rejected.origin.name == f"{path}#2"
    assert rejected.reason
    assert f"line {line}" in rejected.message
    assert rejected.to_dict()["reason"] == rejected.reason


def test_tunes_of_other_forms_are_rejected_by_reason(tmp_path: Path) -> None:
    head = "M:4/4\nL:1/8\n"
    path = tmp_path / "tunes.abc"
    path.write_text(
        f"X:1\n{head}K:Dphr\nD8|\n\nX:2\nM:5/4\nL:1/8\nK:D\nD10|\n\n"
        f"X:3\n{head}K:D\nD8|[K:G]G8|\n\nX:4\n{head}K:D\nD8|[M:3/4]G6|\n"
    )
    kept, rejected = read(path)
    assert not kept
    reasons = [tune.reason for tune in rejected]
    assert reasons == ["mode", "meter", "key changes", "meter changes"]


def test_folders_are_read_in_order_and_say_which_file(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("b.abc", "in/a.ABC"):
        (tmp_path / name).write_text(to_abc(generate_tune(0, len(name))))
    (tmp_path / "empty.abc").write_text("")
    (tmp_path / "notes.txt").write_text("no tune")
    (tmp_path / "sound.abc").write_bytes(b"RIFF\0\0\xff\xfe" * 20)
    (tmp_path / "._b.abc").write_bytes(b"\0\5\x16\7")  # of a Mac, hidden
    (tmp_path / "lost.abc").symlink_to(tmp_path / "nowhere.abc")
    kept, rejected = read(tmp_path)
    assert [tune.origin.file for tune in kept] == ["b.abc", str(Path("in") / "a.ABC")]
    paths = [tmp_path / f"{name}.abc" for name in ("empty", "lost", "sound")]
    assert [tune.origin.file for tune in rejected] == [path.name for path in paths]
    assert [tune.origin.name for tune in rejected] == [f"{path}#0" for path in paths]
    assert [tune.reason for tune in rejected] == ["empty file", "unreadable file", "binary file"]
    assert rejected[1].message == "is a link to nothing"


@pytest.mark.parametrize("content", [b"", b"\0\1\2\xff" * 100, b"no tune at all\n"])
def test_a_file_that_is_no_music_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.abc"
    path.write_bytes(content)
    with pytest.raises(ParameterError, match=r"a\.abc: "):
        read(path)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "no/such.abc",
            "no/such.abc is not there; need a file, a folder of ABC files, generated:N, or a",
        ),
        ("generated:", "must be generated: and a number of tunes"),
        ("generated:0", "must be generated: and a number of tunes"),
        ("generated:x", "must be generated: and a number of tunes"),
    ],
)
def test_sources_that_are_none_are_refused(source: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        read(source)


def test_a_folder_without_abc_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"has no files that end in \.abc"):
        read(tmp_path)


def test_a_collection_without_music21_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tunes.collections, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match="pip install --no-deps music21"):
        read("ryan")
    with pytest.raises(ParameterError, match="no collection 'bach'; there are aird"):
        tunes.collection_files("bach")


@pytest.mark.parametrize("form", ["v2", "v3"])
def test_a_file_of_tokens_is_taken_as_it_is(tmp_path: Path, form: TokenVersion) -> None:
    path = tmp_path / "tokens"
    written = [copy for i in range(4) for copy in get_tokeniser(form).copies(generate_tune(0, i))]
    write_token_file(path, written)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    kept, rejected = read(path, form)
    assert [list(tune.copies[0]) for tune in kept] == written
    assert not rejected
    assert all(len(tune.copies) == 1 for tune in kept)


def test_tokens_are_converted_into_the_form_asked_for(tmp_path: Path) -> None:
    drawn = [generate_tune(0, i) for i in range(4)]
    v2, v3 = ([get_tokeniser(form).copies(tune) for tune in drawn] for form in ("v2", "v3"))
    write_token_file(tmp_path / "v2", [copy for tune in v2 for copy in tune])
    write_token_file(tmp_path / "v3", [copy for tune in v3 for copy in tune])
    kept, rejected = read(tmp_path / "v2", "v3")
    assert [[list(copy) for copy in item.copies] for item in kept] == v3
    assert not rejected
    kept, rejected = read(tmp_path / "v3", "v2")
    assert [[list(copy) for copy in item.copies] for item in kept] == v2
    assert [item.reason for item in rejected] == ["copy on C sharp"] * 4


def test_broken_tokens_are_rejected_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "tokens.txt"
    path.write_text("M:4/4\nK:Cmaj\n|: C 8 :|\n\nM:4/4\nK:Cmaj\n|: C 8 Q :|\n")
    (kept,), (rejected,) = read(path)
    assert kept.copies == (("M:4/4", "K:Cmaj", "|:", "C", "8", ":|"),)
    assert rejected.origin.number == 2
    assert "Q" in rejected.message

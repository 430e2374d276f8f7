"""Files: complete or absent, on POSIX and by Windows' rules; drafts of the dead; stamps."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import otoscope as oto
from otoscope.errors import ParameterError
from otoscope.records import (
    Records,
    files,
    is_unchanged,
    locks,
    new_folder,
    remove_dead_drafts,
    replacing,
    stamp,
    write_text,
)
from otoscope.signal import write_audio


def test_replacing_writes_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "why.html"
    path.write_text("old")
    with replacing(path) as draft:
        assert (draft.parent, draft.suffix) == (tmp_path, ".html")
        draft.write_text("half")
        assert path.read_text() == "old"
    assert path.read_text() == "half"
    assert list(tmp_path.iterdir()) == [path]


def write_half(path: str, error: type[BaseException]) -> None:
    with replacing(path) as draft:
        draft.write_text("half")
        raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_replacing_keeps_the_old_file_when_the_block_fails(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "why.html"
    path.write_text("old")
    with pytest.raises(error):
        write_half(str(path), error)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_replacing_a_link_keeps_the_link(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    with replacing(link) as draft:
        draft.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_replacing_gives_the_rights_that_open_gives(tmp_path: Path) -> None:
    (tmp_path / "opened").write_text("")
    with replacing(tmp_path / "replaced"):
        pass
    rights = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("opened", "replaced")]
    assert rights[0] == rights[1]


def test_replacing_refuses_at_the_door_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="not a regular file"), replacing(tmp_path):
        pytest.fail("the block ran")
    with (
        pytest.raises(ParameterError, match="not a regular file"),
        replacing(os.devnull),
    ):
        pytest.fail("the block ran")
    path = tmp_path / "nowhere" / "why.html"
    with pytest.raises(FileNotFoundError) as caught, replacing(path):
        pytest.fail("the block ran")
    assert caught.value.filename == str(path)


def test_a_new_folder_is_whole_or_not_there(tmp_path: Path) -> None:
    def write() -> None:
        with new_folder(tmp_path / "a") as draft:
            (draft / "train.txt").write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("")
    for taken in ("full", "file"):
        with (
            pytest.raises(ParameterError, match="not an empty folder"),
            new_folder(tmp_path / taken),
        ):
            pass
    (tmp_path / "empty").mkdir()
    for name in ("empty", "deep/in"):
        with new_folder(tmp_path / name) as draft:
            (draft / "a").write_text("")
        assert [path.name for path in (tmp_path / name).iterdir()] == ["a"]


WRITERS: dict[str, Callable[[Path], object]] = {
    "text": lambda folder: write_text(folder / "a.txt", "a"),
    "folder": lambda folder: write_new_folder(folder / "tunes"),
    "report": lambda folder: oto.report.save_html(
        oto.SoundLIME(lambda x: x.sum((1, 2, 3)), segments="temporal:3", content=0.0).explain(
            oto.Patch(torch.rand(9, 2))
        ),
        folder / "why.html",
    ),
    "sound": lambda folder: write_audio(folder / "a.wav", torch.zeros(100), sr=8000),
    "statistics": lambda folder: oto.metrics.statistics.save(
        folder / "s.npz", oto.metrics.Statistics(torch.zeros(2), torch.eye(2), count=9)
    ),
    "records": lambda folder: write_records(folder / "rows.jsonl"),
}


def write_new_folder(path: Path) -> None:
    with new_folder(path) as draft:
        write_text(draft / "train.txt", "")


def write_records(path: Path) -> None:
    with Records(path) as records:
        records.append(1, {}, seed=None)
        records.append(2, {}, seed=None)
        records.remove([1])


@pytest.mark.skipif(sys.platform == "win32", reason="the rules are Windows' own there")
@pytest.mark.parametrize("name", WRITERS)
def test_files_are_written_by_the_rules_of_windows(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No handle is flushed that was opened for reading, and no open file renamed or removed."""
    import fcntl

    fsync, replace, unlink = os.fsync, Path.replace, Path.unlink

    def fsync_writable(descriptor: int) -> None:
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "Bad file descriptor")
        fsync(descriptor)

    def require_closed(*paths: Path) -> None:
        opened = {os.path.realpath(descriptor) for descriptor in Path("/proc/self/fd").iterdir()}
        if opened & {os.path.realpath(path) for path in paths}:
            raise PermissionError(errno.EACCES, "The file is open")

    def replace_closed(self: Path, target: Path) -> Path:
        require_closed(self, target)
        return replace(self, target)

    def unlink_closed(self: Path, missing_ok: bool = False) -> None:
        require_closed(self)
        unlink(self, missing_ok=missing_ok)

    monkeypatch.setattr(os, "fsync", fsync_writable)
    monkeypatch.setattr(locks, "IS_WINDOWS", True)
    monkeypatch.setattr(files, "_WAITS", ())
    if Path("/proc/self/fd").is_dir():
        monkeypatch.setattr(Path, "replace", replace_closed)
        monkeypatch.setattr(Path, "unlink", unlink_closed)
    WRITERS[name](tmp_path)
    (written,) = tmp_path.iterdir()
    assert not written.name.startswith(".")


def test_on_windows_a_rename_waits_for_readers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, tries = Path.replace, []

    def opened_twice(self: Path, target: Path) -> Path:
        tries.append(target)
        if len(tries) <= 2:
            raise PermissionError(errno.EACCES, "The file is open")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", opened_twice)
    monkeypatch.setattr(locks, "IS_WINDOWS", True)
    monkeypatch.setattr(files, "_WAITS", (0.0, 0.0, 0.0))
    write_text(tmp_path / "a.txt", "a")
    assert (tmp_path / "a.txt").read_text() == "a"
    assert len(tries) == 3


KILLED = """
import os, signal, sys
from otoscope.records import new_folder, replacing
writer = {"file": replacing, "folder": new_folder}[sys.argv[1]]
with writer(sys.argv[2]) as draft:
    if draft.is_dir():
        (draft / "half.txt").write_text("half")
    else:
        draft.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(
    ("number", "inside", "named"),
    [
        (errno.EACCES, "", "new"),
        (errno.EACCES, "a/b.svg", "new/a/b.svg"),
        (errno.ENOSPC, None, "new"),  # as writes raise it
        (errno.EPIPE, None, None),
        (errno.ENOENT, "../other", "other"),
    ],
)
@pytest.mark.parametrize("writer", [replacing, new_folder])
def test_errors_name_what_the_user_wrote_and_no_draft(
    writer: Any, number: int, inside: str | None, named: str | None, tmp_path: Path
) -> None:
    def fail() -> None:
        with writer(tmp_path / "new") as draft:
            name = None if inside is None else os.path.normpath(draft / inside)
            raise OSError(number, os.strerror(number), name)

    with pytest.raises(OSError, match=os.strerror(number)) as error:
        fail()
    assert error.value.errno == number
    assert error.value.filename == (None if named is None else str(tmp_path / named))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("writer", [replacing, new_folder])
def test_a_draft_that_is_gone_is_named_as_its_target(writer: Any, tmp_path: Path) -> None:
    def lose() -> None:
        with writer(tmp_path / "new") as draft:
            draft.rmdir() if draft.is_dir() else draft.unlink()

    with pytest.raises(FileNotFoundError, match=r"new'$"):
        lose()


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on Windows")
@pytest.mark.parametrize("writer", ["file", "folder"])
def test_drafts_of_the_killed_are_removed_and_those_of_the_living_kept(
    writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_visited", set())
    (tmp_path / ".otoscope-mine.draft").mkdir()  # no draft of ours
    (tmp_path / ".otoscope-notes").write_text("mine")
    for _ in range(2):
        subprocess.run([sys.executable, "-c", KILLED, writer, str(tmp_path / "new")], check=False)
    assert len(list(tmp_path.iterdir())) > 1
    with replacing(tmp_path / "living") as living, new_folder(tmp_path / "folder") as folder:
        remove_dead_drafts(tmp_path)
        assert living.exists()
        assert folder.exists()
        write_text(tmp_path / "next", "")
    assert {path.name for path in tmp_path.iterdir()} == {
        ".otoscope-mine.draft",
        ".otoscope-notes",
        "living",
        "folder",
        "next",
    }


def test_drafts_are_kept_where_there_are_no_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows always has locks")
    import fcntl

    def unsupported(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with replacing(tmp_path / "a.txt") as draft:
        remove_dead_drafts(tmp_path)
        draft.write_text("a")
    assert (tmp_path / "a.txt").read_text() == "a"


def test_content_is_that_of_size_time_and_hash(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"one")
    before = stamp(path)
    assert is_unchanged(path, before)
    os.utime(path, ns=(0, before["mtime_ns"]))  # other attributes
    assert is_unchanged(path, before)
    os.utime(path, ns=(0, 0))  # written anew, as far as can be seen
    assert not is_unchanged(path, before)
    path.write_bytes(b"two")
    os.utime(path, ns=(before["mtime_ns"], before["mtime_ns"]))  # same size, same time
    assert not is_unchanged(path, before)
    path.write_bytes(b"one")
    os.utime(path, ns=(0, before["mtime_ns"]))
    assert is_unchanged(path, before)
    assert not is_unchanged(path, {})

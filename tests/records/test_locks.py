"""Locks: one writer at a time, released by the end of the block, the thread or the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from otoscope.errors import ParameterError
from otoscope.records import claimed, new_folder

HOLDER = """
import sys
from otoscope.records import claimed
with claimed(sys.argv[1]):
    print("claimed", flush=True)
    sys.stdin.read()
"""


def hold(path: Path) -> subprocess.Popen[str]:
    """Claim a path in another process."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "claimed\n"
    return holder


def claim(path: Path) -> None:
    with claimed(path):
        pass


@pytest.mark.parametrize("kind", ["new", "file", "folder", "deep/new"])
def test_what_another_process_writes_is_refused_until_it_ends(kind: str, tmp_path: Path) -> None:
    path = tmp_path / kind
    if kind == "file":
        path.write_text("old")
    elif kind == "folder":
        path.mkdir()
    before = sorted(tmp_path.rglob("*"))
    with hold(path) as holder:
        with pytest.raises(ParameterError, match=f"{path.name} is being written by another"):
            claim(path)
        claim(tmp_path / "other")
        if kind == "new":
            with pytest.raises(ParameterError, match="is being written"), new_folder(path):
                pytest.fail("the block ran")
        holder.communicate("")
    claim(path)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on Windows")
def test_lock_goes_with_a_killed_process_and_the_next_writer_removes_it(tmp_path: Path) -> None:
    with hold(tmp_path / "model") as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert len(list(tmp_path.iterdir())) == 1
    claim(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_thread_claims_again_what_it_has_and_another_thread_does_not(tmp_path: Path) -> None:
    path = tmp_path / "model"
    with claimed(path), ThreadPoolExecutor(1) as others:
        with claimed(path, path / "model.json", tmp_path / "why.html"):
            assert len(list(tmp_path.iterdir())) == 2
        assert others.submit(claim, tmp_path / "why.html").result() is None
        with pytest.raises(ParameterError, match="is being written"):
            others.submit(claim, path).result()
    claim(path)


def test_a_link_is_claimed_as_its_target(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with (
        claimed(tmp_path / "target"),
        ThreadPoolExecutor(1) as others,
        pytest.raises(ParameterError, match="link is being written"),
    ):
        others.submit(claim, tmp_path / "link").result()


def test_a_folder_that_cannot_be_written_is_an_error_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError) as caught, claimed(tmp_path / "file" / "model"):  # noqa: PT011
        pytest.fail("the block ran")
    assert "file" in str(caught.value.filename)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_folder_in_a_folder_that_cannot_be_written_is_claimed(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    tmp_path.chmod(0o500)
    with claimed(tmp_path / "out"):
        assert len(list((tmp_path / "out").iterdir())) == 1
    tmp_path.chmod(0o700)


def test_missing_parents_are_removed_if_they_stay_empty(tmp_path: Path) -> None:
    claim(tmp_path / "a" / "b" / "new")
    assert not list(tmp_path.iterdir())
    with claimed(tmp_path / "a" / "b" / "new"):
        (tmp_path / "a" / "kept").touch()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["kept"]

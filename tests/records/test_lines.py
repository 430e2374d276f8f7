"""Records: whole lines after a kill at any byte, whole files or none, resume, plain JSON."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from otoscope.errors import ParameterError
from otoscope.records import Records, read, stream, versions


def write_three(path: Path) -> bytes:
    with Records(path) as records:
        for number in range(3):
            records.append(f"Jürgen-{number}\n", {"score": number / 7}, seed=number)
    return path.read_bytes()


def test_record_holds_key_values_seed_and_versions(tmp_path: Path) -> None:
    write_three(tmp_path / "runs.jsonl")
    first = json.loads((tmp_path / "runs.jsonl").read_text().splitlines()[0])
    assert first == {
        "key": "Jürgen-0\n",
        "score": 0.0,
        "seed": 0,
        "versions": dict(versions()),
    }
    assert first["versions"]["torch"] == torch.__version__
    assert first["versions"]["python"] == sys.version.split()[0]


def test_file_cut_at_every_byte_reads_and_goes_on_with_whole_records(tmp_path: Path) -> None:
    content = write_three(tmp_path / "whole.jsonl")
    cut = tmp_path / "cut.jsonl"
    for size in range(len(content) + 1):
        cut.write_bytes(content[:size])
        whole = content[:size].count(b"\n")
        assert [record["seed"] for record in read(cut)] == list(range(whole))
        with Records(cut) as records:
            assert [f"Jürgen-{n}\n" in records for n in range(3)] == [n < whole for n in range(3)]
            records.append("last", {}, seed=None)
        assert [record["key"] for record in read(cut)] == [
            *(f"Jürgen-{n}\n" for n in range(whole)),
            "last",
        ]


def test_stream_gives_records_before_it_has_read_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_bytes(write_three(path) + b"damaged\n")
    records = stream(path)
    assert [next(records)["seed"] for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ParameterError, match="line 4 is not a record"):
        next(records)


WRITER = """
import sys
from otoscope.records import Records
with Records(sys.argv[1]) as records:
    for number in range(100_000):
        records.append(number, {"values": [number] * 20_000}, seed=number)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on Windows")
@pytest.mark.parametrize("delay", [0.0, 0.013, 0.031])
def test_writer_killed_in_the_middle_leaves_whole_records(tmp_path: Path, delay: float) -> None:
    path = tmp_path / "runs.jsonl"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)]) as writer:
        while not path.exists() or path.stat().st_size < 300_000:
            assert writer.poll() is None
            time.sleep(0.001)
        time.sleep(delay)
        writer.send_signal(signal.SIGKILL)
    records_read = read(path)
    assert len(records_read) >= 2
    assert [record["seed"] for record in records_read] == list(range(len(records_read)))
    assert all(record["values"] == [record["key"]] * 20_000 for record in records_read)
    with Records(path) as records:  # and the lock went with the process
        assert len(records_read) - 1 in records
        records.append(len(records_read), {}, seed=None)
    assert path.read_bytes().count(b"\n") == len(records_read) + 1


LIMITED = """
import resource, sys
from otoscope.records import Records
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
with Records(sys.argv[1]) as records:
    try:
        for number in range(100):
            records.append(number, {}, seed=None)
    except OSError as err:
        print(err.errno, number, number in records)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no resource limits on Windows")
def test_full_disk_is_an_error_and_the_file_ends_after_the_record_before(tmp_path: Path) -> None:
    import errno

    path = tmp_path / "runs.jsonl"
    result = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, check=True
    )
    code, failed, is_done = result.stdout.split()
    assert int(code) == errno.EFBIG
    assert is_done == "False"
    assert path.read_bytes().endswith(b"}\n")
    assert [record["key"] for record in read(path)] == list(range(int(failed)))


def test_second_writer_is_refused_until_the_first_is_done(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    with Records(path), pytest.raises(ParameterError, match=r"runs\.jsonl is being written"):
        Records(path)
    Records(path).close()


@dataclass(frozen=True)
class Setting:
    rate: float
    units: tuple[int, ...]


def test_key_is_the_same_in_any_order_and_form(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    with Records(path) as records:
        records.append(Setting(0.1, (3, 4)), {}, seed=0)
    with Records(path) as records:
        assert {"units": [3, 4], "rate": 0.1} in records
        assert Setting(np.float64(0.1), (3, 4)) in records
        assert Setting(0.1, (4, 3)) not in records
        with pytest.raises(ParameterError, match="already"):
            records.append({"units": [3, 4], "rate": 0.1}, {}, seed=0)


@pytest.mark.parametrize("field", ["key", "seed", "versions"])
def test_values_may_not_hide_what_records_write(tmp_path: Path, field: str) -> None:
    path = tmp_path / "runs.jsonl"
    with Records(path) as records, pytest.raises(ParameterError, match=field):
        records.append(1, {field: 2}, seed=0)
    assert path.read_bytes() == b""


@pytest.mark.parametrize("line", [b"not json", b"[1]", b'{"score": 1}', b"", b"\xff"])
def test_damaged_line_is_named(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "runs.jsonl"
    path.write_bytes(b'{"key": 1}\n' + line + b"\n")
    with pytest.raises(ParameterError, match=r"runs\.jsonl, line 2 is not a record"):
        read(path)
    with pytest.raises(ParameterError, match="line 2"):
        Records(path)
    assert path.read_bytes() == b'{"key": 1}\n' + line + b"\n"


def test_missing_folder_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        Records(tmp_path / "nowhere" / "runs.jsonl")


@pytest.mark.parametrize(
    "content",
    [
        b'{"results": [1, 2, 3]}',
        b"[1, 2, 3]",
        b"la la la",
        b'{"key": 1, "score": 2}',
        b'{"key": 1}\n{"key": 2, "sc',
        b'{"key": 1}\n{"key": 2}',
        b"\xff\xfe",
        b"0",
        b"{" * 100_000,
    ],
)
def test_file_of_somebody_else_without_newline_is_refused_and_kept(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "theirs.json"
    path.write_bytes(content)
    with pytest.raises(ParameterError, match=r"theirs\.json ends in .*, which is no record"):
        Records(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("before", [b"", b'{"key": "torn'], ids=["new", "torn"])
def test_a_run_that_fails_before_its_first_record_leaves_no_file(
    tmp_path: Path, before: bytes
) -> None:
    path = tmp_path / "r.jsonl"
    if before:
        path.write_bytes(before)
    with pytest.raises(ZeroDivisionError), Records(path):
        raise ZeroDivisionError
    assert not path.exists()
    with Records(path) as records:
        records.append("a", {}, seed=None)
    with pytest.raises(ZeroDivisionError), Records(path):
        raise ZeroDivisionError
    assert [record["key"] for record in read(path)] == ["a"]


def test_removed_records_are_gone_and_the_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    lines = write_three(path).splitlines(keepends=True)
    with Records(path) as records:
        records.remove(["Jürgen-1\n", "never written"])
        assert path.read_bytes() == lines[0] + lines[2]
        assert "Jürgen-1\n" not in records
        with pytest.raises(ParameterError, match="is being written"):
            Records(path)
        records.append("Jürgen-1\n", {"score": 1 / 7}, seed=1)
    assert path.read_bytes() == lines[0] + lines[2] + lines[1]
    assert list(tmp_path.iterdir()) == [path]

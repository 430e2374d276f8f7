"""Records: whole lines after a kill at any byte, whole files or none, resume, plain JSON."""

from __future__ import annotations

import json
import math
import os
import signal
import stat
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from otoscope.errors import ParameterError
from otoscope.records import Records, read, replacing, stream, to_json, versions


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


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def without_infinity(value: object) -> object:
    if isinstance(value, float) and math.isinf(value):
        return None
    if isinstance(value, list):
        return [without_infinity(item) for item in value]
    if isinstance(value, dict):
        return {name: without_infinity(item) for name, item in value.items()}
    return value


@given(plain)
def test_json_gives_values_back_in_one_ascii_line(value: object) -> None:
    text = to_json(value)
    assert text.isascii()
    assert "\n" not in text
    assert json.loads(text) == without_infinity(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.nan, "null"),
        (-math.inf, "null"),
        (np.float32(math.nan), "null"),
        (torch.tensor([1.0, math.inf]), "[1.0, null]"),
        (np.int64(3), "3"),
        (np.bool_(True), "true"),
        (np.str_("a"), '"a"'),
        (np.float64(0.5), "0.5"),
        (np.zeros((0, 2)), "[]"),
        (torch.tensor(2, dtype=torch.uint8), "2"),
        (torch.tensor([0.5], dtype=torch.bfloat16, requires_grad=True), "[0.5]"),
        (Path("a") / "b", json.dumps(str(Path("a") / "b"))),
        (Setting(0.5, (1, 2)), '{"rate": 0.5, "units": [1, 2]}'),
    ],
)
def test_json_of(value: object, text: str) -> None:
    assert to_json(value) == text


@pytest.mark.parametrize("value", [{1, 2}, b"a", 1j, np.complex64(1), Setting, {3: 4}, object()])
def test_value_without_a_form_in_json_is_named(value: object) -> None:
    with pytest.raises(ParameterError, match="JSON"):
        to_json({"value": value})


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

"""Readers of files from elsewhere: what is bounded, and that any error is one ParameterError."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from otoscope.errors import MissingExtra, ParameterError
from otoscope.foreign import (
    parse_json,
    read_arrays,
    read_json,
    read_text,
    refusing,
    require_small_pickle,
)


@pytest.mark.parametrize("depth", [101, 300, 5_000, 200_000])
@pytest.mark.parametrize("pair", ["[]", '{"a":}'])
def test_json_is_read_to_a_depth_of_100(depth: int, pair: str) -> None:
    def nested(n: int) -> str:
        return pair[:-1] * n + "1" + pair[-1] * n

    with pytest.raises(ParameterError, match="the text is nested more than 100 levels"):
        parse_json(nested(depth), name="the text")
    parse_json(nested(100), name="the text")


@pytest.mark.parametrize("text", ["", "{", b"\xff\xfe\x00", "[" + "9" * 5000 + "]", '"\n"'])
def test_a_text_that_is_not_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(ParameterError, match="the text is not JSON: "):
        parse_json(text, name="the text")


def test_a_json_file_has_a_largest_size(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ParameterError, match="has 1,099,511,627,776 bytes; at most"):
        read_json(path)
    with pytest.raises(ParameterError, match="is a folder"):
        read_json(tmp_path)


def archive(path: Path, name: str, content: bytes, *, compressed: bool = False) -> Path:
    kind = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "a", kind) as file:
        file.writestr(f"{name}.npy", content)
    return path


def header(shape: str, dtype: str = "<f8") -> bytes:
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    padded = text.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded.encode()


@pytest.mark.parametrize("dtype", ["<f8", ">f4", "<i2", "<U5", "|b1", "|S3"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_are_those_of_numpy(dtype: str, order: Any, tmp_path: Path) -> None:
    values = np.arange(6).reshape(2, 3).astype(dtype, order=order)
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", a=values, scalar=np.array(3), none=np.zeros((0, 2)))
        arrays, names = read_arrays(tmp_path / "a.npz", ["a", "scalar", "none", "absent"])
        assert (names, list(arrays)) == (["a", "scalar", "none"], ["a", "scalar", "none"])
        np.testing.assert_array_equal(arrays["a"], values)
        assert arrays["a"].dtype == values.dtype
        assert (arrays["scalar"].item(), arrays["none"].shape) == (3, (0, 2))


def test_members_that_are_not_asked_for_are_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez_compressed(tmp_path / "a.npz", mu=np.ones(2), bomb=np.zeros(1 << 20))
    opened = []
    actual = zipfile.ZipFile.open

    def watched(self: zipfile.ZipFile, name: Any, *rest: Any) -> Any:
        opened.append(getattr(name, "filename", name))
        return actual(self, name, *rest)

    monkeypatch.setattr(zipfile.ZipFile, "open", watched)
    assert list(read_arrays(tmp_path / "a.npz", ["mu"])[0]) == ["mu"]
    assert opened == ["mu.npy"]


def test_an_archive_does_not_unpack_to_far_more_than_its_size(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", "mu", bytes(65 << 20), compressed=True)
    with pytest.raises(ParameterError, match=r"a\.npz cannot be read .* more than 32 times"):
        read_arrays(path, ["mu"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header("(1000000000000,)"), r"mu has shape \(1000000000000,\)"),
        (header("(1000000, 1000000)") + bytes(8), "mu has shape"),
        (header("(10000000000, 0, 10000000000)"), "ValueError"),
        (header("(-1,)"), "only numbers and texts"),
        (header("(1,)", "|O") + bytes(8), "only numbers and texts"),
        (header("(1,)", "<f4,<f4") + bytes(8), "only numbers and texts"),
        (header("(2,)") + bytes(8), "in 8 bytes"),
        (header("(1,)") + bytes(9), "in 9 bytes"),
        (header("(" * 50 + ")" * 50), ""),
        (header("'no'"), ""),
        (header("(1.0,)"), ""),
        (b"\x93NUMPY\x09\x00" + bytes(20), "version"),
        (b"", ""),
        (pickle.dumps(3), ""),
    ],
)
def test_an_array_whose_header_lies_is_refused(
    content: bytes, message: str, tmp_path: Path
) -> None:
    path = archive(tmp_path / "a.npz", "mu", content)
    with pytest.raises(ParameterError, match=rf"a\.npz cannot be read as \.npz.*{message}"):
        read_arrays(path, ["mu"])


def doubled(n: int, *, close: bytes) -> bytes:
    """A pickled tuple that holds a tuple twice, n levels deep, then ``close``."""
    body = b"\x80\x02}(K\x01\x85q\x00"
    for place in range(1, n):
        body += b"0h" + bytes([place - 1]) + b"h" + bytes([place - 1]) + b"\x86q" + bytes([place])
    return body + close


def empty_then_filled(n: int) -> bytes:
    """Lists that are remembered empty and filled from the outermost to the innermost."""
    body = b"\x80\x02" + b"".join(b"]q" + bytes([place]) for place in range(n))
    for place in reversed(range(1, n)):
        body += b"h" + bytes([place]) + b"(" + (b"h" + bytes([place - 1])) * 2 + b"e0"
    return body + b"h" + bytes([n - 1]) + b"."


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (doubled(60, close=b"K\x01u."), "again and again"),  # a key
        (doubled(60, close=b"K\x01\x86."), "again and again"),  # a value
        (empty_then_filled(60), "again and again"),
        (b"\x80\x02]q\x00h\x00a.", "holds a value that holds itself"),
        (b"\x80\x02K\x01r\xff\xff\xff\x1f.", "remembers 536870911 things"),
    ],
)
def test_a_pickle_that_refers_to_itself_again_and_again_is_refused(
    raw: bytes, message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        require_small_pickle(raw)


NAMES = ["__builtin__ set", "builtins set", "_codecs encode"]


@pytest.mark.parametrize("protocol", range(6))
def test_plain_pickles_pass(protocol: int) -> None:
    shape = (3, 4)
    value = {"shapes": [shape] * 50, "deep": [[[[]]]], ("a", 1): {1, 2}, "b": b"12", "n": 2**80}
    require_small_pickle(pickle.dumps(value, protocol), names=NAMES)


def test_names_beyond_those_listed_are_refused() -> None:
    raw = pickle.dumps(Path("a"), 2)
    with pytest.raises(ParameterError, match="it asks for pathlib"):
        require_small_pickle(raw, names=["collections OrderedDict"])
    with pytest.raises(ParameterError, match="it asks for STACK_GLOBAL"):
        require_small_pickle(pickle.dumps(Path("a"), 4), names=["pathlib PosixPath"])


@pytest.mark.parametrize(
    "error", [KeyError("a"), RecursionError("deep"), MemoryError(), OSError("odd"), TypeError("t")]
)
def test_whatever_a_parser_raises_becomes_one_error(error: Exception) -> None:
    with (
        pytest.raises(ParameterError, match=rf"^a\.bin is broken \({type(error).__name__}"),
        refusing("a.bin", "is broken"),
    ):
        raise error


def test_errors_with_a_remedy_pass() -> None:
    for error in (MissingExtra("pip"), FileNotFoundError(2, "No such file", "a.bin")):
        with pytest.raises(type(error)), refusing("a.bin", "is broken"):
            raise error
    with (
        pytest.raises(ParameterError, match=r"^a\.bin is broken: n is 3$"),
        refusing("a.bin", "is broken"),
    ):
        raise ParameterError("n is 3")


def test_nan_and_infinity_stay_what_they_are() -> None:
    assert json.dumps(parse_json("[NaN, Infinity]", name="a")) == "[NaN, Infinity]"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_texts_are_read_as_programs_for_windows_write_them(
    encoding: str, end: str, tmp_path: Path
) -> None:
    path = tmp_path / "names.csv"
    path.write_bytes(f"file,label{end}Dvořák.wav,chœur{end}".encode(encoding))
    assert read_text(path) == f"file,label{end}Dvořák.wav,chœur{end}"


@pytest.mark.parametrize("encoding", ["cp1252", "shift-jis"])
def test_a_text_in_another_encoding_is_refused(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "names.csv"
    path.write_bytes("Größe 音".encode(encoding, "ignore") + b"\n\n")
    with pytest.raises(ParameterError, match=r"names\.csv is no text in UTF-8: .*save it as UTF-8"):
        read_text(path)


def test_a_text_that_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="is a folder"):
        read_text(tmp_path)
    with pytest.raises(ParameterError, match=r"lost\.csv is not there"):
        read_text(tmp_path / "lost.csv")

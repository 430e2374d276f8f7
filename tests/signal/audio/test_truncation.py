"""A sound that was cut off says so; whole ones, streams and other chunks give no word."""

from __future__ import annotations

import os
import re
import struct
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from otoscope.errors import ParameterError
from otoscope.signal import TruncatedSound, read_audio, truncation
from otoscope.signal.audio.files import Blocks

RATE = 16000
KINDS: dict[str, dict[str, Any]] = {
    "16.wav": {},
    "float.wav": {"subtype": "FLOAT"},
    "8.wav": {"subtype": "PCM_U8"},
    "adpcm.wav": {"subtype": "IMA_ADPCM"},
    "rifx.wav": {"endian": "BIG"},
    "a.rf64": {"format": "RF64"},
    "a.w64": {"format": "W64"},
    "16.aiff": {},
    "float.aif": {"format": "AIFF", "subtype": "FLOAT"},
    "a.au": {},
    "little.au": {"endian": "LITTLE"},
    "constant.mp3": {},
    "variable.mp3": {"bitrate_mode": "VARIABLE"},
}
OGG: dict[str, dict[str, Any]] = {"a.ogg": {}, "a.opus": {"format": "OGG", "subtype": "OPUS"}}
ID3 = b"ID3\x04\0\0" + bytes([0, 0, 2, 0]) + bytes(256)


def written(path: Path, *, n_channels: int = 1, **how: Any) -> bytes:
    """Write four seconds of noise, an odd number of samples; return the file's content."""
    y = np.random.default_rng(0).uniform(-0.5, 0.5, (4 * RATE - 1, n_channels))
    soundfile.write(path, y, RATE, **how)
    return path.read_bytes()


@pytest.mark.parametrize(("name", "how"), KINDS.items())
def test_a_halved_file_says_what_its_header_tells(
    tmp_path: Path, name: str, how: dict[str, Any]
) -> None:
    path = tmp_path / name
    content = written(path, **how)
    assert truncation(path) == ""
    path.write_bytes(content[: len(content) // 2])
    start = f"{name} is cut off: its header tells 4.0"
    assert truncation(path).startswith(start)
    assert re.search(r", 2\.0\d s are there$", truncation(path))
    with pytest.warns(TruncatedSound, match="its header tells 4") as caught:
        read_audio(path)
    assert caught[0].filename == __file__
    with pytest.warns(TruncatedSound):
        Blocks(path, sr=RATE)


@pytest.mark.parametrize("part", [0.5, 0.999])
@pytest.mark.parametrize(("name", "how"), OGG.items())
def test_an_ogg_without_its_last_page_says_so(
    tmp_path: Path, name: str, how: dict[str, Any], part: float
) -> None:
    path = tmp_path / name
    content = written(path, **how)
    assert truncation(path) == ""
    path.write_bytes(content + b"TAG" + bytes(125))
    assert truncation(path) == ""
    path.write_bytes(content[: int(part * len(content))])
    assert "is cut off: its last page does not end the sound; " in truncation(path)


def test_a_halved_flac_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    content = written(path)
    path.write_bytes(content[: len(content) // 2])
    assert truncation(path) == ""
    with pytest.raises(ParameterError, match="cannot be read as sound"):
        read_audio(path)


@pytest.mark.parametrize("tags", [ID3, 2 * ID3, ID3 + bytes(100)])
def test_tags_of_an_mp3_are_no_sound(tmp_path: Path, tags: bytes) -> None:
    path = tmp_path / "a.mp3"
    content = written(path, n_channels=2)
    path.write_bytes(tags + content)
    assert truncation(path) == ""
    path.write_bytes(tags + content + b"TAG" + bytes(125))
    assert truncation(path) == ""
    path.write_bytes(tags + content[: len(content) // 4])
    assert truncation(path).endswith("tells 4.00 s, 1.00 s are there")


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
@pytest.mark.parametrize(
    ("name", "place", "layout"),
    [("a.wav", b"data", "<I"), ("a.aiff", b"SSND", ">I"), ("a.au", b".snd", ">I")],
)
def test_a_stream_leaves_its_length_open(
    tmp_path: Path, name: str, place: bytes, layout: str, size: int
) -> None:
    path = tmp_path / name
    content = bytearray(written(path))
    at = content.index(place) + (8 if name == "a.au" else 4)
    content[at : at + 4] = struct.pack(layout, size)
    path.write_bytes(content)
    assert truncation(path) == ""


@pytest.mark.parametrize("n_channels", [1, 2, 3])
@pytest.mark.parametrize("name", ["a.wav", "a.aiff"])
def test_padding_and_other_chunks_are_no_sound(tmp_path: Path, name: str, n_channels: int) -> None:
    path = tmp_path / name
    content = written(
        path, n_channels=n_channels, subtype="PCM_U8" if name == "a.wav" else "PCM_S8"
    )
    for end in (b"", b"\0", b"LIST\x04\0\0\0abcd", b"LIST\xff\0\0\0abcd"):  # the last is torn
        path.write_bytes(content + end)
        assert truncation(path) == ""
    path.write_bytes(content[:-1])  # of some writers that count the padding
    assert truncation(path) == ""


def test_a_chunk_before_the_samples_is_passed(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    content = written(path)
    content = content[:12] + b"LIST\x05\0\0\0data!\0" + content[12:]
    path.write_bytes(content)
    assert truncation(path) == ""
    path.write_bytes(content[:-2])
    assert "is cut off" in truncation(path)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"OggS", b"ID3", b"\xff", b".snd\0\0", b"caff"])
def test_what_is_no_sound_is_the_readers_matter(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    assert truncation(path) == ""
    assert truncation(tmp_path / "absent.wav") == ""
    assert truncation(tmp_path) == ""


def test_whole_files_are_read_without_a_warning(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, how in (KINDS | OGG).items():
            written(tmp_path / name, **how)
            read_audio(tmp_path / name)


@pytest.mark.skipif(sys.platform != "linux", reason="names are Unicode there")
def test_a_name_that_is_not_utf_8_is_told_too(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.wav")
    content = written(tmp_path / "a.wav")
    path.write_bytes(content[: len(content) // 2])
    assert truncation(path) == f"{path.name} is cut off: its header tells 4.00 s, 2.00 s are there"

"""Sounds whose headers do not tell their length are read to their end."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.signal import read_audio, truncation
from otoscope.signal.audio.files import Blocks
from otoscope.signal.audio.mpeg import read_mpeg
from otoscope.signal.audio.reader import SoundReader

RATE = 8000
N = 3 * RATE + 1
OPEN: dict[str, list[int]] = {
    "a.wav": [0, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF - 36, 0xFFFFFFFF],
    "a.aiff": [0, 0x7FFFFFFF, 0xFFFFFFFF],
    "a.au": [0, 0x7FFFFFFF, 0xFFFFFFFF],
    "a.caf": [0, 1 << 63, (1 << 64) - 1],
    "a.w64": [0, 1 << 62, (1 << 64) - 1],
    "a.rf64": [0, 1 << 62, (1 << 64) - 1],
}
FIELDS = {  # mark, distance and layout of the length
    "a.wav": (b"data", 4, "<I"),
    "a.aiff": (b"SSND", 4, ">I"),
    "a.au": (b".snd", 8, ">I"),
    "a.caf": (b"data", 4, ">Q"),
    "a.w64": (b"data\xf3", 16, "<Q"),
    "a.rf64": (b"ds64", 16, "<Q"),
}


def written(path: Path, *, n_channels: int = 1, seed: int = 0, **how: Any) -> bytes:
    """Write three seconds of noise that swells; return the file's content."""
    y = np.random.default_rng(seed).uniform(-0.5, 0.5, (N, n_channels))
    y *= np.linspace(0.01, 1, N)[:, None]
    if path.suffix in (".caf", ".w64", ".rf64"):
        how["format"] = path.suffix[1:].upper()
    soundfile.write(path, y, RATE, **how)
    return path.read_bytes()


def heard(path: Path) -> Tensor:
    """Read a file as a whole, and compare with its blocks."""
    y, sr = read_audio(path)
    torch.testing.assert_close(torch.cat(list(Blocks(path, sr=sr))), y, rtol=0, atol=1e-6)
    return y


@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize(("name", "size"), [(n, size) for n in OPEN for size in OPEN[n]])
def test_a_length_that_is_left_open_reaches_to_the_end(
    tmp_path: Path, name: str, size: int, n_channels: int
) -> None:
    path = tmp_path / name
    content = bytearray(written(path, n_channels=n_channels))
    whole = heard(path)
    mark, distance, layout = FIELDS[name]
    at = content.index(mark) + distance
    content[at : at + struct.calcsize(layout)] = struct.pack(layout, size)
    if name in ("a.wav", "a.aiff"):  # as FFmpeg leaves it in a pipe
        content[4:8] = b"\xff\xff\xff\xff" if size else bytes(4)
    path.write_bytes(content)
    assert torch.equal(heard(path), whole)
    assert Blocks(path, sr=RATE).seconds == pytest.approx(N / RATE)
    assert truncation(path) == ""


def test_silence_behind_a_length_of_0_is_sound(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(800), RATE)
    content = path.read_bytes()
    path.write_bytes(content[:40] + bytes(4) + content[44:])
    assert heard(path).tolist() == [0.0] * 800


@pytest.mark.parametrize("chunks", [b"", b"LIST\x04\0\0\0abcd", b"LIST\x03\0\0\0abc\0"])
def test_a_sound_without_samples_stays_empty(tmp_path: Path, chunks: bytes) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(0), RATE)
    path.write_bytes(path.read_bytes()[:44] + chunks)
    with pytest.raises(ParameterError, match="there are no samples"):
        read_audio(path)


@pytest.mark.parametrize("n_channels", [1, 2])
def test_a_flac_stream_is_read_to_its_end(tmp_path: Path, n_channels: int) -> None:
    path = tmp_path / "a.flac"
    content = bytearray(written(path, n_channels=n_channels))
    whole = heard(path)
    content[21] &= 0xF0  # the 36 bits of the number of samples
    content[22:26] = bytes(4)
    path.write_bytes(content)
    assert torch.equal(heard(path), whole)
    assert Blocks(path, sr=RATE).seconds == float("inf")
    assert read_audio(path, sr=2 * RATE)[0].shape == (2 * N,)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ParameterError, match=r"a\.flac cannot be read as sound"):
        read_audio(path)
    with pytest.raises(ParameterError, match=r"a\.flac cannot be read as sound"):
        list(Blocks(path, sr=RATE))


@pytest.mark.parametrize(("name", "subtype"), [("a.ogg", "VORBIS"), ("a.opus", "OPUS")])
def test_all_links_of_an_ogg_chain_are_read(tmp_path: Path, name: str, subtype: str) -> None:
    path = tmp_path / name
    first, second = (written(path, seed=seed, format="OGG", subtype=subtype) for seed in (0, 1))
    parts = []
    for content in (first, second):
        path.write_bytes(content)
        parts.append(heard(path))
    path.write_bytes(first + second + first)
    assert torch.equal(heard(path), torch.cat([*parts, parts[0]]))
    assert Blocks(path, sr=RATE).seconds == pytest.approx(3 * N / RATE)
    assert truncation(path) == ""
    path.write_bytes(first + second[:-10])
    assert "its last page does not end the sound" in truncation(path)
    assert N < len(heard_with_warning(path)) < 2 * N


def heard_with_warning(path: Path) -> Tensor:
    """Read a file that was cut off."""
    with pytest.warns(UserWarning, match="is cut off"):
        return read_audio(path)[0]


@pytest.mark.parametrize(("sr", "n_channels"), [(2 * RATE, 1), (RATE, 2)])
def test_a_chain_of_different_sounds_is_refused(tmp_path: Path, sr: int, n_channels: int) -> None:
    path = tmp_path / "a.ogg"
    first = written(path)
    soundfile.write(path, np.zeros((sr, n_channels)), sr)
    path.write_bytes(first + path.read_bytes())
    needed = rf"1 has {RATE} Hz and 1 channels, number 2 {sr} Hz and {n_channels}"
    for reading in (read_audio, SoundReader):
        with pytest.raises(ParameterError, match=needed):
            reading(path)


@pytest.fixture(scope="module", params=[(1, "VARIABLE"), (2, "VARIABLE"), (1, "CONSTANT")])
def mp3(request: Any, tmp_path_factory: Any) -> tuple[Tensor, bytes, int]:
    """Sound, frames without the one that counts them, and length of the first frame."""
    path = tmp_path_factory.mktemp("mp3") / "a.mp3"
    n_channels, mode = request.param
    content = written(path, n_channels=n_channels, bitrate_mode=mode, compression_level=0.5)
    stream = read_file(path)
    assert stream.counted == len(content)
    return heard(path), content[stream.opening.n_bytes :], stream.opening.n_bytes


def read_file(path: Path) -> Any:
    """Find the frames of a file."""
    with path.open("rb") as file:
        return read_mpeg(file, path.stat().st_size)


TAGS = [b"", b"TAG" + bytes(125), b"APETAGEX" + bytes(400), b"\xff" * 300, bytes(range(256)) * 99]


@pytest.mark.parametrize("tag", TAGS)
def test_an_mp3_that_counts_nothing_is_read_to_its_end(
    tmp_path: Path, mp3: tuple[Tensor, bytes, int], tag: bytes
) -> None:
    whole, frames, _ = mp3
    path = tmp_path / "a.mp3"
    path.write_bytes(frames + tag)
    y = heard(path)
    delay = next(
        i for i in range(1200) if torch.allclose(y[i : i + N // 2], whole[: N // 2], atol=1e-4)
    )  # of the coder, which the lost header told
    n = min(len(y) - delay, len(whole))
    assert n >= N - 1200
    torch.testing.assert_close(y[delay:][:n], whole[:n], rtol=0, atol=1e-4)
    assert truncation(path) == ""
    assert read_file(path).n_samples / 576 == pytest.approx(N / 576, abs=4)


@pytest.mark.parametrize("cut", [1, 2, 3, 20])
def test_an_mp3_without_its_last_bytes_says_so(
    tmp_path: Path, mp3: tuple[Tensor, bytes, int], cut: int
) -> None:
    path = tmp_path / "a.mp3"
    path.write_bytes(mp3[1][:-cut])
    assert truncation(path).startswith("a.mp3 is cut off: its last frame is not whole; 3.")
    heard_with_warning(path)


def test_an_mp3_cut_within_a_header_says_so(tmp_path: Path, mp3: tuple[Tensor, bytes, int]) -> None:
    path = tmp_path / "a.mp3"
    for n in (1, 2, 3):
        path.write_bytes(mp3[1] + mp3[1][:n])
        assert "its last frame is not whole" in truncation(path)


def test_a_cut_between_frames_cannot_be_known(
    tmp_path: Path, mp3: tuple[Tensor, bytes, int]
) -> None:
    path = tmp_path / "a.mp3"
    path.write_bytes(mp3[1])
    n_samples = read_file(path).n_samples
    path.write_bytes(mp3[1][: mp3[1].rindex(mp3[1][:2])])
    assert truncation(path) == ""
    assert read_file(path).n_samples == n_samples - 576


def test_the_search_for_frames_is_bounded(
    tmp_path: Path, mp3: tuple[Tensor, bytes, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("otoscope.signal.audio.mpeg._MOST_TRIES", 1000)
    path = tmp_path / "a.mp3"
    path.write_bytes(mp3[1] + b"\xff" * 2000 + mp3[1])
    assert read_file(path).end == len(mp3[1])
    path.write_bytes(mp3[1] + b"\xff" * 500 + mp3[1])
    assert read_file(path).end == 2 * len(mp3[1]) + 500

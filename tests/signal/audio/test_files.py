"""Audio files are read as written, whole or in blocks, at any rate; bad files are named."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from otoscope.errors import ParameterError
from otoscope.signal import TruncatedSound
from otoscope.signal.audio import files
from otoscope.signal.audio.files import Blocks, encode_audio, mono, read_audio, write_audio


def tone(hz: float, sr: int, seconds: float = 1.0) -> torch.Tensor:
    return 0.5 * torch.sin(2 * torch.pi * hz * torch.arange(int(sr * seconds)) / sr)


@pytest.mark.parametrize(
    ("name", "subtype", "tolerance"),
    [
        ("a.wav", None, 2**-15),
        ("a.wav", "PCM_24", 2**-23),
        ("a.wav", "FLOAT", 0.0),
        ("a.flac", None, 2**-15),
        ("a.ogg", None, 0.05),  # lossy
    ],
)
def test_a_file_reads_back_what_was_written(
    tmp_path: Path, name: str, subtype: str | None, tolerance: float
) -> None:
    y = tone(440, 22050)
    write_audio(tmp_path / name, y, sr=22050, subtype=subtype)
    back, sr = read_audio(tmp_path / name)
    assert (back.shape, back.dtype, sr) == (y.shape, torch.float32, 22050)
    assert (back - y).abs().max() <= tolerance
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_five_minutes_of_ogg_can_be_written() -> None:
    assert encode_audio(torch.zeros(300 * 22050), sr=22050, format="OGG")[:4] == b"OggS"


@pytest.mark.parametrize("channels", [1, 2, 8])
@pytest.mark.parametrize("rate", [8000, 44100, 96000])
def test_any_rate_and_channels_become_mono_at_the_rate_asked(
    tmp_path: Path, channels: int, rate: int
) -> None:
    path = tmp_path / "many.wav"
    soundfile.write(path, tone(440, rate)[:, None].expand(-1, channels).numpy(), rate)
    y, sr = read_audio(path, sr=16000)
    assert sr == 16000
    assert y.shape == (16000,)
    inside = slice(400, -400)  # the resampler's filter meets silence at the ends
    assert (y - tone(440, 16000))[inside].abs().max() < 1e-3


def test_channels_are_averaged() -> None:
    y, _ = mono(np.array([[1.0, 0.0, -1.0], [0.0, 0.5, -1.0]]), 8000)
    assert y.tolist() == [0.5, 0.25, -1.0]


def test_resampling_keeps_out_what_the_new_rate_cannot_hold() -> None:
    y, _ = mono(tone(7000, 22050), 22050, sr=8000)
    assert y[400:-400].abs().max() < 1e-3


def test_silence_is_a_sound(tmp_path: Path) -> None:
    write_audio(tmp_path / "silence.wav", torch.zeros(100), sr=8000)
    y, _ = read_audio(tmp_path / "silence.wav", sr=16000)
    assert not y.any()


def test_unreadable_files_say_why(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("not a sound " * 100)
    (tmp_path / "cut.flac").write_bytes(encode_audio(tone(440, 8000), sr=8000, format="FLAC")[:30])
    (tmp_path / "samples.raw").write_bytes(bytes(100))
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 8000)
    soundfile.write(tmp_path / "nan.wav", np.array([0.0, np.nan]), 8000, subtype="FLOAT")
    for name, message in {
        "missing.wav": "missing.wav is not there",
        ".": "is a folder",
        "empty.wav": r"empty.wav is empty \(0 bytes\)",
        "text.wav": "text.wav cannot be read as sound.*ffmpeg",
        "cut.flac": "cut.flac cannot be read as sound",
        "none.wav": "none.wav: there are no samples",
        "samples.raw": "samples.raw cannot be read as sound",
        "nan.wav": "nan.wav: 1 of 2 samples are NaN or infinite",
    }.items():
        with pytest.raises(ParameterError, match=message):
            read_audio(tmp_path / name)


def test_samples_of_a_wrong_shape_or_kind_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"100 channels of 2 samples.*y\.T"):
        mono(torch.zeros(100, 2), 8000)
    with pytest.raises(ParameterError, match="y is int16, a sound has floating samples"):
        mono(torch.zeros(10, dtype=torch.int16), 8000)
    with pytest.raises(ParameterError, match="sr is 0"):
        mono(torch.zeros(10), 8000, sr=0)


def test_sound_that_would_clip_is_not_written(tmp_path: Path) -> None:
    y = torch.tensor([0.0, 1.5])
    with pytest.raises(ParameterError, match=r"peaks at 1\.500"):
        write_audio(tmp_path / "a.wav", y, sr=8000)
    write_audio(tmp_path / "a.wav", y, sr=8000, subtype="FLOAT")
    assert read_audio(tmp_path / "a.wav")[0].equal(y)


def test_what_cannot_be_written_says_why(tmp_path: Path) -> None:
    y = torch.zeros(10)
    with pytest.raises(ParameterError, match=r"must end in one of \.wav"):
        write_audio(tmp_path / "a.mp4", y, sr=8000)
    with pytest.raises(OSError, match="No such file or directory"):
        write_audio(tmp_path / "nowhere" / "a.wav", y, sr=8000)
    with pytest.raises(ParameterError, match="'FLAC' with subtype 'FLOAT'"):
        encode_audio(y, sr=8000, format="FLAC", subtype="FLOAT")
    with pytest.raises(ParameterError, match="whole rates"):
        encode_audio(y, sr=8000.5)
    with pytest.raises(ParameterError, match="NaN"):
        encode_audio(torch.tensor([float("nan")]), sr=8000)


@given(st.integers(1, 3), st.integers(1, 200))
def test_encoding_keeps_channels_and_length(channels: int, samples: int) -> None:
    content = encode_audio(torch.zeros(channels, samples), sr=8000)
    assert soundfile.read(io.BytesIO(content), always_2d=True)[0].shape == (samples, channels)


@pytest.mark.parametrize("sr", [8000, 16000, 22050, 44100])
@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_joined_they_are_the_file(
    sr: int, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_BLOCK_SECONDS", 0.7)
    noise = np.random.default_rng(0).normal(scale=0.1, size=(22050 * 3 + 17, 2))
    soundfile.write(tmp_path / f"a{suffix}", noise, 22050)
    expected, _ = read_audio(tmp_path / f"a{suffix}", sr=sr)
    read = Blocks(tmp_path / f"a{suffix}", sr=sr)
    parts = list(read)
    assert read.file_sr == 22050
    assert len(parts) >= 4
    assert max(map(len, parts)) <= 0.8 * sr
    joined = torch.cat(parts)
    assert abs(len(joined) - len(expected)) <= 1  # librosa rounds the length up
    n = min(len(joined), len(expected))
    torch.testing.assert_close(joined[:n], expected[:n], rtol=0, atol=1e-5)


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_a_file_that_breaks_off_is_read_to_there_or_refused(suffix: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(scale=0.1, size=8000)
    path = tmp_path / f"a{suffix}"
    soundfile.write(path, noise, 8000)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    is_refused = suffix == ".flac"
    with pytest.raises(ParameterError) if is_refused else pytest.warns(TruncatedSound):
        assert 0 < sum(map(len, Blocks(path, sr=8000))) < 8000


def test_what_is_no_sound_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with pytest.raises(ParameterError, match="is not there"):
        Blocks(path, sr=8000)
    path.touch()
    with pytest.raises(ParameterError, match=r"is empty \(0 bytes\)"):
        Blocks(path, sr=8000)
    path.write_text("no sound")
    with pytest.raises(ParameterError, match="cannot be read as sound"):
        Blocks(path, sr=8000)
    samples = np.zeros(100, "float32")
    samples[3] = np.nan
    soundfile.write(path, samples, 8000, subtype="FLOAT")
    with pytest.raises(ParameterError, match=r"NaN or infinite samples: 1$"):
        list(Blocks(path, sr=8000))


@pytest.mark.parametrize("limit", [600.0, 1.0])
def test_the_beginning_of_a_file_is_that_of_the_whole(
    limit: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "LONG", limit)
    y = torch.from_numpy(0.1 * np.random.default_rng(0).standard_normal(3 * 8000)).float()
    write_audio(tmp_path / "a.wav", y, sr=8000)
    whole = read_audio(tmp_path / "a.wav", sr=12000)[0]
    for seconds in (0.5, 2.9999, 3.0, 9.0):
        part = files.read_beginning(tmp_path / "a.wav", sr=12000, seconds=seconds)
        assert len(part) == min(len(whole), round(12000 * seconds))
        torch.testing.assert_close(part, whole[: len(part)], rtol=0, atol=1e-6)

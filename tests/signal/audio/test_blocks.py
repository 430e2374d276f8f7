"""Blocks of a sound file are the file, at any rate and wherever they are cut."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from otoscope.errors import ParameterError
from otoscope.signal import read_audio
from otoscope.signal.audio import blocks
from otoscope.signal.audio.blocks import Blocks


@pytest.mark.parametrize("sr", [8000, 16000, 22050, 44100])
@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_joined_they_are_the_file(
    sr: int, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "_SECONDS", 0.7)
    noise = np.random.default_rng(0).normal(scale=0.1, size=(22050 * 3 + 17, 2))
    soundfile.write(tmp_path / f"a{suffix}", noise, 22050)
    expected, _ = read_audio(tmp_path / f"a{suffix}", sr=sr)
    read = Blocks(tmp_path / f"a{suffix}", sr=sr)
    parts = list(read)
    assert read.file_sr == 22050
    assert len(parts) >= 4
    assert max(map(len, parts)) <= 0.8 * sr
    found = torch.cat(parts)
    assert abs(len(found) - len(expected)) <= 1  # librosa rounds the length up
    n = min(len(found), len(expected))
    torch.testing.assert_close(found[:n], expected[:n], rtol=0, atol=1e-5)


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_a_file_that_breaks_off_is_read_to_there_or_refused(suffix: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(scale=0.1, size=8000)
    path = tmp_path / f"a{suffix}"
    soundfile.write(path, noise, 8000)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with suppress(ParameterError):
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
    with pytest.raises(ParameterError, match="1 samples are NaN or infinite"):
        list(Blocks(path, sr=8000))

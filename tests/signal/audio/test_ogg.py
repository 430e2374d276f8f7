"""Vorbis and Opus come back in time, and better the more they may spend."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.signal.audio.ogg import opus, vorbis
from otoscope.signal.snr import snr_db

needs_opus = pytest.mark.skipif(
    "OPUS" not in soundfile.available_subtypes("OGG"), reason="this libsndfile has no Opus"
)
CODERS = {"vorbis": lambda y, sr: vorbis(y, sr=sr, quality=60),
          "opus": lambda y, sr: opus(y, sr=sr, bitrate=96)}  # fmt: skip


def chord(sr: int, seconds: float = 1.0) -> Tensor:
    t = torch.arange(round(sr * seconds)) / sr
    sound = sum(torch.sin(6.2832 * hz * t) for hz in (220.0, 277.2, 329.6, 880.0))
    noise = torch.randn(len(t), generator=torch.Generator().manual_seed(0))
    return 0.15 * torch.as_tensor(sound) + 0.01 * noise


@pytest.mark.parametrize(
    ("codec", "sr"),
    [("vorbis", sr) for sr in (8000, 12345, 16000, 22050, 44100, 48000)]
    + [pytest.param("opus", sr, marks=needs_opus) for sr in (8000, 12000, 16000, 24000, 48000)],
)
def test_comes_back_in_time_and_like_the_original(codec: str, sr: int) -> None:
    y = chord(sr, 1.0001)
    coded = CODERS[codec](y, sr)
    assert coded.shape == y.shape
    correlation = np.correlate(coded.numpy(), y.numpy()[1200:-1200], mode="valid")
    assert int(correlation.argmax()) == 1200
    assert 12 < float(snr_db(y, coded)) < 60


@pytest.mark.parametrize(
    ("coder", "amounts"),
    [
        (lambda y, q: vorbis(y, sr=16000, quality=q), (0, 50, 100)),
        pytest.param(lambda y, b: opus(y, sr=16000, bitrate=b), (8, 24, 128), marks=needs_opus),
    ],
)
def test_spending_more_keeps_more(
    coder: Callable[[Tensor, float], Tensor], amounts: tuple[float, ...]
) -> None:
    y = chord(16000, 2.0)
    ratios = [float(snr_db(y, coder(y, amount))) for amount in amounts]
    assert ratios == sorted(ratios)
    assert ratios[-1] > ratios[0] + 6


def test_a_batch_is_its_rows_long_sounds_pass_and_loud_ones_are_not_clipped() -> None:
    y = torch.stack([chord(16000, 0.4), chord(16000, 0.4).flip(0)]).double()
    assert vorbis(y, sr=16000, quality=50).dtype == torch.float64
    assert torch.equal(vorbis(y, sr=16000, quality=50)[1], vorbis(y[1], sr=16000, quality=50))
    assert vorbis(torch.zeros(200_001), sr=48000, quality=10).shape == (200_001,)
    assert vorbis(torch.zeros(1), sr=16000, quality=50).shape == (1,)
    loud = 2 * torch.sin(2 * torch.pi * 440 * torch.arange(16000) / 16000)
    assert float(vorbis(loud, sr=16000, quality=80)[4000:12000].abs().max()) > 1.9


def test_what_the_codecs_have_not_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    y = torch.zeros(100)
    with pytest.raises(ParameterError, match="sr is 4000; Vorbis has 8000 to 192000"):
        vorbis(y, sr=4000, quality=50)
    with pytest.raises(ParameterError, match="quality is 101 %"):
        vorbis(y, sr=8000, quality=101)
    with pytest.raises(ParameterError, match=r"sr is 22050; Opus has 8000, 12000.*resample first"):
        opus(y, sr=22050, bitrate=64)
    with pytest.raises(ParameterError, match=r"bitrate is 500 kbit/s, must be in \[6, 256\]"):
        opus(y, sr=48000, bitrate=500)
    monkeypatch.setattr(soundfile, "available_subtypes", lambda _: {"VORBIS": "Vorbis"})
    with pytest.raises(ParameterError, match=r"has no Opus; it needs 1\.0\.29"):
        opus(y, sr=48000, bitrate=64)

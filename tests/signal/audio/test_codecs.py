"""Codecs return waveforms in time, at the given bit rate; MP3 passes a gradient."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.signal.audio import codecs
from otoscope.signal.audio.codecs import mp3, opus, vorbis
from otoscope.signal.snr import snr_db


def chord(sr: int, seconds: float = 1.0) -> torch.Tensor:
    t = torch.arange(round(sr * seconds)) / sr
    sound = sum(torch.sin(6.2832 * hz * t) for hz in (220.0, 277.2, 329.6, 880.0))
    noise = torch.randn(len(t), generator=torch.Generator().manual_seed(0))
    return 0.15 * torch.as_tensor(sound) + 0.01 * noise


@pytest.mark.parametrize(
    ("sr", "bitrate"),
    [(8000, 64), (11025, 16), (16000, 64), (16000, 16), (22050, 40), (44100, 128), (48000, 320)],
)
def test_comes_back_in_time_and_like_the_original(sr: int, bitrate: int) -> None:
    y = chord(sr, 1.0001)
    coded = mp3(y, sr=sr, bitrate=bitrate)
    assert coded.shape == y.shape
    correlation = np.correlate(coded.numpy(), y.numpy()[1200:-1200], mode="valid")
    assert int(correlation.argmax()) == 1200
    assert 0.5 < float(snr_db(y, coded)) < 60
    if bitrate >= 40:
        assert float(snr_db(y, coded)) > 12


@pytest.mark.parametrize(("sr", "bitrate"), [(16000, 48), (22050, 96), (44100, 128), (8000, 32)])
def test_the_file_has_the_bit_rate(sr: int, bitrate: int, monkeypatch: pytest.MonkeyPatch) -> None:
    import soundfile

    sizes = []

    def measured(file: io.BytesIO, *args: object, **kwargs: object) -> object:
        sizes.append(len(file.getvalue()))
        return read(file, *args, **kwargs)

    read = soundfile.read
    monkeypatch.setattr(soundfile, "read", measured)
    mp3(chord(sr, 4.0), sr=sr, bitrate=bitrate)
    assert 8 * sizes[0] / 4.0 / 1000 == pytest.approx(bitrate, rel=0.08)  # frames are whole


def test_a_lower_rate_leaves_less() -> None:
    y = chord(22050, 2.0)
    ratios = [float(snr_db(y, mp3(y, sr=22050, bitrate=b))) for b in (32, 64, 160)]
    assert ratios == sorted(ratios)
    assert ratios[2] > ratios[0] + 3


def test_the_gradient_passes_through_what_the_coder_keeps_and_nothing_else() -> None:
    sr = 22050
    t = torch.arange(sr // 2, dtype=torch.float64) / sr
    noise = torch.randn(len(t), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = (chord(sr, 0.5).double() + 0.02 * noise).requires_grad_()
    coded = mp3(y, sr=sr, bitrate=32)
    assert torch.equal(coded, mp3(y.detach(), sr=sr, bitrate=32))
    middle = slice(2000, -2000)
    for hz, passes in ((440.0 / 2, 1.0), (10000.0, 0.0)):
        weight = torch.sin(2 * torch.pi * hz * t)
        (gradient,) = torch.autograd.grad((coded * weight).sum(), y, retain_graph=True)
        share = (gradient * weight)[middle].sum() / weight[middle].square().sum()
        assert float(share) == pytest.approx(passes, abs=0.1)


@pytest.mark.parametrize("gain", [0.5, 2.0])
def test_the_gradient_is_never_that_of_an_amplifier(gain: float) -> None:
    y = chord(8000, 0.5)
    torch.testing.assert_close(
        codecs._filter_as_coded(y, gain * y), min(gain, 1.0) * y, rtol=1e-4, atol=1e-5
    )


def test_a_batch_is_its_rows_and_a_sound_of_one_sample_has_one() -> None:
    y = torch.stack([chord(16000, 0.4), chord(16000, 0.4).flip(0)])
    assert torch.equal(mp3(y, sr=16000)[1], mp3(y[1], sr=16000))
    assert mp3(torch.zeros(1), sr=16000).shape == (1,)


def test_what_mp3_has_not_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"sr is 12345; MP3 has 8000, 11025"):
        mp3(torch.zeros(10), sr=12345)
    with pytest.raises(ParameterError, match=r"bitrate is 320 kbit/s, must be in \(8, 160\]"):
        mp3(torch.zeros(10), sr=16000, bitrate=320)
    assert set(codecs._MP3_BITRATES) == {
        8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000,
    }  # fmt: skip


needs_opus = pytest.mark.skipif(
    "OPUS" not in soundfile.available_subtypes("OGG"), reason="this libsndfile has no Opus"
)
CODERS = {"vorbis": lambda y, sr: vorbis(y, sr=sr, quality=60),
          "opus": lambda y, sr: opus(y, sr=sr, bitrate=96)}  # fmt: skip


@pytest.mark.parametrize(
    ("codec", "sr"),
    [("vorbis", sr) for sr in (8000, 12345, 16000, 22050, 44100, 48000)]
    + [pytest.param("opus", sr, marks=needs_opus) for sr in (8000, 12000, 16000, 24000, 48000)],
)
def test_vorbis_and_opus_come_back_in_time_and_like_the_original(codec: str, sr: int) -> None:
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


def test_a_batch_of_vorbis_is_its_rows_long_sounds_pass_and_loud_ones_are_not_clipped() -> None:
    y = torch.stack([chord(16000, 0.4), chord(16000, 0.4).flip(0)]).double()
    assert vorbis(y, sr=16000, quality=50).dtype == torch.float64
    assert torch.equal(vorbis(y, sr=16000, quality=50)[1], vorbis(y[1], sr=16000, quality=50))
    assert vorbis(torch.zeros(200_001), sr=48000, quality=10).shape == (200_001,)
    assert vorbis(torch.zeros(1), sr=16000, quality=50).shape == (1,)
    loud = 2 * torch.sin(2 * torch.pi * 440 * torch.arange(16000) / 16000)
    assert float(vorbis(loud, sr=16000, quality=80)[4000:12000].abs().max()) > 1.9


def test_what_vorbis_and_opus_do_not_support_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
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

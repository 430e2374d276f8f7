"""Each intervention does to a sound what its dose says, by measures of its own."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.intervene import (
    BitDepth,
    CodecRoundTrip,
    Crop,
    Equaliser,
    Gain,
    HighPass,
    LeadingSilence,
    LowPass,
    Pitch,
    Polarity,
    Resample,
    Reverb,
    Tempo,
    WhiteNoise,
    dilation_percent,
)
from otoscope.signal.snr import snr_db
from tests.support.sounds import centres, clicks, frequency, sine

SR = 22050
STRETCHER = "otoscope"
REACH = 20


def noise(n: int = SR, *, seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def level_db(out: Tensor, y: Tensor) -> float:
    return 10 * math.log10(float(out.square().mean() / y.square().mean()))


def test_tempo_6_is_faster_by_6_percent_and_a_dilation_of_minus_5_66() -> None:
    y, begins = clicks(6.0)
    faster = Tempo(6, STRETCHER).render(y, SR, duration=5.5)
    heard = begins[begins / 1.06 < 5.3 * SR]
    places = centres(faster, heard / 1.06)
    assert np.abs(places - (centres(y, heard) - heard).mean() - heard / 1.06).max() < REACH
    assert dilation_percent(6) == pytest.approx(-5.66, abs=0.005)
    assert abs(1200 * math.log2(frequency(Tempo(6, STRETCHER).render(sine(440), SR)) / 440)) < 2


@given(percent=st.floats(-90, 900))
def test_dilation_is_its_own_inverse_and_undoes_a_tempo(percent: float) -> None:
    back = dilation_percent(percent)
    assert dilation_percent(back) == pytest.approx(percent, abs=1e-9)
    assert (1 + percent / 100) * (1 + back / 100) == pytest.approx(1)


def test_without_duration_left_there_is_no_dilation() -> None:
    for percent in (-100, -200, math.inf, math.nan):
        with pytest.raises(ParameterError, match="must be finite and > -100"):
            dilation_percent(percent)


def test_the_placebo_of_a_tempo_leaves_onsets_and_frequencies_where_they_were() -> None:
    y, begins = clicks(6.0)
    begins = begins[begins < 5.2 * SR]
    back = Tempo(6, STRETCHER).placebo().render(y, SR, duration=5.6)
    assert np.abs(centres(back, begins) - centres(y, begins)).max() < REACH
    assert not torch.equal(back, y[: len(back)])


@pytest.mark.parametrize("cents", [-100.0, 50.0])
def test_pitch_changes_the_frequency_by_the_ratio(cents: float) -> None:
    out = Pitch(cents, STRETCHER).render(sine(440), SR, duration=2.0)
    assert 1200 * math.log2(frequency(out) / 440) == pytest.approx(cents, abs=2)


def test_the_equaliser_stays_in_its_bounds_and_the_dose_scales_one_curve() -> None:
    click = torch.zeros(SR, dtype=torch.float64)
    click[SR // 2] = 1
    curves = {}
    for seed in (1, 2):
        for dose in (3, 6):
            out = Equaliser(dose).render(click, SR, seed=seed)
            gain_db = 20 * torch.fft.rfft(out).abs().log10()
            assert float(gain_db.abs().max()) <= dose + 0.02  # the click's ends are cut
            assert float(gain_db.std()) > dose / 10
            assert float(gain_db[100:].diff().abs().max()) < 0.1  # smooth: dB a hertz
            curves[seed, dose] = gain_db
    torch.testing.assert_close(2 * curves[1, 3], curves[1, 6], rtol=0, atol=0.05)
    assert float((curves[1, 6] - curves[2, 6]).abs().max()) > 1


@pytest.mark.parametrize("db", [-60.0, -3.0, 6.0])
def test_gain_is_exact(db: float) -> None:
    y = noise()
    torch.testing.assert_close(Gain(db).render(y, SR), y * 10 ** (db / 20), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("intervention", "stopped", "kept", "stop_db"),
    [
        (HighPass(20), 20.0, 40.0, 30),
        (HighPass(20, design="steep"), 19.0, 20.0, 60),
        (HighPass(20, design="steep", zero_phase=True), 19.0, 20.0, 60),
        (LowPass(4000), 4000.0, 2000.0, 30),
        (LowPass(4000, design="steep"), 4000 / 0.95, 4000.0, 60),
    ],
    ids=str,
)
def test_filters_stop_and_keep_at_their_edges(
    intervention: HighPass | LowPass, stopped: float, kept: float, stop_db: float
) -> None:
    click = torch.zeros(12 * SR, dtype=torch.float64)
    click[6 * SR] = 1
    response = 20 * torch.fft.rfft(intervention.render(click, SR)).abs().log10()
    hz = torch.fft.rfftfreq(12 * SR, 1 / SR, dtype=torch.float64)
    is_high = isinstance(intervention, HighPass)
    is_stopped, is_kept = (hz <= stopped, hz >= kept) if is_high else (hz >= stopped, hz <= kept)
    assert float(response[is_stopped].max()) < -stop_db + 0.1
    assert -1.01 < float(response[is_kept].min()) <= float(response[is_kept].max()) < 0.01


def test_a_filter_beyond_half_the_rate_is_refused() -> None:
    with pytest.raises(
        ParameterError, match="a sampling rate of 8000 Hz holds nothing above 4000 Hz"
    ):
        LowPass(6000).render(torch.zeros(100), 8000)


@pytest.mark.parametrize(
    ("intervention", "sr"),
    [
        (CodecRoundTrip(64), 22050),
        (CodecRoundTrip(60, codec="vorbis"), 22050),
        (CodecRoundTrip(64, codec="opus"), 16000),
        (Resample(16000), 22050),
    ],
    ids=str,
)
def test_round_trips_are_in_time(intervention: CodecRoundTrip | Resample, sr: int) -> None:
    t = torch.arange(2 * sr) / sr
    y = sum(0.15 * torch.sin(6.2832 * hz * t) for hz in (220.0, 277.2, 329.6, 880.0))
    assert isinstance(y, Tensor)
    y = y + 0.01 * noise(2 * sr).float()
    out = intervention.render(y, sr)
    correlation = np.correlate(out.numpy(), y.numpy()[1200:-1200], mode="valid")
    assert int(correlation.argmax()) == 1200
    assert 12 < float(snr_db(y, out)) < 80


def test_codecs_need_whole_rates_that_they_have() -> None:
    with pytest.raises(ParameterError, match=r"sr is 22050\.5; files hold whole rates"):
        CodecRoundTrip(64).render(noise(), 22050.5)
    with pytest.raises(ParameterError, match="sr is 12345; MP3 has"):
        CodecRoundTrip(64).render(noise(), 12345)
    assert CodecRoundTrip(64).render(noise(), 22050.0).shape == (SR,)


def test_resampling_keeps_what_lies_below_and_takes_what_lies_above() -> None:
    for hz, is_kept in ((3000.0, True), (5000.0, False)):
        y = torch.sin(2 * torch.pi * hz * torch.arange(3 * SR, dtype=torch.float64) / SR)
        out = Resample(8000).render(y, SR)[SR:-SR]
        assert level_db(out, y) == pytest.approx(0, abs=0.05) if is_kept else level_db(out, y) < -90


@pytest.mark.parametrize("snr", [1.0, 20.0, 60.0])
def test_noise_has_its_ratio_exactly_in_each_channel_and_the_dose_scales_it(snr: float) -> None:
    y = torch.stack([noise(), 3 * noise(seed=1)])
    out = WhiteNoise(snr).render(y, SR, seed=5)
    torch.testing.assert_close(snr_db(y, out), torch.full_like(y[:, 0], snr), rtol=0, atol=1e-6)
    louder = WhiteNoise(snr + 20).render(y, SR, seed=5)
    torch.testing.assert_close((out - y) / 10, louder - y, rtol=0, atol=1e-12)
    with pytest.raises(ParameterError, match="silent"):
        WhiteNoise(20).render(torch.zeros(100), SR)


@pytest.mark.parametrize("bits", [1, 4, 8, 16])
def test_bit_depth_leaves_so_many_levels_and_the_error_of_rounding(bits: int) -> None:
    y = torch.linspace(-1, 1 - 2.0 ** (1 - bits), 200_000, dtype=torch.float64)
    out = BitDepth(bits).render(y, SR)
    assert len(out.unique()) == 2**bits
    assert float((out - y).abs().max()) <= 2.0**-bits
    expected = -10 * math.log10(12) - 20 * (bits - 1) * math.log10(2)  # of a step evenly, dB
    assert 10 * math.log10(float((out - y).square().mean())) == pytest.approx(expected, abs=0.1)
    clipped = BitDepth(bits).render(torch.tensor([-3.0, 3.0]), SR)
    assert clipped.tolist() == [-1.0, 1 - 2.0 ** (1 - bits)]


def test_reverb_adds_a_tail_of_its_length_and_keeps_the_direct_sound() -> None:
    click = torch.zeros(2 * SR, dtype=torch.float64)
    click[100] = 1
    out = Reverb(0.5, direct_db=6).render(click, SR, seed=1)
    assert float(out[:100].abs().max()) < 1e-12
    assert float(out[100]) == pytest.approx(1)
    tail = out[101:].square()
    assert 10 * math.log10(float(tail.sum())) == pytest.approx(-6, abs=1e-6)
    assert float(tail[round(0.5 * SR) :].max()) < 1e-20
    early, late = tail[:2205].sum(), tail[5 * 2205 // 2 : 7 * 2205 // 2].sum()  # 0.25 s apart
    assert 10 * math.log10(float(early / late)) == pytest.approx(30, abs=1)


def test_crop_begins_later_and_silence_ends_earlier() -> None:
    y = noise()
    assert torch.equal(Crop(0.25).render(y, SR, duration=0.5), y[5512 : 5512 + 11025])
    out = LeadingSilence(0.25).render(y, SR, duration=0.5)
    assert torch.equal(out[:5512], torch.zeros(5512, dtype=torch.float64))
    assert torch.equal(out[5512:], y[: 11025 - 5512])
    assert LeadingSilence(0.25).render(y, SR).shape == y.shape
    assert Crop(0.25).render(y, SR).shape == (SR - 5512,)


def test_polarity_turns_twice_to_where_it_was() -> None:
    y = noise()
    assert torch.equal(Polarity().render(y, SR), -y)
    assert torch.equal((Polarity() | Polarity()).render(y, SR), y)


def test_a_planted_rumble_goes_and_the_music_stays() -> None:
    """A cue at 15 Hz, as quiet as one likes, is gone; what one hears is not."""
    t = torch.arange(10 * SR, dtype=torch.float64) / SR
    music = torch.sin(2 * torch.pi * 220 * t)
    rumble = 0.1 * torch.sin(2 * torch.pi * 15 * t)
    for intervention in (HighPass(20), HighPass(20, design="steep")):
        late = slice(4 * SR, 9 * SR)
        left = intervention.render(rumble, SR)[late]
        assert level_db(left, rumble) < -30
        assert level_db(intervention.render(music, SR)[late], music) == pytest.approx(0, abs=0.01)


def test_the_real_tempi_of_ballroom_are_in_reach(shared: Path) -> None:
    dilations = np.load(shared / "data/ballroom/ballroom_rhythm.npz")["dilation_percent"]
    for dilation in dilations:
        assert Tempo(dilation_percent(float(dilation))).input_length(1000, SR) == pytest.approx(
            1000 / (1 + dilation / 100), abs=1
        )

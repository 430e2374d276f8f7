"""A tune as sound: pitches, onsets and length are those written."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from otoscope.errors import MissingExtra, ParameterError
from otoscope.folk.abc import parse_tune
from otoscope.folk.data import generate_tune
from otoscope.folk.report.sound import SOUNDFONT, play_tune

SR = 8000


def test_lasts_as_long_as_its_repeats_say() -> None:
    tune = parse_tune("M:2/4\nL:1/4\nQ:60\nK:D\n|:FE|z2:|")
    assert len(play_tune(tune, sr=SR)) == round((8 + 0.25) * SR)
    assert len(play_tune(tune, sr=SR, tempo_bpm=120)) == round((4 + 0.25) * SR)


@pytest.mark.parametrize("pitch", ["D,", "A", "^c", "b'"])
def test_note_has_its_pitch(pitch: str) -> None:
    tune = parse_tune(f"L:1/1\nQ:120\nK:C\n{pitch}|")
    y = play_tune(tune, sr=SR)
    spectrum = np.abs(np.fft.rfft(y * np.hanning(len(y)), 16 * len(y)))
    pitch_hz = np.argmax(spectrum) * SR / (16 * len(y))
    hz = 440 * 2 ** ((tune.notes[0].pitch - 69) / 12)
    assert 1200 * abs(np.log2(pitch_hz / hz)) < 3  # cents


def test_notes_begin_where_they_are_written() -> None:
    y = play_tune(parse_tune("M:4/4\nL:1/4\nQ:60\nK:C\nzCzC|"), sr=SR)
    assert not y[: 1 * SR].any()
    energy = np.add.reduceat(y**2, np.arange(0, len(y), SR // 20))
    rises = np.flatnonzero(energy[1:] > 5 * energy[:-1] + 1e-3) + 1
    assert rises[0] / 20 == pytest.approx(1, abs=0.06)
    assert rises[-1] / 20 == pytest.approx(3, abs=0.06)


def test_same_tune_same_sound_within_full_scale() -> None:
    tune = generate_tune(0, 0)
    y = play_tune(tune, sr=SR)
    assert y.dtype == np.float32
    assert float(np.abs(y).max()) == pytest.approx(0.7)
    np.testing.assert_array_equal(y, play_tune(tune, sr=SR))


@pytest.mark.skipif(
    shutil.which("fluidsynth") is None or not SOUNDFONT.is_file(),
    reason="fluidsynth and timgm6mb-soundfont are not installed",
)
def test_fluidsynth_plays_at_least_as_long() -> None:
    tune = parse_tune("M:2/4\nL:1/4\nK:D\n|:FE|D2:|")
    y = play_tune(tune, sr=SR, sound="fluidsynth")
    assert 4 * SR <= len(y) < 12 * SR
    assert float(np.abs(y).max()) == pytest.approx(0.7)


def test_missing_fluidsynth_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    tune = parse_tune("K:D\nFE|")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(MissingExtra, match="apt-get install -y fluidsynth"):
        play_tune(tune, sound="fluidsynth")


def test_settings_out_of_range_are_refused() -> None:
    tune = parse_tune("K:D\nFE|")
    with pytest.raises(ParameterError, match="sr is 100"):
        play_tune(tune, sr=100)
    with pytest.raises(ParameterError, match="'organ'"):
        play_tune(tune, sound="organ")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="tempo_bpm is 1"):
        play_tune(tune, tempo_bpm=1)


@pytest.mark.parametrize(
    "body", ["C999999|", "|:C99:|" * 40, "|::::::::C50::::::::|" * 10, "Z999|"]
)
def test_a_sound_of_hours_is_refused(body: str) -> None:
    tune = parse_tune(f"M:4/4\nL:4/1\nQ:1/4=20\nK:C\nC|{body}")
    with pytest.raises(ParameterError, match=r"lasts [\d,]+ s; at most 3,600 s.*tempo_bpm"):
        play_tune(tune, sr=SR)
    assert len(play_tune(parse_tune("M:4/4\nL:1/4\nQ:60\nK:C\n|:C4:|"), sr=SR)) > 0

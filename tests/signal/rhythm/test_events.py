"""Onsets and beats: librosa's, and where the bursts are."""

from __future__ import annotations

from collections.abc import Iterator

import librosa
import numpy as np
import pytest
import torch

from otoscope.signal import librosa_mel
from otoscope.signal.rhythm.events import beat_times, onset_times
from otoscope.signal.rhythm.periodicity import onset_strength

RATES = [8000, 16000, 22050, 44100]
SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 12))]


def bursts(sr: int, seed: int) -> Iterator[torch.Tensor]:
    """Bursts in noise, steady or not, some after silence."""
    rng = np.random.default_rng(seed)
    for index, steady in enumerate((True, False, True)):
        n = int(sr * rng.uniform(2, 6))
        y = 10 ** rng.uniform(-4, -1) * rng.standard_normal(n)
        period = int(sr * rng.uniform(0.2, 0.9))
        begins = np.arange(100, n - 2000, period) if steady else rng.integers(0, n - 2000, 12)
        for begin in begins:
            decay = np.exp(-np.arange(2000) / rng.uniform(100, 1500))
            y[begin : begin + 2000] += rng.uniform(0.05, 1) * rng.standard_normal(2000) * decay
        y[: n // 3 * (index == 2)] = 0
        yield torch.from_numpy(y)


@pytest.mark.parametrize("sr", RATES)
@pytest.mark.parametrize("seed", SEEDS)
def test_events_equal_librosas(sr: int, seed: int) -> None:
    """From one onset strength: librosa's own rounds its filters to float32, and ties break."""
    for y in bursts(sr, seed):
        mean = onset_strength(y, librosa_mel(sr=sr), aggregate="mean").numpy()
        onsets = librosa.onset.onset_detect(
            onset_envelope=mean, sr=sr, units="time", backtrack=True
        )
        np.testing.assert_allclose(onset_times(y, sr), onsets, atol=1e-9)
        median = onset_strength(y, librosa_mel(sr=sr)).numpy()
        beats = librosa.beat.beat_track(onset_envelope=median, sr=sr, units="time")[1]
        np.testing.assert_allclose(beat_times(y, sr), beats, atol=1e-9)


def test_events_of_a_sound_equal_librosas() -> None:
    y = next(bursts(22050, 0)).float()
    onsets = librosa.onset.onset_detect(y=y.numpy(), sr=22050, units="time", backtrack=True)
    np.testing.assert_allclose(onset_times(y, 22050), onsets, atol=1e-9)
    beats = librosa.beat.beat_track(y=y.numpy(), sr=22050, units="time")[1]
    np.testing.assert_allclose(beat_times(y, 22050), beats, atol=1e-9)


def test_onsets_are_kept_apart_and_moved_back() -> None:
    y = torch.zeros(22050)
    y[[8000, 8200, 15000]] = 1.0  # two within one window
    frames = onset_times(y, 22050) * 22050 / 512
    np.testing.assert_allclose(frames, frames.round(), atol=1e-9)
    assert len(frames) == 2
    assert (frames <= np.array([8000, 15000]) / 512).all()


@pytest.mark.parametrize("period", [0.4, 0.5, 0.7])
def test_beats_of_a_steady_pulse_are_a_period_apart(period: float) -> None:
    y = torch.zeros(8 * 22050)
    y[(torch.arange(0.2, 7.9, period) * 22050).long()] = 1.0
    assert np.diff(beat_times(y, 22050)).mean() == pytest.approx(period, abs=0.01)


@pytest.mark.parametrize("n", [1, 100, 600, 3000])
def test_silence_and_crumbs_have_no_events(n: int) -> None:
    for find in (onset_times, beat_times):
        assert len(find(torch.zeros(n), 22050)) == 0
        assert len(find(torch.eye(1, n)[0], 22050)) <= 1
        assert len(find(torch.eye(1, n)[0], 100.0)) <= 1

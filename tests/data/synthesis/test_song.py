"""Truth sampled at a frame rate, and stems mixed at a level."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otoscope.data.synthesis.song import frame_truth, mix_stems
from otoscope.errors import ParameterError

SR = 1000


def stems(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    voice = rng.standard_normal(SR)
    voice[: SR // 2] = 0.0
    return voice, rng.standard_normal(SR)


@given(
    st.lists(st.integers(0, 100), min_size=0, max_size=8, unique=True),
    st.integers(0, 120),
    st.sampled_from([10, 50, 70]),
)
def test_frame_is_sung_if_its_time_lies_in_an_interval(
    edges: list[int], n_frames: int, rate: int
) -> None:
    edges = sorted(edges)[: len(edges) // 2 * 2]
    intervals = [(float(a), float(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    truth = frame_truth(intervals, n_frames, rate)
    assert truth.tolist() == [
        any(a * rate <= frame < b * rate for a, b in intervals) for frame in range(n_frames)
    ]


def test_offset_moves_the_first_frame() -> None:
    assert frame_truth([(0.5, 1.0)], 2, 2.0, offset=0.25).tolist() == [False, True]
    assert frame_truth([(0.5, 1.0)], 2, 2.0, offset=0.5).tolist() == [True, False]


@pytest.mark.parametrize("snr_db", [-12.0, 0.0, 6.0])
def test_level_of_the_voice_where_it_sings_is_snr_db_over_the_backing(snr_db: float) -> None:
    voice, backing = stems()
    song = mix_stems(voice, backing, sr=SR, sung=[(0.5, 1.0)], snr_db=snr_db)
    ratio = np.mean(song.voice[SR // 2 :] ** 2) / np.mean(song.backing**2)
    assert 10 * np.log10(ratio) == pytest.approx(snr_db, abs=1e-5)


def test_mix_is_the_sum_of_its_stems_and_has_the_peak_asked_for() -> None:
    voice, backing = stems()
    song = mix_stems(voice, backing, sr=SR, sung=[(0.5, 1.0)], snr_db=3.0, peak=0.5)
    np.testing.assert_array_equal(song.mix, song.voice + song.backing)
    assert np.abs(song.mix).max() == pytest.approx(0.5, rel=1e-6)
    assert np.corrcoef(song.backing, backing)[0, 1] == pytest.approx(1.0)


def test_frames_of_a_song_cover_it() -> None:
    voice, backing = stems()
    song = mix_stems(voice, backing, sr=SR, sung=[(0.5, 1.0)], snr_db=0.0)
    assert song.frames(10).tolist() == [False] * 5 + [True] * 5


@pytest.mark.parametrize(
    ("sung", "shorter", "match"),
    [
        ([(0.0, 0.5)], 0, "silent"),  # the voice is silent there
        ([], 0, "silent"),
        ([(0.5, 1.0)], 1, r"\(1000,\), backing has \(999,\)"),
    ],
)
def test_stems_that_cannot_be_mixed_are_refused(
    sung: list[tuple[float, float]], shorter: int, match: str
) -> None:
    voice, backing = stems()
    with pytest.raises(ParameterError, match=match):
        mix_stems(voice, backing[: SR - shorter], sr=SR, sung=sung, snr_db=0.0)


@pytest.mark.parametrize(
    ("interval", "n_frames", "rate", "match"),
    [
        ((0.0, 1.0), 3, 0.0, "frame_rate is 0.0"),
        ((0.0, 1.0), -1, 1.0, "n_frames -1"),
        ((1.0, 0.0), 3, 1.0, "ends before it starts"),
    ],
)
def test_frames_that_cannot_be_sampled_are_refused(
    interval: tuple[float, float], n_frames: int, rate: float, match: str
) -> None:
    with pytest.raises(ParameterError, match=match):
        frame_truth([interval], n_frames, rate)

"""The synthesised voice has the score's pitch and vowels, the band its chords."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import find_peaks

from otoscope.data.synthesis.band import accompany
from otoscope.data.synthesis.score import Score, SungNote, compose
from otoscope.data.synthesis.voice import FORMANTS, sing

SR = 16000


def held(pitch: int, vowel: str, seed: int = 0) -> NDArray[np.float64]:
    """Two seconds of one note; the first and last quarter of a second are left out."""
    score = Score(120, 0, ("C",), (SungNote(0, 16, pitch, vowel),))
    y = sing(score, sr=SR, n_samples=2 * SR, rng=np.random.default_rng(seed))
    return y[SR // 4 : -SR // 4]


def spectrum(y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    hz = np.asarray(np.fft.rfftfreq(len(y), 1 / SR), np.float64)
    return hz, np.asarray(np.abs(np.fft.rfft(y * np.hanning(len(y)))) ** 2, np.float64)


@pytest.mark.parametrize("pitch", [57, 69, 77])
def test_voice_has_the_pitch_of_the_note(pitch: int) -> None:
    hz, power = spectrum(held(pitch, "a"))
    expected = 440 * 2 ** ((pitch - 69) / 12)
    near = (hz > expected * 2**-0.5) & (hz < expected * 2**0.5)
    centroid = (hz[near] * power[near]).sum() / power[near].sum()
    assert (
        abs(1200 * np.log2(centroid / expected)) < 30
    )  # cents; vibrato is symmetric, wander small


def test_pitch_has_vibrato_within_a_semitone() -> None:
    hz, power = spectrum(held(69, "a"))
    near = (hz > 400) & (hz < 480)
    spread = np.sqrt((power[near] * (hz[near] - 440) ** 2).sum() / power[near].sum())
    assert 440 * (2 ** (0.1 / 12) - 1) < spread < 440 * (2 ** (1 / 12) - 1)


@pytest.mark.parametrize("vowel", "aiueo")
def test_spectrum_of_a_vowel_peaks_at_its_formants(vowel: str) -> None:
    """A low voice sets its harmonics densely enough that the envelope shows the tract."""
    hz, power = spectrum(held(38, vowel))
    f0 = 440 * 2 ** ((38 - 69) / 12)
    envelope = np.array(
        [power[(hz > (k - 0.5) * f0) & (hz < (k + 0.5) * f0)].sum() for k in range(1, 55)]
    )
    peaks = f0 * (1 + find_peaks(np.log(envelope), prominence=0.5)[0])
    first, second, _ = FORMANTS[vowel]
    for formant in (first, second):
        assert np.abs(peaks / formant - 1).min() < 0.08 + f0 / formant  # tract size, harmonic grid


def test_empty_score_is_silence_and_a_short_one_is_cut() -> None:
    rng = np.random.default_rng(0)
    assert not sing(Score(120, 0, ("C",), ()), sr=SR, n_samples=100, rng=rng).any()
    notes = (SungNote(0, 8, 69, "ka"), SungNote(8, 8, 69, "sa"))
    y = sing(Score(120, 0, ("C",), notes), sr=SR, n_samples=SR // 2, rng=rng)
    assert y.shape == (SR // 2,)


def test_singers_differ_between_seeds() -> None:
    assert not np.allclose(held(69, "a", seed=0), held(69, "a", seed=1))


@pytest.mark.parametrize("consonant", "kstnhmr")
def test_consonant_dips_the_vowel(consonant: str) -> None:
    notes = (SungNote(0, 8, 69, "a"), SungNote(8, 8, 69, f"{consonant}a"))
    y = sing(Score(120, 0, ("C",), notes), sr=SR, n_samples=2 * SR, rng=np.random.default_rng(0))
    vowel, dip = y[SR // 2 : SR - 3000], y[SR + 160 : SR + 480]

    def low(part: NDArray[np.float64]) -> float:
        hz, power = spectrum(part)
        return float(power[(hz > 350) & (hz < 550)].sum() / len(part) ** 2)

    assert low(dip) < 0.5 * low(vowel)


def test_backing_plays_the_chord() -> None:
    """Energy at the pitch classes of C, E, G is above that of their neighbours a semitone up."""
    score = Score(120, 0, ("C",) * 4, ())
    y = np.zeros(8 * SR)
    for seed in range(6):
        y += accompany(score, sr=SR, n_samples=len(y), rng=np.random.default_rng(seed))
    hz, power = spectrum(y)

    def chroma(pitch_class: int) -> float:
        pitches = 440 * 2 ** ((np.arange(48, 84) - 69) / 12)
        tones = pitches[np.arange(48, 84) % 12 == pitch_class]
        return float(sum(power[np.abs(1200 * np.log2(hz[1:] / f)).argmin() + 1] for f in tones))

    assert min(chroma(p) for p in (0, 4, 7)) > 10 * max(chroma(p) for p in (1, 6, 8))


def test_score_is_sung_for_any_seed() -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        score = compose(rng, seconds=4)
        assert np.isfinite(sing(score, sr=8000, n_samples=32000, rng=rng)).all()

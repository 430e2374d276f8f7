"""Scores: within bars, within the range, phrases between rests."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otoscope.data.synthesis.score import CHORDS, SYLLABLES, Score, SungNote, compose
from otoscope.errors import ParameterError

seeds = st.integers(0, 2**32 - 1)


@given(seeds, st.floats(4, 30), st.integers(60, 240))
def test_notes_fit_bars_range_and_length(seed: int, seconds: float, tempo_bpm: int) -> None:
    score = compose(np.random.default_rng(seed), seconds=seconds, tempo_bpm=tempo_bpm)
    assert score.notes
    assert score.notes[0].start > 0  # sinsy wants a rest first
    assert score.seconds(score.notes[-1].end) <= seconds
    assert score.seconds(16 * len(score.chords)) >= score.seconds(score.notes[-1].end)
    for note in score.notes:
        assert note.length >= 2
        assert note.start // 16 == (note.end - 1) // 16
        assert note.syllable in SYLLABLES
        assert 57 <= note.pitch <= 77
    assert all(a.end <= b.start for a, b in pairwise(score.notes))


@given(seeds)
def test_notes_on_a_beat_are_tones_of_the_chord(seed: int) -> None:
    score = compose(np.random.default_rng(seed), seconds=12)
    for note in score.notes:
        if note.start % 4 == 0:
            assert (note.pitch - score.key) % 12 in CHORDS[score.chords[note.start // 16]]


@given(seeds)
def test_phrases_and_rests_alternate_within_their_lengths(seed: int) -> None:
    score = compose(np.random.default_rng(seed), seconds=12, tempo_bpm=60)  # a sixteenth is .25 s
    *phrases, _ = score.phrases()  # the end of the song may cut the last
    assert all(8 <= 4 * (end - start) <= 16 for start, end in phrases)
    assert all(6 <= 4 * (b[0] - a[1]) <= 12 for a, b in pairwise(score.phrases()))


def test_phrases_join_notes_that_follow_each_other() -> None:
    notes = (SungNote(0, 4, 60, "a"), SungNote(4, 4, 62, "ka"), SungNote(12, 4, 64, "i"))
    assert Score(60, 0, ("C",), notes).phrases() == ((0.0, 2.0), (3.0, 4.0))


def test_syllables_are_the_forty_of_the_kana_table() -> None:
    assert len(set(SYLLABLES)) == 40
    assert SYLLABLES[:7] == ("a", "i", "u", "e", "o", "ka", "ki")


@pytest.mark.parametrize(
    ("seconds", "tempo_bpm", "match"),
    [(3.9, None, "seconds is 3.9"), (float("nan"), None, "nan"), (9, 20, "tempo_bpm is 20")],
)
def test_impossible_songs_are_refused(seconds: float, tempo_bpm: int | None, match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        compose(np.random.default_rng(0), seconds=seconds, tempo_bpm=tempo_bpm)


@pytest.mark.parametrize("seed", range(5))
def test_no_leap_is_larger_than_a_fifth(seed: int) -> None:
    notes = compose(np.random.default_rng(seed), seconds=60).notes
    assert max(abs(b.pitch - a.pitch) for a, b in pairwise(notes)) <= 7

"""Pairs differ in the concept alone; no drum kit, song or SoundFont is in training and test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from otoscope.data import concept_pairs, dance
from otoscope.data.concept_pairs import CONCEPTS, ConceptPair, render_concept, render_songs
from otoscope.data.synthesis import mma, sinsy
from otoscope.data.synthesis.drums import Kit
from otoscope.data.synthesis.score import Score
from otoscope.errors import MissingExtra, ParameterError
from otoscope.explain.concepts import ConceptRows, group_splits
from otoscope.seeds import numpy_generator

SR = 8000
FONTS = ("a/one.sf2", "a/two.sf2", "a/three.sf2")


def missing_tool() -> str:
    try:
        mma.versions(*mma.SOUNDFONTS)
        sinsy.versions()
    except MissingExtra as err:
        return str(err)
    return ""


needs_tools = pytest.mark.skipif(bool(missing_tool()), reason=missing_tool())


@pytest.fixture(autouse=True)
def _fresh_songs() -> Iterator[None]:
    concept_pairs._song.cache_clear()
    yield
    concept_pairs._song.cache_clear()


def level_db(y: NDArray[np.floating]) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(np.square(y, dtype=np.float64)))))


def centroid(y: NDArray[np.floating]) -> float:
    power = np.abs(np.fft.rfft(y)) ** 2
    return float((power * np.fft.rfftfreq(len(y))).sum() / power.sum())


def check(name: str, pairs: list[ConceptPair]) -> None:
    """Check what the definition of a concept says of its pairs."""
    for pair in pairs:
        assert pair.positive.dtype == pair.negative.dtype == np.float32
        assert len(pair.positive) == len(pair.negative) >= 4 * SR - 1
        difference = level_db(pair.positive) - level_db(pair.negative)
        assert difference == pytest.approx(12 if name == "level" else 0, abs=0.05)
        assert name != "brightness" or centroid(pair.positive) > 1.3 * centroid(pair.negative)
        assert not np.array_equal(pair.positive, pair.negative)


@pytest.mark.parametrize("name", list(CONCEPTS))
def test_pairs_differ_in_the_concept_and_not_in_level(name: str) -> None:
    pairs = render_concept(name, 3, sr=SR, seconds=4.0, seed=1)
    check(name, pairs)
    again = render_concept(name, 3, sr=SR, seconds=4.0, seed=1)
    assert np.array_equal(again[2].positive, pairs[2].positive)
    assert len({pair.group for pair in pairs}) == 3


@pytest.mark.parametrize("name", ["tempo", "drums"])
def test_no_drum_kit_is_in_training_and_test(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kits are those that are played, not those that the groups name."""
    played: list[Kit] = []

    def drum(style: Any, kit: Kit, *, n_samples: int, **_: object) -> NDArray[np.float64]:
        played.append(kit)
        return numpy_generator(len(played)).standard_normal(n_samples)

    monkeypatch.setattr(dance, "drum", drum)
    pairs = render_concept(name, 32, sr=SR, seconds=4.0)
    times = 2 if name == "tempo" else 1
    kits = [{played[times * i + j] for j in range(times)} for i in range(32)]
    assert {len(kit) for kit in kits} == {1}  # both sounds of a pair are of one drummer
    assert len({kit.tuning for kit in played}) == 32
    assert {kit.timbre for kit in played} == {"acoustic", "electronic"}
    for train, test in divided(pairs):
        assert len(train) == len(test) == 16
        assert not {kit for i in train for kit in kits[i]} & {kit for i in test for kit in kits[i]}


def divided(pairs: list[ConceptPair]) -> list[tuple[list[int], list[int]]]:
    """Divide pairs as an analysis does: the numbers of those in training and in test."""
    rows = np.random.default_rng(0).normal(size=(2, len(pairs), 3))
    groups = tuple(pair.group for pair in pairs)
    concept = ConceptRows("made", rows[0], rows[1], groups, groups, is_paired=True)
    splits = group_splits(concept, 20, np.random.default_rng(0))
    n = len(pairs)
    return [
        (np.flatnonzero(split.train[:n]).tolist(), np.flatnonzero(split.test[:n]).tolist())
        for split in splits
    ]


@pytest.fixture
def fonts_played(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Tools that play noise, and the SoundFonts that they were called with."""
    fonts: list[str] = []
    counter = iter(range(10_000))

    def play(midi: bytes, *, sr: int, soundfont: str) -> NDArray[np.float32]:
        fonts.append(soundfont)
        return numpy_generator(next(counter)).standard_normal(9 * sr).astype(np.float32)

    def voice(score: Score, *, sr: int, **_: object) -> Any:
        return numpy_generator(next(counter)).standard_normal(9 * sr), score.phrases()

    monkeypatch.setattr(mma, "_check_installed", lambda _: None)
    monkeypatch.setattr(mma, "arrange", lambda *_, **__: b"MThd\0\0\0\0")
    monkeypatch.setattr(mma, "play", play)
    monkeypatch.setattr(sinsy, "sing", voice)
    return fonts


@pytest.mark.parametrize("name", list(CONCEPTS))
def test_no_soundfont_is_in_training_and_test(name: str, fonts_played: list[str]) -> None:
    """The SoundFonts are those that fluidsynth is called with, not those that the groups name."""
    of_pair: list[set[str]] = []
    pairs = []
    for n in range(1, 10):
        fonts_played.clear()
        concept_pairs._song.cache_clear()
        pairs = render_concept(name, n, sr=SR, seconds=4.0, soundfonts=FONTS)
        before = sum(map(len, of_pair))
        assert before < n
        of_pair.append({fonts_played[-1]})
        assert set(fonts_played) == set.union(*of_pair)
    check(name, pairs)
    assert [pair.group for pair in pairs[:4]] == ["one", "two", "three", "one"]
    splits = divided(pairs)
    assert len(splits) == 3
    assert sorted(i for _, test in splits for i in test) == list(range(9))  # each is tested once
    for train, test in splits:
        trained, tested = (set.union(*(of_pair[i] for i in part)) for part in (train, test))
        assert (len(trained), len(tested)) == (2, 1)
        assert not trained & tested


def test_songs_have_a_voice_in_turn_and_are_of_no_concept(fonts_played: list[str]) -> None:
    songs = render_songs(4, sr=SR, seconds=4.0, seed=100, soundfonts=FONTS)
    assert {*fonts_played} == {*FONTS}
    assert len({song.tobytes() for song in songs}) == 4
    own = render_songs(2, sr=SR, seconds=4.0, seed=100)
    pair = render_concept("voice", 2, sr=SR, seconds=4.0, seed=100)
    for song, expected in ((own[0], pair[0].negative), (own[1], pair[1].positive)):
        assert np.corrcoef(song, expected)[0, 1] == pytest.approx(1)
    assert not {song.tobytes() for song in render_songs(2, sr=SR, seconds=4.0, seed=0)} & {
        song.tobytes() for song in own
    }


def test_a_soundfont_without_drums_is_refused(
    fonts_played: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mma, "play", lambda *_, **__: np.ones(9 * SR, np.float32))
    with pytest.raises(ParameterError, match=r"a/one.sf2 plays no drums; name another"):
        render_concept("drums", 1, sr=SR, soundfonts=FONTS)


def test_bad_requests_are_refused() -> None:
    with pytest.raises(ParameterError, match="concept is 'hum', must be one of tempo, voice"):
        render_concept("hum", 1)
    with pytest.raises(ParameterError, match="n is 0 and seconds 4"):
        render_concept("level", 0)


@needs_tools
@pytest.mark.slow
@pytest.mark.parametrize("name", list(CONCEPTS))
def test_sampled_pairs_differ_in_the_concept(name: str) -> None:
    pairs = render_concept(name, 3, sr=22050, soundfonts=mma.SOUNDFONTS)
    check(name, pairs)
    assert [pair.group for pair in pairs] == [Path(font).stem for font in mma.SOUNDFONTS]
    if name == "drums":  # what is missing is noisy: drums have a flatter spectrum than chords
        ratios = [flatness(pair.positive) / flatness(pair.negative) for pair in pairs]
        assert min(ratios) > 1
        assert max(ratios) > 2


def flatness(y: NDArray[np.floating]) -> float:
    """Return the spectral flatness: geometric over arithmetic mean of the power, by frames."""
    power = np.abs(np.fft.rfft(y[: len(y) // 512 * 512].reshape(-1, 512), axis=1)) ** 2 + 1e-9
    return float(np.mean(np.exp(np.log(power).mean(1)) / power.mean(1)))

"""The corpus of sung songs: its files, what its tools are asked and, if installed, give."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from otoscope import records
from otoscope.data import singing
from otoscope.data.singing import (
    SINGING_RECIPES,
    SingingRecipe,
    SungSong,
    synthesise,
    write_singing,
)
from otoscope.data.synthesis import mma, sinsy, speech
from otoscope.data.synthesis.score import CHORDS, Score, SungNote, compose
from otoscope.data.synthesis.song import frame_truth
from otoscope.errors import MissingExtra, ParameterError
from tests.support.progress import recording

SR = 16000
RECIPE = SingingRecipe(seconds=5.0, sr=SR)
SNR_DB = 6.0


def missing_tool() -> str:
    try:
        mma.versions()
        sinsy.versions()
    except MissingExtra as err:
        return str(err)
    return ""


needs_tools = pytest.mark.skipif(bool(missing_tool()), reason=missing_tool())


@pytest.fixture
def without_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """Corpus writing as it is, the songs by our synthesiser: they need no tool."""

    def render(seed: tuple[int, int], recipe: SingingRecipe) -> SungSong:
        number = 100 * seed[0] + seed[1]
        song = synthesise(number, seconds=recipe.seconds, sr=recipe.sr, snr_db=SNR_DB)
        score = compose(np.random.default_rng(seed), seconds=recipe.seconds)
        return SungSong(song, score, "Folk", 0.55)

    monkeypatch.setattr(singing, "render", render)
    monkeypatch.setattr(mma, "versions", lambda _: {"mma": "1"})
    monkeypatch.setattr(sinsy, "versions", lambda: {"pysinsy": "1"})


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.usefixtures("without_tools")
def test_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    manifests = [write_singing(tmp_path / name, 2, 7, recipe=RECIPE) for name in ("a", "b")]
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert len(content(tmp_path / "a")) == 2 * 3 + 1
    assert [manifest.name for manifest in manifests] == ["manifest.jsonl"] * 2


@pytest.mark.usefixtures("without_tools")
def test_manifest_tells_the_truth_about_each_file(tmp_path: Path) -> None:
    for record in records.read(write_singing(tmp_path, 2, 7, recipe=RECIPE)):
        sound = {stem: soundfile.read(tmp_path / file)[0] for stem, file in record["files"].items()}
        assert sound["mix"].shape == (5 * 16000,)
        np.testing.assert_allclose(sound["mix"], sound["voice"] + sound["backing"], atol=2**-14)
        sung = frame_truth(record["sung"], 5 * 16000, 16000)
        ratio = np.mean(sound["voice"][sung] ** 2) / np.mean(sound["backing"] ** 2)
        assert 10 * np.log10(ratio) == pytest.approx(record["recipe"]["snr_db"], abs=0.05)
        assert record["seed"] == 7
        assert record["tools"] == {"pysinsy": "1", "mma": "1"}
        assert set(record["versions"]) >= {"otoscope", "numpy"}
        assert all(len(note) == 4 for note in record["notes"])


@pytest.mark.usefixtures("without_tools")
def test_corpus_cut_off_is_taken_up_and_grown(tmp_path: Path) -> None:
    write_singing(tmp_path / "whole", 3, 1, recipe=RECIPE)
    manifest = write_singing(tmp_path / "part", 2, 1, recipe=RECIPE)
    manifest.write_bytes(manifest.read_bytes()[:-10])  # killed while writing the second record
    seen: list[object] = []
    write_singing(tmp_path / "part", 3, 1, recipe=RECIPE, progress=recording(seen))
    assert content(tmp_path / "part") == content(tmp_path / "whole")
    assert seen == ["songs", 0, 1, 2]


@pytest.mark.usefixtures("without_tools")
def test_corpus_of_other_settings_is_not_mixed_in(tmp_path: Path) -> None:
    manifest = write_singing(tmp_path, 1, 1, recipe=RECIPE)
    before = manifest.read_bytes()
    with pytest.raises(ParameterError, match=r"of seed 1 and .* not of seed 2"):
        write_singing(tmp_path, 2, 2, recipe=RECIPE)
    with pytest.raises(ParameterError, match="snr_db=0"):
        write_singing(tmp_path, 2, 1, recipe=replace(RECIPE, snr_db=0.0))
    assert manifest.read_bytes() == before


@pytest.mark.parametrize(("n", "seed"), [(0, 0), (1, -1)])
def test_impossible_corpora_are_refused(tmp_path: Path, n: int, seed: int) -> None:
    with pytest.raises(ParameterError, match=f"n is {n} and seed {seed}"):
        write_singing(tmp_path / "x", n, seed)
    assert not (tmp_path / "x").exists()


def test_missing_program_is_named_with_its_apt_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sinsy, "versions", lambda: {"pysinsy": "1"})
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "fluidsynth" else name)
    with pytest.raises(MissingExtra, match=r"fluidsynth is not.*apt-get install -y mma fluid"):
        write_singing(tmp_path / "x", 1)
    assert not (tmp_path / "x").exists()


def test_missing_soundfont_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: name)
    with pytest.raises(ParameterError, match=r"no\.sf2 is not a file"):
        mma.versions("/no.sf2")
    monkeypatch.setattr(mma, "SOUNDFONT", "/nowhere/a.sf2")
    with pytest.raises(MissingExtra, match="timgm6mb-soundfont"):
        mma.versions("/nowhere/a.sf2")


def test_missing_singer_is_named_with_its_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, package: str | None = None) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr("otoscope.errors.import_module", missing)
    with pytest.raises(MissingExtra, match=r"pip install.*pysinsy==0\.0\.5"):
        sinsy.sing(Score(120, 0, ("C",), ()), sr=16000)


def test_musicxml_holds_every_note_in_its_bar() -> None:
    """The oracle reads the file as a score reader does: durations add up, pitches spell."""
    score = compose(np.random.default_rng(5), seconds=20)
    root = ET.fromstring(sinsy._musicxml(score))
    steps = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
    notes, position = [], 0
    for measure in root.iter("measure"):
        begin = position
        for note in measure.iter("note"):
            length = int(note.findtext("duration", ""))
            if note.find("pitch") is not None:
                pitch = 12 * (int(note.findtext("pitch/octave", "")) + 1)
                pitch += steps[note.findtext("pitch/step", "")]
                pitch += int(note.findtext("pitch/alter", "0"))
                notes.append((position, length, pitch))
            position += length
        assert position - begin == 16
    assert notes == [(note.start, note.length, note.pitch) for note in score.notes]


def test_phones_that_follow_each_other_are_one_interval() -> None:
    labels = ["0 5000000 pau", "5000000 7000000 k", "7000000 9000000 a", "9000000 10000000 i"]
    labels += ["10000000 20000000 pau", "20000000 25000000 m", "20000000 25000000 a"]
    assert sinsy._sung(labels) == [(0.5, 1.0), (2.0, 2.5)]


def test_compression_evens_out_notes_and_leaves_pauses() -> None:
    time = np.arange(3 * 16000) / 16000
    level = np.where(time < 1, 1.0, np.where(time < 2, 10**-1.5, 1e-2))
    y = (level * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    compressed = sinsy._compress(y, [(0.0, 2.0)], 16000)
    loud, soft, pause = (np.abs(compressed[int(s * 16000) :][:8000]).max() for s in (0.3, 1.3, 2.3))
    assert 20 * np.log10(loud / soft) == pytest.approx(30 * 0.2, abs=0.5)
    assert pause == pytest.approx(1e-2, rel=1e-3)


@needs_tools
def test_unknown_groove_is_refused_in_mmas_words() -> None:
    with pytest.raises(ParameterError, match=r"(?i)mma failed.*NoSuchGroove"):
        mma.accompany(Score(120, 0, ("C",), ()), "NoSuchGroove", seed=1, sr=16000)


@needs_tools
def test_singer_sings_the_score_when_it_says() -> None:
    notes = (SungNote(8, 8, 67, "ra"), SungNote(24, 8, 72, "o"))
    y, sung = sinsy.sing(Score(120, 0, ("C", "C", "C"), notes), sr=16000)
    np.testing.assert_allclose(sung, [(1.0, 2.0), (3.0, 4.0)], atol=1e-6)
    for start, pitch in ((1.0, 67), (3.0, 72)):
        part = y[int((start + 0.3) * 16000) : int((start + 0.9) * 16000)]
        power = np.abs(np.fft.rfft(part * np.hanning(len(part)))) ** 2
        hz = np.fft.rfftfreq(len(part), 1 / 16000)
        expected = 440 * 2 ** ((pitch - 69) / 12)
        near = (hz > expected * 0.8) & (hz < expected * 1.25)
        centroid = (hz[near] * power[near]).sum() / power[near].sum()
        assert (
            abs(1200 * np.log2(centroid / expected)) < 150
        )  # this voice strays by up to a semitone
    rests = np.r_[0:14400, 35200:46400]  # 0-0.9 and 2.2-2.9 s
    assert np.square(y[rests]).mean() < 1e-3 * np.square(y[17600:30400]).mean()


@needs_tools
def test_band_plays_the_chord_in_its_key() -> None:
    y = mma.accompany(Score(120, 2, ("C",) * 2, ()), "PianoBallad", seed=1, sr=22050)
    power = np.abs(np.fft.rfft(y * np.hanning(len(y)))) ** 2
    hz = np.fft.rfftfreq(len(y), 1 / 22050)[1:]
    pitch_class = np.round(12 * np.log2(hz / 440) + 69).astype(int) % 12
    chroma = np.bincount(pitch_class, power[1:], minlength=12)
    tones = [(tone + 2) % 12 for tone in CHORDS["C"]]
    assert set(np.argsort(chroma)[-3:]) == set(tones)


@needs_tools
def test_rendered_corpus_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_singing(tmp_path / name, 1, 3, recipe=RECIPE)
    assert content(tmp_path / "a") == content(tmp_path / "b")
    record = json.loads((tmp_path / "a/manifest.jsonl").read_text())
    assert set(record["tools"]) == {"pysinsy", "mma", "fluidsynth", "soundfont_sha256"}


@needs_tools
@pytest.mark.slow
def test_every_groove_is_known_to_mma() -> None:
    for groove in mma.GROOVES:
        assert mma.accompany(Score(120, 0, ("C",), ()), groove, seed=1, sr=8000).any()


def test_a_recipe_draws_from_all_its_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tools are replaced by what records their settings."""
    seen: dict[str, list[Any]] = {"fonts": [], "tract": [], "formants": [], "leads": []}
    noise = np.random.default_rng(0).standard_normal(20 * SR).astype(np.float32)

    def band(score: Score, groove: str, *, soundfont: str, **_: object) -> NDArray[np.float32]:
        seen["fonts"].append(soundfont)
        return noise

    def voice(score: Score, *, tract: float, formants: int, **_: object) -> Any:
        seen["tract"].append(tract)
        seen["formants"].append(formants)
        return noise, score.phrases()

    def play(midi: bytes, **_: object) -> NDArray[np.float32]:
        seen["leads"].append(midi)
        return noise

    monkeypatch.setattr(mma, "accompany", band)
    monkeypatch.setattr(mma, "play", play)
    monkeypatch.setattr(sinsy, "sing", voice)
    monkeypatch.setattr(speech, "speak", lambda *_, **__: noise)
    recipe = replace(SINGING_RECIPES["varied"], sr=SR, seconds=6.0)
    songs = [singing.render((0, index), recipe) for index in range(60)]
    assert set(seen["fonts"]) == set(recipe.soundfonts)
    assert min(seen["formants"]) < -2
    assert max(seen["formants"]) > 2
    assert all(0.52 <= tract <= 0.59 for tract in seen["tract"])
    assert all(-3 <= sung.song.snr_db <= 12 for sung in songs)
    assert 15 < len(seen["leads"]) == sum("lead" in sung.others for sung in songs) < 45
    assert 8 < sum("speech" in sung.others for sung in songs) < 30
    assert {sung.groove for sung in songs} <= set(recipe.grooves)
    again = singing.render((0, 7), recipe)
    np.testing.assert_array_equal(again.song.mix, songs[7].song.mix)


def test_held_out_songs_share_no_singer_style_or_soundfont() -> None:
    seen, held_out = SINGING_RECIPES["varied"], SINGING_RECIPES["held-out"]
    assert not set(seen.grooves) & set(held_out.grooves)
    assert not set(seen.soundfonts) & set(held_out.soundfonts)
    for one, other in product(seen.singers, held_out.singers):
        assert one.tract[1] < other.tract[0] or other.tract[1] < one.tract[0]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"grooves": ()}, "grooves is empty"),
        ({"speech": 1.5}, r"speech is 1\.5"),
        ({"tempi": (50, 90)}, r"tempi is \(50, 90\)"),
    ],
)
def test_impossible_recipes_are_refused(changes: dict[str, Any], match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        SingingRecipe(**changes)


@needs_tools
def test_formants_move_and_melody_and_times_do_not() -> None:
    score = Score(120, 0, ("C", "C"), (SungNote(8, 8, 67, "a"),))
    (plain, times), (shifted, same) = (
        sinsy.sing(score, sr=16000, formants=formants) for formants in (0, 4)
    )
    np.testing.assert_allclose(same, times, atol=0.01)
    hz, envelopes = np.arange(1, 7000), []
    for y in (plain, shifted):
        power = np.abs(np.fft.rfft(y[16000:32000] * np.hanning(16000))) ** 2  # a bin per Hz
        fundamental = 300 + power[300:450].argmax()
        assert abs(1200 * np.log2(fundamental / 392.0)) < 150
        envelopes.append(10 * np.log10(np.convolve(power, np.hanning(801), "same")))

    def likeness(semitones: int) -> float:
        moved = np.interp(hz / 2 ** (semitones / 12), np.arange(8001), envelopes[0])
        return float(np.corrcoef(moved, envelopes[1][1:7000])[0, 1])

    assert max(range(-6, 9), key=likeness) in (3, 4, 5)


def test_importing_the_room_needs_no_tool() -> None:
    code = "import sys, otoscope.data.singing; sys.exit('pysinsy' in sys.modules)"
    package = Path(singing.__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(package)})


def test_negative_seed_is_refused() -> None:
    with pytest.raises(ParameterError, match="seed is -1"):
        singing.render(-1)


def test_same_seed_gives_the_same_song_bit_for_bit() -> None:
    first, again, other = (synthesise(seed, seconds=4.0, sr=SR) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.voice, again.voice)
    np.testing.assert_array_equal(first.backing, again.backing)
    assert first.sung == again.sung
    assert not np.array_equal(first.mix, other.mix)


def test_level_changes_nothing_but_the_level() -> None:
    soft, loud = (synthesise(1, seconds=4.0, sr=SR, snr_db=snr_db) for snr_db in (-6.0, 6.0))
    assert soft.sung == loud.sung
    assert np.corrcoef(soft.voice, loud.voice)[0, 1] == pytest.approx(1.0, abs=1e-6)
    assert np.corrcoef(soft.backing, loud.backing)[0, 1] == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_voice_is_silent_in_rests_and_sounds_in_phrases(seed: int) -> None:
    song = synthesise(seed, seconds=8.0, sr=SR)
    sung = frame_truth(song.sung, len(song.voice), SR)
    assert not song.voice[~sung].any()
    frames = song.voice[: len(sung) // 800 * 800].reshape(-1, 800)  # 50 ms
    in_phrase = sung[: frames.size].reshape(-1, 800).all(axis=1)
    loud = np.sqrt((frames**2).mean(axis=1)) > 0.02 * np.abs(song.voice).max()
    assert loud[in_phrase].mean() > 0.9  # the rest: closures of k and t


@pytest.mark.parametrize("seed", range(4))
def test_backing_plays_throughout(seed: int) -> None:
    song = synthesise(seed, seconds=8.0, sr=SR)
    halves = song.backing[: 16 * SR // 2].reshape(-1, SR // 2)
    assert (np.sqrt((halves**2).mean(axis=1)) > 1e-3).all()


@pytest.mark.parametrize("sr", [8000, 16000, 22050, 44100])
def test_any_rate_gives_the_length_asked_for(sr: int) -> None:
    song = synthesise(0, seconds=4.5, sr=sr)
    assert song.mix.shape == (round(4.5 * sr),)
    assert song.mix.dtype == np.float32
    assert np.isfinite(song.mix).all()
    assert song.snr_db == 6.0


@pytest.mark.parametrize(
    ("seed", "seconds", "sr", "match"),
    [(-1, 10, SR, "seed is -1"), (0, 3, SR, "at least 4"), (0, 10, 4000, "sr 4000")],
)
def test_impossible_songs_are_refused(seed: int, seconds: float, sr: int, match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        synthesise(seed, seconds=seconds, sr=sr)

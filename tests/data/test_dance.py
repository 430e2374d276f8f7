"""The corpus of dances: its truths, what tempo gives away and what not, and its files."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import librosa
import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from scipy.signal import find_peaks
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from typer.testing import CliRunner

from otoscope import records
from otoscope.cli.app import app
from otoscope.data.ballroom import BALLROOM_STYLES
from otoscope.data.dance import DanceClip, DanceRecipe, plan_dance, render_dance, write_dance
from otoscope.data.synthesis import drums, mma
from otoscope.data.synthesis.drums import Kit, draw_kit, drum
from otoscope.data.synthesis.styles import STYLES, DanceStyle
from otoscope.errors import MissingExtra, ParameterError
from otoscope.signal.rhythm.periodicity import RhythmFeatures
from otoscope.signal.rhythm.scale_transform import ScaleTransform
from tests.support.progress import recording

CONFOUNDED, SEPARATED = DanceRecipe(confounding=1.0), DanceRecipe(confounding=0.0)
SHORT = DanceRecipe(seconds=3.0, sr=8000)


def missing_tool() -> str:
    try:
        for soundfont in DanceRecipe(band="mma").sounds:
            mma.versions(soundfont)
    except MissingExtra as err:
        return str(err)
    return ""


needs_tools = pytest.mark.skipif(bool(missing_tool()), reason=missing_tool())


def styles_of(clips: tuple[DanceClip, ...]) -> NDArray[np.str_]:
    return np.array([clip.style for clip in clips])


def accuracy_of_tempo(recipe: DanceRecipe) -> float:
    clips = plan_dance(800, seed=1, recipe=recipe)
    tempo = np.log([[clip.tempo_bpm] for clip in clips])
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    knn = KNeighborsClassifier(9)
    return float(cross_val_score(knn, tempo, styles_of(clips), cv=folds).mean())


def test_tempo_alone_tells_the_style_when_confounded_and_nothing_when_separated() -> None:
    assert accuracy_of_tempo(CONFOUNDED) > 0.95
    # Chance is 1/8, with a deviation of sqrt(1/8 * 7/8 / 800) = .012.
    assert accuracy_of_tempo(SEPARATED) == pytest.approx(1 / 8, abs=0.045)
    scores = [accuracy_of_tempo(DanceRecipe(confounding=part)) for part in (0.25, 0.5, 0.75)]
    assert sorted(scores) == scores
    assert 0.2 < scores[0] < scores[2] < 0.9


class Rendered(NamedTuple):
    """Sounds [clip, sample] of a separated corpus, and their styles; the tested at each tempo."""

    trained: torch.Tensor
    trained_style: NDArray[np.str_]
    tested: dict[float, torch.Tensor]
    tested_style: NDArray[np.str_]


def rendered(n_trained: int, n_tested: int) -> Rendered:
    recipe = DanceRecipe(seconds=6.0)

    def sounds(clips: tuple[DanceClip, ...]) -> torch.Tensor:
        return torch.from_numpy(np.stack([render_dance(clip, recipe) for clip in clips]))

    def at(factor: float) -> torch.Tensor:
        return sounds(tuple(replace(c, tempo_bpm=factor * c.tempo_bpm) for c in tested))

    clips = plan_dance(n_trained + n_tested, seed=2, recipe=recipe)
    trained, tested = clips[:n_trained], clips[n_trained:]
    sounds_at = {factor: at(factor) for factor in (0.94, 1.0, 1.06)}
    return Rendered(sounds(trained), styles_of(trained), sounds_at, styles_of(tested))


@pytest.mark.parametrize(
    ("features", "n_trained", "n_tested", "least"),
    [
        (ScaleTransform(), 72, 16, 0.8),
        pytest.param(RhythmFeatures(), 160, 80, 0.3, marks=pytest.mark.slow),
        pytest.param(ScaleTransform(), 160, 80, 0.9, marks=pytest.mark.slow),
    ],
)
def test_rhythm_tells_the_style_where_tempo_cannot(
    features: Callable[[torch.Tensor], torch.Tensor], n_trained: int, n_tested: int, least: float
) -> None:
    """Honest models exist: their score, by chance .125, is high and equal at each tempo."""
    dances = rendered(n_trained, n_tested)
    shrunk = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    model = make_pipeline(StandardScaler(), shrunk)
    model.fit(features(dances.trained).numpy(), dances.trained_style)
    scores = [model.score(features(y).numpy(), dances.tested_style) for y in dances.tested.values()]
    assert min(scores) > least
    # The standard deviation of a score of n answers is at most .5 / sqrt(n).
    assert max(scores) - min(scores) < 0.15 * (80 / n_tested) ** 0.5


def test_corpus_is_balanced_and_says_the_truth() -> None:
    clips = plan_dance(64, seed=3, recipe=CONFOUNDED)
    assert set(Counter(clip.style for clip in clips).values()) == {8}
    assert set(Counter(clip.group for clip in clips).values()) == {2}
    assert len({clip.name for clip in clips}) == 64
    assert Counter(clip.timbre for clip in clips) == {"acoustic": 32, "electronic": 32}
    for clip in clips:
        low, high = STYLES[clip.style].tempo_bpm
        assert low <= clip.tempo_bpm < high
        assert clip.meter == (3 if "Waltz" in clip.style else 4)
        assert clip.group.startswith(clip.style)


def test_styles_are_ballrooms_with_patterns_that_fill_their_bars() -> None:
    assert set(STYLES) == set(BALLROOM_STYLES)
    ranges = [style.tempo_bpm for style in STYLES.values()]
    assert [high for _, high in ranges[:-1]] == [low for low, _ in ranges[1:]]
    for style in STYLES.values():
        assert {len(pattern) for pattern in style.patterns} == {
            style.bars * style.meter * style.steps
        }
        assert {*"".join(style.patterns)} <= {*"xo."}


def test_confounding_changes_tempi_and_nothing_else() -> None:
    for confounded, separated in zip(
        plan_dance(40, 5, recipe=CONFOUNDED), plan_dance(40, 5, recipe=SEPARATED), strict=True
    ):
        assert replace(confounded, tempo_bpm=separated.tempo_bpm) == separated


def test_artists_may_play_one_style_or_all() -> None:
    shared = plan_dance(64, recipe=DanceRecipe(shared_groups=True))
    styles = {clip.group: set[str]() for clip in shared}
    for clip in shared:
        styles[clip.group].add(clip.style)
    assert list(styles.values()) == [set(STYLES)] * 4
    assert len({clip.group for clip in plan_dance(64)}) == 32


def test_clip_depends_on_seed_and_index_alone() -> None:
    assert plan_dance(50, 4)[:9] == plan_dance(9, 4)
    clip = plan_dance(3, 4)[2]
    np.testing.assert_array_equal(render_dance(clip), render_dance(clip))
    other = plan_dance(3, 5)[2]
    assert not np.array_equal(render_dance(clip), render_dance(other))


@pytest.mark.parametrize("sr", [8000, 22050, 44100])
def test_sounds_are_equally_loud_and_within_range(sr: int) -> None:
    recipe = DanceRecipe(sr=sr, seconds=4.0, confounding=1.0)
    for clip in plan_dance(64, 6, recipe=recipe):
        y = render_dance(clip, recipe)
        assert y.shape == (4 * sr,)
        assert y.dtype == np.float32
        assert np.sqrt(np.mean(np.square(y, dtype=np.float64))) == pytest.approx(0.05, rel=1e-4)
        assert np.abs(y).max() < 1


STRAIGHT = Kit("acoustic", 1.0, 0.5, (1.0, 0.0, 0.0, 0.0), 0.0)


@pytest.mark.parametrize("tempo_bpm", [80.0, 133.3, 209.0])
def test_hits_lie_on_the_grid_of_the_tempo(tempo_bpm: float) -> None:
    """The bass drum of a tango is on the beats: the times between its onsets are whole beats."""
    y = drum(
        STYLES["Tango"], STRAIGHT, tempo_bpm=tempo_bpm, sr=8000, n_samples=160000,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    envelope = np.convolve(np.abs(y), np.ones(80) / 80, "same")
    onset = find_peaks(envelope, height=0.4 * envelope.max(), distance=800)[0] / 8000
    beats = np.diff(onset) * tempo_bpm / 60
    assert len(onset) > 20
    np.testing.assert_allclose(beats, np.round(beats), atol=0.06)
    assert np.round(beats).min() == 1


@pytest.mark.parametrize(("pattern", "late"), [("x.x.x.x.", 0.0), (".x.x.x.x", 0.1)])
def test_only_hits_off_the_beat_are_late(pattern: str, late: float) -> None:
    style = DanceStyle(4, (100, 200), 2, (pattern, rest := "........", rest, rest), "Tango")
    straight, swung = (
        drum(
            style, kit, tempo_bpm=60.0, sr=1000, n_samples=32000, rng=np.random.default_rng(0)
        ).reshape(-1, 1000)
        for kit in (STRAIGHT, replace(STRAIGHT, late=0.1))
    )
    played = np.abs(straight).max(1) > 0.4  # others are left out
    assert played.sum() > 20
    onsets = [(np.abs(y[played]) > 0.01).argmax(1) / 500 for y in (straight, swung)]
    assert np.median(onsets[1] - onsets[0]) == pytest.approx(late, abs=0.01)


def test_another_tempo_is_the_same_performance() -> None:
    """At half the tempo the same hits follow each other, with the same levels."""
    levels = []
    for tempo_bpm, seconds in ((160.0, 5), (80.0, 10)):
        y = drum(
            STYLES["Tango"], STRAIGHT, tempo_bpm=tempo_bpm, sr=8000, n_samples=seconds * 8000,
            rng=np.random.default_rng(1),
        )  # fmt: skip
        beat = int(8000 * 60 / tempo_bpm)
        levels.append([np.abs(y[t : t + 1600]).max() for t in range(0, len(y) - beat, beat)])
    np.testing.assert_allclose(levels[0], levels[1], rtol=0.02, atol=1e-3)


def test_artists_and_timbres_sound_apart() -> None:
    """Clips of one artist have spectra more alike than those of two who play the same style."""
    clips = [clip for clip in plan_dance(64, 8) if clip.style == "ChaChaCha"]
    spectra = [np.log(np.abs(np.fft.rfft(render_dance(clip)))[:110000]) for clip in clips]
    bands = np.array([s.reshape(220, -1).mean(1) for s in spectra])
    distance = np.linalg.norm(bands[:, None] - bands, axis=-1)
    same = np.array([[a.group == b.group for a in clips] for b in clips])
    np.fill_diagonal(distance, np.nan)
    assert np.nanmax(distance[same]) < np.nanmin(distance[~same])


def test_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_dance(tmp_path / name, 9, 7, recipe=SHORT)
    contents = [
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        for root in (tmp_path / "a", tmp_path / "b")
    ]
    assert contents[0] == contents[1]
    assert len(contents[0]) == 10


def test_manifest_tells_the_truth_and_corpus_is_taken_up(tmp_path: Path) -> None:
    manifest = write_dance(tmp_path, 2, 7, recipe=SHORT)
    seen: list[object] = []
    write_dance(tmp_path, 9, 7, recipe=SHORT, progress=recording(seen))
    clips = plan_dance(9, 7, recipe=SHORT)
    assert seen == ["clips", *clips]
    for record, clip in zip(records.read(manifest), clips, strict=True):
        assert record["clip"]["tempo_bpm"] == clip.tempo_bpm
        assert record["clip"]["group"] == clip.group
        assert record["file"].split("/")[0] == record["clip"]["style"] == clip.style
        y, sr = soundfile.read(tmp_path / record["file"])
        np.testing.assert_allclose(y, render_dance(clip, SHORT), atol=2**-15)
        assert sr == 8000
    with pytest.raises(ParameterError, match=r"of seed 7 and .*not of seed 8"):
        write_dance(tmp_path, 2, 8, recipe=SHORT)
    with pytest.raises(ParameterError, match="name another folder"):
        write_dance(tmp_path, 2, 7, recipe=replace(SHORT, confounding=0.5))


def test_impossible_recipes_are_refused() -> None:
    rng = np.random.default_rng(0)
    bad: list[tuple[Callable[[], object], str]] = [
        (lambda: DanceRecipe(styles=("Polka",)), r"styles are \('Polka',\).*Waltz"),
        (lambda: DanceRecipe(styles=()), "one or more"),
        (lambda: DanceRecipe(styles=("Jive", "Jive")), "each once"),
        (lambda: DanceRecipe(confounding=1.1), "confounding is 1.1"),
        (lambda: DanceRecipe(tempo_bpm=(120, 100)), r"tempo_bpm is \(120, 100\)"),
        (lambda: DanceRecipe(n_groups=0), "n_groups is 0"),
        (lambda: DanceRecipe(seconds=0), "seconds 0"),
        (lambda: DanceRecipe(sr=4000), "sr 4000"),
        (lambda: DanceRecipe(band="choir"), "band is 'choir'"),
        (lambda: DanceRecipe(timbres=("tin",)), "timbres are .*acoustic, electronic"),
        (lambda: DanceRecipe(timbres=()), "timbres are"),
        (lambda: plan_dance(0), "n is 0 and seed 0"),
        (lambda: plan_dance(1, -1), "seed -1"),
        (lambda: draw_kit("tin", rng), "timbre is 'tin'"),
        (
            lambda: render_dance(
                replace(plan_dance(1)[0], tempo_bpm=90.5), DanceRecipe(band="mma")
            ),
            "tempo_bpm is 90.5; mma plays whole beats",
        ),
    ]
    for call, match in bad:
        with pytest.raises(ParameterError, match=match):
            call()


def test_missing_tool_of_mma_is_named_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(MissingExtra, match="apt-get install -y mma"):
        write_dance(tmp_path / "x", 1, recipe=DanceRecipe(band="mma"))
    assert not (tmp_path / "x").exists()
    monkeypatch.setattr("shutil.which", lambda name: name)
    monkeypatch.setattr(mma, "SECOND_SOUNDFONT", "/nowhere/b.sf2")
    with pytest.raises(MissingExtra, match="fluid-soundfont-gm"):
        mma.versions("/nowhere/b.sf2")


@needs_tools
def test_mma_plays_every_style_at_its_tempo(tmp_path: Path) -> None:
    recipe = DanceRecipe(band="mma", seconds=6.0, confounding=1.0)
    manifest = write_dance(tmp_path, 8, recipe=recipe)
    for record, clip in zip(records.read(manifest), plan_dance(8, recipe=recipe), strict=True):
        y, sr = soundfile.read(tmp_path / record["file"])
        assert y.shape == (6 * sr,)
        assert np.sqrt(np.mean(y**2)) == pytest.approx(0.05, rel=1e-2)
        assert set(record["tools"][0]) == {"mma", "fluidsynth", "soundfont_sha256"}
        np.testing.assert_allclose(y, render_dance(clip, recipe), atol=2**-15)
        bar = 60 * clip.meter / clip.tempo_bpm
        assert repeats_after(y, about=bar) == pytest.approx(bar, rel=0.015)


def repeats_after(y: NDArray[np.float64], *, about: float) -> float:
    """After how many seconds, 15 % around some, onsets by librosa come again as they were."""
    onset = librosa.onset.onset_strength(y=y, sr=22050, hop_length=256)
    onset -= onset.mean()
    products = np.correlate(onset, onset, "full")[len(onset) - 1 :]
    likeness = products / np.arange(len(onset), 0, -1)  # the mean over as many as overlap
    first, end = (round(part * about * 22050 / 256) for part in (0.85, 1.15))
    return float((first + likeness[first:end].argmax()) * 256 / 22050)


def test_command_writes_a_corpus(tmp_path: Path) -> None:
    arguments = ["corpus", "dance", "--out", str(tmp_path), "--n", "3", "--seconds", "2"]
    run = CliRunner().invoke(app, [*arguments, "--confounding", "1", "--json"])
    assert run.exit_code == 0, run.output
    document = json.loads(run.stdout)
    assert (document["clips"], document["recipe"]["confounding"]) == (3, 1.0)
    assert len(list(tmp_path.glob("*/*.wav"))) == 3
    assert (
        "3 clips; ground truth"
        in CliRunner().invoke(app, [*arguments, "--confounding", "1"]).stdout
    )
    bad = CliRunner().invoke(app, [*arguments, "--band", "choir"])
    assert (bad.exit_code, "band is 'choir'" in bad.stderr) == (2, True)


def test_a_clip_lasts_as_long_as_asked_for_to_the_sample() -> None:
    recipe = DanceRecipe(seconds=2.3456, sr=8000)
    (clip,) = plan_dance(1, recipe=recipe)
    assert len(render_dance(clip, recipe)) == round(2.3456 * 8000)


@pytest.mark.parametrize(("start", "expected"), [(-1, [2, 3, 0, 0]), (2, [0, 0, 1, 2])])
def test_a_hit_across_an_end_keeps_what_lies_inside(start: int, expected: list[float]) -> None:
    y = np.zeros(4)
    drums._add(y, start, np.array([1.0, 2.0, 3.0]))
    assert y.tolist() == expected

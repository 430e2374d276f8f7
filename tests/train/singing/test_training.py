"""Excerpts of stems, and the training: resume bit for bit, the paper's schedule, its errors."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from otoscope import models, records
from otoscope.cli.app import app
from otoscope.data.singing import synthesise
from otoscope.data.synthesis.song import Song, frame_truth
from otoscope.errors import ParameterError
from otoscope.signal import svd2015, write_audio
from otoscope.train.singing import Mixing, TrainSingingConfig, train_singing
from otoscope.train.singing.learner import Learner, averaged
from otoscope.train.singing.stems import ExcerptSource, Stem, read_corpus, read_music

SR = 22050
TINY = TrainSingingConfig(
    epochs=2, batches_per_epoch=2, batch=2, synthetic=0, shrink=32, validate_every=2,
    checkpoint_every=1,
)  # fmt: skip


def tone(hz: float, seconds: float = 4.0) -> np.ndarray:
    return (0.1 * np.sin(2 * np.pi * hz * np.arange(round(SR * seconds)) / SR)).astype(np.float32)


def song(voice_hz: float = 500.0, backing_hz: float = 2000.0) -> Song:
    """A song that is sung in its second half."""
    voice = tone(voice_hz)
    voice[: len(voice) // 2] = 0.0
    return Song(voice, tone(backing_hz), SR, ((2.0, 4.0),), 0.0)


def source(*songs: Song, music: tuple[Stem, ...] = (), **mixing: float) -> ExcerptSource:
    return ExcerptSource(songs or (song(),), music, svd2015(), Mixing(**mixing))  # type: ignore[arg-type]


def energy(y: Tensor, hz: float) -> float:
    """Root mean square of a sinusoid in a sound."""
    time = torch.arange(len(y)) / SR
    c, s = ((2 * torch.pi * hz * time).cos(), (2 * torch.pi * hz * time).sin())
    return float(((y @ c) ** 2 + (y @ s) ** 2).sqrt() / len(y) * 2**0.5)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus as ``otoscope corpus singing`` writes it, of two synthetic songs."""
    folder = tmp_path_factory.mktemp("corpus")
    with records.Records(folder / "manifest.jsonl") as written:
        for index in range(2):
            made = synthesise(index, seconds=4.0, sr=SR)
            files = {}
            for stem in ("mix", "voice", "backing"):
                files[stem] = f"{index}-{stem}.wav"
                write_audio(folder / files[stem], torch.from_numpy(getattr(made, stem)), sr=SR)
            written.append(f"song-{index}", {"files": files, "sung": made.sung}, seed=0)
    return folder


def test_label_is_that_of_the_middle_frame() -> None:
    y, truth = source(own=1.0, voiceless=0.0).batch(np.random.default_rng(0), 64, n_frames=21)
    middle = y[:, 10 * 315 :][:, :1024]
    heard = torch.tensor([energy(part, 500.0) > 0.03 for part in middle])
    edge = torch.tensor([0.005 < energy(part, 500.0) < 0.05 for part in middle])
    assert 0 < truth.sum() < 64
    assert torch.equal(heard[~edge], truth[~edge])
    assert edge.sum() < 12


def test_level_of_the_voice_is_the_ratio_that_is_drawn() -> None:
    mixed = source(snr_db=(6.0, 6.0), own=1.0, voiceless=0.0)  # type: ignore[arg-type]
    y, truth = mixed.batch(np.random.default_rng(1), 200, n_frames=11)
    ratios = [
        20 * np.log10(energy(part, 500.0) / energy(part, 2000.0))
        for part, sung in zip(y, truth, strict=True)
        if sung and energy(part[:1000], 500.0) > 0.05 and energy(part[-1000:], 500.0) > 0.05
    ]
    assert len(ratios) > 30
    np.testing.assert_allclose(ratios, 6.0, atol=0.2)


def test_an_excerpt_without_voice_is_not_sung_and_has_none() -> None:
    y, truth = source(voiceless=1.0).batch(np.random.default_rng(2), 16, n_frames=11)
    assert not truth.any()
    assert max(energy(part, 500.0) for part in y) < 1e-3


def test_other_accompaniment_is_of_other_songs_or_music() -> None:
    music = (Stem((tone(5000.0) * 32767).astype(np.int16), 0.07),)
    mixed = source(song(), song(700.0, 3000.0), music=music, own=0.0, voiceless=0.0)
    y, _ = mixed.batch(np.random.default_rng(3), 60, n_frames=11)
    n = {hz: sum(energy(part, hz) > 0.03 for part in y) for hz in (2000.0, 3000.0, 5000.0)}
    assert sum(n.values()) == 60
    assert all(count > 5 for count in n.values())


def test_pooled_statistics_are_numpys_with_ddof_1() -> None:
    songs = [song(), song(900.0, 1500.0)]
    learner = Learner(source(*songs), songs, TINY, Path("unused"), {})
    pooled = np.concatenate([log_mel.numpy() for log_mel in source(*songs).log_mels()])
    np.testing.assert_allclose(learner.domain_mean, pooled.mean(0, dtype=np.float64), rtol=1e-5)
    expected = pooled.astype(np.float64).std(0, ddof=1)
    np.testing.assert_allclose(learner.domain_std, expected, rtol=1e-4)


def test_learning_rate_falls_by_its_factor_at_each_epoch() -> None:
    learner = Learner(source(), [song()], replace(TINY, batches_per_epoch=5), Path("unused"), {})
    rates = [learner.learning_rate(step) for step in (0, 4, 5, 9, 10)]
    np.testing.assert_allclose(rates, [0.01, 0.01, 0.0085, 0.0085, 0.007225])


def test_loss_is_the_cross_entropy_of_smoothed_targets() -> None:
    songs = [synthesise(0, seconds=4.0, sr=SR)]
    learner = Learner(source(*songs), songs, replace(TINY, batch=6), Path("unused"), {})
    learner.network.eval()  # no dropout
    values, truth = learner.values(3)
    p = learner.network(values)[:, 0].double()
    target = 0.02 + 0.96 * truth.double()
    expected = -(target * p.log() + (1 - target) * (1 - p).log()).mean()
    assert learner.loss(3).item() == pytest.approx(expected.item(), abs=1e-5)


def test_average_of_the_weights_is_exponential() -> None:
    network = torch.nn.Linear(1, 1, bias=False)
    average = {"weight": torch.zeros(1, 1)}
    for value in (1.0, 2.0):
        torch.nn.init.constant_(network.weight, value)
        averaged(average, network, 0.75)
    assert float(average["weight"]) == pytest.approx(0.75 * 0.25 * 1.0 + 0.25 * 2.0)


def test_an_interrupted_training_gives_the_same_model(corpus: Path, tmp_path: Path) -> None:
    whole = train_singing([corpus], tmp_path / "whole", validation=corpus, settings=TINY)
    part = tmp_path / "part"
    train_singing([corpus], part, validation=corpus, settings=TINY, hours=1e-9)
    resumed = train_singing([corpus], part, validation=corpus, settings=TINY, resume=True)
    assert (whole.steps, resumed.steps) == (4, 4)
    checkpoints = [
        torch.load(folder / "checkpoint.ckpt", weights_only=True)
        for folder in (tmp_path / "whole", part)
    ]
    for kind in ("network", "state"):
        a, b = (checkpoint[kind] for checkpoint in checkpoints)
        assert all(torch.equal(a[name], b[name]) for name in a)
    document = json.loads((part / "result.json").read_text())
    assert document["format"] == "otoscope.TrainSinging/1"
    assert models.load(f"{part}/model.json").output_names == ("singing",)


def test_command_trains_and_prints_json(corpus: Path, tmp_path: Path) -> None:
    options = ["--epochs", "1", "--batches-per-epoch", "1", "--batch", "2", "--shrink", "32"]
    options += ["--synthetic", "0", "--validation", str(corpus), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, ["train", "singing", str(corpus), *options, "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert (document["steps"], document["settings"]["shrink"]) == (1, 32)
    assert [step for step, _ in document["history"]] == [1]


def test_a_training_of_other_songs_is_not_continued(corpus: Path, tmp_path: Path) -> None:
    train_singing([corpus], tmp_path, validation=corpus, settings=TINY, hours=1e-9)
    with pytest.raises(ParameterError, match="stems"):
        train_singing([corpus] * 2, tmp_path, validation=corpus, settings=TINY, resume=True)
    with pytest.raises(ParameterError, match="holds a training already"):
        train_singing([corpus], tmp_path, validation=corpus, settings=TINY)


def test_corpus_is_read_with_its_stems(corpus: Path) -> None:
    read, made = next(iter(read_corpus(corpus))), synthesise(0, seconds=4.0, sr=SR)
    np.testing.assert_allclose(read.voice, made.voice, atol=2**-15)
    assert read.sung == made.sung
    labels = frame_truth(read.sung, 5, 1.0)
    assert labels.any()


def test_folders_that_hold_nothing_are_named(tmp_path: Path, corpus: Path) -> None:
    with pytest.raises(ParameterError, match=r"no manifest\.jsonl.*corpus singing"):
        train_singing([tmp_path], tmp_path / "out", validation=corpus)
    with pytest.raises(ParameterError, match="holds no sound file"):
        read_music([tmp_path], sr=SR, seconds=1.0)
    with pytest.raises(ParameterError, match="no songs to train on"):
        ExcerptSource((), (), svd2015(), Mixing())
    with pytest.raises(ParameterError, match="song 0 is at 8000 Hz, the front end at 22050"):
        source(synthesise(0, seconds=4.0, sr=8000))
    with pytest.raises(ParameterError, match="hours is 0"):
        train_singing([corpus], tmp_path / "out", validation=corpus, hours=0)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"momentum": 1.0}, r"momentum is 1\.0"),
        ({"smoothing": 0.5}, r"smoothing is 0\.5"),
        ({"learning_rate": 0.0}, r"learning_rate is 0\.0"),
        ({"synthetic": -1}, "synthetic is -1"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, float], match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        replace(TINY, **changes)  # type: ignore[arg-type]


def test_recordings_that_cannot_be_read_are_skipped_and_listed(tmp_path: Path) -> None:
    y = torch.from_numpy(tone(440.0, seconds=2.0))
    for name in ("a.wav", "cut.wav"):
        write_audio(tmp_path / name, y, sr=SR)
    (tmp_path / "cut.wav").write_bytes((tmp_path / "cut.wav").read_bytes()[:-9000])
    (tmp_path / "b.wav").write_bytes(b"RIFF, but no sound")
    (tmp_path / "gone.wav").symlink_to("nowhere.wav")
    (tmp_path / "._a.wav").write_bytes(b"of a Mac")
    music = read_music([tmp_path], sr=SR, seconds=1.0)
    assert [len(stem.samples) for stem in music.stems] == [SR, SR]
    assert [Path(name).name for name in music.skipped] == ["b.wav", "gone.wav"]
    assert [Path(name).name for name in music.truncated] == ["cut.wav"]
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "b.wav").write_bytes(b"RIFF, but no sound")
    with pytest.raises(ParameterError, match=r"none of 1 sounds can be used: .*b\.wav"):
        read_music([tmp_path, tmp_path / "bad"], sr=SR, seconds=1.0)


def test_other_annotations_are_another_training(tmp_path: Path) -> None:
    early = replace(song(), sung=((0.0, 2.0),))
    assert source(song()).digest != source(early).digest
    first, second = (
        Learner(source(), [held_out], TINY, tmp_path / "m", {}).identity
        for held_out in (song(), early)
    )
    assert first["stems"] == second["stems"]
    assert first["validation"] != second["validation"]

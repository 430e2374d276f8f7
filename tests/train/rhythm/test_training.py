"""Training of DeSPerF: features, exact resume, a known answer, bad input, the command."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.data import LabelledSound, Partition
from otoscope.data.labelled import load_gtzan
from otoscope.errors import ParameterError
from otoscope.models import load
from otoscope.models.desperf import DeSPerF
from otoscope.signal import write_audio
from otoscope.signal.rhythm.spectral_periodicity import SpectralPeriodicity
from otoscope.train import StepResult
from otoscope.train.rhythm import TrainRhythmConfig, read_periodicities, train_rhythm
from tests.support.gtzan import GTZAN

SR = 2000
FEATURE = SpectralPeriodicity(SR, n_fft=256, hop_length=50, n_mels=10, n_mfcc=5, max_lag=1.0)
PERIOD = {"slow": 0.6, "fast": 0.35}
FAST = TrainRhythmConfig(hidden=(8, 8), segment=2.0, batch=8, epochs=30, learning_rate=0.01)


def clicks(label: str, number: int, sr: int = SR, seconds: float = 6.2) -> Tensor:
    """Bursts of noise at the period of a label, which differs a little from sound to sound."""
    rng = np.random.default_rng([number, label == "fast"])
    y = 0.01 * rng.standard_normal(round(seconds * sr))
    for start in np.arange(
        rng.random() / 4, seconds - 0.1, PERIOD[label] * (1 + 0.05 * rng.random())
    ):
        y[round(start * sr) :][: sr // 50] += 0.1 * rng.standard_normal(sr // 50)
    return torch.from_numpy(y).float()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of sounds per label, each of an artist of its own."""
    folder = tmp_path_factory.mktemp("dances")
    for label in PERIOD:
        (folder / label).mkdir()
        for number in range(8):
            write_audio(folder / label / f"A{number} - b.wav", clicks(label, number), sr=SR)
    return folder


@pytest.fixture(scope="module")
def sounds(folder: Path) -> Partition:
    parts = []
    for numbers in (range(4), range(4, 6), range(6, 8)):
        parts.append(
            tuple(
                LabelledSound(f"{label}/{n}", folder / label / f"A{n} - b.wav", label, f"A{n}")
                for label in PERIOD
                for n in numbers
            )
        )
    return Partition(*parts)


def test_rhythms_are_learnt(sounds: Partition, tmp_path: Path) -> None:
    result = train_rhythm(sounds, tmp_path / "m", settings=FAST, feature=FEATURE)
    assert result.error == 0
    assert result.history[-1][1] < np.log(2) / 2 < result.history[0][1] + np.log(2) / 2
    for sound in sounds.test:
        y = clicks(sound.label, int(sound.name[-1]))
        assert result.model.output_names[result.model(y[None])[0].argmax()] == sound.label
    assert load(tmp_path / "m").output_names == ("fast", "slow")


def test_features_are_standardised_by_the_sounds_to_train_on(
    sounds: Partition, tmp_path: Path
) -> None:
    result = train_rhythm(sounds, tmp_path, settings=replace(FAST, epochs=1), feature=FEATURE)
    heard = read_periodicities(sounds.train, DeSPerF(sounds.labels, feature=FEATURE, segment=2.0))
    x = heard.segments.double()
    torch.testing.assert_close(result.model.mean.double(), x.mean(0), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(
        result.model.std.double(), x.std(0, correction=0), rtol=1e-5, atol=1e-6
    )
    assert [len(own) for own in heard.features] == [3] * 8


def test_an_interrupted_training_goes_on_as_if_it_never_was(
    sounds: Partition, tmp_path: Path
) -> None:
    settings = replace(FAST, dropout=0.5, epochs=6)

    def interrupt(result: StepResult) -> None:
        if result.step == 8:
            raise KeyboardInterrupt

    whole = train_rhythm(sounds, tmp_path / "whole", settings=settings, feature=FEATURE)
    with pytest.raises(KeyboardInterrupt):
        train_rhythm(
            sounds, tmp_path / "part", settings=settings, feature=FEATURE, on_step=interrupt
        )
    part = train_rhythm(sounds, tmp_path / "part", settings=settings, feature=FEATURE, resume=True)
    assert part.history == whole.history
    for name, value in whole.model.state_dict().items():
        assert torch.equal(part.model.state_dict()[name], value), name


def test_what_cannot_be_heard_is_left_out_and_said(sounds: Partition, tmp_path: Path) -> None:
    short, silent = tmp_path / "short.wav", tmp_path / "silent.wav"
    write_audio(short, clicks("slow", 0, seconds=0.6), sr=SR)
    write_audio(silent, torch.zeros(4 * SR), sr=SR)
    more = tuple(LabelledSound(path.stem, path, "slow", "x") for path in (short, silent))
    system = DeSPerF(sounds.labels, feature=FEATURE, segment=2.0)
    heard = read_periodicities((*sounds.train, *more), system)
    assert {name: str(reason)[:12] for name, reason in heard.skipped.items()} == {
        "short": "the sound la",
        "silent": "all 8000 sam",
    }
    with pytest.raises(ParameterError, match="no sound of slow can be used"):
        read_periodicities((*sounds.train[4:], *more), system)


def test_the_broken_file_of_gtzan_is_left_out_and_said(tmp_path: Path) -> None:
    for genre in GTZAN:
        (tmp_path / genre).mkdir()
        write_audio(tmp_path / genre / f"{genre}.00000.wav", clicks("slow", 0, seconds=2.2), sr=SR)
    (tmp_path / "jazz" / "jazz.00054.wav").write_bytes(b"RIFF, but no sound")
    system = DeSPerF(GTZAN, feature=FEATURE, segment=2.0)
    heard = read_periodicities(load_gtzan(tmp_path), system)
    assert len(heard.labels) == 10
    ((name, reason),) = heard.skipped.items()
    assert name == "jazz/jazz.00054"
    assert "cannot be read as sound" in str(reason)


@pytest.mark.parametrize("wrong", [{"batch": 0}, {"epochs": 0}, {"learning_rate": 0.0}])
def test_senseless_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ParameterError, match=next(iter(wrong))):
        TrainRhythmConfig(**wrong)  # type: ignore[arg-type]


def test_the_command_trains_and_prints_json(folder: Path, tmp_path: Path) -> None:
    music = tmp_path / "music"
    for label in PERIOD:
        (music / label).mkdir(parents=True)
        for number in range(4):
            y = clicks(label, number, sr=8000, seconds=5.0)
            write_audio(music / label / f"A{number} - b.wav", y, sr=8000)
    command = f"train rhythm {music} --out {tmp_path / 'm'} --epochs 2 --units 4 --segment 4.5"
    result = CliRunner().invoke(app, [*command.split(), "--json"])
    assert result.exit_code == 0, result.output
    content = json.loads(result.stdout)
    assert content["settings"]["hidden"] == [4, 4, 4]
    assert content["epochs"] == 2
    shutil.rmtree(music / "slow")
    result = CliRunner().invoke(app, [*command.split(), "--resume"])
    assert result.exit_code == 2
    assert "one per label" in result.output

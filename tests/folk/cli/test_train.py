"""otoscope folk train: from prepared tunes to a model to sample from, and what bad input gets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.cli.folk.train import PAPER
from otoscope.cli.folk.train import SMALL as SMALL_MODE
from otoscope.folk.abc import read_book
from otoscope.folk.model import load_folkrnn
from otoscope.folk.train import TrainFolkConfig

SMALL = ("--hidden", 8, "--embedding", 4, "--epochs", 1, "--batch", 4, "--window", 32)


def run(*arguments: object) -> str:
    """Run a command that must succeed."""
    result = CliRunner().invoke(app, ["folk", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*arguments: object) -> str:
    """Run a command that must end with one line and exit code 2."""
    result = CliRunner().invoke(app, ["folk", *map(str, arguments)])
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


@pytest.fixture(scope="module")
def tunes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared folder."""
    out = tmp_path_factory.mktemp("prepared") / "tunes"
    run("prepare", "generated:60", "--out", out, "--valid", 0.1, "--test", 0.1)
    return out


def test_a_trained_model_is_compared_and_can_be_sampled(tunes: Path, tmp_path: Path) -> None:
    out = tmp_path / "reels"
    document = json.loads(run("train", tunes, "--out", out, *SMALL, "--seed", 3, "--json"))
    assert document["format"] == "otoscope.TrainFolk/2"
    assert document["settings"]["hidden"] == 8
    assert document["settings"]["seed"] == 3
    assert set(document["nats"]["test"]) == {"model", "unigram", "bigram", "trigram"}
    assert 0 < document["nats"]["test"]["model"] < document["nats"]["test"]["unigram"] + 1
    assert document["steps"] > 5
    run("sample", "--model", out, "--n", 3, "--max-tokens", 40, "--out", tmp_path / "a.abc")
    assert len(read_book(tmp_path / "a.abc")) == 3
    assert "T:reels, seed 0, tune 2" in (tmp_path / "a.abc").read_text()


def test_a_training_that_stopped_goes_on_only_if_asked(tunes: Path, tmp_path: Path) -> None:
    out = tmp_path / "reels"
    first = json.loads(run("train", tunes, "--out", out, *SMALL, "--hours", 1e-9, "--json"))
    assert first["steps"] == 1
    assert "holds a training already" in refused("train", tunes, "--out", out, *SMALL)
    message = refused("train", tunes, "--out", out, *SMALL[2:], "--hidden", 9, "--resume")
    assert "was written with hidden 8, not 9" in message
    result = CliRunner().invoke(
        app, ["folk", "train", str(tunes), "--out", str(out), *map(str, SMALL), "--resume"]
    )
    assert result.exit_code == 0, result.output
    assert "trigram" in result.stdout
    assert f"next: otoscope folk sample --model {out}" in result.stdout
    assert "nats per token on validation tunes" in result.stderr


def test_an_option_is_over_what_its_mode_says(tunes: Path, tmp_path: Path) -> None:
    out = tmp_path / "reels"
    options = ("--mode", "paper", "--hidden", 4, "--layers", 1, "--epochs", 1)
    document = json.loads(run("train", tunes, "--out", out, *options, "--json"))
    settings = document["settings"]
    assert (settings["mode"], settings["hidden"], settings["learning_rate"]) == ("paper", 4, 0.003)
    assert settings["embedding"] is None


def test_a_network_may_read_positions(tunes: Path, tmp_path: Path) -> None:
    """Trained, scored, sampled and continued by the commands, as any other network."""
    out, written = tmp_path / "reels", tmp_path / "a.abc"
    options = (
        "--mode",
        "small",
        *SMALL[:-2],
        "--inputs",
        "bar, earlier",
        "--precision",
        "bfloat16",
    )
    document = json.loads(run("train", tunes, "--out", out, *options, "--json"))
    settings = document["settings"]
    assert (settings["mode"], settings["inputs"]) == ("small", ["bar", "earlier"])
    assert settings["precision"] == "bfloat16"
    assert load_folkrnn(out / "model").network.inputs == ("bar", "earlier")
    run("sample", "--model", out, "--n", 2, "--max-tokens", 40, "--bars-add-up", "--out", written)
    assert "nats per token" in run("score", tunes / "test.txt", "--model", out)
    continued = tmp_path / "more.abc"
    run(
        "continue",
        tunes / "test.txt",
        "--bars",
        2,
        "--n",
        2,
        "--model",
        out,
        "--max-tokens",
        60,
        "--out",
        continued,
    )
    assert len(read_book(continued)) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--mode", "slow"], "mode is 'slow', must be one of quick, small, paper"),
        (["--hours", 0], "hours is 0.0, must be above 0"),
        (["--epochs", 0], "epochs is 0"),
        (["--hidden", 0], "hidden is 0"),
        (["--dropout", 1.5], "dropout is 1.5"),
        (["--learning-rate", -1], "learning_rate is -1.0"),
        (["--seed", -1], "seed is -1"),
        (["--inputs", "bar,chords"], "inputs are bar, chords; must be some of bar, part, earlier"),
        (["--precision", "half"], "precision is 'half', must be float32 or bfloat16"),
    ],
)
def test_bad_input_is_one_line(
    tunes: Path, tmp_path: Path, options: list[object], message: str
) -> None:
    assert message in refused("train", tunes, "--out", tmp_path / "reels", *options)
    assert list(tmp_path.iterdir()) == []


def test_help_states_the_defaults_of_the_papers_mode() -> None:
    """The options have no default of their own: the mode decides, and the help repeats it."""
    for config, stated in ((TrainFolkConfig.paper(), PAPER), (TrainFolkConfig.small(), SMALL_MODE)):
        assert {name: getattr(config, name) for name in stated} == stated


def test_what_is_no_prepared_folder_is_refused(tmp_path: Path) -> None:
    message = refused("train", tmp_path, "--out", tmp_path / "reels")
    assert "was not made by otoscope folk prepare" in message

"""otoscope experiment: one command for each entry of the registry, its options from the config."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields, is_dataclass, replace
from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.papers import EXPERIMENTS, Experiment
from otoscope.papers.d_folkrnn import FolkSamplesConfig, samples
from otoscope.progress import Progress
from otoscope.report.figures import ResultTable
from tests.support.commands import PROGRAM

RUNNER = CliRunner()
each = pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=list(EXPERIMENTS))


@each
def test_an_entry_names_a_frozen_config_and_a_function(experiment: Experiment) -> None:
    config, function = experiment.load()
    assert is_dataclass(config)
    assert config.__name__.endswith("Config")
    assert function.__name__ == experiment.function
    assert function.__doc__


@each
def test_help_has_an_option_for_each_plain_field(experiment: Experiment) -> None:
    result = RUNNER.invoke(app, ["experiment", experiment.name, "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    config, _ = experiment.load()
    for field in fields(config):
        if field.type in ("int", "float", "str", "bool", "Path", "Path | None"):
            assert f"--{field.name.replace('_', '-')} " in result.stdout, field.name
    assert ("--quick " in result.stdout) == hasattr(config, "quick")
    assert "--out " in result.stdout
    assert "--json " in result.stdout


def test_the_list_of_experiments_needs_no_torch() -> None:
    program = """
import sys
sys.modules["torch"] = None
from otoscope.cli import main
sys.argv = ["otoscope", "experiment", "--help"]
main()
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert all(name in run.stdout for name in EXPERIMENTS)


def test_options_replace_fields_of_the_quick_version(tmp_path: Path) -> None:
    arguments = ["--quick", "--runs", "1", "--worlds", "5", "--iterations", "25", "--json"]
    result = RUNNER.invoke(
        app, ["experiment", "regulated-bootstrap", *arguments, "--out", str(tmp_path / "new")]
    )
    assert result.exit_code == 0, result.output
    printed = json.loads(result.stdout)
    settings = printed["settings"]
    assert (settings["runs"], settings["worlds"], settings["strengths"]) == (1, 5, [0.0, 2.0])
    assert printed["tables"][0]["title"] == "Effect of knowing the artist"
    record = json.loads((tmp_path / "new" / "regulated_bootstrap.json").read_text())
    assert record["format"] == "otoscope.papers.regulated_bootstrap/1"


def config_of(monkeypatch: pytest.MonkeyPatch, out: Path, *arguments: str) -> FolkSamplesConfig:
    """Run ``otoscope experiment folkrnn-samples`` without its work; return the configuration."""
    configs: list[FolkSamplesConfig] = []

    def run(config: FolkSamplesConfig, _: Path, *, progress: Progress) -> list[ResultTable]:
        configs.append(config)
        return []

    monkeypatch.setattr(samples, "folkrnn_samples", run)
    result = RUNNER.invoke(app, ["experiment", "folkrnn-samples", *arguments, "--out", str(out)])
    assert result.exit_code == 0, result.output
    return configs[0]


def test_an_option_without_value_leaves_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert config_of(monkeypatch, tmp_path) == FolkSamplesConfig()
    assert config_of(monkeypatch, tmp_path, "--quick") == FolkSamplesConfig.quick()


def test_zero_is_a_value(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = config_of(monkeypatch, tmp_path, "--seed", "0", "--split-seed", "0", "--n", "0")
    assert (config.seed, config.split_seed, config.n) == (0, 0, 0)


def test_a_value_equal_to_the_default_replaces_the_quick_value(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = config_of(monkeypatch, tmp_path, "--quick", "--n", str(FolkSamplesConfig().n))
    assert config == replace(FolkSamplesConfig.quick(), n=FolkSamplesConfig().n)


@each
def test_json_prints_the_settings_and_nothing_else(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module = import_module(f"otoscope.papers.{experiment.module}")
    monkeypatch.setattr(module, experiment.function, lambda config, out, *, progress: [])
    monkeypatch.chdir(tmp_path)
    command = ["experiment", experiment.name, *experiment.example.split(), "--json"]
    result = RUNNER.invoke(app, command)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert (document["tables"], document["out"]) == ([], "results")


@each
def test_the_example_is_a_complete_command(experiment: Experiment) -> None:
    command = PROGRAM.load("experiment").load(experiment.name)
    command.make_context(experiment.name, experiment.example.split())  # raises if not


@each
def test_seed_has_the_help_of_all_commands(experiment: Experiment) -> None:
    result = RUNNER.invoke(app, ["experiment", experiment.name, "--help"], env={"COLUMNS": "200"})
    assert "Random seed: the same seed gives the same result." in result.stdout

"""Options: one wording for each, defaults and help from the library, one meaning of ``--json``."""

from __future__ import annotations

from dataclasses import MISSING, fields
from importlib import import_module
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from otoscope.cli.app import app as cli
from otoscope.cli.groups import Group
from otoscope.cli.options import Config, Csv, Json, Seed
from otoscope.cli.output import is_printed, write_json, write_text
from tests.cli.test_help import options
from tests.support.commands import COMMANDS

RUNNER = CliRunner()

app = typer.Typer(cls=Group, pretty_exceptions_enable=False)


@app.callback()
def _options() -> None:
    """Test."""


@app.command()
def run(
    sound: Annotated[str, typer.Argument(help="Needs otoscope[folk].")],
    json_path: Json = None,
    csv_path: Csv = None,
    seed: Seed = 0,
) -> None:
    """Do it with otoscope[folk].

    Example: otoscope run song.ogg
    """
    printed = is_printed(json_path, csv_path)
    write_json({"sound": sound, "seed": seed}, json_path)
    write_text("sound,seed\n", csv_path)
    if not printed:
        typer.echo("a table")


@pytest.mark.parametrize("arguments", [["--json"], ["--json", "-"], ["--json", "--seed", "0"]])
def test_json_without_a_path_is_all_that_is_printed(arguments: list[str]) -> None:
    result = RUNNER.invoke(app, ["run", "a.ogg", *arguments])
    assert result.exit_code == 0
    assert result.stdout == '{\n  "sound": "a.ogg",\n  "seed": 0\n}\n'


def test_json_with_a_path_is_a_file_beside_the_table(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    result = RUNNER.invoke(app, ["run", "--json", str(path), "a.ogg"])
    assert result.stdout == "a table\n"
    assert path.read_text() == '{\n  "sound": "a.ogg",\n  "seed": 0\n}\n'


def test_json_never_overwrites_a_file_of_another_kind(tmp_path: Path) -> None:
    sound = tmp_path / "song.ogg"
    sound.write_bytes(b"OggS")
    result = RUNNER.invoke(app, ["run", "--json", str(sound), "b.ogg"])
    assert result.exit_code == 2
    assert "song.ogg exists, and this option has not written it" in result.stderr
    assert sound.read_bytes() == b"OggS"


def test_only_one_of_json_and_csv_is_printed() -> None:
    result = RUNNER.invoke(app, ["run", "a.ogg", "--json", "--csv"])
    assert result.exit_code == 2
    assert "both print" in result.stderr
    assert RUNNER.invoke(app, ["run", "a.ogg", "--csv"]).stdout == "sound,seed\n"


def test_an_option_of_one_value_is_given_once() -> None:
    result = RUNNER.invoke(app, ["run", "a.ogg", "--seed", "1", "--json", "--seed=1"])
    assert result.exit_code == 2
    assert result.stderr == "otoscope: --seed is given 2 times, must be given once\n"
    assert RUNNER.invoke(app, ["run", "--seed", "1", "--", "--seed"]).exit_code == 0


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_no_command_keeps_the_last_of_two_values(names: tuple[str, ...]) -> None:
    for name, option in options(COMMANDS[names]).items():
        if not name.startswith("--") or option.is_flag or option.multiple:
            continue
        result = RUNNER.invoke(cli, [*names, f"{name}=1", f"{name}=2"])
        assert result.exit_code == 2
        assert f"{name} is given 2 times" in result.stderr


def test_an_option_after_a_double_dash_is_an_argument() -> None:
    result = RUNNER.invoke(app, ["run", "--json", "--", "--csv"])
    assert '"sound": "--csv"' in result.stdout


def test_brackets_are_printed_as_they_are() -> None:
    result = RUNNER.invoke(app, ["run", "--help"], env={"COLUMNS": "200"})
    assert "Do it with otoscope[folk]." in result.stdout
    assert "Needs otoscope[folk]." in result.stdout


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("workflows.explain.config", "ExplainConfig"),
        ("workflows.attack_result", "AttackFileConfig"),
    ],
)
def test_a_config_has_the_defaults_and_fields_of_the_dataclass(module: str, name: str) -> None:
    config = Config(module, name)
    declared = fields(getattr(import_module(f"otoscope.{module}"), name))
    assert list(config) == [field.name for field in declared]
    for field in declared:
        default = ... if field.default is MISSING else field.default
        assert config[field.name] == default
        assert config.help(field.name).endswith(".")

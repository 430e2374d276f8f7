"""The help of every command: options described in plain words, one wording for each, an example."""

from __future__ import annotations

import re
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.cli.options import OPTIONAL_PATH, PANELS
from tests.support.commands import COMMANDS, PROGRAM


def options(command: Any) -> dict[str, Any]:
    """Options by their first spelling, without ``--help``, with those declared at first use."""
    context = command.make_context(command.name, [], resilient_parsing=True)
    return {p.opts[0]: p for p in command.get_params(context) if p.opts[0] != "--help"}


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_every_option_and_argument_is_described(names: tuple[str, ...]) -> None:
    for name, parameter in options(COMMANDS[names]).items():
        assert parameter.help, name
        assert not re.match(r"(Of|Up to so)\b", parameter.help), f"{name}: {parameter.help}"
        assert parameter.help.endswith("."), f"{name}: {parameter.help}"


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_every_command_has_an_example_of_itself(names: tuple[str, ...]) -> None:
    help_text = COMMANDS[names].help
    assert f"Example: otoscope {' '.join(names)} " in help_text + " "
    assert not re.match(r"(What|Where|Of)\b", help_text)


def test_an_option_of_one_meaning_has_one_wording() -> None:
    seeds = [o["--seed"] for c in COMMANDS.values() if "--seed" in (o := options(c))]
    assert len(seeds) > 10
    assert {seed.help.partition(".")[0] for seed in seeds} == {
        "Random seed: the same seed gives the same result"
    }


def test_workers_that_share_files_say_what_a_single_file_takes() -> None:
    every = {" ".join(names): options(command) for names, command in COMMANDS.items()}
    workers = {name: o["--workers"].help for name, o in every.items() if "--workers" in o}
    shared = {name for name, text in workers.items() if "share the files" in text}
    assert shared == {"explain", "attack", "distance", "stats"}
    assert all("a single file takes one" in workers[name] for name in shared)


def test_every_command_and_option_is_in_a_panel() -> None:
    """None is left in a panel "Commands" or "Options", which say nothing, but ``--help``."""
    for group in (PROGRAM, PROGRAM.load("folk")):
        panels = [command.rich_help_panel for command in group.commands.values()]
        assert set(panels) == set(group.panels)
        shown = CliRunner().invoke(app, ["folk"] * (group is not PROGRAM) + ["--help"]).stdout
        places = [shown.index(f"─ {panel} ─") for panel in group.panels]
        assert places == sorted(places)
        assert "─ Commands ─" not in shown
    for names, command in COMMANDS.items():
        for option, parameter in options(command).items():
            if option.startswith("-"):
                assert parameter.rich_help_panel in (*PANELS, "Interventions"), (names, option)


def test_the_list_of_commands_has_the_first_line_of_their_help() -> None:
    """The list is made before the commands are imported."""
    program: Any = typer.main.get_command(app)
    for group in (program, program.load("folk")):
        listed = {name: (c.help, c.rich_help_panel) for name, c in group.commands.items()}
        assert len(listed) >= 10
        for name, (line, panel) in listed.items():
            command = group.load(name)
            assert command.callback is not None or command.commands
            first = command.help.partition("\n")[0]
            assert (line.replace("[", r"\["), panel) == (first, command.rich_help_panel), name


def test_json_may_be_printed_by_every_command() -> None:
    for names, command in COMMANDS.items():
        if names == ("serve",):  # it has no result
            continue
        assert options(command)["--json"].metavar == OPTIONAL_PATH, names


@pytest.mark.parametrize("names", [(), ("corpus",), ("folk",), ("experiment",), *COMMANDS])
def test_no_bracket_of_a_help_is_swallowed(names: tuple[str, ...]) -> None:
    """Rich takes ``[folk]`` as markup: each one that the docstring has must be printed."""
    result = CliRunner().invoke(app, [*names, "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    command = COMMANDS.get(names)
    texts = [command.help, *(p.help for p in options(command).values())] if command else []
    for bracket in re.findall(r"\\(\[\w+\])", " ".join(texts)):
        assert bracket in result.stdout


@pytest.mark.parametrize("names", [(), ("corpus",), ("folk",), ("experiment",), *COMMANDS])
def test_a_flag_shows_no_type_and_no_default_of_zero_is_a_tuple(names: tuple[str, ...]) -> None:
    help_text = CliRunner().invoke(app, [*names, "--help"], env={"COLUMNS": "200"}).stdout
    assert "<bool>" not in help_text
    assert "(0)" not in help_text
    assert help_text.count("Run a small version") <= 1

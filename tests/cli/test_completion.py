"""Shells complete commands and options, those of interventions too."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from otoscope.cli.app import app


def complete(shell: str, line: str) -> str:
    """Ask as the script of a shell does, with the cursor at the end of the line."""
    words = {
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split()) - 1),
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_WORD_TO_COMPLETE": line.split()[-1],
    }
    environment = {"_OTOSCOPE_COMPLETE": f"complete_{shell}", **words}
    return CliRunner().invoke(app, [], env=environment, prog_name="otoscope").stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_commands_and_options_are_completed(shell: str) -> None:
    assert "explain" in complete(shell, "otoscope ex")
    assert "--tempo" in complete(shell, "otoscope interrogate --te")
    assert "nearest" in complete(shell, "otoscope folk ne")
    assert "attack" not in complete(shell, "otoscope ex")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_calls_the_command(
    shell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = CliRunner().invoke(
        app, [], env={"_OTOSCOPE_COMPLETE": f"source_{shell}"}, prog_name="otoscope"
    )
    assert shown.exit_code == 0
    assert f"_OTOSCOPE_COMPLETE=complete_{shell}" in shown.stdout

"""The options of interventions stand in the help and in the how-to."""

from __future__ import annotations

from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.intervene import registered
from otoscope.intervene.registry import THEMES
from tests.support.paths import ROOT


def test_every_registered_intervention_has_its_option_in_the_help() -> None:
    """The command line builds its options from the registry."""
    result = CliRunner().invoke(app, ["interrogate", "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    panel = result.stdout.split("Interventions")[1].split("Method")[0]
    for entry in registered():
        assert f"{entry.option} " in panel
        assert all(f"{modifier.option} " in panel for modifier in entry.modifiers)


def test_every_option_of_an_intervention_is_in_the_table_of_the_howto() -> None:
    page = (ROOT / "docs" / "howto" / "interrogate.md").read_text()
    table = page.split("## Choose the changes")[1].split("##")[0]
    for entry in registered():
        assert f"`{entry.option}" in table, entry.option
        assert all(f"{modifier.option}" in table for modifier in entry.modifiers)
    for theme in {entry.theme for entry in registered()}:
        assert f"| {THEMES[theme]} |" in table

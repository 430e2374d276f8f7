"""Every option reaches the function that does the work: with it the arguments are others."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.papers import EXPERIMENTS
from tests.cli.test_help import COMMANDS, options

# Function that does the work of a command, and the arguments without which it does not run.
WORK: dict[str, tuple[str, str]] = {
    "demo": ("workflows:explain_files", ""),
    "explain": ("workflows:explain_files explain_to_records", "{sound} --model m"),
    "maximise": ("workflows:maximise_unit", "--model m --layer fc8 --prior raw"),
    "attack": ("workflows:attack_file", "{sound} --model m --out {folder}/a.wav"),
    "interrogate": (
        "workflows:interrogate_files",
        "--model m --data {folder} --tempo 6 --highpass 20",
    ),
    "distance": ("workflows.distance:measure_distance", "{folder} {folder}"),
    "stats": ("workflows.stats:measure_statistics", "{folder} --model m --out {folder}/a.npz"),
    "folk prepare": ("folk.workflows.prepare:prepare_folk", "generated:9 --out {folder}/new"),
    "folk train": ("folk.train:train_folk", "{folder} --out {folder}/new"),
    "folk import-folkrnn": ("folk.model:import_folkrnn", "{file} --out {folder}/new"),
    "folk sample": ("folk.workflows.sample:sample_folk", ""),
    "folk continue": ("folk.workflows.continue_:continue_folk", "{file}"),
    "folk score": ("folk.workflows.score:score_folk", "{file}"),
    "folk check": ("folk.workflows.check:check_folk", "{file}"),
    "folk analyse": ("folk.workflows.analyse:analyse_folk", "{folder} {file}"),
    "folk nearest": ("folk.workflows.nearest:nearest_folk", "{file} --in {file}"),
    "folk render": ("folk.workflows.render:render_folk", "{file} --out {folder}/new"),
    "corpus singing": ("data:write_singing", "--out {folder}/new"),
    "corpus dance": ("data:write_dance", "--out {folder}/new"),
    **{
        f"experiment {e.name}": (f"papers.{e.module}:{e.function}", f"{e.example} --out {{folder}}")
        for e in EXPERIMENTS.values()
    },
}

# What is tried as the value of an option until the command takes it.
VALUES: tuple[str, ...] = (
    "7",
    "0.3",
    "4000",
    "other",
    "3,1",
    "{folder}",
    *("fourier", "mp3:64", "librosa", "mma"),
)
VALUES += ("paper", "v1", "cuda", "fluidsynth")

# Options that are read by the command line itself, or change what is written: other tests see them.
OUTPUTS = {
    *("--json", "--html", "--csv", "--records"),
    *("--at-max", "--untargeted"),  # the default, spelled out
    *("demo --out", "maximise --out", "folk check --min-valid", "folk nearest --gate"),
    *(f"folk {name} --out" for name in ("prepare", "import-folkrnn", "sample", "continue")),
    *(f"folk continue {name}" for name in ("--prime", "--meter", "--mode")),  # not beside a file
}


def reached(command: str) -> list[str]:
    """Name the options of a command that its work depends on."""
    every = options(COMMANDS[tuple(command.split())])
    return [
        name for name in every if name[:2] == "--" and not {name, f"{command} {name}"} & OUTPUTS
    ]


class Reached(BaseException):
    """The work would begin now."""


def begin(*arguments: object, **keywords: object) -> None:
    """Stop where the work would begin, and say with which arguments."""
    keywords.pop("progress", None)
    raise Reached(repr((arguments, keywords)))


def called_with(command: str, *arguments: str) -> str:
    """Return the arguments of the work, which is not done; empty if they are refused."""
    try:
        CliRunner().invoke(app, [*command.split(), *arguments])
    except Reached as reached:
        return str(reached)
    return ""


@pytest.mark.parametrize(
    "command",
    [pytest.param(c, marks=[pytest.mark.slow] * c.startswith("experiment")) for c in WORK],
)
def test_every_option_reaches_the_work(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, base = WORK[command]
    module, functions = where.split(":")
    for function in functions.split():
        monkeypatch.setattr(import_module(f"otoscope.{module}"), function, begin)
    tune, folder = tmp_path / "a.abc", tmp_path / "folder"
    folder.mkdir()
    tune.write_text("X:1\nM:2/4\nL:1/4\nK:C\nCD|EF|]\n")
    places = {"folder": folder, "file": tune, "sound": tune}
    arguments = base.format_map(places).split()
    without = called_with(command, *arguments)
    assert without
    every = options(COMMANDS[tuple(command.split())])
    for name in reached(command):
        given = [[name, value.format_map(places)] for value in VALUES]
        others = (
            called_with(command, *arguments, *more)
            for more in ([[name]] if every[name].is_flag else given)
        )
        assert any(other not in ("", without) for other in others), name


def test_every_command_with_work_is_listed() -> None:
    assert {" ".join(names) for names in COMMANDS} == {*WORK, "models", "doctor"}

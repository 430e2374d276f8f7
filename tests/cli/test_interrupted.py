"""Ctrl-C ends every command with exit code 130 and a line that says what is kept, truly."""

from __future__ import annotations

import json
import signal
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from otoscope.cli.app import app, main
from otoscope.papers import EXPERIMENTS
from otoscope.workflows.recording import Recording
from tests.cli.test_reach import WORK
from tests.support.commands import given_once

KEPT = {
    "stats": "s.partial.npz holds the files until now: the same command resumes",
    "folk train": "with --resume goes on from the last checkpoint in",
    "train singing": "with --resume goes on from the last checkpoint in",
    "corpus singing": "holds the sounds until now: the same command resumes",
    "train prior": "with --resume goes on from the last checkpoint in",
    "train rhythm": "with --resume goes on from the last checkpoint in",
    "train genre": "with --resume goes on from the last checkpoint in",
    "corpus genres": "holds the sounds until now: the same command resumes",
    "corpus dance": "holds the sounds until now: the same command resumes",
    **{
        f"batch {name}": "holds the files until now: the same command resumes"
        for name in ("explain", "attack", "interrogate", "stats")
    },
    "distance": "with --keep FOLDER it resumes",
    "interrogate": "with --records FILE.jsonl it resumes",
    "benchmark-explainers": "holds the answers until now: the same command resumes",
    **{
        f"experiment {name}": "holds the answers until now: the same command resumes"
        for name, experiment in EXPERIMENTS.items()
        if experiment.module.startswith(("a_soundlime.", "b_maximisation."))
        or (experiment.module.startswith("e_adversary.") and name != "adversary-zoo")
        or experiment.module.startswith("c_horse.desperf.")
        or name in ("horse-zoo", "horse-trained", "horse-power", "horse-concepts")
        or (name.startswith("folk-") and name != "folkrnn-samples")
    },
}


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("command", WORK)
def test_every_command_says_how_to_go_on(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places, arguments = WORK[command]
    module, _, names = places.partition(":")
    for name in names.split():
        monkeypatch.setattr(import_module(f"otoscope.{module}"), name, interrupt)
    (tmp_path / "a.abc").write_text("X:1\nT:a\nM:4/4\nL:1/8\nK:C\nCDEF GABc|c8|]\n")
    soundfile.write(tmp_path / "song.wav", np.zeros(800), 8000)
    filled = arguments.format(
        sound=tmp_path / "song.wav", file=tmp_path / "a.abc", folder=tmp_path
    ).replace("a.npz", "s.npz")
    result = CliRunner().invoke(app, [*command.split(), *given_once(filled.split())])
    assert result.exit_code == 130, result.output
    lines = result.stderr.splitlines()
    assert lines[-1].startswith("otoscope: interrupted; ")
    assert KEPT.get(command, "the same command begins anew") in lines[-1]


@pytest.mark.parametrize(
    ("command", "option", "kept"),
    [
        ("interrogate", "--records", "r.jsonl holds the answers until now: the same"),
        ("distance", "--keep", "r.jsonl holds the files until now: the same"),
    ],
)
def test_an_option_that_keeps_is_named(
    command: str, option: str, kept: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, _, name = WORK[command][0].partition(":")
    monkeypatch.setattr(import_module(f"otoscope.{module}"), name, interrupt)
    arguments = WORK[command][1].format(folder=tmp_path).split()
    result = CliRunner().invoke(app, [command, *arguments, option, str(tmp_path / "r.jsonl")])
    assert result.exit_code == 130
    assert kept in result.stderr


def test_the_same_command_resumes_as_it_was_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        noise = np.random.default_rng(ord(name)).normal(scale=0.1, size=2 * 22050)
        soundfile.write(tmp_path / f"{name}.wav", noise, 22050)
    work, read = Recording, list[str]()

    def stopping(path: Path, *arguments: Any, **keywords: Any) -> Any:
        read.append(path.name)
        if read == ["a.wav", "b.wav"]:
            raise KeyboardInterrupt
        return work(path, *arguments, **keywords)

    monkeypatch.setattr("otoscope.workflows.explain.excerpts.Recording", stopping)
    rows = tmp_path / "all.jsonl"
    command = ["explain", str(tmp_path), "--model", "synth-singing", "--segments", "temporal:2"]
    command += ["--json", str(rows)]
    stopped = CliRunner().invoke(app, command)
    assert stopped.exit_code == 130
    assert f"{rows} holds the excerpts until now: the same command resumes" in stopped.stderr
    assert len(rows.read_text().splitlines()) == 1
    resumed = CliRunner().invoke(app, command)
    assert resumed.exit_code == 0, resumed.output
    assert "1 rows were in" in resumed.stderr
    files = [Path(json.loads(line)["file"]).name for line in rows.read_text().splitlines()]
    assert sorted(files) == ["a.wav", "b.wav"]
    assert read == ["a.wav", "b.wav", "b.wav"]


def test_what_a_command_was_started_to_ignore_it_ignores(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGTERM)}
    monkeypatch.setattr("otoscope.cli.app.app", lambda **_: None)
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup otoscope ...
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        main()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        assert callable(signal.getsignal(signal.SIGTERM))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

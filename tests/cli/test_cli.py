"""The command line: exit codes, one line for users' errors, and what the doctor finds."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

from otoscope import ops
from otoscope.cli.app import app
from otoscope.cli.groups import Group
from otoscope.cli.installation.doctor import Extra, diagnose
from otoscope.cli.output import bars
from otoscope.errors import CudaUnavailable, MissingExtra, ParameterError
from otoscope.ops.self_test import Check
from otoscope.progress import Display
from otoscope.records import replacing, versions

RUNNER = CliRunner()


def app_that_raises(error: BaseException) -> typer.Typer:
    failing = typer.Typer(cls=Group, pretty_exceptions_enable=False)

    @failing.command()
    def fail() -> None:
        raise error

    @failing.callback()
    def options() -> None:
        pass

    return failing


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ParameterError("n_mels is 0;\nneeds 1 or more"), "n_mels is 0; needs 1 or more"),
        (CudaUnavailable("built without CUDA"), "built without CUDA"),
        (MissingExtra("captum is not installed"), "captum is not installed"),
        (PermissionError(errno.EACCES, "Permission denied", "/a b"), "/a b: Permission denied"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
    ],
)
def test_user_error_is_one_line_on_stderr_and_exit_code_2(error: Exception, line: str) -> None:
    result = RUNNER.invoke(app_that_raises(error), ["fail"])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr == f"otoscope: {line}\n"


def test_the_traceback_of_a_user_error_is_shown_if_asked_for() -> None:
    failing = app_that_raises(ParameterError("n_mels is 0"))
    result = RUNNER.invoke(failing, ["fail"], env={"OTOSCOPE_TRACEBACK": "1"})
    assert result.exit_code == 2
    assert result.stderr.startswith("Traceback (most recent call last):")
    assert result.stderr.endswith("ParameterError: n_mels is 0\notoscope: n_mels is 0\n")


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = sys.modules["numpy"] = None
from otoscope.cli import main
main()
"""


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["--help"], 0, "explain"),
        (["explain", "--help"], 0, "FILE.py:FUNCTION"),
        (["explain", "nowhere.wav", "--model", "x"], 2, "otoscope: nowhere.wav is not there"),
    ],
)
def test_what_needs_no_model_does_not_wait_for_torch(
    arguments: list[str], code: int, line: str
) -> None:
    command = [sys.executable, "-c", WITHOUT_TORCH, *arguments]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == code, result.stderr
    assert line in result.stdout + result.stderr


def test_unwritable_path_is_named_as_the_user_gave_it(tmp_path: Path) -> None:
    writing = typer.Typer(cls=Group)

    @writing.command()
    def write(path: Path) -> None:
        with replacing(path) as draft:
            draft.write_text("never")

    @writing.callback()
    def options() -> None:
        pass

    path = tmp_path / "nowhere" / "why.html"
    result = RUNNER.invoke(writing, ["write", str(path)])
    assert (result.exit_code, result.stderr) == (
        2,
        f"otoscope: {path}: No such file or directory\n",
    )


@pytest.mark.parametrize("arguments", [["nonsense"], ["--nonsense"], ["doctor", "--nonsense"]])
def test_bad_arguments_are_exit_code_2(arguments: list[str]) -> None:
    result = RUNNER.invoke(app, arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "nonsense" in result.stderr
    assert "Traceback" not in result.stderr


def test_version_is_that_of_the_package() -> None:
    result = RUNNER.invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"otoscope {versions()['otoscope']}\n")


@pytest.mark.parametrize("arguments", [["--help"], ["doctor", "--help"]])
def test_help_shows_what_there_is(arguments: list[str]) -> None:
    result = RUNNER.invoke(app, arguments)
    assert result.exit_code == 0
    assert "doctor" in result.stdout


def test_doctor_prints_its_diagnosis_as_json_from_a_real_shell() -> None:
    command = [sys.executable, "-m", "otoscope.cli", "doctor", "--json"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stderr == ""
    diagnosis = json.loads(result.stdout)
    assert diagnosis["versions"] == dict(versions())
    assert diagnosis["cpu_kernels"] in {"avx2", "baseline"}
    assert diagnosis["cuda_available"] or diagnosis["cuda_reason"]
    assert {"occlude"} <= {kernel["name"] for kernel in diagnosis["kernels"]}
    assert all(kernel["ok"] for kernel in diagnosis["kernels"])


def test_doctor_prints_lines_for_people() -> None:
    result = RUNNER.invoke(app, ["doctor"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert f"torch {torch.__version__}" in result.stdout
    assert "occlude on cpu: agrees" in result.stdout


@pytest.mark.parametrize("arguments", [["doctor"], ["doctor", "--json"]])
def test_doctor_finds_a_kernel_that_differs(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ops, "self_test", lambda: [Check("occlude", "cpu", False, "[3] is [off]")])
    result = RUNNER.invoke(app, arguments, env={"COLUMNS": "200"})
    assert result.exit_code == 1
    assert "[3] is [off]" in result.stdout
    assert result.stdout.startswith("{") == ("--json" in arguments)


METADATA = f"""\
Metadata-Version: 2.1
Name: otoscope
Version: {versions()["otoscope"]}
Requires-Dist: numpy>=1.26
Requires-Dist: no-such-base>=3
Provides-Extra: old
Requires-Dist: rich; extra == "old"
Provides-Extra: new
Requires-Dist: typer>=9999; extra == "new"
Requires-Dist: no-such-package[x]>=1; extra == "new" and python_version >= "3"
Requires-Dist: no-such-package; extra == "new" and python_version < "3"
"""


def test_doctor_names_what_an_extra_lacks_and_its_install_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "METADATA").write_text(METADATA)
    planted, real = metadata.PathDistribution(tmp_path), metadata.distribution
    monkeypatch.setattr(
        metadata, "distribution", lambda name: planted if name == "otoscope" else real(name)
    )
    assert diagnose().extras == (
        Extra("base", ("no-such-base>=3",), "pip install otoscope"),
        Extra("new", ("typer>=9999", "no-such-package[x]>=1"), 'pip install "otoscope[new]"'),
        Extra("old", (), 'pip install "otoscope[old]"'),
    )


@pytest.mark.parametrize(
    ("origin", "install"),
    [
        ('{"dir_info": {"editable": true}, "url": "file:///x"}', 'pip install -e ".[new]"'),
        ('{"dir_info": {}, "url": "file:///x"}', 'pip install "otoscope[new]"'),
    ],
)
def test_doctor_names_the_line_for_a_checkout(
    origin: str, install: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "METADATA").write_text(METADATA)
    (tmp_path / "direct_url.json").write_text(origin)
    monkeypatch.setattr(metadata, "distribution", lambda _: metadata.PathDistribution(tmp_path))
    assert install in {extra.install for extra in diagnose().extras}


def test_doctor_knows_what_each_extra_is_for() -> None:
    pyproject = (Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8")
    section = pyproject.partition("[project.optional-dependencies]\n")[2].partition("\n[")[0]
    names = re.findall(r"^(\w+) = \[", section, re.MULTILINE)
    assert {"captum", "notebook", "models"} < set(names)
    for name in names:
        extra = Extra(name, (), "")
        assert extra.is_in_use != extra.is_for_development, name


@pytest.mark.parametrize(("missing", "is_complete"), [("train", True), ("models", False)])
def test_doctor_says_when_all_that_works_today_is_installed(
    missing: str, is_complete: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    extras = [
        Extra(name, ("more",) if name == missing else (), "pip install more")
        for name in ("base", "docs", "models", "train")
    ]
    monkeypatch.setattr("otoscope.cli.installation.doctor._extras", lambda: tuple(extras))
    shown = RUNNER.invoke(app, ["doctor"], env={"COLUMNS": "200"}).stdout
    assert ("everything that this version uses is installed" in shown) == is_complete
    assert "docs (to develop otoscope): complete" in shown
    assert f"{missing}: lacks more: pip install more" in shown


def test_bars_give_the_items_and_draw_nothing_without_a_terminal(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with bars() as progress:
        pairs = [
            (song, start)
            for song in progress("ab", "files")
            for start in progress(range(2), "excerpts")
        ]
    assert pairs == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]
    assert capfd.readouterr() == ("", "")


def test_corpus_prints_json_for_machines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from otoscope import data

    def write(out: Path, n: int, seed: int, *, recipe: object, progress: Display) -> Path:
        assert list(progress(range(n), "songs")) == list(range(n))
        return out / "manifest.jsonl"

    monkeypatch.setattr(data, "write_singing", write)
    arguments = ["corpus", "singing", "--out", str(tmp_path), "--n", "3", "--seed", "4"]
    record = json.loads(RUNNER.invoke(app, [*arguments, "--json"]).stdout)
    assert (record["songs"], record["seed"]) == (3, 4)
    assert record["manifest"] == str(tmp_path / "manifest.jsonl")
    assert "3 songs; ground truth" in RUNNER.invoke(app, arguments).stdout


ON_A_TERMINAL = """
import time
from otoscope.cli.output import bars
with bars() as progress:
    for song in progress("ab", "files"):
        for start in progress("c", "excerpts"):
            print(song)
            time.sleep(0.3)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals on Windows")
def test_bars_are_drawn_on_a_terminal_and_what_is_piped_stays_in_the_pipe() -> None:
    import pty

    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    command = [sys.executable, "-c", ON_A_TERMINAL]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=environment) as run:
        os.close(theirs)
        drawn = b""
        with suppress(OSError):  # Linux's way to say that the other end is closed
            while part := os.read(ours, 4096):
                drawn += part
        os.close(ours)
        printed = run.communicate()[0]
    assert printed.split() == [b"a", b"b"]
    assert b"files" in drawn
    assert b"excerpts" in drawn

"""The command line: exit codes, one line for users' errors, and what the doctor finds."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

from otoscope import ops
from otoscope.cli.app import OneLineErrors, app
from otoscope.cli.doctor import Extra, diagnose
from otoscope.cli.progress import progress
from otoscope.errors import CudaUnavailable, MissingExtra, ParameterError
from otoscope.ops.self_test import Check
from otoscope.records import replacing, versions

RUNNER = CliRunner()


def app_that_raises(error: BaseException) -> typer.Typer:
    failing = typer.Typer(cls=OneLineErrors, pretty_exceptions_enable=False)

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


@pytest.mark.parametrize("error", [RuntimeError("ours"), OSError("libfoo.so"), IndexError(3)])
def test_mistake_of_ours_keeps_its_traceback(error: Exception) -> None:
    result = RUNNER.invoke(app_that_raises(error), ["fail"])
    assert result.exception is error


def test_unwritable_path_is_named_as_the_user_gave_it(tmp_path: Path) -> None:
    writing = typer.Typer(cls=OneLineErrors)

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
    found = json.loads(result.stdout)
    assert found["versions"] == dict(versions())
    assert found["cpu_kernels"] in {"avx2", "baseline"}
    assert found["cuda_available"] or found["cuda_reason"]
    assert {"occlude"} <= {kernel["name"] for kernel in found["kernels"]}
    assert all(kernel["ok"] for kernel in found["kernels"])


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


def test_progress_gives_the_items_and_draws_nothing_without_a_terminal(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert list(progress(iter(range(3)), description="counting", total=3)) == [0, 1, 2]
    assert capfd.readouterr() == ("", "")

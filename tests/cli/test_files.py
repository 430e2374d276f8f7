"""Outputs: never an input, never a file of somebody else, and one writer at a time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.cli.options import OUTPUT
from otoscope.records import claimed
from tests.support.commands import COMMANDS

ABC = "X:1\nM:4/4\nL:1/8\nK:C\nCDEF GABc|\n"
MODEL = ["--model", "synth-singing", "--segments", "temporal:2"]


def run(*arguments: object) -> tuple[int, str]:
    """Run a command; return its exit code and its output in one line."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert "Traceback" not in result.output
    return result.exit_code, " ".join(result.output.split())


def kept(path: Path, *arguments: object) -> str:
    """Run a command that must be refused and leave a file as it is; return the message."""
    before = path.read_bytes()
    code, message = run(*arguments)
    assert code == 2, message
    assert path.read_bytes() == before
    return message


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder with a sound, a tune, a table and code of a model."""
    monkeypatch.chdir(tmp_path)
    y = 0.1 * np.random.default_rng(0).standard_normal(3 * 22050)
    for name in ("a.wav", "songs/b.wav"):
        Path(name).parent.mkdir(exist_ok=True)
        soundfile.write(name, y, 22050)
    Path("t.abc").write_text(ABC)
    Path("labels.csv").write_text("file,label\nb.wav,x\n")
    Path("own.py").write_text(
        "import otoscope\n\ndef make():\n    return lambda y: ['x'] * len(y)\n"
    )
    os.link("a.wav", "hard.wav")
    Path("soft.wav").symlink_to("a.wav")
    return tmp_path


@pytest.mark.parametrize("name", ["m.json", "m.safetensors"])
def test_neither_file_of_a_bundle_may_be_an_input(name: str, folder: Path) -> None:
    Path(name).write_bytes(b"80 numbers")
    arguments = ["models", "import-svdnet", "a.npz", "--mean", name, "--std", name, "--out", "m"]
    assert "is an input of this command" in kept(folder / name, *arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ["folk", "prepare", "t.abc", "--out", "full"],
        ["interrogate", "--data", "songs", "--labels", "labels.csv", "--export", "full"],
    ],
)
def test_a_new_folder_is_empty(arguments: list[str], folder: Path) -> None:
    (folder / "full").mkdir()
    (folder / "full" / "mine.txt").write_text("mine")
    message = kept(folder / "full" / "mine.txt", *arguments)
    assert "full is not an empty folder; name a new one" in message


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("a.wav", ["explain", "a.wav", *MODEL, "--html", "a.wav"]),
        ("a.wav", ["explain", "a.wav", *MODEL, "--json", "./songs/../a.wav"]),
        ("a.wav", ["explain", "a.wav", *MODEL, "--csv", "hard.wav"]),
        ("a.wav", ["explain", "soft.wav", *MODEL, "--html", "a.wav"]),
        ("a.wav", ["explain", "a.wav", *MODEL, "--html", "soft.wav"]),
        ("a.wav", ["attack", "a.wav", "--model", "synth-singing", "--out", "hard.wav"]),
        ("t.abc", ["folk", "score", "t.abc", "--html", "t.abc"]),
        ("t.abc", ["folk", "check", "t.abc", "--json", "t.abc"]),
        ("t.abc", ["folk", "continue", "t.abc", "--out", "t.abc"]),
        ("t.abc", ["folk", "nearest", "a.abc", "--in", "t.abc", "--json", "t.abc"]),
        ("t.abc", ["folk", "prepare", "t.abc", "--out", "tunes", "--html", "t.abc"]),
        (
            "own.py",
            ["interrogate", "--data", "songs", "--model", "own.py:make", "--records", "own.py"],
        ),
        (
            "labels.csv",
            [
                "interrogate",
                "--data",
                "songs",
                "--model",
                "own.py:make",
                "--labels",
                "labels.csv",
                "--json",
                "labels.csv",
            ],
        ),
        (
            "a.wav",
            [
                "maximise",
                "--model",
                "synth-singing",
                "--layer",
                "fc9",
                "--real",
                "a.wav",
                "--html",
                "a.wav",
            ],
        ),
        ("a.wav", ["stats", "a.wav", "--model", "synth-singing", "--out", "a.wav"]),
    ],
)
def test_an_input_is_not_written_to(name: str, arguments: list[str], folder: Path) -> None:
    assert "is an input of this command: name another output" in kept(folder / name, *arguments)


@pytest.mark.parametrize("end", [".json", ".safetensors"])
def test_a_model_is_not_written_to(end: str, folder: Path) -> None:
    for name in ("net.json", "net.safetensors"):
        Path(name).write_text("{}")
    for model in ("net", "net.json", "net.safetensors"):
        message = kept(
            folder / f"net{end}", "explain", "a.wav", "--model", model, "--json", f"net{end}"
        )
        assert "is an input" in message


def test_a_folder_of_inputs_is_no_folder_of_outputs(folder: Path) -> None:
    code, message = run(
        "maximise",
        "--model",
        "synth-singing",
        "--layer",
        "fc9",
        "--real",
        "songs",
        "--out",
        "songs",
    )
    assert (code, "songs is an input" in message) == (2, True)
    assert [path.name for path in (folder / "songs").iterdir()] == ["b.wav"]


FOREIGN: list[tuple[str, bytes, list[object]]] = [
    ("theirs.json", b'{"results": [1, 2, 3]}', ["explain", "a.wav", *MODEL, "--json"]),
    ("theirs.json", b'{"results": [1, 2, 3]}\n', ["explain", "songs", *MODEL, "--json"]),
    ("theirs.json", b'{\n  "format": "other/1"\n}\n', ["folk", "check", "t.abc", "--json"]),
    ("rows.json", b'{"key": {"file": "a"}, "n": 1}\n', ["explain", "a.wav", *MODEL, "--json"]),
    (
        "theirs.jsonl",
        b'{"a": 1}',
        ["interrogate", "--data", "songs", "--model", "own.py:make", "--records"],
    ),
    ("theirs.csv", b"name,score\na,1\n", ["explain", "a.wav", *MODEL, "--csv"]),
    ("theirs.html", b"<html>mine</html>", ["explain", "a.wav", *MODEL, "--html"]),
    ("theirs.html", b"<html>mine</html>", ["folk", "score", "t.abc", "--html"]),
    ("theirs.abc", ABC.encode(), ["folk", "sample", "--n", "1", "--out"]),
    ("songs/b.wav", b"", ["attack", "a.wav", "--model", "synth-singing", "--out"]),
    ("net.json", b'{"mine": 1}', ["folk", "import-folkrnn", "t.abc", "--out"]),
    ("net.safetensors", b"mine", ["folk", "import-folkrnn", "t.abc", "--out"]),
    ("report.html", b"mine", ["demo", "--out"]),
    ("key.json", b'{"mine": 1}', ["listening-test", "export", "songs", "--out"]),
    ("test.html", b"<html>mine</html>", ["listening-test", "export", "songs", "--out"]),
    ("report.html", b"mine", ["maximise", "--model", "synth-singing", "--layer", "fc9", "--out"]),
    (
        "universal.wav",
        b"RIFF, mine",
        ["attack", "songs", "--model", "synth-singing", "--method", "universal", "--out"],
    ),
    ("adversary_zoo.json", b"[]", ["experiment", "adversary-zoo", "--quick", "--out"]),
]


@pytest.mark.parametrize(("name", "content", "arguments"), FOREIGN)
def test_a_file_of_somebody_else_is_not_written_to(
    name: str, content: bytes, arguments: list[object], folder: Path
) -> None:
    path = folder / name
    if content:
        path.write_bytes(content)
    shown: object = folder if arguments[-1] == "--out" and path.parent == folder else path
    shown = path.with_suffix("") if "import-folkrnn" in arguments else shown
    is_in_folder = path.name == "universal.wav"
    shown = path if path.suffix in (".abc", ".wav") and not is_in_folder else shown
    assert "exists, and this option has not written it" in kept(path, *arguments, shown)


@pytest.mark.parametrize(
    "arguments",
    [
        ["folk", "check", "t.abc", "--json", "out.json"],
        ["folk", "score", "t.abc", "--html", "out.html", "--json", "out.json"],
        ["folk", "sample", "--n", "2", "--out", "out.abc", "--json", "out.json"],
        ["folk", "continue", "t.abc", "--n", "2", "--bars", "1", "--out", "out.abc"],
        ["explain", "a.wav", *MODEL, "--html", "o.html", "--json", "o.json", "--csv", "o.csv"],
        ["explain", "songs", *MODEL, "--html", "o.html", "--json", "o.json", "--csv", "o.csv"],
        ["attack", "a.wav", "--model", "synth-singing", "--out", "out.wav", "--steps", "1"],
        ["attack", "a.wav", "--model", "synth-singing", "--out", "out.flac", "--steps", "1"],
        ["models", "--json", "out.json"],
        ["stats", "songs", "--model", "synth-singing", "--hop", "0.5", "--out", "out.npz"],
        ["corpus", "dance", "--out", "out", "--n", "1", "--seconds", "2", "--json", "out.json"],
    ],
)
@pytest.mark.usefixtures("folder")
def test_the_same_command_may_write_its_files_again(arguments: list[str]) -> None:
    (first, shown), (second, message) = run(*arguments), run(*arguments)
    assert first in (0, 1), shown
    assert second == first, message


@pytest.mark.usefixtures("folder")
def test_an_empty_file_may_be_written_to() -> None:
    Path("out.json").touch()
    assert run("folk", "check", "t.abc", "--json", "out.json")[0] == 0


@pytest.mark.usefixtures("folder")
def test_two_outputs_are_two_files() -> None:
    code, message = run("explain", "a.wav", *MODEL, "--html", "x", "--csv", "./x")
    assert (code, "are one output: name two" in message) == (2, True)
    Path("link.csv").symlink_to("x.json")
    code, message = run("explain", "a.wav", *MODEL, "--json", "x.json", "--csv", "link.csv")
    assert (code, "are one output: name two" in message) == (2, True)


@pytest.mark.parametrize(
    ("taken", "arguments"),
    [
        ("tunes", ["folk", "prepare", "generated:9", "--out", "tunes"]),
        ("x.json", ["folk", "check", "t.abc", "--json", "x.json"]),
        ("reels", ["folk", "train", "tunes", "--out", "reels"]),
        ("s.npz", ["stats", "songs", "--model", "synth-singing", "--out", "s.npz"]),
        ("net.json", ["folk", "import-folkrnn", "x.pkl", "--out", "net"]),
    ],
)
@pytest.mark.usefixtures("folder")
def test_the_second_writer_is_refused_before_any_work(taken: str, arguments: list[str]) -> None:
    with claimed(taken), ThreadPoolExecutor(1) as others:
        code, message = others.submit(run, *arguments).result()
    assert (code, f"{taken} is being written by another process" in message) == (2, True)
    assert not Path(taken).exists()


@pytest.mark.usefixtures("folder")
def test_a_shared_folder_has_many_writers() -> None:
    arguments = ["distance", "songs", "songs", "--model", "synth-singing", "--keep", "kept"]
    arguments += ["--hop", "0.5"]
    with claimed("kept"), ThreadPoolExecutor(1) as others:
        code, message = others.submit(run, *arguments).result()
    assert code == 0, message


def test_every_option_of_the_outputs_is_declared() -> None:
    declared = {}
    for name, command in COMMANDS.items():
        for parameter in command.params:
            is_output = getattr(parameter, "rich_help_panel", None) == OUTPUT
            assert not is_output or hasattr(parameter.callback, "output"), (name, parameter.name)
            declared[name, parameter.name] = is_output
    assert sum(declared.values()) > 40


KILLED = """
import os, signal, sys
fsync, left = os.fsync, [int(sys.argv.pop(1))]
def kill(descriptor):
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    fsync(descriptor)
os.fsync = kill
from otoscope.cli import main
main()
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on Windows")
@pytest.mark.parametrize(
    ("n_written", "arguments"),
    [
        (0, ["explain", "a.wav", *MODEL, "--html", "o.html"]),
        (0, ["explain", "songs", *MODEL, "--html", "o.html", "--json", "o.jsonl"]),
        (1, ["explain", "songs", *MODEL, "--html", "o.html", "--json", "o.jsonl"]),
        (2, ["explain", "songs", *MODEL, "--html", "o.html", "--json", "o.jsonl"]),
        (0, ["stats", "songs", "--model", "synth-singing", "--hop", "0.5", "--out", "s.npz"]),
        (0, ["attack", "a.wav", "--model", "synth-singing", "--out", "o.wav", "--steps", "1"]),
        (3, ["corpus", "dance", "--out", "out", "--n", "3", "--seconds", "2"]),
        (2, ["folk", "prepare", "generated:9", "--out", "tunes"]),
        (0, ["folk", "sample", "--n", "1", "--out", "o.abc"]),
        (0, ["demo", "--out", "demo"]),
    ],
)
def test_the_next_run_clears_away_what_a_kill_left(
    n_written: int, arguments: list[str], folder: Path
) -> None:
    command = [sys.executable, "-c", KILLED, str(n_written), *arguments]
    assert subprocess.run(command, check=False, capture_output=True).returncode == -signal.SIGKILL
    assert [path for path in folder.rglob(".*") if path.name.startswith(".otoscope-")]
    command = [sys.executable, "-m", "otoscope.cli", *arguments]
    assert subprocess.run(command, check=False, capture_output=True).returncode in (0, 1)
    assert not [path for path in folder.rglob(".*") if path.name.startswith(".otoscope-")]

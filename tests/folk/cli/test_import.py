"""otoscope folk import-folkrnn: the authors' pickle becomes a model; nothing in it is run."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.folk.tokens import Vocabulary
from tests.support.folk_models import tokens_of

UNITS = 3


def run(*arguments: object) -> str:
    """Run a command that must succeed."""
    result = CliRunner().invoke(app, ["folk", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*arguments: object) -> str:
    """Run a command that must end with one line and exit code 2."""
    result = CliRunner().invoke(app, ["folk", *map(str, arguments)])
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


def authors_file(path: Path) -> int:
    """Write 45 arrays as the authors' script does; the number of tokens."""
    tokens = Vocabulary.of(tokens_of("v2")).tokens
    n, random = len(tokens), np.random.default_rng(0)
    arrays = [np.eye(n)]
    for size in (n, UNITS, UNITS):
        for _ in range(4):
            arrays += [random.normal(size=shape) for shape in ((size, UNITS), (UNITS, UNITS))]
            arrays.append(random.normal(size=UNITS))
        arrays += [random.normal(size=(1, UNITS)) for _ in range(2)]
    arrays += [random.normal(size=(UNITS, n)), random.normal(size=n)]
    assert len(arrays) == 45
    content = {
        "token2idx": {token: index for index, token in enumerate(tokens)},
        "param_values": [array.astype(np.float32) for array in arrays],
    }
    path.write_bytes(pickle.dumps(content, protocol=2))
    return n


def test_an_imported_model_is_one_to_sample_from(tmp_path: Path) -> None:
    n = authors_file(tmp_path / "theirs.pkl")
    out = tmp_path / "ours"
    document = json.loads(run("import-folkrnn", tmp_path / "theirs.pkl", "--out", out, "--json"))
    assert document["format"] == "otoscope.ImportFolkrnn/2"
    gates = 4 * UNITS * ((n + UNITS + 1) + 2 * (2 * UNITS + 1))
    assert document["parameters"] == gates + UNITS * n + n
    assert (document["vocabulary"], document["tokens"]) == (n, "v2")
    assert {file.name for file in tmp_path.iterdir()} == {
        "theirs.pkl",
        "ours.json",
        "ours.safetensors",
    }
    assert "X:2" in run("sample", "--model", out, "--n", 2, "--max-tokens", 30)
    output = run("import-folkrnn", tmp_path / "theirs.pkl", "--out", out)
    assert f"{n} tokens (v2): {out}" in output


class _Program:
    """What a pickle may do to who loads it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def test_a_program_in_a_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    content = {"token2idx": {}, "param_values": [_Program(tmp_path / "run")]}
    (tmp_path / "bad.pkl").write_bytes(pickle.dumps(content))
    message = refused("import-folkrnn", tmp_path / "bad.pkl", "--out", tmp_path / "ours")
    assert "is refused: it asks for " in message
    assert ".mkdir; only arrays of numbers are read" in message
    assert [file.name for file in tmp_path.iterdir()] == ["bad.pkl"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "theirs.pkl is not there"),
        (b"", "is no pickle that can be read"),
        (pickle.dumps([1, 2]), "holds list, needs a dictionary"),
        (pickle.dumps({"token2idx": {"a": 0}}), "is no folk-rnn model"),
        (
            pickle.dumps({"token2idx": {"<s>": 0, "</s>": 1}, "param_values": [1.0]}),
            "what is no array",
        ),
    ],
)
def test_other_files_are_one_line(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "theirs.pkl"
    if content is not None:
        path.write_bytes(content)
    assert message in refused("import-folkrnn", path, "--out", tmp_path / "ours")
    assert "there is no folder" in refused("import-folkrnn", path, "--out", tmp_path / "no" / "a")
    assert not (tmp_path / "ours.json").exists()

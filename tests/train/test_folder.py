"""Folders of trainings: one writer from the start, and files of others stay."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.errors import ParameterError
from otoscope.train import training_folder

TRAININGS = {
    "singing": ["corpus", "--validation", "corpus"],
    "genre": ["sounds"],
    "rhythm": ["sounds"],
    "prior": ["sounds"],
}
"""Arguments of each training, whose sounds do not exist: they must not be missed."""


def entered(folder: Path, *, resume: bool = False) -> None:
    with training_folder(folder, resume=resume):
        pass


@pytest.mark.parametrize("name", ["model.json", "model.safetensors", "result.json"])
@pytest.mark.parametrize("content", [b'{"mine": 1}', b"\x00mine", b""])
@pytest.mark.parametrize("resume", [False, True])
def test_files_of_somebody_else_are_not_replaced(
    name: str, content: bytes, resume: bool, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ParameterError, match=f"{name} exists, and no training has written it"):
        entered(tmp_path, resume=resume)
    assert (tmp_path / name).read_bytes() == content


def test_a_model_without_a_checkpoint_is_replaced_by_a_resumed_training_only(
    tmp_path: Path,
) -> None:
    """As after a kill between the first validation and the first checkpoint."""
    (tmp_path / "model.json").write_text('{\n  "format": "otoscope bundle 1"}')
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    with pytest.raises(ParameterError, match="holds a model already; name another folder"):
        entered(tmp_path)
    entered(tmp_path, resume=True)


def test_a_folder_that_was_made_for_nothing_is_removed(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), training_folder(tmp_path / "a" / "b", resume=False):
        raise ZeroDivisionError
    assert not [*tmp_path.iterdir()]
    with training_folder(tmp_path / "c", resume=False) as checkpoint:
        checkpoint.touch()
    assert checkpoint.is_file()


def test_others_are_excluded_while_sounds_are_read(tmp_path: Path) -> None:
    with training_folder(tmp_path, resume=False), ThreadPoolExecutor(1) as others:
        with pytest.raises(ParameterError, match="is being written by another process"):
            others.submit(entered, tmp_path).result()
        entered(tmp_path)  # the same thread


@pytest.mark.parametrize("training", TRAININGS)
def test_a_training_that_is_there_is_refused_before_any_sound_is_read(
    training: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("out").mkdir()
    (tmp_path / "sounds" / "a").mkdir(parents=True)
    arguments = ["train", training, *TRAININGS[training], "--out", "out"]
    for name in ("checkpoint.ckpt", "model.json"):
        Path("out", name).write_text("mine")
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code != 0
        message = str(result.exception) + result.output
        assert "holds a training already" in message or "no training has written" in message
        Path("out", name).unlink()

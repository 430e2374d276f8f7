"""Tables over folders tell two files of one name apart."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.data import synthesise
from otoscope.signal import write_audio


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("songs")
    for seed, name in enumerate(("a/1.wav", "b/1.wav", "b/2.wav")):
        (folder / name).parent.mkdir(exist_ok=True)
        song = synthesise(seed, seconds=4)
        write_audio(folder / name, torch.from_numpy(song.mix), sr=song.sr)
    return folder


@pytest.mark.parametrize(
    "command",
    [
        "explain {folder} --segments temporal:2 --workers 1",
        "explain {folder}/a {folder}/b --segments temporal:2 --workers 1",
        "attack {folder} --steps 1 --workers 1 --out {out}",
    ],
)
def test_files_of_one_name_are_named_with_their_folders(
    command: str, folder: Path, tmp_path: Path
) -> None:
    words = command.format(folder=folder, out=tmp_path / "out").split()
    result = CliRunner().invoke(app, [*words, "--model", "synth-singing"])
    assert result.exit_code in (0, 1), result.output
    firsts = [line.split()[0] for line in result.stdout.splitlines() if line.strip()]
    assert [word for word in firsts if word.endswith(".wav")] == ["a/1.wav", "b/1.wav", "2.wav"]


def test_real_excerpts_are_named_with_their_folders(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "unit.html"
    quick = ["--layer", "fc9", "--seeds", "2", "--iterations", "2", "--every", "1"]
    arguments = ["maximise", "--model", "synth-singing", *quick, "--html", str(page)]
    result = CliRunner().invoke(app, [*arguments, "--real", str(folder)])
    assert result.exit_code == 0, result.output
    assert any(f"{name}, " in page.read_text() for name in ("a/1.wav", "b/1.wav", "b/2.wav"))

"""otoscope attack --method universal: one change for all files of a folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner

from otoscope.cli.app import app
from tests.cli.test_attack_folder import MODEL, SR

ATTACK = ("--model", "m.py:make", "--method", "universal", "--duration", 0.25, "--snr-db", 3)


@pytest.fixture
def songs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make ten sounds, a silent one, and one that ends too soon."""
    generator = torch.Generator().manual_seed(0)
    (tmp_path / "songs").mkdir()
    for number in range(12):
        y = torch.randn(1840 if number == 11 else 2000, generator=generator) / 10
        y *= number != 10
        soundfile.write(tmp_path / "songs" / f"{number:02}.wav", y.clamp(-1, 1).numpy(), SR)
    (tmp_path / "m.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "songs"


def attack(code: int, *options: object, sound: str = "songs", out: str = "adv") -> str:
    given = [*ATTACK[:-2]] if "--nearest" in options else [*ATTACK]
    words = map(str, ("attack", sound, *given, "--out", out, *options))
    result = CliRunner().invoke(app, [*words])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


def rows(out: str = "adv") -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(out, "attack.jsonl").read_text().splitlines()]


@pytest.mark.usefixtures("songs")
def test_all_files_get_one_change_within_their_own_bounds() -> None:
    attack(1, "--steps", 40)
    change, sr = soundfile.read("adv/universal.wav")
    assert sr == SR
    assert np.abs(change).max() == pytest.approx(1)
    *sounding, silent, short = rows()
    assert "silent" in silent["error"]
    assert "the sound has 1840 samples, the difference 2000" in short["error"]
    n_fooled = 0
    for row in sounding:
        x, y = (soundfile.read(row[name])[0] for name in ("file", "out"))
        n_fooled += row["is_fooled"]
        if not (difference := y - x).any():  # it had the aim, or the change does not help
            continue
        assert np.corrcoef(difference, change)[0, 1] > 0.999  # but for rounding to 16 bits
        assert row["snr_db"] >= row["pieces"][0]["evaluation"]["snr_guaranteed_db"]
    assert n_fooled > len(sounding) / 2


def test_rows_are_of_the_change_of_all_files(songs: Path) -> None:
    attack(1, "--steps", 20)
    first = Path("adv/attack.jsonl").read_bytes()
    assert "12 rows were in adv/attack.jsonl already" in attack(1, "--steps", 20)
    assert Path("adv/attack.jsonl").read_bytes() == first
    attack(1, "--steps", 20, "--workers", 2, out="other")
    for place in Path("adv").glob("*.wav"):
        one, other = (
            soundfile.read(folder / place.name)[0] for folder in map(Path, ("adv", "other"))
        )
        np.testing.assert_allclose(one, other, rtol=0, atol=2**-14)
    y = np.random.default_rng(0).normal(0, 0.1, 2000).clip(-1, 1)
    soundfile.write(songs / "12.wav", y, SR)
    assert "12 rows of adv/attack.jsonl are computed again" in attack(1, "--steps", 20)
    assert len({row["sources"]["change"] for row in rows()}) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--whole",), "whole beside the method universal"),
        (("--restarts", 2), "restarts is 2, which method universal does not use"),
        (("--masking", 0.5), "masking is 0.5, which method universal does not use"),
        (("--nearest",), "nearest is True, which method universal does not use"),
    ],
)
@pytest.mark.usefixtures("songs")
def test_what_does_not_apply_is_refused(options: tuple[object, ...], words: str) -> None:
    assert words in attack(2, *options)
    assert not Path("adv").exists()


def test_it_needs_a_folder_of_sounds_that_are_long_enough(songs: Path) -> None:
    assert "songs/00.wav is one sound: name a folder" in attack(
        2, sound="songs/00.wav", out="a.wav"
    )
    for path in songs.glob("0*.wav"):
        path.unlink()
    assert "no file has 0.25 s of sound from 0 s on" in attack(2)
    shutil.copy(songs / "10.wav", songs / "universal.wav")
    assert "would be adv/universal.wav; rename the file" in attack(2)
    assert not Path("adv").exists()

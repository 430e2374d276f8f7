"""otoscope attack of a folder: a row and an adversary per file, for any number of workers."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
from typer.testing import CliRunner

from otoscope import pool
from otoscope.cli.app import app
from otoscope.errors import WorkerEnded
from otoscope.signal import read_audio
from tests.support.commands import given_once

SR = 8000
MODEL = """
import torch
from otoscope.models import Listener
from otoscope.signal import librosa_mel

def make():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(20 * 8, 1), torch.nn.Sigmoid())
    front_end = librosa_mel(sr=8000, n_fft=256, hop_length=80, n_mels=8)
    return Listener(net, front_end, patch_frames=20, output_names=["up"])

def deaf():
    model = make()
    model.differentiable = False
    return model
"""


_FEW = ("--steps", "1", "--snr-db", "90")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder with three sounds, one of them silent and one below another folder."""
    generator = torch.Generator().manual_seed(0)
    sounds = {"a.wav": 0.1, "b.flac": 0.0, "sub/c.ogg": 0.1}
    for name, level in sounds.items():
        y = torch.randn(SR // 4, generator=generator).mul(level).clamp(-1, 1)
        (tmp_path / "songs" / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "songs" / name, y.numpy(), SR)
    (tmp_path / "m.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def attack(code: int, *options: object, words: tuple[object, ...] = ()) -> str:
    """Run the command, which must end with an exit code."""
    words = words or ("songs", "--model", "m.py:make", "--out", "adv")
    words += () if {"--curve", "--snr-db"} & {*words, *options} else ("--snr-db", 6)
    result = CliRunner().invoke(app, ["attack", *given_once((*words, *options))])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


def read(path: str = "adv/attack.jsonl") -> list[dict[str, Any]]:
    """Read the rows."""
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


@pytest.mark.usefixtures("folder")
def test_each_file_has_an_adversary_a_row_and_a_page() -> None:
    shown = attack(1, "--html", "a.html")
    a, b, c = read()
    assert "b.flac all 2000 samples are silent" in shown
    assert "1 could not be attacked" in shown
    assert (a["out"], c["out"]) == ("adv/a.wav", "adv/sub/c.ogg.wav")
    assert not Path(b["out"]).exists()
    index = Path("a.html").read_text()
    for row in (a, c):
        (piece,) = row["pieces"]
        assert row["snr_db"] >= piece["evaluation"]["snr_guaranteed_db"]
        assert soundfile.info(row["out"]).subtype == "PCM_16"
        assert row["settings"]["snr_db"] == 6
        single = ("--model", "m.py:make", "--snr-db", 6, "--out", "single.wav", "--json", "s.json")
        attack(int(row["is_fooled"]), words=(row["file"], *single))
        alone = json.loads(Path("s.json").read_text())
        assert Path("single.wav").read_bytes() == Path(row["out"]).read_bytes()
        assert {**alone["pieces"][0]["evaluation"], "path": row["out"]} == piece["evaluation"]
    pages = re.findall(r'href="(a-pages/[^"]+)"', index)
    assert len(pages) == len([*Path("a-pages").iterdir()]) == 2
    assert all(Path(page).is_file() for page in pages)
    assert "all 2000 samples are silent" in index


@pytest.mark.usefixtures("folder")
def test_a_curve_counts_the_files_that_keep_their_label() -> None:
    shown = attack(1, "--curve", "--steps", 10, "--html", "a.html")
    a, b, c = read()
    assert b["error"]
    ratios = sorted(row["pieces"][0]["evaluation"]["snr_db"] for row in (a, c))
    for row in (a, c):
        x, y = (soundfile.read(row[name])[0] for name in ("file", "out"))
        assert row["is_fooled"]
        if row is a:  # the other is not PCM
            ratio = 10 * math.log10((x**2).sum() / ((y - x) ** 2).sum())
            assert row["snr_db"] == pytest.approx(ratio, abs=1e-3)
    document = json.loads(Path("adv/curve.json").read_text())
    assert document["format"] == "otoscope.RobustnessCurve/1"
    assert document["median_db"] == pytest.approx(ratios[-1])
    for row in document["rows"]:
        assert row["robust"] == sum(ratio < row["snr_db"] for ratio in ratios) / 2
        assert row["low"] <= row["robust"] <= row["high"]
        assert row["n_sounds"] == 2
    assert f"Of 2 sounds, at least half fool the model up to {ratios[-1]:.2f} dB, and few" in shown
    assert "curve: adv/curve.svg, adv/curve.json" in shown
    assert "<svg" in Path("adv/curve.svg").read_text()
    assert "data:image/svg+xml;base64," in Path("a.html").read_text()
    Path("adv/curve.json").write_text("mine")
    shown = attack(2, "--curve", "--steps", 10)
    assert "curve.json exists, and this option has not written it" in shown


@pytest.mark.usefixtures("folder")
def test_another_run_does_what_lacks() -> None:
    attack(1, "--html", "a.html")
    first = Path("adv/attack.jsonl").read_text()
    assert "3 rows were in adv/attack.jsonl already" in attack(1, "--html", "a.html")
    assert Path("adv/attack.jsonl").read_text() == first
    next(Path("a-pages").glob("a-*")).unlink()
    soundfile.write("adv/sub/c.ogg.wav", torch.zeros(9).numpy(), SR)
    shown = attack(2, "--html", "a.html")
    assert "adv/sub/c.ogg.wav exists, and this option has not written it" in shown
    Path("adv/sub/c.ogg.wav").unlink()
    y, _ = read_audio("songs/a.wav")
    soundfile.write("songs/b.flac", y.numpy(), SR)  # another content
    shown = attack(1, "--html", "a.html")
    assert "3 rows of adv/attack.jsonl are computed again" in shown
    rows = {row["file"]: row for row in read()}
    assert len(rows) == 3
    assert not any(row["error"] for row in rows.values())
    assert Path("adv/b.flac.wav").is_file()
    assert len(list(Path("a-pages").iterdir())) == 3
    message = "holds rows of other settings (snr_db 6.0, not 9.0); name another file, or delete it"
    assert message in attack(2, "--snr-db", 9)
    Path("other.jsonl").write_text('{"key": "a", "seed": 0, "versions": {}}\n')
    assert "other.jsonl holds no attacks; name another file" in attack(2, "--json", "other.jsonl")


@pytest.mark.usefixtures("folder")
def test_the_rows_are_printed_by_json_alone() -> None:
    result = CliRunner().invoke(
        app,
        [
            "attack",
            "songs",
            "--model",
            "m.py:make",
            "--out",
            "adv",
            "--steps",
            "1",
            "--snr-db",
            "90",
            "--json",
        ],
    )
    assert [json.loads(line) for line in result.stdout.splitlines()] == read()
    assert result.exit_code == 0


@pytest.mark.usefixtures("folder")
def test_the_file_of_a_killed_worker_is_named_and_attacked_by_the_next_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def ending(make: Any, items: list[Any], *, here: Any, **_: Any) -> Iterator[Iterator[Any]]:
        def ended() -> Iterator[Any]:
            raise WorkerEnded("the process that worked on it was ended (signal 9)")
            yield

        for number, item in enumerate(items):
            yield here(item) if number else ended()

    with monkeypatch.context() as patch:
        patch.setattr("otoscope.workflows.attack_folder.mapped", ending)
        assert "a.wav the process that worked on it was ended (signal 9)" in attack(1)
    assert [bool(row["error"]) for row in read()] == [True, True, False]
    assert "2 rows were in adv/attack.jsonl already" in attack(1)
    assert [row["file"] for row in read()] == ["songs/b.flac", "songs/sub/c.ogg", "songs/a.wav"]


@pytest.mark.slow  # processes start
@pytest.mark.usefixtures("folder")
def test_rows_are_the_same_for_any_number_of_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", ":".join(p for p in __import__("sys").path if p))
    rows: list[list[Any]] = []
    for n in (1, 2):
        attack(1, "--workers", n)
        rows.append([])
        for row in read():
            row["sources"].get("adversary", {}).clear()
            rows[-1].append(
                {**row, "bytes": Path(row["out"]).exists() and Path(row["out"]).read_bytes()}
            )
        Path("adv/attack.jsonl").unlink()
    assert rows[0] == rows[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--steps", 0], "steps is 0, must be an integer >= 1"),
        (["--target", "upp"], "target is 'upp', the model has no such output"),
        (["--model", "m.py:deaf"], "gives no gradient"),
        (["--out", "a.wav"], "a.wav is a file; the adversaries of a folder need a folder"),
        (["--out", "songs/adv"], "songs/adv is in songs, where the adversaries would be attacked"),
        (["--html", "no/a.html"], "there is no folder no"),
    ],
)
def test_bad_options_get_one_line_and_nothing_is_written(
    options: list[object], message: str, folder: Path
) -> None:
    before = sorted(folder.rglob("*"))
    assert message in attack(2, *options)
    assert [p for p in sorted(folder.rglob("*")) if "__pycache__" not in str(p)] == before


@pytest.mark.usefixtures("folder")
def test_no_sound_is_replaced() -> None:
    Path("songs/songs").mkdir()
    soundfile.write("songs/songs/a.wav", torch.ones(9).numpy(), SR)
    message = "the adversary of songs/songs/a.wav would replace songs/a.wav; name another out"
    assert message in attack(2, "--out", ".")
    soundfile.write("songs/sub/c.ogg.wav", torch.ones(9).numpy(), SR)
    assert "have one adversary, adv/sub/c.ogg.wav; rename one" in attack(2)
    for path in Path("songs").rglob("*.*"):
        path.unlink()
    assert "songs: no sound files" in attack(2)
    soundfile.write("songs/a.wav", torch.zeros(2000).numpy(), SR)
    assert "none of 1 files could be attacked; the first: songs/a.wav: all" in attack(2)


def test_a_pool_is_asked_for_the_workers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def mapped(*_: Any, workers: int | None, device: str, **__: Any) -> Any:
        asked.append((workers, device))
        return pool.mapped(lambda: iter, [], here=iter)

    monkeypatch.setattr("otoscope.workflows.attack_folder.mapped", mapped)
    attack(2, "--workers", 3)
    assert asked == [(3, "cpu")]


@pytest.mark.usefixtures("folder")
def test_there_is_at_least_one_worker() -> None:
    assert "workers is 0, must be >= 1" in attack(2, "--workers", 0)

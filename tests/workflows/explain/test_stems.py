"""A user's stems on the command line: components by source, and what does not fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.errors import ParameterError
from otoscope.signal import read_audio, write_audio
from otoscope.workflows import ExplainConfig, explain_files, explain_to_records, read_rows

SR = 8000
FILE = """
import torch
from otoscope.models import WaveformListener

class Ticks(torch.nn.Module):
    def forward(self, y):
        return torch.sigmoid(20 * (y.abs().amax(1, keepdim=True) - 0.5))

def make():
    return WaveformListener(Ticks(), sample_rate=8000, seconds=0.5, output_names=["ticks"])
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mix of a hum and one tick at 0.8 s, its stems, and a model that hears ticks."""
    folder = tmp_path_factory.mktemp("stems")
    (folder / "ear.py").write_text(FILE)
    t = torch.arange(SR) / SR
    hum, ticks = 0.2 * torch.sin(2 * torch.pi * 220 * t), torch.zeros(SR)
    ticks[6400] = 0.7
    (folder / "parts").mkdir()
    write_audio(folder / "parts" / "hum.wav", hum, sr=SR)
    write_audio(folder / "parts" / "ticks.wav", ticks, sr=SR)
    write_audio(folder / "mix.wav", hum + ticks, sr=SR)
    return folder


def explained(folder: Path, **settings: object) -> ExplainConfig:
    named = {"stems": (folder / "parts",), **settings}
    return ExplainConfig((folder / "mix.wav",), f"{folder / 'ear.py'}:make", **named)  # type: ignore[arg-type]


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def test_source_and_time_are_named_and_heard(folder: Path) -> None:
    config = explained(folder, components="source * time:2", start=0.5, content="silence")
    (row,) = explain_files(config)
    explanation = row.explanation
    assert explanation is not None
    assert explanation.settings.segments == "stems(hum, ticks) * time(2)"
    named = [explanation.extents[i].name for i in explanation.evidence.segments]
    assert named == ["ticks, 0.75-1.00 s"]  # the tick lies at 0.8 s
    ticks = read_audio(folder / "parts" / "ticks.wav")[0][SR // 2 :]
    torch.testing.assert_close(explanation.listen([2, 3]), ticks, rtol=0, atol=1e-4)


def test_page_has_a_player_for_each_source(folder: Path, tmp_path: Path) -> None:
    page, model = tmp_path / "why.html", f"{folder / 'ear.py'}:make"
    files = [folder / "parts" / "hum.wav", folder / "parts" / "ticks.wav"]
    stems = ("--stems", files[0], "--stems", files[1])
    command = ("explain", folder / "mix.wav", "--model", model, *stems)
    assert "ticks" in run(*command, "--components", "source*time:2", "--html", page)
    text = page.read_text("utf-8")
    assert 'aria-label="Listen to each source alone"' in text
    for name in ("hum", "ticks"):
        assert f"<span>{name} <small>the model gives" in text
    run(*command, "--html", page)
    assert "source alone" in page.read_text("utf-8")


def test_stems_alone_are_the_components_also_of_a_spectrogram_model(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    parts = {name: 0.1 * torch.randn(44100, generator=generator) for name in ("a", "b")}
    song = tmp_path / "song" / "mixture.wav"  # the mix beside its stems
    song.parent.mkdir()
    for name, y in parts.items():
        write_audio(song.with_name(f"{name}.wav"), y, sr=22050, subtype="FLOAT")
    write_audio(song, torch.stack([*parts.values()]).sum(0), sr=22050, subtype="FLOAT")
    (row,) = explain_files(ExplainConfig((song,), "synth-singing", stems=(song.parent,), start=0.1))
    assert row.explanation is not None
    assert [extent.name for extent in row.explanation.extents] == ["a", "b"]
    (plain,) = explain_files(ExplainConfig((song,), "synth-singing", start=0.1))
    assert plain.explanation is not None
    # Frames of the excerpt alone lack what lies before and after it.
    assert row.explanation.output_all == pytest.approx(plain.explanation.output_all, abs=0.05)
    assert row.explanation.patch.start == pytest.approx(plain.explanation.patch.start, abs=0.03)


def test_several_sounds_have_folders_of_stems_and_changes_are_noticed(
    folder: Path, tmp_path: Path
) -> None:
    songs, stems = tmp_path / "songs", tmp_path / "stems"
    for name in ("one", "two"):
        (stems / name).mkdir(parents=True)
        songs.mkdir(exist_ok=True)
        for part in ("hum", "ticks"):
            (stems / name / f"{part}.wav").write_bytes((folder / f"parts/{part}.wav").read_bytes())
        (songs / f"{name}.wav").write_bytes((folder / "mix.wav").read_bytes())
    (songs / "alone.wav").write_bytes((folder / "mix.wav").read_bytes())
    config = ExplainConfig((songs,), f"{folder / 'ear.py'}:make", stems=(stems,))
    rows = tmp_path / "rows.jsonl"
    assert explain_to_records(config, rows) == 0
    by_name = {Path(row["file"]).stem: row for row in read_rows(rows)}
    assert "has no folder 'alone'; of several sounds, each needs" in by_name["alone"]["error"]
    assert by_name["one"]["because"] == by_name["two"]["because"] == "ticks"
    assert explain_to_records(config, rows) == 3
    (stems / "two" / "ticks.wav").write_bytes((folder / "parts" / "hum.wav").read_bytes())
    assert explain_to_records(config, rows) == 2
    by_name = {Path(row["file"]).stem: row for row in read_rows(rows)}
    assert "do not sum to the sound" in by_name["two"]["error"]


def test_what_does_not_fit_is_said_with_the_remedy(folder: Path, tmp_path: Path) -> None:
    hum, ticks = (read_audio(folder / "parts" / f"{name}.wav")[0] for name in ("hum", "ticks"))
    bad = {
        "short": (hum, ticks[:4000], SR),
        "stereo": (hum, torch.stack([ticks, 0 * ticks]), SR),
        "half": (hum, 0.5 * ticks, SR),
        "rate": (hum, ticks, 2 * SR),
    }
    for name, (first, second, sr) in bad.items():
        (tmp_path / name).mkdir()
        write_audio(tmp_path / name / "hum.wav", first, sr=SR)
        write_audio(tmp_path / name / "ticks.wav", second, sr=sr)
    write_audio(tmp_path / "short" / "x.txt.wav", hum, sr=SR)
    twice = (folder / "parts" / "hum.wav", tmp_path / "half" / "hum.wav")
    for stems, message in (
        ((tmp_path / "short",), r"ticks\.wav lasts 0\.50 s, the sound 1\.00 s; cut both alike"),
        ((tmp_path / "rate",), r"ticks\.wav lasts 0\.50 s, the sound 1\.00 s"),
        ((tmp_path / "half",), r"stems\(hum, ticks\) do not sum to the sound: .* dB below it"),
        (
            (tmp_path / "stereo",),
            r"mix\? mono at 8,000 Hz: .*; of 2 channels .*: ticks; all become",
        ),
        ((folder / "parts" / "hum.wav",), r"take the difference as a component with rest=True"),
        ((tmp_path / "none.wav",), r"stems: .*none\.wav is not there"),
        ((folder,), r"no sound files in "),  # only the mix itself
        (twice, r"hum\.wav and .*hum\.wav have one name; rename one of them"),
    ):
        with pytest.raises(ParameterError, match=message):
            list(explain_files(explained(folder, stems=stems, start=0.5)))
    model = f"{folder / 'ear.py'}:make"
    files = [
        folder / "mix.wav",
        folder / "parts" / "ticks.wav",
    ]  # as --stems parts/*.wav gives them
    stray = run(
        "explain", *files, "--stems", folder / "parts" / "hum.wav", "--model", model, code=2
    )
    assert "of one sound, each file has its own --stems" in stray
    only = {"stems": (folder / "parts" / "hum.wav",), "rest": True, "start": 0.5}
    (row,) = explain_files(explained(folder, **only))
    assert row.explanation is not None
    assert [extent.name for extent in row.explanation.extents] == ["hum", "rest"]


def test_stems_and_components_need_each_other(folder: Path) -> None:
    for settings, message in (
        (
            {"stems": None, "components": "source * time:2"},
            r"there are none; give stems=: a folder",
        ),
        ({"components": "time:2"}, r"no component is made of; write components='source \* time:2'"),
        ({"stems": None, "rest": True}, r"rest is what stems lack of the sound"),
    ):
        with pytest.raises(ParameterError, match=message):
            list(explain_files(explained(folder, **settings)))


@pytest.mark.slow
def test_measures_perturb_the_sound_and_keep_the_stems(folder: Path) -> None:
    (row,) = explain_files(explained(folder, start=0.5, measured=True))
    assert row.measures is not None
    assert row.measures.stability is not None
    assert row.measures.stability.noise > 0.5
    assert json.dumps(row.measures.to_record())

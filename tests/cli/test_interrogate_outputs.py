"""otoscope interrogate --answers: pitches, beats, tempi and keys, which move with the sound."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from otoscope.cli.app import app
from tests.support.zoo import without, zoo_model

SR = 8000
N = 60
SYSTEMS = """
import numpy as np, torch

def contour(hz, seconds):
    times = np.arange(0, seconds, 0.02)
    return times, np.full(len(times), hz)

def peaks(sounds):
    spectra = torch.fft.rfft(sounds * torch.hann_window(sounds.shape[1]), n=1 << 16).abs()
    return (spectra.argmax(1) * 8000 / 65536).tolist()

def tracker():
    return lambda sounds: [contour(hz, sounds.shape[1] / 8000) for hz in peaks(sounds)]

def tuner():  # hears the nearest octave of A alone, whatever the shift
    def nearest(sounds):
        hz = [220 * 2 ** round(np.log2(peak / 220)) for peak in peaks(sounds)]
        return [contour(one, sounds.shape[1] / 8000) for one in hz]
    return nearest

def keys():  # the tonic, in semitones from A
    names = ["A", "Bb", "B", "C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab"]
    return lambda sounds: [names[round(12 * np.log2(hz / 220)) % 12] + " major"
                           for hz in peaks(sounds)]

def broken():
    return lambda sounds: [float("nan")] * len(sounds)

def labels():
    return lambda sounds: ["loud"] * len(sounds)
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tones around octaves of A with their annotations, and tables that name them."""
    folder, rng = tmp_path_factory.mktemp("tones"), np.random.default_rng(0)
    (folder / ".systems.py").write_text(SYSTEMS)
    tables: dict[str, list[str]] = {name: ["file,label"] for name in ("pitch", "keys", "lost")}
    for i in range(N):
        hz = 220 * 2 ** (i % 2) * 2 ** (rng.uniform(-0.1, 0.1) / 12)
        soundfile.write(
            folder / f"{i:02}.wav", 0.3 * np.sin(2 * np.pi * hz * np.arange(4000) / SR), SR
        )
        lines = [f"{time:.2f},{hz:.3f}" for time in np.arange(0, 0.5, 0.01)]
        (folder / f"{i:02}.csv").write_text("# s, Hz\n" + "\n".join(lines) + "\n")
        tables["pitch"].append(f"{i:02}.wav,{i:02}.csv")
        tables["keys"].append(f"{i:02}.wav,A:maj")
        tables["lost"].append(f"{i:02}.wav,gone.csv")
    for name, rows in tables.items():
        (folder / f".{name}.csv").write_text("\n".join(rows) + "\n")
    return folder


def run(code: int, data: Path, system: str, *arguments: object) -> str:
    options = ("--model", f"{data / '.systems.py'}:{system}", "--data", data)
    result = CliRunner().invoke(app, ["interrogate", *map(str, (*options, *arguments))])
    assert result.exit_code == code, result.output
    return result.stdout if code < 2 else " ".join(result.output.split())


@pytest.mark.parametrize(
    ("system", "code", "kind"), [("tracker", 0, "cleared"), ("tuner", 1, "horse")]
)
def test_a_tracker_is_cleared_if_it_follows_the_pitch(
    data: Path, tmp_path: Path, system: str, code: int, kind: str
) -> None:
    pytest.importorskip("mir_eval")
    page, numbers, log = (tmp_path / name for name in ("a.html", "a.json", "a.jsonl"))
    changes = ("--answers", "pitch", "--labels", data / ".pitch.csv", "--pitch", 300, "--doses", 1)
    asked = (*changes, "--html", page, "--json", numbers, "--records", log)
    printed = run(code, data, system, *asked)
    assert "pitch ±300 cents" in printed
    told = json.loads(numbers.read_text())
    assert told["metric"] == "mean_score"
    assert told["verdict"]["kind"] == kind
    assert told["baseline"]["value"] > 0.95  # mir_eval cuts the last frame
    assert told["config"]["answers"] == "pitch"
    assert "pitch" in page.read_text()
    log_before = log.read_text()
    assert run(code, data, system, *asked) == printed
    assert log.read_text() == log_before  # nothing was asked again


def test_keys_are_transposed_and_have_whole_semitones(data: Path) -> None:
    pytest.importorskip("mir_eval")
    asked = ("--answers", "key", "--labels", data / ".keys.csv", "--doses", 1)
    assert "No horse found" in run(0, data, "keys", *asked, "--pitch", 100)
    assert "transposed by -0.5 semitones; choose doses of 100 cents" in run(
        2, data, "keys", *asked, "--pitch", 50
    )


def test_answers_of_another_kind_are_named_with_their_sound(data: Path) -> None:
    asked = ("--answers", "tempo", "--unlabelled", "--gain", 6, "--doses", 1)
    message = run(2, data, "labels", *asked)
    assert "the answer is 'loud', must be a finite number >= 0, in bpm" in message
    message = run(2, data, "broken", *asked)
    assert "00.wav: the output cannot be scored: the answer is nan" in message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--answers chords --gain 6", "answers is 'chords', must be one of labels, pitch, beats,"),
        ("--answers pitch --gain 6", "are in no folder's name; name a table with --labels, or"),
        ("--answers tempo --labels {t} --gain 6", "label 'A:maj': 'A:maj' is no number"),
        ("--answers beats --labels {lost} --gain 6", "gone.csv is not there"),
        ("--answers beats --unlabelled --gain 6 --budget 3", "budget is 3, and the answers are no"),
        ("--answers beats --unlabelled --gain 6 --metric accuracy", "leave out --metric"),
        ("--answers beats --unlabelled --gain 6 --transfer-to {data}", "leave out --transfer-to"),
        ("--answers beats --unlabelled", "nothing is to be changed; name one or more changes"),
    ],
)
def test_what_does_not_fit_is_refused(data: Path, options: str, message: str) -> None:
    places = {"t": data / ".keys.csv", "lost": data / ".lost.csv", "data": data}
    assert message in run(2, data, "tracker", *options.format(**places).split())


def test_a_model_of_labels_and_mir_eval_are_asked_for(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ["--data", str(data), "--unlabelled", "--gain", "6", "--answers"]
    zoo = CliRunner().invoke(app, ["interrogate", "--model", "synth-singing", *asked, "beats"])
    assert zoo.exit_code == 2
    assert "synth-singing answers with no beats; make a FILE.py:FUNCTION" in " ".join(
        zoo.output.split()
    )
    zoo = CliRunner().invoke(app, ["interrogate", "--model", "synth-singing", *asked, "pitch"])
    assert "must be CREPE (crepe-tiny)" in zoo.output
    for module in ("mir_eval", "mir_eval.melody"):
        without(monkeypatch, module)
    assert "otoscope[mir]" in run(2, data, "tracker", *asked[2:], "pitch")


def test_an_export_and_a_plan_have_labels(data: Path, tmp_path: Path) -> None:
    base = ["interrogate", "--data", str(data), "--gain", "6", "--unlabelled"]
    for way in (["--plan"], ["--export", str(tmp_path / "out")]):
        result = CliRunner().invoke(app, [*base, *way, "--answers", "pitch"])
        assert result.exit_code == 2
        assert "leave out --answers" in " ".join(result.output.split())


def test_crepe_tracks_pitch(data: Path) -> None:
    pytest.importorskip("mir_eval")
    zoo_model("crepe-tiny")
    arguments = ["--data", str(data), "--labels", str(data / ".pitch.csv"), "--answers", "pitch"]
    result = CliRunner().invoke(
        app,
        ["interrogate", "--model", "crepe-tiny", *arguments, "--polarity", "--json"],
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["baseline"]["value"] > 0.95

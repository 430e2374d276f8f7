"""Newcomers' models: explained, attacked and interrogated, with the true evidence named.

The oracle is the sound: the model hears 2 kHz by its weights, and one of ten cells has the whistle.
"""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import otoscope as oto
from otoscope.attack import WaveformPGD
from otoscope.cli.app import app
from otoscope.explain import Explanation
from otoscope.intervene import Gain, Interrogation, Polarity
from otoscope.signal import read_audio, write_audio
from tests.newcomers.sounds import SR, WHISTLE_HZ, corpus, whistle_and_hum, write_corpus

MODELS = Path(__file__).parent / "models"
NAMES = ("stft_inside", "mel_frame", "batch_time", "two_softmax", "crnn")
CUT = "grid:5x2"  # ten cells: 0.1 s by about 0-1.2 kHz and 1.2-4 kHz
FOOLING_DB = 6.0


@pytest.fixture(scope="module", params=NAMES)
def model(request: pytest.FixtureRequest) -> Any:
    return oto.models.load(f"{MODELS / request.param}.py:make")


def other_than_whistle(model: Any) -> str:
    return "other" if len(model.output_names) == 2 else "not whistle"


def is_where_the_whistle_is(seconds: Any, hz: Any, start: float) -> bool:
    is_there = np.allclose(seconds, (start, start + 0.1), atol=1e-6)
    return bool(is_there and hz[0] < WHISTLE_HZ < hz[1] and hz[0] > 1000)


def names_whistle(text: str, start: float) -> bool:
    """Whether a sentence names one place, that of the whistle, in seconds and kHz."""
    spans = re.findall(r"(\d\.\d+)–(\d\.\d+)\s+s", text)
    bands = re.findall(r"([\d.]+)–([\d.]+)\s+kHz", text)
    one = len(spans) == len(bands) == 1
    return one and is_where_the_whistle_is(
        [float(s) for s in spans[0]], [1000 * float(k) for k in bands[0]], start
    )


@pytest.mark.parametrize("start", [0.0, 0.2, 0.4])
def test_explanation_names_the_whistle(model: Any, start: float) -> None:
    lime = oto.SoundLIME(model, segments=CUT, target="whistle")
    explanation = lime.explain((whistle_and_hum(start), SR))
    (named,) = explanation.evidence.segments
    extent = explanation.extents[named]
    assert is_where_the_whistle_is(extent.seconds, extent.hz, start)
    assert explanation.top(1) == [named] == [int(explanation.coefficients.argmax())]
    assert names_whistle(str(explanation), start)
    assert repr(explanation).startswith("Explanation(whistle = ")
    rows = explanation.to_dataframe()
    assert rows.index[rows["named"]].tolist() == [named]


def test_results_are_shown_in_notebooks_and_papers(model: Any, tmp_path: Path) -> None:
    lime = oto.SoundLIME(model, segments=CUT, target="whistle")
    explanation = lime.explain((whistle_and_hum(0.2), SR))
    headline = re.findall("The model says.*?without", explanation._repr_html_())[0]
    assert names_whistle(headline, 0.2)
    attack = WaveformPGD(model, snr_db=FOOLING_DB, steps=60).run((whistle_and_hum(0.2), SR))
    sounds = [(y, SR) for y, _ in corpus(20)]
    labels = ["whistle" if is_it else other_than_whistle(model) for _, is_it in corpus(20)]
    interrogation = Interrogation(model, sounds, labels).run([Gain(20)], doses={"gain": [-20.0]})
    results: tuple[Any, ...] = (explanation, attack, interrogation)
    for result, n_rows in zip(results, (10, 1, 2), strict=True):
        assert "<iframe" in result._repr_html_()
        assert len(result.to_dataframe()) == n_rows
        result.plot().figure.savefig(tmp_path / f"{n_rows}.pdf")
    for kind in ("spectrogram", "bars"):
        assert explanation.plot(kind).get_title().startswith("whistle")
    plt.close("all")
    oto.report.save_html(explanation, tmp_path / "why.html")
    assert str(explanation).partition(";")[0] in (tmp_path / "why.html").read_text()
    again = Explanation.from_json(explanation.to_json())
    assert str(again) == str(explanation)


def test_attack_fools(model: Any) -> None:
    y = whistle_and_hum(0.2)
    result = WaveformPGD(model, snr_db=FOOLING_DB, steps=60).run((y, SR))
    assert "Fooled" in str(result)
    x, adversary = (sound[0].double().numpy() for sound in (result.original, result.sound))
    assert np.allclose(x, y, atol=1e-7)
    snr_db = 10 * np.log10((x**2).sum() / ((adversary - x) ** 2).sum())
    assert snr_db >= FOOLING_DB - 1e-3
    assert [is_heard(model, sound) for sound in (x, adversary)] == [True, False]


def is_heard(model: Any, y: Any) -> bool:
    """Whether the model hears the whistle, without the package's own classifier."""
    with torch.no_grad():
        values = model.prepare(torch.as_tensor(y, dtype=torch.float32))[: model.patch_frames]
        outputs = torch.atleast_2d(model(values[None, None]))
    return float(outputs[0, -1]) > 0.5


def test_interrogation_has_the_right_verdict(model: Any) -> None:
    sounds = [(y, SR) for y, _ in corpus()]
    labels = ["whistle" if is_it else other_than_whistle(model) for _, is_it in corpus()]
    interrogation = Interrogation(model, sounds, labels)
    by_polarity = interrogation.run([Polarity()])
    assert by_polarity.baseline.value == 1.0
    assert by_polarity.verdict.kind == "cleared"
    by_level = interrogation.run([Gain(20)], doses={"gain": [-20.0]})  # they hear levels
    assert by_level.verdict.kind == "horse"
    assert "gain" in str(by_level)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("newcomer")
    write_audio(folder / "sound.wav", torch.from_numpy(whistle_and_hum(0.2)), sr=SR)
    for other in ("other", "not whistle"):
        write_corpus(folder / f"with {other}", other)
    return folder


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result.output


@pytest.mark.parametrize("name", NAMES)
def test_command_line_names_the_whistle(name: str, folder: Path, tmp_path: Path) -> None:
    page, table, record = (tmp_path / f"why.{suffix}" for suffix in ("html", "csv", "json"))
    output = run(
        *("explain", folder / "sound.wav", "--model", f"{MODELS / name}.py:make"),
        *("--target", "whistle", "--segments", CUT),
        *("--html", page, "--csv", table, "--json", record),
    )
    excerpt = "0.00–0.50 s"
    assert output.count(excerpt) == 1
    assert names_whistle(output.replace(excerpt, ""), 0.2)
    assert names_whistle(re.findall("The model says.*?without", page.read_text())[0], 0.2)
    rows = list(csv.DictReader(table.read_text().splitlines()))
    (row,) = (row for row in rows if row["named"] == "True")
    seconds, hz = ([float(row[f"segment_{name}"]) for name in pair] for pair in PLACE)
    assert is_where_the_whistle_is(seconds, hz, 0.2)
    assert names_whistle(row["because"], 0.2)
    content = json.loads(record.read_text())
    (extent,) = (e for e in content["extents"] if e["name"] in content["named"])
    assert is_where_the_whistle_is(extent["seconds"], extent["hz"], 0.2)
    assert content["because"] == row["because"]
    assert "\N{NO-BREAK SPACE}" not in row["because"]


PLACE = (("start_s", "end_s"), ("low_hz", "high_hz"))
SOME_SLOW = [
    pytest.param(name, marks=() if name in ("batch_time", "two_softmax") else pytest.mark.slow)
    for name in NAMES
]


@pytest.mark.parametrize("name", SOME_SLOW)
def test_command_line_fools(name: str, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "adv.wav"
    output = run(
        *("attack", folder / "sound.wav", "--model", f"{MODELS / name}.py:make", "--out", out),
        *("--snr-db", FOOLING_DB, "--html", tmp_path / "adv.html"),
        code=1,
    )
    assert "Fooled" in output
    model = oto.models.load(f"{MODELS / name}.py:make")
    heard = [is_heard(model, read_audio(path)[0]) for path in (folder / "sound.wav", out)]
    assert heard == [True, False]


@pytest.mark.parametrize("name", SOME_SLOW)
def test_command_line_interrogates(name: str, folder: Path, tmp_path: Path) -> None:
    data = folder / f"with {'other' if name == 'two_softmax' else 'not whistle'}"
    model = ("interrogate", "--model", f"{MODELS / name}.py:make", "--data", data)
    assert "No horse found" in run(*model, "--polarity", "--html", tmp_path / "polarity.html")
    output = run(*model, "--gain", 20, "--doses", 1, code=1)
    assert "A horse: its answers move with gain" in output


@pytest.mark.parametrize("name", NAMES)
def test_file_has_at_most_ten_lines(name: str) -> None:
    lines = (MODELS / f"{name}.py").read_text().splitlines()
    assert sum(bool(line.strip()) for line in lines) <= 10

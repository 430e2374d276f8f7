"""Options change what a command does: what is seen is in the answer, not in the settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner

from otoscope import SoundLIME, models
from otoscope.cli.app import app
from otoscope.data import synthesise
from otoscope.explain import Explanation

MODEL = ["--model", "synth-singing"]
SR = 22050


def run(*arguments: object, code: int = 0) -> str:
    """Run a command that must end with a code."""
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result.stdout


def answer(*arguments: object, code: int = 0) -> dict[str, Any]:
    """Run a command and read what it prints as JSON."""
    document: dict[str, Any] = json.loads(run(*arguments, "--json", "-", code=code))
    return document


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a song of 2.9 s: more than an excerpt of 1.64 s, and no multiple of it."""
    path = tmp_path_factory.mktemp("song") / "song.wav"
    soundfile.write(path, synthesise(0, seconds=4).mix[: round(2.9 * SR)], SR, subtype="FLOAT")
    return path


def test_explain_draws_with_the_seed(song: Path, tmp_path: Path) -> None:
    drawing = ["--design", "kernelshap", "--n-samples", 40, "--segments", "temporal:8"]
    given: dict[int, Explanation] = {}
    for seed in (0, 3):
        path = tmp_path / f"{seed}.json"
        run("explain", song, *MODEL, *drawing, "--start", 0, "--seed", seed, "--json", path)
        given[seed] = Explanation.from_json(path.read_text())
    lime = SoundLIME(
        models.load("synth-singing"),
        segments="temporal:8",
        content="mean_inp",
        design="kernelshap",
        n_samples=40,
        seed=3,
    )
    expected = lime.explain(given[3].patch).coefficients
    torch.testing.assert_close(given[3].coefficients, expected)
    assert not torch.allclose(given[0].coefficients, expected)


def test_passes_draw_pairs_with_error_bars(song: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    options = [*MODEL, "--segments", "temporal:8", "--start", 0, "--json", path]
    run("explain", song, *options, "--passes", 60)
    explanation = Explanation.from_json(path.read_text())
    assert explanation.design == "paired"
    assert len(explanation.keep) <= 60
    assert explanation.measure == "shapley"
    errors = explanation.standard_error
    assert errors is not None
    lime = SoundLIME(models.load("synth-singing"), segments="temporal:8", content="mean_inp")
    exact = lime.explain(explanation.patch).shapley
    assert exact is not None
    assert ((explanation.coefficients - exact).abs() < 4 * errors + 1e-3).all()
    run("explain", song, *options, "--passes", 300)  # all 256 coalitions are fewer
    explanation = Explanation.from_json(path.read_text())
    assert len(explanation.keep) == 256
    torch.testing.assert_close(explanation.coefficients, exact, rtol=0, atol=1e-9)


def attacked(song: Path, out: Path, *options: object) -> np.ndarray:
    """Attack a song in vain, and read the difference that was made."""
    CliRunner().invoke(app, ["attack", *map(str, (song, *MODEL, "--out", out, *options))])
    difference: np.ndarray = soundfile.read(out)[0] - soundfile.read(song)[0]
    return difference


def test_attack_reaches_the_end_of_the_sound(song: Path, tmp_path: Path) -> None:
    """Excerpts are spread over the sound: its last one is not cut off."""
    difference = attacked(song, tmp_path / "a.wav", "--steps", 2, "--snr-db", 30)
    last = np.flatnonzero(np.abs(difference) > 2**-15)[-1]
    assert len(difference) - last < 0.05 * SR


def test_attack_restarts_from_points_of_the_seed(song: Path, tmp_path: Path) -> None:
    """A search that fails begins again somewhere else; the first one needs no random number."""
    vain = ("--target", "singing", "--snr-db", 70, "--steps", 1, "--confidence", 1)
    quiet = tmp_path / "quiet.wav"
    noise = 0.1 * np.random.default_rng(0).standard_normal(round(1.7 * SR))
    soundfile.write(quiet, noise, SR, subtype="FLOAT")
    once, again, same, other = (
        attacked(quiet, tmp_path / f"{i}.wav", *vain, *options)
        for i, options in enumerate(
            (
                ("--seed", 1),
                ("--restarts", 8, "--seed", 1),
                ("--restarts", 8, "--seed", 1),
                ("--restarts", 8, "--seed", 2),
            )
        )
    )
    assert not np.array_equal(once, again)
    assert np.array_equal(again, same)
    assert not np.array_equal(again, other)

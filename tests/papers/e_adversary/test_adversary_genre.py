"""adversary-genre on two tones and a network that is fooled at a known ratio."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.data import GenreRecipe, load_genres, write_genres
from otoscope.errors import ParameterError
from otoscope.papers.e_adversary import _genre_systems
from otoscope.papers.e_adversary import adversary_genre as module
from otoscope.papers.e_adversary._genre_sounds import soundfonts
from otoscope.papers.e_adversary._genre_systems import attack_rows
from otoscope.papers.e_adversary.adversary_genre import AdversaryGenreConfig, adversary_genre
from otoscope.report.figures import ResultTable
from otoscope.signal import write_audio
from tests.support.planted_genres import GAIN_DB, SR, save_planted, write_tones


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> AdversaryGenreConfig:
    folder = tmp_path_factory.mktemp("tones")
    corpus = write_tones(folder / "corpus")
    frames = save_planted(folder / "frames", corpus)
    windows = save_planted(folder / "windows", windows=True)
    return AdversaryGenreConfig(
        corpus=corpus,
        models=f"random={frames}.json,grouped={windows}",
        n=4,
        n_windows=2,
        seconds=2.0,
        snr_db=GAIN_DB - 10,
        steps=20,
        trees=3,
        queries=5,
    )


@pytest.fixture(scope="module")
def run(config: AdversaryGenreConfig, tmp_path_factory: pytest.TempPathFactory) -> Any:
    out = tmp_path_factory.mktemp("genre")
    _genre_systems.FOREST_FRAMES, before = 40, _genre_systems.FOREST_FRAMES
    try:
        tables = adversary_genre(config, out)
    finally:
        _genre_systems.FOREST_FRAMES = before
    return tables, json.loads((out / "adversary_genre.json").read_text()), out


def cells(table: ResultTable, *names: str) -> dict[tuple[str, ...], dict[str, str]]:
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    return {tuple(row[name] for name in names): row for row in rows}


def test_low_tones_are_fooled_within_the_planted_ratio_and_high_ones_are_not(run: Any) -> None:
    of_frames = cells(run[0][0], "system", "vote", "attack", "aim")
    for vote in ("soft", "hard"):
        assert of_frames["frames", vote, "none", "–"]["mean recall"].startswith("1.00")
        for aim in ("all wrong", "any wrong"):  # of two labels one is wrong
            wrong = of_frames["frames", vote, "waveform", aim]
            assert wrong["mean recall"].startswith("0.50")
            assert wrong["target reached"] == wrong["claimed"] == "2 of 4"
        right = of_frames["frames", vote, "waveform", "all right"]
        assert (right["mean recall"][:4], right["target reached"]) == ("1.00", "0 of 0")


def test_answers_in_the_record_are_those_of_the_tone_that_was_added(run: Any) -> None:
    rows = {row["song"]: row for row in run[1]["rows"]}
    columns = rows["random/frames/waveform/soft/all_wrong"]["columns"]
    is_low = [label == "low" for label in columns["label"]]
    assert [after == "high" for after in columns["after_soft"]] == [True] * 4
    assert [
        target != label for target, label in zip(columns["target"], columns["label"], strict=True)
    ] == [True] * 4
    found = [db for db, low in zip(columns["snr_db"], is_low, strict=True) if low]
    assert all(GAIN_DB - 10 - 0.01 <= db <= GAIN_DB + 10 for db in found)


def test_windows_are_attacked_on_fewer_sounds_and_with_their_preset(
    run: Any, config: AdversaryGenreConfig
) -> None:
    rows = [row for row in run[1]["rows"] if row["system"] == "windows"]
    assert {row["vote"] for row in rows} == {"soft"}
    assert {len(row["columns"]["label"]) for row in rows} == {config.n_windows}
    assert {(row["method"], row["aim"]) for row in rows} == {
        *((method, aim) for method in ("waveform", "magnitude")
          for aim in ("all_wrong", "truth", "random")),
        ("waveform", "any_wrong"),
        ("published", "all_wrong"),
    }  # fmt: skip


def test_the_forest_hears_what_fools_its_network_and_gets_a_black_box(run: Any) -> None:
    heard = cells(run[0][1], "heard by", "attack", "aim")
    assert ("forest on frames", "waveform", "all wrong") in heard
    attacks = cells(run[0][0], "system", "attack")
    assert ("forest on frames", "black box") in attacks
    baselines = cells(run[0][2], "label by")
    assert baselines["the mean spectrum alone",]["mean recall"].startswith("1.00")


def test_the_figure_has_a_matrix_per_system_and_aim(run: Any) -> None:
    text = "".join(ET.parse(run[2] / "adversary_genre.svg").getroot().itertext())
    for title in ("frames, random:", "windows, grouped:", "forest on frames, random:"):
        assert title in text
    assert "all wrong" in text


def test_an_interrupted_run_goes_on(
    config: AdversaryGenreConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(config, models=config.models.split(",")[0], n=2, trees=0, steps=3)
    whole, n_attacked = attack_rows, []

    def stopping(*arguments: Any, **keywords: Any) -> Any:
        n_attacked.append(1)
        if len(n_attacked) == 3:
            raise KeyboardInterrupt
        return whole(*arguments, **keywords)

    monkeypatch.setattr(module, "attack_rows", stopping)
    with pytest.raises(KeyboardInterrupt):
        adversary_genre(config, tmp_path / "a")
    adversary_genre(config, tmp_path / "a")
    n_cells = 2 * 4 + 3 + 1
    assert len(n_attacked) == n_cells + 1
    monkeypatch.undo()
    adversary_genre(config, tmp_path / "b")
    resumed, alone = (
        [
            {name: value for name, value in row.items() if name != "seconds"}
            for row in json.loads((tmp_path / name / "adversary_genre.json").read_text())["rows"]
        ]
        for name in "ab"
    )
    assert resumed == alone


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ("frames.json", r"models has 'frames.json', must be PARTITION=MODEL"),
        ("random=nothing-there", "there is no model 'nothing-there'"),
        ("fault={frames}", "kind is 'fault'"),
        ("random={frames},random={frames}.json", "two models 'frames'"),
    ],
)
def test_wrong_models_are_refused(
    models: str, message: str, config: AdversaryGenreConfig, tmp_path: Path
) -> None:
    frames = config.models.split("=")[1].split(".json")[0]
    wrong = replace(config, models=models.format(frames=frames))
    with pytest.raises(ParameterError, match=message):
        adversary_genre(wrong, tmp_path)


def test_a_model_of_another_partition_is_refused(
    config: AdversaryGenreConfig, tmp_path: Path
) -> None:
    with pytest.raises(ParameterError, match="trained on another partition than 'random'"):
        adversary_genre(replace(config, partition_seed=1), tmp_path)


def test_lists_that_name_missing_sounds_say_which_and_how_many(
    config: AdversaryGenreConfig, tmp_path: Path
) -> None:
    lists = {"train": "high/gone.wav\nlow/low 1 - 00001.wav", "valid": "low/gone.wav"}
    for part, names in {**lists, "test": "low/low 2 - 00002.wav"}.items():
        (tmp_path / f"{part}_random.txt").write_text(names)
    with pytest.raises(ParameterError, match=r"name high/gone, .*\(2 of 4 are missing\)"):
        adversary_genre(replace(config, lists=tmp_path, models=""), tmp_path)
    with pytest.raises(ParameterError, match="needs the corpus"):
        adversary_genre(replace(config, corpus=None, lists=tmp_path, models=""), tmp_path)


@pytest.mark.parametrize(
    ("seconds", "silent", "message"),
    [
        (3.0, False, r"\.wav lasts 2\.50 s, shorter than an excerpt \(seconds is 3\)"),
        (2.0, True, r"\.wav is silent from 0\.25 s to 2\.25 s"),
        (1.0, False, "the sound has .* frames; the network hears 100"),
    ],
)
def test_silent_and_short_sounds_are_refused(
    seconds: float, silent: bool, message: str, config: AdversaryGenreConfig, tmp_path: Path
) -> None:
    config = replace(config, seconds=seconds, models=f"random={config.models.split('=')[-1]}")
    if silent:
        config = replace(config, corpus=write_tones(tmp_path / "corpus"))
        for path in (tmp_path / "corpus").glob("*/*.wav"):
            write_audio(path, torch.zeros(round(2.5 * SR)), sr=SR)
    with pytest.raises(ParameterError, match=message):
        adversary_genre(config, tmp_path / "out")


def test_a_label_that_the_model_does_not_know_is_named(
    config: AdversaryGenreConfig, tmp_path: Path
) -> None:
    corpus = write_tones(tmp_path / "corpus")
    (corpus / "low").rename(corpus / "deep")
    models = f"random={config.models.split('=')[-1]}"
    with pytest.raises(ParameterError, match=r"does not know the label 'deep'.*high, low"):
        adversary_genre(replace(config, corpus=corpus, models=models), tmp_path / "out")


def test_soundfonts_are_those_of_the_manifest(tmp_path: Path) -> None:
    recipe = GenreRecipe(("jazz", "rock"), n_groups=1, seconds=4.0, sr=8000)
    write_genres(tmp_path, 2, recipe=recipe)
    assert soundfonts(load_genres(tmp_path), tmp_path) == ["own", "own"]
    assert soundfonts(load_genres(write_tones(tmp_path / "tones")), tmp_path / "tones") is None


@pytest.mark.slow
def test_quick_experiment_runs_from_the_command_line(tmp_path: Path) -> None:
    command = ["experiment", "adversary-genre", "--quick", "--out", str(tmp_path), "--json"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    tables = json.loads(result.stdout)["tables"]
    assert [table["title"] for table in tables][-1] == "Baselines"
    assert (tmp_path / "adversary_genre.svg").stat().st_size > 1000

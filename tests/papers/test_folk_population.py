"""Populations with planted faults: shuffled notes differ in order alone; records tell it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from otoscope.errors import ParameterError
from otoscope.folk.abc import Chord, Note, Rest
from otoscope.folk.data import generate_tune, load_prepared
from otoscope.folk.model import FolkModel, FolkRNN
from otoscope.folk.model.sampler import SampledTune
from otoscope.folk.tokens import get_tokeniser
from otoscope.papers.d_folkrnn import (
    FolkPopulationConfig,
    FolkTemperatureConfig,
    folk_population,
    folk_temperature,
    population,
    temperature,
)
from otoscope.papers.d_folkrnn._tunes import prepared_tunes
from otoscope.papers.d_folkrnn.population import ORDERED, shuffle_notes
from otoscope.progress import silent

SOURCES = ("generated:200",)


def test_shuffled_tunes_have_the_same_notes_and_can_be_read() -> None:
    text = (
        "M:4/4 K:Cmaj |: ( 3 C D E F /2 > G [ C E ] 2 | z 2 A - A B /2> c 2 :| d 3/2 e /2 f 2 |"
    ).replace("( 3", "(3")
    for tune in (text.split(), list(get_tokeniser("v2").tokens(generate_tune(0, 3)))):
        for seed in range(5):
            shuffled = shuffle_notes(tune, np.random.default_rng(seed))
            assert Counter(shuffled) == Counter(tune)
            assert [t for t in shuffled if "|" in t] == [t for t in tune if "|" in t]
            before, after = (get_tokeniser("v2").tune(tokens) for tokens in (tune, shuffled))
            kinds = (Note, Chord, Rest)
            counts = [sum(isinstance(x, kinds) for x in t.elements) for t in (before, after)]
            assert counts[0] == counts[1]
            assert (
                sorted(n.duration for n in before.notes) == sorted(n.duration for n in after.notes)
                or "-" in tune
            )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("populations")
    prepared_tunes(SOURCES, 1, out, silent)
    return out


@pytest.fixture
def _copying(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that repeats its training tunes; the coldest one repeats one of them."""
    prepared = load_prepared(folder / "tunes")
    model = FolkModel(FolkRNN(len(prepared.vocabulary), hidden=4, layers=1), prepared.vocabulary)

    def sample(_: FolkModel, n: int, *, settings: object = None, **__: object) -> list[SampledTune]:
        is_cold = getattr(settings, "temperature", 1.0) < 1
        tunes = [tuple(prepared.train[0 if is_cold else i]) for i in range(n)]
        return [SampledTune(i, tune, -9.0, 9, i > 0, 0.0) for i, tune in enumerate(tunes)]

    for module in (population, temperature):
        monkeypatch.setattr(module, "sample", sample)
        monkeypatch.setattr(module, "load_model", lambda _: model)


@pytest.mark.slow
@pytest.mark.usefixtures("_copying")
def test_the_comparison_finds_what_is_planted(folder: Path) -> None:
    settings = FolkPopulationConfig(sources=SOURCES, n=60, epochs=1, n_draws=950)
    counts, distances = folk_population(settings, folder)
    record = json.loads((folder / "folk_population.json").read_text())
    rows = {row["song"]: row for row in record["rows"]}
    assert [row[0] for row in counts.rows] == list(rows)
    aspects = {one["aspect"] for one in rows["real"]["distances"]}
    assert aspects > ORDERED
    assert rows["real"]["ordered"]["differ"] + rows["real"]["histograms"]["differ"] == []
    assert rows["shuffled"]["histograms"]["differ"] == []
    found = set(rows["shuffled"]["ordered"]["differ"])
    assert found >= {"last degree", "pitch transitions", "mean interval", "nearness", "valid"}
    assert "nearness" in rows["model"]["ordered"]["differ"]  # it copies
    assert len(distances.rows) == len(rows["real"]["distances"])
    assert (folder / "folk_population.svg").is_file()


def test_a_population_of_which_too_few_can_be_read_has_no_column() -> None:
    one = {"aspect": "meter", "kind": "total variation", "p_holm": 0.01, "floor": None}
    rows: list[dict[str, Any]] = [
        {"song": "real", "distances": [{**one, "value": {"value": 0.25}}]},
        {"song": "noise", "distances": []},
    ]
    table = population._distances(rows)
    assert table.columns == ("aspect", "distance", "real", "floor, at most")
    assert table.rows == (("meter", "total variation", "0.25*", ""),)


@pytest.mark.usefixtures("_copying")
def test_rates_by_temperature_stand_beside_real_tunes(folder: Path) -> None:
    settings = FolkTemperatureConfig(sources=SOURCES, temperatures=(0.5, 1.0), n=6)
    (table,) = folk_temperature(settings, folder)
    record = json.loads((folder / "folk_temperature.json").read_text())
    cold, warm, real = record["rows"]
    assert [row[0] for row in table.rows] == ["0.5", "1", "real tunes"]
    assert (cold["copies"]["count"], warm["copies"]["count"], real["copies"]["count"]) == (5, 5, 0)
    assert (cold["alike"]["count"], warm["alike"]["count"]) == (5, 0)
    assert cold["rates"]["readable"]["count"] == 5  # the first is not finished
    assert cold["nats_per_token"] == pytest.approx(1)
    assert (folder / "folk_temperature.svg").is_file()


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ParameterError, match="n is 1"):
        FolkPopulationConfig(n=1)
    with pytest.raises(ParameterError, match="there are 0 temperatures"):
        FolkTemperatureConfig(temperatures=())

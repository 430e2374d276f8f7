"""Experiments of paper A on a detector whose answer is known: the level of the upper bands."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.errors import ParameterError
from otoscope.explain import FewEffectiveSamples, SoundLIME
from otoscope.papers.a_soundlime import content_selection as selection
from otoscope.papers.a_soundlime._excerpts import spread
from otoscope.papers.a_soundlime._tables import all_coalitions, top_of_draws
from otoscope.papers.a_soundlime.content_selection import (
    PUBLISHED,
    ContentSelectionConfig,
    content_selection,
    mean_of,
)
from otoscope.papers.a_soundlime.content_sensitivity import (
    ContentSensitivityConfig,
    content_sensitivity,
)
from otoscope.papers.a_soundlime.content_stability import (
    ContentStabilityConfig,
    content_stability,
)
from otoscope.papers.a_soundlime.ns_stability import NsStabilityConfig, ns_stability
from otoscope.protocols import Patch
from otoscope.signal.audio.files import write_audio
from tests.support.tones import SR, detector, stems, write_detector, write_songs


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_songs(tmp_path_factory.mktemp("songs"), 7)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_detector(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def config(songs: Path, model: str) -> ContentSelectionConfig:
    return ContentSelectionConfig(
        model=model,
        songs=songs,
        n_songs=7,
        n_positions=1,
        n_mixes=1,
        skip=10,
        n_samples=5000,
        contents=("min_inp", "zero"),
    )


@pytest.fixture(scope="module")
def complete(
    config: ContentSelectionConfig, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("selection") / "new"
    content_selection(config, out)
    return out, json.loads((out / "content_selection.json").read_text())


def without_times(record: dict[str, Any]) -> dict[str, Any]:
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in record["rows"]]
    return {**record, "seconds": 0, "rows": rows}


@pytest.mark.parametrize(
    ("content", "mean"),
    [("zero", 2.043), ("min_inp", 1.680), ("mean_inp", 2.163), ("noise", 1.970)],
)
def test_published_counts_have_the_published_means(content: str, mean: float) -> None:
    assert sum(PUBLISHED[content]) == 656
    assert mean_of(PUBLISHED[content]) == pytest.approx(mean, abs=5e-4)


def test_the_content_that_must_win_does(complete: tuple[Path, dict[str, Any]]) -> None:
    """The band's level finds the voice; 0 is louder than the voice, so nothing but it rises."""
    out, record = complete
    assert len(record["rows"]) == 7
    for row in record["rows"]:
        (mix,) = row["mixes"]
        for method in record["methods"]:
            assert sorted(mix["top"]["min_inp"][method]) == mix["truth"]
            assert not {*mix["top"]["zero"][method]} & {*mix["truth"]}
    ranking = record["ranking"]["exact"]
    assert ranking["ranks"][0]["content"] == "min_inp"
    assert ranking["is_clear"]
    text = "".join(ET.parse(out / "content_selection.svg").getroot().itertext())
    assert all(name in text for name in ("published", "paper_a", "min_inp"))
    assert not (out / "content_selection.jsonl").exists()


def test_published_counts_are_beside_ours(complete: tuple[Path, dict[str, Any]]) -> None:
    counts = complete[1]["tables"][0]
    rows = {tuple(row[:2]): row[2:] for row in counts["rows"]}
    assert rows["mean_inp", "published, 656 mixes"][:5] == ["219", "330", "102", "5", "2.163"]
    assert rows["min_inp", "exact"][:4] == ["7", "0", "0", "0"]


def test_an_interrupted_run_continues(
    config: ContentSelectionConfig, complete: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    def interrupted(items: Sequence[Any], description: str) -> Iterable[Any]:
        for i, item in enumerate(items):
            if i == 2:
                raise KeyboardInterrupt
            yield item

    with pytest.raises(KeyboardInterrupt):
        content_selection(config, tmp_path, progress=interrupted)
    lines = tmp_path / "content_selection.jsonl"
    assert len(lines.read_text().splitlines()) == 3  # settings and two songs
    with lines.open("a") as file:
        file.write('{"key": "song-2", "mix')  # of a killed process
    with pytest.raises(ParameterError, match="unfinished run with other settings"):
        content_selection(replace(config, seed=1), tmp_path)
    content_selection(config, tmp_path)
    record = json.loads((tmp_path / "content_selection.json").read_text())
    assert without_times(record) == without_times(complete[1])


def test_songs_that_are_done_are_not_computed_again(
    config: ContentSelectionConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = []

    def song(_model: Any, _config: Any, index: int) -> dict[str, Any]:
        computed.append(index)
        return {"mixes": []}

    monkeypatch.setattr(selection, "_song", song)

    def first_two(items: Sequence[Any], description: str) -> Iterable[Any]:
        yield from list(items)[:2]

    with pytest.raises(KeyError):  # the third song has no row
        content_selection(config, tmp_path, progress=first_two)
    with pytest.raises(KeyError):  # the mock has no probabilities
        content_selection(config, tmp_path)
    assert computed == list(range(7))


def test_where_no_mix_is_heard_the_highest_probability_is_said(
    config: ContentSelectionConfig, tmp_path: Path
) -> None:
    deaf = write_detector(tmp_path, "bias=13.0")
    with pytest.raises(ParameterError, match=r"none of 7 mixes sung: the highest.* is 0\.0\d\d"):
        content_selection(replace(config, model=deaf), tmp_path / "out")


def test_nan_for_an_occluded_excerpt_names_content_and_coalition(
    config: ContentSelectionConfig, tmp_path: Path
) -> None:
    broken = write_detector(tmp_path, "nan_below=-17.0")
    with pytest.raises(ParameterError, match=r"content min_inp: .*nan for the excerpt with"):
        content_selection(replace(config, model=broken), tmp_path / "out")


def test_mixes_with_pauses_are_left_out_on_request(
    config: ContentSelectionConfig, songs: Path, tmp_path: Path
) -> None:
    voice, backing = stems()
    (tmp_path / "songs" / "a").mkdir(parents=True)
    for name, y in (("voice", voice), ("backing", backing)):
        write_audio(tmp_path / "songs" / "a" / f"{name}.wav", y, sr=SR)
    own = replace(config, songs=tmp_path / "songs", n_songs=1, n_mixes=3, voiced=True)
    content_selection(own, tmp_path / "sung")
    record = json.loads((tmp_path / "sung" / "content_selection.json").read_text())
    assert len(record["rows"][0]["probabilities"]) == 3
    voice[: len(voice) - 800] = 0  # sung at the end, which is left out
    write_audio(tmp_path / "songs" / "a" / "voice.wav", voice, sr=SR)
    with pytest.raises(ParameterError, match="the voice pauses in every mix"):
        content_selection(own, tmp_path / "pause")


def test_one_content_is_no_choice() -> None:
    with pytest.raises(ParameterError, match="need two or more to choose from"):
        ContentSelectionConfig(contents=("zero",))


@pytest.mark.parametrize("design", ["bernoulli", "exact"])
@pytest.mark.parametrize("content", ["mean_inp", "noise"])
def test_looking_draws_up_names_what_paper_a_names(content: str, design: Any) -> None:
    values = torch.randn(50, 8, generator=torch.Generator().manual_seed(3)).cumsum(0) / 3 - 16
    patch = Patch(values, layout="frame mel")
    model = detector()
    (table,) = all_coalitions(model, [patch], content, segments="temporal:10", target=None)
    lime = SoundLIME.paper_a(model, content=content, design=design, n_samples=3000, seed=5)
    with pytest.warns(FewEffectiveSamples):
        expected = lime.explain(patch)
    seed = 5 if design == "bernoulli" else None
    assert top_of_draws(table, n_samples=3000, seed=seed) == expected.top(3)


def test_few_draws_scatter_and_many_do_not() -> None:
    patch = Patch(torch.full((50, 8), -22.0), layout="frame mel")
    for block in (2, 5, 7):
        patch.values[5 * block : 5 * block + 5] = -2.0
    (table,) = all_coalitions(detector(), [patch], "min_inp", segments="temporal:10", target=None)
    few, many = (
        spread([top_of_draws(table, n_samples=n, seed=seed) for seed in range(5)])
        for n in (100, 20_000)
    )
    assert few > many == 3
    assert sorted(top_of_draws(table, n_samples=100, seed=None)) == [2, 5, 7]


def test_draws_scatter_and_their_limit_does_not(songs: Path, model: str, tmp_path: Path) -> None:
    config = NsStabilityConfig(
        model=model,
        songs=songs,
        n_songs=2,
        n_positions=2,
        skip=10,
        samples=(100, 20_000),
        content="min_inp",
    )
    (table,) = ns_stability(config, tmp_path)
    assert all(float(row[1].split()[0]) > 3 for row in table.rows)  # a steady tone: all are equal
    assert [row[3] for row in table.rows] == ["3.00", "3.00"]
    rows = json.loads((tmp_path / "ns_stability.json").read_text())["rows"]
    assert [len(row["excerpts"]) for row in rows] == [2, 2]
    assert (tmp_path / "ns_stability.svg").is_file()


def test_a_content_agrees_with_itself_under_another_name(
    songs: Path, model: str, tmp_path: Path
) -> None:
    config = ContentSensitivityConfig(
        model=model,
        songs=songs,
        n_songs=2,
        n_positions=1,
        skip=10,
        n_samples=2000,
        contents=("constant:-20.0", "zero"),
        reference="constant:-20",
        segments=("temporal:10", "spectral:4"),
    )
    (table,) = content_sensitivity(config, tmp_path)
    rows = {row[:2]: row[2:] for row in table.rows}
    assert rows["temporal:10", "constant:-20.0"][1:] == ("3.00 [3.00, 3.00]",) * 2
    assert rows["temporal:10", "zero"] == ("0.00 [0.00, 0.00]",) * 3  # nothing supports
    assert set(rows) == {(s, c) for s in config.segments for c in config.contents}
    text = "".join(ET.parse(tmp_path / "content_sensitivity.svg").getroot().itertext())
    assert "spectral:4, paper_a, exact" in text


def test_each_content_is_repeated(songs: Path, model: str, tmp_path: Path) -> None:
    config = ContentStabilityConfig(
        model=model, songs=songs, n_songs=2, n_positions=1, skip=10, runs=2, n_samples=2000
    )
    (table,) = content_stability(config, tmp_path)
    assert [row[0] for row in table.rows] == ["zero", "min_data", "min_inp", "mean_inp", "noise"]
    assert all(float(row[1].split()[0]) >= float(row[3]) for row in table.rows)


@pytest.mark.slow
def test_quick_choice_needs_no_package_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # neither mma nor fluidsynth
    result = CliRunner().invoke(
        app, ["experiment", "content-selection", "--quick", "--out", str(tmp_path / "out")]
    )
    assert result.exit_code == 0, result.output
    assert "synthetic voice" in result.output
    record = json.loads((tmp_path / "out" / "content_selection.json").read_text())
    means = {row[0]: row[6] for row in record["tables"][0]["rows"] if row[1] == "exact"}
    assert float(means["mean_inp"].split()[0]) > 1.2  # 0.9 by chance

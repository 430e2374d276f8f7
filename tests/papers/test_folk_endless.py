"""Tunes without end: judged beside real ones, continued where a run ended, no tune kept twice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from otoscope.errors import ParameterError
from otoscope.folk.abc import read_book
from otoscope.folk.data import generate_tune
from otoscope.folk.metrics import Judge
from otoscope.folk.model import FolkModel, FolkRNN
from otoscope.folk.model.sampler import SampledTune
from otoscope.folk.tokens import Vocabulary, get_tokeniser
from otoscope.papers.d_folkrnn import FolkEndlessConfig, endless, folk_endless
from otoscope.papers.d_folkrnn._tunes import prepared_tunes
from otoscope.progress import silent

QUICK = FolkEndlessConfig(sources=("generated:230",), preset="challenge2020", n=6, block=3)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A network that writes, in each block, a new jig, an old one, and a tune without an end."""
    jigs = (tune for i in range(900) if (tune := generate_tune(9, i)).meter.text == "6/8")
    old, *new = (
        tuple(get_tokeniser("v2").tokens(tune)) for tune, _ in zip(jigs, range(9), strict=False)
    )
    model = FolkModel(FolkRNN(len(v := Vocabulary.of([[*old]])), hidden=4, layers=1), v)
    seeds: list[int] = []

    def sample(_: FolkModel, n: int, *, seed: int, **__: object) -> list[SampledTune]:
        seeds.append(seed)
        tunes = (new[len(seeds)], old, new[0])
        return [SampledTune(i, t, -1.0, len(t), i < 2, 0.0) for i, t in enumerate(tunes[:n])]

    monkeypatch.setattr(endless, "sample", sample)
    monkeypatch.setattr(endless, "load_model", lambda _: model)
    return seeds


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared_tunes(QUICK.sources, 1, tmp_path_factory.mktemp("folk"), silent)


@pytest.fixture
def out(folder: Path, tmp_path: Path) -> Path:
    copytree(folder, tmp_path / "tunes")
    return tmp_path


def record(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "folk_endless.json").read_text())
    return content


def test_tunes_are_judged_counted_and_kept_once_the_block_is_done(
    drawn: list[int], out: Path
) -> None:
    rates, speed = folk_endless(QUICK, out)
    content = record(out)
    assert [row[0] for row in rates.rows] == ["sampled", "real, held out"]
    assert content["sampled"]["finished"]["count"] == 4
    assert content["sampled"]["passed"]["of"] == 6
    passed = content["novelty"]["passed"]
    assert passed == content["sampled"]["passed"]["count"]
    assert content["novelty"]["copies_of_earlier"] == (1 if passed == 4 else 0)
    assert len(read_book(out / "folk_endless.abc")) == passed
    assert content["throughput"]["tunes_per_second"] > 0
    assert len(speed.rows) == 1
    assert (out / "folk_endless.svg").is_file()


def test_a_run_that_was_broken_off_goes_on_and_can_be_longer(
    drawn: list[int], out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        calls = iter([1])
        judged = endless._block

        def stops(*arguments: Any) -> dict[str, Any]:
            next(calls)  # the second block ends the run
            return judged(*arguments)

        patch.setattr(endless, "_block", stops)
        with pytest.raises(StopIteration):
            folk_endless(QUICK, out)
    folk_endless(QUICK, out)
    assert len(drawn) == len(set(drawn)) == 2
    folk_endless(replace(QUICK, n=9), out)
    assert len(set(drawn)) == 3
    assert record(out)["sampled"]["tunes"] == 9
    with pytest.raises(ParameterError, match="tunes of other settings"):
        folk_endless(replace(QUICK, temperature=0.5), out)
    with pytest.raises(ParameterError, match="tunes of other sources"):
        folk_endless(replace(QUICK, sources=("generated:9",)), out)


def test_a_tune_that_repeats_the_reference_does_not_pass() -> None:
    jigs = [(str(i), generate_tune(0, i, meter="6/8")) for i in range(30)]
    row = endless._judged(Judge(jigs, preset="challenge2020"), jigs[3][1])
    assert "plagiarism" in row["failed"]
    assert not row["passed"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"n": 0}, "n is 0"), ({"block": 0}, "block 0"), ({"preset": "x"}, "preset is 'x'")],
)
def test_settings_out_of_range_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        FolkEndlessConfig(**changes)

"""otoscope folk analyse: a planted difference is named, chance is not, bad input is refused."""

from __future__ import annotations

import json
import weakref
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.folk.abc import Tune, book_to_abc
from otoscope.folk.data import generate_tune
from otoscope.folk.workflows import analyse
from otoscope.folk.workflows.book_tunes import BookTune, stream_book_tunes


def run(*arguments: object, code: int = 0) -> str:
    """Run a command that must end with a code."""
    result = CliRunner().invoke(app, ["folk", *map(str, arguments)])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("analyse") / "tunes"
    run("prepare", "generated:100", "--out", out, "--valid", 0.2, "--test", 0.2)
    return out


def book(path: Path, n: int, meter: str | None = None) -> Path:
    path.write_text(book_to_abc(generate_tune(5, i, meter=meter) for i in range(n)))
    return path


def test_names_what_differs(prepared: Path, tmp_path: Path) -> None:
    jigs = book(tmp_path / "jigs.abc", 30, "6/8")
    out = tmp_path / "c.json"
    output = run("analyse", prepared, jigs, "--draws", 1000, "--json", out)
    assert "30 generated tunes differ from 40 real ones in meter" in output
    document = json.loads(out.read_text())
    assert document["format"] == "otoscope.AnalyseFolk/2"
    assert (document["generated"], document["held_out"], document["train"]) == (30, 40, 60)
    assert document["distances"][0]["floor"]["value"] < document["distances"][0]["value"]["value"]


def test_tunes_that_cannot_be_read_are_told_and_compared(prepared: Path, tmp_path: Path) -> None:
    """Of thirty tunes like real ones and fifteen broken ones 2/3 can be read, of real ones all."""
    alike, page, out = book(tmp_path / "a.abc", 30), tmp_path / "a.html", tmp_path / "a.json"
    broken = "".join(f"\nX:{100 + i}\nM:4/4\nL:1/8\nK:C\nC[[\n" for i in range(15))
    alike.write_text(alike.read_text() + broken)
    output = run("analyse", prepared, alike, "--draws", 1000, "--html", page, "--json", out)
    told = "Of these 30 and 40 can be read, and are compared."
    assert f"45 generated tunes differ from 40 real ones in can be read. {told}" in output
    assert told in page.read_text()
    document = json.loads(out.read_text())
    assert document["unreadable"] == {"generated": 15, "held_out": 0}
    (found,) = (row for row in document["distances"] if row["aspect"] == "can be read")
    assert found["value"]["value"] == pytest.approx(1 / 3)
    assert found["floor"]["value"] == 0


def test_same_kind_cannot_be_told(prepared: Path, tmp_path: Path) -> None:
    alike = book(tmp_path / "alike.abc", 30)
    assert "cannot be told from 40 real ones" in run("analyse", prepared, alike, "--draws", 600)


def test_halves_stand_in_for_a_prepared_folder_and_say_so(tmp_path: Path) -> None:
    real, alike = book(tmp_path / "real.abc", 20), book(tmp_path / "alike.abc", 6, "6/8")
    document = json.loads(run("analyse", real, alike, "--draws", 20, "--json", "-"))
    assert (document["held_out"], document["train"]) == (10, 10)
    _, few, halves = document["notes"]
    assert "With 20 draws none of 47 distances can be significant; take --draws 940" in few
    assert "two random halves" in halves


def test_near_duplicates_are_in_one_half(tmp_path: Path) -> None:
    tunes = [generate_tune(5, i) for i in range(10)]
    real = tmp_path / "real.abc"
    real.write_text(book_to_abc([tune for tune in tunes for _ in range(2)]))
    document = json.loads(run("analyse", real, real, "--draws", 20, "--json", "-"))
    assert (document["held_out"], document["train"]) == (10, 10)
    assert max(document["originality"]["held_out"]) < 0.5


def test_embeddings_of_files_and_of_a_network(prepared: Path, tmp_path: Path) -> None:
    alike, rows = book(tmp_path / "alike.abc", 6), np.random.default_rng(0).normal(size=(40, 2))
    real, generated = tmp_path / "real.npy", tmp_path / "generated.npz"
    np.save(real, rows)
    np.savez(generated, rows[:20] + 9)
    files = "--real-embeddings", real, "--generated-embeddings", generated
    document = json.loads(run("analyse", prepared, alike, *files, "--draws", 60, "--json", "-"))
    distance = document["distances"][-1]
    assert (distance["aspect"], distance["p"]) == ("Frechet music distance", 1 / 61)
    assert distance["value"]["low"] > distance["floor"]["high"]
    assert document["embedding"]["infinity"]["value"] == pytest.approx(162, rel=0.2)
    model, page = ("--embedding", "folkrnn-small"), tmp_path / "page.html"
    output = run("analyse", prepared, alike, *model, "--draws", 20, "--html", page)
    assert "embeddings of 256 columns: too few to extrapolate" in output
    assert "Frechet music distance" in page.read_text()


def test_embeddings_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    tunes, array = book(tmp_path / "tunes.abc", 8), tmp_path / "rows.npy"
    np.save(array, np.zeros(4))
    run_bad = partial(run, "analyse", tunes, tunes, "--draws", 1, code=2)
    single = run_bad("--real-embeddings", array)
    assert "no embeddings of the generated tunes" in single
    assert "--generated-embeddings" in single
    both = "--real-embeddings", array, "--generated-embeddings", array
    assert "has an array (4,) of float64; need numbers" in run_bad(*both)
    assert "need one of them" in run_bad(*both, "--embedding", "folkrnn-small")
    missing = tmp_path / "none.npy"
    gone = "--real-embeddings", array, "--generated-embeddings", missing
    assert "is not there" in run_bad(*gone)


def test_bad_input_is_refused(tmp_path: Path) -> None:
    few = book(tmp_path / "few.abc", 3)
    assert "3 real tunes are too few" in run("analyse", few, few, code=2)
    enough = book(tmp_path / "enough.abc", 8)
    assert "is not there" in run("analyse", enough, tmp_path / "none.abc", code=2)
    single = book(tmp_path / "one.abc", 1)
    assert "1 generated" in run("analyse", enough, single, code=2)
    assert "n_draws is 0" in run("analyse", enough, few, "--draws", 0, code=2)


def test_page_draws_every_aspect_of_both(prepared: Path, tmp_path: Path) -> None:
    jigs, page = book(tmp_path / "<b>jigs.abc", 30, "6/8"), tmp_path / "page.html"
    document = json.loads(
        run("analyse", prepared, jigs, "--draws", 1000, "--html", page, "--json", "-")
    )
    text = page.read_text()
    assert "<b>jigs" not in text
    figures = {figure["aspect"]: figure for figure in document["figures"]}
    measured = {distance["aspect"] for distance in document["distances"]}
    assert measured == {*figures, *(row["aspect"] for row in document["densities"]), "nearness"}
    pairs = [figure["aspect"] for figure in document["densities"]]
    assert len(pairs) == 9
    assert text.count("<section") == len(figures) + len(pairs) + 2  # originality, methods
    assert text.count('class="between"') == len(pairs)
    nearest = document["originality"]["generated"][0]
    assert f"{100 * nearest['percentile']:.1f} %" in text
    meters = dict(zip(figures["meter"]["labels"], figures["meter"]["generated"], strict=True))
    assert meters.pop("6/8") == 1
    assert set(meters.values()) == {0}
    assert {"tokens", "pitch tokens", "first pitch", "last pitch", "parts", "repeats"} <= set(
        figures
    )
    tokens = figures["tokens"]
    assert len(tokens["values"]) == len(tokens["generated"]) + 1
    assert tokens["generated"] == sorted(tokens["generated"])


def test_no_more_than_two_parsed_tunes_are_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that was read last, and the one that is being read."""
    held: list[weakref.ref[Tune]] = []
    read = stream_book_tunes

    def watched(*arguments: Any, **options: Any) -> Iterator[BookTune]:
        for tune in read(*arguments, **options):
            assert isinstance(tune.tune, Tune)
            held.append(weakref.ref(tune.tune))
            assert sum(one() is not None for one in held) <= 2
            yield tune

    monkeypatch.setattr(analyse, "stream_book_tunes", watched)
    source = str(book(tmp_path / "a.abc", 30, "6/8"))
    result = analyse.analyse_folk(analyse.AnalyseFolkConfig(source, source, n_draws=2))
    assert (result.n_generated, result.n_held_out, result.n_train) == (30, 15, 15)

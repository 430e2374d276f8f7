"""otoscope folk nearest: planted copies are found, unrelated tunes are not."""

from __future__ import annotations

import json
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.errors import ParameterError
from otoscope.folk.abc import Tune, book_to_abc, parse_tune, to_abc, transpose
from otoscope.folk.data import generate_tune
from otoscope.folk.workflows.book_tunes import BookTune, read_book_tunes, stream_book_tunes
from tests.support.tune_faults import first_part, ornamented

# Made up for this test.
HAND_MADE = """X:1
T:The Empty Ear
M:6/8
L:1/8
K:G
D|GBd gfe|dBG A2D|GBd gfe|dBA G2:|
|:g|fad' c'ba|gbg e2f|gfe dcB|cAF G2:|
"""


def run(*arguments: object, code: int = 0) -> str:
    """Run a command that must end with a code."""
    result = CliRunner().invoke(app, ["folk", "nearest", *map(str, arguments)])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.output


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty tunes by rule and one by hand."""
    path = tmp_path_factory.mktemp("known") / "known.abc"
    tunes = [parse_tune(HAND_MADE), *(generate_tune(0, i) for i in range(60))]
    path.write_text(book_to_abc(tunes))
    return path


def nearest(tunes: Sequence[Tune], known: Path) -> list[dict[str, Any]]:
    path = known.parent / "asked.abc"
    path.write_text(book_to_abc(tunes))
    rows: list[dict[str, Any]] = json.loads(run(path, "--in", known, "--json"))["tunes"]
    return rows


@pytest.mark.parametrize("copy", ["transposed", "ornamented", "one part"])
def test_planted_copy_is_found(known: Path, copy: str) -> None:
    rng = np.random.default_rng(7)
    changed = {
        "transposed": lambda tune: transpose(tune, 3),
        "ornamented": lambda tune: ornamented(tune, rng, turns=1),
        "one part": first_part,
    }[copy]
    originals = [parse_tune(HAND_MADE), *(generate_tune(0, i) for i in range(20))]
    for number, row in enumerate(nearest([changed(tune) for tune in originals], known), start=1):
        first = row["neighbours"][0]
        assert first["name"].startswith(f"known.abc#{number} ")
        assert first["containment"] >= 0.5
        assert first["notes"] > 10


def test_unrelated_tunes_share_next_to_nothing(known: Path) -> None:
    for row in nearest([generate_tune(9, i) for i in range(20)], known):
        assert all(neighbour["containment"] < 0.2 for neighbour in row["neighbours"])


def test_run_in_common_begins_where_it_is_said(known: Path) -> None:
    tune = transpose(parse_tune(HAND_MADE), 2)
    (row,) = nearest([tune], known)
    first = row["neighbours"][0]
    query, there = ((known.parent / name).read_text().splitlines() for name in ("asked.abc", known))
    assert query[first["line"] - 1][first["column"] - 1] == "E"  # D of G is E of A
    assert there[first["their_line"] - 1][first["their_column"] - 1] == "D"


def test_prints_a_table_and_gates(known: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.abc"
    path.write_text(HAND_MADE + "\n" + to_abc(generate_tune(9, 0), 2))
    output = run(path, "--in", known, "--gate", code=1)
    assert "1 of 2 tunes have 50 % or more" in output
    assert "100 %" in output
    run(path, "--in", known, "--gate", "--copied", 1, code=1)
    path.write_text(to_abc(generate_tune(9, 0)))
    run(path, "--in", known, "--gate")


def test_all_tunes_of_a_prepared_folder_are_known(tmp_path: Path) -> None:
    folder = tmp_path / "tunes"
    arguments = ["folk", "prepare", "generated:12", "--out", str(folder), "--test", "0.3"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    path = tmp_path / "a.abc"
    path.write_text(book_to_abc(generate_tune(0, i) for i in range(12)))
    document = json.loads(run(path, "--in", folder, "--json"))
    assert document["format"] == "otoscope.NearestFolk/2"
    assert document["known"] == 12
    assert document["copies"] == list(range(1, 13))
    assert document["tunes"][4]["neighbours"][0]["name"].startswith("tunes/generated:12#5")


def test_unreadable_tunes_are_told(known: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.abc"
    path.write_text(HAND_MADE + "\nX:2\nK:C\nC;D|\n")
    assert "line 11, column 2" in " ".join(run(path, "--in", known).split())
    document = json.loads(run(known, "--in", path, "--json"))
    assert document["unreadable"] == ["a.abc#2"]


def test_bad_input_is_refused(known: Path, tmp_path: Path) -> None:
    assert "is not there" in run(known, "--in", tmp_path / "none", code=2)
    assert "in (0, 1]" in run(known, "--in", known, "--copied", 0, code=2)
    bad = tmp_path / "bad.abc"
    bad.write_text("X:1\nK:C\nC;D|\n")
    assert "no tune that can be read: line 3, column 2" in run(bad, "--in", known, code=2)
    bad.write_bytes(b"")
    assert "empty" in run(known, "--in", bad, code=2)


def test_a_book_is_read_without_its_tunes_being_held(known: Path) -> None:
    """Of what was read only the latest tune lives, however many there are."""
    seen, most = list[weakref.ref[BookTune]](), 0
    for tune in stream_book_tunes(known):
        seen.append(weakref.ref(tune))
        most = max(most, sum(ref() is not None for ref in seen))
    assert len(seen) == len(read_book_tunes(known)) > 50
    assert most <= 2


def test_a_book_that_is_not_there_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="is not there"):
        stream_book_tunes(tmp_path / "none.abc")

"""The simulation of a batch does every file once, and the page tells its record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")

import simulate_batch
from otoscope.records import read_parts
from otoscope.records.places import Place
from otoscope.workflows.batch.manifest import Chunk
from tests.support.paths import ROOT


def test_the_page_tells_what_was_recorded() -> None:
    record = json.loads((ROOT / "benchmarks" / "simulations" / "batch.json").read_text())
    assert simulate_batch.table(record) in (ROOT / "docs" / "howto" / "cluster.md").read_text()
    assert [result["files"] for result in record["results"]] == [*simulate_batch.SIZES]
    assert record["exponents"] == simulate_batch.exponents(record["results"])


def test_a_pretended_part_holds_the_names_of_its_files(tmp_path: Path) -> None:
    files = tuple(simulate_batch.NAME.format(0, 0, number) for number in range(16))
    simulate_batch.write(Place(str(tmp_path)), Chunk(files, ("",) * 16))
    rows = read_parts(str(tmp_path), columns=["file", "r2"]).to_pylist()
    assert rows == [{"file": file, "r2": 0.9} for file in files]

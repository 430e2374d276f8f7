"""Paper D's experiment: its record has every part, from one small collection."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from otoscope.papers.d_folkrnn import FolkSamplesConfig, folkrnn_samples


@pytest.mark.slow
@pytest.mark.skipif(find_spec("music21") is None, reason="music21's tunes are not installed")
def test_record_has_both_definitions_beside_real_tunes(tmp_path: Path) -> None:
    (table,) = folkrnn_samples(FolkSamplesConfig.quick(), tmp_path)
    record = json.loads((tmp_path / "folkrnn_samples.json").read_text())
    assert record["format"] == "otoscope.papers.folkrnn_samples/1"
    assert set(record["samples"]) == {
        "temperature 1",
        "temperature 0.8",
        "temperature 0.6",
        "bars add up",
    }
    for sample in record["samples"].values():
        rates = sample["summary"]["rates"]
        assert rates["valid"]["of"] == 4
        assert rates["valid_inside"]["count"] >= rates["valid"]["count"]
    assert record["prepared"]["sources"][0]["read"] == 185
    assert [row[0] for row in table.rows] == [*record["samples"], "real tunes"]

"""Tunes with a form: counted beside unconstrained ones and real ones; the page has the record."""

from __future__ import annotations

import json
from pathlib import Path

from otoscope.papers.d_folkrnn import FolkFormConfig, folk_form
from tests.support.folk_models import memoryless
from tests.support.paths import ROOT


def test_the_mask_gives_the_form_and_its_price_is_counted(tmp_path: Path) -> None:
    memoryless(tmp_path / "tiny")
    config = FolkFormConfig(str(tmp_path / "tiny"), ("generated:60",), forms=("AABB:8",), n=3)
    (table,) = folk_form(config, tmp_path / "out")
    rows = {row[0]: row for row in table.rows}
    assert list(rows) == ["no mask", "bars add up", "AABB:8", "AABB:8, bars add up", "real tunes"]
    assert rows["AABB:8, bars add up"][1].startswith("100.0 %")
    assert rows["real tunes"][1].startswith("100.0 %")
    assert float(rows["AABB:8, bars add up"][-1]) > 1
    assert rows["no mask"][1].startswith("0.0 %")


def test_the_page_has_what_the_record_has() -> None:
    record = json.loads((ROOT / "docs/papers/results/folk_form.json").read_text())
    page = (ROOT / "docs/papers/D.md").read_text()
    (table,) = record["tables"]
    for row in table["rows"]:
        assert f"| {' | '.join(row)} |" in page
    asked = {row[0]: row for row in table["rows"]}
    for place, form in enumerate(("AABB:8", "ABAC:8"), start=1):
        for sampling in (form, f"{form}, bars add up"):
            assert float(asked[sampling][place].split(" ")[0]) >= 95

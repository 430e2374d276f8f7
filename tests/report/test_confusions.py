"""Confusion matrices as pictures: a row per label, a column per answer, in fractions of the row."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes

from otoscope.report.figures import draw_confusions


def test_a_cell_is_the_fraction_of_a_label_that_gets_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []
    whole = Axes.pcolormesh

    def spied(self: Axes, fractions: Any, **settings: Any) -> Any:
        drawn.append(np.array(fractions))
        return whole(self, fractions, **settings)

    monkeypatch.setattr(Axes, "pcolormesh", spied)
    labels = ["jazz", "jazz", "jazz", "rock"]
    path = tmp_path / "matrices.svg"
    draw_confusions(
        {
            "net: clean": (labels, labels),
            "net: wrong": (labels, ["rock", "jazz", "pop", "jazz"]),
            **{f"more {i}": (labels, labels) for i in range(3)},  # the second row of panels
        },
        path,
    )
    assert len(drawn) == 5
    # of jazz, pop (which is no label, but an answer), rock
    np.testing.assert_allclose(drawn[0], [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    np.testing.assert_allclose(drawn[1], [[1 / 3, 1 / 3, 1 / 3], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    text = "".join(ET.parse(path).getroot().itertext())
    assert all(name in text for name in ("clean", "wrong", "jazz", "pop", "more 2"))

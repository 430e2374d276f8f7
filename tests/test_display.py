"""Tables of results: one row per segment, dose, seed or sound, with the numbers of the result."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import pytest
import torch

from otoscope.attack import WaveformPGD
from otoscope.display import data_frame
from otoscope.errors import MissingExtra
from tests.support.interrogations import HORSE
from tests.support.maximisations import maximised
from tests.support.reports import explain

pandas = pytest.importorskip("pandas")


def test_results_print_their_sentence_in_one_line() -> None:
    results = (explain({4: 1.0}), attacked(), HORSE, maximised([1.0, 2.0], 0.1))
    words = ("rests on", "ooled", "A horse", "drive")
    for result, word in zip(results, words, strict=True):
        assert word in str(result)
        for text in (str(result), repr(result)):
            assert len(text) < 300
            assert "\n" not in text
            assert "tensor" not in text
        assert repr(result).startswith(f"{type(result).__name__}(")


def attacked() -> Any:
    return WaveformPGD(torch.nn.Linear(50, 2), steps=2).run(torch.ones(3, 50) / 2)


def test_a_row_per_segment_of_the_target_shown() -> None:
    explanation = explain({4: 1.0, 5: 0.5})
    frame = explanation.to_dataframe()
    assert len(frame) == 10
    assert frame["coefficient"].tolist() == explanation.coefficients.tolist()
    assert frame["segment_start_s"].tolist() == pytest.approx([2 + i / 2 for i in range(10)])
    assert set(frame["target"]) == {"singing"}
    assert set(frame["output"]) == {1.5}
    assert frame["standard_error"].isna().all()
    assert frame["standard_error"].dtype == float


def test_a_row_per_sound() -> None:
    result = attacked()
    frame = result.to_dataframe()
    assert frame["snr_db"].tolist() == result.snr_db.tolist()
    assert frame["label"].tolist() == result.labels.tolist()
    assert frame["success"].dtype == bool
    assert frame["magnitude_snr_db"].isna().all()
    per_frame = replace(result, labels=result.labels[:, None].expand(3, 4)).to_dataframe()
    assert per_frame["label"].isna().all()


def test_a_row_per_dose_and_placebo_after_the_unchanged_items() -> None:
    frame = HORSE.to_dataframe()
    points = [p for curve in HORSE.curves for p in (*curve.points, *curve.placebo)]
    assert frame["intervention"].iloc[0] == "unchanged"
    assert frame["score"].tolist() == [
        HORSE.baseline.value,
        *(point.score.value for point in points),
    ]
    assert frame["p_holm"].iloc[1:].tolist() == [point.p_holm for point in points]
    assert frame["placebo"].sum() == sum(len(curve.placebo) for curve in HORSE.curves)
    assert (frame["score_low"] <= frame["score"]).all()


def test_a_row_per_seed() -> None:
    result = maximised([1.0, float("nan"), 3.0], 0.5)
    frame = result.to_dataframe()
    assert frame["seed"].tolist() == [0, 1, 2]
    assert frame["activation"].fillna(9).tolist() == [1, 9, 3]
    assert frame["failed"].tolist() == [False, True, False]
    assert set(frame["rate"]) == {0.5}


def test_no_rows_are_an_empty_table_with_its_columns() -> None:
    assert list(data_frame([], ("a", "b")).columns) == ["a", "b"]


def test_without_pandas_the_command_that_installs_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    remedy = r'pandas is not installed; it comes with: pip install "otoscope\[notebook\]"'
    for result in (explain({1: 1.0}), attacked(), HORSE, maximised([1.0], 0.1)):
        with pytest.raises(MissingExtra, match=remedy):
            result.to_dataframe()

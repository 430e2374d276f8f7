"""Speed of this machine: numbers from known times, and a quick run from the command line."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping

import pytest
import torch
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.errors import CudaUnavailable, ParameterError
from otoscope.explain import Explanation
from otoscope.ops import coalitions
from otoscope.timing import Timing
from otoscope.workflows import BenchConfig, run_bench
from otoscope.workflows.bench import bench
from otoscope.workflows.bench.plain import Plain, Question, fastest


def test_rates_and_ratios_are_those_of_the_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours always takes 0.5 s and its rival 2 s; every function runs once."""

    def compare(calls: Mapping[str, Callable[[], object]], **_: object) -> dict[str, Timing]:
        for call in calls.values():
            call()
        return {name: Timing((0.5 if name == "ours" else 2.0,) * 3) for name in calls}

    monkeypatch.setattr(bench, "compare", compare)
    result = run_bench(BenchConfig(quick=True))
    occlusions, projections, moments, explanations = result.rows
    assert [row.ratio for row in result.rows] == [4, 4, 4, 4]
    assert (occlusions.per_second, explanations.per_second) == (200, 2)
    assert (projections.per_second, moments.per_second) == (2, 200)  # of 1 s, of 100 rows
    first, second = (row.to_dict() for row in result.rows[:2])
    assert first["bytes_per_second"] == 100 * 115 * 80 * 4 / 0.5
    assert second["bytes_per_second"] == (1 + (22050 - 1024) // 256) * 513 * 8 / 0.5
    assert "plain passes" in explanations.rival
    assert result.rows[3].to_dict()["bytes_per_second"] is None


def test_a_busy_machine_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run_bench(BenchConfig(quick=True))
    for load, noted in ((3.2, True), (0.1, False), (math.nan, False)):
        object.__setattr__(result, "load", load)
        assert bool(result.notes) == noted
    assert all(row.per_second > 0 and row.ratio > 0 for row in result.rows)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(CudaUnavailable, match="torch sees no CUDA device"):
        run_bench(BenchConfig("cuda"))
    with pytest.raises(ParameterError, match="device is 'gpu'; cpu and cuda can be measured"):
        BenchConfig("gpu")


def test_the_command_prints_a_table_and_json() -> None:
    shown = CliRunner().invoke(app, ["bench", "--quick"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0, shown.stderr
    assert "fill of the same memory" in shown.stdout
    printed = CliRunner().invoke(app, ["bench", "--quick", "--json"])
    document = json.loads(printed.stdout)
    assert document["format"] == "otoscope.Bench/1"
    assert document["machine"]["versions"]["torch"] == torch.__version__
    assert [row["unit"] for row in document["rows"]] == [
        "occluded excerpts",
        "seconds of sound",
        "rows of features",
        "explanations",
    ]


def test_plain_passes_compute_what_the_explainer_computes() -> None:
    class Sum(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.sum((1, 3))[:, :1]  # of the first frame

    values = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0))
    question = Question("sum", Sum(), values, 3)
    keep = coalitions(3, "exact").unpack()
    best, tried = fastest(question, keep)
    assert isinstance(best, Plain)
    assert set(tried) == {
        f"{m}, batch {b}" for m in ("contiguous", "channels last") for b in (1, 2, 4, 8)
    }
    outputs = question.in_batches(keep, best)
    means = values.mean((1, 2), keepdim=True).expand_as(values)
    expected = torch.where(keep[:, 0], values[:, 0].sum(-1)[:, None], means[:, 0].sum(-1)[:, None])
    torch.testing.assert_close(outputs, expected)
    explained = question.lime.explain(values[0])
    assert isinstance(explained, Explanation)
    torch.testing.assert_close(explained.outputs[:, 0].float(), expected[0])

"""The benchmark of training runs, and both rivals take the same steps."""

from __future__ import annotations

from pathlib import Path

from tests.support.benchmark_runs import result, run_quick
from tests.support.paths import ROOT


def test_the_page_has_the_rates_that_were_measured() -> None:
    page = (ROOT / "docs/papers/D.md").read_text()
    for case in result(ROOT / "benchmarks/results/folk_train.cpu.json")["cases"]:
        for rate in case["parameters"]["tokens_per_cpu_s"].values():
            assert f"{rate:,.0f}" in page


def test_training_is_measured_and_written(tmp_path: Path) -> None:
    done = run_quick(tmp_path, "bench_folk_train.py", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert "tokens per CPU second" in done.stdout
    cases = result(tmp_path / "folk_train.cpu.json")["cases"]
    assert [case["parameters"]["batch"] for case in cases] == [16, 64, 32, 32]
    assert [case["bar"] is not None for case in cases] == [True, True, False, False]
    for case in cases:
        assert set(case["rivals"]) == {"ours", "bare steps"}
        assert set(case["parameters"]["tokens_per_cpu_s"]) == {"ours", "bare steps"}
    few, many, *whole = (case["parameters"]["tokens"] for case in cases)
    assert 2 * few < many <= 2 * 64 * 64  # steps, streams, tokens of a window
    assert whole[0] == whole[1] > 2 * 32 * 30

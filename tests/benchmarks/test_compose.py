"""The benchmarks of the web pages run, and say what they lack."""

from __future__ import annotations

from pathlib import Path

import pytest

import bench_compose
from tests.support.benchmark_runs import result, run_quick


@pytest.mark.browser
@pytest.mark.slow
def test_the_page_is_measured_and_written(tmp_path: Path) -> None:
    if reason := bench_compose.missing():
        pytest.skip(reason)
    done = run_quick(tmp_path, "bench_compose.py", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    written = result(tmp_path / "compose.cpu.json")
    names = [case["name"] for case in written["cases"]]
    assert names == ["start to page", "first tune", "next tune"]
    assert [case["bar"] and case["bar"]["text"] for case in written["cases"]] == [
        None,
        "2 s / ours",
        "2 s / ours",
    ]


@pytest.mark.browser
@pytest.mark.slow
def test_the_workbench_is_measured_and_written(tmp_path: Path) -> None:
    if reason := bench_compose.missing():
        pytest.skip(reason)
    done = run_quick(tmp_path, "bench_workbench.py", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    cases = result(tmp_path / "workbench.cpu.json")["cases"]
    names = [case["name"] for case in cases]
    assert names == ["start to page", "first explanation", "next explanation"]
    assert [case["bar"] and case["bar"]["text"] for case in cases] == [None, "4 s / ours", None]


def test_what_is_not_installed_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_compose, "find_spec", lambda name: name != "playwright")
    assert bench_compose.missing() == 'playwright is not installed: pip install "otoscope[test]"'
    monkeypatch.setattr(bench_compose, "find_spec", lambda _: True)
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert bench_compose.missing().startswith("none of chromium")

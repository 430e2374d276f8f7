"""The benchmark of large tune books runs, and its tunes can be read."""

from __future__ import annotations

from pathlib import Path

from bench_tune_books import book
from otoscope.folk.abc import Tune, parse_book
from tests.support.benchmark_runs import result, run_quick


def test_the_tunes_of_its_books_can_be_read_and_differ() -> None:
    tunes = parse_book(book(9))
    assert all(isinstance(tune, Tune) for tune in tunes)
    assert len({str(tune) for tune in tunes}) == 9


def test_large_books_are_measured_and_written(tmp_path: Path) -> None:
    done = run_quick(tmp_path, "bench_tune_books.py")
    assert done.returncode == 0, done.stderr
    written = result(tmp_path / "tune_books.cpu.json")
    most = {"read": "60", "check": "20", "nearest": "60", "analyse": "20"}
    assert [case["name"].split(",")[0] for case in written["cases"]] == list(most)
    for case, n_tunes in zip(written["cases"], most.values(), strict=True):
        assert case["parameters"]["peak_mb"][n_tunes] > 1

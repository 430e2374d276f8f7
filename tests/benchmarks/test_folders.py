"""The benchmark of folders: a further file is what many files take beyond few."""

from __future__ import annotations

from pathlib import Path

import pytest

import bench_folders


def test_a_further_file_is_told_apart_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def process(job: object, folder: Path, n: int, workers: int, device: str) -> tuple[float, ...]:
        return 3 + n * 2 / workers, 4 + n * 1.5  # wall clock, CPU

    monkeypatch.setattr(bench_folders, "_process", process)
    monkeypatch.setattr(bench_folders, "songs_of", lambda *_: None)
    job = bench_folders.Job("attack", "", 2, 6, at_most=1.2)
    shared, alone = bench_folders.cases("cpu", bench_folders.Sizes((job,), 3))
    seconds = {name: timing.median_s for name, timing in shared.rivals.items()}
    expected = {"ours": 1.0, "one core": 2.0, "CPU, one core": 1.5, "start": 4.0}
    assert seconds == pytest.approx(expected)
    assert shared.bar is not None
    assert shared.bar.met
    assert alone.bar is not None
    assert alone.bar.value == pytest.approx(0.8)
    assert not alone.bar.met


@pytest.mark.slow  # a process loads torch
def test_a_process_is_timed_and_its_errors_are_raised(tmp_path: Path) -> None:
    bench_folders.songs_of(tmp_path / "1", 1)
    (job,) = bench_folders.QUICK
    wall, cpu = bench_folders._process(job, tmp_path, 1, 1, "cpu")
    assert min(wall, cpu) > 0
    wrong = bench_folders.Job("attack", "attack {songs} --model missing --out {out}", 1, 2)
    with pytest.raises(RuntimeError, match=r"ended with 2: otoscope: .*missing"):
        bench_folders._process(wrong, tmp_path, 1, 1, "cpu")

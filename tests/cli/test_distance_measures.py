"""Kernel distance, extrapolation, intervals and single files are those of the features."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from otoscope.metrics import (
    frechet_infinity,
    frechet_interval,
    frechet_of,
    kernel_audio_distance,
    kernel_distance,
    kernel_interval,
)
from otoscope.workflows.features import SoundFeatures
from tests.cli.test_distance import MODEL, features, refused, run, sounds, written

__all__ = ["sounds"]  # a fixture

HOP = ["--hop", "0.1"]
pytestmark = pytest.mark.filterwarnings("ignore::otoscope.metrics.FewRows")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write four generated songs, as many as an interval takes."""
    return written(tmp_path_factory.mktemp("songs") / "made", [10, 11, 12, 13])


@pytest.fixture(scope="module")
def sides(sounds: Path, made: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Measure both folders, with the features of all excerpts."""
    folder = tmp_path_factory.mktemp("statistics")
    for side, songs in (("real", sounds / "real"), ("made", made)):
        run("stats", songs, *MODEL, *HOP, "--rows", "--out", folder / f"{side}.npz")
    return folder / "real.npz", folder / "made.npz"


@pytest.fixture(scope="module")
def rows(sounds: Path, made: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute the features by hand; 54 or 55 excerpts of each file."""
    sides = features(sounds / "real", hop=7), features(made, hop=7)
    assert len(sides[0]) % 4 == len(sides[1]) % 4 == 0
    return sides


def measured(tmp_path: Path, *arguments: object) -> tuple[str, dict[str, Any]]:
    printed = run("distance", *arguments, "--json", tmp_path / "d.json")
    return printed, json.loads((tmp_path / "d.json").read_text())


def songs(rows: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    real, made = (torch.arange(4).repeat_interleave(len(side) // 4) for side in rows)
    return real, made


def test_frechet_with_all_measures(
    sides: tuple[Path, Path], rows: tuple[torch.Tensor, torch.Tensor], tmp_path: Path
) -> None:
    printed, result = measured(tmp_path, *sides, "--interval", "--infinity", "--per-file")
    value, interval = float(frechet_of(*rows)), frechet_interval(*rows, groups=songs(rows))
    assert result["distance"] == pytest.approx(value, rel=1e-3)
    bounds = [result["interval"][name] for name in ("low", "high", "level")]
    assert bounds == pytest.approx([interval.low, interval.high, 0.95], rel=5e-3, abs=1e-3)
    infinity = frechet_infinity(*rows).value
    assert result["infinity"]["value"] == pytest.approx(infinity, rel=5e-3)
    assert "extrapolated to infinitely many excerpts:" in printed
    by_hand = {
        f"{10 + i}.wav": float(frechet_of(rows[0], part))
        for i, part in enumerate(rows[1].split(len(rows[1]) // 4))
    }
    ranked = sorted(by_hand, key=lambda name: -by_hand[name])
    assert [file["file"] for file in result["per_file"]] == ranked
    assert [file["distance"] for file in result["per_file"]] == pytest.approx(
        [by_hand[name] for name in ranked], rel=1e-3
    )
    assert "of sets of this size" in printed
    assert "is none of the distance between distributions" in " ".join(printed.split())
    assert printed.index(ranked[0]) < printed.index(ranked[1]) < printed.index(ranked[2])


def test_kernel_with_all_measures(
    sides: tuple[Path, Path], rows: tuple[torch.Tensor, torch.Tensor], tmp_path: Path
) -> None:
    command = (*sides, "--metric", "kernel", "--interval", "--per-file", "--seed", 3)
    printed, result = measured(tmp_path, *command)
    interval = kernel_interval(*rows, groups=songs(rows), seed=3)
    assert (result["metric"], result["infinity"]) == ("kernel", None)
    assert result["distance"] == pytest.approx(float(kernel_distance(*rows)), rel=1e-3)
    assert printed.startswith("kernel distance")
    bounds = [result["interval"][name] for name in ("low", "high")]
    assert bounds == pytest.approx([interval.low, interval.high], rel=1e-3)
    assert "of the distance between distributions: they leave out pairs" in " ".join(
        result["notes"]
    )
    parts = rows[1].split(len(rows[1]) // 4)
    expected = sorted((float(kernel_distance(rows[0], part)) for part in parts), reverse=True)
    distances = [file["distance"] for file in result["per_file"]]
    assert distances == pytest.approx(expected, rel=1e-3)


def test_all_measures_come_of_one_extraction_and_are_marked(
    sides: tuple[Path, Path], rows: tuple[torch.Tensor, torch.Tensor], tmp_path: Path
) -> None:
    printed, result = measured(tmp_path, *sides, "--metric", "all", "--interval", "--per-file")
    values = {it["name"]: it for it in result["measures"]}
    assert values["FAD"]["value"] == pytest.approx(float(frechet_of(*rows)), rel=1e-3)
    assert values["KAD"]["value"] == pytest.approx(float(kernel_audio_distance(*rows)), rel=1e-3)
    assert "over excerpts of the same files: no interval" in values["FAD infinity"]["reason"]
    interval = frechet_interval(*rows, groups=songs(rows))
    bounds = [values["FAD"][name] for name in ("low", "high")]
    assert bounds == pytest.approx([interval.low, interval.high], rel=5e-3, abs=1e-3)
    kernel = kernel_interval(*rows, groups=songs(rows))
    bounds = [values["KID"][name] for name in ("low", "high")]
    assert bounds == pytest.approx([kernel.low, kernel.high], rel=1e-3)
    assert result["comparable_with_published"] is False
    assert "values in synth-singing are not comparable with published figures" in printed
    assert len(result["per_file"]) == 4


@pytest.mark.parametrize("metric", ["frechet", "kernel", "all"])
def test_fewer_than_four_files_have_a_distance_and_no_interval(
    metric: str, sides: tuple[Path, Path], sounds: Path, tmp_path: Path
) -> None:
    command = (sides[0], sounds / "made", "--model", "synth-singing", "--metric", metric)
    printed, result = measured(tmp_path, *command, "--interval")
    assert "the generated side has 3 files; an interval takes 4 or more" in " ".join(
        printed.split()
    )
    assert result["interval"] is None
    assert all(it["low"] is None for it in result["measures"] or ())
    assert "sets of this size" not in printed


def test_sounds_give_all_measures_too(sounds: Path, tmp_path: Path) -> None:
    command = (sounds / "real", sounds / "made", *MODEL, *HOP, "--metric", "all")
    result = measured(tmp_path, *command)[1]["measures"]
    assert all(it["value"] is not None for it in result)


def test_kept_features_are_found_again(
    sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by a command that needs none."""
    command = ["distance", sounds / "real", sounds / "made", *MODEL, "--keep", tmp_path / "kept"]
    first = run(*command, "--metric", "kernel")
    monkeypatch.setattr(SoundFeatures, "extract", None)
    assert run(*command, "--metric", "kernel") == first
    assert "Fréchet distance" in run(*command, "--per-file")
    assert "Fréchet distance" in run(*command)


def test_rows_are_kept_when_files_are_added(
    sides: tuple[Path, Path], rows: tuple[torch.Tensor, torch.Tensor], sounds: Path, tmp_path: Path
) -> None:
    """Without the option too, and in the order of the songs."""
    folder, out = tmp_path / "songs", tmp_path / "s.npz"
    folder.mkdir()
    for name in ("0.wav", "1.wav"):
        (folder / name).write_bytes((sounds / "real" / name).read_bytes())
    run("stats", folder, *MODEL, *HOP, "--rows", "--out", out)
    (folder / "2.wav").write_bytes((sounds / "real" / "2.wav").read_bytes())
    run("stats", folder, *MODEL, *HOP, "--out", out)
    expected = features(folder, hop=7)
    _, result = measured(tmp_path, out, sides[1], "--metric", "kernel")
    distance = float(kernel_distance(expected, rows[1]))
    assert result["distance"] == pytest.approx(distance, rel=1e-3)


def test_what_cannot_be_measured_gets_one_line(sounds: Path, tmp_path: Path) -> None:
    real, made = tmp_path / "real.npz", sounds / "made"
    run("stats", sounds / "real", *MODEL, "--hop", "0.3", "--out", real)
    for arguments in ((real, made, "--metric", "kernel"), (made, real, "--per-file", *MODEL)):
        assert "measure them with otoscope stats --rows" in refused("distance", *arguments)
    assert "leave out --infinity" in refused(
        "distance", real, made, "--metric", "kernel", "--infinity"
    )
    assert "metric is 'kid', must be frechet, kernel or all" in refused(
        "distance", real, made, "--metric", "kid"
    )
    few = ["distance", sounds / "real", made, *MODEL]
    assert "an extrapolation takes 31 or more" in refused(*few, "--infinity")
    assert "without the features of each file" in refused(
        "stats", sounds / "real", *MODEL, "--hop", "0.3", "--rows", "--out", real
    )
    printed = run(*few, "--per-file")
    assert "one excerpt each" not in printed
    assert "--metric kernel --interval has bounds without the bias of few files" in printed
    assert "files have as few as 4 excerpts of 16 columns" in printed


def test_statistics_without_features_are_exact_in_an_interval(
    sounds: Path, made: Path, tmp_path: Path
) -> None:
    real = tmp_path / "real.npz"
    run("stats", sounds / "real", *MODEL, "--hop", "0.3", "--out", real)
    printed, result = measured(tmp_path, real, made, "--interval")
    assert "is taken as exact in the interval" in printed
    assert 0 <= result["interval"]["low"] < result["interval"]["high"]


@pytest.mark.parametrize(("metric", "lack"), [("frechet", "covariance"), ("kernel", "pairs")])
def test_files_of_one_excerpt_are_told_why_they_have_no_distance(
    metric: str, lack: str, sounds: Path, tmp_path: Path
) -> None:
    real, made = sounds / "real", written(tmp_path / "made", [1, 2], seconds=4.0)
    command = (real, made, *MODEL, "--metric", metric, "--per-file")
    _, result = measured(tmp_path, *command, "--hop", 3)
    assert [(file["n"], file["distance"]) for file in result["per_file"]] == [(1, None)] * 2
    reason = f"2 of 2 files have one excerpt each, which has no {lack}, and so no distance"
    for text in (
        " ".join(run("distance", *command, "--hop", 3).split()),
        " ".join(result["notes"]),
    ):
        assert reason in text
        assert "a smaller hop gives more excerpts of files that are longer than" in text
        assert "an excerpt (1.64 s)" in text
        assert "as few as" not in text
    more, measured_now = measured(tmp_path, *command, "--hop", 0.5)
    assert "one excerpt each" not in more
    assert all(file["distance"] is not None for file in measured_now["per_file"])

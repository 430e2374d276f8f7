"""otoscope distance on embeddings of fadtk and kadtk: all measures, single songs, bad files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy
import soundfile
import torch

from otoscope.metrics import (
    frechet_infinity,
    kernel_audio_distance,
    kernel_distance,
    mauve_score,
    neighbour_scores,
)
from tests.cli.test_distance import refused, run

COLUMNS, NAME = 4, "clap-laion-music"
NAMES = ["FAD", "FAD infinity", "KID", "KAD", "MAD", "precision", "recall", "density", "coverage"]


def written(folder: Path, seed: int, *, shift: float = 0.0, n_files: int = 6) -> dict[str, Any]:
    """Write files as fadtk does, in half precision; return them as they are read."""
    place, rng = folder / "embeddings" / NAME, np.random.default_rng(seed)
    place.mkdir(parents=True)
    arrays = {}
    for i in range(n_files):
        array = (rng.normal(size=(7 + i, COLUMNS)) + shift).astype(np.float16)
        np.save(place / f"{i}.npy", array)
        arrays[f"{i}.npy"] = array.astype(np.float64)
    return arrays


@pytest.fixture
def sides(tmp_path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    return written(tmp_path / "real", 0), written(tmp_path / "made", 1, shift=0.7)


def fadtk_distance(x: Any, y: Any) -> float:
    """fadtk's formula, by the matrix square root."""
    root = scipy.linalg.sqrtm(np.cov(x, rowvar=False) @ np.cov(y, rowvar=False))
    traces = np.trace(np.cov(x, rowvar=False) + np.cov(y, rowvar=False) - 2 * root.real)
    return float(((x.mean(0) - y.mean(0)) ** 2).sum() + traces)


def measured(tmp_path: Path, *arguments: object) -> tuple[str, dict[str, Any]]:
    printed = run("distance", *arguments, "--json", tmp_path / "d.json")
    return printed, json.loads((tmp_path / "d.json").read_text())


def test_all_measures_stand_beside_each_other(tmp_path: Path, sides: Any) -> None:
    real, made = tmp_path / "real", tmp_path / "made"
    printed, result = measured(tmp_path, real, made, "--embedding", NAME, "--metric", "all")
    x, y = (np.concatenate(list(side.values())) for side in sides)
    a, b = torch.from_numpy(x), torch.from_numpy(y)
    scores = neighbour_scores(a, b)
    expected = [
        fadtk_distance(x, y),
        frechet_infinity(a, b).value,
        float(kernel_distance(a, b)),
        float(kernel_audio_distance(a, b)),
        mauve_score(a, b).divergence,
        *(scores.precision, scores.recall, scores.density, scores.coverage),
    ]
    assert [it["name"] for it in result["measures"]] == NAMES
    assert [it["value"] for it in result["measures"]] == pytest.approx(expected, rel=1e-6)
    assert result["distance"] == pytest.approx(expected[0], rel=1e-6)
    assert all(it["low"] is None and not it["reason"] for it in result["measures"])
    assert printed.startswith("measure value 95 % meaning FAD")
    assert f"embedding {NAME}" in printed
    assert result["embedding"] == NAME
    assert result["comparable_with_published"] is True
    assert "may be compared with published figures of the same embedding" in printed


def test_intervals_leave_songs_out_and_contain_the_values(tmp_path: Path, sides: Any) -> None:
    command = (tmp_path / "real", tmp_path / "made", "--embedding", NAME, "--metric", "all")
    _, result = measured(tmp_path, *command, "--interval")
    for it in result["measures"]:
        assert (it["low"] is None) == (it["high"] is None) == bool(it["reason"]), it
        if it["low"] is None:
            continue
        assert it["low"] < it["high"], it
        if it["name"] in ("FAD", "MAD"):  # of sets of this size
            assert it["low"] <= it["value"] <= it["high"], it
        if it["name"] in ("precision", "recall", "coverage"):
            assert 0 <= it["low"] <= it["high"] <= 1
    told = {it["name"] for it in result["measures"] if it["low"] is not None}
    assert {"FAD", "KID", "KAD"} <= told
    assert "FAD infinity" not in told
    again = measured(tmp_path, *command, "--interval")[1]["measures"]
    for it, other in zip(result["measures"], again, strict=True):  # up to the order of sums
        for name in ("value", "low", "high"):
            assert (it[name] or 0) == pytest.approx(other[name] or 0, rel=1e-6)


def test_single_songs_are_ranked_by_fadtks_formula(tmp_path: Path, sides: Any) -> None:
    command = (tmp_path / "real", tmp_path / "made", "--embedding", NAME, "--per-file")
    printed, result = measured(tmp_path, *command, "--metric", "all")
    x = np.concatenate(list(sides[0].values()))
    by_hand = {name: fadtk_distance(x, rows) for name, rows in sides[1].items()}
    ranked = sorted(by_hand, key=lambda name: -by_hand[name])
    assert [file["file"] for file in result["per_file"]] == ranked
    for file in result["per_file"]:
        rows = torch.from_numpy(sides[1][file["file"]])
        kad = float(kernel_audio_distance(torch.from_numpy(x), rows))
        assert file["distance"] == pytest.approx(by_hand[file["file"]], rel=1e-6)
        assert file["kernel_audio"] == pytest.approx(kad, rel=1e-6)
    assert "file excerpts FAD KAD" in printed
    _, plain = measured(tmp_path, *command)
    assert [file["file"] for file in plain["per_file"]] == ranked


def test_folders_of_arrays_need_no_option(tmp_path: Path, sides: Any) -> None:
    folders = [tmp_path / side / "embeddings" / NAME for side in ("real", "made")]
    _, named = measured(tmp_path, tmp_path / "real", tmp_path / "made", "--embedding", NAME)
    printed, found = measured(tmp_path, *folders)
    assert found["distance"] == named["distance"]
    assert found["embedding"] == NAME
    assert printed.startswith("Fréchet distance")
    assert measured(tmp_path, *folders, "--embedding", NAME)[1]["distance"] == named["distance"]


def test_statistics_of_fadtk_are_read_by_the_embeddings_name(tmp_path: Path, sides: Any) -> None:
    x, y = (np.concatenate(list(side.values())) for side in sides)
    statistics: dict[str, Any] = {f"{NAME}.mu": x.mean(0), f"{NAME}.cov": np.cov(x, rowvar=False)}
    np.savez(tmp_path / "fma.npz", **{**statistics, "vggish.mu": np.zeros(2)})
    command = (tmp_path / "fma.npz", tmp_path / "made")
    printed, result = measured(tmp_path, *command, "--embedding", NAME, "--metric", "all")
    assert result["distance"] == pytest.approx(fadtk_distance(x, y), rel=1e-6)
    assert [it["value"] is None for it in result["measures"]] == [False] + [True] * 8
    assert "FAD infinity, KID, KAD, MAD, precision, recall, density, coverage:" in printed
    assert "fma.npz holds mean and covariance, not the features" in printed
    message = refused("distance", *command, "--embedding", "vggish")
    assert "statistics hold vggish.mu and vggish.cov" in message
    assert "statistics hold mu and cov" in refused("distance", *command)


class Harmful:
    """A pickle that writes a file when it is read."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("RAN"),)


def test_files_that_cannot_be_used_are_skipped_counted_and_listed(
    tmp_path: Path, sides: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "made" / "embeddings" / NAME
    _, before = measured(tmp_path, tmp_path / "real", tmp_path / "made", "--embedding", NAME)
    np.save(place / "object.npy", np.array([Harmful()], dtype=object), allow_pickle=True)
    np.save(place / "nan.npy", np.full((3, COLUMNS), np.nan, np.float16))
    np.save(place / "whole.npy", np.ones((3, COLUMNS), np.int64))
    np.save(place / "deep.npy", np.ones((1, 3, COLUMNS), np.float32))
    np.save(place / "none.npy", np.ones((0, COLUMNS), np.float32))
    (place / "empty.npy").touch()
    (place / "cut.npy").write_bytes((place / "0.npy").read_bytes()[:-8])
    (place / "text.npy").write_text("no array")
    printed, result = measured(tmp_path, tmp_path / "real", tmp_path / "made", "--embedding", NAME)
    assert result["distance"] == before["distance"]
    skipped = result["generated"]["skipped"]
    assert sorted(skipped) == sorted(
        f"{name}.npy" for name in ("object", "nan", "whole", "deep", "none", "empty", "cut", "text")
    )
    assert "8 skipped" in printed
    assert "only numbers and texts are read" in skipped["object.npy"]
    assert skipped["nan.npy"] == "holds NaN or infinity"
    assert "holds int64, must hold floating numbers" in skipped["whole.npy"]
    assert "has shape (1, 3, 4), must be [frame, column]" in skipped["deep.npy"]
    assert not (tmp_path / "RAN").exists()


def test_too_little_and_unlike_embeddings_get_one_line(tmp_path: Path, sides: Any) -> None:
    real, made, option = tmp_path / "real", tmp_path / "made", ("--embedding", NAME)
    place = made / "embeddings" / NAME
    np.save(place / "wide.npy", np.zeros((3, 9), np.float32))
    message = refused("distance", real, made, *option)
    assert "0.npy has 4 columns, wide.npy has 9: a folder holds arrays of one embed" in message
    (place / "wide.npy").unlink()
    message = refused("distance", real, made, "--embedding", "clap-laion-musik")
    assert "with embedding 'clap-laion-musik'; those there are clap-laion-music" in message
    other = made / "embeddings" / "vggish"
    other.mkdir()
    message = refused("distance", real, made, "--embedding", "vggish")
    assert "those there are clap-laion-music" in message
    assert "gives 0 rows; a covariance takes 2 or more" in refused(
        "distance", made, made, "--embedding", "vggish"
    )
    np.save(other / "a.npy", np.zeros(COLUMNS, np.float32))
    assert "gives 1 rows; a covariance takes 2 or more" in refused("distance", other, other)
    np.save(other / "b.npy", np.zeros((5, COLUMNS), np.float32))
    assert "have the same features (zero variance)" in refused("distance", other, other)
    np.save(other / "b.npy", np.eye(5, COLUMNS))
    folder = real / "embeddings" / NAME
    assert "are of different embeddings" in refused("distance", folder, other)
    songs = tmp_path / "songs"
    songs.mkdir()
    soundfile.write(songs / "a.wav", np.zeros(9000), 8000)
    message = refused("distance", songs, folder, "--model", "synth-singing")
    assert "holds embeddings of another tool, and the other side is sounds" in message
    message = refused("distance", real, made, *option, "--hop", "0.5")
    assert "both sides are embeddings, which are not measured again" in message
    message = refused("distance", real, made, *option, "--metric", "all", "--infinity")
    assert "leave out --infinity" in message
    assert "must be frechet, kernel or all" in refused("distance", real, made, "--metric", "kad")


def test_few_songs_have_values_and_no_interval(tmp_path: Path) -> None:
    for seed, side in enumerate(("real", "made")):
        written(tmp_path / side, seed, shift=seed, n_files=1)
    sides = [tmp_path / side / "embeddings" / NAME for side in ("real", "made")]
    printed, result = measured(tmp_path, *sides, "--metric", "all", "--interval")
    values = {it["name"]: it for it in result["measures"]}
    assert values["FAD infinity"]["value"] is None
    assert "an extrapolation takes 19 or more" in values["FAD infinity"]["reason"]
    for name in {*NAMES} - {"FAD infinity"}:
        assert values[name]["value"] is not None
        assert values[name]["low"] is None
        assert "the real side has 1 files; an interval takes" in values[name]["reason"]
    assert "the real side has 1 files; an interval takes 4 or more" in printed

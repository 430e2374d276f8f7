"""``otoscope batch``: every workflow over a manifest, read back from its parts."""

from __future__ import annotations

import errno
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

pytest.importorskip("pyarrow")

from otoscope.cli.app import app
from otoscope.records import files, read_parts
from otoscope.workflows import FeatureConfig
from otoscope.workflows.stats import measure_statistics
from tests.cli.test_exit_codes import OWN

MODEL = ["--model", "own.py:make", "--out", "parts", "--workers", "1"]
OF_WORKFLOW = {
    "explain": ["--segments", "temporal:2"],
    "attack": ["--steps", "1", "--duration", "2"],
    "interrogate": ["--gain", "6", "--doses", "1"],
    "stats": ["--layer", "flat"],
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write three sounds, a file that is no sound, and a model, in the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "songs").mkdir()
    generator = np.random.default_rng(0)
    for i in range(3):
        y = 0.1 * (i + 1) * generator.standard_normal(48_000)
        soundfile.write(tmp_path / "songs" / f"{i}.wav", y, 16_000)
    (tmp_path / "songs" / "bad.wav").write_text("no sound")
    return tmp_path


def run(*arguments: str, code: int = 0) -> Any:
    result = CliRunner().invoke(app, ["batch", *arguments])
    assert result.exit_code == code, result.output
    return result.stderr if code else result.stdout


def by_file() -> dict[str, list[dict[str, Any]]]:
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in read_parts("parts").to_pylist():
        rows.setdefault(row["file"], []).append(row)
    return rows


@pytest.mark.parametrize("workflow", OF_WORKFLOW)
def test_every_row_says_file_excerpt_settings_versions_or_the_error(workflow: str) -> None:
    run(workflow, "songs", *MODEL, *OF_WORKFLOW[workflow])
    rows = by_file()
    assert rows.keys() == {"0.wav", "1.wav", "2.wav", "bad.wav"}
    (failed,) = rows.pop("bad.wav")
    assert failed["error"].startswith("cannot be read as sound")
    for of_file in rows.values():
        for row in of_file:
            assert (row["error"], row["start"]) == ("", pytest.approx(row["start"]))
            assert len(row["sound"]) == 64
            assert row["model"]
            assert "padded" in json.loads(row["settings"])
            assert json.loads(row["versions"])["torch"]


def test_explanations_have_one_number_per_segment() -> None:
    run("explain", "songs", *MODEL, *OF_WORKFLOW["explain"], "--every", "0.5")
    for row in by_file()["1.wav"]:
        assert len(row["coefficients"]) == len(row["segments"]) == 2
        assert sum(row["shapley"]) == pytest.approx(row["output_all"] - row["output_none"])
    assert len(by_file()["1.wav"]) > 2


def test_adversaries_lie_beside_the_parts(folder: Path) -> None:
    run("attack", "songs", *MODEL, *OF_WORKFLOW["attack"])
    for name, (row,) in by_file().items():
        assert name == "bad.wav" or soundfile.info(folder / "parts" / row["out"]).frames == 32_000


def test_answers_name_the_change(folder: Path) -> None:
    (folder / "loud.py").write_text(
        "def make():\n"
        "    def loud(y):\n"
        "        return ['loud' if one.std() > 0.15 else 'soft' for one in y]\n"
        "    loud.sample_rate = 16000\n"
        "    return loud\n"
    )
    arguments = ["--model", "loud.py:make", *MODEL[2:], *OF_WORKFLOW["interrogate"]]
    run("interrogate", "songs", *arguments)
    answers = {row["dose"]: row["answer"] for row in by_file()["0.wav"]}
    assert answers == {0.0: "soft", -6.0: "soft", 6.0: "loud"}  # 0.1 becomes 0.2
    assert [row["is_same"] for row in by_file()["0.wav"] if row["dose"] == 6.0] == [False]


def test_merged_moments_are_those_of_the_folder(folder: Path) -> None:
    run("stats", "songs", *MODEL, *OF_WORKFLOW["stats"], "--hop", "0.1", "--chunk", "1")
    config = FeatureConfig("own.py:make", "flat", hop=0.1)
    whole = measure_statistics(folder / "songs", config, folder / "whole.npz").statistics
    parts = np.load(folder / "parts" / "_statistics.npz")
    assert int(parts["count"]) == whole.count
    np.testing.assert_allclose(parts["mu"], whole.mean, rtol=1e-12)
    np.testing.assert_allclose(parts["cov"], whole.covariance, rtol=1e-9, atol=1e-15)


def test_a_dry_run_tells_core_hours_and_writes_nothing(folder: Path) -> None:
    for workflow, options in OF_WORKFLOW.items():
        told = run(workflow, "songs", *MODEL, *options, "--dry-run")
        assert "4 files of about" in told
        assert "core hours (timed 3 files)" in told
    assert not (folder / "parts").exists()


def test_json_tells_counts_and_settings() -> None:
    for workflow, options in OF_WORKFLOW.items():
        out = ["--out", f"parts-{workflow}"]
        document = json.loads(
            run(workflow, "songs", *MODEL[:2], *out, *options, *MODEL[4:], "--json")
        )
        assert document["format"] == "otoscope.Batch/1"
        assert (document["counts"]["files"], document["counts"]["errors"]) == (4, 1)
        assert document["about"]["workflow"] == workflow


def test_a_list_of_paths_comes_on_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    result = CliRunner().invoke(
        app,
        ["batch", "explain", "-", *MODEL, *OF_WORKFLOW["explain"]],
        input="songs/0.wav\nsongs/2.wav\n",
    )
    assert result.exit_code == 0, result.output
    assert by_file().keys() == {"songs/0.wav", "songs/2.wav"}


def test_an_absent_extra_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    message = run("stats", "songs", *MODEL[:4], *OF_WORKFLOW["stats"], "--ray", "local", code=2)
    assert (
        message == 'otoscope: ray is not installed; it comes with: pip install "otoscope[scale]"\n'
    )
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.fs", None)
    message = run("stats", "songs", *MODEL, *OF_WORKFLOW["stats"], code=2)
    assert 'it comes with: pip install "otoscope[scale]"' in message


def test_workers_beside_ray_are_refused() -> None:
    message = run("stats", "songs", *MODEL, "--ray", "local", code=2)
    assert "workers is 1 beside ray 'local': choose one" in message
    message = run("stats", "songs", *MODEL[:4], "--ray", "here", code=2)
    assert "ray is 'here', must be local, auto or HOST:PORT" in message


def test_a_full_disk_says_how_many_files_are_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["stats", "songs", *MODEL, *OF_WORKFLOW["stats"], "--chunk", "1"]
    replacing, written = files.replacing, list[str]()

    def full(path: str | Path) -> Any:
        written.append(Path(path).name)
        if sum(name.startswith("part-") for name in written) > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return replacing(path)

    with monkeypatch.context() as patched:
        patched.setattr(files, "replacing", full)
        message = run(*arguments, code=2)
    assert "parts takes no file: No space left on device; 2 of 4 files are safe there" in message
    assert "the same command goes on" in message
    assert "2 of them done before" in run(*arguments)

"""The benchmarks run, compare what is equal, and write what docs/write_performance.py reads."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import bench_occlude
import bench_rhythm
import bench_strong
from bench_occlude import FRAMES, MELS, Occlusion, segment_maps
from bench_stft import Noise, Sizes, Torch
from otoscope import native
from otoscope.data import plan_dance, render_dance
from tests.support.benchmark_runs import result, run, run_quick


def test_blocks_are_equal_and_the_last_takes_the_rest() -> None:
    maps = segment_maps()
    assert maps["temporal(10)"][:, 0].bincount().tolist() == [11] * 9 + [16]
    assert maps["spectral(10)"][0].bincount().tolist() == [8] * 10
    assert [len(ids.unique()) for ids in maps.values()] == [10, 10, 10, 200]


@pytest.mark.parametrize("name", segment_maps())
def test_rivals_write_what_the_kernel_writes(name: str) -> None:
    example = Occlusion.of(segment_maps()[name], torch.empty(1, 7, FRAMES, MELS))
    example.kernel()()
    wanted = example.out.clone()
    for rival in (example.function, example.where):
        example.fill()
        assert not torch.equal(example.out, wanted)
        rival()
        assert torch.equal(example.out, wanted)


def test_captum_is_called_as_it_calls_itself() -> None:
    """Its last batch: 2 of 130 samples, each segment of which is all patch or all content."""
    pytest.importorskip("captum")
    example = Occlusion.of(segment_maps()["temporal(10)"], torch.empty(1, 130, FRAMES, MELS))
    for row in example.captum_step().reshape(2, FRAMES, MELS):
        for segment in range(10):
            cells = example.ids == segment
            choices = (example.patch[0][cells], example.content[0][cells])
            assert any(torch.equal(row[cells], choice) for choice in choices)


@pytest.mark.cuda
def test_a_call_launches_once_and_waits_for_nothing() -> None:
    if not native.cuda_status().available:
        pytest.skip(f"no GPU: {native.cuda_status().reason}")
    out = torch.empty(1, 20, FRAMES, MELS, device="cuda")
    example = Occlusion.of(segment_maps()["random 200"], out)
    assert bench_occlude.per_call(example.function) == (1, 0)


@pytest.mark.parametrize("hop", [256, 512])
def test_rivals_of_the_projection_do_the_same(hop: int) -> None:
    """But for the frames at the ends, where torch centres and pads."""
    ours = Noise.of(1024, hop, Sizes(batch=2, seconds=0.3, rounds=1), "cpu")
    theirs = Torch(ours)
    inner = slice(8, -8)
    pairs: list[tuple[Callable[[], Tensor], Callable[[], Tensor]]] = [
        (ours.project, theirs.project),
        (ours.iterate, theirs.iterate),
        (ours.iterate, theirs.iterate_by_angle),
        (ours.iterate_fast, theirs.iterate_fast),
    ]
    for mine, rival in pairs:
        torch.testing.assert_close(mine()[:, inner], rival().mT[:, inner], rtol=0, atol=1e-3)
    torch.testing.assert_close(ours.stft(), theirs.stft().mT, rtol=0, atol=1e-3)
    sound = theirs.istft()
    torch.testing.assert_close(ours.istft()[:, 512:-512][:, 4096:-4096], sound[:, 4096:-4096])
    assert theirs.bare().shape == ours.D.shape
    Z, residual = ours.iterate_and_measure()
    assert residual.shape == theirs.iterate_and_measure()[1].shape
    assert Z is ours.out
    C, wanted = ours.attack()[1], theirs.attack()[1]
    torch.testing.assert_close(C[:, inner], wanted.mT[:, inner], rtol=0, atol=1e-3)
    assert ours.many().shape[1] == (ours.D.shape[1] - 1) * hop + 1024


def test_stft_is_measured_and_written(tmp_path: Path) -> None:
    done = run_quick(tmp_path, "bench_stft.py", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    written = result(tmp_path / "stft.cpu.json")
    settings = {(c["parameters"]["isa"], c["parameters"]["threads"]) for c in written["cases"]}
    assert {("baseline", 1), ("baseline", 2)} <= settings
    names = " ".join(case["name"] for case in written["cases"])
    for part in ("P, 1024/256", "iteration, momentum", "residual", "magnitude_step", "4096/1024"):
        assert part in names
    bars = [case["bar"]["at_least"] for case in written["cases"] if case["bar"]]
    assert {1 / 1.5, 0.5, 3} <= set(bars)


@pytest.mark.cuda
def test_an_iteration_launches_twice_at_most_and_waits_for_nothing() -> None:
    if not native.cuda_status().available:
        pytest.skip(f"no GPU: {native.cuda_status().reason}")
    for hop in (256, 512):
        ours = Noise.of(1024, hop, Sizes(batch=2, seconds=0.3, rounds=1), "cuda")
        launches, waits = bench_occlude.per_call(ours.iterate)
        assert launches <= 2
        assert waits == 0


def test_occlude_is_measured_and_written(tmp_path: Path) -> None:
    done = run_quick(tmp_path, "bench_occlude.py", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert "bars met" in done.stdout
    written = result(tmp_path / "occlude.cpu.json")
    assert written["environment"]["threads"] == 1
    assert set(written["environment"]["malloc"]) >= {"MALLOC_TRIM_THRESHOLD_"}
    names = " ".join(case["name"] for case in written["cases"])
    for part in ("kernel", "function", "random 200", "baseline", "float16", "noise", "backward"):
        assert part in names


def test_moments_are_measured_and_written(tmp_path: Path) -> None:
    done = run_quick(tmp_path, "bench_moments.py", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    cases = result(tmp_path / "moments.cpu.json")["cases"]
    updates = [case for case in cases if case["name"].startswith("update")]
    assert all(case["bar"]["at_least"] == 1.5 for case in updates)  # SSE2 as well
    assert "dsyrk" in updates[0]["rivals"]
    assert cases[-1]["parameters"]["relative_difference"] < 1e-6  # theirs is float32


@pytest.mark.slow
def test_an_interrogation_is_measured_in_multiples_of_real_time(tmp_path: Path) -> None:
    pytest.importorskip("python_stretch", reason="extra horse: pip install python-stretch")
    done = run_quick(tmp_path, "bench_interrogate.py", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    (case,) = result(tmp_path / "interrogate.cpu.json")["cases"]
    facts = case["parameters"]
    whole = case["rivals"]["ours"]["median_s"]
    assert facts["times_real_time"] == pytest.approx(16 * 3 * 10 / whole)
    assert facts["stretcher_share"] > 0  # of times: on a busy machine also above 1
    assert facts["peak_mb"] > 100


@pytest.mark.parametrize("name", bench_rhythm.FEATURES)
def test_rivals_of_the_rhythm_features_find_the_same(name: str) -> None:
    ours, rival = bench_rhythm.FEATURES[name]
    y = render_dance(plan_dance(1)[0]).astype(np.float64)
    (result,) = ours(torch.from_numpy(y)[None]).numpy()
    np.testing.assert_allclose(result, rival(y), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_rhythm_is_measured_in_multiples_of_real_time(tmp_path: Path) -> None:
    command = ("benchmarks/bench_rhythm.py", "--device", "cpu", "--quick")
    done = run(tmp_path, sys.executable, *command)
    assert done.returncode == 0, done.stderr
    cases = result(tmp_path / "rhythm.cpu.json")["cases"]
    assert [case["name"].split(",")[0] for case in cases] == [
        "rhythm", "spectral periodicity", "scale transform", "DeSPerF",
    ]  # fmt: skip
    for case in cases:
        facts, seconds = case["parameters"], case["rivals"]["ours"]["median_s"]
        assert facts["times_real_time"] == pytest.approx(2 * 10 / seconds)
        assert facts["largest_difference"] < 1e-5


@pytest.mark.slow
def test_bindings_are_built_measured_and_written(tmp_path: Path) -> None:
    for package in ("pybind11", "nanobind"):
        pytest.importorskip(package)
    done = run_quick(tmp_path, "bindings/bench_bindings.py")
    assert done.returncode == 0, done.stderr
    written = result(tmp_path / "bindings.cpu.json")
    assert "nanobind, nb::ndarray" in written["cases"][0]["ratios"]
    assert "pybind11, same caster" in written["cases"][0]["ratios"]


def test_gpu_script_refuses_a_machine_without_one(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    done = run(tmp_path, "benchmarks/gpu.sh")
    assert done.returncode == 1
    assert "no GPU here" in done.stderr
    assert "unknown option --foo" in run(tmp_path, "benchmarks/gpu.sh", "--foo").stderr


@pytest.fixture
def stubs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in for a GPU's tools: each writes what it was asked for to a log."""
    folder = tmp_path / "stubs"
    folder.mkdir()
    for name, answer in (
        ("nvidia-smi", "echo name, driver_version; echo A chip, 600.1"),
        ("compute-sanitizer", 'case "$*" in *"-c "*) exit ${MATCHED:-9} ;; esac'),
    ):
        stub = folder / name
        stub.write_text(f'#!/bin/sh\necho "{name} $*" >> {folder}/log\n{answer}\n')
        stub.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("SANITIZER", str(folder / "compute-sanitizer"))
    return folder


@pytest.mark.slow
def test_gpu_script_runs_dry_on_a_cpu(tmp_path: Path, stubs: Path) -> None:
    done = run(tmp_path, "benchmarks/gpu.sh", "--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr
    steps = re.findall("^done: ([^,]+),", done.stdout, re.MULTILINE)
    first = [
        "doctor",
        "tests",
        *(f"benchmarks/bench_{n}.py" for n in ("occlude", "moments", "stft")),
    ]
    checks = ["memcheck", "racecheck", "initcheck", "synccheck"]
    assert steps[:10] == [*first, "sanitizer's filter", *checks]
    assert result(tmp_path / "occlude.cpu.json")["benchmark"] == "occlude"
    assert "A chip, 600.1" in done.stdout
    asked = (stubs / "log").read_text()
    for tool in checks:
        assert f"--tool {tool} --error-exitcode 9 --kernel-name kns=otoscope" in asked


@pytest.mark.slow
def test_gpu_script_notices_a_filter_without_kernels(
    tmp_path: Path, stubs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATCHED", "0")  # initcheck saw no error where there is one
    done = run(tmp_path, "benchmarks/gpu.sh", "--dry-run", "--only", "filter")
    assert done.returncode == 1
    assert "the filter kns=otoscope matched no kernel" in done.stdout
    assert "failed: sanitizer's filter (exit code 1)" in done.stderr
    assert "bench_occlude" not in done.stdout


@pytest.mark.slow
def test_gpu_script_keeps_its_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMIT", "0")
    done = run(tmp_path, "benchmarks/gpu.sh", "--dry-run")
    assert done.returncode == 1
    assert "otoscope does not build here" in done.stderr  # no second is left


@pytest.mark.slow
def test_explanations_are_measured_and_exact(tmp_path: Path) -> None:
    done = run_quick(tmp_path, "bench_explain.py", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    first, *_ = result(tmp_path / "explain.cpu.json")["cases"]
    assert {"torch, at its best", "torch, batch 128", "NumPy, 2017"} <= set(first["rivals"])
    assert first["parameters"]["largest_difference"] < 1e-5
    assert first["parameters"]["plan"].startswith("shared forward pass: all")


@pytest.mark.slow
def test_estimators_come_close_to_what_they_estimate(tmp_path: Path) -> None:
    if not all(map(find_spec, ("captum", "shap", "shapiq"))):
        pytest.skip("the extra bench is not installed: pip install 'otoscope[bench]'")
    done = run(tmp_path, sys.executable, "benchmarks/bench_error.py", "--device", "cpu", "--quick")
    assert done.returncode == 0, done.stderr
    cases = {
        name: case["parameters"]
        for case in result(tmp_path / "error.cpu.json")["cases"]
        for name in case["ratios"]
    }
    assert set(cases) > {"captum Lime", "shap KernelExplainer", "shapiq KernelSHAP"}
    for name in ("shap KernelExplainer", "shapiq KernelSHAP"):  # 4 segments have 16 coalitions
        assert list(cases[name]["error"].values())[-1] < 1e-5
    assert all(min(facts["error"].values()) < 1 for facts in cases.values())


def test_start_times_whole_processes(tmp_path: Path) -> None:
    done = run_quick(tmp_path, "bench_start.py", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    (case,) = result(tmp_path / "start.cpu.json")["cases"]
    assert case["name"] == "otoscope folk sample --help"
    assert case["bar"]["at_least"] == 1 / 0.25
    assert set(case["rivals"]) == {"ours", "import torch"}


@pytest.mark.slow  # the import of Quantus takes seconds
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_measures_equal_quantus_before_they_are_timed(tmp_path: Path) -> None:
    pytest.importorskip("quantus", reason="quantus is not installed (extra 'bench')")
    done = run_quick(tmp_path, "bench_evaluation.py", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    first, *others = result(tmp_path / "evaluation.cpu.json")["cases"]
    assert set(first["rivals"]) == {"ours", "Quantus", "ours, explaining too"}
    assert first["bar"]["at_least"] == 20
    assert len(others) == 2


def test_sounds_become_images_and_the_radius_is_half() -> None:
    x = 2 * torch.rand(3, 16) - 1
    x *= 2 / x.norm(dim=1, keepdim=True)
    u = bench_strong.to_unit(x)
    assert u.shape == (3, 1, 4, 4)
    torch.testing.assert_close(bench_strong.from_unit(u), x)
    d = torch.randn(3, 16)
    d *= 2 / 10 ** (12 / 20) / d.norm(dim=1, keepdim=True)  # 12 dB
    moved = (bench_strong.to_unit(x + d) - u).flatten(1).norm(dim=1)
    torch.testing.assert_close(moved, torch.full((3,), bench_strong.image_radius(x, 12.0)))


@pytest.mark.slow
def test_strong_attacks_are_measured_beside_torchattacks(tmp_path: Path) -> None:
    pytest.importorskip("torchattacks", reason="pip install --no-deps torchattacks")
    done = run_quick(tmp_path, "bench_strong.py", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    cases = result(tmp_path / "strong.cpu.json")["cases"]
    names = {case["name"].split(",")[0] for case in cases}
    assert names == {"APGD-CE", "APGD-DLR", "APGD-T", "FAB-T", "Square"}
    assert all(set(case["rivals"]) == {"ours", "torchattacks"} for case in cases)


@pytest.mark.slow
def test_a_grid_is_measured_beside_runs_one_by_one(tmp_path: Path) -> None:
    done = run_quick(tmp_path, "bench_maximise.py", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    (case,) = result(tmp_path / "maximise.cpu.json")["cases"]
    assert set(case["rivals"]) == {"ours", "sequential"}
    assert case["parameters"]["difference"] < 1e-3
    assert case["parameters"]["shortfall of stationary rows"] == 0  # in 4 steps none is


@pytest.mark.slow
def test_searches_are_measured_beside_the_passes_of_their_model(tmp_path: Path) -> None:
    done = run_quick(tmp_path, "bench_attack.py", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    cases = result(tmp_path / "attack.cpu.json")["cases"]
    searches = ["WaveformPGD", "MagnitudeAdversary", "ActivationMaximiser"]
    names = [case["name"] for case in cases]
    assert [*dict.fromkeys(name.split(",")[0] for name in names)] == searches
    for case, name in zip(cases, names, strict=True):
        both = {"passes, channels_last"} if name.endswith("memory_format auto") else set()
        assert set(case["rivals"]) == {"ours", "passes"} | both

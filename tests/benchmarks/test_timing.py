"""Timings: rivals in turn, medians and quartiles by hand, and a JSON that does not pretend."""

from __future__ import annotations

import json
import math
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import timing
from otoscope.errors import CudaUnavailable, ParameterError
from tests.support.paths import ROOT
from timing import Bar, Case, Timing, compare, environment, measure, ratio, write

durations = st.floats(1e-9, 1e3)


@given(st.lists(durations, min_size=1))
def test_quartiles_enclose_the_median_within_the_range(seconds: list[float]) -> None:
    timing = Timing(tuple(seconds))
    low, high = timing.quartiles_s
    slack = 1 + 1e-12  # interpolation rounds
    assert min(seconds) <= low * slack
    assert low <= timing.median_s * slack
    assert timing.median_s <= high * slack
    assert high <= max(seconds) * slack


def test_summary_of_known_seconds() -> None:
    summary = Timing((5.0, 1.0, 2.0, 4.0, 3.0)).summary()
    assert summary == {"median_s": 3.0, "low_s": 2.0, "high_s": 4.0, "repeats": 5}


@given(st.lists(durations, min_size=1), st.floats(0.01, 100))
def test_ratio_of_a_rival_always_so_much_slower_is_exact_under_drift(
    seconds: list[float], factor: float
) -> None:
    rival = Timing(tuple(factor * s for s in seconds))
    assert math.isclose(ratio(rival, Timing(tuple(seconds))), factor, rel_tol=1e-12)


def test_rivals_run_in_turn_in_an_order_that_changes() -> None:
    calls: list[str] = []

    def rival(name: str) -> Callable[[], None]:
        return lambda: calls.append(name)

    timings = compare({name: rival(name) for name in "abc"}, repeats=6, warmup=3)
    assert [len(timing.seconds) for timing in timings.values()] == [6, 6, 6]
    rounds = [calls[i : i + 3] for i in range(0, len(calls), 3)]
    assert all(sorted(names) == ["a", "b", "c"] for names in rounds)
    assert [names[0] for names in rounds] == list("abc") * 3
    assert len({tuple(names) for names in rounds}) > 3
    before = calls.copy()
    compare({name: rival(name) for name in "abc"}, repeats=6, warmup=3)
    assert calls == before * 2


def test_clock_sees_a_sleep() -> None:
    timing = measure(lambda: time.sleep(0.002), repeats=3, warmup=0)
    assert all(seconds >= 0.002 for seconds in timing.seconds)


def test_time_is_that_of_one_call_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]

    def two_seconds() -> None:
        clock[0] += 2

    monkeypatch.setattr("otoscope.timing.perf_counter", lambda: clock[0])
    assert measure(two_seconds, repeats=3, warmup=1, calls=5).seconds == (2.0, 2.0, 2.0)
    assert clock == [2.0 * 5 * (3 + 1)]


def test_some_rivals_may_be_called_several_times_in_a_row() -> None:
    calls: list[str] = []
    rivals = {"short": lambda: calls.append("short"), "long": lambda: calls.append("long")}
    compare(rivals, repeats=2, warmup=0, calls={"short": 3})
    assert calls == ["short"] * 3 + ["long"] * 2 + ["short"] * 3
    with pytest.raises(ParameterError, match="calls"):
        compare(rivals, calls={"short": 0})


@pytest.mark.parametrize("wrong", [{"repeats": 0}, {"calls": 0}, {"warmup": -1}])
def test_senseless_numbers_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ParameterError, match="repeats"):
        measure(lambda: None, **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(("value", "met"), [(0.9, True), (0.8999, False), (math.nan, False)])
def test_bar_is_met_from_its_value_on(value: float, met: bool) -> None:
    assert Bar("fill_ / ours", value=value, at_least=0.9).met is met


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_nothing_is_timed_or_written_for_a_device_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUT", str(tmp_path))
    with pytest.raises(CudaUnavailable, match="cuda"):
        measure(lambda: pytest.fail("it ran"), device="cuda")
    with pytest.raises(CudaUnavailable, match="cuda"):
        write("occlude", [], device="cuda")
    assert not list(tmp_path.iterdir())
    with pytest.raises(ParameterError, match="meta"):
        measure(lambda: pytest.fail("it ran"), device="meta")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_events_see_the_kernel_and_not_only_its_launch() -> None:
    x = torch.zeros(1 << 28, device="cuda")  # 1 GiB: no GPU writes it in 50 us
    assert measure(lambda: x.fill_(1), device="cuda", repeats=5).median_s > 50e-6
    assert environment("cuda")["name"] == torch.cuda.get_device_name()


def test_json_has_the_form_that_the_docs_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUT", str(tmp_path / "new"))
    script = ROOT / "benchmarks" / "bench_occlude.py"
    monkeypatch.setattr(sys, "argv", [str(script), "--size", "a b"])
    rivals = {"ours": Timing((1.0, 2.0, 4.0)), "fill_": Timing((2.0, 4.0, 8.0))}
    case = Case("small", {"samples": 3}, rivals, Bar("fill_ / ours", value=2.0, at_least=0.9))
    path = write("occlude", [case, Case("bare", {}, rivals)])
    assert path == tmp_path / "new" / "occlude.cpu.json"
    result = json.loads(path.read_text())
    assert result["benchmark"] == "occlude"
    assert result["command"] == "python benchmarks/bench_occlude.py --size 'a b'"
    assert {"device", "name", "isa", "threads", "versions", "commit", "malloc"} == set(
        result["environment"]
    )
    assert result["environment"]["threads"] == torch.get_num_threads()
    small, bare = result["cases"]
    assert small["parameters"] == {"samples": 3}
    assert small["rivals"]["fill_"] == {
        "median_s": 4.0,
        "low_s": 3.0,
        "high_s": statistics.mean([4.0, 8.0]),
        "repeats": 3,
    }
    assert small["ratios"] == {"fill_": 2.0}
    assert small["bar"] == {"text": "fill_ / ours", "value": 2.0, "at_least": 0.9, "met": True}
    assert bare["bar"] is None


def test_parts_of_one_state_of_the_sources_are_joined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUT", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["b.py", "--only", "a net", "--device", "cpu"])
    here = environment()
    monkeypatch.setattr(timing, "environment", lambda device: here)

    def written(*names: str) -> list[str]:
        cases = [Case(name, {}, {"ours": Timing((1.0,))}) for name in names]
        result = json.loads(write("explain", cases, is_part=True).read_text())
        assert result["command"] == "python b.py --device cpu"
        return [case["name"] for case in result["cases"]]

    first = written("a net; batch 4", "a net: 2 threads", "peak, a net: 8 MB")
    assert written("a net, deep; batch 8") == [*first, "a net, deep; batch 8"]
    assert written("a net; batch 2") == [first[2], "a net, deep; batch 8", "a net; batch 2"]
    here = {**here, "commit": "another"}
    assert written("a net; batch 2") == ["a net; batch 2"]

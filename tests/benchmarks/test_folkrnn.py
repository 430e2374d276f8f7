"""The sampling benchmark runs, and its rivals compute the same step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bench_folkrnn import SIZES, cause, folk_model, lengths, operations, ours, plain
from folkrnn_graph import onnx_step
from otoscope.folk.model import FolkRNN
from otoscope.timing import Timing
from tests.support.benchmark_runs import result, run_quick


@pytest.mark.parametrize("inputs", [(), ("bar",), ("part", "earlier")])
def test_the_graph_computes_what_the_network_does(inputs: tuple[str, ...]) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    net = FolkRNN(9, hidden=8, layers=3, inputs=inputs).eval()
    if "earlier" in inputs:
        torch.nn.init.ones_(net.gates.bias)
    session = onnxruntime.InferenceSession(onnx_step(net), providers=["CPUExecutionProvider"])
    h, c = net.initial_state(4)
    ids, positions = torch.tensor([1, 2, 3, 8]), None
    given = {"ids": ids[None].numpy(), "h": h.numpy(), "c": c.numpy()}
    if inputs:
        sizes = net.column_sizes
        given["positions"] = np.random.default_rng(0).integers(0, sizes, (1, 4, len(sizes)))
        positions = torch.from_numpy(given["positions"][0])[:, None]
    made = session.run(None, given)
    logits, state = net(ids[:, None], positions=positions)
    for found, wanted in zip(made, (logits[:, 0], *state), strict=True):
        np.testing.assert_allclose(found, wanted.detach().numpy(), rtol=0, atol=1e-5)


def test_rivals_make_as_many_tokens() -> None:
    model = folk_model(SIZES["quick"], "cpu")
    ends = [3, 7, 5, 6]
    assert ours(model, ends, 3, "float32")() == plain(model, ends, 3)() == sum(ends)


def test_lengths_are_the_corpus() -> None:
    drawn = np.array(lengths(20_000))
    np.testing.assert_allclose(np.quantile(drawn, [0.05, 0.5, 0.95]), [92, 152, 314], rtol=0.02)
    assert drawn.mean() == pytest.approx(172.6, rel=0.02)


def test_sampling_is_measured_and_written(tmp_path: Path) -> None:
    done = run_quick(tmp_path, "bench_folkrnn.py", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert "tokens/s" in done.stdout
    written = result(tmp_path / "folkrnn.cpu.json")
    names = " ".join(case["name"] for case in written["cases"])
    for part in ("1 tune", "whole tunes, batch 64", "64 tunes in step"):
        assert part in names
    beside = [case for case in written["cases"] if case["name"].startswith("beside ONNX Runtime: ")]
    others = [case for case in written["cases"] if case not in beside]
    assert len(others) == 8
    for case in others:
        assert {"ours", "ours, float64", "nn.LSTM"} <= set(case["rivals"])
        assert case["parameters"]["threads"] == 1
        assert (case["bar"]["text"], case["bar"]["at_least"]) == ("nn.LSTM / ours", 4)
        assert ("multiplications" in case["rivals"]) == ("in step" in case["name"])
    for case in beside:
        assert set(case["rivals"]) == {"ours", "ONNX Runtime"}
        assert (case["bar"]["text"], case["bar"]["at_least"]) == ("ONNX Runtime / ours", 1)


def test_the_cause_of_a_missed_bar_is_measured() -> None:
    times = {"nn.LSTM": 8.0, "ours": 3.0, "multiplications": 1.5, "positions": 0.5}
    timings = {name: Timing((seconds,)) for name, seconds in times.items()}
    told = cause(timings, 6_000_000_000)
    assert "the multiplications 75% and the positions 25%;" in told
    assert "run at 4 GFLOP/s" in told


def test_operations_are_two_for_each_weight_and_token() -> None:
    model = folk_model(SIZES["quick"], "cpu")  # 2 layers of 8 units, in panels of 16
    assert operations(model, 3) == 2 * 3 * (64 * 16 + 64 * 32 + 144 * 16)

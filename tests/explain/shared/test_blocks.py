"""Rows in blocks: small blocks and threads change no value, and nothing is computed twice."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from otoscope import ops
from otoscope.explain.shared import _blocks
from tests.explain.shared.test_shared import NETWORKS, brute_force, excerpts, off, shared
from tests.support.networks import Net, prepared, segment_maps


@pytest.fixture
def deferring(monkeypatch: pytest.MonkeyPatch) -> None:
    """Defer every row, in blocks of a few variants."""
    monkeypatch.setattr(_blocks, "_CACHED", 300)
    monkeypatch.setattr(_blocks, "_DEFERRED", 0)


@pytest.mark.usefixtures("deferring")
@pytest.mark.parametrize("ids", ["temporal", "grid"])
@pytest.mark.parametrize("name", NETWORKS)
def test_equals_brute_force(name: str, ids: str) -> None:
    net, segments = prepared(NETWORKS[name]), segment_maps()[ids]
    keep = ops.coalitions(int(segments.max()) + 1, "bernoulli", 40, seed=3)
    patches, contents = excerpts()
    outputs, _ = shared(net, patches, contents, segments, keep)
    assert off(outputs, brute_force(net, patches, contents, segments, keep)) < 1e-12


@pytest.mark.usefixtures("deferring")
def test_threads_compute_the_same_values() -> None:
    net = prepared(NETWORKS["residual, batch norm, groups"])
    patches, contents = excerpts()
    ids, keep = segment_maps()["temporal"], ops.coalitions(5, "exact")
    n_threads, outputs = torch.get_num_threads(), []
    try:
        for n in (1, 3):
            torch.set_num_threads(n)
            outputs.append(shared(net, patches, contents, ids, keep)[0])
            assert torch.get_num_threads() == n
    finally:
        torch.set_num_threads(n_threads)
    assert off(*outputs) < 1e-12


@pytest.mark.usefixtures("deferring")
def test_what_several_operations_read_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    convolve, sizes = F.conv2d, list[int]()

    def counting(*args: Any) -> Tensor:
        result: Tensor = convolve(*args)
        sizes.append(result.numel())
        return result

    net = prepared(
        Net(
            lambda n, x: (n.c(x) * 2 + n.c(x).relu() + n.c(x).mT.mT.tanh()).mean((2, 3)),
            c=nn.Conv2d(1, 4, 3, padding=1),
        )
    )
    net_of_one = prepared(Net(lambda n, x: _three(n.c(x)), c=nn.Conv2d(1, 4, 3, padding=1)))
    ids, keep = segment_maps()["temporal"], ops.coalitions(5, "exact")
    monkeypatch.setattr(F, "conv2d", counting)
    totals = []
    for network in (net, net_of_one):
        sizes.clear()
        shared(network, *excerpts(), ids, keep)
        totals.append(sum(sizes))
    assert totals[1] * 3 == totals[0]


def _three(x: Tensor) -> Tensor:
    return (x * 2 + x.relu() + x.mT.mT.tanh()).mean((2, 3))

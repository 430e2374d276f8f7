"""Dense layers: products by either library, matrices in another order, rows in huge pages."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from otoscope import ops
from otoscope.explain.shared import _blocks, _reduction
from otoscope.explain.shared.forward import SharedForward
from tests.explain.shared.test_shared import brute_force, excerpts, off, shared
from tests.support.networks import Net, prepared, segment_maps


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    "shape", [(1, 5, 128, 100), (2, 300, 96, 64), (1, 1, 4096, 3), (3, 7, 5, 4), (1, 0, 128, 64)]
)
def test_products_are_those_of_double_precision(
    shape: tuple[int, int, int, int], bias: bool
) -> None:
    n, rows, inputs, outputs = shape
    rng = torch.Generator().manual_seed(inputs)
    x = torch.randn(n, rows, inputs, generator=rng)
    weight = torch.randn(outputs, inputs, generator=rng)
    add = torch.randn(outputs, generator=rng) if bias else None
    product = _reduction.multiplied(x, weight, add)
    expected = x.double() @ weight.double().T + (0 if add is None else add.double())
    # n roundings of sums of up to sqrt(n): at most about eps n, five times that for the worst
    torch.testing.assert_close(product.double(), expected, rtol=0, atol=3e-7 * inputs)


def test_products_keep_gradients() -> None:
    x, weight = torch.randn(1, 4, 128), torch.randn(64, 128, requires_grad=True)
    _reduction.multiplied(x, weight, None).sum().backward()
    torch.testing.assert_close(weight.grad, x.sum((0, 1)).expand(64, 128))


def test_a_matrix_is_read_at_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its copy in another order is not used once a number differs, however that was written."""
    patches, contents = excerpts()
    ids, keep = segment_maps()["temporal"], ops.coalitions(5, "exact")
    frames, mels = ids.shape[-2:]
    net = prepared(
        Net(
            lambda n, x: n.d(n.c(x).relu().flatten(1)),
            c=nn.Conv2d(1, 3, 3),
            d=nn.Linear(3 * (frames - 2) * (mels - 2), 2),
        )
    )
    forward = SharedForward(net, patches.shape[1:], patches.dtype, patches.device)
    weight = net.get_submodule("d").weight
    assert isinstance(weight, torch.Tensor)
    with torch.no_grad():
        for change in (lambda: None, lambda: weight.data[-1, -1:].add_(1), weight.data.neg_):
            change()
            outputs = forward(patches, contents, ids[None], keep)
            assert off(outputs, brute_force(net, patches, contents, ids, keep)) < 1e-12


@pytest.mark.parametrize("first", [0.0, float("nan")])
def test_matrices_are_compared_by_their_bits(first: float) -> None:
    matrix = torch.full((9, 3), first)
    for columns in (2, 3):  # eight bytes at a time, or not
        part = matrix[:, :columns].contiguous()
        assert _reduction._are_equal(part, part.clone()) == (columns == 2 or first == 0)
        other = part.clone()
        other[-1, -1] = 1
        assert not _reduction._are_equal(part, other)
        assert not _reduction._are_equal(part, other.double())
        assert not _reduction._are_equal(part, other[1:])


def test_rows_in_huge_pages_have_the_same_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_blocks, "_CACHED", 300)
    monkeypatch.setattr(_blocks, "_DEFERRED", 0)
    net = prepared(Net(lambda n, x: n.c(x).relu().mean((2, 3)), c=nn.Conv2d(1, 3, 3)))
    arguments = *excerpts(), segment_maps()["temporal"], ops.coalitions(5, "exact")
    usual, _ = shared(net, *arguments)
    monkeypatch.setattr(_blocks, "_LARGE", 1)
    assert torch.equal(shared(net, *arguments)[0], usual)
    rows = _blocks._empty_like(usual, (3, 5, 7))
    assert rows.shape == (3, 5, 7)
    assert rows.dtype == usual.dtype
    assert rows.is_contiguous()
    rows.fill_(1)
    assert rows.sum() == 105

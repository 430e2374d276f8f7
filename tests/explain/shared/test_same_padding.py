"""Kernels of even length with padding="same": the odd cell is after the input, as in torch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from otoscope import ops
from otoscope.explain.shared import SharedForward
from tests.support.networks import FRAMES, MELS, Net, prepared, segment_maps

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")


def networks() -> dict[str, nn.Module]:
    """Networks of one or two such convolutions, and a head that tells the cells apart."""
    same: Any = {"padding": "same"}
    head = nn.Linear(FRAMES * MELS, 2)
    return {
        "even, even": nn.Sequential(nn.Conv2d(1, 1, (4, 2), **same), nn.Flatten(), head),
        "even, odd": nn.Sequential(nn.Conv2d(1, 1, (2, 3), **same), nn.Flatten(), head),
        "dilated": nn.Sequential(
            nn.Conv2d(1, 1, (2, 4), dilation=(3, 1), **same), nn.Flatten(), head
        ),
        "twice": nn.Sequential(
            nn.Conv2d(1, 3, 2, **same), nn.ReLU(), nn.Conv2d(3, 1, 4, **same), nn.Flatten(), head
        ),
        "one dimension": Net(
            lambda n, x: n.o(n.c(x[:, 0].mT).flatten(1)),
            c=nn.Conv1d(MELS, 3, 4, **same),
            o=nn.Linear(3 * FRAMES, 2),
        ),
    }


@pytest.mark.parametrize("segments", ["temporal", "grid"])
@pytest.mark.parametrize("name", networks())
def test_even_kernel_equals_brute_force(name: str, segments: str) -> None:
    torch.manual_seed(0)
    net, ids = prepared(networks()[name]), segment_maps()[segments]
    patches = torch.randn(1, 1, FRAMES, MELS, dtype=torch.float64)
    contents = torch.randn(1, 1, 1, MELS, dtype=torch.float64)
    keep = ops.coalitions(int(ids.max()) + 1, "exact")
    forward = SharedForward(net, patches.shape[1:], patches.dtype, patches.device, batch=3)
    with torch.no_grad():
        outputs = forward(patches, contents, ids[None], keep)
        expected = net(torch.where(keep.unpack()[:, ids][:, None], patches[0], contents[0]))
    assert forward.report.shared > 0
    assert _difference(outputs[0], expected) < 1e-12


def _difference(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())

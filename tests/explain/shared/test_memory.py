"""Convolutions read no uninitialised memory, and write within their own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from otoscope import ops
from otoscope.explain.shared import SharedForward
from tests.support.networks import Net, prepared

FRAMES = 80
SHAPES = [  # channels, outputs, kernel, stride, dilation, groups
    (561, 64, 7, 1, 1, 1),  # musicnn's: NaN with channels last
    (505, 128, 13, 1, 1, 1),
    (374, 128, 9, 3, 1, 1),
    (209, 64, 13, 1, 2, 1),
    (956, 256, 13, 1, 1, 4),
    (608, 32, 2, 3, 1, 1),  # wrote beyond its memory
    (576, 64, 2, 3, 2, 1),
    (6, 64, 3, 1, 1, 1),
    (256, 16, 3, 1, 1, 1),
    (1, 8, 5, 2, 1, 1),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_convolutions_stay_within_their_memory(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...]
) -> None:
    channels, outputs, kernel, stride, dilation, groups = shape
    torch.manual_seed(0)
    convolution = nn.Conv1d(channels, outputs, kernel, stride, 0, dilation, groups)
    net = prepared(Net(lambda n, x: n.c(x[:, 0].mT).amax(2), c=convolution)).float()
    patches, contents = torch.randn(1, 1, FRAMES, channels), torch.randn(1, 1, 1, channels)
    ids = (torch.arange(FRAMES) * 5 // FRAMES)[:, None].expand(FRAMES, channels)
    keep = ops.coalitions(5, "exact")
    forward = SharedForward(net, patches.shape[1:], patches.dtype, patches.device, batch=3)
    plain = torch.conv2d

    def after_nan(*arguments: Any) -> Tensor:
        for exponent in range(10, 21, 2):  # what is freed is reused as it is
            _ = [torch.full((1 << exponent,), float("nan")) for _ in range(4)]
        return plain(*arguments)

    monkeypatch.setattr(torch.nn.functional, "conv2d", after_nan)
    with torch.no_grad():
        found = forward(patches, contents, ids[None], keep)[0]
        assert forward.report.shared > 0
        samples = torch.where(keep.unpack()[:, ids][:, None], patches[0], contents[0])
        expected = net.double()(samples.double())
    # n roundings of sums of up to sqrt(n): at most about eps n, five times that for the worst
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=3e-7 * kernel * channels)

"""Features of distances: taken from whatever a network returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.metrics import FrechetDistance, KernelDistance


@pytest.mark.parametrize(
    ("answer", "output"),
    [
        (lambda x: {"features": x, "name": "net"}, None),
        (lambda x: (x, x + 1), None),
        (lambda x: x.numpy(), None),
        (lambda x: {"tokens": x + 1, "features": x}, "features"),
        (lambda x: (x + 1, x), 1),
    ],
)
def test_features_are_taken_from_whatever_a_network_returns(
    answer: Callable[[Tensor], Any], output: str | int | None
) -> None:
    pair = [torch.rand(9, 3, generator=torch.Generator().manual_seed(i)) for i in range(2)]
    metric, plain = FrechetDistance(answer, output=output), FrechetDistance()
    for x, is_real in zip(pair, (True, False), strict=True):
        metric.update(x, real=is_real)
        plain.update(x, real=is_real)
    assert torch.equal(metric.compute(), plain.compute())
    if isinstance(output, str):
        with pytest.raises(ParameterError, match="name the one to take with output='tokens'"):
            KernelDistance(answer).update(pair[0], real=True)

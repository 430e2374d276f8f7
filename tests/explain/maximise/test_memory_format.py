"""Maximisation in another memory format: the same inputs, from a model that stays as it is."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from otoscope.errors import ParameterError
from otoscope.explain import ActivationMaximiser, RawPrior
from tests.explain.maximise.test_maximise import SHAPE, curved, maximiser


@pytest.mark.parametrize("memory_format", ["channels_last", "auto"])
def test_another_memory_format_gives_the_same_inputs(memory_format: Any) -> None:
    usual = maximiser().run(rate=0.05, iterations=100, seeds=3)
    net: Any = curved()
    weight, strides = net[0].weight, net[0].weight.stride()
    seen: list[bool] = []
    net[0].register_forward_pre_hook(lambda conv, _: seen.append(conv.weight is not weight))
    other = ActivationMaximiser(
        net, RawPrior(SHAPE, scale=1.0), layer="3", unit=1, memory_format=memory_format
    )
    found = other.run(rate=0.05, iterations=100, seeds=3)
    assert any(seen)
    torch.testing.assert_close(found.input, usual.input, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(found.trace, usual.trace, rtol=1e-6, atol=1e-9)
    assert net[0].weight is weight
    assert weight.stride() == strides
    if memory_format == "channels_last":
        assert seen.count(True) == 1 + 100  # a comparison, and every iteration
    else:
        assert seen.count(True) >= 2  # the comparison, and at least a warm-up


def test_a_short_search_stays_contiguous() -> None:
    net: Any = curved()
    weight, seen = net[0].weight, list[bool]()
    net[0].register_forward_pre_hook(lambda conv, _: seen.append(conv.weight is weight))
    maximise = ActivationMaximiser(net, RawPrior(SHAPE), layer="3", unit=1, memory_format="auto")
    maximise.run(iterations=99, seeds=1)
    assert all(seen)


def test_an_unknown_memory_format_is_refused() -> None:
    with pytest.raises(ParameterError, match="memory_format is 'nhwc', must be 'contiguous'"):
        maximiser(memory_format="nhwc")

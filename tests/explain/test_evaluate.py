"""The model is called, and what goes wrong there is told with its remedy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.explain import SoundLIME, segments
from otoscope.explain.evaluate import model_name
from otoscope.protocols import Patch, choose_targets


def explain(model: Callable[[Tensor], Tensor]) -> list[int]:
    lime = SoundLIME(model, segments=segments.temporal(4), content=0.0)
    return lime.explain(Patch(torch.ones(8, 3))).top()


def test_numpy_inside_is_fine_and_outside_is_told_the_remedy() -> None:
    def inside(batch: Tensor) -> Tensor:
        return torch.as_tensor(np.asarray(batch)[:, 0, 2:4].mean((1, 2)))

    def outside(batch: Tensor) -> Tensor:
        return inside(batch).numpy()  # type: ignore[return-value]

    assert explain(inside) == [1]
    with pytest.raises(ParameterError, match=r"a ndarray, .*; return torch\.as_tensor\(\.\.\.\)"):
        explain(outside)


@pytest.mark.parametrize("kind", ["module", "function"])
def test_a_model_that_fails_is_told_with_what_it_was_given(kind: str) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(7, 1))
    model = net if kind == "module" else lambda batch: net(batch)
    with pytest.raises(
        ParameterError, match=r"given \[8, 1, 8, 3\] = \[batch, 1, frame, mel\] and raised Runtime"
    ) as raised:
        explain(model)
    assert isinstance(raised.value.__cause__, RuntimeError)


def test_an_interrupt_is_no_failure_of_the_model() -> None:
    def model(batch: Tensor) -> Tensor:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        explain(model)


def test_name_of_a_model_is_its_own_its_functions_or_its_classs() -> None:
    net = nn.Flatten()
    assert model_name(net) == "Flatten"
    net.name = "detector"  # type: ignore[assignment]
    assert model_name(net) == "detector"
    net.name = 3  # type: ignore[assignment]
    assert model_name(net) == "Flatten"
    assert model_name(explain) == "explain"


def test_an_unknown_output_of_a_model_without_names_tells_how_to_name_them() -> None:
    with pytest.raises(ParameterError, match=r"set model\.output_names = \[\.\.\.\]"):
        choose_targets("speech", 2)
    with pytest.raises(ParameterError, match=r"no such output; did you mean 'singing'\?$"):
        choose_targets("sing", 2, ["singing", "drums"])

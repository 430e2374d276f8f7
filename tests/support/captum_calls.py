"""Calls of captum's methods, drawn at random, and their comparison between two libraries."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor

from otoscope.adapters import captum as ours

theirs = pytest.importorskip("captum.attr")
Forward = Callable[..., Any]


def attribute(
    library: Any, method: str, forward: Forward, *args: Any, **kwargs: Any
) -> tuple[Any, set[type[Warning]]]:
    """What a method gives under a fixed seed, and which warnings it raises."""
    torch.manual_seed(3)
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        result = getattr(library, method)(forward).attribute(*args, **kwargs)
    return result, {warning.category for warning in raised}


def assert_same(
    method: str, forward: Forward, *args: Any, rtol: float = 1e-5, atol: float = 1e-5, **kwargs: Any
) -> None:
    """Values, shapes, types and warnings are captum's."""
    wanted, their_warnings = attribute(theirs, method, forward, *args, **kwargs)
    found, our_warnings = attribute(ours, method, forward, *args, **kwargs)
    assert type(found) is type(wanted)
    torch.testing.assert_close(found, wanted, rtol=rtol, atol=atol)
    assert our_warnings == their_warnings


def net_of(sizes: list[int], seed: int, n_outputs: int = 3) -> Forward:
    """A function of several inputs and (scale, [shift]): [example, output], not additive."""
    generator = torch.Generator().manual_seed(seed)
    weights = [torch.randn(size, n_outputs, generator=generator).double() for size in sizes]

    def forward(*inputs: Any) -> Tensor:
        rows = inputs[: len(sizes)]
        total = sum(
            one.flatten(1).double() @ weight for one, weight in zip(rows, weights, strict=True)
        )
        scale, shift = (*inputs[len(sizes) :], 1.0, 0.0)[:2] if len(inputs) > len(sizes) else (1, 0)
        assert isinstance(total, Tensor)
        output: Tensor = torch.tanh(total * 0.3) * scale + total.relu() + shift
        return output

    return forward


TARGETS: dict[str, Callable[[int], Any]] = {
    "index": lambda n: 1,
    "tuple": lambda n: (2,),
    "list": lambda n: [i % 3 for i in range(n)],
    "list of tuples": lambda n: [(i % 3,) for i in range(n)],
    "Tensor of one": lambda n: torch.tensor(2),
    "Tensor of each": lambda n: torch.arange(n) % 3,
}
BASELINES: dict[str, Callable[[list[Tensor]], Any]] = {
    "none": lambda inputs: None,
    "numbers": lambda inputs: tuple(0.5 + i for i in range(len(inputs))),
    "one row": lambda inputs: tuple(x[:1] * 0.5 for x in inputs),
    "rows": lambda inputs: tuple(x.flip(0) * 0.5 for x in inputs),
    "mixed": lambda inputs: tuple(x[:1] + 1 if i else 2 for i, x in enumerate(inputs)),
}


@st.composite
def calls(draw: st.DrawFn, *, most_examples: int = 3) -> dict[str, Any]:
    """Inputs and all that goes with them; at most 4 features where a mask is given."""
    n_examples = draw(st.integers(1, most_examples))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    shapes = draw(st.lists(st.sampled_from([(2,), (1, 2), (2, 1)]), min_size=1, max_size=2))
    inputs = [torch.randn(n_examples, *shape, generator=generator).double() for shape in shapes]
    masks = None
    if draw(st.booleans()):
        numbers = torch.tensor([0, 1, draw(st.integers(1, 3)), 3])
        rows = draw(st.sampled_from([1, n_examples]))
        masks = tuple(
            numbers[torch.randint(4, (rows, *shape), generator=generator)] for shape in shapes
        )
    baselines = BASELINES[draw(st.sampled_from(sorted(BASELINES)))](inputs)
    is_tuple = len(inputs) > 1 or draw(st.booleans())

    def form(given: Any) -> Any:
        return given if is_tuple or given is None else given[0]

    more = [None, (1.5,), (2, torch.randn(n_examples, 1, generator=generator).double())]
    return {
        "forward": net_of([x[0].numel() for x in inputs], seed=len(inputs)),
        "inputs": tuple(inputs) if is_tuple else inputs[0],
        "baselines": form(baselines),
        "feature_mask": form(masks),
        "target": TARGETS[draw(st.sampled_from(sorted(TARGETS)))](n_examples),
        "additional_forward_args": draw(st.sampled_from(more)),
        "perturbations_per_eval": draw(st.integers(1, 4)),
    }


def features_of(call: dict[str, Any]) -> list[int]:
    """The numbers in the masks, or those of the cells."""
    masks, inputs = (
        given if isinstance(given, tuple) else (given,)
        for given in (call["feature_mask"], call["inputs"])
    )
    if masks[0] is None:
        return list(range(sum(x[0].numel() for x in inputs)))
    found: list[int] = torch.cat([mask.flatten() for mask in masks]).unique().tolist()
    return found


def without_gaps_in_batches(call: dict[str, Any]) -> dict[str, Any]:
    """Where features are missing, captum's warning depends on how it batches: one at a time."""
    features = features_of(call)
    one = {"perturbations_per_eval": 1} if len(features) <= features[-1] else {}
    return {**call, **one}


def shifted(call: dict[str, Any], offset: int) -> dict[str, Any]:
    """Count the features from elsewhere."""
    masks = call["feature_mask"]
    if masks is None:
        return call
    moved = tuple(m + offset for m in masks) if isinstance(masks, tuple) else masks + offset
    return {**call, "feature_mask": moved}

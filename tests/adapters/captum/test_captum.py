"""The captum adapter against the installed captum: the same call, the same answer.

Both get the same seed. Where ours asks for all coalitions instead of drawing, the oracle is
captum's limit, the Shapley values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.futures import Future

from otoscope.adapters import captum as ours
from tests.support.captum_calls import (
    BASELINES,
    assert_same,
    attribute,
    calls,
    features_of,
    net_of,
    shifted,
    theirs,
    without_gaps_in_batches,
)
from tests.support.examples import examples


@examples(60)
@given(calls(), st.sampled_from([0, -7, 11]))
def test_feature_ablation_is_captums(call: dict[str, Any], offset: int) -> None:
    assert_same("FeatureAblation", **shifted(call, offset))


@examples(30)
@given(calls())
def test_shapley_values_are_captums(call: dict[str, Any]) -> None:
    assert_same("ShapleyValues", **without_gaps_in_batches(call))


@examples(40)
@given(calls(), st.integers(1, 2))
def test_shapley_value_sampling_is_captums_or_its_limit(
    call: dict[str, Any], n_samples: int
) -> None:
    n_features = features_of(call)[-1] + 1
    if 2**n_features > n_samples * n_features:
        call = without_gaps_in_batches(call)
        assert_same("ShapleyValueSampling", n_samples=n_samples, **call)
    else:
        found, _ = attribute(ours, "ShapleyValueSampling", n_samples=n_samples, **call)
        wanted, _ = attribute(theirs, "ShapleyValues", **call)
        torch.testing.assert_close(found, wanted)


@examples(50)
@given(st.data())
def test_occlusion_is_captums(data: st.DataObject) -> None:
    n_examples = data.draw(st.integers(1, 2))
    generator = torch.Generator().manual_seed(1)
    shapes = data.draw(
        st.lists(
            st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple), min_size=1, max_size=2
        )
    )
    inputs = [torch.randn(n_examples, *shape, generator=generator).double() for shape in shapes]
    windows = [tuple(data.draw(st.integers(1, size)) for size in shape) for shape in shapes]
    strides = [tuple(data.draw(st.integers(1, width)) for width in window) for window in windows]
    call: dict[str, Any] = {
        "target": data.draw(st.sampled_from([0, [2] * n_examples])),
        "perturbations_per_eval": data.draw(st.integers(1, 5)),
        "baselines": BASELINES[data.draw(st.sampled_from(sorted(BASELINES)))](inputs),
    }
    form = data.draw(st.sampled_from(["tuples", "least", "none"]))
    call["strides"] = {
        "tuples": tuple(strides),
        "least": tuple(min(stride) for stride in strides),
        "none": None,
    }[form]
    assert_same(
        "Occlusion",
        net_of([x[0].numel() for x in inputs], 2),
        tuple(inputs),
        tuple(windows),
        **call,
    )


METHODS = ["FeatureAblation", "ShapleyValues", "ShapleyValueSampling", "Lime"]
SCALARS: dict[str, Callable[[Tensor], Any]] = {
    "float": lambda output: float(output.sum()),
    "int": lambda output: int(output.sum() * 100),
    "0-d": lambda output: output.sum(),
    "1-d": lambda output: output.sum().reshape(1),
}


@pytest.mark.parametrize("scalar", SCALARS.values(), ids=SCALARS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_examples", [1, 3])
def test_one_number_for_the_batch_gives_one_row(
    method: str, scalar: Callable[[Tensor], Any], n_examples: int
) -> None:
    x = torch.randn(n_examples, 3, generator=torch.Generator().manual_seed(1))
    mask = torch.tensor([[0, 1, 1]])
    net = net_of([3], 4)
    calls: dict[str, Any] = {"feature_mask": mask}
    if method == "ShapleyValueSampling":
        calls["n_samples"] = 1  # 2^2 > 2: drawn
    assert_same(method, lambda x: scalar(net(x)), x, rtol=2e-3, atol=2e-3, **calls)


@pytest.mark.parametrize("method", ["FeatureAblation", "ShapleyValues"])
@pytest.mark.parametrize("per_eval", [1, 3])
def test_without_a_target_all_outputs_are_attributed(method: str, per_eval: int) -> None:
    x = torch.randn(2, 3, generator=torch.Generator().manual_seed(1))
    assert_same(method, net_of([3], 4), x, perturbations_per_eval=per_eval)


@pytest.mark.parametrize("method", ["FeatureAblation", "ShapleyValues"])
def test_outputs_of_three_dimensions_and_targets_of_two(method: str) -> None:
    x = torch.randn(2, 3, generator=torch.Generator().manual_seed(1))
    net = net_of([3], 4, n_outputs=6)
    for target in ((1, 2), [(0, 1), (1, 0)]):
        assert_same(method, lambda x: net(x).reshape(-1, 2, 3), x, target=target)


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.float32, torch.float64])
@pytest.mark.parametrize("baseline", [None, 1, 0.5, True])
@pytest.mark.parametrize("method", ["FeatureAblation", "ShapleyValues"])
def test_input_types_and_numbers_as_baselines_are_promoted_alike(
    method: str, dtype: torch.dtype, baseline: float | None
) -> None:
    x = torch.tensor([[1, 0, 3], [2, 5, 0]]).to(dtype)
    seen: dict[Any, set[torch.dtype]] = {}
    for library in (theirs, ours):
        types = seen[library] = set()

        def forward(x: Tensor, types: set[torch.dtype] = types) -> Tensor:
            types.add(x.dtype)
            return x.double().cumsum(1).prod(1)

        attribute(library, method, forward, x, baselines=baseline)
    assert seen[ours] == seen[theirs]
    assert_same(method, lambda x: x.double().cumsum(1).prod(1), x, baselines=baseline)


def test_whole_numbers_are_attributed_as_whole_numbers() -> None:
    assert_same("FeatureAblation", lambda x: x.sum(1), torch.tensor([[-3, 1, 2]]))


def test_inputs_of_other_lengths_and_without_cells_are_captums() -> None:
    def sparse(x: Tensor, indices: Tensor) -> Tensor:
        return x.sum() * 3 + (indices.sum() if indices.numel() else 0)

    x = torch.tensor([[1.0, -2.0, 3.0], [2.0, -1.0, 3.0]])
    assert_same("FeatureAblation", sparse, (x, torch.tensor([1, 7, 2, 4, 5, 3, 6])))
    assert_same("FeatureAblation", sparse, (x, torch.tensor([])))


def test_masks_without_batch_dimension_and_of_one_number_are_captums() -> None:
    x = torch.randn(2, 3, 2, generator=torch.Generator().manual_seed(1))
    net = net_of([6], 4)
    assert_same("FeatureAblation", net, x, target=0, feature_mask=torch.tensor(0))
    for mask in (torch.tensor([[0, 1], [2, 2], [0, 1]]), torch.tensor([0, 1])):
        assert_same("FeatureAblation", net, x, target=0, feature_mask=mask)
        assert_same("ShapleyValues", net, x, target=0, feature_mask=mask)


def test_mask_without_batch_dimension_serves_several_perturbations() -> None:
    """captum 0.9 multiplies such a mask with the wrong dimension, or fails."""
    x, net = torch.randn(2, 3, generator=torch.Generator().manual_seed(1)), net_of([3], 4)
    one, two = (
        ours.FeatureAblation(net).attribute(
            x, target=0, feature_mask=torch.tensor([0, 0, 1]), perturbations_per_eval=n
        )
        for n in (1, 2)
    )
    torch.testing.assert_close(one, two)


@pytest.mark.parametrize("method", ["FeatureAblation", "ShapleyValueSampling", "ShapleyValues"])
def test_futures_are_attributed(method: str) -> None:
    net, x = net_of([3], 1), torch.tensor([[2.0, 5.0, 3.0]])

    def later(x: Tensor) -> Future[Tensor]:
        future: Future[Tensor] = Future()
        future.set_result(net(x)[:, 0])
        return future

    future = getattr(ours, method)(later).attribute_future(x)
    assert isinstance(future, Future)
    wanted = getattr(theirs, "ShapleyValues" if "Shapley" in method else method)(later)
    torch.testing.assert_close(future.wait(), wanted.attribute_future(x).wait())


@pytest.mark.parametrize("method", [*METHODS, "KernelShap", "Occlusion"])
def test_progress_is_shown_on_stderr_only_if_asked(
    method: str, capsys: pytest.CaptureFixture[str]
) -> None:
    x = torch.tensor([[2.0, 5.0, 3.0]])
    args = [(1,)] if method == "Occlusion" else []
    attribution = getattr(ours, method)(lambda x: x.sum(1))
    attribution.attribute(x, *args)
    assert capsys.readouterr() == ("", "")
    attribution.attribute(x, *args, show_progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert f"{attribution.get_name()} attribution: 100%" in err
    assert attribution.get_name() == getattr(theirs, method).get_name()

"""Bad calls of the captum adapter: refused where captum refuses, with its types of errors."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from otoscope.adapters import captum as ours
from otoscope.errors import ParameterError

theirs = pytest.importorskip("captum.attr")

X = torch.tensor([[2.0, 10.0, 3.0], [20.0, 50.0, 30.0]])
ALL = ("FeatureAblation", "ShapleyValues", "ShapleyValueSampling", "Lime", "KernelShap")
EXACT = ("FeatureAblation", "ShapleyValues", "ShapleyValueSampling")


def columns(x: Tensor) -> Tensor:
    return torch.stack([x.sum(1), x.prod(1)], 1)


def total(x: Tensor) -> float:
    return float(x.sum())


def flat(x: Tensor) -> Tensor:
    return x.sum().reshape(1)


BAD: list[tuple[tuple[str, ...], Callable[[Tensor], Any], dict[str, Any], str]] = [
    (ALL, columns, {"inputs": [X]}, "hold a list"),
    (ALL, columns, {"inputs": 3.0}, "hold a float"),
    (ALL, columns, {"baselines": "zero"}, "hold a str"),
    (ALL, columns, {"baselines": [0.0]}, "hold a list"),
    (EXACT, columns, {"perturbations_per_eval": 0}, "is 0, must be"),
    (EXACT, columns, {"perturbations_per_eval": 1.5}, "is 1.5, must be"),
    (ALL, total, {"target": None, "perturbations_per_eval": 2}, "perturbations_per_eval is 2"),
    (ALL, flat, {"target": None, "perturbations_per_eval": 2}, "perturbations_per_eval is 2"),
    (EXACT, lambda x: "loud", {"target": None}, "returned a str"),
    (EXACT, lambda x: None, {"target": None}, "returned a NoneType"),
    (ALL, columns, {"target": (0, 0)}, "the output has shape"),
    (ALL, columns, {"target": [0]}, "one per example"),
    (ALL, columns, {"target": torch.tensor([0, 1, 1])}, r"target has shape \(3,\)"),
    (ALL, columns, {"target": "singing"}, "'singing'"),
    (ALL, columns, {"target": [0.5, 1.0]}, "must hold indices"),
    (ALL, lambda x: x[:, :, None], {"target": [0, 1]}, r"must be \[batch, output\]"),
    (ALL, lambda x: x[:, :, None], {"target": torch.tensor([0, 1])}, r"must be \[batch, output\]"),
    (("Lime", "KernelShap"), columns, {"target": None}, "must be one number per example"),
    (EXACT[1:], columns, {"feature_mask": torch.tensor([[0, 1]])}, "must broadcast"),
    (EXACT[1:], columns, {"feature_mask": torch.zeros(1, 1, 3).long()}, "must broadcast"),
    (EXACT[1:], total, {"target": None, "feature_mask": torch.zeros(2, 3).long()}, "for all"),
]


@pytest.mark.parametrize(
    ("method", "forward", "change", "match"),
    [(method, *rest) for methods, *rest in BAD for method in methods],
)
def test_bad_call_is_refused_as_by_captum_and_says_why(
    method: str, forward: Callable[[Tensor], Any], change: dict[str, Any], match: str
) -> None:
    call = {"inputs": X, "target": 0, **change}
    with pytest.raises(Exception) as wanted:  # noqa: PT011 - whatever captum raises
        getattr(theirs, method)(forward).attribute(**call)
    with pytest.raises(ParameterError, match=match) as found:
        getattr(ours, method)(forward).attribute(**call)
    assert isinstance(found.value, wanted.type)


WINDOWS: list[tuple[Any, Any, str]] = [
    ((4,), None, r"has shape \(4,\)"),
    ((0,), None, r"has shape \(0,\)"),
    ((2, 2), None, "must be a tuple of 1"),
    (((2,), (2,)), None, "2 sliding_window_shapes for 1"),
    (([2],), None, "must be a tuple of 1"),
    ((1,), 2, "leave no gaps"),
    ((2,), (1, 1), "must be an int or a tuple of 1"),
    ((2,), "one", "must be an int or a tuple of 1"),
]


@pytest.mark.parametrize(("window", "stride", "match"), WINDOWS)
def test_bad_windows_are_refused_as_by_captum(window: Any, stride: Any, match: str) -> None:
    with pytest.raises(AssertionError):
        theirs.Occlusion(columns).attribute(X, window, strides=stride, target=0)
    with pytest.raises(ours.ArgumentError, match=match):
        ours.Occlusion(columns).attribute(X, window, strides=stride, target=0)


def test_several_inputs_need_a_stride_each() -> None:
    with pytest.raises(AssertionError):
        theirs.Occlusion(columns).attribute((X, X), ((2,), (2,)), strides=1, target=0)
    with pytest.raises(ours.ArgumentError, match="one per input, of 2"):
        ours.Occlusion(columns).attribute((X, X), ((2,), (2,)), strides=1, target=0)


def test_index_beyond_the_outputs_is_an_index_error_in_both() -> None:
    for library in (theirs, ours):
        with pytest.raises(IndexError, match="out of bounds"):
            library.FeatureAblation(columns).attribute(X, target=2)


@pytest.mark.parametrize("method", ["Lime", "KernelShap", "Occlusion", "LimeBase"])
def test_futures_are_refused_where_captum_refuses_them(method: str) -> None:
    for library in (theirs, ours):
        given = (
            (columns, None, None, None, True, columns, None) if method == "LimeBase" else (columns,)
        )
        with pytest.raises(NotImplementedError):
            getattr(library, method)(*given).attribute_future()


def test_forward_function_without_future_is_refused_by_attribute_future() -> None:
    for library in (theirs, ours):
        with pytest.raises(AssertionError, match="Future"):
            library.FeatureAblation(columns).attribute_future(X, target=0)


@pytest.mark.parametrize("in_rows", [True, False])
def test_lime_base_needs_the_transform_of_its_samples(in_rows: bool) -> None:
    for library in (theirs, ours):
        with pytest.raises(AssertionError):
            library.LimeBase(columns, None, None, None, in_rows, None, None)


def test_unknown_distance_is_a_value_error_when_it_is_asked() -> None:
    lime = pytest.importorskip("captum.attr._core.lime")
    for library in (lime, ours):
        kernel = library.get_exp_kernel_similarity_function("manhattan")
        with pytest.raises(ValueError, match="cosine"):
            kernel(X, X, None)


def rows(inputs: Any, **kwargs: Any) -> Iterator[Tensor]:
    yield from (torch.tensor([[1, 0, 0]]), torch.tensor([[0, 1, 1]]), torch.tensor([[1, 1, 1]]))


def fails(x: Tensor) -> Tensor:
    raise StopIteration


WARNING: list[tuple[str, tuple[Any, ...], dict[str, Any], str]] = [
    ("Lime", (columns,), {"inputs": X}, "each of 2 examples"),
    ("KernelShap", (columns,), {"inputs": X}, "each of 2 examples"),
    ("Lime", (columns,), {"feature_mask": torch.tensor([[4, 5, 6]])}, "begins at 4"),
    ("KernelShap", (columns,), {"feature_mask": torch.tensor([[-1, 0, 1]])}, "begins at -1"),
    ("Lime", (columns, None, None, rows), {"n_samples": 9}, "ended after 3 of 9"),
    ("ShapleyValues", (columns,), {"feature_mask": torch.tensor([[0, 1, 3]])}, "lacks 1"),
    ("ShapleyValueSampling", (columns,), {"feature_mask": torch.tensor([[2, 1, 1]])}, "lacks 1"),
    ("Lime", (columns,), {"inputs": torch.zeros(1, 10_001), "n_samples": 2}, "10,001 features"),
    ("ShapleyValues", (fails,), {"inputs": torch.zeros(1, 10)}, "1,024 coalitions"),
]


@pytest.mark.parametrize(("method", "given", "change", "match"), WARNING)
def test_warns_where_captum_warns(
    method: str, given: tuple[Any, ...], change: dict[str, Any], match: str
) -> None:
    heard = []
    for library in (theirs, ours):
        with warnings.catch_warnings(record=True) as raised:
            warnings.simplefilter("always")
            try:
                getattr(library, method)(*given).attribute(
                    **{"inputs": X[:1], "target": 0, **change}
                )
            except StopIteration:
                assert given[0] is fails
        heard.append([str(one.message) for one in raised if one.category is UserWarning])
    assert heard[0]
    assert any(match in text for text in heard[1])


def test_good_calls_do_not_warn() -> None:
    """Warnings are errors in this test suite."""
    for method in ALL:
        getattr(ours, method)(columns).attribute(X[:1], target=0, perturbations_per_eval=2)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"baselines": (0.0, 1.0)}, "2 baselines for 1 inputs"),
        ({"feature_mask": (torch.zeros(1, 3), torch.zeros(1, 3))}, "2 feature masks for 1"),
        ({"target": None, "feature_mask": torch.tensor([[0, 0, 0], [0, 1, 1]])}, "give one mask"),
    ],
)
def test_what_captum_leaves_to_torch_is_said_in_words(change: dict[str, Any], match: str) -> None:
    forward = total if "target" in change else columns
    with pytest.raises(ours.ArgumentError, match=match):
        ours.FeatureAblation(forward).attribute(**{"inputs": X, "target": 0, **change})


def test_negative_features_of_shapley_values_are_refused() -> None:
    """captum leaves them at the baseline for ever, and attributes 0 to them."""
    with pytest.raises(ours.ArgumentError, match="holds -1"):
        ours.ShapleyValues(columns).attribute(X, target=0, feature_mask=torch.tensor([[-1, 0, 1]]))


def test_one_number_for_several_perturbations_is_refused_by_shapley_too() -> None:
    """captum spreads the one number over all perturbations if there is one example."""
    with pytest.raises(ours.ArgumentError, match="perturbations_per_eval is 3"):
        ours.ShapleyValues(total).attribute(X[:1], perturbations_per_eval=3)


@pytest.mark.parametrize("method", ["Lime", "KernelShap", "SoundLIME", "ShapleyValueSampling"])
def test_no_samples_are_refused(method: str) -> None:
    with pytest.raises(ours.ArgumentError, match="n_samples is 0"):
        getattr(ours, method)(columns).attribute(X, target=0, n_samples=0)


def test_sound_lime_refuses_a_kernel_without_width() -> None:
    with pytest.raises(ParameterError, match="kernel_width is 0"):
        ours.SoundLIME(columns, kernel_width=0)

"""captum's wrappers, masks, generators and odd inputs with the adapter's classes."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import pytest
import torch

from otoscope.adapters import captum as ours
from otoscope.adapters.captum import ArgumentError

theirs: Any = pytest.importorskip("captum.attr")
SHARED = ["FeatureAblation", "Lime", "KernelShap", "ShapleyValues", "ShapleyValueSampling"]
OWN: Any = ours


def product(x: torch.Tensor) -> torch.Tensor:
    return x.float().prod(1) + x.float().sum(1)


def attributed(method: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values: torch.Tensor = method.attribute(*args, **kwargs)
    return values


@pytest.mark.parametrize("name", [*SHARED, "Occlusion"])
def test_the_conventions_of_an_attribution_are_captums(name: str) -> None:
    own, other = getattr(OWN, name)(product), getattr(theirs, name)(product)
    assert own.multiplies_by_inputs is other.multiplies_by_inputs
    assert own.has_convergence_delta() is other.has_convergence_delta()
    parameters = inspect.signature(type(own).attribute).parameters
    assert list(parameters)[:2] == list(inspect.signature(type(other).attribute).parameters)[:2]


@pytest.mark.parametrize("name", SHARED)
def test_noise_tunnel_takes_a_method(name: str) -> None:
    x = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
    options = {"nt_samples": 3, "stdevs": 0.1}
    own = attributed(theirs.NoiseTunnel(getattr(OWN, name)(product)), x, **options)
    assert own.shape == x.shape
    if name == "FeatureAblation":
        other = attributed(theirs.NoiseTunnel(theirs.FeatureAblation(product)), x, **options)
        torch.testing.assert_close(own, other)


@pytest.mark.parametrize("name", ["Lime", "KernelShap"])
@pytest.mark.parametrize("n_features", [3, 5])
def test_every_example_of_a_batch_and_the_generator_are_captums(name: str, n_features: int) -> None:
    torch.manual_seed(5)
    x = torch.randn(4, n_features)
    states, values = [], []
    for library in (theirs, OWN):
        values.append(attributed(getattr(library, name)(product), x, n_samples=7))
        states.append(torch.get_rng_state())
    torch.testing.assert_close(values[1], values[0], rtol=1e-3, atol=1e-4)
    assert torch.equal(*states)


def test_soundlime_leaves_the_generator_alone() -> None:
    x, before = torch.ones(1, 4), torch.get_rng_state()
    ours.SoundLIME(product).attribute(x, n_samples=5)
    assert torch.equal(before, torch.get_rng_state())


MASKED = [*SHARED, "SoundLIME"]


@pytest.mark.parametrize("name", MASKED)
@pytest.mark.parametrize(
    "mask",
    [
        torch.tensor([[0.0, 1.0, 1.0]]),
        torch.tensor([[False, True, True]]),
        torch.tensor([[0, 1, 1]], dtype=torch.uint8),
        torch.tensor([[0, 1, 1]], dtype=torch.float16),
    ],
)
def test_a_mask_of_whole_numbers_is_one_of_integers(name: str, mask: torch.Tensor) -> None:
    x, method = torch.tensor([[1.0, 2.0, 3.0]]), getattr(OWN, name)(product)
    expected = attributed(method, x, feature_mask=mask.long())
    torch.testing.assert_close(attributed(method, x, feature_mask=mask), expected)


@pytest.mark.parametrize("name", MASKED)
@pytest.mark.parametrize("value", [0.5, float("nan"), float("inf"), 1j])
def test_a_mask_without_whole_numbers_is_refused(name: str, value: Any) -> None:
    mask = torch.tensor([[0, value, 1]])
    with pytest.raises(ArgumentError, match="must hold whole numbers or booleans"):
        getattr(OWN, name)(product).attribute(torch.ones(1, 3), feature_mask=mask)


@pytest.mark.parametrize("name", ["FeatureAblation", "ShapleyValues", "Lime"])
@pytest.mark.parametrize("baseline", [0.5, torch.full((1, 3), 0.5)])
def test_integers_with_a_fractional_baseline_are_captums(name: str, baseline: Any) -> None:
    x = torch.tensor([[3, 4, 2], [5, 6, 1]])
    own, other = (
        attributed(getattr(library, name)(product), x, baselines=baseline)
        for library in (OWN, theirs)
    )
    torch.testing.assert_close(own, other, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("shape", [(2, 0), (0, 2), (2, 0, 3)])
def test_inputs_without_cells_have_no_values_or_are_refused(shape: tuple[int, ...]) -> None:
    x = torch.zeros(shape)
    forward: Any = lambda x: x.flatten(1).sum(1)  # noqa: E731
    assert ours.FeatureAblation(forward).attribute(x).shape == shape
    for name in MASKED[1:]:
        try:
            values = getattr(OWN, name)(forward).attribute(x)
        except ArgumentError:
            continue
        assert values.shape == shape


X = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
MASK = (torch.arange(12) // 3).reshape(1, 3, 4)
WEIGHTS = torch.randn(12, 3, generator=torch.Generator().manual_seed(1))
FORMS: dict[str, tuple[torch.Tensor, dict[str, Any]]] = {
    "numbers far apart": (X, {"feature_mask": 5 * MASK}),
    "a mask per example": (X, {"feature_mask": torch.cat([MASK, MASK.flip(2)])}),
    "a mask of rows": (X, {"feature_mask": MASK[:, :1]}),
    "a mask of one axis": (X, {"feature_mask": torch.tensor([0, 0, 1, 1])}),
    "a fractional baseline": (X, {"baselines": 0.5}),
    "a baseline per example": (X, {"baselines": X.flip(0)}),
    "integers": ((X * 10).int(), {"baselines": 0.5}),
    "integers alone": ((X * 10).long(), {"baselines": 2}),
    "booleans": (X > 0, {}),
    "float64": (X.double(), {}),
    "bfloat16": (X.bfloat16(), {}),
    "a gradient": (X.clone().requires_grad_(), {}),
    "strides": (X.transpose(1, 2).contiguous().transpose(1, 2), {}),
    "a target per example": (X, {"target": torch.tensor([0, 2])}),
    "a list of targets": (X, {"target": [2, 0]}),
    "tuples of targets": (X, {"target": [(0,), (2,)]}),
    "the last target": (X, {"target": -1}),
    "several at once": (X, {"perturbations_per_eval": 3}),
    "more than there are": (X, {"perturbations_per_eval": 100}),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["FeatureAblation", "Lime"])
def test_arguments_of_any_form_are_captums(name: str, form: str) -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x.float().flatten(1) @ WEIGHTS)

    x, given = FORMS[form]
    options = {"feature_mask": MASK, "target": 1, **given}
    options |= {"n_samples": 30} if name == "Lime" else {}
    own, other = (
        attributed(getattr(library, name)(forward), x, **options) for library in (OWN, theirs)
    )
    torch.testing.assert_close(own.float(), other.float(), rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize("name", ["FeatureAblation", "Lime", "Occlusion"])
def test_the_sensitivity_of_captums_metrics_is_the_same(name: str) -> None:
    metrics = pytest.importorskip("captum.metrics")
    shape = {"sliding_window_shapes": (1, 2)} if name == "Occlusion" else {"feature_mask": MASK}
    values = []
    for library in (OWN, theirs):
        torch.manual_seed(0)
        explainer = getattr(library, name)(lambda x: torch.tanh(x.flatten(1) @ WEIGHTS))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values.append(
                metrics.sensitivity_max(
                    explainer.attribute, X, target=1, n_perturb_samples=2, **shape
                )
            )
    torch.testing.assert_close(*values, rtol=1e-3, atol=1e-4)

"""LIME and KernelSHAP of the captum adapter against the installed captum's."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Lasso
from sklearn.neighbors import KNeighborsRegressor
from torch import Tensor, nn

from otoscope.adapters import captum as ours
from otoscope.errors import ParameterError
from otoscope.explain.design import draw_design
from otoscope.explain.fit.kernel import Kernel
from tests.support.captum_calls import (
    assert_same,
    attribute,
    calls,
    net_of,
    shifted,
    theirs,
)
from tests.support.examples import examples
from tests.support.scripts import run_script


@examples(40)
@given(calls(most_examples=1), st.sampled_from([0, 3]), st.booleans())
def test_lime_is_captums(call: dict[str, Any], offset: int, as_inputs: bool) -> None:
    # captum's Lasso is in float32
    assert_same(
        "Lime",
        n_samples=30,
        return_input_shape=as_inputs,
        rtol=1e-3,
        atol=2e-3,
        **shifted(call, offset),
    )


@examples(40)
@given(calls(), st.booleans())
def test_lime_of_a_batch_is_captums(call: dict[str, Any], as_inputs: bool) -> None:
    """With a model of captum's, whose DataLoader draws from the seed as well."""
    target = call["target"]
    assume(not isinstance(target, Tensor) or target.ndim)  # captum asks for its length, and fails
    models = pytest.importorskip("captum._utils.models.linear_model")
    forward, results = call.pop("forward"), []
    for library in (theirs, ours):
        torch.manual_seed(3)
        lime = library.Lime(forward, models.SkLearnRidge(alpha=0.1))
        with warnings.catch_warnings(record=True) as raised:
            warnings.simplefilter("always")
            result = lime.attribute(n_samples=20, return_input_shape=as_inputs, **call)
        results.append((result, {warning.category for warning in raised}))
    (wanted, their_warnings), (found, our_warnings) = results
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-3)
    assert our_warnings == their_warnings


@examples(20)
@given(calls())
def test_kernel_shap_of_few_features_is_the_shapley_values(call: dict[str, Any]) -> None:
    found, _ = attribute(ours, "KernelShap", n_samples=16, **call)
    wanted, _ = attribute(theirs, "ShapleyValues", **call)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("n_samples", [12, 40, 200])
def test_kernel_shap_of_many_features_is_captums_for_the_same_draws(n_samples: int) -> None:
    x = torch.randn(1, 9, generator=torch.Generator().manual_seed(1)).double()
    # captum's regression is in float32, with weights up to 1e6
    assert_same("KernelShap", net_of([9], 5), x, target=0, n_samples=n_samples, rtol=0, atol=3e-3)


def test_one_feature_has_all_that_there_is_to_share() -> None:
    """captum 0.9 divides by the number of sizes between none and all, which is 0."""
    x = torch.tensor([[2.0, 3.0]])
    found = ours.KernelShap(lambda x: x.sum(1)).attribute(x, feature_mask=torch.tensor([[0, 0]]))
    torch.testing.assert_close(found, torch.tensor([[5.0, 5.0]]))


class ThreeFeatures(nn.Module):
    """captum's published three-feature case: four sums, one with a threshold, then their sum."""

    def forward(self, x: Tensor) -> Tensor:
        sums = x.sum(1, keepdim=True) + torch.tensor([-10.0, 1.0, 1.0, 1.0])
        total: Tensor = sums.relu().sum(1, keepdim=True)
        return torch.cat([total - 1, total + 1], 1)


def test_three_feature_net_has_captums_published_values() -> None:
    x = torch.tensor([[20.0, 50.0, 30.0]])
    kernel = ours.get_exp_kernel_similarity_function("cosine", 10.0)
    torch.manual_seed(1234)
    lasso = ours.Lime(ThreeFeatures(), Lasso(1.0), kernel).attribute(x, target=0, n_samples=500)
    # published for 500 draws, to 1.0: the draws' spread
    published = torch.tensor([[73.3716, 193.3349, 113.3349]])
    torch.testing.assert_close(lasso, published, rtol=0, atol=1.0)
    shapley = ours.ShapleyValues(ThreeFeatures()).attribute(x, target=0)
    torch.testing.assert_close(shapley, torch.tensor([[230.0, 590.0, 350.0]]) / 3)
    ablation = ours.FeatureAblation(ThreeFeatures()).attribute(x, target=0)
    torch.testing.assert_close(ablation, torch.tensor([[80.0, 200.0, 120.0]]))


def all_rows(inputs: object, **kwargs: Any) -> Iterator[Tensor]:
    for row in itertools.product((0, 1), repeat=kwargs["num_interp_features"]):
        yield torch.tensor([row])


def test_lime_of_all_rows_is_the_lassos_limit() -> None:
    """The threshold adds 10 to f(none): 2.5 less for each; the Lasso takes 1 / (1/4) = 4."""
    x = torch.tensor([[20.0, 50.0, 30.0]])
    lime = ours.Lime(ThreeFeatures(), Lasso(1.0, tol=1e-9), lambda *_, **__: 1.0, all_rows)
    found = lime.attribute(x, target=0, n_samples=8)
    torch.testing.assert_close(found, torch.tensor([[73.5, 193.5, 113.5]]))


def test_users_functions_and_captums_models_serve_in_both() -> None:
    models = pytest.importorskip("captum._utils.models.linear_model")
    x = (torch.tensor([[2.0, 5.0, 3.0]]), torch.tensor([[1.0, 4.0]]))
    results = []
    for library in (theirs, ours):
        seen: list[Any] = []

        def similarity(
            whole: Any, perturbed: Any, row: Tensor, seen: list[Any] = seen, **kwargs: Any
        ) -> float:
            seen.append((whole, perturbed, row, kwargs))
            return float(1 + row.sum())

        torch.manual_seed(0)
        lime = library.Lime(
            net_of([3, 2], 1), models.SkLearnLinearRegression(), similarity, all_rows
        )
        results.append((lime.attribute(x, baselines=(1, 2), target=0, n_samples=32), seen))
    (wanted, their_calls), (found, our_calls) = results
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4)
    assert len(our_calls) == len(their_calls) == 32
    for mine, captums in zip(our_calls, their_calls, strict=True):
        torch.testing.assert_close(mine[:3], captums[:3])
        assert mine[3].keys() == captums[3].keys()
        torch.testing.assert_close(mine[3]["feature_mask"], captums[3]["feature_mask"])


@pytest.mark.parametrize("mode", ["cosine", "euclidean"])
def test_kernel_over_values_is_captums(mode: str) -> None:
    lime = pytest.importorskip("captum.attr._core.lime")
    x, y = torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 0.5]])
    for width in (0.5, 2.0):
        mine = ours.get_exp_kernel_similarity_function(mode, width)
        captums = lime.get_exp_kernel_similarity_function(mode, width)
        assert mine((x, y), (y, x), None) == pytest.approx(captums((x, y), (y, x), None))


@pytest.mark.parametrize("in_rows", [True, False])
@pytest.mark.parametrize("per_eval", [1, 3])
def test_lime_base_is_captums(in_rows: bool, per_eval: int) -> None:
    models = pytest.importorskip("captum._utils.models.linear_model")
    x = torch.tensor([[2.0, 5.0, 3.0]])

    def draw(inputs: Tensor, **kwargs: Any) -> Tensor:
        row = torch.bernoulli(torch.full((1, 3), 0.5))
        return row if in_rows else row * inputs

    def to_rows(sample: Tensor, inputs: Tensor, **kwargs: Any) -> Tensor:
        return (sample == inputs).float()

    results = []
    for library in (theirs, ours):
        torch.manual_seed(0)
        base = library.LimeBase(
            net_of([3], 1),
            models.SkLearnRidge(alpha=0.5),
            lambda whole, other, row, **kwargs: torch.tensor([0.5]) * kwargs["factor"],
            draw,
            in_rows,
            (lambda row, inputs, **kwargs: row * inputs) if in_rows else None,
            None if in_rows else to_rows,
        )
        results.append(
            base.attribute(x, target=0, n_samples=20, perturbations_per_eval=per_eval, factor=2)
        )
    torch.testing.assert_close(results[1], results[0], rtol=1e-4, atol=1e-4)


def test_sound_lime_is_least_squares_of_all_coalitions() -> None:
    """A linear function gives its weights, however small: there is no penalty."""
    w = torch.tensor([0.001, -0.002, 0.003])
    x = torch.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])
    with pytest.warns(UserWarning, match="for each of 2 examples"):
        found = ours.SoundLIME(lambda x: x @ w).attribute(x, baselines=-1.0)
    torch.testing.assert_close(found, (x + 1) * w)


def test_sound_lime_draws_by_its_seed_where_coalitions_are_too_many() -> None:
    x = torch.randn(1, 9, generator=torch.Generator().manual_seed(1))
    net = net_of([9], 5)
    one, again, other, exact = (
        ours.SoundLIME(net, seed=seed).attribute(x, target=0, n_samples=n, return_input_shape=False)
        for seed, n in ((1, 400), (1, 400), (2, 400), (0, 512))
    )
    assert one.shape == (1, 9)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    torch.testing.assert_close(one, exact, rtol=0, atol=0.1 * float(exact.abs().max()))


@pytest.mark.parametrize("n_samples", [32, 31])
@pytest.mark.parametrize("kernel", ["cosine", "l2"])
@pytest.mark.parametrize("width", [0.25, 1.5])
def test_sound_lime_weighs_coalitions_by_kernel_and_count(
    kernel: Kernel, width: float, n_samples: int
) -> None:
    """Of 32 coalitions all are there once; of 31 draws some are there several times."""
    x, net = torch.arange(1.0, 6.0)[None].double(), net_of([5], 2)
    kind = "exact" if n_samples == 32 else "bernoulli"
    design = draw_design(kind, 5, n_samples=n_samples, seed=7)
    keep = design.coalitions.unpack().double()
    removed = 5 - keep.sum(1)
    distance = removed.sqrt() if kernel == "l2" else 1 - (keep.sum(1) / 5).sqrt()
    root = (design.counts * torch.exp(-0.5 * (distance / width) ** 2)).sqrt()[:, None]
    rows = torch.cat([keep, torch.ones(len(keep), 1)], 1)
    wanted = torch.linalg.lstsq(root * rows, root * net(keep * x)[:, :1]).solution[:5, 0]
    lime = ours.SoundLIME(net, kernel=kernel, kernel_width=width, seed=7)
    values = lime.attribute(x, target=0, n_samples=n_samples)[0]
    torch.testing.assert_close(values.double(), wanted, rtol=1e-4, atol=1e-5)


def test_example_shows_that_the_lasso_of_0_01_drops_most_of_a_probability() -> None:
    done = run_script("examples/swap_captum.py")
    not_zero = {line.split()[0]: line.split()[-5] for line in done.stdout.splitlines()[1:]}
    assert not_zero["Lime"] == "3"
    assert not_zero["SoundLIME"] == "10"


def test_a_forest_gives_signed_importances_instead_of_coefficients() -> None:
    x = torch.tensor([[2.0, -1.0, 0.0]])
    lime = ours.SoundLIME(lambda x: x.sum(1), RandomForestRegressor(30, random_state=0))
    first, second, third = lime.attribute(x)[0].tolist()
    assert first > -second > abs(third)
    with pytest.raises(ParameterError, match="KNeighborsRegressor could not be fitted"):
        ours.SoundLIME(lambda x: x.sum(1), KNeighborsRegressor()).attribute(x)

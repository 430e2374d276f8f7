"""What captum's own tests try of its perturbation methods, in our words, by swapping the import.

captum's source distribution has no tests, so these are models and calls of the same kinds. captum's
class is the oracle. Where otoscope evaluates all coalitions instead of drawing, the oracle is
captum's limit, the Shapley values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.futures import Future

from otoscope.adapters import captum as ours
from tests.support.captum_calls import assert_same, attribute, theirs
from tests.support.captum_models import Layers, Pictures, Sums, Words, booleans

pytestmark = pytest.mark.slow

OWN: Any = ours

ONE = torch.tensor([[20.0, 50.0, 30.0]])
TWO = torch.tensor([[2.0, 10.0, 3.0], [20.0, -50.0, 30.0]])
THREE = (
    torch.tensor([[23.0, 100.0, 0.0], [20.0, 50.0, 30.0]]),
    torch.tensor([[20.0, 50.0, 30.0], [0.0, 100.0, 0.0]]),
    torch.tensor([[0.0, 100.0, 10.0], [2.0, 10.0, 3.0]]),
)
MASKS = tuple(torch.tensor([row]) for row in ([0, 0, 1], [1, 2, 2], [3, 0, 3]))
PICTURE = torch.arange(16.0).reshape(1, 1, 4, 4).double() - 6
QUARTERS = torch.tensor([[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]])[None, None]
FLAGS = torch.tensor([[True, False, True], [True, True, True]])

# Forward function, inputs, and what else is given; all have at most four features per call, as
# captum evaluates every order for its Shapley values.
CASES: dict[str, tuple[Callable[..., Any], Any, dict[str, Any]]] = {
    "cells": (Layers(), ONE, {"target": 0}),
    "cells in a tuple": (Layers(), (ONE,), {"target": 1}),
    "whole numbers": (Layers(), ONE.long(), {"target": 0}),
    "a mask": (Layers(), ONE, {"target": 0, "feature_mask": torch.tensor([[0, 0, 1]])}),
    "one feature of all cells but one": (
        Layers(),
        ONE,
        {"target": 1, "feature_mask": torch.tensor([[1, 0, 1]]), "baselines": 4},
    ),
    "a number as baseline": (Layers(), ONE, {"target": 0, "baselines": 4}),
    "a baseline of each cell": (
        Layers(),
        ONE,
        {"target": 0, "baselines": torch.tensor([[0.0, 10.0, 10.0]])},
    ),
    "two examples": (Layers(), TWO, {"target": 0}),
    "two examples with a mask each": (
        Layers(),
        TWO,
        {"target": 1, "feature_mask": torch.tensor([[0, 0, 1], [1, 1, 0]])},
    ),
    "two examples with a baseline and a target each": (
        Layers(),
        TWO,
        {"target": [1, 0], "baselines": torch.tensor([[1.0, 2.0, 3.0], [0.0, 5.0, 0.0]])},
    ),
    "targets as a tensor": (Layers(), TWO, {"target": torch.tensor([0, 1])}),
    "further arguments": (
        Layers(),
        TWO,
        {"target": 0, "additional_forward_args": (0.5, torch.tensor([[1.0], [-7.0]]))},
    ),
    "booleans": (booleans, FLAGS, {"target": 0}),
    "booleans with a baseline": (booleans, FLAGS, {"target": 1, "baselines": FLAGS[:1]}),
    "booleans with a mask": (
        booleans,
        FLAGS,
        {"target": 1, "feature_mask": torch.tensor([[0, 0, 1]])},
    ),
    "three inputs": (
        Sums(),
        THREE,
        {"target": 0, "additional_forward_args": (0.5,), "feature_mask": MASKS},
    ),
    "three inputs with baselines of three kinds": (
        Sums(),
        THREE,
        {
            "target": 1,
            "baselines": (2, torch.tensor([[1.0, 0.0, -1.0]]), THREE[2].flip(0)),
            "feature_mask": MASKS,
        },
    ),
    "three inputs, a feature of all of each": (
        Sums(),
        THREE,
        {"target": 0, "feature_mask": tuple(torch.full((1, 3), i) for i in range(3))},
    ),
    "three inputs that share a feature": (
        Sums(),
        THREE,
        {"target": 0, "feature_mask": tuple(torch.tensor([[0, i, 0]]) for i in (1, 2, 1))},
    ),
    "a picture by its quarters": (Pictures(), PICTURE, {"target": 0, "feature_mask": QUARTERS}),
    "two pictures by halves": (
        Pictures(),
        (PICTURE, PICTURE.flip(2)),
        {"target": 3, "feature_mask": (QUARTERS // 2, QUARTERS // 2 + 2), "baselines": (1, 0.5)},
    ),
    "words": (
        Words(),
        (torch.tensor([[1.0, 2.0, -3.0]]), torch.tensor([[1, 5, 2, 7]])),
        {
            "target": 2,
            "feature_mask": (torch.tensor([[0, 0, 0]]), torch.tensor([[1, 2, 3, 1]])),
        },
    ),
}
DRAWN = {"Lime": 500, "ShapleyValueSampling": 1}  # with more, all coalitions are
TOLERANCE = {"Lime": 5e-3}  # captum's Lasso is in float32 and stops early
PER_EVAL = (1, 2, 3)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("per_eval", PER_EVAL)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    "method", ["FeatureAblation", "ShapleyValues", "ShapleyValueSampling", "Lime"]
)
def test_a_swapped_import_keeps_the_answer(method: str, case: str, per_eval: int) -> None:
    forward, inputs, options = CASES[case]
    options = {**options, "perturbations_per_eval": per_eval}
    if method in DRAWN:
        options["n_samples"] = DRAWN[method]
    close = TOLERANCE.get(method, 1e-5)
    assert_same(method, forward, inputs, rtol=close, atol=close, **options)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("per_eval", PER_EVAL)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("method", ["ShapleyValueSampling", "KernelShap"])
def test_estimates_of_few_features_are_captums_limit(method: str, case: str, per_eval: int) -> None:
    forward, inputs, options = CASES[case]
    values, _ = attribute(
        ours, method, forward, inputs, n_samples=250, perturbations_per_eval=per_eval, **options
    )
    wanted, _ = attribute(theirs, "ShapleyValues", forward, inputs, **options)
    torch.testing.assert_close(values, wanted, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("n_samples", [8, 20])
@pytest.mark.parametrize("method", ["ShapleyValueSampling", "KernelShap"])
def test_estimates_of_many_features_are_captums(method: str, n_samples: int) -> None:
    """Each of the 16 cells of a picture is a feature."""
    options = {"target": 1, "n_samples": n_samples, "perturbations_per_eval": 3}
    loose = 5e-3 if method == "KernelShap" else 1e-5  # captum's regression is in float32
    assert_same(method, Pictures(), PICTURE, rtol=0, atol=loose, **options)


SCALARS: dict[str, Callable[[Tensor], Any]] = {
    "float": lambda output: output.sum().item(),
    "int": lambda output: int(output.sum()),
    "tensor of no dimension": lambda output: output.sum(),
    "tensor of one": lambda output: output.sum().reshape(1),
}


@pytest.mark.parametrize("mask", [None, torch.tensor([[0, 1, 1]])])
@pytest.mark.parametrize("scalar", SCALARS)
@pytest.mark.parametrize("inputs", [ONE, TWO])
@pytest.mark.parametrize("method", ["FeatureAblation", "ShapleyValues", "Lime"])
def test_one_number_for_a_batch_is_captums(
    method: str, inputs: Tensor, scalar: str, mask: Tensor | None
) -> None:
    layers = Layers()
    options = {"n_samples": 50} if method == "Lime" else {}
    close = TOLERANCE.get(method, 1e-5)
    assert_same(
        method,
        lambda x: SCALARS[scalar](layers(x)),
        inputs,
        feature_mask=mask,
        rtol=close,
        atol=close,
        **options,
    )
    # captum's Shapley values broadcast the number; otoscope refuses, see docs/howto/captum.md
    for library in (ours,) if method == "ShapleyValues" else (theirs, ours):
        with pytest.raises(AssertionError):
            getattr(library, method)(lambda x: SCALARS[scalar](layers(x))).attribute(
                inputs, perturbations_per_eval=2
            )


@pytest.mark.parametrize("shape", [(1, 2, 3), (4, 1, 2), (2, 5)])
def test_outputs_of_a_fixed_shape_are_captums(shape: tuple[int, ...]) -> None:
    """They do not grow with the batch: one row of losses for each number of the output."""
    weights = torch.arange(30.0)[: torch.Size(shape).numel()].reshape(shape)
    assert_same("FeatureAblation", lambda x: weights * x.sum() + weights.cos() * x[0, 0], TWO)


@pytest.mark.parametrize("empty", [torch.zeros(2, 0), torch.zeros(0)])
def test_an_empty_input_beside_others_is_captums(empty: Tensor) -> None:
    assert_same(
        "FeatureAblation", lambda x, more: x.prod(1) + more.sum(), (TWO, empty), baselines=(1, 2)
    )


# Forward function, inputs, windows, and what else is given.
SLIDES: dict[str, tuple[Callable[..., Any], Any, Any, dict[str, Any]]] = {
    "cells": (Layers(), ONE, (1,), {"target": 0}),
    "two cells": (Layers(), ONE, (2,), {"target": 0}),
    "all cells": (Layers(), ONE, (3,), {"target": 0, "baselines": 2}),
    "two cells and a last one": (Layers(), ONE, (2,), {"target": 0, "strides": 2}),
    "whole numbers": (Layers(), ONE.long(), (2,), {"target": 1}),
    "booleans": (booleans, FLAGS, (2,), {"target": 0}),
    "a baseline of each cell": (
        Layers(),
        TWO,
        (2,),
        {"target": [0, 1], "baselines": torch.tensor([[1.0, 4.0, -2.0]])},
    ),
    "three inputs": (
        Sums(),
        THREE,
        ((1,), (2,), (3,)),
        {"target": 0, "additional_forward_args": (1.5,), "strides": (1, 2, 3)},
    ),
    "three inputs with baselines of three kinds": (
        Sums(),
        THREE,
        ((2,), (2,), (1,)),
        {"target": 1, "baselines": (2, torch.tensor([[1.0, 0.0, -1.0]]), THREE[2].flip(0))},
    ),
    "a picture": (Pictures(), PICTURE, (1, 4, 4), {"target": 0}),
    "windows of a picture": (Pictures(), PICTURE, (1, 2, 3), {"target": 0, "strides": (1, 2, 1)}),
    "windows cut off at an edge": (
        Pictures(),
        PICTURE,
        (1, 3, 3),
        {"target": 4, "strides": (1, 2, 3), "baselines": -1},
    ),
    "two pictures": (
        Pictures(),
        (PICTURE, PICTURE.flip(3)),
        ((1, 2, 2), (1, 1, 4)),
        {"target": 0, "strides": ((1, 1, 2), 1)},
    ),
    "a picture of three channels": (
        Pictures(3),
        torch.cat([PICTURE, PICTURE.flip(2), PICTURE.mT], 1),
        (3, 2, 2),
        {"target": 7, "strides": (3, 2, 2)},
    ),
    "one channel at a time": (
        Pictures(3),
        torch.cat([PICTURE, PICTURE.flip(2), PICTURE.mT], 1),
        (1, 4, 4),
        {"target": 7},
    ),
}


@pytest.mark.parametrize("per_eval", PER_EVAL)
@pytest.mark.parametrize("slide", SLIDES)
def test_a_swapped_import_keeps_the_losses_under_a_window(slide: str, per_eval: int) -> None:
    forward, inputs, windows, options = SLIDES[slide]
    assert_same("Occlusion", forward, inputs, windows, perturbations_per_eval=per_eval, **options)


IMPROPER: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "larger than the input": (ONE, (4,), {}),
    "of too many dimensions": (ONE, (1, 1), {}),
    "one too few": ((ONE, ONE), ((1,),), {}),
    "with a stride that leaves a gap": (ONE, (1,), {"strides": 2}),
    "with a stride of too many dimensions": (ONE, (1,), {"strides": (1, 1)}),
}


@pytest.mark.parametrize("library", [theirs, ours], ids=["captum", "otoscope"])
@pytest.mark.parametrize("window", IMPROPER)
def test_an_improper_window_is_refused(library: Any, window: str) -> None:
    inputs, shape, options = IMPROPER[window]
    with pytest.raises(AssertionError):
        library.Occlusion(Sums()).attribute(inputs, shape, target=0, **options)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", ["cells", "two examples", "three inputs", "words"])
@pytest.mark.parametrize("model", ["SkLearnLinearRegression", "SkLearnRidge", "SkLearnLasso"])
@pytest.mark.parametrize("kernel", [("cosine", 0.5), ("euclidean", 1000.0)])
def test_lime_with_captums_models_and_kernels_is_captums(
    case: str, model: str, kernel: tuple[str, float]
) -> None:
    models = pytest.importorskip("captum._utils.models.linear_model")
    lime = pytest.importorskip("captum.attr._core.lime")
    forward, inputs, options = CASES[case]
    settings = {} if model == "SkLearnLinearRegression" else {"alpha": 0.5}
    coefficients = []
    for library, kernels in ((theirs, lime), (ours, ours)):
        torch.manual_seed(9)
        method = library.Lime(
            forward,
            getattr(models, model)(**settings),
            kernels.get_exp_kernel_similarity_function(*kernel),
        )
        values = method.attribute(inputs, n_samples=120, return_input_shape=False, **options)
        coefficients.append(values)
    torch.testing.assert_close(coefficients[1], coefficients[0], rtol=1e-3, atol=1e-3)


def test_a_sentence_that_loses_words_is_captums() -> None:
    """LimeBase: a sample is a shorter sentence, so samples cannot share a batch."""
    models = pytest.importorskip("captum._utils.models.linear_model")
    sentence = torch.tensor([[3, 1, 4, 1, 5]])
    values = torch.arange(8.0).sin()

    def shorter(words: Tensor, **kwargs: Any) -> Tensor:
        stays = torch.rand(words.shape[1]) < 0.7
        stays[0] = True
        return words[:, stays]

    def row(words: Tensor, whole: Tensor, **kwargs: Any) -> Tensor:
        return torch.isin(whole, words).double()

    coefficients = []
    for library in (theirs, ours):
        torch.manual_seed(1)
        lime = library.LimeBase(
            lambda words: values[words].cumsum(1).square().sum(1),
            models.SkLearnRidge(alpha=0.1),
            lambda whole, words, row, **kwargs: words.shape[1] / whole.shape[1],
            shorter,
            False,
            None,
            row,
        )
        coefficients.append(lime.attribute(sentence, n_samples=60))
    torch.testing.assert_close(coefficients[1], coefficients[0], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("method", ["FeatureAblation", "ShapleyValues", "ShapleyValueSampling"])
@pytest.mark.parametrize("case", ["cells", "two examples with a mask each", "three inputs"])
def test_futures_are_captums(method: str, case: str) -> None:
    forward, inputs, options = CASES[case]

    def later(*arguments: Any) -> Future[Tensor]:
        future: Future[Tensor] = Future()
        future.set_result(forward(*arguments))
        return future

    oracle = "FeatureAblation" if method == "FeatureAblation" else "ShapleyValues"
    wanted = getattr(theirs, oracle)(later).attribute_future(inputs, **options).wait()
    values = getattr(OWN, method)(later).attribute_future(inputs, **options).wait()
    torch.testing.assert_close(values, wanted, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("library", [theirs, ours], ids=["captum", "otoscope"])
@pytest.mark.parametrize(
    "method", ["FeatureAblation", "ShapleyValues", "ShapleyValueSampling", "Lime", "KernelShap"]
)
def test_progress_reaches_its_end_on_stderr(
    library: Any, method: str, capsys: pytest.CaptureFixture[str]
) -> None:
    getattr(library, method)(Layers()).attribute(ONE, target=0, show_progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "attribution: 100%" in shown.err

"""Arrays and numbers of NumPy, structured answers, and a patch's own sound are taken or named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import otoscope as oto
from otoscope import ops
from otoscope.errors import ParameterError
from otoscope.metrics import FrechetDistance, KernelDistance
from otoscope.signal import griffin_lim
from tests.support.listeners import listener

OPS: Any = ops  # arguments of wrong types
GRIFFIN_LIM: Any = griffin_lim
PATCH = torch.randn(20, 8, generator=torch.Generator().manual_seed(0))


def lime(**changes: Any) -> Any:
    settings: Any = {"segments": "temporal:4", "content": 0.0, "target": 0} | changes
    return oto.SoundLIME(nn.Sequential(nn.Flatten(), nn.Linear(160, 3)).eval(), **settings)


@pytest.mark.parametrize(
    ("wrap", "name"),
    [
        (lambda t: {}, "dict"),
        (lambda t: (), "tuple"),
        (lambda t: None, "NoneType"),
        (lambda t: 3.0, "float"),
    ],
)
def test_an_answer_without_numbers_is_refused_by_its_type(wrap: Any, name: str) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.flat = nn.Linear(160, 2)

        def forward(self, x: Tensor) -> Any:
            return wrap(self.flat(x.flatten(1)))

    explainer = oto.SoundLIME(Net().eval(), segments="temporal:6", content=0.0, target=0)
    with pytest.raises(ParameterError, match=f"the model returned a {name}, must be a Tensor"):
        explainer.explain(PATCH)


@pytest.mark.parametrize(
    "as_array",
    [
        lambda p: p.numpy(),
        lambda p: p.numpy()[::-1].copy()[::-1],
        lambda p: p.numpy().astype(">f4"),
        lambda p: np.asfortranarray(p.numpy()),
    ],
)
def test_a_patch_may_be_an_array(as_array: Any) -> None:
    torch.manual_seed(0)
    explainer = lime()
    expected = explainer.explain(PATCH).coefficients
    array = as_array(PATCH)
    torch.testing.assert_close(explainer.explain(array).coefficients, expected)
    (one,) = explainer.explain(array[None])
    torch.testing.assert_close(one.coefficients, expected)
    (one,) = explainer.explain(array[None, None])
    torch.testing.assert_close(one.coefficients, expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.uint32, np.int64])
def test_a_label_map_may_be_an_array(dtype: Any) -> None:
    torch.manual_seed(0)
    ids = (np.arange(20) // 5)[:, None].repeat(8, 1).astype(dtype)
    explanation = lime(segments=ids, content=np.zeros((20, 8), np.float32)).explain(PATCH)
    torch.manual_seed(0)
    torch.testing.assert_close(explanation.coefficients, lime().explain(PATCH).coefficients)


def test_numbers_may_be_of_numpy() -> None:
    torch.manual_seed(0)
    numbers = {"target": np.int64(0), "content": np.float32(0.0), "seed": np.int64(0)}
    first = lime(**numbers, n_samples=np.int64(12), max_batch=np.int64(5)).explain(PATCH)
    torch.manual_seed(0)
    second = lime(n_samples=12, max_batch=5).explain(PATCH)
    torch.testing.assert_close(first.coefficients, second.coefficients)
    with pytest.raises(ParameterError, match="target is True; give an output's name or index"):
        lime(target=True).explain(PATCH)
    rows = OPS.coalitions(np.int64(5), "bernoulli", np.int64(7), seed=np.int64(-3))
    assert rows.bits.equal(ops.coalitions(5, "bernoulli", 7, seed=-3).bits)
    window = torch.ones(256)
    D = OPS.stft(torch.ones(400), window=window, hop_length=np.int64(64))
    assert D.shape == (3, 129)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: OPS.stft(np.zeros(400), window=torch.ones(256), hop_length=1), "y is ndarray"),
        (lambda: OPS.stft(torch.zeros(9), window=np.ones(8), hop_length=1), "window is ndarray"),
        (lambda: OPS.stft(torch.zeros(9), window=torch.ones(8), hop_length="1"), "hop_length is 1"),
        (lambda: OPS.istft_ls([1], window=torch.ones(8), hop_length=1), "spectrum is list"),
        (lambda: OPS.moments(np.zeros((3, 2))), "features is ndarray"),
        (lambda: OPS.occlude(PATCH.numpy(), 0.0, PATCH.long(), None), "patch is ndarray"),
        (lambda: OPS.SegmentMap(np.zeros((2, 2), int)), "segment is ndarray"),
        (lambda: OPS.pack(np.zeros((2, 2), bool)), "keep is ndarray"),
        (lambda: OPS.coalitions(5.0, "exact"), "n_segments is 5.0; it must be an integer"),
        (lambda: OPS.coalitions(5, "bernoulli", 2.5), "n_samples is 2.5; it must be an integer"),
        (lambda: OPS.coalitions(5, "bernoulli", 2, seed="a"), "seed is 'a'; it must be an int"),
        (lambda: lime().explain(np.array(["a"])), "patch is ndarray, must be a Tensor or an array"),
        (lambda: GRIFFIN_LIM(torch.ones(5, 9), random_state="x"), "random_state or rng is 'x'"),
        (lambda: GRIFFIN_LIM(torch.ones(5, 9), random_state=-1), "random_state or rng is -1"),
        (lambda: GRIFFIN_LIM(torch.ones(5, 9), rng=1.5), "random_state or rng is 1.5"),
    ],
)
def test_a_wrong_type_is_named(call: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        call()


def test_griffin_lim_takes_librosas_two_names() -> None:
    S = torch.rand(5, 9, generator=torch.Generator().manual_seed(0))
    expected = griffin_lim(S, random_state=3)
    for rng in (3, np.int64(3), np.random.RandomState(3)):
        torch.testing.assert_close(GRIFFIN_LIM(S, rng=rng), expected)
    own = griffin_lim(S, rng=np.random.default_rng(3))
    torch.testing.assert_close(griffin_lim(S, random_state=np.random.default_rng(3)), own)
    assert not own.allclose(expected)


def test_the_sound_of_a_patch_is_long_enough_for_its_model() -> None:
    model = listener()
    y = torch.randn(60_000, generator=torch.Generator().manual_seed(0)) * 0.1
    patch = model.patch((y, model.sample_rate), start=0.5)
    again = model.patch((patch.y, model.sample_rate))
    assert again.start == 0
    assert torch.equal(again.y, patch.y)
    inner = slice(2, -2)  # only windows at the ends reach beyond the patch
    torch.testing.assert_close(again.values[inner], patch.values[inner], rtol=1e-3, atol=1e-3)
    with pytest.raises(ParameterError, match="too short for an excerpt"):
        model.patch((patch.y[:-1], model.sample_rate))


@pytest.mark.parametrize("kind", [FrechetDistance, KernelDistance])
def test_a_value_of_one_batch_is_refused_and_nothing_is_lost(kind: Any) -> None:
    real, made = torch.randn(2, 50, 4, generator=torch.Generator().manual_seed(0))
    expected, metric = kind(), kind()
    for each in (expected, metric):
        each.update(real, real=True)
    with pytest.raises(ParameterError, match=r"has no value: .* Call update\(batch, real=...\)"):
        metric(made, real=False)
    keeping = kind(reset_real_features=False)
    keeping.update(real, real=True)
    for _ in range(2):
        with pytest.raises(ParameterError):  # too few rows for a value
            keeping(made[:1], real=False)
    keeping.update(made, real=False)
    for each in (expected, metric):
        each.update(made, real=False)
    torch.testing.assert_close(metric.compute(), expected.compute())
    torch.testing.assert_close(keeping.compute(), expected.compute())

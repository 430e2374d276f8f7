"""Explainers go to other processes: pickled, before and after use, they explain the same."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest
import torch
from sklearn.ensemble import RandomForestRegressor
from torch import nn

from otoscope import ActivationMaximiser, FrechetDistance
from otoscope.adapters import captum
from otoscope.explain import SoundLIME, content, segments
from otoscope.explain.content import CONTENTS, Content
from otoscope.explain.maximise import FourierPrior, RawPrior
from otoscope.explain.segments import SEGMENTATIONS
from otoscope.protocols import Patch
from otoscope.signal.mel.domain import Domain
from otoscope.taps import Tap

PICTURE = torch.rand(20, 8, generator=torch.Generator().manual_seed(0))
EXCERPTS = [PICTURE, PICTURE.flip(0)]


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(160, 8), nn.ReLU(True), nn.Linear(8, 1)).eval()


def again(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


def made(name: str) -> Content:
    entry = CONTENTS.entries[name]
    return content.resolve(entry.example) if entry.example else entry.make(EXCERPTS)


@pytest.mark.parametrize("name", [*CONTENTS.entries, "given"])
def test_contents_stay_the_same(name: str) -> None:
    drawn = content.resolve(PICTURE * 2) if name == "given" else made(name)
    patch = Patch(PICTURE, domain=Domain(torch.zeros(8), torch.ones(8)))
    ids = (torch.arange(160).reshape(20, 8) // 40).int()
    first, second = drawn(patch, ids), again(drawn)(patch, ids)
    assert isinstance(first, torch.Tensor) == (name != "fresh_noise")
    assert (
        torch.equal(first, second)
        if isinstance(first, torch.Tensor)
        else vars(first) == vars(second)
    )


@pytest.mark.parametrize("text", [*SEGMENTATIONS.examples(), "labels"])
def test_segmentations_stay_the_same(text: str) -> None:
    chosen = segments.resolve(torch.tensor([[0, 1]]) if text == "labels" else text)
    assert str(again(chosen)) == str(chosen)


LIMES: dict[str, Callable[[], SoundLIME]] = {
    "defaults": lambda: SoundLIME(network(), segments="temporal:4"),
    "noise": lambda: SoundLIME(network(), segments="grid:2x2", content="noise"),
    "fresh noise": lambda: SoundLIME(network(), segments="spectral:4", content="fresh_noise"),
    "forest": lambda: SoundLIME(
        network(), segments="temporal:4", surrogate=RandomForestRegressor(3), content="blur"
    ),
    "tap": lambda: SoundLIME(Tap(network(), "3"), segments="temporal:4", shared=True, content=0),
    "paper": lambda: SoundLIME.paper_a(network(), segments="temporal:4", n_samples=50),
}


@pytest.mark.filterwarnings("ignore:the surrogate rests on")
@pytest.mark.parametrize("name", LIMES)
@pytest.mark.parametrize("copied", [again, copy.deepcopy])
def test_explainers_explain_the_same_before_and_after_use(
    name: str, copied: Callable[[Any], Any]
) -> None:
    lime = LIMES[name]()
    if lime.settings.content_space != "values":
        lime.model.domain = Domain(torch.zeros(8), torch.ones(8))  # type: ignore[attr-defined]
    unused, explanation = copied(lime), lime.explain(PICTURE)
    for other in (unused, copied(lime)):
        found = other.explain(PICTURE)
        assert torch.equal(found.outputs, explanation.outputs)  # type: ignore[union-attr]
        assert torch.equal(found.coefficients, explanation.coefficients)  # type: ignore[union-attr]
        assert found.plan == explanation.plan  # type: ignore[union-attr]
    assert torch.equal(again(explanation).outputs, explanation.outputs)  # type: ignore[union-attr]


ATTRIBUTIONS = [
    *("FeatureAblation", "Occlusion", "ShapleyValues", "ShapleyValueSampling"),
    *("KernelShap", "Lime", "SoundLIME"),
]


@pytest.mark.parametrize("name", ATTRIBUTIONS)
def test_attributions_of_captum_stay_the_same(name: str) -> None:
    inputs = PICTURE[None, None]
    call: dict[str, Any] = {"feature_mask": torch.arange(160).reshape(1, 1, 20, 8) // 40}
    if name == "Occlusion":
        call = {"sliding_window_shapes": (1, 10, 8), "strides": (1, 10, 8)}
    method = getattr(captum, name)(network())
    values = []
    for each in (method, again(method)):
        torch.manual_seed(0)
        values.append(each.attribute(inputs, **call))
    assert torch.equal(*values)


@pytest.mark.parametrize("prior", [RawPrior((1, 20, 8)), FourierPrior((1, 20, 8))])
def test_maximisers_find_the_same(prior: Any) -> None:
    search = ActivationMaximiser(network(), prior, layer="3", unit=0)
    results = [each.run(iterations=2, seeds=2) for each in (search, again(search))]
    assert torch.equal(results[0].input, again(results[1]).input)


def test_metrics_and_taps_stay_the_same() -> None:
    metric = FrechetDistance(feature=Tap(network(), "1"))
    for real in (True, False):
        metric.update(torch.randn(20, 1, 20, 8), real=real)
    assert torch.equal(again(metric).compute(), metric.compute())


def _explained(lime: SoundLIME) -> Any:
    return lime.explain(PICTURE)


@pytest.mark.slow
def test_processes_that_are_spawned_explain() -> None:
    lime = SoundLIME(network(), segments="temporal:4", content="noise", shared=True)
    lime.model.domain = Domain(torch.zeros(8), torch.ones(8))  # type: ignore[attr-defined]
    right = _explained(lime)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        for explanation in pool.map(_explained, [lime] * 3):
            torch.testing.assert_close(explanation.outputs, right.outputs)

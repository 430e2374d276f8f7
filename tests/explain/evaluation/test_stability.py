"""Stability and weight randomisation: what must stay stays, and what must not does not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.explain import SoundLIME
from otoscope.explain.evaluation import stability, weight_randomisation
from otoscope.protocols import Patch
from tests.explain.evaluation.test_faithfulness import FRAMES, MELS, Net, lime_of


@pytest.fixture(scope="module")
def patch() -> Patch:
    return Patch(torch.randn(FRAMES, MELS, generator=torch.Generator().manual_seed(1)))


@pytest.mark.filterwarnings("ignore::otoscope.explain.FewEffectiveSamples")
def test_chance_in_the_design_is_seen(patch: Patch) -> None:
    net = Net().eval()
    exact = lime_of(net)
    assert stability(exact, exact.explain(patch)).seeds == pytest.approx(1)
    drawn = lime_of(net, design="bernoulli", n_samples=5, min_r2=-9)
    seeds = stability(drawn, drawn.explain(patch)).seeds
    assert seeds is not None
    assert seeds < 0.999


def test_noise_and_shift_hurt_more_the_larger_they_are(patch: Patch) -> None:
    lime = lime_of(Net().eval())
    explanation = lime.explain(patch)
    faint, loud = (stability(lime, explanation, noise=noise).noise for noise in (1e-6, 3.0))
    assert faint == pytest.approx(1)
    assert loud < 0.9
    shift = stability(lime, explanation).shift
    assert shift is not None
    assert -1 <= shift < 1


def test_other_explainers_are_tried_with_noise_only(patch: Patch) -> None:
    lime = lime_of(Net().eval())
    fixed = stability(
        lime, lime.explain(patch), explainer=lambda p: torch.arange(48.0).reshape(12, 4)
    )
    assert (fixed.seeds, fixed.shift) == (None, None)
    assert fixed.noise == pytest.approx(1)


@pytest.mark.parametrize(("n", "noise"), [(0, 0.1), (3, 0.0)])
def test_numbers_out_of_range_are_refused(patch: Patch, n: int, noise: float) -> None:
    lime = lime_of(Net().eval())
    with pytest.raises(ParameterError, match="must be >= 1; noise is"):
        stability(lime, lime.explain(patch), n=n, noise=noise)


def test_weights_are_replaced_from_the_last_layer_on_and_put_back(patch: Patch) -> None:
    net = Net().eval()
    before = {name: weight.clone() for name, weight in net.state_dict().items()}
    lime = lime_of(net)
    explanation = lime.explain(patch)
    seen = []

    def explainer(_: Patch) -> Tensor:
        seen.append([not torch.equal(w, before[n]) for n, w in net.state_dict().items()])
        return explanation.coefficients[explanation.segment_ids.long()]

    same = weight_randomisation(lime, explanation, explainer=explainer)
    assert list(same) == ["last", "hidden"]
    assert list(same.values()) == pytest.approx([1, 1])  # an explainer that reads no weights
    assert seen == [[False] * 4, [False, False, True, True], [True] * 4]
    ours = weight_randomisation(lime, explanation)
    assert ours["hidden"] < 0.999
    assert all(torch.equal(weight, before[name]) for name, weight in net.state_dict().items())
    again = lime.explain(patch)
    assert torch.equal(again.coefficients, explanation.coefficients)


def test_weights_are_put_back_after_an_error(patch: Patch) -> None:
    net = Net().eval()
    before = net.last.weight.clone()
    lime = lime_of(net)
    explanation = lime.explain(patch)
    answers = iter([torch.ones(12, 4)])
    with pytest.raises(StopIteration):
        weight_randomisation(lime, explanation, explainer=lambda _: next(answers))
    assert torch.equal(net.last.weight, before)


def test_a_function_without_weights_is_refused() -> None:
    lime = SoundLIME(lambda x: x[:, 0, 3], segments="temporal:4", content=0.0)
    with pytest.raises(ParameterError, match="the model has no modules with weights"):
        weight_randomisation(lime, lime.explain(Patch(torch.ones(4, 1))))
    net = nn.Sequential(nn.Flatten())
    other = SoundLIME(net, segments="temporal:4", content=0.0, target=3)
    with pytest.raises(ParameterError, match="the model has no modules with weights"):
        weight_randomisation(other, other.explain(Patch(torch.ones(4, 1))))

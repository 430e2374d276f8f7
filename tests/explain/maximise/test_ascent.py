"""Rows that wait or depend on others, settings that are shown, and models left as they were."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.explain import ActivationMaximiser, Prior, RawPrior
from otoscope.explain.maximise import GridResult
from otoscope.taps import Tap
from tests.support.maximisations import linear, maximised


def off() -> nn.Sequential:
    """A unit that is off wherever the sum of its input is below 1000: no gradient."""
    layer = nn.Linear(12, 1)
    layer.weight.data, layer.bias.data = torch.ones(1, 12), torch.tensor([-1000.0])
    return nn.Sequential(nn.Flatten(), layer, nn.ReLU())


@pytest.mark.parametrize(("blur", "steps"), [(1.0, 12), (0.0, 1)])
def test_a_row_without_gradient_waits_for_the_blur_that_moves_it(blur: float, steps: int) -> None:
    prior = RawPrior((1, 4, 3), blur=blur, blur_every=5)
    found = ActivationMaximiser(off(), prior, layer="2", unit=0).run(
        rate=0.1, penalty=0.0, iterations=12, seeds=2
    )
    assert found.steps.tolist() == [steps, steps]


def test_a_prior_that_changes_latents_after_a_step_is_not_stopped() -> None:
    class Plain(Prior):
        def sample(self, n: int, seed: int) -> Tensor:
            return torch.zeros(n, 12)

        def decode(self, latent: Tensor) -> Tensor:
            return latent

    class Lifting(Plain):
        def after_step(self, latent: Tensor, step: int) -> Tensor:
            return latent + 100 * (step == 3)

    assert not Plain().has_after_step
    for prior, reached in ((Plain(), 0.0), (Lifting(), 200.0)):
        found = ActivationMaximiser(off(), prior, layer="2", unit=0).run(
            rate=1e-9, penalty=0.0, iterations=4, seeds=1
        )
        assert float(found.activation) == reached


def test_small_steps_in_float64_are_steps() -> None:
    """1e-8 is lost beside 1 in float32, not in float64."""
    net = linear(torch.ones(1, 4, dtype=torch.float64))
    found = ActivationMaximiser(net, RawPrior((4,)), layer="0", unit=0).run(
        rate=1e-8, penalty=0.0, iterations=20, seeds=1
    )
    assert found.steps.tolist() == [20]
    assert float(found.trace[0, -1] - found.trace[0, 0]) == pytest.approx(4 * 19e-8, rel=1e-3)


def test_jitter_needs_two_axes_to_roll() -> None:
    ascent = ActivationMaximiser(linear(), RawPrior((4,)), layer="0", unit=0, jitter=(1, 0))
    with pytest.raises(ParameterError, match=r"inputs are \[4\]: it rolls the last two axes"):
        ascent.run(iterations=2, seeds=1)


@pytest.mark.parametrize("tapped", [True, False])
def test_features_are_taken_in_eval_mode_batch_by_batch(tapped: bool) -> None:
    norm = nn.BatchNorm1d(1)
    net = nn.Sequential(norm).train()
    sizes: list[int] = []
    net.register_forward_hook(lambda _net, args, _out: sizes.append(len(args[0])))
    grid = GridResult((maximised([1.0, 2.0, 3.0, 4.0, 5.0], rate=1.0),))
    real = torch.tensor([[1.0], [2.0], [4.0]])
    feature = Tap(net, "0") if tapped else net
    ranking = grid.rank(real, feature=feature, max_batch=2)
    assert sizes == [2, 2, 1, 2, 4]  # the last two see that rows do not meet
    assert net.training
    assert norm.training
    assert norm.running_mean is not None
    assert norm.running_mean.tolist() == [0]
    one_pass = grid.rank(real, feature=lambda x: x / (1 + norm.eps) ** 0.5)
    assert ranking.best.distance == pytest.approx(one_pass.best.distance, rel=1e-5)
    with pytest.raises(ParameterError, match="max_batch is 0"):
        grid.rank(real, feature=feature, max_batch=0)


@pytest.mark.parametrize(
    ("n", "names"), [(1, ["Best"]), (2, ["Best", "Worst"]), (3, ["Best", "Median", "Worst"])]
)
def test_landmarks_are_different_settings(n: int, names: list[str]) -> None:
    grid = GridResult(tuple(maximised([float(i), i + 1.0], rate=1.0 + i) for i in range(n)))
    shown = grid.rank(torch.tensor([0.0, 1.0])).landmarks
    assert [name for name, _ in shown] == names
    assert [row.setting.rate for _, row in shown] == [1.0 + i for i in range(n)]


def test_rows_are_evaluated_again_once_to_see_that_they_are_independent() -> None:
    net, sizes = linear().float(), list[int]()
    search = ActivationMaximiser(net, RawPrior((4,)), layer="0", unit=0, max_batch=3)
    net.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    search.run(iterations=2, seeds=5)
    assert sizes == [3, 2, 3, 2, 2]  # two of the first batch again, after its first iteration


class Centred(nn.Module):
    """Subtracts the mean over the batch."""

    def forward(self, batch: Tensor) -> Tensor:
        """Centre rows."""
        return batch - batch.mean(0)


def test_rows_that_depend_on_their_batch_give_a_warning() -> None:
    net = nn.Sequential(nn.Flatten(), Centred(), linear().float())
    for max_batch, n_warnings in ((2, 1), (1, 0)):
        with warnings.catch_warnings(record=True) as shown:
            warnings.simplefilter("always")
            ActivationMaximiser(net, RawPrior((4,)), layer="2", unit=0, max_batch=max_batch).run(
                iterations=2, seeds=5
            )
        texts = [str(warning.message) for warning in shown]
        assert sum("depends on the others of its batch" in text for text in texts) == n_warnings
        assert all(warning.filename == __file__ for warning in shown)

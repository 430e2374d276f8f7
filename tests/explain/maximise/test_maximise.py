"""Maximised inputs: optima known in closed form, planted templates, and rows by themselves."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from otoscope import models
from otoscope.data import sample
from otoscope.errors import ParameterError
from otoscope.explain import ActivationMaximiser, FourierPrior, RawPrior
from otoscope.explain.maximise import GridResult, MaximisationResult, Unit
from otoscope.explain.maximise.ascent import Keep
from tests.support.maximisations import WEIGHT, linear

SHAPE = (1, 8, 6)


def curved(seed: int = 0) -> nn.Sequential:
    """A small network with curved units, [batch, 1, 8, 6] to [batch, 3], in float64."""
    net = nn.Sequential(
        nn.utils.skip_init(nn.Conv2d, 1, 4, 3),
        nn.Tanh(),
        nn.Flatten(),
        nn.utils.skip_init(nn.Linear, 4 * 6 * 4, 3),
    ).double()
    random = torch.Generator().manual_seed(seed)
    for weight in net.parameters():
        weight.data = 0.3 * torch.randn(weight.shape, generator=random, dtype=torch.float64)
    return net


def maximiser(**options: Any) -> ActivationMaximiser:
    """Maximise unit 1 of the curved network's last layer."""
    settings = {"layer": "3", "unit": 1, **options}
    return ActivationMaximiser(curved(), RawPrior(SHAPE, scale=1.0), **settings)


def rows(grid: GridResult, name: str) -> Tensor:
    return torch.stack([getattr(found, name) for found in grid.results])


@pytest.mark.parametrize("maximise", [True, False])
def test_optimum_of_a_linear_unit_is_its_weight_over_two_lambda(maximise: bool) -> None:
    """The gradient of +-w z - lambda z^2 vanishes at +-w / (2 lambda): the penalty holds both."""
    found = ActivationMaximiser(
        linear(), RawPrior((4,)), layer="0", unit=0, maximise=maximise, keep="objective"
    ).run(rate=0.05, penalty=0.25, iterations=1500, seeds=3)
    optimum = (1 if maximise else -1) * WEIGHT / (2 * 0.25)
    torch.testing.assert_close(found.latent, optimum.expand(3, -1), rtol=0, atol=1e-4)
    torch.testing.assert_close(found.activation, (found.latent @ WEIGHT.T)[:, 0])
    assert found.failed.sum() == 0


def test_penalty_is_the_sum_of_squares_not_their_mean() -> None:
    """With the mean over n = 4 the optimum would lie four times as far."""
    weight = torch.ones(1, 4, dtype=torch.float64)
    found = ActivationMaximiser(
        linear(weight), RawPrior((4,)), layer="0", unit=0, keep="objective"
    ).run(rate=0.05, penalty=1.0, iterations=800, seeds=1)
    torch.testing.assert_close(found.latent, torch.full((1, 4), 0.5).double(), rtol=0, atol=1e-4)


def test_a_planted_template_is_found() -> None:
    """One position of a convolution rises fastest along its kernel, there."""
    template = torch.randn(8, 6, generator=torch.Generator().manual_seed(1))
    net = nn.Sequential(nn.utils.skip_init(nn.Conv2d, 1, 1, (8, 6), bias=False), nn.Softplus())
    net[0].weight.data = template[None, None].clone()
    found = ActivationMaximiser(net, RawPrior((1, 12, 9)), layer="1", unit=(0, 2, 1)).run(
        rate=0.05, penalty=0.1, iterations=200, seeds=4
    )
    made = found.input[found.best, 0]
    planted = torch.zeros(12, 9)
    planted[2:10, 1:7] = template
    assert float(torch.corrcoef(torch.stack([made.flatten(), planted.flatten()]))[0, 1]) > 0.99


def test_grid_equals_runs_of_one_row_of_one_setting() -> None:
    together = maximiser(max_batch=64).grid(
        rates=(0.1, 0.01), penalties=(0.1, 0.0), iterations=(5, 40), seeds=3, seed=5
    )
    for found in together.results:
        setting = found.setting
        for i, seed in enumerate(found.seeds):
            alone = maximiser(max_batch=1).run(
                rate=setting.rate,
                penalty=setting.penalty,
                iterations=setting.iterations,
                seeds=1,
                seed=seed,
            )
            for name in ("activation", "input", "latent", "trace"):
                torch.testing.assert_close(
                    getattr(found, name)[i : i + 1], getattr(alone, name), rtol=1e-9, atol=1e-12
                )


@pytest.mark.parametrize("jitter", [(0, 0), (2, 1)])
def test_max_batch_changes_nothing(jitter: tuple[int, int]) -> None:
    grids = [
        maximiser(max_batch=n, jitter=jitter).grid(rates=(0.1, 0.03), seeds=3, iterations=(30,))
        for n in (1, 4, 100)
    ]
    for name in ("activation", "input", "trace"):
        for other in grids[1:]:
            torch.testing.assert_close(
                rows(grids[0], name), rows(other, name), rtol=1e-9, atol=1e-12
            )


def test_shorter_runs_are_beginnings_of_the_longest() -> None:
    short, long = maximiser().grid(rates=(0.1,), penalties=(0.1,), iterations=(10, 60)).results
    assert short.trace.equal(long.trace[:, :10])
    assert short.activation.equal(long.trace[:, 9])
    assert long.activation.equal(long.trace[:, -1])
    backwards = maximiser().grid(rates=(0.1,), penalties=(0.1,), iterations=(60, 10)).results
    assert backwards[1].activation.equal(short.activation)


def test_rows_follow_torchs_adam() -> None:
    """The same search written down with an optimiser of torch, one row, the best before each."""
    net, prior = curved(), RawPrior(SHAPE, scale=1.0)
    z = prior.sample(1, 3).double().requires_grad_()
    adam = torch.optim.Adam([z], lr=0.05)
    best = -torch.inf
    for _ in range(80):
        activation = net(z)[0, 1]
        best = max(best, float(activation.detach()))
        adam.zero_grad()
        (0.02 * (z**2).sum() - activation).backward()
        adam.step()
    found = maximiser().run(rate=0.05, penalty=0.02, iterations=80, seeds=1, seed=3)
    assert float(found.activation) == pytest.approx(best, rel=1e-10)


@pytest.mark.parametrize("maximise", [True, False])
def test_the_first_latent_counts_and_the_trace_never_gets_worse(maximise: bool) -> None:
    """One iteration looks at the first latent only; a giant step cannot make the best worse."""
    ascent = maximiser(maximise=maximise)
    start = ascent.prior.sample(4, 0).double()
    first = ascent.run(rate=1e6, penalty=0.0, iterations=1, seeds=4)
    torch.testing.assert_close(first.activation, curved()(start)[:, 1])
    assert first.latent.equal(start)
    change = ascent.run(rate=1e6, penalty=0.0, iterations=5, seeds=4).trace.diff(dim=1)
    assert bool((change >= 0).all() if maximise else (change <= 0).all())


def test_what_is_kept_is_of_the_input_that_is_kept() -> None:
    ascent = maximiser(jitter=(3, 2), prepare=lambda x: x.clamp(min=-0.5))
    found = ascent.run(rate=0.1, iterations=30, seeds=4)
    torch.testing.assert_close(found.activation, curved()(found.input)[:, 1].detach())
    assert float(found.input.min()) == -0.5


@pytest.mark.parametrize("keep", ["activation", "objective"])
def test_kept_is_the_best_activation_or_the_best_objective(keep: Keep) -> None:
    """From far out the penalty pulls a linear unit's latent in: its activation only falls."""
    prior = RawPrior((4,), scale=100.0)
    found = ActivationMaximiser(linear(), prior, layer="0", unit=0, keep=keep).run(
        rate=1.0, penalty=10.0, iterations=50, seeds=8
    )
    stayed = found.latent.equal(prior.sample(8, 0).double())
    started_high = (prior.sample(8, 0).double() @ WEIGHT.T)[:, 0] > 0
    if keep == "activation":
        assert found.latent[started_high].equal(prior.sample(8, 0).double()[started_high])
    else:
        assert not stayed


class Cliff(nn.Module):
    """The sum of the input; NaN, or an infinity, where that exceeds 3."""

    def __init__(self, beyond: float) -> None:
        super().__init__()
        self.layer = nn.Identity()
        self.beyond = beyond

    def forward(self, x: Tensor) -> Tensor:
        total = x.flatten(1).sum(1, keepdim=True)
        y: Tensor = self.layer(torch.where(total > 3, torch.full_like(total, self.beyond), total))
        return y


@pytest.mark.parametrize("beyond", [float("nan"), float("inf")])
def test_a_row_that_explodes_is_kept_as_failed_and_leaves_the_others_alone(beyond: float) -> None:
    prior = RawPrior((2,), scale=3.0)
    start = prior.sample(6, 0).sum(1)
    assert 0 < int((start > 3).sum()) < 6  # some are there from the start, the others climb to it
    found = ActivationMaximiser(Cliff(beyond), prior, layer="layer", unit=0).run(
        rate=0.1, penalty=0.0, iterations=300, seeds=6
    )
    lost = start > 3
    assert bool(found.failed.all())
    assert bool(found.activation[lost].isnan().all())
    assert bool(((found.activation[~lost] > 2.5) & (found.activation[~lost] <= 3)).all())
    assert bool((found.steps[lost] == 1).all() and (found.steps[~lost] < 300).all())
    assert not bool(lost[found.best])
    with pytest.raises(ParameterError, match="real has shape"):
        GridResult((found,)).rank(torch.tensor([1.0]))


def test_rows_that_do_not_move_stop_and_the_others_go_on() -> None:
    """A ReLU that is off gives no gradient: such rows stop after the first look."""
    net = nn.Sequential(linear(torch.ones(1, 1))[0], nn.ReLU())
    prior = RawPrior((1,), scale=1.0)
    on = prior.sample(8, 0)[:, 0] > 0
    found = ActivationMaximiser(net, prior, layer="1", unit=0).run(
        rate=0.1, penalty=0.0, iterations=20, seeds=8
    )
    assert found.steps.tolist() == torch.where(on, 20, 1).tolist()
    assert not bool(found.failed.any())
    assert found.trace.shape == (8, 20)


def test_a_settled_search_stops_early_with_what_it_has() -> None:
    found = ActivationMaximiser(linear(), RawPrior((4,)), layer="0", unit=0, keep="objective").run(
        rate=0.1, penalty=0.5, iterations=5000, seeds=2
    )
    assert int(found.steps.max()) < 5000
    assert float((found.latent - WEIGHT).abs().max()) < 1e-5


def test_model_is_evaluated_and_left_as_it_was() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Dropout(0.9), linear(torch.ones(2, 48))[0].double())
    net.train()
    found = ActivationMaximiser(net, RawPrior(SHAPE), layer="2", unit=0).run(
        penalty=0.0, iterations=5, seeds=2
    )
    torch.testing.assert_close(found.activation, found.input.flatten(1).sum(1))
    assert net.training
    assert net[1].training
    assert all(weight.grad is None and weight.requires_grad for weight in net.parameters())


def test_same_seed_same_rows() -> None:
    first, again, later = (maximiser().run(iterations=3, seeds=3, seed=s) for s in (0, 0, 2))
    assert first.input.equal(again.input)
    torch.testing.assert_close(first.input[2], later.input[0])
    assert not first.input[0].equal(first.input[1])


@pytest.mark.parametrize("prior", [RawPrior((1, 115, 80)), FourierPrior((1, 115, 80))])
def test_made_up_input_drives_the_shipped_detector_further_than_our_songs(
    prior: RawPrior | FourierPrior,
) -> None:
    model = models.load("synth-singing")
    ascent = ActivationMaximiser(
        model,
        prior,
        layer="fc9",
        unit=0,
        prepare=lambda x: torch.maximum(x, model.domain.floor),
        jitter=(2, 0),
    )
    patches = model.patches(sample("mambo").path, [0.5 * i for i in range(16)])
    real = ascent.extremes(patches, 3)
    found = ascent.run(rate=0.05, iterations=30, seeds=2)
    assert float(found.activation.max()) > float(real.activations[0])
    torch.testing.assert_close(found.activation, Unit(model, "fc9", 0)(found.input).detach())


@pytest.mark.parametrize(
    ("index", "pool", "definition"),
    [
        (2, "mean", lambda h: h[:, 2].mean((1, 2))),
        (2, "max", lambda h: h[:, 2].amax((1, 2))),
        ((2, 1, 3), "mean", lambda h: h[:, 2, 1, 3]),
        ((2, 1), "mean", lambda h: h[:, 2, 1].mean(1)),
        ((..., 3), "max", lambda h: h[..., 3].amax((1, 2))),
        ((2, ..., 3), "mean", lambda h: h[:, 2, :, 3].mean(1)),
    ],
)
def test_unit_of_a_map_is_pooled_over_the_positions_left(
    index: Any, pool: Any, definition: Any
) -> None:
    x = torch.randn(5, 1, 8, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(Unit(curved(), "0", index, pool)(x), definition(curved()[0](x)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer": "7"}, "Sequential has no layer '7'; nearest: 0, 1, 2, 3"),
        ({"unit": -1}, "unit is -1, must be an index >= 0"),
        ({"unit": "1"}, "unit is 1, must be an index"),
        ({"unit": (..., ...)}, r"one \.\.\. stands for all axes left out"),
        ({"pool": "median"}, "pool is 'median', must be 'mean' or 'max'"),
        ({"keep": "last"}, "keep is 'last'"),
        ({"jitter": (-1, 0)}, r"jitter is \(-1, 0\)"),
        ({"jitter": (1.5, 0)}, r"jitter is \(1\.5, 0\)"),
        ({"max_batch": 0}, "max_batch is 0"),
    ],
)
def test_wrong_settings_are_told_at_once(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        maximiser(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate": 0.0}, r"rates are \(0\.0,\), must be finite and > 0"),
        ({"penalty": -1.0}, r"penalties are \(-1\.0,\)"),
        ({"iterations": 0}, r"iterations are \(0,\), must be whole numbers >= 1"),
        ({"iterations": 2.5}, r"iterations are \(2\.5,\)"),
        ({"seeds": 0}, "seeds is 0, must be a whole number >= 1"),
        ({"seed": -3}, "seed is -3"),
    ],
)
def test_wrong_numbers_are_told(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        maximiser().run(**options)


def test_a_unit_out_of_range_is_told_with_the_range() -> None:
    with pytest.raises(ParameterError, match=r"gives \[3\] for each input: 3 must be in 0\.\.2"):
        maximiser(unit=3).run(iterations=1)
    with pytest.raises(ParameterError, match=r"gives \[4, 6, 4\] .*: 9 must be in 0\.\.5"):
        maximiser(layer="0", unit=(1, 9)).run(iterations=1)
    with pytest.raises(ParameterError, match=r"unit is 1,\.\.\.,4, .*: 4 must be in 0\.\.3"):
        maximiser(layer="0", unit=(1, ..., 4)).run(iterations=1)
    with pytest.raises(ParameterError, match="at most 1 indices"):
        maximiser(unit=(1, 1)).run(iterations=1)


def test_a_model_that_cannot_is_told() -> None:
    with pytest.raises(ParameterError, match=r"was given \[1, 1, 8, 5\] and raised RuntimeError"):
        ActivationMaximiser(curved(), RawPrior((1, 8, 5)), layer="3", unit=0).run(seeds=1)

    class Rounded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.layer(x.detach())
            return y

    with pytest.raises(ParameterError, match="gives no gradient"):
        ActivationMaximiser(Rounded(), RawPrior((4,)), layer="layer", unit=0).run(seeds=1)
    with pytest.raises(ParameterError, match=r"model is function, must be an nn\.Module"):
        ActivationMaximiser(
            lambda x: x,  # type: ignore[arg-type]
            RawPrior((4,)),
            layer="0",
            unit=0,
        )


def test_a_probability_is_known_as_one() -> None:
    net = models.SVDNet(shrink=32)
    assert Unit(net, "probability", 0).is_squashed
    assert not Unit(net, "fc9", 0).is_squashed
    assert not Unit(net, "conv1", 0).is_squashed


def test_best_row_is_the_furthest_in_the_direction_asked_for() -> None:
    for maximise in (True, False):
        found: MaximisationResult = maximiser(maximise=maximise).run(iterations=5, seeds=6)
        furthest = found.activation.max() if maximise else found.activation.min()
        assert float(found.activation[found.best]) == float(furthest)


@pytest.mark.parametrize("at", [0, 2])
def test_layers_that_write_in_place_change_nothing(at: int) -> None:
    torch.manual_seed(0)
    conv, flat = nn.Conv2d(1, 2, 3), nn.Flatten()
    conv.bias.data.fill_(-3.0)  # type: ignore[union-attr]  # below 0: a ReLU blocks the gradient
    results = []
    for inplace in (True, False):
        parts = [nn.Identity(), conv, flat]
        parts.insert(at, nn.ReLU(inplace=inplace))
        net = nn.Sequential(*parts).eval()
        layer = next(name for name, part in net.named_modules() if part is conv)
        search = ActivationMaximiser(net, RawPrior((1, 8, 5)), layer=layer, unit=0)
        results.append(search.run(rate=0.1, iterations=5, seeds=2))
    torch.testing.assert_close(results[0].input, results[1].input)
    torch.testing.assert_close(results[0].activation, results[1].activation)

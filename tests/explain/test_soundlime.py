"""SoundLIME on models whose answer is known."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.explain import FewEffectiveSamples, SoundLIME, segments
from otoscope.protocols import Patch
from tests.support.examples import examples

quietly = pytest.mark.filterwarnings("ignore::otoscope.explain.FewEffectiveSamples")


def paper_patch(seed: int = 0) -> Patch:
    return Patch(torch.randn(115, 80, generator=torch.Generator().manual_seed(seed)))


def planted(blocks: tuple[int, ...]) -> Callable[[Tensor], Tensor]:
    """A detector of energy in some blocks of 11 frames: a probability, as in paper A."""

    def detect(batch: Tensor) -> Tensor:
        heard = [batch[:, 0, 11 * b : 11 * b + 11].mean((1, 2)) for b in blocks]
        return torch.stack(heard).sum(0).sigmoid()

    return detect


def linear(seed: int, n: int) -> tuple[Callable[[Tensor], Tensor], list[float]]:
    """A model that adds up the frames of an n-frame patch with random weights."""
    weight = torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return lambda batch: batch[:, 0].sum(2) @ weight + 0.7, weight.tolist()


@pytest.mark.parametrize("design", ["exact", "bernoulli", "uniform_size", "leave_one_out"])
@pytest.mark.parametrize("kernel", ["cosine", "l2"])
@quietly
def test_linear_black_box_gives_back_its_coefficients(design: str, kernel: str) -> None:
    model, weight = linear(1, 6)
    patch = Patch(torch.full((6, 2), 0.5, dtype=torch.float64))
    lime = SoundLIME(
        model,
        segments=segments.temporal(6),
        content=0.0,
        design=design,
        kernel=kernel,  # type: ignore[arg-type]
    )
    explanation = lime.explain(patch)
    np.testing.assert_allclose(explanation.coefficients, weight, atol=1e-9)
    assert explanation.intercept == pytest.approx(0.7)
    assert explanation.r2 == pytest.approx(1)
    assert explanation.local_error < 1e-9


@pytest.mark.parametrize("design", ["exact", "kernelshap", "permutation"])
@quietly
def test_linear_black_box_has_its_coefficients_as_shapley_values(design: str) -> None:
    model, weight = linear(2, 5)
    patch = Patch(torch.full((5, 2), 0.5, dtype=torch.float64))
    explanation = SoundLIME(
        model, segments=segments.temporal(5), content=0.0, design=design
    ).explain(patch)
    assert explanation.shapley is not None
    np.testing.assert_allclose(explanation.shapley, weight, atol=1e-9)
    assert explanation.efficiency_error == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("blocks", [(0, 4, 8), (1, 2, 3), (2, 5, 9)])
@pytest.mark.parametrize("design", ["exact", "bernoulli", "leave_one_out", "kernelshap"])
def test_planted_blocks_are_the_top_three(blocks: tuple[int, ...], design: str) -> None:
    patch = paper_patch()
    values = patch.values.clone()
    for block in blocks:
        values[11 * block : 11 * block + 11] += 2
    lime = SoundLIME(
        planted(blocks), segments=segments.temporal(10), content="mean_inp", design=design
    )
    assert set(lime.explain(Patch(values)).top(3)) == set(blocks)


@quietly
def test_planted_blocks_are_found_by_the_papers_settings() -> None:
    values = paper_patch().values.clone()
    values[11:44] += 2
    for design in ("bernoulli", "exact"):
        lime = SoundLIME.paper_a(planted((1, 2, 3)), design=design)
        assert set(lime.explain(Patch(values)).top(3)) == {1, 2, 3}


def random_table(n: int, seed: int) -> Callable[[Tensor], Tensor]:
    """A model of an n-frame patch of ones: any number for any coalition."""
    table = torch.rand(2**n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return lambda batch: table[(batch[:, 0, :, 0].long() << torch.arange(n)).sum(1)]


@quietly
def test_paper_a_exact_is_the_limit_of_its_draws() -> None:
    n_samples = 200_000
    model, patch = random_table(5, 3), Patch(torch.ones(5, 1))
    found = {
        design: SoundLIME.paper_a(
            model,
            content=0.0,
            segments=segments.temporal(5),
            design=design,
            n_samples=n_samples,
        ).explain(patch)
        for design in ("bernoulli", "exact")
    }
    drawn, limit = found["bernoulli"], found["exact"]
    assert (drawn.outputs == limit.outputs).all()
    assert float(limit.counts.sum()) == n_samples
    # each count is its expectation to 1/sqrt(6250) = 1.3 %
    np.testing.assert_allclose(drawn.coefficients, limit.coefficients, atol=0.03)
    assert drawn.r2 == pytest.approx(limit.r2, abs=0.03)


@given(n=st.integers(2, 6), seed=st.integers(0, 2**31), alpha=st.sampled_from([0.1, 1.0]))
@examples(20)
@quietly
def test_folded_draws_give_scikit_learns_ridge_on_all_draws(
    n: int, seed: int, alpha: float
) -> None:
    model = random_table(n, seed)
    explanation = SoundLIME(
        model,
        segments=segments.temporal(n),
        content=0.0,
        design="bernoulli",
        alpha=alpha,
        n_samples=300,
        seed=seed,
    ).explain(Patch(torch.ones(n, 1)))
    assert explanation.passes <= 2**n
    repeats = explanation.counts.long()
    rows = explanation.keep.double().repeat_interleave(repeats, 0).numpy()
    outputs = explanation.outputs[:, 0].repeat_interleave(repeats).numpy()
    distance = 1 - np.sqrt(rows.mean(1))
    weights = np.exp(-(distance**2) / (2 * 0.25**2))
    ridge = Ridge(alpha=alpha, solver="cholesky").fit(rows, outputs, sample_weight=weights)
    np.testing.assert_allclose(explanation.coefficients, ridge.coef_, rtol=0, atol=1e-9)
    assert explanation.intercept == pytest.approx(ridge.intercept_, abs=1e-9)
    assert explanation.r2 == pytest.approx(ridge.score(rows, outputs, weights))
    fitted = ridge.predict(np.ones((1, n)))[0]
    assert explanation.local_error == pytest.approx(abs(fitted - explanation.output_all))


def test_shapley_values_of_exact_follow_the_definition() -> None:
    n, model = 4, random_table(4, 9)
    explanation = SoundLIME(
        model, segments=segments.temporal(n), content=0.0, kernel_width=1.0
    ).explain(Patch(torch.ones(n, 1)))
    values = [0.0] * n
    for order in itertools.permutations(range(n)):
        batch = torch.zeros(n + 1, 1, n, 1)
        for i, segment in enumerate(order):
            batch[i + 1 :, 0, segment] = 1
        gains = model(batch).diff().tolist()
        for segment, gain in zip(order, gains, strict=True):
            values[segment] += gain / math.factorial(n)
    assert explanation.shapley is not None
    assert explanation.shapley.tolist() == pytest.approx(values, abs=1e-12)


@quietly
@pytest.mark.parametrize(("n_samples", "shrunk"), [(70_000, 0.005), (1024, 7.6e-5)])
def test_paper_a_shrinks_a_coefficient_as_the_page_says(n_samples: int, shrunk: float) -> None:
    """Alpha 1 is not scale free; 1024 samples leave the kernel's weights as they are."""
    lime = SoundLIME.paper_a(
        lambda batch: 0.225 * batch[:, 0, 0, 0],
        content=0.0,
        design="exact",
        n_samples=n_samples,
    )
    explanation = lime.explain(Patch(torch.ones(10, 1, dtype=torch.float64)))
    assert float(explanation.coefficients[0]) == pytest.approx(shrunk, rel=0.02)


@quietly
def test_paper_a_has_the_papers_numbers() -> None:
    lime = SoundLIME.paper_a(planted((1, 2, 3)), content="zero")
    explanation = lime.explain(paper_patch())
    assert len(explanation.extents) == 10
    assert explanation.n_samples == 70_000
    assert explanation.passes == 1024
    chosen = (lime.settings.kernel, lime.settings.kernel_width, lime.settings.alpha)
    assert chosen == ("l2", 0.25, 1.0)
    off = (~explanation.keep).sum(1).double()
    torch.testing.assert_close(explanation.weights, explanation.counts * (-8 * off).exp())


@quietly
def test_presets_name_what_the_papers_name_also_below_five_percent() -> None:
    def two_blocks(batch: Tensor) -> Tensor:
        return batch[:, 0, 0, 0] + 0.01 * batch[:, 0, 3, 0]

    patch = Patch(torch.ones(10, 1, dtype=torch.float64))
    for lime in (
        SoundLIME.paper_a(two_blocks, content=0.0, design="exact"),
        SoundLIME.ismir2017(two_blocks, version="temporal"),
    ):
        explanation = lime.explain(patch)
        assert explanation.settings.top_rule == "positive"
        assert explanation.top(3)[:2] == [0, 3]
    assert SoundLIME(two_blocks, content=0.0).explain(patch).top(3) == [0]
    with pytest.raises(ParameterError, match="top_rule is 'all', must be"):
        SoundLIME(two_blocks, top_rule="all")  # type: ignore[arg-type]


def test_presets_do_not_follow_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """Presets write out the papers' numbers, whatever the defaults become."""
    defaults = SoundLIME.__init__.__kwdefaults__
    assert defaults is not None
    other = {"kernel": "l2", "kernel_width": 9.0, "alpha": 7.0, "design": "leave_one_out"}
    for name, value in {**other, "n_samples": 5, "segments": "temporal:3"}.items():
        monkeypatch.setitem(defaults, name, value)
    names = ("segments", "design", "n_samples", "kernel", "kernel_width", "alpha", "surrogate")
    ridge = "WeightedRidge(alpha=1.0)"
    for lime, numbers in (
        (
            SoundLIME.paper_a(nn.Flatten()),
            ("temporal(10)", "bernoulli", 70_000, "l2", 0.25, 1.0, ridge),
        ),
        (
            SoundLIME.ismir2017(nn.Flatten()),
            ("grid(6, 4)", "bernoulli", 2000, "cosine", 0.25, 1.0, ridge),
        ),
        (
            SoundLIME.ismir2017(nn.Flatten(), version="temporal"),
            ("temporal(10)", "uniform_size", 1000, "cosine", 0.25, 0.0, "ForwardSelection()"),
        ),
    ):
        assert tuple(getattr(lime.settings, name) for name in names) == numbers
    assert SoundLIME(nn.Flatten()).settings.kernel_width == 9.0


def test_paper_a_warns_of_its_kernel() -> None:
    with pytest.warns(FewEffectiveSamples, match=r"rests on 1\.0\d effective .* for 10 segments"):
        explanation = SoundLIME.paper_a(planted((1, 2, 3)), design="exact").explain(paper_patch())
    assert explanation.effective_samples == pytest.approx(1.007, abs=5e-4)


def test_ismir_2017_has_the_papers_numbers() -> None:
    explanation = SoundLIME.ismir2017(planted((1, 2, 3))).explain(paper_patch())
    assert (len(explanation.extents), explanation.n_samples) == (24, 2000)
    assert explanation.extents[7].frames == (19, 38)
    assert explanation.extents[7].bands == (60, 80)
    kept = explanation.keep.sum(1).double()
    weights = (-((100 * (1 - (kept / 24).sqrt())) ** 2) / (2 * 25**2)).exp()
    torch.testing.assert_close(explanation.weights, explanation.counts * weights)
    assert explanation.settings.alpha == 1


def test_ismir_2017_hears_a_waveform() -> None:
    wave = torch.randn(22050, 1, generator=torch.Generator().manual_seed(0))

    def energy_early(batch: Tensor) -> Tensor:
        assert batch.shape[1:] == (1, 22050, 1)
        return batch[:, 0, 4410:6615].square().mean((1, 2))

    lime = SoundLIME.ismir2017(energy_early, version="temporal")
    explanation = lime.explain(Patch(wave))
    assert explanation.top(3)[0] == 2
    assert explanation.n_samples == 1000
    assert int(explanation.coefficients.count_nonzero()) <= 3
    assert [e.frames[1] - e.frames[0] for e in explanation.extents] == [2205] * 10
    with pytest.raises(ParameterError, match="version is 'spectral'"):
        SoundLIME.ismir2017(energy_early, version="spectral")  # type: ignore[arg-type]


@pytest.mark.parametrize("design", ["kernelshap", "paired", "permutation"])
@quietly
def test_shapley_designs_are_exact_where_they_meet_all_coalitions(design: str) -> None:
    patch = Patch(torch.ones(5, 1))
    few, many, exact = (
        SoundLIME(
            random_table(5, 1), segments=segments.temporal(5), content=0.0, design=d, n_samples=n
        ).explain(patch)
        for d, n in ((design, 18), (design, 5000), ("exact", None))
    )
    assert few.shapley is not None
    assert few.passes < 32
    assert few.efficiency_error == pytest.approx(0, abs=1e-12)
    assert torch.equal(few.coefficients, few.shapley)
    assert few.intercept == few.output_none
    assert few.standard_error is not None
    assert many.passes == 32
    assert many.shapley is not None
    assert exact.shapley is not None
    torch.testing.assert_close(many.shapley, exact.shapley, rtol=0, atol=1e-12)
    assert many.standard_error is None

"""FrechetDistance and KernelDistance: sets, states, taps, moves between devices, processes."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import poly_mmd

from otoscope.errors import ParameterError
from otoscope.metrics import (
    FewRows,
    FrechetDistance,
    KernelDistance,
    Statistics,
    frechet_of,
    kernel_distance,
    statistics,
)
from otoscope.taps import Tap

pytestmark = pytest.mark.filterwarnings("ignore::otoscope.metrics.FewRows")


class Features(nn.Module):
    """Feature extractor in the form that torchmetrics requires."""

    num_features = 12

    def forward(self, batch: Tensor) -> Tensor:
        return batch


@pytest.fixture
def pair(random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw real and generated features, more rows than columns."""
    x, y = (torch.randn(90, 12, generator=random, dtype=torch.float64) for _ in range(2))
    return x, 1.5 * y + 0.3


def metric_of(
    x: Tensor, y: Tensor, *, n_batches: int = 1, reset_real_features: bool = True
) -> FrechetDistance:
    metric = FrechetDistance(reset_real_features=reset_real_features)
    for real, rows in ((True, x), (False, y)):
        for batch in rows.tensor_split(n_batches):
            metric.update(batch, real=real)
    return metric


def states(metric: Metric) -> list[Tensor]:
    return [part for part in metric.metric_state.values() if isinstance(part, Tensor)]


@pytest.mark.parametrize("n_batches", [1, 3, 90])
def test_equals_torchmetrics(pair: tuple[Tensor, Tensor], n_batches: int) -> None:
    theirs = FrechetInceptionDistance(feature=Features(), normalize=True)
    for real, rows in zip((True, False), pair, strict=True):
        theirs.update(rows, real=real)
    result = metric_of(*pair, n_batches=n_batches).compute()
    torch.testing.assert_close(result, theirs.compute(), rtol=1e-9, atol=0)
    torch.testing.assert_close(result, frechet_of(*pair), rtol=1e-10, atol=0)


def test_few_rows_are_exact_and_warned_of(pair: tuple[Tensor, Tensor]) -> None:
    x, y = (part[:7] for part in pair)
    metric = metric_of(x, y, n_batches=3)
    with pytest.warns(FewRows, match="set has 7 rows of 12 columns") as warned:
        result = metric.compute()
    assert len(warned) == 2
    torch.testing.assert_close(result, frechet_of(x, y))


def test_features_are_those_of_a_tap_in_eval_mode(random: torch.Generator) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 4), nn.Dropout(), nn.Linear(4, 1))
    x, y = (torch.randn(40, 6, generator=random) for _ in range(2))
    metric = FrechetDistance(feature=Tap(net, "1"))
    metric.update(x, real=True)
    metric.update(y, real=False)
    with torch.no_grad():
        torch.testing.assert_close(metric.compute(), frechet_of(net[0](x), net[0](y)))
    assert net.training
    assert all(module.training for module in net.modules())
    assert not any(part.requires_grad for part in states(metric))


def test_reset_clears_the_real_set_only_if_set(pair: tuple[Tensor, Tensor]) -> None:
    kept = metric_of(*pair, reset_real_features=False)
    expected = kept.compute()
    kept.reset()
    kept.update(pair[1], real=False)
    assert kept.compute() == expected
    forgotten = metric_of(*pair)
    forgotten.reset()
    forgotten.update(pair[1], real=False)
    with pytest.raises(ParameterError, match="the real set has 0 rows"):
        forgotten.compute()


def test_the_real_factor_is_kept_until_the_set_changes(
    pair: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = pair
    metric = metric_of(x, y, reset_real_features=False)
    metric.compute()
    normal = metric._real()
    metric.reset()
    metric.update(y + 1, real=False)
    torch.testing.assert_close(metric.compute(), frechet_of(x, y + 1))
    assert metric._real() is normal
    metric.update(2 * x, real=True)
    assert metric._real() is not normal
    torch.testing.assert_close(metric.compute(), frechet_of(torch.cat([x, 2 * x]), y + 1))


def test_forward_gives_the_distance_of_a_batch_and_adds_it(pair: tuple[Tensor, Tensor]) -> None:
    x, y = pair
    metric = metric_of(x, y[:30], reset_real_features=False)
    torch.testing.assert_close(metric(y[30:], real=False), frechet_of(x, y[30:]))
    torch.testing.assert_close(metric.compute(), frechet_of(x, y))


@pytest.mark.parametrize("n_rows", [5, 90])
def test_merged_metrics_are_one(pair: tuple[Tensor, Tensor], n_rows: int) -> None:
    x, y = pair
    whole, other = metric_of(x[:50], y[:4]), metric_of(x[50:], y[4:n_rows])
    whole.merge_state(other)
    empty = FrechetDistance()
    empty.merge_state(whole.metric_state)
    assert len(other._side("generated").rows) == (1 if n_rows == 5 else 0)
    for metric in (whole, empty):
        if n_rows == 5:
            with pytest.warns(FewRows):
                result = metric.compute()
        else:
            result = metric.compute()
        torch.testing.assert_close(result, frechet_of(x, y[:n_rows]), rtol=1e-9, atol=0)


def test_merging_needs_the_same_width_and_kind(pair: tuple[Tensor, Tensor]) -> None:
    metric = metric_of(*pair)
    with pytest.raises(ParameterError, match="cannot merge features of 3 columns into 12"):
        metric.merge_state(metric_of(pair[0][:, :3], pair[1][:, :3]))
    with pytest.raises(ParameterError, match="cannot merge KernelDistance into FrechetDistance"):
        metric.merge_state(KernelDistance())


def test_merging_needs_whole_states_and_equal_sets(pair: tuple[Tensor, Tensor]) -> None:
    metric = metric_of(*pair)
    expected = metric.compute()
    with pytest.raises(ParameterError, match="to merge has no real_set_rows, real_set_n"):
        metric.merge_state({})
    with pytest.raises(ParameterError, match="generated features of 3 sets into 2"):
        FrechetDistance(sets=2).merge_state(FrechetDistance(sets=3))
    fixed = FrechetDistance(real=metric.statistics(real=True))
    with pytest.raises(ParameterError, match="given by statistics; no rows can be merged"):
        fixed.merge_state(metric)
    other = FrechetDistance(real=metric.statistics(real=True))
    other.update(pair[1], real=False)
    fixed.merge_state(other)
    torch.testing.assert_close(fixed.compute(), expected)


def test_few_rows_of_statistics_are_warned_of(pair: tuple[Tensor, Tensor]) -> None:
    real = metric_of(pair[0][:8], pair[1]).statistics(real=True)
    metric = FrechetDistance(real=real)
    metric.update(pair[1], real=False)
    with pytest.warns(FewRows, match="the real set has 8 rows of 12 columns"):
        metric.compute()
    unknown = FrechetDistance(real=Statistics(real.mean, real.covariance))
    unknown.update(pair[1], real=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        unknown.compute()


@pytest.mark.parametrize("n_rows", [6, 90])
@pytest.mark.parametrize(
    "moved",
    [
        lambda metric: metric.half(),
        lambda metric: metric.double(),
        lambda metric: metric.to(torch.float16),
        lambda metric: metric.set_dtype(torch.float32),
        lambda metric: nn.ModuleList([metric]).half()[0],
        lambda metric: metric.to("cpu"),
        copy.deepcopy,
        lambda metric: pickle.loads(pickle.dumps(metric)),
        lambda metric: metric.clone(),
    ],
)
def test_no_move_or_cast_or_copy_damages_the_states(
    pair: tuple[Tensor, Tensor],
    n_rows: int,
    moved: Callable[[FrechetDistance], FrechetDistance],
) -> None:
    metric = metric_of(pair[0][:n_rows], pair[1][: n_rows - 1])
    result = moved(metric)
    assert [part.dtype for part in states(result)] == [torch.float64] * 8
    result.update(pair[1][n_rows - 1 : n_rows], real=False)
    torch.testing.assert_close(
        result.compute(), frechet_of(pair[0][:n_rows], pair[1][:n_rows]), rtol=1e-10, atol=0
    )


def test_a_state_dict_holds_the_sets(pair: tuple[Tensor, Tensor]) -> None:
    metric = metric_of(*pair)
    metric.persistent(True)
    again = FrechetDistance()
    again.persistent(True)
    again.load_state_dict(metric.state_dict())
    again.update(pair[0], real=True)
    torch.testing.assert_close(again.compute(), frechet_of(pair[0].repeat(2, 1), pair[1]))


def test_candidates_are_measured_at_once(pair: tuple[Tensor, Tensor]) -> None:
    candidates = torch.stack([pair[1] * scale for scale in (0.5, 1.0, 2.0)])
    metric = FrechetDistance(sets=3)
    metric.update(pair[0], real=True)
    for batch in candidates.split(40, 1):
        metric.update(batch, real=False)
    expected = torch.stack([frechet_of(pair[0], rows) for rows in candidates])
    torch.testing.assert_close(metric.compute(), expected)
    with pytest.raises(ParameterError, match=r"must be \[3 sets, row, column\]"):
        metric.update(pair[1], real=False)


def test_the_real_set_may_be_statistics(pair: tuple[Tensor, Tensor], tmp_path: Path) -> None:
    x, y = pair
    for rows in (x, x[:8]):
        statistics.save(tmp_path / "real.npz", metric_of(rows, y).statistics(real=True))
        metric = FrechetDistance(real=statistics.load(tmp_path / "real.npz"))
        for _ in range(2):
            metric.update(y, real=False)
            torch.testing.assert_close(metric.compute(), frechet_of(rows, y), rtol=1e-9, atol=0)
            metric.reset()
        torch.testing.assert_close(metric(y, real=False), frechet_of(rows, y), rtol=1e-9, atol=0)
        metric.reset()
        with pytest.raises(ParameterError, match="the real set is given by statistics"):
            metric.update(x, real=True)
    metric.update(y[:, :5], real=False)
    with pytest.raises(ParameterError, match="have 5 columns, the real statistics 12"):
        metric.compute()
    with pytest.raises(ParameterError, match="ddof is 0, the real statistics have ddof=1"):
        FrechetDistance(ddof=0, real=Statistics(torch.zeros(2), torch.eye(2)))


def test_unfit_arguments_are_refused(pair: tuple[Tensor, Tensor]) -> None:
    metric = metric_of(*pair)
    with pytest.raises(ParameterError, match="have 5 columns, those before had 12"):
        metric.update(torch.zeros(3, 5), real=False)
    half = FrechetDistance()
    half.update(pair[0], real=True)
    with pytest.raises(ParameterError, match="have 5 columns, those before had 12"):
        half.update(torch.zeros(3, 5), real=False)
    half.update(pair[1][:1], real=False)
    with pytest.raises(ParameterError, match="generated set has 1 rows; a covariance takes 2"):
        half.compute()
    with pytest.raises(ParameterError, match="features are str, must be a Tensor, or an array"):
        half.update("rows", real=True)
    with pytest.raises(ParameterError, match="feature is 'fc8'; it must be a tap"):
        FrechetDistance(feature="fc8")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="ddof is 2"):
        FrechetDistance(ddof=2)
    with pytest.raises(ParameterError, match="sets is 0"):
        FrechetDistance(sets=0)


def test_kernel_distance_equals_torchmetrics(pair: tuple[Tensor, Tensor]) -> None:
    x, y = pair
    metric = KernelDistance()
    for real, rows in ((True, x), (False, y)):
        for batch in rows.split(17):
            metric.update(batch, real=real)
    torch.testing.assert_close(metric.compute(), poly_mmd(x, y), rtol=1e-10, atol=0)
    other = KernelDistance(degree=2, gamma=0.3, coef=0.0)
    other.update(x[:40], real=True)
    other.update(y[:40], real=False)
    half = KernelDistance(degree=2, gamma=0.3, coef=0.0)
    half.update(x[40:], real=True)
    half.update(y[40:], real=False)
    other.merge_state(half)
    expected = poly_mmd(x, y, degree=2, gamma=0.3, coef=0.0)
    torch.testing.assert_close(other.compute(), expected, rtol=1e-10, atol=0)


def test_kernel_distance_of_candidates(pair: tuple[Tensor, Tensor]) -> None:
    metric = KernelDistance(sets=2)
    metric.update(pair[0], real=True)
    metric.update(torch.stack([pair[1], pair[0]]), real=False)
    expected = [kernel_distance(pair[0], rows) for rows in (pair[1], pair[0])]
    torch.testing.assert_close(metric.compute(), torch.stack(expected))


def test_a_collection_does_not_take_one_state_for_the_other(pair: tuple[Tensor, Tensor]) -> None:
    """With few rows both metrics hold rows; with more, only the kernel distance does."""
    both = MetricCollection([FrechetDistance(), KernelDistance()])
    for real, rows in zip((True, False), pair, strict=True):
        for batch in rows.split(9):
            both.update(batch, real=real)
    result = both.compute()
    torch.testing.assert_close(result["FrechetDistance"], frechet_of(*pair))
    torch.testing.assert_close(result["KernelDistance"], kernel_distance(*pair))


def cases(x: Tensor, y: Tensor) -> list[list[tuple[bool, Tensor]]]:
    """Make two batches per set, the first for the first process.

    Moments with moments, rows with rows, rows with moments, and a process without any.
    """
    return [
        [(True, x[:50]), (True, x[50:]), (False, y[:30]), (False, y[30:])],
        [(True, x[:5]), (True, x[5:9]), (False, y[:3]), (False, y[3:6])],
        [(True, x[:5]), (True, x[5:]), (False, y[:60]), (False, y[60:64])],
        [(True, x[:20]), (True, x[20:23]), (False, y[:0]), (False, y)],
    ]


def fed(case: list[tuple[bool, Tensor]], rank: int) -> tuple[FrechetDistance, KernelDistance]:
    metrics = FrechetDistance(), KernelDistance()
    for real, rows in case[rank::2]:
        for metric in metrics:
            if len(rows):
                metric.update(rows, real=real)
    return metrics


def expected_of(case: list[tuple[bool, Tensor]]) -> tuple[Tensor, Tensor]:
    real, generated = (
        torch.cat([rows for is_real, rows in case if is_real == side]) for side in (True, False)
    )
    return frechet_of(real, generated), kernel_distance(real, generated)


@pytest.mark.parametrize("number", range(4))
def test_states_gathered_from_two_are_those_of_one(
    pair: tuple[Tensor, Tensor], number: int
) -> None:
    case = cases(*pair)[number]
    for here, there, expected in zip(fed(case, 0), fed(case, 1), expected_of(case), strict=True):
        theirs = iter(states(there))
        here.dist_sync_fn = lambda part, group, theirs=theirs: [part, next(theirs)]
        here.distributed_available_fn = lambda: True
        before = [part.clone() for part in states(here)]
        torch.testing.assert_close(here.compute(), expected, rtol=1e-9, atol=0)
        assert all(map(torch.equal, states(here), before))  # its own again


def _process(rank: int, folder: str, all_cases: list[list[tuple[bool, Tensor]]]) -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2
    )
    result = [tuple(metric.compute() for metric in fed(case, rank)) for case in all_cases]
    torch.save(result, f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_equal_one(pair: tuple[Tensor, Tensor], tmp_path: Path) -> None:
    all_cases = cases(*pair)
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_process, args=(rank, str(tmp_path), all_cases)) for rank in (0, 1)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(200)
        assert process.exitcode == 0
    here, there = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert here == there
    for result, case in zip(here, all_cases, strict=True):
        for value, expected in zip(result, expected_of(case), strict=True):
            torch.testing.assert_close(value, expected, rtol=1e-9, atol=0)

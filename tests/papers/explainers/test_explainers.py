"""Explainers of the benchmark on a network whose attribution is known: a weighted sum of cells."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.papers.explainers.benchmark import judged
from otoscope.papers.explainers.problem import Item, Problem, Stems, best_possible, is_off_grid
from otoscope.papers.explainers.registry import EXPLAINERS, MOST_SETTINGS, Explainer, chosen

N, LENGTH, BANDS = 6, 5, 3
INSTALLED = [explainer for explainer in EXPLAINERS.values() if explainer.is_installed]


class Weighted(nn.Module):
    """Log-odds from frames 6 to 12 alone, through a convolution of one tap."""

    def __init__(self, truth: Tensor) -> None:
        super().__init__()
        self.truth = truth.float()
        self.tap = nn.Conv2d(1, 1, 1, bias=False)
        nn.init.ones_(self.tap.weight)

    def forward(self, batch: Tensor) -> Tensor:
        kept: Tensor = self.tap(batch * self.truth[:, None])
        return kept.mean(-1).sum(-1)


def make_item() -> Item:
    truth = torch.zeros(N * LENGTH, dtype=torch.bool)
    truth[6:13] = True
    x = 1 + torch.rand(N * LENGTH, BANDS, generator=torch.Generator().manual_seed(0))
    ids = (torch.arange(N * LENGTH) // LENGTH).int()[:, None].expand(-1, BANDS).contiguous()
    contents = {"zero": torch.zeros_like(x), "half": torch.full_like(x, 0.5)}
    stems = Stems(torch.stack([0.9 * x, 0.1 * x]))
    network = Weighted(truth).eval().requires_grad_(False)
    return Item(network, x, ids, contents, truth, stems)


@pytest.mark.parametrize("explainer", INSTALLED, ids=[e.name for e in INSTALLED])
def test_an_explainer_finds_the_only_place_that_counts(explainer: Explainer) -> None:
    item = make_item()
    setting = explainer.settings_of(item.problem(64, 0))[0]
    made = judged(explainer, item, setting, budget=64, seed=3)
    assert made["evaluations"] <= 64
    if explainer.name == "random":
        assert made["auc"] < best_possible(item)["auc"]
    elif explainer.name != "SoundLIME paper_a":  # its kernel knows one removal at a time
        assert made["auc"] == pytest.approx(best_possible(item)["auc"], abs=0.02), made
        assert made["pointing"] == 1


def test_the_best_scores_of_segments_are_below_1_where_a_segment_is_mixed() -> None:
    item = make_item()
    ids = item.ids[:, 0].tolist()
    share = {i: sum(bool(t) for s, t in zip(ids, item.truth, strict=True) if s == i) for i in ids}
    pairs = [
        (share[ids[i]] > share[ids[j]]) + 0.5 * (share[ids[i]] == share[ids[j]])
        for i in range(len(ids))
        for j in range(len(ids))
        if item.truth[i] and not item.truth[j]
    ]
    assert best_possible(item)["auc"] == pytest.approx(sum(pairs) / len(pairs))


def test_more_evaluations_than_the_budget_are_refused() -> None:
    def greedy(problem: Problem, setting: str) -> object:
        return problem.model(torch.zeros(65, 1, N * LENGTH, BANDS))

    with pytest.raises(ParameterError, match=r"greedy: .*65 evaluations, and each has 64"):
        judged(Explainer("greedy", greedy, ("",)), make_item(), "", budget=64, seed=0)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (torch.zeros(4), r"shape \(4,\), must be one number per segment \(6,\) or per cell"),
        (torch.full((N,), torch.nan), "numbers that are not finite"),
    ],
)
def test_scores_of_another_form_are_refused(made: Tensor, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        judged(Explainer("a", lambda *_: made, ("",)), make_item(), "", budget=64, seed=0)


def test_a_map_of_cells_is_pooled_by_its_mean() -> None:
    problem = make_item().problem(64, 0)
    cells = torch.arange(N * LENGTH * BANDS).reshape(N * LENGTH, BANDS)
    means = [float(part.double().mean()) for part in cells.split(LENGTH)]
    assert problem.pooled(cells).tolist() == means


def test_edges_of_a_truth_lie_off_the_grid() -> None:
    item = make_item()
    assert is_off_grid(item.truth, item.ids)  # 6 and 13 are 1 and 2 frames from 5 and 15
    assert not is_off_grid(item.truth, item.ids, least=0.25)
    assert not is_off_grid(torch.ones(N * LENGTH, dtype=torch.bool), item.ids)


def test_no_explainer_tries_more_settings_than_others_may() -> None:
    assert all(len(explainer.settings) <= MOST_SETTINGS for explainer in EXPLAINERS.values())


def test_a_users_explainer_is_a_function_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "def explain(problem, setting):\n"
        "    x = problem.x.clone().requires_grad_()\n"
        "    problem.model(x[None, None]).sum().backward()\n"
        "    return (x.grad if setting == 'slope' else x.grad * x).detach()\n"
        "explain.settings = ('slope', 'effect')\n"
    )
    mine = chosen("random", f"{tmp_path / 'mine.py'}:explain")[0][-1]
    assert mine.name == "mine.py:explain"
    assert mine.settings == ("slope", "effect")
    made = judged(mine, make_item(), "slope", budget=64, seed=0)
    assert (made["evaluations"], made["pointing"]) == (1, 1)


@pytest.mark.parametrize(
    ("names", "further", "message"),
    [
        ("Lime", "", "explainers are 'Lime', must be some of SoundLIME, "),
        ("", "nowhere.py:explain", "nowhere.py is not there"),
    ],
)
def test_an_unknown_explainer_is_an_error(names: str, further: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        chosen(names, further)


def test_what_another_package_cannot_explain_has_a_reason() -> None:
    def fails(problem: Problem, setting: str) -> object:
        raise AssertionError("a module is used twice\nmore")

    other = Explainer("b", fails, ("",), needs="captum")
    made = judged(other, make_item(), "", budget=64, seed=0)
    assert made == {"reason": "captum: a module is used twice"}
    with pytest.raises(AssertionError):  # a mistake of a user's explainer is shown
        judged(Explainer("mine", fails, ("",)), make_item(), "", budget=64, seed=0)


def test_grad_cam_needs_convolutions_that_are_called() -> None:
    item = replace(make_item(), network=nn.Sequential(nn.Flatten(), nn.Linear(N * LENGTH * 3, 1)))
    made = judged(EXPLAINERS["Grad-CAM"], item, "last", budget=64, seed=0)
    assert made == {"reason": "the network calls 0 convolutions as modules"}

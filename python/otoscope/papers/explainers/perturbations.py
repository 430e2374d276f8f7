"""Explainers that replace segments: ours with each design, a forest, RISE, stems, and chance."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from sklearn.ensemble import RandomForestRegressor
from torch import Tensor, nn

from otoscope.explain import FewEffectiveSamples, SoundLIME
from otoscope.papers.explainers.problem import NotApplicable, Problem

__all__ = ["DRAWN", "paper_a", "random_forest", "random_scores", "rise", "soundlime", "stems"]

DRAWN = (
    "kernelshap",
    "paired",
    "permutation",
    "bernoulli",
    "uniform_size",
    "windows",
    "leave_one_out",
)
"""Designs of `SoundLIME` besides "exact"."""


def soundlime(design: str) -> Callable[[Problem, str], Tensor]:
    """Return `SoundLIME` with a design; "exact" draws as "kernelshap" where all are too many."""

    def explain(problem: Problem, content: str) -> Tensor:
        is_exact = design == "exact" and 1 << problem.n_segments <= problem.budget
        drawn = "kernelshap" if design == "exact" else design
        is_drawn = not is_exact and design != "leave_one_out"
        n_samples = problem.budget if is_drawn else None
        return _coefficients(
            problem, content, design="exact" if is_exact else drawn, n_samples=n_samples
        )

    return explain


def paper_a(problem: Problem, content: str) -> Tensor:
    """Explain with the paper's masks, kernel and penalty."""
    settings = {"kernel": "l2", "kernel_width": 0.25, "alpha": 1.0}
    return _coefficients(problem, content, design="bernoulli", n_samples=problem.budget, **settings)


def random_forest(problem: Problem, content: str) -> Tensor:
    """Fit a random forest to drawn masks (Bolaños et al. 2025)."""
    forest = RandomForestRegressor(n_estimators=100, random_state=problem.seed)
    return _coefficients(
        problem, content, design="bernoulli", n_samples=problem.budget, surrogate=forest
    )


def rise(problem: Problem, content: str) -> Tensor:
    """Average the outputs of the random masks in which a segment stays (Petsiuk et al. 2018)."""
    generator = torch.Generator().manual_seed(problem.seed)
    keep = torch.rand(problem.budget, problem.n_segments, generator=generator) < 0.5
    outputs = _answers(problem, keep, problem.contents[content])
    inside = keep.double()
    means: Tensor = inside.T @ outputs / inside.sum(0).clamp(min=1)
    return means


def stems(problem: Problem, content: str) -> Tensor:
    """Rank the parts of each stem, as audioLIME does, and add up those of a segment."""
    if problem.stems is None:
        raise NotApplicable("the task has no stems")
    n, parts = problem.n_segments, problem.stems.parts
    generator = torch.Generator().manual_seed(problem.seed)
    keep = torch.rand(problem.budget, len(parts) * n, generator=generator) < 0.5
    keep[0] = True
    ids = problem.ids.long()
    share = problem.stems.into(problem.contents[content]) / len(parts)
    outputs = []
    for rows in keep.reshape(-1, len(parts), n).split(32):
        mixes = torch.where(rows[:, :, ids], parts, share).sum(1)
        outputs.append(_called(problem, problem.stems.out(mixes)[:, None]))
    masks = keep.double() - keep.double().mean(0)
    answers = torch.cat(outputs)
    fitted = torch.linalg.lstsq(masks, (answers - answers.mean())[:, None], driver="gelsd")
    by_stem: Tensor = fitted.solution[:, 0].reshape(len(parts), n)
    return by_stem.sum(0)


def random_scores(problem: Problem, setting: str) -> Tensor:
    """Draw the scores."""
    generator = torch.Generator().manual_seed(problem.seed)
    return torch.rand(problem.n_segments, generator=generator)


def _coefficients(problem: Problem, content: str, **settings: Any) -> Tensor:
    lime = SoundLIME(
        problem.model.network,
        segments=problem.ids,
        content=problem.contents[content],
        seed=problem.seed,
        **settings,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewEffectiveSamples)
        (explanation,) = lime.explain([problem.x])
    problem.model.spend(explanation.n_coalitions)
    return explanation.coefficients


def _answers(problem: Problem, keep: Tensor, content: Tensor) -> Tensor:
    """Evaluate masks [row, segment], a few at a time."""
    ids = problem.ids.long()
    parts = [
        _called(problem, torch.where(rows[:, ids], problem.x, content)[:, None])
        for rows in keep.split(32)
    ]
    return torch.cat(parts)


def _called(problem: Problem, batch: Tensor) -> Tensor:
    model: nn.Module = problem.model
    with torch.no_grad():
        outputs: Tensor = model(batch.to(problem.x))
    return outputs.double().cpu()

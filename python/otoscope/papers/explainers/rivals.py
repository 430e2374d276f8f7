"""captum's explainers, with the benchmark's segments, contents and number of evaluations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from otoscope.papers.explainers.problem import Problem

__all__ = ["GRADIENTS", "PERTURBATIONS"]

_PER_CALL = 16
Explain = Callable[[Problem, str], Tensor]


def _of(name: str, problem: Problem) -> Any:
    from captum import attr

    return getattr(attr, name)(problem.model)


def _sampled(name: str) -> Explain:
    """Lime and KernelShap: they evaluate the input and the baseline besides the samples."""

    def explain(problem: Problem, content: str) -> Tensor:
        torch.manual_seed(problem.seed)  # captum draws from torch's generator
        made: Tensor = _of(name, problem).attribute(
            problem.x[None, None],
            baselines=problem.contents[content][None, None],
            feature_mask=problem.ids[None, None].long(),
            n_samples=problem.budget - 2,
            perturbations_per_eval=_PER_CALL,
        )
        return made[0, 0]

    return explain


def _occlusion(problem: Problem, content: str) -> Tensor:
    """Slide a window of a segment's length, as finely as the budget allows."""
    frames, bands = problem.x.shape
    length = frames // problem.n_segments
    stride = max(1, -(-(frames - length) // (problem.budget - 3)))
    made: Tensor = _of("Occlusion", problem).attribute(
        problem.x[None, None],
        sliding_window_shapes=(1, length, bands),
        strides=(1, stride, bands),
        baselines=problem.contents[content][None, None],
        perturbations_per_eval=_PER_CALL,
    )
    return made[0, 0]


def _ablation(problem: Problem, content: str) -> Tensor:
    made: Tensor = _of("FeatureAblation", problem).attribute(
        problem.x[None, None],
        baselines=problem.contents[content][None, None],
        feature_mask=problem.ids[None, None].long(),
        perturbations_per_eval=_PER_CALL,
    )
    return made[0, 0]


PERTURBATIONS: dict[str, Explain] = {
    "Lime": _sampled("Lime"),
    "KernelShap": _sampled("KernelShap"),
    "Occlusion": _occlusion,
    "FeatureAblation": _ablation,
}
"""Explainers that replace segments; their settings are contents."""


def _integrated(problem: Problem, content: str) -> Tensor:
    made: Tensor = _of("IntegratedGradients", problem).attribute(
        problem.x[None, None],
        baselines=problem.contents[content][None, None],
        n_steps=min(50, problem.budget),
        internal_batch_size=_PER_CALL,
    )
    return made[0, 0].float()


def _saliency(problem: Problem, setting: str) -> Tensor:
    is_absolute = setting == "absolute"
    x = problem.x[None, None].clone().requires_grad_()
    made: Tensor = _of("Saliency", problem).attribute(x, abs=is_absolute)
    return (made * x.detach() if setting == "input x gradient" else made)[0, 0]


def _deep_lift(problem: Problem, content: str) -> Tensor:
    made: Tensor = _of("DeepLift", problem).attribute(
        problem.x[None, None].clone(), baselines=problem.contents[content][None, None]
    )
    return made[0, 0]


def _gradient_shap(problem: Problem, content: str) -> Tensor:
    torch.manual_seed(problem.seed)
    total = torch.zeros_like(problem.x)
    for _ in range(5):
        made = _of("GradientShap", problem).attribute(
            problem.x[None, None],
            baselines=problem.contents[content][None, None],
            n_samples=10,
            stdevs=0.0,
        )
        total += made[0, 0].to(total) / 5
    return total


GRADIENTS: dict[str, tuple[Explain, tuple[str, ...]]] = {
    "IntegratedGradients": (_integrated, ()),
    "GradientShap": (_gradient_shap, ()),
    "DeepLift": (_deep_lift, ()),
    "Saliency": (_saliency, ("absolute", "signed", "input x gradient")),
}
"""Explainers by gradients, and their settings; none: the contents are baselines."""

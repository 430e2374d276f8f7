"""Explainers that look into a network: SmoothGrad, Grad-CAM and layer-wise relevance."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from otoscope.papers.explainers.problem import NotApplicable, Problem

__all__ = ["LAYERS", "NOISES", "RULES", "grad_cam", "lrp", "smooth_grad"]

NOISES = ("0.05", "0.1", "0.2", "0.05 x input", "0.1 x input", "0.2 x input")
"""Deviation of SmoothGrad's noise, as a part of the input's range; with or without the input."""
LAYERS = ("last", "last but one", "last, no ReLU")
"""Convolution that Grad-CAM takes."""
RULES = ("EpsilonPlus", "EpsilonAlpha2Beta1", "EpsilonGammaBox")
"""Composites of zennit."""


def smooth_grad(problem: Problem, setting: str) -> Tensor:
    """Average the absolute gradients of noisy inputs (Smilkov et al. 2017), or input times them."""
    part, _, by_input = setting.partition(" ")
    x = problem.x
    scale = float(part) * float(x.max() - x.min())
    generator = torch.Generator().manual_seed(problem.seed)
    total = torch.zeros_like(x)
    n = min(50, problem.budget)
    for first in range(0, n, 10):
        rows = min(10, n - first)
        noise = torch.randn(rows, *x.shape, generator=generator).to(x)
        batch = (x + scale * noise)[:, None].requires_grad_()
        (gradient,) = torch.autograd.grad(problem.model(batch).sum(), batch)
        total += (gradient[:, 0].sum(0) * x if by_input else gradient[:, 0].abs().sum(0)) / n
    return total


def grad_cam(problem: Problem, setting: str) -> Tensor:
    """Weigh the channels of a convolution by their mean gradients (Selvaraju et al. 2017)."""
    place = 2 if "but one" in setting else 1
    called: list[Tensor] = []  # in the order of the calls; some modules only hold weights
    hooks = [
        module.register_forward_hook(lambda _, __, output: called.append(output))
        for module in problem.model.modules()
        if isinstance(module, nn.Conv1d | nn.Conv2d)
    ]
    try:
        output = problem.model(problem.x[None, None].clone().requires_grad_())
    finally:
        for hook in hooks:
            hook.remove()
    if len(called) < place:
        raise NotApplicable(f"the network calls {len(called)} convolutions as modules")
    layer = called[-place]
    (gradient,) = torch.autograd.grad(output.sum(), layer)
    axes = tuple(range(2, gradient.ndim))
    maps = (gradient.mean(axes, keepdim=True) * layer).sum(1)[0].detach()
    maps = maps if "no ReLU" in setting else maps.relu()
    frames = maps if maps.ndim == 1 else None
    shape = problem.x.shape
    if frames is not None:  # a convolution along time alone
        stretched = F.interpolate(frames[None, None], shape[0], mode="linear")[0, 0]
        return stretched[:, None].expand(shape)
    return F.interpolate(maps[None, None], shape, mode="bilinear")[0, 0]


def lrp(problem: Problem, setting: str) -> Tensor:
    """Propagate relevance by the rules of a composite of zennit."""
    from zennit import composites  # type: ignore[import-not-found, unused-ignore]

    kind = getattr(composites, setting)
    low, high = (bound(problem.x).expand(1, 1, 1, 1) for bound in (torch.min, torch.max))
    composite = kind(low=low, high=high) if setting.endswith("Box") else kind()
    x = problem.x[None, None].clone().requires_grad_()
    with composite.context(problem.model) as modified:
        (relevance,) = torch.autograd.grad(modified(x).sum(), x)
    return relevance[0, 0]

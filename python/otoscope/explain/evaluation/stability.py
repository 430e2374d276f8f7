"""Stability and dependence on the weights: does an explanation change when it should.

An explanation should stay under another seed, a small shift of the segments and faint noise in the
input, and should not stay when the weights of the model are replaced.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.explain.components.sources import tolerant
from otoscope.explain.query import FewEffectiveSamples
from otoscope.explain.result import Explanation
from otoscope.explain.soundlime import SoundLIME
from otoscope.metrics.attributions import rank_correlation
from otoscope.protocols import Patch
from otoscope.protocols.reach import modules_of

__all__ = ["Stability", "stability", "weight_randomisation"]

Explainer = Callable[[Patch], Any]
"""Function of a patch that returns an attribution [frame, mel]."""


@dataclass(frozen=True)
class Stability:
    """Hold mean rank correlations of an attribution with those under small changes.

    Parameters
    ----------
    seeds : float or None
        Other seeds of the design; 1 for designs without chance. None for other explainers.
    shift : float or None
        Segments shifted in time by up to half a segment; None for other explainers and for sounds.
    noise : float
        Gaussian noise in the input.

    Examples
    --------
    >>> Stability(1.0, 0.9, 0.8).noise
    0.8
    """

    seeds: float | None
    shift: float | None
    noise: float


def stability(
    lime: SoundLIME,
    explanation: Explanation,
    *,
    explainer: Explainer | None = None,
    n: int = 3,
    noise: float = 0.05,
    seed: int = 0,
) -> Stability:
    """Measure how little an explanation changes with seed, segments and noise.

    Parameters
    ----------
    lime : SoundLIME
        Explainer.
    explanation : Explanation
        Its explanation, showing the target.
    explainer : callable, optional
        Another explainer, patch -> [frame, mel]; then only noise is tried.
    n : int
        Number of changes of each kind, >= 1.
    noise : float
        Standard deviation of the noise, as a fraction of that of the input; > 0.
    seed : int
        Random seed of the noise; the other seeds of the design follow that of the explanation.

    Returns
    -------
    Stability
        Mean Spearman correlations over the cells; NaN where an attribution is constant.

    Raises
    ------
    ParameterError
        If a number is out of range.

    References
    ----------
    Mishra et al. (2020) :cite:`mishra2020`, section IV; Alvarez-Melis and Jaakkola (2018).

    Examples
    --------
    >>> lime = SoundLIME(torch.nn.Flatten(), segments="temporal:4", content=0.0, target=3)
    >>> round(stability(lime, lime.explain(torch.ones(8, 1))).seeds, 6)
    1.0
    """
    if n < 1 or not noise > 0:
        raise ParameterError(f"n is {n}, must be >= 1; noise is {noise}, must be > 0")
    patch, target = explanation.patch, explanation.target
    random = torch.Generator().manual_seed(seed)
    tolerating = lime.varied(components=tolerant(lime.components))
    explain = explainer or (lambda changed: _cells(tolerating, changed, target))
    reference = _of(explanation) if explainer is None else torch.as_tensor(explainer(patch))

    def mean(changed: Iterator[Tensor]) -> float:
        return float(
            torch.tensor([rank_correlation(reference.double(), cells) for cells in changed]).mean()
        )

    spread = float(patch.values.double().std()) * noise

    def noisy() -> Patch:
        drawn = torch.randn(patch.values.shape, generator=random, dtype=torch.float64)
        values = patch.values + spread * drawn.to(patch.values)
        return replace(patch, values=values, y=_noisy(patch.y, noise, random))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewEffectiveSamples)  # of the explanation itself
        by_noise = mean(torch.as_tensor(explain(noisy())).double() for _ in range(n))
        if explainer is not None:
            return Stability(None, None, by_noise)
        first = explanation.seed + 1
        seeds = mean(
            _cells(lime.varied(seed=other), patch, target) for other in range(first, first + n)
        )
        if explanation.mixture is not None:
            return Stability(seeds, None, by_noise)
        shift = mean(
            _cells(lime.varied(segments=ids), patch, target) for ids in _shifted(explanation, n)
        )
    return Stability(seeds, shift, by_noise)


def weight_randomisation(
    lime: SoundLIME,
    explanation: Explanation,
    *,
    explainer: Explainer | None = None,
    seed: int = 0,
) -> dict[str, float]:
    """Compare an explanation with those of the model with weights replaced, from the last layer on.

    Parameters
    ----------
    lime : SoundLIME
        Explainer of a model with modules.
    explanation : Explanation
        Its explanation, showing the target.
    explainer : callable, optional
        Another explainer, patch -> [frame, mel], that reads the same modules.
    seed : int
        Random seed of the weights.

    Returns
    -------
    dict of str to float
        Rank correlation of the absolute attributions by the name of the layer that was replaced
        last, all behind it replaced too. An explanation that stays does not depend on the model.

    Raises
    ------
    ParameterError
        If the model has no modules with weights.

    Notes
    -----
    Each tensor of weights is replaced by draws from a normal distribution with its mean and
    deviation. The model's own weights are put back, also after an error.

    References
    ----------
    Adebayo et al. (2018), cascading randomisation.

    Examples
    --------
    >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 1))
    >>> lime = SoundLIME(net, segments="temporal:4", content=0.0)
    >>> list(weight_randomisation(lime, lime.explain(torch.ones(4, 1))))
    ['1']
    """
    layers = _layers(lime.model)
    if not layers:
        raise ParameterError(
            "the model has no modules with weights, which this check replaces; give an nn.Module"
        )
    explain = explainer or (lambda patch: _cells(lime, patch, explanation.target))
    patch = explanation.patch
    reference = _of(explanation) if explainer is None else torch.as_tensor(explain(patch))
    random = torch.Generator().manual_seed(seed)
    correlations: dict[str, float] = {}
    with _restored(layers.values()), warnings.catch_warnings():
        warnings.simplefilter("ignore", FewEffectiveSamples)
        for name, layer in reversed(layers.items()):
            _randomise(layer, random)
            cells = torch.as_tensor(explain(patch))
            correlations[name] = rank_correlation(reference.abs(), cells.abs())
    return correlations


def _of(explanation: Explanation) -> Tensor:
    return explanation.coefficients[explanation.segment_ids.long()]


def _cells(lime: SoundLIME, patch: Patch, target: str) -> Tensor:
    return _of(lime.explain(patch)[target])


def _noisy(y: Tensor | None, noise: float, random: torch.Generator) -> Tensor | None:
    """Add noise to a sound, for models that hear it."""
    if y is None:
        return None
    drawn = torch.randn(y.shape, generator=random, dtype=torch.float64).to(y)
    return y + noise * float(y.double().std()) * drawn


def _shifted(explanation: Explanation, n: int) -> Iterator[Tensor]:
    """Yield label maps whose edges lie later or earlier, by up to half a segment."""
    ids = explanation.segment_ids
    n_frames = len(ids)
    lengths = [extent.frames[1] - extent.frames[0] for extent in explanation.extents]
    half = max(min(lengths) // 2, 1)
    for i in range(n):
        frames = round(half * (i // 2 + 1) / ((n + 1) // 2)) or 1
        by = frames if i % 2 == 0 else -frames
        yield ids[(torch.arange(n_frames) - by).clamp(0, n_frames - 1)]


def _layers(model: Any) -> dict[str, nn.Module]:
    """Return the modules that own weights, by name, in the order in which they were declared."""
    layers: dict[str, nn.Module] = {}
    for root in [model] if isinstance(model, nn.Module) else modules_of(model):
        for name, module in root.named_modules():
            if next(module.parameters(recurse=False), None) is not None:
                layers[name or type(module).__name__] = module
    return layers


@contextmanager
def _restored(layers: Any) -> Iterator[None]:
    """Put weights back as they were when the block ends."""
    layers = list(layers)
    before = [
        {name: weight.detach().clone() for name, weight in layer.named_parameters(recurse=False)}
        for layer in layers
    ]
    try:
        yield
    finally:
        with torch.no_grad():
            for layer, weights in zip(layers, before, strict=True):
                for name, weight in layer.named_parameters(recurse=False):
                    weight.copy_(weights[name])


def _randomise(layer: nn.Module, random: torch.Generator) -> None:
    with torch.no_grad():
        for weight in layer.parameters(recurse=False):
            drawn = torch.randn(weight.shape, generator=random, dtype=torch.float64)
            spread = weight.double().std(correction=0)
            weight.copy_((weight.double().mean() + spread * drawn.to(weight.device)).to(weight))

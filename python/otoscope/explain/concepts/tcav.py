"""Test which concepts a layer holds, and whether outputs depend on them.

The derivative of an output in the direction of a concept vector is its sensitivity to the concept.
Kim et al. count how often it is positive. Where an output is nearly linear in a layer that count is
0 or 1 for any vector, so the test is of the mean cosine of gradient and vector beside those of
placebo concepts, which are fitted to the same examples with exchanged labels, and beside those of
vectors between random sets of all sounds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.explain.concepts.vectors import (
    ConceptRows,
    concept_vectors,
    group_splits,
    random_vectors,
)
from otoscope.metrics import Interval
from otoscope.protocols import as_outputs, evaluating
from otoscope.taps import OutputAxes

__all__ = [
    "ConceptInLayer",
    "ConceptOnOutput",
    "LayerConcepts",
    "analyse_layer",
    "layer_gradients",
    "sign_agreement",
]

Floats = NDArray[np.float64]
_LEVEL = 0.95
_DRAWS = 500  # of intervals


@dataclass(frozen=True)
class ConceptInLayer:
    """Test whether a layer holds a concept: a direction that separates examples of other groups.

    Parameters
    ----------
    concept : str
        Name of the concept.
    accuracy : Interval
        Held-out accuracy, mean over divisions of the groups; the interval is that of the divisions.
    placebo : tuple of float
        Central 95 % of the accuracies of placebo concepts.
    p : float
        Fraction of placebos that are separated as well, counted with the concept.

    Examples
    --------
    >>> ConceptInLayer("voice", Interval(0.9, 0.8, 1.0, 0.95), (0.3, 0.7), 0.001).concept
    'voice'
    """

    concept: str
    accuracy: Interval
    placebo: tuple[float, float]
    p: float


@dataclass(frozen=True)
class ConceptOnOutput:
    """Test whether an output depends on a concept in a layer.

    Parameters
    ----------
    concept, output : str
        Names.
    score : Interval
        Fraction of inputs whose derivative along the concept is positive (TCAV); the interval is
        over divisions of the concept's groups and draws of the inputs.
    sensitivity : Interval
        Mean cosine of gradient and vector, in [-1, 1].
    placebo : tuple of float
        Central 95 % of the sensitivities of placebo concepts.
    p : float
        Two-sided: fraction of placebos as far from their mean, counted with the concept.
    random : tuple of float
        Central 95 % of the sensitivities of vectors between random sets of sounds.
    p_random : float
        Two-sided: fraction of these as far from their mean, counted with the concept. Cautious: a
        random vector is one fit, and scatters more than the concept's mean over divisions.

    Examples
    --------
    >>> at = Interval(0.1, 0.0, 0.2, 0.95)
    >>> ConceptOnOutput("voice", "singing", at, at, (-0.1, 0.1), 0.04, (-0.2, 0.2), 0.3).output
    'singing'
    """

    concept: str
    output: str
    score: Interval
    sensitivity: Interval
    placebo: tuple[float, float]
    p: float
    random: tuple[float, float]
    p_random: float


@dataclass(frozen=True, eq=False)
class LayerConcepts:
    """All concepts in one layer.

    Parameters
    ----------
    layer : str
        Name of the layer.
    held : tuple of ConceptInLayer
        One entry per concept.
    outputs : tuple of ConceptOnOutput
        One entry per concept and output.
    cosines : array [concept, concept]
        Cosines between the mean vectors of concepts.
    derivatives : mapping of (concept, output) to array [input]
        Cosine of gradient and mean vector for each input.

    Examples
    --------
    >>> concepts.held[0].accuracy.value  # doctest: +SKIP
    0.93
    """

    layer: str
    held: tuple[ConceptInLayer, ...]
    outputs: tuple[ConceptOnOutput, ...]
    cosines: Floats
    derivatives: Mapping[tuple[str, str], Floats]


def analyse_layer(
    layer: str,
    concepts: Sequence[ConceptRows],
    gradients: Mapping[str, Any],
    *,
    others: Floats | None = None,
    n_splits: int = 20,
    n_placebos: int = 999,
    seed: int = 0,
) -> LayerConcepts:
    """Fit the vectors of all concepts in a layer, and test them beside placebos.

    Parameters
    ----------
    layer : str
        Name of the layer.
    concepts : sequence of ConceptRows
        Activations of the layer.
    gradients : mapping of str to array [input, unit]
        Gradients of outputs with respect to the layer, by name of the output, see
        `layer_gradients`.
    others : array [sound, unit], optional
        Activations of further sounds; with those of all concepts, they are the pool of which random
        sets are drawn.
    n_splits : int
        Number of divisions of the groups into training and test, >= 2; all, if they are fewer.
    n_placebos : int
        Number of placebo concepts, and of pairs of random sets, >= 19: the least p is
        1 / (n_placebos + 1).
    seed : int
        Random seed.

    Returns
    -------
    LayerConcepts
        Accuracies, scores, sensitivities and cosines.

    Raises
    ------
    ParameterError
        If a number is out of range, or a layer does not vary.

    References
    ----------
    Kim et al. (2018) :cite:`kim2018tcav`; Nicolson et al. (2024) :cite:`nicolson2024` on
    consistency over layers and cosines between concepts.

    Examples
    --------
    >>> analyse_layer("fc", concepts, {"singing": gradients})  # doctest: +SKIP
    """
    if n_splits < 2 or n_placebos < 19:
        raise ParameterError(
            f"n_splits is {n_splits} and n_placebos {n_placebos}; must be >= 2 and >= 19"
        )
    directions = {output: _unit_rows(np.asarray(rows)) for output, rows in gradients.items()}
    sides = [side for concept in concepts for side in (concept.positive, concept.negative)]
    pool = np.concatenate([*sides, *([] if others is None else [others])])
    held, on_outputs, means = [], list[ConceptOnOutput](), []
    derivatives = dict[tuple[str, str], Floats]()
    for index, concept in enumerate(concepts):
        rng = np.random.default_rng([seed, index])
        labels = np.concatenate([concept.labels[None], concept.placebo_labels(n_placebos, rng)])
        splits = group_splits(concept, n_splits, rng)
        fits = [concept_vectors(concept, split, labels) for split in splits]
        size = int(splits[0].train.sum())
        random = random_vectors(pool, size, n_placebos, np.random.default_rng([seed, index, 1]))
        accuracies = np.stack([accuracy for _, accuracy in fits])  # [split, concept]
        held.append(_held(concept.name, accuracies))
        vectors = np.stack([vector for vector, _ in fits])  # [split, concept, unit]
        mean = vectors[:, 0].mean(0)
        means.append(mean / max(float(np.linalg.norm(mean)), 1e-300))
        for output, rows in directions.items():
            cosines = np.einsum("iu,scu->sci", rows, vectors)
            of_random = random @ rows.mean(0)
            on_outputs.append(_on_output((concept.name, output), cosines, of_random, rng))
            derivatives[concept.name, output] = rows @ means[-1]
    stacked = np.stack(means)
    return LayerConcepts(layer, tuple(held), tuple(on_outputs), stacked @ stacked.T, derivatives)


def sign_agreement(first: Floats, second: Floats) -> float:
    """Return the fraction of inputs whose derivatives have one sign in two layers.

    Parameters
    ----------
    first, second : array [input]
        Derivatives of one output along one concept, as of `LayerConcepts.derivatives`.

    Returns
    -------
    float
        Fraction in [0, 1]; 0.5 is what unrelated signs give.

    References
    ----------
    Nicolson et al. (2024) :cite:`nicolson2024`, on consistency between layers.

    Examples
    --------
    >>> sign_agreement(np.array([1.0, -2.0]), np.array([0.5, 3.0]))
    0.5
    """
    return float((np.sign(first) == np.sign(second)).mean())


def layer_gradients(
    model: Callable[[Tensor], Any],
    layer: nn.Module,
    axes: OutputAxes,
    batch: Tensor,
    columns: Sequence[int],
) -> Tensor:
    """Differentiate outputs with respect to a layer.

    Parameters
    ----------
    model : callable
        Model: Tensor [batch, ...] to outputs [batch, output], through ``layer``.
    layer : nn.Module
        Layer, whose output is a Tensor, or a tuple that begins with one.
    axes : OutputAxes
        Axes of the layer's output, see `otoscope.taps.Tap.axes`.
    batch : Tensor [batch, ...]
        Inputs.
    columns : sequence of int
        Columns of the outputs.

    Returns
    -------
    Tensor [column, batch, unit]
        Gradients, summed over positions: the derivative of moving all positions alike.

    Raises
    ------
    ParameterError
        If the layer does not run, or an output does not depend on it.

    Examples
    --------
    >>> from otoscope.taps import Tap
    >>> net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    >>> x = torch.zeros(4, 2)
    >>> layer_gradients(net, net[0], Tap(net, "0").axes(x), x, [0]).shape
    torch.Size([1, 4, 3])
    """
    probes = list[Tensor]()

    def add_probe(_layer: nn.Module, _inputs: object, output: Any) -> Any:
        is_tuple = isinstance(output, tuple)
        first = output[0] if is_tuple else output
        probe = torch.zeros_like(first, requires_grad=True)
        probes.append(probe)
        moved = first.detach() + probe
        return (moved, *output[1:]) if is_tuple else moved

    hook = layer.register_forward_hook(add_probe)
    try:
        with torch.enable_grad(), evaluating(model):
            outputs = as_outputs(model(batch))
            if not probes:
                raise ParameterError(f"layer {axes.layer!r} did not run in this forward pass")
            gradients = [
                torch.autograd.grad(
                    outputs[:, column].sum(), probes[-1], retain_graph=True, allow_unused=True
                )[0]
                for column in columns
            ]
    finally:
        hook.remove()
    if any(gradient is None for gradient in gradients):
        raise ParameterError(f"an output does not depend on layer {axes.layer!r}")
    return torch.stack([axes.arrange(gradient).sum(2) for gradient in gradients]).detach()


def _held(name: str, accuracies: Floats) -> ConceptInLayer:
    of_concept, mean = accuracies[:, 0], accuracies.mean(0)
    low, high = np.quantile(of_concept, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return ConceptInLayer(
        name,
        Interval(float(mean[0]), float(low), float(high), _LEVEL),
        _central(mean[1:]),
        float((1 + (mean[1:] >= mean[0] - 1e-12).sum()) / len(mean)),
    )


def _on_output(
    names: tuple[str, str], cosines: Floats, of_random: Floats, rng: np.random.Generator
) -> ConceptOnOutput:
    """Summarise cosines [split, concept, input], of which concept 0 is no placebo.

    ``of_random`` are the sensitivities to random sets: [set].
    """
    sensitivities = cosines.mean((0, 2))  # [concept]
    own = cosines[:, 0]  # [split, input]
    n_splits, n_inputs = own.shape
    draws = np.empty((2, _DRAWS))
    for draw in range(_DRAWS):
        chosen = own[rng.integers(n_splits)][rng.integers(n_inputs, size=n_inputs)]
        draws[:, draw] = (chosen > 0).mean(), chosen.mean()
    return ConceptOnOutput(
        *names,
        _interval(float((own > 0).mean()), draws[0]),
        _interval(float(sensitivities[0]), draws[1]),
        _central(sensitivities[1:]),
        _two_sided(float(sensitivities[0]), sensitivities[1:]),
        _central(of_random),
        _two_sided(float(sensitivities[0]), of_random),
    )


def _two_sided(value: float, null: Floats) -> float:
    """Return the fraction of a null distribution as far from its mean, counted with the value."""
    centre = null.mean()
    n_far = (np.abs(null - centre) >= abs(value - centre) - 1e-12).sum()
    return float((1 + n_far) / (1 + len(null)))


def _interval(value: float, draws: Floats) -> Interval:
    low, high = np.quantile(draws, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return Interval(value, min(value, float(low)), max(value, float(high)), _LEVEL)


def _central(values: Floats) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return float(low), float(high)


def _unit_rows(gradients: Floats) -> Floats:
    lengths = np.linalg.norm(gradients, axis=1, keepdims=True)
    if not lengths.any():
        raise ParameterError("all gradients are 0: the output does not depend on the layer here")
    rows: Floats = gradients / np.maximum(lengths, 1e-300)
    return rows

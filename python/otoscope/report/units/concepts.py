"""The page of concepts in layers: which ones a layer holds, and which ones its outputs use."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from otoscope.errors import ParameterError
from otoscope.explain.concepts import ConceptInLayer, ConceptOnOutput, LayerConcepts
from otoscope.metrics import Interval
from otoscope.report.methods.bibliography import methods
from otoscope.report.numbers import decimals, equals_p, percent, with_bounds
from otoscope.report.pages import Fact, in_script, save_page, version_facts

__all__ = ["ConceptsSummary", "save_concepts"]

_LEVEL = 0.05  # of p-values, after Holm's correction


@dataclass(frozen=True, eq=False)
class ConceptsSummary:
    """Hold what the page says beside the layers.

    ``model`` names the model. ``p_held`` maps (layer, concept) and ``p_used`` (layer, concept,
    output) to p-values after Holm's correction, ``p_random`` likewise beside random sets;
    ``agreement`` maps (concept, output, layer, layer)
    to the fraction of inputs with one sign; ``n_placebos`` is their number, and ``record`` has all
    numbers as JSON, to download from the page.
    """

    model: str
    p_held: Mapping[tuple[str, str], float]
    p_used: Mapping[tuple[str, str, str], float]
    p_random: Mapping[tuple[str, str, str], float]
    agreement: Mapping[tuple[str, str, str, str], float]
    n_placebos: int
    facts: Sequence[Fact] = ()
    record: str = "{}"


def save_concepts(
    layers: Sequence[LayerConcepts], path: str | os.PathLike[str], summary: ConceptsSummary
) -> None:
    """Write the page: one HTML file that needs no network.

    Parameters
    ----------
    layers : sequence of LayerConcepts
        Layers, in the order of the page.
    path : str or PathLike
        File to write, whole or not at all; ends in .html by custom.
    summary : ConceptsSummary
        Model, corrected p-values and agreement of layers.

    Raises
    ------
    ParameterError
        If there is no layer, or ``path`` is a folder.
    OSError
        If the folder is missing or cannot be written.

    Examples
    --------
    >>> save_concepts(result.layers, "concepts.html", summary)  # doctest: +SKIP
    """
    if not layers:
        raise ParameterError("there are no layers to show")
    reach = max((_reach(of) for one in layers for of in one.outputs), default=1.0)
    page = _ConceptsPage(
        title=f"Which concepts does {summary.model} hold?",
        about=", ".join(one.layer for one in layers),
        sentence=_sentence(layers, summary),
        cautions=_cautions(layers, summary),
        notes=[_note(name, of, summary) for name, of in _used(layers, summary)],
        layers=[_layer(one, summary, reach) for one in layers],
        reach=decimals(reach),
        agreement=[
            (concept, output, f"{a} and {b}", percent(value))
            for (concept, output, a, b), value in summary.agreement.items()
        ],
        facts=[
            *summary.facts,
            *version_facts(),
        ],
        json=in_script(summary.record),
    )
    made = methods(
        f"Concept activation vectors [@kim2018tcav] were trained in {page.about} of "
        f"{summary.model} and tested on other groups, beside vectors of placebo concepts "
        "[@nicolson2024]; p-values were adjusted by the procedure of Holm [@holm1979]."
    )
    save_page(page, "concepts.html", path, methods=made)


@dataclass(frozen=True)
class _Row:
    """A number on a scale, in percent of it, beside the range of placebos."""

    name: str
    value: str
    dot: float
    error: tuple[float, float]
    placebo: tuple[float, float]
    is_beyond: bool


@dataclass(frozen=True)
class _Layer:
    """A layer as the template prints it; ``outputs`` are names with rows of concepts."""

    name: str
    held: list[_Row]
    outputs: list[tuple[str, list[_Row]]]
    concepts: list[str]
    cosines: list[tuple[str, list[tuple[str, str, str]]]]


@dataclass(frozen=True)
class _ConceptsPage:
    """The page of a model."""

    title: str
    about: str
    sentence: str
    cautions: list[str]
    notes: list[str]
    layers: list[_Layer]
    reach: str
    agreement: list[tuple[str, str, str, str]]
    facts: list[Fact]
    json: str


def _used(
    layers: Sequence[LayerConcepts], summary: ConceptsSummary
) -> list[tuple[str, ConceptOnOutput]]:
    """List layers and concepts that outputs use beyond placebos."""
    return [
        (one.layer, of)
        for one in layers
        for of in one.outputs
        if summary.p_used[one.layer, of.concept, of.output] < _LEVEL
    ]


def _sentence(layers: Sequence[LayerConcepts], summary: ConceptsSummary) -> str:
    names = [of.concept for of in layers[0].held]
    parts = []
    for one in layers:
        held = [name for name in names if summary.p_held[one.layer, name] < _LEVEL]
        shown = ", ".join(held) if held else "none"
        parts.append(f"{one.layer} holds {shown} ({len(held)} of {len(names)} concepts)")
    n_used, n_all = len(_used(layers, summary)), sum(len(one.outputs) for one in layers)
    return (
        f"{'; '.join(parts)}. {n_used} of {n_all} sensitivities of outputs "
        f"{'is' if n_used == 1 else 'are'} beyond those of placebos."
    )


def _cautions(layers: Sequence[LayerConcepts], summary: ConceptsSummary) -> list[str]:
    cautions = [
        f"{of.output} seems to depend on {of.concept} in {name}, but the layer is not shown to "
        "hold it: its direction may mean something else."
        for name, of in _used(layers, summary)
        if summary.p_held[name, of.concept] >= _LEVEL
    ]
    cautions += [
        f"{of.output} depends on {of.concept} in {name} beyond placebos, but not beyond vectors "
        "between random sets of sounds: other directions move it as much."
        for name, of in _used(layers, summary)
        if summary.p_random[name, of.concept, of.output] >= _LEVEL
    ]
    n_tests = max(len(summary.p_held), len(summary.p_used))
    if n_tests / (summary.n_placebos + 1) >= _LEVEL:
        cautions.append(
            f"{summary.n_placebos} placebos are too few for {n_tests} tests: no corrected p-value "
            "can be below 0.05."
        )
    return cautions


def _note(name: str, of: ConceptOnOutput, summary: ConceptsSummary) -> str:
    key = (name, of.concept, of.output)
    parts = [
        f"of {what} {decimals(low)} to {decimals(high)}, p {equals_p(p[key])}"
        for what, (low, high), p in (
            ("placebos", of.placebo, summary.p_used),
            ("random sets", of.random, summary.p_random),
        )
    ]
    way = "rises" if of.sensitivity.value > 0 else "falls"
    return (
        f"{of.output} {way} along {of.concept} in {name}: sensitivity "
        f"{_bounds(of.sensitivity)}, {', '.join(parts)}."
    )


def _layer(one: LayerConcepts, summary: ConceptsSummary, reach: float) -> _Layer:
    names = [of.concept for of in one.held]
    outputs = list(dict.fromkeys(of.output for of in one.outputs))
    return _Layer(
        one.layer,
        [_held_row(one.layer, of, summary) for of in one.held],
        [
            (
                output,
                [
                    _used_row(one.layer, of, summary, reach)
                    for of in one.outputs
                    if of.output == output
                ],
            )
            for output in outputs
        ],
        names,
        [
            (name, [_cosine(float(value)) for value in row])
            for name, row in zip(names, one.cosines, strict=True)
        ],
    )


def _held_row(layer: str, of: ConceptInLayer, summary: ConceptsSummary) -> _Row:
    p = summary.p_held[layer, of.concept]
    return _row(of.concept, of.accuracy, of.placebo, p, low=0.0, high=1.0)


def _used_row(layer: str, of: ConceptOnOutput, summary: ConceptsSummary, reach: float) -> _Row:
    p = summary.p_used[layer, of.concept, of.output]
    return _row(of.concept, of.sensitivity, of.placebo, p, low=-reach, high=reach)


def _row(
    name: str,
    interval: Interval,
    placebo: tuple[float, float],
    p: float,
    *,
    low: float,
    high: float,
) -> _Row:
    def place(value: float) -> float:
        return round(100 * (value - low) / (high - low), 2)

    return _Row(
        name,
        f"{_bounds(interval)}, p {equals_p(p)}",
        place(interval.value),
        (place(interval.low), place(interval.high)),
        (place(placebo[0]), place(placebo[1])),
        p < _LEVEL,
    )


def _bounds(interval: Interval) -> str:
    return with_bounds(interval).replace("-", "\N{MINUS SIGN}")


def _reach(of: ConceptOnOutput) -> float:
    interval = of.sensitivity
    return max(abs(value) for value in (interval.low, interval.high, *of.placebo)) or 1.0


def _cosine(value: float) -> tuple[str, str, str]:
    return decimals(value), "for" if value > 0 else "against", f"{100 * min(1.0, abs(value)):.0f}%"

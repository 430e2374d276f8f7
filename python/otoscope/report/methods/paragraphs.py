"""Paragraphs on methods, by kind of result: what was done, with its settings and sources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from otoscope.attack.evaluation import Evaluation
from otoscope.explain.maximise import Ranking
from otoscope.intervene.interrogation.result import InterrogationResult
from otoscope.report.methods.bibliography import Methods, methods
from otoscope.report.numbers import decibels

if TYPE_CHECKING:
    from otoscope.report.maximisation import MaximisationSummary

__all__ = [
    "adversary_methods",
    "explanation_methods",
    "interrogation_methods",
    "maximisation_methods",
    "record_methods",
]

_DESIGNS = {
    "uniform_size": " [@mishra2017]",
    "kernelshap": " [@lundberg2017]",
    "paired": " [@covert2021]",
    "permutation": " [@castro2009]",
    "windows": " [@bolanos2025]",
}
_ATTACKS = {
    "pgd": "projected gradient steps on the waveform [@madry2018]",
    "magnitude": "gradient steps on the magnitudes of its spectrogram [@kereliuk2015]",
    "apgd": "Auto-PGD [@croce2020]",
    "fab": "the fast adaptive boundary attack [@croce2020fab]",
    "cw": "the attack of Carlini and Wagner [@carlini2017]",
    "clipping": "iterative clipping [@carlini2018; @prinz2021]",
    "square": "the Square attack, which uses no gradient [@andriushchenko2020]",
    "strong": "an ensemble of attacks [@croce2020]",
    "universal": "a universal perturbation [@moosavi2017]",
    "least-norm": "a search for the smallest change",
}


def explanation_methods(
    settings: Sequence[Mapping[str, Any]],
    targets: Iterable[str],
    n_coalitions: Iterable[int],
    used: Mapping[str, str] | None = None,
) -> Methods:
    """Describe explanations.

    Parameters
    ----------
    settings : sequence of mapping
        Settings of each explanation, the fields of `ExplanationSettings`; those that are missing
        are left out of the text.
    targets : iterable of str
        Outputs that are explained.
    n_coalitions : iterable of int
        Number of coalitions of each explanation.
    used : mapping of str to str, optional
        Versions by package.

    Returns
    -------
    Methods
        Paragraph and references.

    Examples
    --------
    >>> settings = [{"model": "m", "segments": "temporal(5)", "content": "zero"}]
    >>> explanation_methods(settings, ["singing"], [32]).paragraph[:60]
    'The output “singing” of m was explained with SoundLIME (Mish'
    """

    def each(name: str) -> str:
        found = (row.get(name) for row in settings)
        return listed(str(value) for value in found if value not in (None, ""))

    outputs = [f"“{target}”" for target in dict.fromkeys(targets)]
    shown = listed(outputs) if len(outputs) <= 5 else f"each of {len(outputs)} classes"
    were = "outputs" if len(outputs) > 1 else "output"
    text = (
        f"The {were} {shown} of {each('model') or 'the model'} "
        f"{'were' if len(outputs) > 1 else 'was'} explained with SoundLIME "
        "[@mishra2017; @mishra2020]."
    )
    if each("segments") and each("content"):
        text += (
            f" The excerpt was divided into the segments {each('segments')}, and occluded segments "
            f"were replaced by the content {each('content')}."
        )
    sizes = listed(f"{size:,}" for size in sorted(set(n_coalitions)))
    text += f" The model was evaluated on {sizes} coalitions of segments"
    if each("design"):
        text += f" (design {each('design')}, seed {each('seed')})"
        designs = dict.fromkeys(str(row.get("design")) for row in settings)
        text += "".join(_DESIGNS.get(design, "") for design in designs)
    text += "."
    if each("surrogate"):
        text += f" To its outputs the surrogate {each('surrogate')} was fitted"
        is_shapley = each("kernel") == "shapley"
        text += (
            ", weighted by the Shapley kernel [@shapley1953; @lundberg2017]."
            if is_shapley
            else f", weighted by the kernel {each('kernel')} of width {each('kernel_width')}."
        )
    if each("min_r2"):
        text += (
            f" Segments were named where R² was at least {each('min_r2')} and the output changed "
            f"by at least {each('min_change')}."
        )
    return methods(text, used)


def record_methods(rows: Sequence[Mapping[str, Any]]) -> Methods:
    """Describe explanations of which the records are known, `Explanation.to_record`."""
    return explanation_methods(
        [row.get("settings") or {} for row in rows],
        [str(row["target"]) for row in rows],
        [row["n_coalitions"] for row in rows if "n_coalitions" in row],
    )


def adversary_methods(evaluation: Evaluation, *, model: str = "", method: str = "") -> Methods:
    """Describe an adversary; ``method`` is a name that ``otoscope attack --method`` takes."""
    by = _ATTACKS.get(method, "gradient steps")
    aim = f"{'hears' if evaluation.targeted else 'no longer hears'} “{evaluation.aim}”"
    bound = "on magnitudes " if evaluation.snr_guaranteed_db is None else ""
    return methods(
        f"A change of the sound with which {model or 'the model'} {aim} was searched for "
        f"[@kereliuk2015], by {by}, under a bound {bound}of "
        f"{decibels(evaluation.snr_bound_db)} on the signal-to-noise ratio; the search took "
        f"{evaluation.iterations} steps. Success, labels and ratios were measured on the adversary "
        "as it was read from a file of 16 bits per sample."
    )


def interrogation_methods(result: InterrogationResult, *, model: str = "") -> Methods:
    """Describe an interrogation: items, interventions, score, intervals and tests."""
    changes = [curve for curve in result.curves if curve.label_preserving]
    controls = [curve for curve in result.curves if not curve.label_preserving]
    groups = len({item.group for item in result.items})
    level = f"{100 * result.baseline.level:g} %"
    labels = "the right answers" if result.has_labels else "its own answers to the unchanged items"
    text = (
        f"{model or 'The model'} was interrogated [@sturm2016horse] with {len(result.items):,} "
        f"items in {groups:,} groups. Its answers were compared with {labels}"
    )
    for kind, curves in (("under", changes), ("and, as positive controls, under", controls)):
        if curves:
            doses = [f"{curve.name} ({_count(len(curve.points), 'dose')})" for curve in curves]
            text += f" {kind} {listed(doses)}"
    score = result.metric.replace("_", " ")
    text += (
        f". The score was the {score}, and a fall of {100 * result.max_change:g} percentage points "
        f"was tolerated. Intervals ({level}) come from a Bayesian bootstrap of groups "
        f"[@rubin1981], seed {result.settings.get('seed', 0)}."
    )
    if any(point.p_holm is not None for curve in result.curves for point in curve.points):
        text += " The p-values were adjusted by the procedure of Holm [@holm1979]."
    return methods(text)


def maximisation_methods(ranking: Ranking, summary: MaximisationSummary) -> Methods:
    """Describe inputs that drive a unit."""
    text = (
        f"Inputs that drive {summary.unit} of {summary.model or 'the model'} "
        f"{'up' if summary.maximise else 'down'} were made by activation maximisation "
        f"[@mishra2019] with the prior {summary.prior}, from "
        f"{_count(len(ranking.best.result.seeds), 'seed')} per setting, and shown beside the "
        f"furthest of {summary.n_real:,} real excerpts."
    )
    if len(ranking.rows) > 1:
        text += (
            f" The {len(ranking.rows)} settings were ranked by the Fréchet distance [@dowson1982] "
            f"between the {summary.compared} by made-up inputs and those by real excerpts; the "
            f"best was {ranking.best.setting}."
        )
    return methods(text)


def listed(words: Iterable[str]) -> str:
    """Join different words with commas and "and"."""
    *firsts, last = [*dict.fromkeys(words)] or [""]
    return f"{', '.join(firsts)} and {last}" if firsts else last


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"

"""Facts: how an explanation was made, and its measures, each with a word on what it means."""

from __future__ import annotations

from dataclasses import dataclass

from otoscope.explain import Explanation
from otoscope.report._phrases import decimals, number

__all__ = ["Fact", "content_in_words", "facts"]


@dataclass(frozen=True)
class Fact:
    """One setting or measure.

    Parameters
    ----------
    name, value : str
        As shown.
    note : str
        What it means, for those who meet it first; empty where the name says it.
    """

    name: str
    value: str
    note: str = ""


def content_in_words(explanation: Explanation) -> str:
    """Describe the content that replaced a segment; by its name where it has no description."""
    settings = explanation.settings
    return settings.content_description or f"“{settings.content}”"


def facts(explanation: Explanation) -> list[Fact]:
    """Settings, measures and versions."""
    settings, none = explanation.settings, explanation.output_none
    kernel = Fact("Kernel", "Shapley", "the smallest and largest combinations count most")
    if settings.kernel != "shapley":
        value = f"{settings.kernel}, width {settings.kernel_width:g}"
        kernel = Fact("Kernel", value, "combinations near the whole excerpt count more")
    return [
        *([Fact("Model", settings.model)] if settings.model else []),
        Fact("Segments", settings.segments),
        Fact(
            "Content",
            f"{settings.content} ({settings.content_space})",
            "what replaces a part that is taken away",
        ),
        Fact("Design", f"{settings.design}, seed {settings.seed}", "which combinations were asked"),
        Fact("Passes", f"{explanation.passes:,} for {explanation.n_samples:,} samples"),
        kernel,
        Fact("Surrogate", settings.surrogate, _surrogate_note(settings.surrogate)),
        Fact(
            "R²",
            "–" if explanation.is_saturated else decimals(explanation.r2, 3),
            "share of the answers’ differences that the sum explains",
        ),
        Fact("Error at the excerpt", number(explanation.local_error), "sum against model"),
        Fact(
            "Effective samples",
            f"{explanation.effective_samples:.1f}",
            "equally weighted answers that would be as good",
        ),
        Fact("Output, all kept", _digits(explanation.output_all)),
        Fact("Output, none kept", "not asked" if none is None else _digits(none)),
        Fact("Intercept", _digits(explanation.intercept), "where the sum starts"),
        *(Fact(f"Version of {name}", version) for name, version in explanation.versions.items()),
    ]


def _surrogate_note(name: str) -> str:
    if name.startswith("WeightedRidge"):
        return "the sum fitted to the answers: least squares, alpha pulls towards 0"
    return "what was fitted to the answers"


def _digits(value: float) -> str:
    return f"{value:.4g}".replace("-", "\N{MINUS SIGN}")

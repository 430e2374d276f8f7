"""Measures of an explanation as facts of a page: name, value and how to read it."""

from __future__ import annotations

import math

from otoscope.explain import ExplanationReport
from otoscope.report.numbers import UNKNOWN, decimals, number
from otoscope.report.pages import Fact

__all__ = ["measure_facts"]

_LOCALISED = {
    "roc_auc": ("ROC AUC", "0.5 is chance"),
    "relaxed_auc": ("Relaxed AUC", "without the edges of the truth"),
    "iou": ("Overlap", "intersection over union with as many cells"),
    "pointing_game": ("Pointing game", "1: the highest cell lies in the truth"),
}


def measure_facts(measures: ExplanationReport) -> list[Fact]:
    """List the measures; those that were not made are left out."""
    told, stable = measures.faithfulness, measures.stability
    facts = [
        Fact("Deletion", _text(told.deletion_auc), "mean output as the strongest leave; low"),
        Fact("Insertion", _text(told.insertion_auc), "mean output as the strongest return; high"),
        Fact("Faithfulness correlation", _text(told.correlation), "of sums with falls; 1 is best"),
        Fact("Average drop", _text(told.drop), "fraction lost with the named alone; low"),
        Fact("Average gain", _text(told.gain), "rise with the named alone; high"),
        Fact("Average increase", str(int(told.increase)), "1: higher with the named alone"),
        Fact("Fidelity (FF)", _text(told.fidelity), "fall without the named; high"),
        Fact("Sparseness (SPS)", _text(measures.sparseness), "Gini index; 0: all alike"),
        Fact("Complexity (COMP)", _text(measures.complexity), "entropy in nats; low is simple"),
    ]
    if stable is not None:
        for name, value in (
            ("Stability, seeds", stable.seeds),
            ("Stability, shifted segments", stable.shift),
            ("Stability, noise", stable.noise),
        ):
            if value is not None:
                facts.append(Fact(name, _text(value), "rank correlation; 1 is best"))
    for layer, value in measures.weights.items():
        note = "rank correlation with weights replaced from the last layer to this; low"
        facts.append(Fact(f"Weights to {layer}", _text(value), note))
    for key, found in measures.localisation.items():
        name, note = _LOCALISED[key]
        facts.append(Fact(name, UNKNOWN if found is None else _text(found), note))
    return facts


def _text(value: float) -> str:
    if not math.isfinite(value):
        return UNKNOWN
    return number(value) if abs(value) < 0.005 else decimals(value)

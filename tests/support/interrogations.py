"""Interrogations whose outcome is known, for the tests of reports: nothing is asked of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from otoscope.intervene import CodecRoundTrip, HighPass, Intervention, Tempo
from otoscope.intervene.interrogation.result import ClassFlips, Flip, InterrogationResult, Item
from otoscope.intervene.interrogation.verdict import (
    DoseCurve,
    DosePoint,
    SearchResult,
    Verdict,
)
from otoscope.intervene.statistics.chance import ChanceLevel
from otoscope.intervene.statistics.significance import CochranQ
from otoscope.metrics import Interval

CLASSES = ("ChaChaCha", "Jive", "Waltz")
BASELINE = 0.72
SR = 8000


def interval(value: float, spread: float = 0.05) -> Interval:
    """An interval of value ± spread, within [-1, 1]."""
    return Interval(value, max(-1.0, value - spread), min(1.0, value + spread), 0.95)


def point(intervention: Intervention | str, dose: float, score: float) -> DosePoint:
    """All items at a dose: the fraction of other answers is twice the change."""
    change = score - BASELINE
    return DosePoint(
        intervention=str(intervention),
        dose=dose,
        score=interval(score),
        change=interval(change, 0.04),
        gained=max(0, round(100 * change)) + 2,
        lost=max(0, round(-100 * change)) + 1,
        moved=interval(min(1.0, 2 * abs(change) + 0.02), 0.01),
        p=1e-9 if abs(change) > 0.1 else 0.031,
        p_holm=1e-8 if abs(change) > 0.1 else 0.12,
    )


def tempo(scores: Sequence[float] = (0.41, 0.52, 0.66, 0.69, 0.60, 0.38)) -> DoseCurve:
    """A curve of six doses with its placebo."""
    doses = Tempo(6).doses
    return DoseCurve(
        name="tempo",
        unit="%",
        label_preserving=True,
        points=tuple(
            point(Tempo(dose), dose, score) for dose, score in zip(doses, scores, strict=True)
        ),
        placebo=tuple(
            point(f"tempo {dose:+g} % | and back", dose, 0.70 + 0.01 * (i % 3))
            for i, dose in enumerate(doses)
        ),
        q=CochranQ(80.0, 6, 1e-15),
    )


def single(intervention: Intervention, score: float) -> DoseCurve:
    """A curve of one dose."""
    return DoseCurve(
        name=intervention.name,
        unit=intervention.unit,
        label_preserving=intervention.label_preserving,
        points=(point(intervention, intervention.dose, score),),
        placebo=(),
        q=None,
    )


PUSHED = SearchResult(
    name="tempo",
    tries=6,
    inflated=interval(0.91, 0.03),
    deflated=interval(0.12, 0.04),
    reachable=interval(2.28, 0.2),
    control_inflated=interval(0.76),
    control_deflated=interval(0.68),
    control_reachable=interval(1.08, 0.05),
    coin_inflated=0.94,
    coin_deflated=0.0,
)


def flip(index: int, name: str = "") -> Flip:
    return Flip(
        item=index,
        name=name or f"/data/dances/Waltz/Waltz-{index:04d}.wav",
        label="Waltz",
        before="Waltz",
        after="Jive",
        intervention=Tempo(2 + index) | HighPass(20),
        seed=index,
    )


HORSE = InterrogationResult(
    metric="mean_recall",
    classes=CLASSES,
    has_labels=True,
    items=tuple(
        Item(f"{label}-{i}.wav", label, f"artist {i % 4}", label)
        for label in CLASSES
        for i in range(20)
    ),
    baseline=interval(BASELINE),
    chance=ChanceLevel(0.33, 0.25, 0.42, 0.0005),
    confound=interval(0.77, 0.04),
    curves=(
        tempo(),
        replace(
            tempo((0.70, 0.71, 0.71, 0.72, 0.70, 0.69)), name="gain", unit="dB", placebo=(), q=None
        ),
        single(HighPass(20), 0.71),
        single(CodecRoundTrip(128), 0.63),
        single(HighPass(2000, label_preserving=False), 0.35),
    ),
    searches=(
        PUSHED,
        replace(
            PUSHED,
            name="compositions",
            tries=40,
            control_inflated=None,
            control_deflated=None,
            control_reachable=None,
        ),
    ),
    flips=(
        ClassFlips("ChaChaCha", 20, 16, 3, 2, {"Waltz": 4}),
        ClassFlips("Jive", 20, 18, 15, 1, {"Waltz": 12, "ChaChaCha": 7}),
        ClassFlips("Waltz", 20, 9, 2, 8, {}),
    ),
    pairs=(flip(0), flip(1)),
    verdict=Verdict(
        kind="horse",
        rule="moved",
        curves=("tempo",),
        n_groups=4,
        n_groups_needed=59,
        confound_explains_score=True,
    ),
    max_change=0.05,
    duration=9.434,
    settings={"seed": 0, "n_draws": 2000, "classes": None, "sr": 22050},
)

HONEST = replace(
    HORSE,
    confound=None,
    curves=(tempo((0.70, 0.71, 0.72, 0.72, 0.71, 0.70)), single(HighPass(20), 0.72)),
    searches=(replace(PUSHED, inflated=interval(0.76), deflated=interval(0.67)),),
    flips=tuple(ClassFlips(label, 20, 15, 1, 0, {}) for label in CLASSES),
    pairs=(),
    verdict=Verdict("cleared", "within_bound", ("tempo", "high-pass"), 60, 59),
)


def render_pair(flip: Flip) -> tuple[Tensor, Tensor, float]:
    """Two seconds of noise, and the same, half as loud."""
    y = 0.2 * torch.randn(2 * SR, generator=torch.Generator().manual_seed(flip.item))
    return y, y / 2, SR

"""Conditions that items are rendered under: a grid of doses, and random compositions.

A condition is one rendering of every item: unchanged, at one dose of one intervention, or at the
placebo of that dose. With many tries even a coin is right once, so every search over compositions
has a control of as many placebos. Item, number of the try and seed determine what is tried.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from otoscope.errors import Advice, Argument, ParameterError
from otoscope.intervene.base import Intervention
from otoscope.intervene.interrogation.items import Features, Sounds
from otoscope.intervene.sound import Chain, SoundIntervention, longest_duration

__all__ = [
    "GOALS",
    "Condition",
    "ConditionGrid",
    "Goal",
    "analysed_duration",
    "batches_of_tries",
    "check_goals",
    "check_kind",
    "compose",
    "composition_placebo",
    "families",
    "is_settled",
    "longest_inputs",
    "make_grid",
]

Goal: TypeAlias = Literal["inflate", "deflate", "any"]
GOALS: tuple[Goal, ...] = ("inflate", "deflate", "any")


@dataclass(frozen=True)
class Condition:
    """An intervention at one dose, or its placebo; ``curve`` is the index of its dose curve."""

    curve: int
    dose: float
    intervention: Intervention
    is_placebo: bool = False


@dataclass(frozen=True)
class ConditionGrid:
    """Interventions, one per dose curve, and the conditions; condition 0 is the unchanged item."""

    interventions: tuple[Intervention, ...]
    conditions: tuple[Condition, ...]

    def columns(self, curve: int, *, placebo: bool = False) -> list[int]:
        """Return the indices of the conditions of a curve's doses, or of its placebos."""
        return [
            column
            for column, condition in enumerate(self.conditions)
            if column and condition.curve == curve and condition.is_placebo == placebo
        ]


def make_grid(
    interventions: Iterable[Intervention],
    doses: Mapping[str, Sequence[float]] | None = None,
    *,
    kind: type[Intervention],
) -> ConditionGrid:
    """Lay out the unchanged item, each dose of each intervention, and each dose's placebo.

    ``doses`` maps names of interventions to doses, in place of those that their own dose suggests;
    ``kind`` is what the items can be rendered under.
    """
    if isinstance(interventions, Intervention):
        raise ParameterError(f"interventions is {interventions}, must be a list: [Tempo(6)]")
    interventions = tuple(interventions)
    if not interventions:
        raise ParameterError("interventions is empty, name one or more: [Tempo(6), HighPass(20)]")
    check_kind(interventions, kind)
    names = [intervention.name for intervention in interventions]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise ParameterError(
            f"{sorted(repeated)[0]!r} is named twice",
            advice=Advice("give its doses with ", Argument("doses")),
        )
    doses = doses or {}
    if unknown := sorted(set(doses) - set(names)):
        raise ParameterError(f"doses names {unknown[0]!r}; there are {', '.join(names)}")
    conditions = [Condition(0, 0.0, interventions[0].with_dose(0))]
    for curve, (name, intervention) in enumerate(zip(names, interventions, strict=True)):
        of_curve = sorted({float(dose) for dose in doses.get(name, intervention.doses)} - {0.0})
        if not of_curve:
            raise ParameterError(f"{name}: every dose is 0, which changes nothing")
        changes = [(dose, intervention.with_dose(dose)) for dose in of_curve]
        conditions += [Condition(curve, dose, change) for dose, change in changes]
        conditions += [
            Condition(curve, dose, placebo, is_placebo=True)
            for dose, change in changes
            if (placebo := change.placebo()) is not None and placebo != change
        ]
    return ConditionGrid(interventions, tuple(conditions))


def check_kind(interventions: Sequence[Intervention], kind: type[Intervention]) -> None:
    """Raise ParameterError for interventions that the items cannot be rendered under."""
    if wrong := [i for i in interventions if not isinstance(i, kind)]:
        example = "Gain(6)" if issubclass(kind, SoundIntervention) else "FeatureDilation()"
        raise ParameterError(
            f"{wrong[0]!r} does not act on these items; they take a {kind.__name__}, such as "
            f"otoscope.{example}"
        )


def families(grid: ConditionGrid) -> list[list[SoundIntervention]]:
    """Return the doses that may be composed: one family per label-preserving intervention."""
    members = (
        [grid.conditions[column].intervention for column in grid.columns(curve)]
        for curve, intervention in enumerate(grid.interventions)
        if intervention.label_preserving
    )
    sounds = ([i for i in family if isinstance(i, SoundIntervention)] for family in members)
    return [family for family in sounds if family]


def compose(
    families: Sequence[Sequence[SoundIntervention]], generator: np.random.Generator
) -> SoundIntervention:
    """Draw a composition: each family takes part with probability 1/2, at least one does.

    Families are applied in their order. If an intervention is proportional, its dose is uniform
    between 0 and the doses of the family; else it is one of them.
    """
    while not (chosen := generator.random(len(families)) < 0.5).any():
        pass
    links = [
        _member(family, generator) for family, is_in in zip(families, chosen, strict=True) if is_in
    ]
    return links[0] if len(links) == 1 else Chain(tuple(links))


def longest_inputs(
    families: Sequence[Sequence[SoundIntervention]], n_samples: int, sr: float
) -> list[SoundIntervention]:
    """Return the links of the composition that takes most samples, for ``n_samples`` rendered.

    Links that take no more than they return are left out.
    """
    longest = [max(family, key=lambda i: i.input_length(n_samples, sr)) for family in families]
    return [i for i in longest if i.input_length(n_samples, sr) > n_samples]


def analysed_duration(
    items: Sounds | Features,
    lengths: Sequence[int],
    interventions: Sequence[Intervention],
    composed: Sequence[Sequence[SoundIntervention]] = (),
    *,
    asked: float | None,
) -> float | None:
    """Return the duration as asked, or the longest that the shortest sound gives.

    ``lengths`` are those of the items in samples; features have no duration.
    """
    if isinstance(items, Features):
        return None
    shortest, sr = min(lengths), items.sr
    sounds = [i for i in interventions if isinstance(i, SoundIntervention)]
    if links := longest_inputs(composed, shortest, sr):
        sounds.append(Chain(tuple(links)))
    longest = longest_duration(sounds, shortest, sr)
    duration = longest if asked is None else asked
    about = f"{items.names[lengths.index(shortest)]} has {shortest / sr:.6g} s"
    if round(longest * sr) < 1:
        raise ParameterError(
            f"{about}, of which these changes leave nothing; ask for less, or leave out what is "
            "shorter"
        )
    if not 1 <= round(duration * sr) <= round(longest * sr):
        raise ParameterError(
            f"{about}, duration is {duration:.6g} s: with these changes analyse at most "
            f"{longest:.6g} s, or leave out what is shorter"
        )
    return duration


def composition_placebo(intervention: Intervention) -> SoundIntervention | None:
    """Compose the placebos of those links of a try that have one; None if no link has."""
    links = intervention.links if isinstance(intervention, Chain) else (intervention,)
    placebos = [placebo for link in links if (placebo := link.placebo()) is not None]
    sounds = tuple(placebo for placebo in placebos if isinstance(placebo, SoundIntervention))
    return Chain(sounds) if sounds else None


def check_goals(goals: Iterable[str]) -> frozenset[str]:
    """Validate the goals of a search."""
    chosen = frozenset([goals] if isinstance(goals, str) else goals)
    if unknown := sorted(chosen - set(GOALS)):
        raise ParameterError(f"search names {unknown[0]!r}, must be of {', '.join(GOALS)}")
    return chosen


def is_settled(answers: Sequence[str], label: str, goals: frozenset[str]) -> bool:
    """Whether further tries cannot change the result of a search for one item.

    ``answers`` are those so far, the answer to the unchanged item among them. The goal "any" is
    never settled.
    """
    right = {answer == label for answer in answers}
    return (
        "any" not in goals
        and ("inflate" not in goals or True in right)
        and ("deflate" not in goals or False in right)
    )


def batches_of_tries(budget: int, size: int = 8) -> Iterator[range]:
    """Split tries into rounds, after each of which some items are settled."""
    for first in range(0, budget, size):
        yield range(first, min(first + size, budget))


def _member(
    family: Sequence[SoundIntervention], generator: np.random.Generator
) -> SoundIntervention:
    member = family[int(generator.integers(len(family)))]
    if not member.is_proportional:
        return member
    doses = [0.0, *(one.dose for one in family)]
    low, high = max(member.bounds[0], min(doses)), min(member.bounds[1], max(doses))
    dose = float(f"{generator.uniform(low, high):.3g}")  # reports print it, records repeat it
    return member.with_dose(min(max(dose, low), high))

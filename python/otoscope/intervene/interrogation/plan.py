"""The plan of an interrogation: what is asked of each item, and all that answers depend on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from otoscope.errors import ParameterError, WorkerEnded
from otoscope.intervene.interrogation.conditions import (
    ConditionGrid,
    analysed_duration,
    families,
)
from otoscope.intervene.interrogation.items import Features, Sounds
from otoscope.intervene.interrogation.rendering import Answering, RenderPool
from otoscope.intervene.interrogation.session import (
    AnswerLog,
    InterrogationSettings,
    Session,
    Tries,
)
from otoscope.intervene.sound import SoundIntervention
from otoscope.progress import Progress
from otoscope.protocols.listening import PADDED

__all__ = ["Asked", "Plan", "make_plan"]


class Asked(NamedTuple):
    """Answers to the grid and to the tries, the right ones, and the items without answers."""

    answers: NDArray[np.str_]  # [item, condition]
    tries: Tries | None
    labels: Sequence[str]
    lost: Mapping[int, WorkerEnded]

    def only(self, kept: Sequence[int]) -> Asked:
        """Select some of the items."""
        tries = None if self.tries is None else (self.tries[0][kept], self.tries[1][kept])
        return Asked(self.answers[kept], tries, [self.labels[item] for item in kept], {})


@dataclass(frozen=True)
class Plan:
    """Conditions of every item, tries of compositions, and all that the answers depend on.

    ``lengths`` are those of the items, in samples; ``duration`` is analysed, in seconds.
    """

    grid: ConditionGrid
    composed: Sequence[Sequence[SoundIntervention]]
    goals: frozenset[str]
    budget: int
    lengths: Sequence[int]
    duration: float | None
    depends_on: Mapping[str, Any]

    def asked(
        self,
        items: Sounds | Features,
        labeller: Answering,
        log: AnswerLog,
        labels: Sequence[str] | None,
        settings: InterrogationSettings,
        progress: Progress,
    ) -> Asked:
        """Ask for all answers."""
        with RenderPool(items, self.duration, settings.workers, labeller) as pool:
            session = Session(items, labeller, log, settings, pool, progress)
            try:
                answers, tries = session.label_grid(self.grid), None
            except ParameterError as err:
                raise self._as_short(err, items, settings) from err
            before: list[str] = answers[:, 0].tolist()
            right = before if labels is None else labels
            if self.budget:
                tries = session.label_compositions(
                    before, right, self.composed, goals=self.goals, budget=self.budget
                )
        return Asked(answers, tries, right, session.lost)

    def _as_short(
        self, err: ParameterError, items: Sounds | Features, settings: InterrogationSettings
    ) -> ParameterError:
        """Name the shortest sound in the error of one that was cut to its length."""
        is_short = err.advice is not None and err.advice.parts == PADDED.parts
        if not is_short or settings.duration is not None or len(set(self.lengths)) < 2:
            return err
        shortest = items.names[self.lengths.index(min(self.lengths))]
        return err.within(f"all sounds are cut to the length of the shortest, {shortest}")


def make_plan(
    items: Sounds | Features,
    grid: ConditionGrid,
    about: Mapping[str, Any],
    settings: InterrogationSettings,
    *,
    goals: frozenset[str],
    budget: int,
    progress: Progress,
) -> Plan:
    """Survey the items and lay out what is asked; ``about`` is the system, with the labels."""
    if budget < 0:
        raise ParameterError(f"budget is {budget} tries, must be >= 0")
    if moving := [i for i in grid.interventions if i.moves != "same"]:
        raise ParameterError(
            f"{moving[0]} moves the right answer, and labels stay; compare outputs by "
            "otoscope.intervene.interrogate_outputs"
        )
    composed = families(grid) if budget else []
    if budget and not composed:
        raise ParameterError(
            f"budget is {budget}: only sounds can be changed several times in a row, by "
            "label-preserving interventions"
        )
    lengths, content = items.survey(progress)
    changes = [condition.intervention for condition in grid.conditions]
    duration = analysed_duration(items, lengths, changes, composed, asked=settings.duration)
    depends_on = {
        "system": about["system"],
        "system_code": settings.system_code,
        "system_identity": about["system_identity"],
        "conditions": [change.settings for change in changes],
        "label_preserving": [i.label_preserving for i in grid.interventions],
        "items": items.names,
        "content": content,
        "labels": about["labels"],
        "duration": duration,
        "sr": getattr(items, "sr", None),
        "seed": settings.seed,
    }
    return Plan(grid, composed, goals, budget, lengths, duration, depends_on)

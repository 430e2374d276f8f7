"""One interrogation under way: rounds of questions, of which those answered before are skipped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from otoscope.intervene.base import Intervention, SoundIntervention
from otoscope.intervene.interrogation._items import Features, Progress, Sounds
from otoscope.intervene.interrogation._questions import Asked, Table, ask
from otoscope.intervene.interrogation._search import (
    compose,
    is_settled,
    parts,
    way_back,
)
from otoscope.intervene.interrogation._transcript import Transcript
from otoscope.intervene.interrogation.judge import Judge
from otoscope.seeds import item_seed

__all__ = ["Asking", "Tries", "families", "grid_seed"]

Tries: TypeAlias = "tuple[NDArray[np.str_], NDArray[np.str_]]"
"""Answers to compositions and to their placebos, [item, try]; "" where a try was not needed."""


def grid_seed(seed: int, item: int, curve: int) -> int:
    """Seed of an item's renderings in a curve: the same at all doses, so that they are paired."""
    return item_seed(seed, item, "curve", curve)


@dataclass(frozen=True, eq=False)
class Asking:
    """What all rounds have in common.

    Parameters
    ----------
    items : Sounds or Features
        What is rendered.
    judge : Judge
        Who answers.
    transcript : Transcript
        What was answered.
    duration : float or None
        Analysed seconds.
    seed, workers, max_batch : int
        Of the settings.
    progress : callable, optional
        Called for each round.
    """

    items: Sounds | Features
    judge: Judge
    transcript: Transcript
    duration: float | None
    seed: int
    workers: int
    max_batch: int
    progress: Progress | None

    def grid(self, table: Table) -> NDArray[np.str_]:
        """Ask every item every question of a grid: [item, question]."""
        said = self._round(
            "items",
            lambda item: [
                (question.intervention, grid_seed(self.seed, item, question.curve))
                for question in table.questions
            ],
            range(len(self.items.names)),
        )
        return np.array([said[item] for item in range(len(self.items.names))])

    def compositions(
        self,
        before: Sequence[str],
        labels: Sequence[str],
        families: Sequence[Sequence[SoundIntervention]],
        *,
        goals: frozenset[str],
        budget: int,
    ) -> Tries:
        """Try several interventions in a row on each item, until what is searched for is found.

        Parameters
        ----------
        before : sequence of str [item]
            Answers to the unchanged items.
        labels : sequence of str [item]
            Right answers.
        families : sequence of sequence of SoundIntervention
            See `compose`.
        goals : frozenset of str
            See `is_settled`.
        budget : int
            Tries an item.

        Returns
        -------
        Tries
            Of the compositions and of their placebos; of these none, if nothing has a way back.

        Examples
        --------
        >>> asking.compositions(before, labels, [[Tempo(6)]], goals=goals, budget=8)
        ... # doctest: +SKIP
        """

        def tried(item: int, number: int) -> tuple[SoundIntervention, int]:
            seed = item_seed(self.seed, item, "try", number)
            return compose(families, np.random.default_rng(seed)), seed

        def placebo(item: int, number: int) -> tuple[SoundIntervention, int]:
            composition, seed = tried(item, number)
            return way_back(composition) or composition.with_dose(0), seed

        has_way_back = any(way_back(one) for family in families for one in family)
        made = []
        for what, draw in (("tries", tried), ("placebos of tries", placebo)):
            asked = budget if has_way_back or draw is tried else 0
            said = [[str(answer)] for answer in before]
            for tries in parts(asked):
                left = [
                    item
                    for item, answers in enumerate(said)
                    if not is_settled(answers, labels[item], goals)
                ]
                answered = self._round(
                    f"{what} {tries.start + 1} to {tries.stop}", partial(_each, draw, tries), left
                )
                for item, answers in answered.items():
                    said[item] += answers
            rows = [row[1:] + [""] * (asked + 1 - len(row)) for row in said]
            made.append(np.array(rows, dtype=np.str_).reshape(len(said), asked))
        return made[0], made[1]

    def _round(
        self, what: str, asked: Callable[[int], Asked], items: Sequence[int]
    ) -> dict[int, list[str]]:
        """Ask some items, those apart that were asked before."""
        known = {
            item: answers
            for item in items
            if (answers := self.transcript.get(item, what)) is not None
        }
        left = [item for item in items if item not in known]
        answered = ask(
            self.items,
            self.judge,
            asked,
            left,
            duration=self.duration,
            workers=self.workers,
            max_batch=self.max_batch,
        )
        shown = iter(self.progress(left, what) if self.progress and left else left)
        next(shown, None)  # each further one says that one is done
        for item, answers in answered:
            self.transcript.put(item, what, answers)
            known[item] = answers
            next(shown, None)
        return known


def _each(draw: Callable[[int, int], tuple[Intervention, int]], tries: range, item: int) -> Asked:
    return [draw(item, number) for number in tries]


def families(table: Table) -> list[list[SoundIntervention]]:
    """What may be composed: each intervention on sound claimed irrelevant, at its curve's doses."""
    members = (
        [table.questions[column].intervention for column in table.columns(curve)]
        for curve, intervention in enumerate(table.interventions)
        if intervention.irrelevant
    )
    sounds = ([i for i in family if isinstance(i, SoundIntervention)] for family in members)
    return [family for family in sounds if family]

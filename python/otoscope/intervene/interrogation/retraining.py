"""Systems that each iteration of a regulated bootstrap trains, and the conditions of their test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from otoscope.errors import ParameterError, WorkerEnded
from otoscope.intervene.base import Intervention
from otoscope.intervene.interrogation.items import Features, Sounds
from otoscope.intervene.interrogation.labeller import Labeller
from otoscope.intervene.interrogation.rendering import RenderPool
from otoscope.intervene.interrogation.session import InterrogationSettings, curve_seed
from otoscope.intervene.statistics.regulated import Indices
from otoscope.intervene.transforms.filters import Gain

__all__ = ["conditions_of", "retraining"]


def conditions_of(
    interventions: Sequence[Intervention], *, is_sound: bool
) -> dict[str, tuple[int, Intervention]]:
    """Name the unchanged items and each intervention; values are curve and intervention."""
    if not interventions and not is_sound:
        raise ParameterError("name an intervention: it says which features are unchanged")
    off = interventions[0].with_dose(0) if interventions else Gain(0)
    changes = {str(one): (curve, one) for curve, one in enumerate(interventions)}
    conditions = {"as it is": (0, off), **changes}
    if len(conditions) <= len(interventions):
        raise ParameterError(
            f"interventions are {', '.join(map(str, interventions))}; name each once"
        )
    return conditions


def retraining(
    train: Callable[[Indices], Any],
    items: Sounds | Features,
    labels: Sequence[str],
    conditions: Mapping[str, tuple[int, Intervention]],
    settings: InterrogationSettings,
    pool: RenderPool,
) -> Callable[[Indices], Callable[[Indices, str], list[str]]]:
    """Return a function that trains on some items and returns the function that labels others.

    ``pool`` renders for all of them; it knows none of the systems, which answer here.
    """

    def train_labeller(indices: Indices) -> Callable[[Indices, str], list[str]]:
        labeller = Labeller(train(indices), classes=settings.classes, labels=labels)

        def answers(tested: Indices, condition: str) -> list[str]:
            """Label the tested items under a condition."""
            curve, intervention = conditions[condition]
            labelled = pool.label(
                labeller,
                lambda item: [(intervention, curve_seed(settings.seed, item, curve))],
                tested.tolist(),
            )
            labels = list[str]()
            for item, answers in labelled:
                if isinstance(answers, WorkerEnded):
                    raise answers.within(items.names[item]) from answers
                labels += answers
            return labels

        return answers

    return train_labeller

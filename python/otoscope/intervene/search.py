"""Search for a member of a family of changes that makes an answer right, or wrong.

With many tries even a coin is right once. So every search has a control of as many placebos, and
its figures are those of fixed tries: item, number of the try and seed say what is tried.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, TypeAlias

import numpy as np

from otoscope.errors import ParameterError
from otoscope.intervene.base import Intervention, SoundIntervention
from otoscope.intervene.chain import Chain

__all__ = ["GOALS", "Goal", "check_goals", "compose", "is_settled", "way_back"]

Goal: TypeAlias = Literal["inflate", "deflate", "any"]
GOALS: tuple[Goal, ...] = ("inflate", "deflate", "any")


def check_goals(goals: Iterable[str]) -> frozenset[str]:
    """Check what a search is for.

    Parameters
    ----------
    goals : iterable of str
        "inflate": a right answer; "deflate": a wrong one; "any": all that can be reached.

    Returns
    -------
    frozenset of str
        The goals.

    Raises
    ------
    ParameterError
        If one is unknown.

    Examples
    --------
    >>> sorted(check_goals(["inflate", "deflate"]))
    ['deflate', 'inflate']
    """
    wanted = frozenset([goals] if isinstance(goals, str) else goals)
    if unknown := sorted(wanted - set(GOALS)):
        raise ParameterError(f"search names {unknown[0]!r}, must be of {', '.join(GOALS)}")
    return wanted


def compose(
    interventions: Sequence[SoundIntervention], generator: np.random.Generator
) -> SoundIntervention:
    """Draw some of the interventions in a row, each at a dose up to its own.

    Parameters
    ----------
    interventions : sequence of SoundIntervention
        In the order in which they are applied; their doses are the greatest.
    generator : Generator
        Of this try.

    Returns
    -------
    SoundIntervention
        One intervention or more; each is in with a chance of one half. Doses are uniform where
        half the dose is half the change, of both signs where there are two.

    Examples
    --------
    >>> from otoscope.intervene import Gain, Polarity
    >>> print(compose([Gain(6), Polarity()], np.random.default_rng(0)))
    gain -5.5 dB
    """
    while not (chosen := generator.random(len(interventions)) < 0.5).any():
        pass
    links = [
        _at_random_dose(one, generator)
        for one, is_in in zip(interventions, chosen, strict=True)
        if is_in
    ]
    return links[0] if len(links) == 1 else Chain(tuple(links))


def way_back(intervention: Intervention) -> SoundIntervention | None:
    """Give the placebo of a try: links that have no way back are left out.

    Parameters
    ----------
    intervention : Intervention
        A try of a search.

    Returns
    -------
    SoundIntervention or None
        None if no link has a way back.

    Examples
    --------
    >>> from otoscope.intervene import Gain, Pitch
    >>> print(way_back(Gain(6) | Pitch(50)))
    pitch +50 cents | pitch -50 cents
    """
    links = intervention.links if isinstance(intervention, Chain) else (intervention,)
    backs = [back for link in links if (back := link.placebo()) is not None]
    sounds = tuple(back for back in backs if isinstance(back, SoundIntervention))
    return Chain(sounds) if sounds else None


def is_settled(answers: Sequence[str], label: str, goals: frozenset[str]) -> bool:
    """Whether further tries cannot change what a search says of an item.

    Parameters
    ----------
    answers : sequence of str
        So far, the unchanged one among them.
    label : str
        The right one.
    goals : frozenset of str
        Of the search.

    Returns
    -------
    bool
        False as long as a goal is not reached; "any" never is.

    Examples
    --------
    >>> is_settled(["a", "b"], "a", frozenset({"inflate", "deflate"}))
    True
    """
    right = {answer == label for answer in answers}
    return (
        "any" not in goals
        and ("inflate" not in goals or True in right)
        and ("deflate" not in goals or False in right)
    )


def parts(budget: int, size: int = 8) -> Iterator[range]:
    """Cut tries into rounds, after each of which some items are settled."""
    for first in range(0, budget, size):
        yield range(first, min(first + size, budget))


def _at_random_dose(
    intervention: SoundIntervention, generator: np.random.Generator
) -> SoundIntervention:
    if not intervention.is_proportional:
        return intervention
    low, high = intervention.bounds
    most = abs(intervention.dose)
    lowest = max(low, -most) if low < 0 else max(low, 0.0)
    return intervention.with_dose(round(float(generator.uniform(lowest, min(high, most))), 2))

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

__all__ = ["GOALS", "Goal", "check_goals", "compose", "is_settled", "neediest", "parts", "way_back"]

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
    families: Sequence[Sequence[SoundIntervention]], generator: np.random.Generator
) -> SoundIntervention:
    """Draw a member of some families, and put them in a row.

    Parameters
    ----------
    families : sequence of sequence of SoundIntervention
        In the order in which they are applied; one intervention at several doses each.
    generator : Generator
        Of this try.

    Returns
    -------
    SoundIntervention
        One intervention or more; each family is in with a chance of one half. Where half the dose
        is half the change, any dose may come between 0 and those of the family.

    Examples
    --------
    >>> from otoscope.intervene import Gain, HighPass
    >>> print(compose([[Gain(-6), Gain(6)], [HighPass(20)]], np.random.default_rng(1)))
    gain -0.92 dB
    """
    while not (chosen := generator.random(len(families)) < 0.5).any():
        pass
    links = [
        _member(family, generator) for family, is_in in zip(families, chosen, strict=True) if is_in
    ]
    return links[0] if len(links) == 1 else Chain(tuple(links))


def neediest(
    families: Sequence[Sequence[SoundIntervention]], n_samples: int, sr: float
) -> list[SoundIntervention]:
    """Find the row that takes most of a sound: no composition takes more.

    Parameters
    ----------
    families : sequence of sequence of SoundIntervention
        As `compose` takes them.
    n_samples : int
        Of the rendering.
    sr : float
        Samples a second.

    Returns
    -------
    list of SoundIntervention
        Links that take more than they give.

    Examples
    --------
    >>> from otoscope.intervene import Gain, Tempo
    >>> print(*neediest([[Tempo(-6), Tempo(6)], [Gain(6)]], 8000, 8000))
    tempo +6 %
    """
    most = [max(family, key=lambda one: one.needed(n_samples, sr)) for family in families]
    return [one for one in most if one.needed(n_samples, sr) > n_samples]


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


def _member(
    family: Sequence[SoundIntervention], generator: np.random.Generator
) -> SoundIntervention:
    one = family[int(generator.integers(len(family)))]
    if not one.is_proportional:
        return one
    doses = [0.0, *(member.dose for member in family)]
    low, high = max(one.bounds[0], min(doses)), min(one.bounds[1], max(doses))
    dose = float(f"{generator.uniform(low, high):.3g}")  # to be read, and rendered as read
    return one.with_dose(min(max(dose, low), high))

"""What an interrogation found: numbers with intervals, answers that flipped, a verdict.

Scores are the figure of merit asked for, mean per-class recall or accuracy, in 0..1. An interval is
a bootstrap over groups of items (artists), not over items.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from otoscope.intervene.base import Intervention
from otoscope.intervene.statistics.bootstrap import Chance, Interval
from otoscope.intervene.statistics.significance import CochranQ

__all__ = ["ClassFlips", "Curve", "Flip", "Interrogated", "Item", "Point", "Search", "Verdict"]


@dataclass(frozen=True)
class Item:
    """One item and what the system says of it unchanged.

    Parameters
    ----------
    name : str
        File or number.
    label : str
        The right answer; where none was given, the answer to the unchanged item.
    group : str
        What it shares with others: artist, album.
    answer : str
        Of the unchanged item.

    Examples
    --------
    >>> Item("a.wav", "Waltz", "artist 1", "Tango").answer
    'Tango'
    """

    name: str
    label: str
    group: str
    answer: str


@dataclass(frozen=True)
class Point:
    """All items at one dose of one intervention, or at its placebo.

    Parameters
    ----------
    intervention : str
        Name, dose and unit.
    dose : float
        In the curve's unit; of a placebo, the dose that it goes and comes back.
    score : Interval
        Of all items.
    change : Interval
        Score minus the score of the unchanged items, paired; in -1..1.
    gained, lost : int
        Items that became right, wrong.
    moved : Interval
        Share of items whose answer is another than unchanged.
    p : float or None
        Exact McNemar test against the unchanged items; None without labels.
    p_holm : float or None
        The same, corrected for all doses and placebos of all interventions claimed irrelevant.

    Examples
    --------
    >>> found.curves[0].points[0].change.value  # doctest: +SKIP
    -0.31
    """

    intervention: str
    dose: float
    score: Interval
    change: Interval
    gained: int
    lost: int
    moved: Interval
    p: float | None
    p_holm: float | None


@dataclass(frozen=True)
class Curve:
    """Dose and response of one intervention.

    Parameters
    ----------
    name, unit : str
        Of the intervention.
    irrelevant : bool
        Claimed not to change the right answer; False is a positive control.
    points : tuple of Point
        By rising dose, without 0.
    placebo : tuple of Point
        There and back, a dose each; empty where there is no way back.
    q : CochranQ or None
        Cochran's Q over all doses and the unchanged items; None without labels.

    Examples
    --------
    >>> found.curves[0].worst.intervention  # doctest: +SKIP
    'tempo +6 %'
    """

    name: str
    unit: str
    irrelevant: bool
    points: tuple[Point, ...]
    placebo: tuple[Point, ...]
    q: CochranQ | None

    @property
    def worst(self) -> Point:
        """The point whose score is furthest from the unchanged one."""
        return max(self.points, key=lambda point: abs(point.change.value))


@dataclass(frozen=True)
class Search:
    """What the best and the worst of several tries make of each item.

    Parameters
    ----------
    name : str
        The intervention searched over; "compositions" for several in a row.
    tries : int
        Renderings an item, besides the unchanged one.
    inflated : Interval or None
        Score when one right answer among all tries is enough.
    deflated : Interval or None
        Score when all must be right.
    reachable : Interval or None
        Different answers an item.
    control_inflated, control_deflated, control_reachable : Interval or None
        The same of as many placebos; None where there are none.
    coin_inflated, coin_deflated : float or None
        What answers at random, as often as the system gives each to the unchanged items, come to
        in as many tries.

    Examples
    --------
    >>> found.searches[0].tries  # doctest: +SKIP
    6
    """

    name: str
    tries: int
    inflated: Interval | None
    deflated: Interval | None
    reachable: Interval | None
    control_inflated: Interval | None = None
    control_deflated: Interval | None = None
    control_reachable: Interval | None = None
    coin_inflated: float | None = None
    coin_deflated: float | None = None


@dataclass(frozen=True)
class Flip:
    """One answer that an irrelevant change turned over.

    Parameters
    ----------
    item : int
        Index of the item.
    name, label, before, after : str
        Its name, the right answer, the answers unchanged and changed.
    intervention : Intervention
        The change; `Interrogation.hear` renders both.
    seed : int
        Of the rendering.
    duration : float or None
        Seconds of the rendering.

    Examples
    --------
    >>> before, after, sr = interrogation.hear(found.pairs[0])  # doctest: +SKIP
    """

    item: int
    name: str
    label: str
    before: str
    after: str
    intervention: Intervention
    seed: int
    duration: float | None = None


@dataclass(frozen=True)
class ClassFlips:
    """How items of one class fare over all irrelevant doses.

    Parameters
    ----------
    label : str
        The class.
    n : int
        Its items.
    right : int
        Of these, right when unchanged.
    lost : int
        Of the right, wrong at one dose or more.
    gained : int
        Of the wrong, right at one dose or more.
    to : mapping of str to int
        Other answers than the unchanged one, and at how many items each was given.

    Examples
    --------
    >>> ClassFlips("Waltz", n=3, right=2, lost=1, gained=0, to={"Tango": 1}).lost
    1
    """

    label: str
    n: int
    right: int
    lost: int
    gained: int
    to: Mapping[str, int]


@dataclass(frozen=True)
class Verdict:
    """In plain words.

    Parameters
    ----------
    kind : {"horse", "cleared", "undecided", "chance"}
        Answers move with what is irrelevant; they do not, within the bound; too few items to tell;
        the score is no better than answers at random.
    sentence : str
        The verdict.
    evidence : tuple of str
        What it rests on.
    not_supported : tuple of str
        What the score is no evidence of.
    cautions : tuple of str
        What could mislead.

    Examples
    --------
    >>> Verdict("chance", "no better than chance", (), (), ()).kind
    'chance'
    """

    kind: Literal["horse", "cleared", "undecided", "chance"]
    sentence: str
    evidence: tuple[str, ...]
    not_supported: tuple[str, ...]
    cautions: tuple[str, ...]


@dataclass(frozen=True)
class Interrogated:
    """Everything that was found.

    Parameters
    ----------
    figure : {"mean_recall", "accuracy"}
        The figure of merit.
    classes : tuple of str
        Right answers there are.
    has_labels : bool
        False: the right answer is the system's own to the unchanged item.
    items : tuple of Item
        In the order given.
    baseline : Interval
        Score of the unchanged items.
    chance : Chance or None
        Score of the same answers in random order; None without labels.
    confound : Interval or None
        Score of nearest neighbours on the confound alone.
    curves : tuple of Curve
        One an intervention.
    searches : tuple of Search
        One an intervention claimed irrelevant, then compositions.
    flips : tuple of ClassFlips
        One a class.
    pairs : tuple of Flip
        To listen to: smallest doses first, no item twice.
    verdict : Verdict
        In words.
    max_change : float
        The change of score that the verdict tolerates, in 0..1.
    duration : float or None
        Seconds analysed; None for features.
    settings : mapping
        What repeats it.

    Examples
    --------
    >>> found.verdict.sentence  # doctest: +SKIP
    'no horse found: ...'
    """

    figure: str
    classes: tuple[str, ...]
    has_labels: bool
    items: tuple[Item, ...]
    baseline: Interval
    chance: Chance | None
    confound: Interval | None
    curves: tuple[Curve, ...]
    searches: tuple[Search, ...]
    flips: tuple[ClassFlips, ...]
    pairs: tuple[Flip, ...]
    verdict: Verdict
    max_change: float
    duration: float | None
    settings: Mapping[str, Any]

    @property
    def is_broken(self) -> bool:
        """Whether the score falls by more than ``max_change`` at a dose claimed irrelevant."""
        return any(-point.change.value > self.max_change for _, point in self.irrelevant_points)

    @property
    def irrelevant_points(self) -> list[tuple[Curve, Point]]:
        """Every dose of every intervention claimed irrelevant."""
        return [(c, point) for c in self.curves if c.irrelevant for point in c.points]

    def to_dict(self) -> dict[str, Any]:
        """Give everything in JSON's types: interventions as their settings.

        Returns
        -------
        dict
            The fields, and ``is_broken``.

        Examples
        --------
        >>> found.to_dict()["verdict"]["kind"]  # doctest: +SKIP
        'cleared'
        """
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        plain["pairs"] = [
            {f.name: getattr(flip, f.name) for f in fields(flip)}
            | {"intervention": str(flip.intervention), "settings": flip.intervention.settings}
            for flip in self.pairs
        ]
        return {**plain, "is_broken": self.is_broken}

    def summary(self) -> dict[str, Any]:
        """Give what `to_dict` does, less the items one by one, the pairs and the settings.

        Returns
        -------
        dict
            Of the same size however many items there are.

        Examples
        --------
        >>> "items" in found.summary()  # doctest: +SKIP
        False
        """
        left_out = {"items", "pairs", "settings"}
        return {name: one for name, one in self.to_dict().items() if name not in left_out}

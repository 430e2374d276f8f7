"""Results of an interrogation: scores with intervals, answers that changed, a verdict.

Scores are values of the chosen metric, mean per-class recall or accuracy, in [0, 1]. Intervals are
bootstrap intervals over groups of items (artists), not over items.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from torch import Tensor

from otoscope.display import Shown, data_frame
from otoscope.documents import document
from otoscope.errors import WorkerEnded
from otoscope.intervene.base import Intervention
from otoscope.intervene.interrogation.verdict import DoseCurve, DosePoint, SearchResult, Verdict
from otoscope.intervene.statistics.bootstrap import MetricName
from otoscope.intervene.statistics.chance import ChanceLevel
from otoscope.metrics import Interval

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["ClassFlips", "Flip", "InterrogationResult", "Item", "RenderPair"]

_POINT = ("dose", "gained", "lost", "p", "p_holm")
_COLUMNS = (
    *("intervention", "unit", "label_preserving", "placebo", "dose"),
    *(f"{name}{end}" for name in ("score", "change", "moved") for end in ("", "_low", "_high")),
    *("gained", "lost", "p", "p_holm"),
)
_DETAILS = ("items", "pairs", "settings")  # they grow with the number of items


@dataclass(frozen=True)
class Item:
    """An item with the system's answer to it unchanged; ``name`` is a file or a number.

    Without labels, ``label`` is that answer. ``group`` is what it shares with others: artist.
    """

    name: str
    label: str
    group: str
    answer: str


@dataclass(frozen=True)
class Flip:
    """An answer that a label-preserving change turned into another.

    Parameters
    ----------
    item : int
        Index of the item.
    name, label, before, after : str
        Name of the item, right answer, answers to the unchanged and to the changed item.
    intervention : Intervention
        Change; `Interrogation.render_pair` renders both sounds.
    seed : int
        Seed of the rendering.
    duration : float or None
        Duration of the rendering, in seconds.

    Examples
    --------
    >>> before, after, sr = interrogation.render_pair(result.pairs[0])  # doctest: +SKIP
    """

    item: int
    name: str
    label: str
    before: str
    after: str
    intervention: Intervention
    seed: int
    duration: float | None = None


RenderPair: TypeAlias = Callable[[Flip], tuple[Tensor, Tensor, float]]
"""Function that renders the sounds of a flip: before and after [sample], and their rate."""


@dataclass(frozen=True)
class ClassFlips:
    """Items of one class over all label-preserving doses.

    Of its ``n`` items, ``right`` are right when unchanged; of these, ``lost`` are wrong at one dose
    or more; of the others, ``gained`` are right at one dose or more. ``to`` maps other answers to
    the number of items that got them.
    """

    label: str
    n: int
    right: int
    lost: int
    gained: int
    to: Mapping[str, int]


@dataclass(frozen=True, repr=False)
class InterrogationResult(Shown):
    """All results of an interrogation.

    Parameters
    ----------
    metric : {"mean_recall", "accuracy", "mean_score"}
        Name of the metric; "mean_score" of `interrogate_outputs`.
    classes : tuple of str
        Right answers that occur.
    has_labels : bool
        False if the right answer is the system's own answer to the unchanged item.
    items : tuple of Item
        Items in the order given.
    baseline : Interval
        Score of the unchanged items.
    chance : ChanceLevel or None
        Score of the same answers in random order; None without labels.
    confound : Interval or None
        Score of nearest neighbours on the confound alone.
    curves : tuple of DoseCurve
        One curve per intervention.
    searches : tuple of SearchResult
        One search per label-preserving intervention, then one over compositions.
    flips : tuple of ClassFlips
        One entry per class.
    pairs : tuple of Flip
        Changed answers to listen to: smallest doses first, no item twice.
    verdict : Verdict
        What the score is evidence of; `otoscope.report.verdict_text` puts it into words.
    max_change : float
        Tolerated change of the score, in [0, 1).
    duration : float or None
        Analysed duration in seconds; None for features.
    settings : mapping
        Everything that repeats the interrogation.
    min_score : float
        Least score of the unchanged items, in [0, 1].
    columns : tuple of str or None
        Names of the columns of the system's scores, in order; None if it returned labels.
    renaming : mapping of str to str or None
        Other names for some of the system's answers, under which significantly more answers are
        right: names or columns are confused; None if there are none, or no labels.
    skipped : mapping of str to WorkerEnded
        Items that are left out, and why: the processes that worked on them were killed. A run with
        the same records asks for them again. Left out of comparisons and of `to_dict`.
    render_pair : callable, optional
        `Interrogation.render_pair`, for the players in a notebook. It holds all sounds and the
        system, so that it is left out of comparisons, of `to_dict` and of pickles.

    Examples
    --------
    >>> result.verdict.kind  # doctest: +SKIP
    'cleared'
    """

    metric: MetricName | Literal["mean_score"]
    classes: tuple[str, ...]
    has_labels: bool
    items: tuple[Item, ...]
    baseline: Interval
    chance: ChanceLevel | None
    confound: Interval | None
    curves: tuple[DoseCurve, ...]
    searches: tuple[SearchResult, ...]
    flips: tuple[ClassFlips, ...]
    pairs: tuple[Flip, ...]
    verdict: Verdict
    max_change: float
    duration: float | None
    settings: Mapping[str, Any]
    min_score: float = 0.0
    columns: tuple[str, ...] | None = None
    renaming: Mapping[str, str] | None = None
    skipped: Mapping[str, WorkerEnded] = field(default_factory=dict, compare=False, repr=False)
    render_pair: RenderPair | None = field(default=None, compare=False, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the function that renders pairs."""
        return {**vars(self), "render_pair": None}

    @property
    def is_below(self) -> bool:
        """Whether the score of the unchanged items is less than ``min_score``."""
        return self.baseline.value < self.min_score - 1e-9

    @property
    def is_broken(self) -> bool:
        """Whether the score falls by more than ``max_change`` at a label-preserving dose."""
        points = self.label_preserving_points
        return any(-point.change.value > self.max_change for _, point in points)

    @property
    def label_preserving_points(self) -> list[tuple[DoseCurve, DosePoint]]:
        """Every dose of every label-preserving intervention, with its curve."""
        return [(c, point) for c in self.curves if c.label_preserving for point in c.points]

    def to_dataframe(self) -> DataFrame:
        """Return the scores as a tidy table: one row per dose, after one of the unchanged items.

        Returns
        -------
        pandas.DataFrame
            Columns ``intervention``, ``unit``, ``label_preserving``, ``placebo``, ``dose``,
            ``score``, ``change`` and ``moved``, each of these three with its bounds (``score_low``,
            ``score_high``, ...), ``gained``, ``lost``, ``p`` and ``p_holm`` (Holm-corrected).
            Unknown numbers are NaN.

        Raises
        ------
        MissingExtra
            If pandas is not installed.

        Examples
        --------
        >>> result.to_dataframe().query("placebo == False and score < 0.5")  # doctest: +SKIP
        """
        unchanged = {
            "intervention": "unchanged",
            "label_preserving": True,
            "placebo": False,
            "dose": 0.0,
            **_bounds("score", self.baseline),
        }
        changed = (
            {
                "intervention": curve.name,
                "unit": curve.unit,
                "label_preserving": curve.label_preserving,
                "placebo": is_placebo,
                **{name: getattr(point, name) for name in _POINT},
                **_bounds("score", point.score),
                **_bounds("change", point.change),
                **_bounds("moved", point.moved),
            }
            for curve in self.curves
            for is_placebo, points in ((False, curve.points), (True, curve.placebo))
            for point in points
        )
        return data_frame([unchanged, *changed], _COLUMNS)

    def to_dict(self, *, is_summary: bool = False) -> dict[str, Any]:
        """Return all fields, ``is_broken`` and ``is_below`` as a JSON document.

        Parameters
        ----------
        is_summary : bool
            Whether to leave out the items, the pairs and the settings, so that the size does not
            depend on the number of items.

        Returns
        -------
        dict
            Fields in the types of JSON, with interventions as their settings.

        Examples
        --------
        >>> result.to_dict()["verdict"]["kind"]  # doctest: +SKIP
        'cleared'
        """
        content = {f.name: getattr(self, f.name) for f in fields(self) if f.compare}
        content["pairs"] = [
            {f.name: getattr(flip, f.name) for f in fields(flip)}
            | {"intervention": str(flip.intervention), "settings": flip.intervention.settings}
            for flip in self.pairs
        ]
        if is_summary:
            content = {k: v for k, v in content.items() if k not in _DETAILS}
        return document(
            "otoscope.Interrogation",
            4,
            {**content, "is_broken": self.is_broken, "is_below": self.is_below},
        )


def _bounds(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}

"""Settings of an interrogation, and its session: items are rendered, answers logged as they come.

A log on disk (JSON Lines) lets a run continue after a kill at any byte: what it holds is not asked
again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from numbers import Integral
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from otoscope.errors import ParameterError, WorkerEnded, require_integer
from otoscope.intervene.cache import RenderCache
from otoscope.intervene.interrogation.conditions import (
    ConditionGrid,
    batches_of_tries,
    compose,
    composition_placebo,
    is_settled,
)
from otoscope.intervene.interrogation.items import Features, Seeded, Sounds
from otoscope.intervene.interrogation.rendering import Answering, RenderPool
from otoscope.intervene.sound import SoundIntervention
from otoscope.intervene.statistics.bootstrap import MetricName
from otoscope.progress import Progress, silent, tracked
from otoscope.protocols.listening import require_distinct
from otoscope.records import Records, read, to_plain
from otoscope.seeds import item_seed

__all__ = [
    "AnswerLog",
    "InterrogationSettings",
    "Session",
    "Tries",
    "curve_seed",
]

Tries: TypeAlias = "tuple[NDArray[np.str_], NDArray[np.str_]]"
"""Answers to compositions and to their placebos, [item, try]; "" where a try was not needed."""

_HEADER = "interrogation"


@dataclass(frozen=True)
class InterrogationSettings:
    """Settings of an interrogation.

    Parameters
    ----------
    classes : tuple of str, optional
        Names of the columns if the system returns scores, and all labels that it may answer.
    sr : float, optional
        Sampling rate at which sounds are changed and labelled, in Hz; default: the model's, else
        that of the first sound.
    duration : float, optional
        Analysed duration in seconds; default: the longest that all changes can render of the
        shortest sound.
    metric : {"mean_recall", "accuracy"}, optional
        Metric of the score; default: mean recall with labels, without the fraction of all answers
        that stay ("accuracy"; "mean_recall" is the mean over the classes answered).
    max_change : float
        Tolerated change of the score, in [0, 1).
    min_score : float
        Least score of the unchanged items, in [0, 1].
    n_draws : int
        Number of bootstrap draws, >= 20.
    n_neighbours : int
        Number of nearest neighbours of the confound-only baseline, >= 1.
    seed : int
        Random seed of renderings, tries and bootstrap, in [0, 2^32).
    workers : int, optional
        Number of processes that render, and answer if the system is a listening model on the CPU,
        >= 1. By default all cores, or this process alone if there is too little to render to repay
        a start. Answers are the same for any number; an item whose process was killed is left out.
    cache : str or Path, optional
        Folder of the render cache.
    cache_gb : float
        Maximum size of the render cache, in GB (2^30 bytes), > 0.
    max_batch : int
        Maximum number of renderings in a batch of the system, >= 1.
    system : str, optional
        Name of the system in records; default: its own name.
    system_code : str
        Digest of the system's code, beside which its weights are compared: an interrogation is not
        continued with another system of the same name.

    Examples
    --------
    >>> InterrogationSettings(metric="accuracy").max_change
    0.05
    >>> InterrogationSettings().metric_with(None)
    'accuracy'
    """

    classes: tuple[str, ...] | None = None
    sr: float | None = None
    duration: float | None = None
    metric: MetricName | None = None
    max_change: float = 0.05
    min_score: float = 0.0
    n_draws: int = 2000
    n_neighbours: int = 9
    seed: int = 0
    workers: int | None = None
    cache: str | PathLike[str] | None = None
    cache_gb: float = 2.0
    max_batch: int = 64
    system: str | None = None
    system_code: str = ""

    def metric_with(self, labels: object | None) -> MetricName:
        """Return the metric, by default the one that suits items with or without ``labels``."""
        return self.metric or ("accuracy" if labels is None else "mean_recall")

    def render_cache(self) -> RenderCache | None:
        """Open the render cache, if there is one."""
        if self.cache is None:
            return None
        return RenderCache(Path(self.cache), max_bytes=round(self.cache_gb * 2**30))

    def __post_init__(self) -> None:
        if not 0 < self.cache_gb < float("inf"):
            raise ParameterError(f"cache_gb is {self.cache_gb:g}, must be > 0")
        if not 0 <= self.max_change < 1:
            raise ParameterError(f"max_change is {self.max_change}, must be in [0, 1)")
        if not 0 <= self.min_score <= 1:
            raise ParameterError(f"min_score is {self.min_score:g}, must be in [0, 1]")
        if self.workers is not None:
            require_integer("workers", self.workers, least=1)
        require_integer("max_batch", self.max_batch, least=1)
        if not isinstance(self.seed, Integral) or not 0 <= self.seed < 2**32:
            raise ParameterError(f"seed is {self.seed!r}, must be in [0, 2^32)")
        if self.duration is not None and not 0 < self.duration < float("inf"):
            raise ParameterError(f"duration is {self.duration} s, must be > 0")
        require_distinct("classes", self.classes or ())


def curve_seed(seed: int, item: int, curve: int) -> int:
    """Seed of an item's renderings in a dose curve: equal at all doses, so that they are paired."""
    return item_seed(seed, item, "curve", curve)


@dataclass(frozen=True, eq=False)
class Session:
    """Items, the system that labels them, the log, and how they are rendered.

    ``lost`` are the items whose workers were killed: they are asked nothing more, and have "" for
    all answers.
    """

    items: Sounds | Features
    labeller: Answering
    log: AnswerLog
    settings: InterrogationSettings
    pool: RenderPool
    progress: Progress = silent
    lost: dict[int, WorkerEnded] = field(default_factory=dict)

    def label_grid(self, grid: ConditionGrid) -> NDArray[np.str_]:
        """Label every item under every condition: [item, condition]."""
        answers = self._round(
            "items",
            lambda item: [
                (condition.intervention, curve_seed(self.settings.seed, item, condition.curve))
                for condition in grid.conditions
            ],
            range(len(self.items.names)),
            len(grid.conditions),
        )
        blank = [""] * len(grid.conditions)
        return np.array([answers.get(item, blank) for item in range(len(self.items.names))])

    def label_compositions(
        self,
        before: Sequence[str],
        labels: Sequence[str],
        families: Sequence[Sequence[SoundIntervention]],
        *,
        goals: frozenset[str],
        budget: int,
    ) -> Tries:
        """Label up to ``budget`` compositions per item, until the goals are settled for the item.

        ``before`` are the answers to the unchanged items. Placebos are tried likewise, or not at
        all if no intervention has one.
        """

        def composition(item: int, number: int) -> tuple[SoundIntervention, int]:
            seed = item_seed(self.settings.seed, item, "try", number)
            return compose(families, np.random.default_rng(seed)), seed

        def placebo(item: int, number: int) -> tuple[SoundIntervention, int]:
            composed, seed = composition(item, number)
            return composition_placebo(composed) or composed.with_dose(0), seed

        def tries_of(draw: Callable[..., Seeded], tries: range, item: int) -> list[Seeded]:
            return [draw(item, number) for number in tries]

        has_placebo = any(composition_placebo(one) for family in families for one in family)
        tables = []
        for what, draw in (("tries", composition), ("placebos of tries", placebo)):
            n_tries = budget if has_placebo or draw is composition else 0
            answers = [[str(answer)] for answer in before]
            for tries in batches_of_tries(n_tries):
                unsettled = [
                    item
                    for item, of_item in enumerate(answers)
                    if item not in self.lost and not is_settled(of_item, labels[item], goals)
                ]
                further = self._round(
                    f"{what} {tries.start + 1} to {tries.stop}",
                    partial(tries_of, draw, tries),
                    unsettled,
                    len(tries),
                )
                for item, of_item in further.items():
                    answers[item] += of_item
            rows = [row[1:] + [""] * (n_tries + 1 - len(row)) for row in answers]
            tables.append(np.array(rows, dtype=np.str_).reshape(len(answers), n_tries))
        return tables[0], tables[1]

    def _round(
        self,
        what: str,
        interventions: Callable[[int], list[Seeded]],
        items: Sequence[int],
        n_answers: int,
    ) -> dict[int, list[str]]:
        """Label some items, except those that the log has answers for."""
        answers = {
            item: logged for item in items if (logged := self.log.get(item, what)) is not None
        }
        if odd := [item for item, logged in answers.items() if len(logged) != n_answers]:
            raise ParameterError(
                f"the records have {len(answers[odd[0]])} answers for item {odd[0]} in {what}, "
                f"not {n_answers}; name another file, or remove it to begin anew"
            )
        remaining = [item for item in items if item not in answers]
        labelled = self.pool.label(
            self.labeller,
            interventions,
            remaining,
            round_name=what,
            max_batch=self.settings.max_batch,
        )
        shown = iter(tracked(self.progress, remaining, what) if remaining else remaining)
        next(shown, None)  # each further step reports one item as done
        for item, of_item in labelled:
            if isinstance(of_item, WorkerEnded):
                self.lost[item] = of_item
            else:
                self.log.put(item, what, of_item, by_scores=self.labeller.by_scores)
                answers[item] = of_item
            next(shown, None)
        return answers


class AnswerLog:
    """Answers by index of the item and by round, kept in a JSON Lines file if a path is given.

    ``depends_on`` is everything that the answers depend on; a file of another interrogation is
    refused. ``known`` are answers that are there beforehand.

    Examples
    --------
    >>> with AnswerLog(None, {"doses": [0, 6]}, seed=0) as log:
    ...     log.put(0, "items", ["Waltz", "Tango"])
    ...     log.get(0, "items"), log.get(1, "items")
    (['Waltz', 'Tango'], None)
    """

    def __init__(
        self,
        path: str | PathLike[str] | None,
        depends_on: Mapping[str, Any],
        *,
        seed: int,
        known: Mapping[tuple[int, str], Sequence[str]] | None = None,
    ) -> None:
        self._answers = {key: list(answers) for key, answers in (known or {}).items()}
        self.by_scores = False
        """Whether the system returned scores, so that the names of their columns matter."""
        self._seed = seed
        self._records: Records | None = None
        if path is None:
            return
        self._records = Records(Path(path))  # locks the file, and cuts off a torn line
        try:
            self._resume(Path(path), to_plain(depends_on))
        except BaseException:
            self._records.close()
            raise

    @property
    def is_kept(self) -> bool:
        """Whether answers are written to a file."""
        return self._records is not None

    def get(self, item: int, round_name: str) -> list[str] | None:
        """Return the answers of an item in a round, or None."""
        return self._answers.get((item, round_name))

    def put(
        self, item: int, round_name: str, answers: Sequence[str], *, by_scores: bool = False
    ) -> None:
        """Store the answers of an item in a round, in the order of its renderings."""
        self._answers[item, round_name] = list(answers)
        self.by_scores |= by_scores
        if self._records is not None:
            record = {"answers": list(answers), "by_scores": by_scores}
            self._records.append([item, round_name], record, seed=self._seed)

    def __enter__(self) -> AnswerLog:
        """Return the open log."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the file."""
        if self._records is not None:
            self._records.close()

    def _resume(self, path: Path, depends_on: dict[str, Any]) -> None:
        logged = read(path)
        if not logged and self._records is not None:
            self._records.append(_HEADER, {"depends_on": depends_on}, seed=self._seed)
            return
        header, *answers = logged
        before = header.get("depends_on") if header["key"] == _HEADER else None
        if not isinstance(before, dict):
            raise ParameterError(f"{path} holds no interrogation; name another file")
        identity = depends_on.get("system_identity") or {}
        is_known = "front_end" in identity and identity.get("weights")  # whatever its name
        names = [name for name in depends_on if name != "system" or not is_known]
        if differing := [name for name in names if depends_on[name] != before.get(name)]:
            raise ParameterError(
                f"{path} holds an interrogation with other {', '.join(differing)}; "
                "name another file, or remove it to begin anew"
            )
        for record in answers:
            key, logged_list = record["key"], record.get("answers")
            is_key = isinstance(key, list) and [type(part) for part in key] == [int, str]
            is_list = isinstance(logged_list, list)
            if (
                not is_key
                or not is_list
                or not all(isinstance(it, str) for it in logged_list or ())
            ):
                raise ParameterError(f"{path} has a record {key} that holds no list of answers")
            self._answers[key[0], key[1]] = list(logged_list or ())
            self.by_scores |= record.get("by_scores") is True

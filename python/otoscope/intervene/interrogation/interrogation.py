"""The interrogation of paper C: change what must not matter, and test whether answers stay.

An answer is right if it equals the label given; without labels, if it equals the system's own
answer to the unchanged item. All renderings of an item have the same duration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import asdict, replace
from os import PathLike
from typing import Any

import numpy as np
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.intervene.base import Intervention
from otoscope.intervene.interrogation.analysis import analyse
from otoscope.intervene.interrogation.conditions import (
    GOALS,
    analysed_duration,
    check_goals,
    check_kind,
    make_grid,
)
from otoscope.intervene.interrogation.curves import Answers
from otoscope.intervene.interrogation.items import Features, Sounds, as_items
from otoscope.intervene.interrogation.labeller import Labeller
from otoscope.intervene.interrogation.plan import Plan, make_plan
from otoscope.intervene.interrogation.rendering import RenderPool
from otoscope.intervene.interrogation.result import Flip, InterrogationResult
from otoscope.intervene.interrogation.retraining import conditions_of, retraining
from otoscope.intervene.interrogation.session import AnswerLog, InterrogationSettings
from otoscope.intervene.statistics.bootstrap import GroupBootstrap, check_classes
from otoscope.intervene.statistics.confound import confound_only
from otoscope.intervene.statistics.regulated import Indices, RegulatedBootstrap, RegulatedResult
from otoscope.intervene.transfer import transfer
from otoscope.metrics import Interval
from otoscope.progress import Progress, silent

__all__ = ["Interrogation"]


class Interrogation:
    """Compare the answers of a system to sounds with its answers to changed sounds.

    Parameters
    ----------
    predict : callable or ListeningModel
        System: Tensor [item, sample] (or [item, feature]) to labels, or to scores [item, class].
    audio : sequence of str, PathLike or (y, sr); mapping of str to (y, sr); or Tensor
        Files, sounds, or sounds by name; Tensor [item, sample] with ``settings.sr``; for
        `FeatureDilation` a Tensor of features [item, dose, feature].
    labels : sequence of str, optional
        Right answers; default: the system's answers to the unchanged items.
    groups : sequence of str, optional
        Group of each item, such as its artist: intervals are over groups.
    factor : sequence of str, optional
        Factor of `regulated` that may be confounded with the class; default: ``groups``.
    confound : array [item] or [item, d], optional
        Numbers that may reveal the class, such as the tempo; they are scored alone.
    settings : InterrogationSettings
        All other settings.

    Raises
    ------
    ParameterError
        If there is only one class, a class of one item, fewer than two groups, or lengths differ.

    References
    ----------
    Sturm (2016) :cite:`sturm2016horse`.

    Examples
    --------
    A system that goes by loudness, interrogated on gain:

    >>> import torch
    >>> from otoscope.intervene import Gain, Polarity
    >>> sounds = [(torch.ones(80) * (0.6 if i % 2 else 0.4), 80) for i in range(40)]
    >>> predict = lambda batch: ["b" if y.max() > 0.5 else "a" for y in batch]
    >>> result = Interrogation(predict, sounds, ["a", "b"] * 20).run([Gain(6), Polarity()])
    >>> result.verdict.kind, result.curves[0].worst.intervention
    ('horse', 'gain -6 dB')
    """

    def __init__(
        self,
        predict: Any,
        audio: Any,
        labels: Sequence[str] | None = None,
        *,
        groups: Sequence[str] | None = None,
        factor: Sequence[str] | None = None,
        confound: Any = None,
        settings: InterrogationSettings | None = None,
    ) -> None:
        self.settings = settings = settings or InterrogationSettings()
        self.labels = None if labels is None else list(map(str, labels))
        self._labeller = Labeller(predict, classes=settings.classes, labels=self.labels)
        cache = settings.render_cache()
        rate, of_system = settings.sr, self._labeller.sample_rate
        if rate and of_system and rate != of_system:
            raise ParameterError(f"sr is {rate:g} Hz, and the system hears {of_system:g} Hz")
        self.items: Sounds | Features = as_items(audio, sr=rate or of_system, cache=cache)
        n_items = len(self.items.names)
        columns = {"labels": labels, "groups": groups, "factor": factor, "confound": confound}
        for name, column in columns.items():
            if column is not None and len(column) != n_items:
                raise ParameterError(f"{name} has {len(column)} entries for {n_items} items")
        self.groups = None if groups is None else list(map(str, groups))
        self.factor = self.groups if factor is None else list(map(str, factor))
        self.confound = confound
        if self.labels is None and settings.min_score:
            raise ParameterError("min_score needs labels: without, every unchanged item is right")
        self._check()

    def run(
        self,
        interventions: Iterable[Intervention],
        *,
        doses: Mapping[str, Sequence[float]] | None = None,
        search: Iterable[str] = GOALS,
        budget: int = 0,
        records: str | PathLike[str] | None = None,
        answers: Mapping[tuple[int, str], Sequence[str]] | None = None,
        progress: Progress = silent,
    ) -> InterrogationResult:
        """Label all items under all interventions and analyse the answers.

        Parameters
        ----------
        interventions : iterable of Intervention
            Interventions, each with its greatest dose: ``Tempo(6)`` is -6 to +6 %.
        doses : mapping of str to sequence of float, optional
            Doses by name of the intervention, in place of those that its own dose suggests.
        search : iterable of {"inflate", "deflate", "any"}
            Goals of the search: a right answer, a wrong one, all labels that can be reached.
        budget : int
            Number of further tries per item, of compositions at random doses within the curves. An
            item is done when the goals are reached ("any" uses all tries). As many placebos are
            tried.
        records : str or PathLike, optional
            JSON Lines file that answers are written to as they come. If it exists, the answers that
            it holds are not asked again.
        answers : mapping of (int, str) to sequence of str, optional
            Answers that are known beforehand and not asked, by index of the item and round, as
            `import_predictions` has them.
        progress : bool or callable (items, description) -> iterable
            True shows bars: of the sounds that are read, then of each round.

        Returns
        -------
        InterrogationResult
            Curves, searches, flips and verdict.

        Raises
        ------
        ParameterError
            If a dose is out of bounds, an item is shorter than the analysed duration or not a
            sound, or answers have another number, form or label than they must.

        Examples
        --------
        >>> interrogation.run([Tempo(6), HighPass(20)], budget=32)  # doctest: +SKIP
        """
        confound = self._confound()
        plan = self.plan(interventions, doses, search=search, budget=budget, progress=progress)
        with AnswerLog(records, plan.depends_on, seed=self.settings.seed, known=answers) as log:
            asked = plan.asked(
                self.items, self._labeller, log, self.labels, self.settings, progress
            )
        others, kept = self, [*range(len(self.items.names))]
        if skipped := {self.items.names[item]: reason for item, reason in asked.lost.items()}:
            kept = [item for item in kept if item not in asked.lost]
            others, asked = self._keep(kept, skipped), asked.only(kept)
            confound = others._confound()
        result = analyse(
            Answers(
                grid=plan.grid,
                answers=asked.answers,
                labels=np.array(asked.labels),
                has_labels=self.labels is not None,
                scores=others._scores(asked.labels),
                indices=kept,
            ),
            asked.tries,
            names=others.items.names,
            groups=others.groups,
            confound=confound,
            columns=self._labeller.columns if log.by_scores else None,
            settings={
                **asdict(self.settings),
                **plan.depends_on,
                "metric": self.settings.metric_with(self.labels),
                "budget": budget,
                "search": sorted(plan.goals),
            },
        )
        return replace(result, skipped=skipped, render_pair=others.render_pair)

    def plan(
        self,
        interventions: Iterable[Intervention],
        doses: Mapping[str, Sequence[float]] | None = None,
        *,
        search: Iterable[str] = GOALS,
        budget: int = 0,
        progress: Progress = silent,
    ) -> Plan:
        """Survey the items and lay out what is asked; arguments as for `run`."""
        return make_plan(
            self.items,
            make_grid(interventions, doses, kind=self.items.kind),
            {
                "system": self.settings.system or self._labeller.name,
                "system_identity": self._labeller.identity,
                "labels": self.labels,
            },
            self.settings,
            goals=check_goals(search),
            budget=budget,
            progress=progress,
        )

    def render_pair(self, flip: Flip) -> tuple[Tensor, Tensor, float]:
        """Render the two sounds of a flip, to listen to.

        Parameters
        ----------
        flip : Flip
            One of `InterrogationResult.pairs`.

        Returns
        -------
        before, after : Tensor [sample]
            Sounds as the system was given them.
        sr : float
            Sampling rate, in Hz.

        Raises
        ------
        ParameterError
            If the items are features.

        Examples
        --------
        >>> before, after, sr = interrogation.render_pair(result.pairs[0])  # doctest: +SKIP
        """
        if not isinstance(self.items, Sounds):
            raise ParameterError("the items are features; there is no sound to render")
        off = flip.intervention.with_dose(0)
        before, after = self.items.rendered(
            flip.item, [(off, flip.seed), (flip.intervention, flip.seed)], flip.duration
        )
        return before, after, self.items.sr

    def readable(
        self, progress: Progress = silent
    ) -> tuple[Interrogation, dict[str, ParameterError]]:
        """Leave out the sound files that cannot be read; each file is read once for it.

        Parameters
        ----------
        progress : bool or callable (items, description) -> iterable
            True shows a bar over the sounds.

        Returns
        -------
        others : Interrogation
            Interrogation of the other items; its first run does not survey them again.
        skipped : dict of str to ParameterError
            Errors by name of the file.

        Raises
        ------
        ParameterError
            If a class loses all its items, or too few items or groups are left.

        Examples
        --------
        >>> others, skipped = interrogation.readable()  # doctest: +SKIP
        """
        if isinstance(self.items, Features):
            return self, {}
        items, kept, skipped = self.items.readable(progress)
        others = self._keep(kept, skipped) if skipped else copy(self)
        others.items = items  # with what was read
        return others, skipped

    def _keep(self, kept: Sequence[int], skipped: Mapping[str, ParameterError]) -> Interrogation:
        """Select some of the items, unless a class loses all its items or too few are left."""
        others = copy(self)
        others.items = self.items.keep(kept)
        others.labels, others.groups, others.factor = (
            None if column is None else [column[index] for index in kept]
            for column in (self.labels, self.groups, self.factor)
        )
        if self.confound is not None:
            others.confound = np.asarray(self.confound)[kept]
        name, first = next(iter(skipped.items()))
        context = f"{len(skipped)} of {len(self.items.names)} sound files are skipped"
        if lost := sorted(set(self.labels or ()) - set(others.labels or ())):
            raise first.within(f"{context}, and none of {lost[0]!r} is left; {name}")
        try:
            others._check()
        except ParameterError as err:
            raise first.within(f"{context}, and {err.message}; {name}") from err
        return others

    def regulated(
        self,
        train: Callable[[Indices], Any],
        *,
        n_regulated: int,
        iterations: int = 100,
        interventions: Sequence[Intervention] = (),
        progress: Progress = silent,
    ) -> RegulatedResult:
        """Run a regulated bootstrap: test on factors met, and on factors never met, in training.

        Parameters
        ----------
        train : callable
            Function of indices of items, with repeats, that returns a system as ``predict`` is.
        n_regulated : int
            Minimum number of items of unknown factor in each class.
        iterations : int
            Number of trainings; items are rendered for each, with ``settings.cache`` only once.
        interventions : sequence of Intervention
            Further conditions beside the unchanged items: how much less is the factor worth under
            each?
        progress : Progress
            True shows a bar over the iterations.

        Returns
        -------
        RegulatedResult
            Scores of each iteration, effect of the factor, interactions.

        Raises
        ------
        ParameterError
            If there are no labels or no factor, or a class cannot leave ``n_regulated`` items.

        References
        ----------
        Rodríguez-Algarra et al. (2019) :cite:`rodriguez2019`.

        Examples
        --------
        >>> interrogation.regulated(train, n_regulated=5).effect()  # doctest: +SKIP
        """
        if self.labels is None or self.factor is None:
            raise ParameterError("a regulated bootstrap needs labels, and groups or a factor")
        check_kind(interventions, self.items.kind)
        conditions = conditions_of(interventions, is_sound=isinstance(self.items, Sounds))
        duration = analysed_duration(
            self.items,
            self.items.survey(progress)[0],
            [change for _, change in conditions.values()],
            asked=self.settings.duration,
        )
        metric = self.settings.metric_with(self.labels)
        bootstrap = RegulatedBootstrap(self.labels, self.factor, n_regulated, metric)
        with RenderPool(self.items, duration, self.settings.workers) as pool:
            return bootstrap.run(
                retraining(train, self.items, self.labels, conditions, self.settings, pool),
                iterations=iterations,
                seed=self.settings.seed,
                conditions=tuple(conditions),
                progress=progress,
            )

    transfer = transfer

    def _check(self) -> None:
        """Raise ParameterError for too few classes, items or groups, or a setting out of range."""
        if self.labels is not None:
            check_classes(self.labels)
        self._scores(self.labels or ["any"] * len(self.items.names))

    def _scores(self, labels: Sequence[str]) -> GroupBootstrap:
        settings, metric = self.settings, self.settings.metric_with(self.labels)
        return GroupBootstrap(
            labels, self.groups, metric, n_draws=settings.n_draws, seed=settings.seed
        )

    def _confound(self) -> Interval | None:
        if self.confound is None or self.labels is None:
            return None
        n_neighbours, seed = self.settings.n_neighbours, self.settings.seed
        right = confound_only(
            self.confound, self.labels, self.groups, n_neighbours=n_neighbours, seed=seed
        )
        return self._scores(self.labels).estimate(right)

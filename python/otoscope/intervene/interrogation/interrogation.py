"""The interrogation of paper C: change what must not matter, and see whether the answers stay.

An answer's rightness is judged against the labels given; without labels, against the system's own
answer to the unchanged item. Every rendering of an item has the same analysed duration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from otoscope.errors import ParameterError, require_extra
from otoscope.intervene.base import Intervention, SoundIntervention, longest_duration
from otoscope.intervene.chain import Chain
from otoscope.intervene.interrogation._asking import Asking, families, grid_seed
from otoscope.intervene.interrogation._conclusion import conclude
from otoscope.intervene.interrogation._findings import Answers
from otoscope.intervene.interrogation._items import (
    Features,
    Progress,
    Sounds,
    items_of,
)
from otoscope.intervene.interrogation._questions import Table, ask, check_kind, plan
from otoscope.intervene.interrogation._search import GOALS, check_goals, neediest
from otoscope.intervene.interrogation._transcript import Transcript
from otoscope.intervene.interrogation.cache import RenderCache
from otoscope.intervene.interrogation.judge import Judge
from otoscope.intervene.interrogation.result import Flip, Interrogated
from otoscope.intervene.interrogation.settings import InterrogationSettings
from otoscope.intervene.statistics.bootstrap import (
    GroupBootstrap,
    Interval,
    check_classes,
)
from otoscope.intervene.statistics.confound import confound_only
from otoscope.intervene.statistics.regulated import Indices, Regulated, RegulatedBootstrap
from otoscope.intervene.transforms.level import Gain

__all__ = ["Interrogation"]

_DEFAULT = InterrogationSettings()


class Interrogation:
    """Ask a system the same questions about sounds that were changed in what must not matter.

    Parameters
    ----------
    predict : callable or ListeningModel
        Tensor [item, sample] (or [item, feature]) to labels, or to scores [item, class].
    audio : sequence of str, PathLike or (y, sr); or Tensor
        Files or sounds; Tensor [item, sample] with ``settings.sr``; `Features`, or a Tensor of
        them [item, dose, feature], for `FeatureDilation`.
    labels : sequence of str, optional
        Right answers; default: what the system says of the unchanged items.
    groups : sequence of str, optional
        What items share (artist): intervals are over groups.
    factor : sequence of str, optional
        What may be confounded with the class, for `regulated`; default: ``groups``.
    confound : array [item] or [item, d], optional
        Numbers that may give the class away (tempo): what do they score alone?
    settings : InterrogationSettings
        All else.

    Raises
    ------
    ParameterError
        If there is one class only, a class of one item, fewer than two groups, or lengths differ.

    References
    ----------
    Sturm, "The 'Horse' Inside: seeking causes behind the behaviours of music content analysis
    systems", Computers in Entertainment, 2016.

    Examples
    --------
    A system that goes by loudness, asked about gain:

    >>> import torch
    >>> from otoscope.intervene import Gain, Polarity
    >>> loud = [(torch.ones(80) * (0.6 if i % 2 else 0.4), 80) for i in range(40)]
    >>> predict = lambda sounds: ["b" if y.max() > 0.5 else "a" for y in sounds]
    >>> found = Interrogation(predict, loud, ["a", "b"] * 20).run([Gain(6), Polarity()])
    >>> found.verdict.kind, found.curves[0].worst.intervention
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
        settings: InterrogationSettings = _DEFAULT,
    ) -> None:
        self.settings = settings
        self.labels = None if labels is None else [str(label) for label in labels]
        self._judge = Judge(predict, classes=settings.classes, labels=self.labels)
        cache = None if settings.cache is None else RenderCache(Path(settings.cache))
        rate = settings.sr or self._judge.sample_rate
        self.items: Sounds | Features = items_of(audio, sr=rate, cache=cache)
        n_items = len(self.items.names)
        for called, one in (
            ("labels", labels),
            ("groups", groups),
            ("factor", factor),
            ("confound", confound),
        ):
            if one is not None and len(one) != n_items:
                raise ParameterError(f"{called} has {len(one)} entries for {n_items} items")
        self.groups = None if groups is None else [str(group) for group in groups]
        self.factor = self.groups if factor is None else [str(one) for one in factor]
        self.confound = confound
        if self.labels is not None:
            check_classes(self.labels)
        self._scores(self.labels or ["any"] * n_items)  # two groups, and settings in range

    def run(
        self,
        interventions: Iterable[Intervention],
        *,
        doses: Mapping[str, Sequence[float]] | None = None,
        search: Iterable[str] = GOALS,
        budget: int = 0,
        records: str | PathLike[str] | None = None,
        progress: Progress | None = None,
    ) -> Interrogated:
        """Ask all questions.

        Parameters
        ----------
        interventions : iterable of Intervention
            Each with the greatest dose of a family: ``Tempo(6)`` is -6 to +6 %.
        doses : mapping of str to sequence of float, optional
            By the intervention's name, instead of those that its dose suggests.
        search : iterable of {"inflate", "deflate", "any"}
            For a right answer, for a wrong one, for all labels that can be reached.
        budget : int
            Further tries an item, of several interventions in a row, each at a random dose within
            those of its curve; an item is done when the goals are reached ("any" uses all tries).
            As many placebos are tried.
        records : str or PathLike, optional
            JSON Lines file that answers are written to as they come; if it is there, what it
            holds is not asked again.
        progress : callable (items, description) -> iterator, optional
            Called for each round.

        Returns
        -------
        Interrogated
            Everything that was found.

        Raises
        ------
        ParameterError
            If a dose is out of bounds, an item shorter than the analysed duration or no sound,
            or the system gives answers of another number, form or label than it must.

        Examples
        --------
        >>> interrogation.run([Tempo(6), HighPass(20)], budget=32)  # doctest: +SKIP
        """
        goals = check_goals(search)
        if budget < 0:
            raise ParameterError(f"budget is {budget} tries, must be >= 0")
        if self.labels is not None:
            require_extra("statsmodels", "horse")  # rather now than when all is answered
        table = plan(interventions, doses, kind=self.items.kind)
        composed = families(table) if budget else []
        if budget and not composed:
            raise ParameterError(
                f"budget is {budget}: only sounds can be changed several times in a row, by "
                "interventions claimed irrelevant"
            )
        confound = self._confound()
        lengths, content = self.items.survey(progress)
        duration = self._duration(lengths, [one.intervention for one in table.questions], composed)
        asked = self._asked(table, duration, content)
        tried = None
        with Transcript(records, asked, seed=self.settings.seed) as transcript:
            asking = self._asking(transcript, duration, progress)
            said = asking.grid(table)
            before = said[:, 0].tolist()
            labels = before if self.labels is None else self.labels
            if budget:
                tried = asking.compositions(before, labels, composed, goals=goals, budget=budget)
        answers = Answers(
            table=table,
            said=said,
            labels=np.array(labels),
            has_labels=self.labels is not None,
            scores=self._scores(labels),
        )
        asked_for = {**asdict(self.settings), **asked, "budget": budget, "search": sorted(goals)}
        return conclude(
            answers,
            tried,
            names=self.items.names,
            groups=self.groups,
            confound=confound,
            settings=asked_for,
        )

    def hear(self, flip: Flip) -> tuple[Tensor, Tensor, float]:
        """Render a pair to listen to.

        Parameters
        ----------
        flip : Flip
            One of `Interrogated.pairs`.

        Returns
        -------
        before, after : Tensor [sample]
            As the system heard them.
        sr : float
            Samples a second.

        Raises
        ------
        ParameterError
            If the items are features.

        Examples
        --------
        >>> before, after, sr = interrogation.hear(found.pairs[0])  # doctest: +SKIP
        """
        if not isinstance(self.items, Sounds):
            raise ParameterError("these items are features; there is no sound to hear")
        off = flip.intervention.with_dose(0)
        before, after = self.items.rendered(
            flip.item, [(off, flip.seed), (flip.intervention, flip.seed)], flip.duration
        )
        return before, after, self.items.sr

    def regulated(
        self,
        train: Callable[[Indices], Any],
        *,
        n_regulated: int,
        iterations: int = 100,
        interventions: Sequence[Intervention] = (),
        progress: Progress | None = None,
    ) -> Regulated:
        """Train again and again, and test on factors that the system may know and cannot know.

        Parameters
        ----------
        train : callable
            From indices of items, some of them several times, to a system as ``predict`` is.
        n_regulated : int
            Items of unknown factor in each class, at least.
        iterations : int
            Trainings.
        interventions : sequence of Intervention
            Each is a condition beside "as it is": how much less is the factor worth under it?
        progress : callable (items, description) -> iterator, optional
            Goes over the iterations.

        Returns
        -------
        Regulated
            Scores of each iteration, effect of the factor, interactions.

        Raises
        ------
        ParameterError
            If there are no labels or no factor, or a class cannot leave ``n_regulated`` items.

        References
        ----------
        Rodriguez-Algarra, Sturm and Dixon, "Characterising confounding effects in music
        classification experiments through interventions", TISMIR 2(1), 2019.

        Notes
        -----
        Items are rendered anew for each training: with ``settings.cache`` only once.

        Examples
        --------
        >>> interrogation.regulated(train, n_regulated=5).effect()  # doctest: +SKIP
        """
        if self.labels is None or self.factor is None:
            raise ParameterError("a regulated bootstrap needs labels, and groups or a factor")
        labels = self.labels
        if not interventions and isinstance(self.items, Features):
            raise ParameterError("name an intervention: it says which features are unchanged")
        off = interventions[0].with_dose(0) if interventions else Gain(0)
        changes = {str(one): (curve, one) for curve, one in enumerate(interventions)}
        conditions = {"as it is": (0, off), **changes}
        if len(conditions) <= len(interventions):
            raise ParameterError(
                f"interventions are {', '.join(map(str, interventions))}; name each once"
            )
        check_kind(interventions, self.items.kind)
        duration = self._duration(self.items.survey(progress)[0], [off, *interventions])

        def trained(indices: Indices) -> Callable[[Indices, str], list[str]]:
            """Ask the system that is made of these items."""
            judge = Judge(train(indices), classes=self.settings.classes, labels=labels)

            def answers(tested: Indices, condition: str) -> list[str]:
                """Ask about these items under a condition."""
                curve, intervention = conditions[condition]
                asked = ask(
                    self.items,
                    judge,
                    lambda item: [(intervention, grid_seed(self.settings.seed, item, curve))],
                    tested.tolist(),
                    duration=duration,
                    workers=self.settings.workers,
                )
                return [label for _, (label,) in asked]

            return answers

        bootstrap = RegulatedBootstrap(labels, self.factor, n_regulated, self.settings.figure)
        return bootstrap.run(
            trained,
            iterations=iterations,
            seed=self.settings.seed,
            conditions=tuple(conditions),
            progress=progress,
        )

    def _duration(
        self,
        lengths: Sequence[int],
        interventions: Sequence[Intervention],
        composed: Sequence[Sequence[SoundIntervention]] = (),
    ) -> float | None:
        """Analysed seconds: as asked for, or the longest that the shortest sound gives."""
        if isinstance(self.items, Features):
            return None
        shortest, sr = min(lengths), self.items.sr
        sounds = [i for i in interventions if isinstance(i, SoundIntervention)]
        if row := neediest(composed, shortest, sr):
            sounds.append(Chain(tuple(row)))
        longest = longest_duration(sounds, shortest, sr)
        wanted = longest if self.settings.duration is None else self.settings.duration
        told = f"{self.items.names[lengths.index(shortest)]} has {shortest / sr:.6g} s"
        if round(longest * sr) < 1:
            raise ParameterError(
                f"{told}, of which these changes leave nothing; ask for less, or leave out what is "
                "shorter"
            )
        if not 1 <= round(wanted * sr) <= round(longest * sr):
            raise ParameterError(
                f"{told}, duration is {wanted:.6g} s: with these changes analyse at most "
                f"{longest:.6g} s, or leave out what is shorter"
            )
        return wanted

    def _asked(self, table: Table, duration: float | None, content: str) -> dict[str, Any]:
        """Everything that the answers depend on; of the system, its name."""
        return {
            "system": self.settings.system or self._judge.name,
            "questions": [question.intervention.settings for question in table.questions],
            "irrelevant": [intervention.irrelevant for intervention in table.interventions],
            "items": self.items.names,
            "content": content,
            "labels": self.labels,
            "duration": duration,
            "sr": getattr(self.items, "sr", None),
            "seed": self.settings.seed,
        }

    def _asking(
        self, transcript: Transcript, duration: float | None, progress: Progress | None
    ) -> Asking:
        return Asking(
            self.items,
            self._judge,
            transcript,
            duration,
            seed=self.settings.seed,
            workers=self.settings.workers,
            max_batch=self.settings.max_batch,
            progress=progress,
        )

    def _scores(self, labels: Sequence[str]) -> GroupBootstrap:
        settings = self.settings
        return GroupBootstrap(
            labels, self.groups, settings.figure, n_draws=settings.n_draws, seed=settings.seed
        )

    def _confound(self) -> Interval | None:
        if self.confound is None or self.labels is None:
            return None
        settings = self.settings
        right = confound_only(
            self.confound,
            self.labels,
            self.groups,
            n_neighbours=settings.n_neighbours,
            seed=settings.seed,
        )
        return self._scores(self.labels).estimate(right)

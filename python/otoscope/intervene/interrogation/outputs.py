"""Interrogation of systems whose answers are pitches, beats, tempi, keys or anything else.

Each answer is compared with the right one by a function that gives a score in [0, 1]. Under a
change the right answer moves as the intervention declares: see `otoscope.intervene.answers`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from os import PathLike
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from otoscope.errors import ParameterError, require_extra
from otoscope.intervene.answers import (
    ANSWERS,
    answer_from_text,
    answer_to_text,
    as_answer,
    checked_answer,
    common_duration,
    cut_answer,
    described_answer,
    key_name,
    moved_answer,
)
from otoscope.intervene.interrogation.conditions import ConditionGrid, analysed_duration, make_grid
from otoscope.intervene.interrogation.items import Sounds, as_items
from otoscope.intervene.interrogation.result import InterrogationResult, Item
from otoscope.intervene.interrogation.session import AnswerLog, InterrogationSettings, curve_seed
from otoscope.intervene.interrogation.verdict import DoseCurve, DosePoint, Evidence, decide
from otoscope.intervene.sound import SoundIntervention
from otoscope.intervene.statistics.bootstrap import GroupBootstrap
from otoscope.intervene.statistics.power import LEVEL
from otoscope.intervene.statistics.significance import holm
from otoscope.progress import Progress, silent, tracked
from otoscope.protocols import (
    call_guarded,
    device_of,
    evaluating,
    model_name,
    weights_digest,
)

__all__ = ["SCORES", "ScoreFunction", "interrogate_outputs"]

ScoreFunction: TypeAlias = Callable[[Any, Any], float]
"""Function of the right answer and the given one: a score in [0, 1]."""

SCORES = ("equal", "tempo", "key", "beats", "pitch")
"""Scores by name: "equal" (1 if equal), "tempo" (1 within 4 %), and mir_eval's weighted score of
keys, F-measure of beats within 70 ms, and overall accuracy of pitch contours."""


_ROUND = "outputs"


def interrogate_outputs(  # noqa: PLR0913 - what a call of Interrogation and its run take
    predict: Callable[[torch.Tensor], Sequence[Any]],
    audio: Any,
    references: Sequence[Any] | None,
    interventions: Iterable[SoundIntervention],
    *,
    score: str | ScoreFunction,
    groups: Sequence[str] | None = None,
    doses: Mapping[str, Sequence[float]] | None = None,
    settings: InterrogationSettings | None = None,
    records: str | PathLike[str] | None = None,
    progress: Progress = silent,
) -> InterrogationResult:
    """Test whether a system's outputs move as right ones do, under changes of the sound.

    Parameters
    ----------
    predict : callable
        System: Tensor [item, sample] to one output per item: a text, a number, an array of times
        [event], a pair of arrays (times [frame], values [frame]), or, with a score of your own,
        a mapping of names to numbers or an array of two axes or more.
    audio : sequence of str, PathLike or (y, sr); mapping of str to (y, sr); or Tensor
        As for `Interrogation`.
    references : sequence, optional
        Right outputs to the unchanged items; None: the system's own outputs to these.
    interventions : iterable of SoundIntervention
        Interventions, each with its greatest dose, and with ``moves``.
    score : {"equal", "tempo", "key", "beats", "pitch"} or callable
        Score of an output; "key", "beats" and "pitch" are mir_eval's (extra ``mir``).
    groups : sequence of str, optional
        Group of each item: intervals are over groups.
    doses : mapping of str to sequence of float, optional
        Doses by name of the intervention, as for `Interrogation.run`.
    settings : InterrogationSettings, optional
        Rate, duration, largest change, least score, draws, seed and cache. Everything is rendered
        in this process.
    records : str or PathLike, optional
        JSON Lines file of the outputs of each item; a repeated run continues there, also with
        another score, other references or other moves.
    progress : bool or callable (items, description) -> iterable
        True shows bars: of the sounds that are read, then of the items.

    Returns
    -------
    InterrogationResult
        Curves and verdict of the mean score; there are no searches, flips or pairs.

    Raises
    ------
    ParameterError
        If an output is not of the form that the score takes, a score is not in [0, 1], lengths
        differ, the records are those of another run, or anything that `Interrogation` refuses.
    MissingExtra
        If mir_eval is needed and not installed.

    References
    ----------
    Raffel et al. (2014) :cite:`raffel2014`.

    Examples
    --------
    A pitch tracker that is right under a shift of pitch:

    >>> from otoscope.intervene import Pitch
    >>> result = interrogate_outputs(
    ...     tracker, sounds, None, [Pitch(100, moves="transposed")], score="pitch"
    ... )  # doctest: +SKIP
    """
    settings = settings or InterrogationSettings()
    kind = score if isinstance(score, str) and score in ANSWERS else None
    judge = _Judge(kind, score_function(score) if isinstance(score, str) else score)
    rate = settings.sr or getattr(predict, "sample_rate", None)
    items = as_items(audio, sr=rate, cache=settings.render_cache())
    if not isinstance(items, Sounds):
        raise ParameterError("the items are features; outputs are compared for sounds only")
    if settings.min_score > 0 and references is None:
        raise ParameterError("min_score needs references: without, every unchanged output is right")
    columns = {"references": references, "groups": groups}
    for name, column in columns.items():
        if column is not None and len(column) != len(items.names):
            raise ParameterError(f"{name} has {len(column)} entries for {len(items.names)} items")
    sounds: Any = SoundIntervention  # an abstract class
    grid = make_grid(interventions, doses, kind=sounds)
    changes = [condition.intervention for condition in grid.conditions]
    right = None if references is None else judge.checked(references, items.names, "reference")
    lengths, content = items.survey(progress)
    duration = analysed_duration(items, lengths, changes, asked=settings.duration)
    duration = float(duration or 0.0)  # of features it would be None
    depends_on = {
        "system": settings.system or model_name(predict),
        "system_code": settings.system_code,
        "system_identity": {"weights": weights_digest(predict)},
        "conditions": [change.settings for change in changes],
        "items": items.names,
        "content": content,
        "duration": duration,
        "sr": items.sr,
        "seed": settings.seed,
    }
    rows, before = [], list[Any]()
    with AnswerLog(records, depends_on, seed=settings.seed) as log:
        for index in tracked(progress, range(len(items.names)), "items"):
            outputs = _outputs(predict, items, index, grid, duration, settings, log)
            outputs = judge.checked(outputs, [items.names[index]] * len(outputs), "output")
            before.append(outputs[0])
            reference = outputs[0] if right is None else right[index]
            rows.append(judge.scores(outputs, reference, grid, duration, items.names[index]))
    scores = np.array(rows)
    bootstrap = GroupBootstrap(
        ["any"] * len(scores), groups, "accuracy", n_draws=settings.n_draws, seed=settings.seed
    )
    evidence = Evidence(
        baseline=bootstrap.estimate(scores[:, 0]),
        chance=None,
        confound=None,
        curves=_curves(scores, grid, bootstrap, has_labels=references is not None),
        searches=(),
        n_groups=bootstrap.n_groups,
        max_change=settings.max_change,
        n_items=len(scores),
    )
    return InterrogationResult(
        metric="mean_score",
        classes=(),
        has_labels=references is not None,
        items=tuple(
            Item(name, "any", group, described_answer(output))
            for name, group, output in zip(items.names, groups or items.names, before, strict=True)
        ),
        baseline=evidence.baseline,
        chance=None,
        confound=None,
        curves=evidence.curves,
        searches=(),
        flips=(),
        pairs=(),
        verdict=decide(evidence),
        max_change=settings.max_change,
        duration=duration,
        min_score=settings.min_score,
        settings={
            **asdict(settings),
            **depends_on,
            "score": score if isinstance(score, str) else getattr(score, "__name__", "function"),
        },
    )


def score_function(name: str) -> ScoreFunction:
    """Return the score of a name in `SCORES`; two answers without beats or frames are equal."""
    if name not in SCORES:
        raise ParameterError(
            f"score is {name!r}, must be one of {', '.join(SCORES)}, or a function"
        )
    if name == "equal":
        return lambda right, given: float(np.array_equal(right, given))
    if name == "tempo":
        return lambda right, given: float(abs(float(given) - right) <= 0.04 * right)
    if name == "key":
        key: Any = require_extra("mir_eval.key", "mir")
        return lambda right, given: float(key.weighted_score(key_name(right), key_name(given)))
    task: Any = require_extra("mir_eval.beat" if name == "beats" else "mir_eval.melody", "mir")

    def score(right: Any, given: Any) -> float:
        sizes = [len(part) if name == "beats" else len(part[0]) for part in (right, given)]
        if not all(sizes):
            return float(sizes[0] == sizes[1])
        if name == "beats":
            return float(task.f_measure(np.sort(right), np.sort(given)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of contours without any pitch, which have a score
            return float(task.evaluate(*right, *given)["Overall Accuracy"])

    return score


@dataclass(frozen=True)
class _Judge:
    """Scores of outputs, of a kind whose form is known, or of any form (None)."""

    kind: Any
    compare: ScoreFunction

    def checked(self, answers: Sequence[Any], names: Sequence[str], what: str) -> list[Any]:
        """Return answers in the form that the score takes."""
        made = []
        for name, answer in zip(names, answers, strict=True):
            plain = as_answer(answer)
            try:
                made.append(plain if self.kind is None else checked_answer(self.kind, plain))
            except ParameterError as err:
                raise err.within(f"{name}: the {what} cannot be scored") from err
        return made

    def scores(
        self, outputs: Sequence[Any], right: Any, grid: ConditionGrid, duration: float, name: str
    ) -> list[float]:
        """Compare each output with the right one, as the condition moves it."""
        scores = []
        for condition, output in zip(grid.conditions, outputs, strict=True):
            change = condition.intervention
            end = common_duration(change, duration)
            try:
                moved = cut_answer(moved_answer(right, change), end)
            except ParameterError as err:
                raise err.within(name) from err
            value = float(self.compare(moved, cut_answer(output, end)))
            if not 0 <= value <= 1:
                raise ParameterError(
                    f"{name}: the score is {value:g} at {change}, must be in [0, 1]"
                )
            scores.append(value)
        return scores


def _outputs(
    predict: Callable[[torch.Tensor], Sequence[Any]],
    items: Sounds,
    index: int,
    grid: ConditionGrid,
    duration: float,
    settings: InterrogationSettings,
    log: AnswerLog,
) -> list[Any]:
    """Return the outputs to one item under all conditions, from the log or the system."""
    if (logged := log.get(index, _ROUND)) is not None:
        return list(map(answer_from_text, logged))
    seeded = [
        (condition.intervention, curve_seed(settings.seed, index, condition.curve))
        for condition in grid.conditions
    ]
    rendered = items.rendered(index, seeded, duration).to(device_of(predict))
    outputs = list[Any]()
    with torch.no_grad(), evaluating(predict):
        for batch in rendered.split(settings.max_batch):
            outputs += map(as_answer, call_guarded(predict, batch, name="predict"))
    if len(outputs) != len(rendered):
        raise ParameterError(
            f"{items.names[index]}: predict returned {len(outputs)} outputs to {len(rendered)} "
            "sounds"
        )
    if log.is_kept:
        log.put(index, _ROUND, list(map(answer_to_text, outputs)))
    return outputs


def _curves(
    scores: NDArray[np.float64], grid: ConditionGrid, bootstrap: GroupBootstrap, *, has_labels: bool
) -> tuple[DoseCurve, ...]:
    """Compare mean scores with those of the unchanged items, and of placebos."""
    made = []
    for curve, intervention in enumerate(grid.interventions):
        columns = grid.columns(curve)
        placebos = grid.columns(curve, placebo=True)
        by_dose = {grid.conditions[column].dose: column for column in placebos}
        made.append(
            DoseCurve(
                name=intervention.name,
                unit=intervention.unit,
                label_preserving=intervention.label_preserving,
                points=tuple(
                    _point(
                        scores, grid, column, by_dose.get(grid.conditions[column].dose), bootstrap
                    )
                    for column in columns
                ),
                placebo=tuple(_point(scores, grid, column, None, bootstrap) for column in placebos),
                q=None,
            )
        )
    return _corrected(made) if has_labels else tuple(map(_untested, made))


def _point(
    scores: NDArray[np.float64],
    grid: ConditionGrid,
    column: int,
    placebo: int | None,
    bootstrap: GroupBootstrap,
) -> DosePoint:
    before, after = scores[:, 0], scores[:, column]
    control = before if placebo is None else scores[:, placebo]
    condition = grid.conditions[column]
    return DosePoint(
        intervention=str(condition.intervention),
        dose=condition.dose,
        score=bootstrap.estimate(after),
        change=bootstrap.difference(before, after),
        gained=int((after > before).sum()),
        lost=int((after < before).sum()),
        moved=bootstrap.mean(after != before, bounds=(0, 1)),
        p=bootstrap.sign_flips(before, after),
        p_holm=None,
        against_placebo=None if placebo is None else bootstrap.difference(control, after),
        p_placebo=None if placebo is None else bootstrap.sign_flips(control, after),
        bound=bootstrap.difference(control, after, level=1 - 2 * LEVEL),
    )


def _corrected(curves: Sequence[DoseCurve]) -> tuple[DoseCurve, ...]:
    """Apply Holm's correction over all doses and placebos, and over all pairs of these."""
    points = [point for curve in curves for point in (*curve.points, *curve.placebo)]
    p_holm = holm([point.p for point in points if point.p is not None])
    of_pairs = iter(holm([point.p_placebo for point in points if point.p_placebo is not None]))
    corrected = iter(
        replace(
            point,
            p_holm=p,
            p_placebo_holm=None if point.p_placebo is None else next(of_pairs),
        )
        for point, p in zip(points, p_holm, strict=True)
    )
    return tuple(
        replace(
            curve,
            points=tuple(next(corrected) for _ in curve.points),
            placebo=tuple(next(corrected) for _ in curve.placebo),
        )
        for curve in curves
    )


def _untested(curve: DoseCurve) -> DoseCurve:
    """Remove p-values: the unchanged score is 1 by definition, and any change is a fall."""
    points, placebos = (
        tuple(replace(point, p=None, p_placebo=None) for point in of_curve)
        for of_curve in (curve.points, curve.placebo)
    )
    return replace(curve, points=points, placebo=placebos)

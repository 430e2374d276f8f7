"""What is asked of every item, and how: rendered by several processes, answered by one system."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor

from otoscope.errors import Advice, Argument, ParameterError
from otoscope.intervene.base import Intervention
from otoscope.intervene.interrogation._items import Features, Sounds
from otoscope.intervene.interrogation.judge import Judge

__all__ = ["Asked", "Question", "Table", "ask", "check_kind", "plan"]

Asked: TypeAlias = "list[tuple[Intervention, int]]"
"""Interventions to render, each with its seed."""


@dataclass(frozen=True)
class Question:
    """One rendering that every item gets.

    Parameters
    ----------
    curve : int
        Index of the intervention that was asked for.
    dose : float
        In its unit.
    intervention : Intervention
        At that dose, or there and back.
    is_placebo : bool
        Whether it is there and back.
    """

    curve: int
    dose: float
    intervention: Intervention
    is_placebo: bool = False


@dataclass(frozen=True)
class Table:
    """Questions of a grid; the first is the item as it is.

    Parameters
    ----------
    interventions : tuple of Intervention
        One a curve.
    questions : tuple of Question
        The columns.
    """

    interventions: tuple[Intervention, ...]
    questions: tuple[Question, ...]

    def columns(self, curve: int, *, placebo: bool = False) -> list[int]:
        """The columns of a curve's doses, or of its placebos."""
        return [
            column
            for column, question in enumerate(self.questions)
            if column and question.curve == curve and question.is_placebo == placebo
        ]


def plan(
    interventions: Iterable[Intervention],
    doses: Mapping[str, Sequence[float]] | None = None,
    *,
    kind: type[Intervention],
) -> Table:
    """Lay out a grid: the item as it is, each dose of each intervention, and its way back.

    Parameters
    ----------
    interventions : iterable of Intervention
        Each of a name of its own.
    doses : mapping of str to sequence of float, optional
        By the intervention's name; by default what its own dose suggests.
    kind : type
        What the items can be rendered under.

    Returns
    -------
    Table
        Its questions.

    Raises
    ------
    ParameterError
        If there is no intervention, a name stands twice or is unknown, or a dose is out of bounds.

    Examples
    --------
    >>> from otoscope.intervene import Gain, SoundIntervention
    >>> table = plan([Gain(6)], {"gain": [-6, 6]}, kind=SoundIntervention)
    >>> [str(question.intervention) for question in table.questions]
    ['gain 0 dB', 'gain -6 dB', 'gain +6 dB']
    """
    if isinstance(interventions, Intervention):
        raise ParameterError(f"interventions is {interventions}, must be a list: [Tempo(6)]")
    interventions = tuple(interventions)
    if not interventions:
        raise ParameterError("interventions is empty, name one or more: [Tempo(6), HighPass(20)]")
    check_kind(interventions, kind)
    names = [intervention.name for intervention in interventions]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ParameterError(
            f"{sorted(twice)[0]!r} is named twice",
            advice=Advice("give its doses with ", Argument("doses")),
        )
    doses = doses or {}
    if unknown := sorted(set(doses) - set(names)):
        raise ParameterError(f"doses names {unknown[0]!r}; there are {', '.join(names)}")
    questions = [Question(0, 0.0, interventions[0].with_dose(0))]
    for curve, (name, intervention) in enumerate(zip(names, interventions, strict=True)):
        wanted = sorted({float(dose) for dose in doses.get(name, intervention.doses)} - {0.0})
        if not wanted:
            raise ParameterError(f"{name}: every dose is 0, which changes nothing")
        changed = [intervention.with_dose(dose) for dose in wanted]
        questions += [Question(curve, dose, one) for dose, one in zip(wanted, changed, strict=True)]
        questions += [
            Question(curve, dose, back, is_placebo=True)
            for dose, one in zip(wanted, changed, strict=True)
            if (back := one.placebo()) is not None and back != one
        ]
    return Table(interventions, tuple(questions))


def check_kind(interventions: Sequence[Intervention], kind: type[Intervention]) -> None:
    """Refuse interventions that items cannot be rendered under."""
    if wrong := [i for i in interventions if not isinstance(i, kind)]:
        raise ParameterError(f"{wrong[0]!r} does not act on these items; they take {kind.__name__}")


def ask(
    items: Sounds | Features,
    judge: Judge,
    asked: Callable[[int], Asked],
    indices: Iterable[int],
    *,
    duration: float | None,
    workers: int = 1,
    max_batch: int = 64,
) -> Iterator[tuple[int, list[str]]]:
    """Render items and ask for their labels, a few items in memory at a time.

    Parameters
    ----------
    items : Sounds or Features
        What is rendered.
    judge : Judge
        The system.
    asked : callable int -> list of (Intervention, int)
        What an item is rendered under.
    indices : iterable of int
        The items, in order.
    duration : float or None
        Seconds of each rendering.
    workers : int
        Processes that render; the system stays in this one.
    max_batch : int
        Renderings that the system is given at once.

    Yields
    ------
    tuple of int and list of str
        An item, and an answer a rendering.

    Examples
    --------
    >>> import torch
    >>> from otoscope.intervene import Gain
    >>> from otoscope.intervene.interrogation._items import Sounds
    >>> judge = Judge(lambda sounds: ["loud" if y.max() > 0.5 else "soft" for y in sounds])
    >>> sounds = Sounds([(torch.ones(8), 4)], sr=4)
    >>> list(ask(sounds, judge, lambda i: [(Gain(0), 0), (Gain(-20), 0)], [0], duration=1.0))
    [(0, ['loud', 'soft'])]
    """
    from joblib import Parallel, delayed

    left = list(indices)
    ahead = 4 * workers  # joblib goes on rendering while the system answers, without a bound
    with Parallel(n_jobs=workers, return_as="generator", batch_size=1) as parallel:
        for part in (left[at : at + ahead] for at in range(0, len(left), ahead)):
            rendered = parallel(
                delayed(items.only(index).rendered)(0, asked(index), duration) for index in part
            )
            with _ending_quietly(rendered):
                for index, made in zip(part, rendered, strict=True):
                    yield index, _labels(judge, made, max_batch, items.names[index])


def _labels(judge: Judge, made: Tensor, max_batch: int, name: str) -> list[str]:
    try:
        return [label for batch in made.split(max_batch) for label in judge(batch)]
    except ParameterError as err:
        raise err.within(name) from err


@contextmanager
def _ending_quietly(rendered: Generator[Tensor, None, None]) -> Iterator[None]:
    """Where an error or the user stops it, joblib would warn of what is rendered in vain."""
    try:
        yield
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            rendered.close()

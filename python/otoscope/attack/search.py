"""The search for an adversary: ask, note the best, step; each sound stops by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from otoscope.attack.objective import Objective
from otoscope.signal.masking import MaskingThreshold

__all__ = ["Answer", "Question", "Trial", "search"]


@dataclass(frozen=True, eq=False)
class Question:
    """Sounds, and what is wanted of each.

    Parameters
    ----------
    x : Tensor [batch, sample]
        The originals.
    objective : Objective
        What the model is to say.
    generators : tuple of torch.Generator
        One a sound.
    threshold : MaskingThreshold, optional
        What each original masks.

    Examples
    --------
    >>> aim = Objective(torch.tensor([0, 1]), targeted=True)
    >>> Question(torch.ones(2, 3), aim, (torch.Generator(),) * 2)[torch.tensor([1])].x.shape
    torch.Size([1, 3])
    """

    x: Tensor
    objective: Objective
    generators: tuple[torch.Generator, ...]
    threshold: MaskingThreshold | None = None

    def __getitem__(self, examples: Tensor) -> Question:
        return Question(
            self.x[examples],
            self.objective[examples],
            tuple(self.generators[i] for i in examples.tolist()),
            None if self.threshold is None else self.threshold[examples],
        )


@dataclass(frozen=True, eq=False)
class Answer:
    """What the model says of candidates, and where to go from there.

    Parameters
    ----------
    confidence : Tensor [batch]
        In the aim.
    success : Tensor [batch], bool
        Whether the model hears what it should.
    excess : Tensor [batch]
        dB that are heard, on average; 0 where masking does not matter.
    gradient : Tensor [batch, ...]
        Of the loss.

    Examples
    --------
    >>> one = torch.ones(1)
    >>> Answer(one, one > 0, 0 * one, one).score
    tensor([2.])
    """

    confidence: Tensor
    success: Tensor
    excess: Tensor
    gradient: Tensor

    @property
    def score(self) -> Tensor:
        """What the best candidate has most of: success, then quiet; without it, confidence."""
        return torch.where(self.success, 1 + 1 / (1 + self.excess), self.confidence)

    @property
    def is_done(self) -> Tensor:
        """Nothing to improve: Tensor [batch], bool."""
        return self.success & (self.excess == 0)


Ask: TypeAlias = Callable[[Question, Tensor], Answer]
Step: TypeAlias = Callable[[Tensor, Tensor, Tensor, Tensor, int], tuple[Tensor, Tensor]]
"""(x, sound, gradient, memory, iteration) -> (sound, memory), all Tensor [batch, sample]."""


@dataclass(eq=False)
class Trial:
    """The best candidates of a search so far.

    Parameters
    ----------
    sound : Tensor [batch, sample]
        The best ones.
    score, confidence : Tensor [batch]
        Of these.
    success : Tensor [batch], bool
        Of these.
    iterations : Tensor [batch], int64
        Steps taken.
    history : Tensor [batch, iteration]
        Confidence of the candidate of each step, NaN where there was none.
    success_on_spectra, magnitude_snr_db : Tensor [batch], optional
        What the published method counts; see `AttackResult`.
    spectrum : Tensor [batch, frame, bin], optional
        What it counts them on.

    Examples
    --------
    >>> Trial.at(torch.zeros(2, 10), steps=5).history.shape
    torch.Size([2, 6])
    """

    sound: Tensor
    score: Tensor
    confidence: Tensor
    success: Tensor
    iterations: Tensor
    history: Tensor
    success_on_spectra: Tensor | None = None
    magnitude_snr_db: Tensor | None = None
    spectrum: Tensor | None = None

    @classmethod
    def at(cls, start: Tensor, *, steps: int) -> Trial:
        """Begin at points that the model has not been asked about.

        Parameters
        ----------
        start : Tensor [batch, sample]
            Where each search begins.
        steps : int
            At most.

        Returns
        -------
        Trial
            Without any score.

        Examples
        --------
        >>> Trial.at(torch.zeros(2, 10), steps=5).sound.shape
        torch.Size([2, 10])
        """
        nothing = torch.full_like(start[:, 0], -torch.inf)
        return cls(
            start.clone(),
            nothing,
            nothing.clone(),
            torch.zeros_like(nothing, dtype=torch.bool),
            torch.zeros_like(nothing, dtype=torch.int64),
            nothing[:, None].expand(-1, steps + 1).clone() * torch.nan,
        )

    def note(self, examples: Tensor, iteration: int, sound: Tensor, answer: Answer) -> None:
        """Keep the candidates of a step that are better than what was.

        Parameters
        ----------
        examples : Tensor [example]
            Which sounds were asked about.
        iteration : int
            Number of the step.
        sound : Tensor [example, sample]
            The candidates.
        answer : Answer
            What the model said of them.

        Examples
        --------
        >>> trial.note(going, 0, sound, answer)  # doctest: +SKIP
        """
        self.history[examples, iteration] = answer.confidence
        self.iterations[examples] = iteration
        better = answer.score > self.score[examples]
        at = examples[better]
        self.sound[at] = sound[better]
        self.score[at] = answer.score[better]
        self.confidence[at] = answer.confidence[better]
        self.success[at] = answer.success[better]

    def take(self, examples: Tensor, other: Trial) -> None:
        """Keep what another search of some of the sounds did better.

        Parameters
        ----------
        examples : Tensor [example]
            Which sounds it was of.
        other : Trial
            With as many sounds.

        Examples
        --------
        >>> trial.take(left, again)  # doctest: +SKIP
        """
        better = other.score > self.score[examples]
        at = examples[better]
        for name in ("sound", "score", "confidence", "success", "iterations", "history"):
            getattr(self, name)[at] = getattr(other, name)[better]


def search(question: Question, start: Tensor, *, ask: Ask, step: Step, steps: int) -> Trial:
    """Search from given starts until each sound succeeds or the steps are used up.

    Parameters
    ----------
    question : Question
        The originals and what is wanted.
    start : Tensor [batch, sample]
        Where to begin, within the bound.
    ask : callable
        (question, sound) -> Answer.
    step : callable
        (x, sound, gradient, memory, iteration) -> (sound, memory), within the bound.
    steps : int
        At most.

    Returns
    -------
    Trial
        The best candidate of each sound.

    Examples
    --------
    >>> attack.run(x)  # doctest: +SKIP
    """
    sound, memory = start.clone(), torch.zeros_like(start)
    trial = Trial.at(start, steps=steps)
    going = torch.arange(len(start), device=start.device)
    for iteration in range(steps + 1):
        answer = ask(question[going], sound[going])
        trial.note(going, iteration, sound[going], answer)
        gradient = answer.gradient[~answer.is_done]
        going = going[~answer.is_done]
        if iteration == steps or len(going) == 0:
            break
        sound[going], memory[going] = step(
            question.x[going], sound[going], gradient, memory[going], iteration
        )
    return trial

"""Worst case of several attacks: each sound counts once, and only survivors are attacked again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from otoscope.attack.base import Attack
from otoscope.attack.classifier import predict
from otoscope.attack.problem import Problem, pose
from otoscope.attack.result import AttackResult
from otoscope.attack.search import SearchState, summarise
from otoscope.attack.strong.apgd import APGD
from otoscope.attack.strong.curve import wilson
from otoscope.attack.strong.fab import FABT
from otoscope.attack.strong.least_norm import Solver
from otoscope.attack.strong.square import Square
from otoscope.errors import ParameterError
from otoscope.metrics import Interval
from otoscope.progress import Progress, silent
from otoscope.protocols import Model, Sound, differentiating, evaluating

__all__ = ["Ensemble", "EnsembleResult", "strong"]


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class EnsembleResult(AttackResult):
    """Adversaries of an ensemble.

    Parameters
    ----------
    is_counted : Tensor [batch], bool
        True for sounds without the aimed prediction at first: without a goal, those that the model
        classified rightly.
    fooled_by : tuple of str
        Name of the attack that fooled the model with each sound; empty where none did, or the sound
        is not counted.

    Examples
    --------
    >>> import torch
    >>> from otoscope.attack.strong import APGD, strong
    >>> result = strong(APGD(torch.nn.Linear(100, 2), steps=10)).run(torch.rand(3, 100))
    >>> 0 <= result.robust.value <= 1
    True
    """

    is_counted: Tensor
    fooled_by: tuple[str, ...]

    @property
    def robust(self) -> Interval:
        """Fraction of the counted sounds that no attack fooled, with Wilson's interval at 95 %.

        Raises
        ------
        ParameterError
            If no sound is counted.
        """
        n = int(self.is_counted.sum())
        if n == 0:
            raise ParameterError(
                f"none of {len(self.sound)} sounds was classified rightly: there is no robustness"
            )
        return wilson(n - int((self.success & self.is_counted).sum()), n)


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Run attacks one after another, each on the sounds that the others did not fool.

    Parameters
    ----------
    attacks : dict of str to attack
        Attacks on one model by name, cheap ones first.

    Raises
    ------
    ParameterError
        If there is no attack, or they attack different models or aim at different labels.

    References
    ----------
    Croce and Hein (2020) :cite:`croce2020`, section 5.

    Examples
    --------
    >>> model = torch.nn.Linear(100, 2)
    >>> ensemble = Ensemble({"ce": APGD(model, loss="ce"), "square": Square(model, steps=50)})
    >>> len(ensemble.run(torch.rand(3, 100)).fooled_by)
    3
    """

    attacks: Mapping[str, Solver]

    def __post_init__(self) -> None:
        if not self.attacks:
            raise ParameterError("attacks is empty, must name at least one attack")
        first, *others = self.attacks.values()
        if any(attack.model is not first.model for attack in others):
            raise ParameterError("the attacks have different models, must be of one")
        if any(attack.goal is not first.goal for attack in others):
            raise ParameterError("the attacks have different goals, must have one: use targeted()")

    def targeted(self, label: int | str | Tensor) -> Ensemble:
        """Return the same ensemble with a target; see `otoscope.attack.base.Attack.targeted`."""
        goal = next(iter(self.attacks.values())).targeted(label).goal
        return Ensemble({name: replace(a, goal=goal) for name, a in self.attacks.items()})

    def run(
        self,
        x: Tensor | Sound,
        y: int | Tensor | None = None,
        *,
        first_example: int = 0,
        progress: Progress = silent,
    ) -> EnsembleResult:
        """Make adversaries; see `otoscope.attack.base.Attack.run`."""
        attacks = self.attacks
        n_steps = max(attack.steps for attack in attacks.values())
        first = next(iter(attacks.values()))
        mode = differentiating if any(a.needs_gradient for a in attacks.values()) else evaluating
        with mode(first.model):
            problem, state = _solved(first, x, y, first_example, n_steps, progress)
            is_counted = ~_has_aim(first.model, problem)
            fooled_by = _named(
                [""] * len(problem.x), state.success & is_counted, next(iter(attacks))
            )
            for name, attack in list(attacks.items())[1:]:
                survivors = (~state.success).nonzero()[:, 0]
                if len(survivors) == 0:
                    break
                _, part = _solved(attack, x, y, first_example, n_steps, progress, survivors)
                state.merge(survivors, part)
                fooled_by = _named(fooled_by, state.success & is_counted, name)
        result = summarise(first, problem, state)
        measures = {field.name: getattr(result, field.name) for field in fields(AttackResult)}
        return EnsembleResult(**measures, is_counted=is_counted, fooled_by=tuple(fooled_by))


def strong(attack: APGD) -> Ensemble:
    """Compose the worst case of APGD with two losses, FAB with targets, and Square.

    Parameters
    ----------
    attack : APGD
        Model, bound and other settings that all attacks share. Square has ten times as many queries
        as the others have steps.

    Returns
    -------
    Ensemble
        "apgd-ce", "apgd-dlr-t" (with less than four labels "apgd-margin-t" in effect: the loss is
        the margin), "fab-t" and "square". FAB is left out where it does not apply: with the norm
        "linf", a bound on segments, or transforms.

    References
    ----------
    Croce and Hein (2020) :cite:`croce2020`, section 5.

    Examples
    --------
    >>> list(strong(APGD(torch.nn.Linear(100, 4), snr_db=30.0)).attacks)
    ['apgd-ce', 'apgd-dlr-t', 'fab-t', 'square']
    """
    left_out = {"model", "steps", "step", "masking", "untargeted_loss"}
    shared: dict[str, Any] = {
        field.name: getattr(attack, field.name)
        for field in fields(Attack)
        if field.name not in left_out and field.init and field.name != "_"
    }
    attacks: dict[str, Solver] = {
        "apgd-ce": replace(attack, loss="ce", n_targets=0),
        "apgd-dlr-t": replace(attack, loss="auto", n_targets=9),
    }
    if attack.norm == "l2" and attack.segmental_snr_db is None and not attack.transforms:
        attacks["fab-t"] = FABT(attack.model, **shared, steps=attack.steps)
    attacks["square"] = Square(attack.model, **shared, norm=attack.norm, steps=10 * attack.steps)
    return Ensemble(attacks)


def _solved(
    attack: Solver,
    x: Tensor | Sound,
    y: int | Tensor | None,
    first_example: int,
    n_steps: int,
    progress: Progress,
    rows: Tensor | None = None,
) -> tuple[Problem, SearchState]:
    """Attack some sounds; histories are filled up to ``n_steps``."""
    with torch.set_grad_enabled(attack.needs_gradient):
        problem = pose(attack, x, y, first_example)
        problem = problem if rows is None else problem[rows]
        state = attack.solve(problem, progress)
    state.history = F.pad(state.history, (0, n_steps + 1 - state.history.shape[1]), value=torch.nan)
    return problem, state


def _has_aim(model: Model, problem: Problem) -> Tensor:
    """Whether the model predicts the aim for the sounds themselves, at any confidence: [batch]."""
    objective = replace(problem.objective, confidence=None)
    with torch.no_grad():
        return objective.assess(predict(model, problem.x)).success


def _named(names: list[str], is_fooled: Tensor, name: str) -> list[str]:
    """Name the attack for sounds that are fooled and have no name yet."""
    return [
        own or (name if is_new else "")
        for own, is_new in zip(names, is_fooled.tolist(), strict=True)
    ]

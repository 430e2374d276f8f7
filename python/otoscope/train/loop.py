"""A training loop in plain torch that can be interrupted: validation, checkpoints, exact resume.

Step s depends on the weights, the optimiser's state and s alone: its random numbers (dropout) are
seeded by s, and its batch and learning rate are functions of s. A training that is resumed from a
checkpoint therefore gives the same numbers as one that was never interrupted.
"""

from __future__ import annotations

import math
import time
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from otoscope.documents import require_types
from otoscope.errors import ParameterError
from otoscope.foreign import refusing, require_small_pickle
from otoscope.progress import Progress, silent, tracked
from otoscope.records import claimed, replacing, to_plain
from otoscope.train.folder import require_resumed

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = [
    "LoopConfig",
    "StepResult",
    "Trainee",
    "TrainingHistory",
    "fixed_settings",
    "run_training",
]

_SCHEMA = 1
_CONTENT = {
    "schema": int,
    "identity": dict,
    "step": int,
    "scores": list,
    "is_done": bool,
    "network": dict | OrderedDict,
    "optimiser": dict,
    "state": dict,
}
_MAKERS = {
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    *(f"torch {kind}Storage" for kind in ("Float", "Double", "Half", "BFloat16", "Bool", "Byte")),
    *(f"torch {kind}Storage" for kind in ("Char", "Short", "Int", "Long")),
}
"""What the pickle of a checkpoint may name."""
_LENGTHS = {"steps", "epochs", "patience", "validate_every", "checkpoint_every"}
_NOT_A_CHECKPOINT = "is not a checkpoint of this program"


@dataclass(frozen=True)
class LoopConfig:
    """Length of a training, and the steps at which it validates and saves.

    Parameters
    ----------
    steps : int
        Number of optimiser steps.
    validate_every, checkpoint_every : int
        Steps between two validations, and between two checkpoints.
    patience : int
        Validations without a better score after which training stops.
    clip : float
        Largest norm of the gradient.
    seed : int
        Seed of the random numbers of each step (dropout).

    Examples
    --------
    >>> LoopConfig(1000, validate_every=100, checkpoint_every=100, patience=5).clip
    inf
    """

    steps: int
    validate_every: int
    checkpoint_every: int
    patience: int
    clip: float = math.inf
    seed: int = 0

    @classmethod
    def by_epochs(cls, epochs: int, steps: int, *, patience: int, seed: int) -> LoopConfig:
        """Validate and save after each epoch.

        Parameters
        ----------
        epochs : int
            Number of epochs.
        steps : int
            Steps per epoch.
        patience, seed
            See the class; ``patience`` counts epochs.

        Returns
        -------
        LoopConfig
            Settings.
        """
        return cls(
            epochs * steps,
            validate_every=steps,
            checkpoint_every=steps,
            patience=patience,
            seed=seed,
        )


@dataclass(frozen=True)
class StepResult:
    """Result of a training step: its number from 1, number of steps, loss, best score so far."""

    step: int
    steps: int
    loss: float
    best: float | None


@dataclass
class TrainingHistory:
    """Number of steps taken, and the validation scores (lower is better) so far.

    Parameters
    ----------
    step : int
        Number of steps taken, including those before an interruption.
    scores : list of (step, score)
        Validation scores in the order of the steps.
    is_done : bool
        True if training stopped because ``patience`` validations in a row were not better.

    Examples
    --------
    >>> TrainingHistory(20, [(10, 1.5), (20, 1.7)]).best
    1.5
    """

    step: int = 0
    scores: list[tuple[int, float]] = field(default_factory=list)
    is_done: bool = False

    @property
    def best(self) -> float | None:
        """Lowest validation score; None before the first validation."""
        return min((score for _, score in self.scores), default=None)


class Trainee(Protocol):
    """Interface of a network in training, for the training loop."""

    @property
    def network(self) -> nn.Module:
        """Network to train."""

    @property
    def optimiser(self) -> torch.optim.Optimizer:
        """Optimiser of the network's weights."""

    @property
    def identity(self) -> Mapping[str, object]:
        """Settings, by name, in which a checkpoint must agree to be resumed."""

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of a step, from 0."""

    def loss(self, step: int) -> Tensor:
        """Return the loss of the batch of a step, from 0."""

    def validate(self) -> float:
        """Return the score of the network on validation data; lower is better."""

    def save_best(self) -> None:
        """Save the network, which has the best validation score so far."""

    def state(self) -> dict[str, Any]:
        """Return the state besides weights and optimiser for a checkpoint: tensors and numbers."""

    def restore(self, state: dict[str, Any]) -> None:
        """Restore the state that `state` returned."""


def fixed_settings(settings: DataclassInstance) -> dict[str, object]:
    """Return the settings in which a checkpoint must agree: all but lengths and intervals.

    Parameters
    ----------
    settings : dataclass
        Settings of a training whose steps do not depend on the number of steps to come.

    Returns
    -------
    dict of str to JSON value
        Settings without steps, epochs, patience, validate_every and checkpoint_every.

    Examples
    --------
    >>> fixed_settings(LoopConfig(1000, validate_every=9, checkpoint_every=9, patience=5))
    {'clip': None, 'seed': 0}
    """
    return {name: to_plain(x) for name, x in asdict(settings).items() if name not in _LENGTHS}


def run_training(
    trainee: Trainee,
    config: LoopConfig,
    checkpoint: Path,
    *,
    hours: float | None = None,
    resume: bool = False,
    progress: Progress = silent,
    on_step: Callable[[StepResult], None] | None = None,
) -> TrainingHistory:
    """Train a network until all steps are taken, validation stops improving, or time is up.

    Parameters
    ----------
    trainee : Trainee
        Network, optimiser, loss and validation.
    config : LoopConfig
        Numbers of steps, between validations and between checkpoints.
    checkpoint : Path
        Checkpoint file; an interrupted write leaves the old file as it was.
    hours : float, optional
        Time limit in hours. The last step is validated and saved, so that training can be resumed.
    resume : bool
        Continue from the checkpoint if it exists.
    progress : bool or callable
        True shows a bar over the "steps".
    on_step : callable, optional
        Function called with a `StepResult` after each step.

    Returns
    -------
    TrainingHistory
        Number of steps and validation scores, including those before an interruption.

    Raises
    ------
    ParameterError
        If the checkpoint exists and ``resume`` is False, it belongs to another training or cannot
        be read, another process trains into it, or training diverges.

    Examples
    --------
    >>> run_training(trainee, config, Path("out/checkpoint.ckpt"), hours=2)  # doctest: +SKIP
    """
    with claimed(checkpoint):
        history = _resumed(trainee, checkpoint, resume=resume)
        history.is_done = _since_best(history) >= config.patience
        if not history.is_done:
            deadline = math.inf if hours is None else time.monotonic() + 3600 * hours
            _train(trainee, config, checkpoint, history, deadline, progress, on_step)
    return history


def _train(
    trainee: Trainee,
    config: LoopConfig,
    checkpoint: Path,
    history: TrainingHistory,
    deadline: float,
    progress: Progress,
    on_step: Callable[[StepResult], None] | None,
) -> None:
    network = trainee.network.train()
    with torch.random.fork_rng():
        for step in tracked(progress, range(history.step, config.steps), "steps"):
            loss = _optimise(trainee, config, step)
            history.step = step + 1
            is_last = history.step == config.steps or time.monotonic() > deadline
            if is_last or history.step % config.validate_every == 0:
                network.eval()
                _validate(trainee, config, history)
                network.train()
            stops = is_last or history.is_done
            if stops or history.step % config.checkpoint_every == 0:
                _save(trainee, checkpoint, history)
            if on_step is not None:
                on_step(StepResult(history.step, config.steps, float(loss), history.best))
            if stops:
                break


def _optimise(trainee: Trainee, config: LoopConfig, step: int) -> Tensor:
    seed = np.random.SeedSequence([config.seed, step]).generate_state(1)[0]
    torch.manual_seed(int(seed))
    weights = []
    for group in trainee.optimiser.param_groups:
        group["lr"] = trainee.learning_rate(step)
        weights += group["params"]
    trainee.optimiser.zero_grad()
    loss = trainee.loss(step)
    loss.backward()
    nn.utils.clip_grad_norm_(weights, config.clip)
    trainee.optimiser.step()
    return loss.detach()


def _validate(trainee: Trainee, config: LoopConfig, history: TrainingHistory) -> None:
    score = trainee.validate()
    if not math.isfinite(score):
        rate = trainee.learning_rate(history.step - 1)
        raise ParameterError(
            f"training has diverged by step {history.step}: the validation score is {score}; "
            f"lower learning_rate, which is {rate:g} at this step"
        )
    history.scores.append((history.step, score))
    since_best = _since_best(history)
    if since_best == 0:
        trainee.save_best()
    history.is_done = since_best >= config.patience


def _since_best(history: TrainingHistory) -> int:
    """Count the validations since the best one."""
    scores = [score for _, score in history.scores]
    return len(scores) - 1 - scores.index(min(scores)) if scores else 0


def _save(trainee: Trainee, path: Path, history: TrainingHistory) -> None:
    content = {
        "schema": _SCHEMA,
        "identity": dict(trainee.identity),
        "step": history.step,
        "scores": history.scores,
        "is_done": history.is_done,
        "network": trainee.network.state_dict(),
        "optimiser": trainee.optimiser.state_dict(),
        "state": trainee.state(),
    }
    with replacing(path) as draft:
        torch.save(content, draft)


def _resumed(trainee: Trainee, path: Path, *, resume: bool) -> TrainingHistory:
    """Restore the checkpoint if there is one; return the history so far."""
    if not path.is_file():
        return TrainingHistory()
    require_resumed(path, resume=resume)
    content = _read(path)
    identity = content["identity"]
    if content["schema"] != _SCHEMA:
        raise ParameterError(f"{path} has format {content['schema']}; this version reads {_SCHEMA}")
    for name, value in trainee.identity.items():
        if identity.get(name) != value:
            other = f"{name} {identity.get(name)}, not {value}"
            if isinstance(value, list):
                other = f"another {name}"
            raise ParameterError(f"{path} was written with {other}; name a new folder")
    with refusing(path, _NOT_A_CHECKPOINT):
        trainee.network.load_state_dict(content["network"])
        trainee.optimiser.load_state_dict(content["optimiser"])
        trainee.restore(content["state"])
        scores = [(int(step), float(score)) for step, score in content["scores"]]
    return TrainingHistory(content["step"], scores, content["is_done"])


def _read(path: Path) -> dict[str, Any]:
    """Read a checkpoint: nothing in it is executed, and it unpacks to no more than its size."""
    with refusing(path, _NOT_A_CHECKPOINT):
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if any(member.compress_type != zipfile.ZIP_STORED for member in members):
                raise ValueError("its members are compressed")
            (pickled,) = (member for member in members if member.filename.endswith("/data.pkl"))
            require_small_pickle(archive.read(pickled), names=_MAKERS)
        content = torch.load(path, map_location="cpu", weights_only=True)
        return require_types(content, _CONTENT, "the checkpoint")

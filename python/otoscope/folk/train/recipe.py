"""Recipes to train folk-rnn: settings of the paper and of the quick mode, loss, learning rate."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.folk.data import PreparedTunes
from otoscope.folk.model import FolkModel, nats_per_token, save_folkrnn
from otoscope.folk.model.network import State
from otoscope.folk.train.batches import PADDING, Streams, WholeTunes
from otoscope.records import to_json

__all__ = ["Learner", "TrainFolkConfig"]

_MODES = ("paper", "quick")
_WARM_UP_STEPS = 50  # Adam's first steps are too long for a rate of .01
_DECAY, _DECAY_AFTER = 0.97, 20  # the paper's, per epoch


@dataclass(frozen=True)
class TrainFolkConfig:
    """Settings of a training; the defaults are those of the quick mode.

    Parameters
    ----------
    mode : {"quick", "paper"}
        quick: windows of streams of tunes, the state carried from one window to the next
        (truncated backpropagation through time), Adam, learning rate falling to 0 along a cosine.
        paper: whole tunes bucketed by length, RMSprop, learning rate times .97 per epoch after
        epoch 20.
    embedding : int or None
        Size of the embedding; None for one-hot tokens.
    hidden : int
        Units per layer.
    layers : int
        Number of LSTM layers.
    dropout : float, in [0, 1)
        Dropout probability after each layer.
    forget_bias : float
        Initial bias of the forget gates.
    learning_rate : float
        Highest learning rate.
    batch : int
        Batch size: tunes in paper mode, streams in quick mode.
    window : int
        Tokens per stream and step, in quick mode.
    epochs : int
        Largest number of epochs; the learning rate is planned for all of them.
    clip : float
        Largest norm of the gradient.
    valid_every, checkpoint_every : int or None
        Steps between validations, and between checkpoints; None is once per epoch.
    patience : int
        Validations without improvement after which training stops.
    seed : int
        Random seed of initial weights, order of tunes and dropout.
    device : {"cpu", "cuda"}
        Device to train on; a training may be resumed on the other one.

    Raises
    ------
    ParameterError
        If a number is out of its range, or there is no such mode.

    References
    ----------
    Sturm et al. (2016) :cite:`sturm2016folkrnn`, section III.

    Examples
    --------
    >>> TrainFolkConfig.paper().hidden
    512
    """

    mode: str = "quick"
    embedding: int | None = 64
    hidden: int = 128
    layers: int = 1
    dropout: float = 0.0
    forget_bias: float = 1.0
    learning_rate: float = 1e-2
    batch: int = 16
    window: int = 64
    epochs: int = 6
    clip: float = 1.0
    valid_every: int | None = None
    checkpoint_every: int | None = 200
    patience: int = 5
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.mode not in _MODES:
            raise ParameterError(f"mode is {self.mode!r}, must be one of {', '.join(_MODES)}")
        for name in ("learning_rate", "batch", "window", "epochs", "clip", "patience"):
            if not getattr(self, name) > 0:
                raise ParameterError(f"{name} is {getattr(self, name)}, must be above 0")
        for name in ("valid_every", "checkpoint_every"):
            if (steps := getattr(self, name)) is not None and steps < 1:
                raise ParameterError(f"{name} is {steps}, must be at least 1, or None")
        if self.seed < 0:
            raise ParameterError(f"seed is {self.seed}, must be at least 0")
        if self.device not in ("cpu", "cuda"):
            raise ParameterError(f"device is {self.device!r}, must be cpu or cuda")

    @classmethod
    def paper(cls) -> TrainFolkConfig:
        """Return the paper's settings: 3 layers of 512; 33 h on two cores for its corpus."""
        return cls(
            mode="paper",
            embedding=None,
            hidden=512,
            layers=3,
            dropout=0.5,
            forget_bias=5.0,
            learning_rate=0.003,
            batch=64,
            epochs=100,
            clip=5.0,
            valid_every=None,
            checkpoint_every=100,
            patience=20,
        )


class Learner:
    """A folk-rnn in training; a `otoscope.train.Trainee`."""

    def __init__(
        self, model: FolkModel, tunes: PreparedTunes, config: TrainFolkConfig, bundle: Path
    ) -> None:
        self.network = model.network.to(config.device)
        content = to_json([tunes.train, tunes.valid]).encode()
        identity = {
            "vocabulary": list(model.vocabulary.tokens),
            "tunes": hashlib.sha256(content).hexdigest(),
            **asdict(config),
        }
        del identity["device"]
        self.identity: Mapping[str, object] = identity
        self.batches = _batches([model.encode(tune) for tune in tunes.train], config)
        self.steps = config.epochs * self.batches.per_epoch
        weights = [weight for weight in self.network.parameters() if weight.requires_grad]
        self.optimiser: torch.optim.Optimizer
        if config.mode == "paper":
            self.optimiser = torch.optim.RMSprop(weights, alpha=0.9, eps=1e-6)
        else:
            self.optimiser = torch.optim.Adam(weights)
        self._model, self._valid, self._config = model, tunes.valid, config
        self._bundle = bundle
        self._carried: State = self.network.initial_state(config.batch)

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of a step: decaying per epoch, or warm-up and cosine."""
        rate = self._config.learning_rate
        if self._config.mode == "paper":
            epoch = step // self.batches.per_epoch
            return rate * float(_DECAY ** max(0, epoch - _DECAY_AFTER))
        warm = min(1.0, (step + 1) / _WARM_UP_STEPS)
        return rate * (warm * 0.5 * (1 + math.cos(math.pi * min(1.0, step / self.steps))))

    def loss(self, step: int) -> Tensor:
        """Return the nats per token of a batch, over all its tokens."""
        batch = self.batches.at(step).to(self._config.device)
        begins = batch[:, 0] == self._model.vocabulary.start
        state = self.network.initial_state(len(batch))
        if step % self.batches.per_epoch and not begins.all():
            hidden, cell = (
                torch.where(begins[:, None], initial, carried.to(self._config.device))
                for initial, carried in zip(state, self._carried, strict=True)
            )
            state = hidden, cell
        logits, state = self.network(batch[:, :-1].clamp(min=0), state)
        self._carried = state[0].detach(), state[1].detach()
        return nn.functional.cross_entropy(logits.mT, batch[:, 1:], ignore_index=PADDING)

    def validate(self) -> float:
        """Return the nats per token of the validation tunes."""
        return nats_per_token(self._model, self._valid)

    def save_best(self) -> None:
        """Write the model's bundle."""
        save_folkrnn(self._bundle, self._model)

    def state(self) -> dict[str, Any]:
        """Return the LSTM state that the next window begins with."""
        return {"carried": self._carried}

    def restore(self, state: dict[str, Any]) -> None:
        """Set the LSTM state that the next window begins with."""
        hidden, cell = state["carried"]
        self._carried = hidden, cell


def _batches(tunes: list[list[int]], config: TrainFolkConfig) -> Streams | WholeTunes:
    if config.mode == "paper":
        return WholeTunes(tunes, batch=config.batch, seed=config.seed)
    return Streams(tunes, batch=config.batch, window=config.window, seed=config.seed)

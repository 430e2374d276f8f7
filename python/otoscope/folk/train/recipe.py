"""Recipes to train folk-rnn: settings of the paper and of the quick mode, loss, learning rate."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.folk.data import PreparedTunes
from otoscope.folk.model import FolkModel, nats_per_token, save_folkrnn
from otoscope.folk.model.network import State
from otoscope.folk.model.position import position_columns
from otoscope.folk.train.batches import PADDING, Streams, TuneRows, WholeTunes
from otoscope.folk.train.dropout import Dropout
from otoscope.records import to_json

__all__ = ["Learner", "TrainFolkConfig"]

_MODES = ("quick", "small", "paper")
_PRECISIONS = ("float32", "bfloat16")
_WARM_UP_STEPS = 50  # Adam's first steps are too long for a rate of .01
_DECAY, _DECAY_AFTER = 0.97, 20  # the paper's, per epoch


@dataclass(frozen=True)
class TrainFolkConfig:
    """Settings of a training; the defaults are those of the quick mode.

    Parameters
    ----------
    mode : {"quick", "small", "paper"}
        quick: windows of streams of tunes, the state carried from one window to the next
        (truncated backpropagation through time), Adam, learning rate falling along a cosine.
        small: the same for whole tunes of similar length, without windows.
        paper: whole tunes, RMSprop, learning rate times .97 per epoch after epoch 20.
    embedding : int or None
        Size of the embedding; None for one-hot tokens.
    hidden : int
        Units per layer.
    layers : int
        Number of LSTM layers.
    dropout : float, in [0, 1)
        Dropout probability after each layer.
    locked : bool
        Whether a tune's dropout is the same at all steps; needed by the next two.
    input_dropout, weight_dropout : float, in [0, 1)
        Dropout probability of the first layer's input, and of the weights from state to state.
    forget_bias : float
        Initial bias of the forget gates.
    inputs : tuple of {"bar", "part", "earlier"}
        Positions that the network reads with each token; see `FolkRNN`.
    learning_rate : float
        Highest learning rate.
    last_rate : float, in [0, 1]
        Fraction of the learning rate that the last step has; not in paper mode.
    weight_decay : float
        Weight decay per step and learning rate; not in paper mode.
    average : float, in [0, 1)
        Decay per step of the moving average of weights that is validated and kept; 0 keeps the
        weights themselves.
    precision : {"float32", "bfloat16"}
        Precision of the products in training; weights and everything after it are float32.
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
    locked: bool = False
    input_dropout: float = 0.0
    weight_dropout: float = 0.0
    forget_bias: float = 1.0
    inputs: tuple[str, ...] = ()
    learning_rate: float = 1e-2
    last_rate: float = 0.0
    weight_decay: float = 0.0
    average: float = 0.0
    precision: str = "float32"
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
        for name, top in (("last_rate", 1), ("weight_decay", math.inf)):
            if not 0 <= getattr(self, name) <= top:
                raise ParameterError(f"{name} is {getattr(self, name)}, must be in [0, {top}]")
        for name in ("average", "input_dropout", "weight_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ParameterError(f"{name} is {getattr(self, name)}, must be in [0, 1)")
            if name != "average" and getattr(self, name) and not self.locked:
                raise ParameterError(f"{name} is {getattr(self, name)}, which needs locked")
        if self.precision not in _PRECISIONS:
            known = " or ".join(_PRECISIONS)
            raise ParameterError(f"precision is {self.precision!r}, must be {known}")
        position_columns(self.inputs, 0)
        for name in ("valid_every", "checkpoint_every"):
            if (steps := getattr(self, name)) is not None and steps < 1:
                raise ParameterError(f"{name} is {steps}, must be at least 1, or None")
        if self.seed < 0:
            raise ParameterError(f"seed is {self.seed}, must be at least 0")
        if self.device not in ("cpu", "cuda"):
            raise ParameterError(f"device is {self.device!r}, must be cpu or cuda")

    @classmethod
    def small(cls) -> TrainFolkConfig:
        """Return the settings of folkrnn-small: positions as inputs, much dropout, an average."""
        return cls(
            mode="small",
            hidden=256,
            layers=2,
            dropout=0.4,
            locked=True,
            input_dropout=0.15,
            weight_dropout=0.3,
            inputs=("bar", "part", "earlier"),
            learning_rate=0.004,
            last_rate=0.2,
            average=0.999,
            batch=32,
            epochs=220,
            valid_every=240,
            checkpoint_every=240,
            patience=60,
        )

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
        self.batches = _batches([_rows(model, tune) for tune in tunes.train], config)
        self.steps = config.epochs * self.batches.per_epoch
        weights = [weight for weight in self.network.parameters() if weight.requires_grad]
        self.optimiser: torch.optim.Optimizer
        if config.mode == "paper":
            self.optimiser = torch.optim.RMSprop(weights, alpha=0.9, eps=1e-6)
        else:
            self.optimiser = torch.optim.AdamW(
                weights, weight_decay=config.weight_decay, fused=True
            )
        rates = config.input_dropout, config.dropout, config.weight_dropout
        self._forward = partial(Dropout(*rates), self.network) if config.locked else self.network
        self._valid, self._config, self._bundle = tunes.valid, config, bundle
        self._carried: State = self.network.initial_state(config.batch)
        self._model = replace(model, network=deepcopy(self.network)) if config.average else model
        self._n_averaged = 0
        if config.average:
            self.optimiser.register_step_post_hook(lambda *_: self._average())

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of a step: decaying per epoch, or warm-up and cosine."""
        rate = self._config.learning_rate
        if self._config.mode == "paper":
            epoch = step // self.batches.per_epoch
            return rate * float(_DECAY ** max(0, epoch - _DECAY_AFTER))
        warm = min(1.0, (step + 1) / _WARM_UP_STEPS)
        falling = 0.5 * (1 + math.cos(math.pi * min(1.0, step / self.steps)))
        last = self._config.last_rate
        return rate * warm * (last + (1 - last) * falling)

    def loss(self, step: int) -> Tensor:
        """Return the nats per token of a batch, over all its tokens."""
        batch = self.batches.at(step).to(self._config.device)
        ids, positions = (batch, None) if batch.ndim == 2 else (batch[..., 0], batch[:, :-1, 1:])
        begins = ids[:, 0] == self._model.vocabulary.start
        state = self.network.initial_state(len(ids))
        if step % self.batches.per_epoch and not begins.all():
            hidden, cell = (
                torch.where(begins[:, None], initial, carried.to(self._config.device))
                for initial, carried in zip(state, self._carried, strict=True)
            )
            state = hidden, cell
        with torch.autocast(
            self._config.device, torch.bfloat16, enabled=self._config.precision == "bfloat16"
        ):
            logits, state = self._forward(
                ids[:, :-1].clamp(min=0),
                state,
                positions=None if positions is None else positions.clamp(min=0),
            )
        self._carried = state[0].detach().float(), state[1].detach().float()
        return nn.functional.cross_entropy(
            logits.float().flatten(0, 1), ids[:, 1:].flatten(), ignore_index=PADDING
        )

    def validate(self) -> float:
        """Return the nats per token of the validation tunes."""
        return nats_per_token(self._model, self._valid)

    def save_best(self) -> None:
        """Write the model's bundle."""
        save_folkrnn(self._bundle, self._model)

    def state(self) -> dict[str, Any]:
        """Return the LSTM state that the next window begins with, and the average of weights."""
        averaged = self._model.network.state_dict() if self._config.average else {}
        return {"carried": self._carried, "average": dict(averaged), "n": self._n_averaged}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        hidden, cell = state["carried"]
        self._carried = hidden, cell
        if self._config.average:
            self._model.network.load_state_dict(state["average"])
            self._n_averaged = state["n"]

    @torch.no_grad()
    def _average(self) -> None:
        """Move the average towards the weights; at first faster, so that it forgets the start."""
        self._n_averaged += 1
        decay = min(self._config.average, self._n_averaged / (self._n_averaged + 9))
        pairs = zip(self._model.network.parameters(), self.network.parameters(), strict=True)
        for average, weight in pairs:
            average.lerp_(weight, 1 - decay)


def _rows(model: FolkModel, tune: Sequence[str]) -> TuneRows:
    """Return a tune's ids, or [id, 1 + column] with its positions."""
    ids = model.encode(tune)
    if model.positions is None:
        return ids
    return np.column_stack([ids, model.positions.read(ids)])


def _batches(tunes: list[TuneRows], config: TrainFolkConfig) -> Streams | WholeTunes:
    if config.mode == "quick":
        return Streams(tunes, batch=config.batch, window=config.window, seed=config.seed)
    return WholeTunes(tunes, batch=config.batch, seed=config.seed)

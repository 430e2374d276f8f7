"""A genre classifier in training: loss of a batch, rate and momentum, validation."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from otoscope.errors import Advice, Argument, Ignored, ParameterError, refuse_ignored
from otoscope.models.bundle import save_bundle
from otoscope.models.genre import ConvDNN, FrameDNN
from otoscope.models.listener import Listener
from otoscope.seeds import torch_generator
from otoscope.signal import FrontEnd
from otoscope.train.genre.spectra import Spectra, Standardisation
from otoscope.train.loop import fixed_settings

__all__ = ["Adversary", "GenreLearner", "TrainGenreConfig", "logits_of"]

Adversary: TypeAlias = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""Function (network, standardised batch, labels) -> batch that takes its place."""

_AT_ONCE = 4096  # frames per forward pass of the validation
_CHANNELS_LAST = 32  # in this layout few filters take 20 times as long, 32 half
_FLOOR = 0.01  # of the learning rate, at the end of its fall
_USED_BY = {"dropout": "frames", "channels": "windows", "window_hop": "windows"}  # one system each


@dataclass(frozen=True)
class TrainGenreConfig:
    """Settings of a training; `TrainGenreConfig.paper` has those of the paper's systems.

    Parameters
    ----------
    system : {"frames", "windows"}
        `FrameDNN`, or `ConvDNN` on windows of 100 frames.
    hidden : int
        Units of a hidden layer.
    dropout : bool
        Drop a quarter of the units of each hidden layer at random; of frames only.
    channels : int
        Filters of each convolution, of windows only.
    window_hop : int
        Frames from one window to the next, of windows only.
    batch : int
        Number of frames or windows in a batch.
    epochs : int
        Largest number of passes over the sounds.
    learning_rate : float
        Rate of the first epoch; it falls linearly to 1 % over ``ramp`` epochs.
    momentum : (float, float)
        Momentum of the first epoch, and after ``ramp`` epochs.
    ramp : int
        Epochs of that fall and rise.
    patience : int
        Epochs without a lower validation error after which training stops.
    seed : int
        Random seed of weights, order and dropout.

    Raises
    ------
    ParameterError
        If a setting is out of range, or the system does not use it.

    Examples
    --------
    >>> TrainGenreConfig.paper("frames", dropout=True).patience
    50
    """

    system: Literal["frames", "windows"] = "frames"
    hidden: int = 50
    dropout: bool = False
    channels: int = 32
    window_hop: int = 50
    batch: int = 1200
    epochs: int = 200
    learning_rate: float = 0.01
    momentum: tuple[float, float] = (0.5, 0.9)
    ramp: int = 50
    patience: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        if self.system not in ("frames", "windows"):
            raise ParameterError(f"system is {self.system!r}, must be 'frames' or 'windows'")
        self.refuse_ignored()
        for name in ("hidden", "channels", "window_hop", "batch", "epochs", "ramp", "patience"):
            if getattr(self, name) < 1:
                raise ParameterError(f"{name} is {getattr(self, name)}, must be >= 1")
        if not self.learning_rate > 0 or not all(0 <= value < 1 for value in self.momentum):
            raise ParameterError(
                f"learning_rate is {self.learning_rate} and momentum {self.momentum}; the rate "
                "must be > 0 and momentum in [0, 1)"
            )

    def refuse_ignored(self, given: Collection[str] = ()) -> None:
        """Refuse settings of the other system; those ``given`` even if they are the default's."""
        ignored = [
            Ignored(
                name,
                f"which the system {self.system!r} does not use",
                (Argument("system", system),),
            )
            for name, system in _USED_BY.items()
            if system != self.system
        ]
        refuse_ignored([self], ignored, given)

    @classmethod
    def paper(
        cls,
        system: Literal["frames", "windows"] = "frames",
        *,
        hidden: int = 50,
        dropout: bool = False,
        seed: int = 0,
    ) -> TrainGenreConfig:
        """Return the settings of one of the paper's systems.

        Parameters
        ----------
        system, hidden, dropout, seed
            See the class.

        Returns
        -------
        TrainGenreConfig
            Settings.
        """
        common: dict[str, Any] = {"system": system, "hidden": hidden, "seed": seed}
        if system == "windows":
            rates: dict[str, Any] = {
                "learning_rate": 0.001,
                "ramp": 100,
                "epochs": 200,
                "patience": 20,
            }
            return cls(**common, dropout=dropout, batch=5, **rates)  # refuses dropout
        if dropout:
            return cls(**common, dropout=True, learning_rate=0.1, ramp=200, epochs=400, patience=50)
        return cls(**common)


class GenreLearner:
    """A network with its spectra and optimiser: a `Trainee`."""

    def __init__(  # noqa: PLR0913 - the facts of a training
        self,
        train: Spectra,
        valid: Spectra,
        scale: Standardisation,
        settings: TrainGenreConfig,
        path: Path,
        *,
        front_end: FrontEnd,
        labels: tuple[str, ...],
        card: Mapping[str, str],
        adversary: Adversary | None = None,
    ) -> None:
        self.settings, self.path, self.card = settings, path, card
        self.scale, self.front_end, self.labels = scale, front_end, labels
        self.adversary = adversary
        self.network: nn.Module = _network(settings, len(labels), front_end.n_mels)
        self.network.kept.copy_(scale.kept)
        if settings.channels % _CHANNELS_LAST == 0:
            self.network.to(memory_format=torch.channels_last)
        self.optimiser: torch.optim.Optimizer = torch.optim.SGD(
            self.network.parameters(), settings.learning_rate, momentum=settings.momentum[0]
        )
        self.train, self.valid = _Examples(train, settings), _Examples(valid, settings)
        self._drawn = -1, torch.empty(0)
        if len(self.train) < settings.batch:
            raise ParameterError(
                f"there are {len(self.train)} {settings.system} to train on, fewer than a batch of "
                f"{settings.batch}",
                advice=Advice("use more sounds, or a smaller ", Argument("batch")),
            )
        self.identity: Mapping[str, object] = {
            "settings": fixed_settings(settings),
            "sounds": [train.digest, valid.digest],
            "labels": list(labels),
            "adversary": getattr(adversary, "__name__", None) or str(adversary),
        }

    @property
    def steps_per_epoch(self) -> int:
        """Number of whole batches of an epoch."""
        return len(self.train) // self.settings.batch

    def learning_rate(self, step: int) -> float:
        """Lower the rate linearly to 1 % over the ramp."""
        return self.settings.learning_rate * (1 - (1 - _FLOOR) * self._progress(step))

    def momentum(self, step: int) -> float:
        """Raise the momentum linearly over the ramp."""
        first, last = self.settings.momentum
        return first + (last - first) * self._progress(step)

    def loss(self, step: int) -> Tensor:
        """Return the cross-entropy of a step's batch."""
        for group in self.optimiser.param_groups:
            group["momentum"] = self.momentum(step)
        epoch, place = divmod(step, self.steps_per_epoch)
        batch = self.settings.batch
        rows = self._order(epoch)[place * batch :][:batch]
        values, labels = self._batch(self.train, rows)
        if self.adversary is not None:
            values = self.adversary(self.network, values, labels)
        return F.cross_entropy(logits_of(self.network, values), labels)

    @torch.no_grad()
    def validate(self) -> float:
        """Return the fraction of validation frames, or windows, with a wrong label."""
        n_wrong = 0
        at_once = _AT_ONCE if self.settings.system == "frames" else 32
        for rows in torch.arange(len(self.valid)).split(at_once):
            values, labels = self._batch(self.valid, rows)
            n_wrong += int((logits_of(self.network, values).argmax(-1) != labels).sum())
        return n_wrong / len(self.valid)

    def save_best(self) -> None:
        """Write the network as a bundle."""
        save_bundle(self.path, self.listener(), card=self.card)

    def listener(self) -> Listener:
        """Return the model, in eval mode; its excerpts are windows of 100 frames."""
        network = _network(self.settings, len(self.labels), self.front_end.n_mels)
        network.load_state_dict(self.network.state_dict())
        return Listener(
            network,
            self.front_end,
            mean=self.scale.mean,
            std=self.scale.std,
            patch_frames=ConvDNN.window,
            output_names=self.labels,
        ).eval()

    def state(self) -> dict[str, Any]:
        """Return nothing: all is in weights and optimiser."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore nothing."""

    def _progress(self, step: int) -> float:
        return min(1.0, step // self.steps_per_epoch / self.settings.ramp)

    def _order(self, epoch: int) -> Tensor:
        """Draw the order of an epoch; the last one is kept."""
        if self._drawn[0] != epoch:
            generator = torch_generator(self.settings.seed, 1, epoch)
            self._drawn = epoch, torch.randperm(len(self.train), generator=generator)
        return self._drawn[1]

    def _batch(self, examples: _Examples, rows: Tensor) -> tuple[Tensor, Tensor]:
        magnitudes, labels = examples.take(rows)
        return (magnitudes - self.scale.mean) / self.scale.std, labels


class _Examples:
    """Frames [frame, bin], or windows [window, 1, 100, bin], by number."""

    def __init__(self, spectra: Spectra, settings: TrainGenreConfig) -> None:
        self._magnitudes, self._length = spectra.magnitudes, 0
        if settings.system == "frames":
            self._starts = torch.arange(len(spectra.magnitudes))
            self._labels = spectra.frame_labels
            return
        self._length = ConvDNN.window
        self._starts, self._labels = spectra.windows(self._length, settings.window_hop)

    def __len__(self) -> int:
        return len(self._starts)

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return examples and labels."""
        starts = self._starts[rows]
        if not self._length:
            return self._magnitudes[starts], self._labels[rows]
        frames = starts[:, None] + torch.arange(self._length)
        return self._magnitudes[frames][:, None], self._labels[rows]


def _network(settings: TrainGenreConfig, n_labels: int, n_bins: int) -> Any:
    if settings.system == "windows":
        return ConvDNN(
            n_labels,
            n_bins=n_bins,
            channels=settings.channels,
            hidden=settings.hidden,
            seed=settings.seed,
        )
    return FrameDNN(
        n_labels,
        n_bins=n_bins,
        hidden=settings.hidden,
        dropout=settings.dropout,
        seed=settings.seed,
    )


def logits_of(network: Any, values: Tensor) -> Tensor:
    """Call the network on frames or windows."""
    outputs: Tensor = (network.frames if values.ndim == 2 else network.windows)(values)
    return outputs

"""The detector in training: loss of a batch, learning rate, validation, averaged weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from otoscope.data.synthesis.song import Song, frame_truth
from otoscope.errors import ParameterError
from otoscope.metrics.singing import choose_threshold, singing_scores, smooth
from otoscope.models.bundle import save_bundle
from otoscope.models.listener import Listener
from otoscope.models.svdnet import SVDNet
from otoscope.models.timelines import timeline
from otoscope.seeds import numpy_generator
from otoscope.signal import svd2015
from otoscope.train.loop import fixed_settings
from otoscope.train.singing.augment import Augmentation
from otoscope.train.singing.stems import ExcerptSource, Mixing, frame_times

__all__ = ["LENGTH", "Learner", "TrainSingingConfig", "averaged"]

LENGTH = 115  # frames of an excerpt
_HOP = 7  # frames between two predictions of the validation: ten per second
_MEDIAN = 8  # of such frames: the 56 frames of the evaluation


@dataclass(frozen=True)
class TrainSingingConfig:
    """Settings of a training; the defaults are the paper's, with those after ``smoothing`` ours.

    Parameters
    ----------
    epochs, batches_per_epoch, batch : int
        Number of epochs, batches in each, and excerpts in a batch.
    learning_rate, decay, momentum : float
        Learning rate of the first epoch, its factor from epoch to epoch, and Nesterov's momentum.
    smoothing : float
        Targets are ``smoothing`` and ``1 - smoothing`` instead of 0 and 1.
    augmentation : Augmentation
        Random changes of the excerpts.
    mixing : Mixing
        Mixing of the stems.
    average : float
        Decay per step of the average of the weights, which is what is validated and kept; 0 for the
        weights themselves. With it a training is useful before its learning rate is low.
    synthetic : int
        Number of songs of the package's own synthesiser among the songs to train on.
    music_seconds : float
        Seconds of each recording of music that are used.
    shrink : int
        Divisor of the widths of the network: 1 is the paper's.
    validate_every, checkpoint_every : int
        Steps between two validations, and between two checkpoints.
    seed : int
        Random seed of weights, batches and dropout.

    Examples
    --------
    >>> TrainSingingConfig().steps
    40000
    """

    epochs: int = 20
    batches_per_epoch: int = 2000
    batch: int = 32
    learning_rate: float = 0.01
    decay: float = 0.85
    momentum: float = 0.95
    smoothing: float = 0.02
    augmentation: Augmentation = field(default_factory=Augmentation)
    mixing: Mixing = field(default_factory=Mixing)
    average: float = 0.998
    synthetic: int = 100
    music_seconds: float = 180.0
    shrink: int = 1
    validate_every: int = 500
    checkpoint_every: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batches_per_epoch", "batch", "validate_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ParameterError(f"{name} is {getattr(self, name)}, must be >= 1")
        for name in ("momentum", "average"):
            if not 0 <= getattr(self, name) < 1:
                raise ParameterError(f"{name} is {getattr(self, name)}, must be in [0, 1)")
        if not 0 <= self.smoothing < 0.5:
            raise ParameterError(f"smoothing is {self.smoothing}, must be in [0, 0.5)")
        if not (self.learning_rate > 0 and self.decay > 0 and self.music_seconds > 0):
            raise ParameterError(
                f"learning_rate is {self.learning_rate}, decay {self.decay} and music_seconds "
                f"{self.music_seconds}; all must be > 0"
            )
        if self.synthetic < 0:
            raise ParameterError(f"synthetic is {self.synthetic}, must be >= 0")

    @property
    def steps(self) -> int:
        """Number of batches in all."""
        return self.epochs * self.batches_per_epoch


class Learner:
    """SVDNet with its data, optimiser and averaged weights: a `Trainee`."""

    def __init__(
        self,
        source: ExcerptSource,
        validation: Sequence[Song],
        settings: TrainSingingConfig,
        path: Path,
        card: Mapping[str, str],
    ) -> None:
        self.settings, self.source, self.path, self.card = settings, source, path, card
        self.validation = validation
        self.front_end = svd2015()
        mean, std = _statistics(source)
        self.domain_mean, self.domain_std = mean, std
        self.network: nn.Module = SVDNet(shrink=settings.shrink, seed=settings.seed)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimiser: torch.optim.Optimizer = torch.optim.SGD(
            self.network.parameters(),
            settings.learning_rate,
            momentum=settings.momentum,
            nesterov=settings.momentum > 0,
        )
        self.average = {name: value.clone() for name, value in self.network.state_dict().items()}
        self.filterbank = self.front_end.filterbank.float()
        n_bins = int(self.filterbank.any(1).nonzero().max()) + 1
        self.filterbank = self.filterbank[:n_bins]
        self.bin_hz = torch.arange(n_bins) * (self.front_end.sample_rate / self.front_end.n_fft)
        self.identity: Mapping[str, object] = {
            "settings": fixed_settings(settings),
            "stems": source.digest,
            "validation": _digest(validation),
        }

    def learning_rate(self, step: int) -> float:
        """Lower the rate by a factor from epoch to epoch."""
        epoch = step // self.settings.batches_per_epoch
        return self.settings.learning_rate * self.settings.decay**epoch

    def values(self, step: int) -> tuple[Tensor, Tensor]:
        """Draw the batch of a step: standardised excerpts [batch, 1, frame, mel], and truth."""
        settings = self.settings
        rng = numpy_generator(settings.seed, step)
        n_frames = settings.augmentation.frames(LENGTH)
        y, truth = self.source.batch(rng, settings.batch, n_frames=n_frames)
        magnitudes = self.front_end.spectrum(y).abs()
        changed = settings.augmentation(magnitudes, rng, n_frames=LENGTH, bin_hz=self.bin_hz)
        log_mel = self.front_end.compression.compress(changed @ self.filterbank)
        return ((log_mel - self.domain_mean) / self.domain_std)[:, None], truth

    def loss(self, step: int) -> Tensor:
        """Return the cross-entropy of a step's batch; its weights enter the average first."""
        self._update_average(step)
        with torch.no_grad():
            values, truth = self.values(step)
        smoothing = self.settings.smoothing
        target = smoothing + (1 - 2 * smoothing) * truth.float()
        x = values.contiguous(memory_format=torch.channels_last)
        for layer in [*self.network.children()][:-1]:  # all but the sigmoid
            x = layer(x)
        return F.binary_cross_entropy_with_logits(x[:, 0], target)

    def validate(self) -> float:
        """Return the frame error on the validation songs, at the best threshold."""
        model, times = self.listener(), frame_times(self.front_end)
        probabilities, truth = [], []
        for song in self.validation:
            outputs = timeline(model, torch.from_numpy(song.mix), hop=_HOP, padded=True).outputs
            p = smooth(outputs[:, 0].numpy(), _MEDIAN)
            rate = times["frame_rate"] / _HOP
            truth.append(frame_truth(song.sung, len(p), rate, offset=times["offset"]))
            probabilities.append(p)
        threshold = choose_threshold(probabilities, truth)
        return singing_scores(probabilities, truth, threshold).error

    def save_best(self) -> None:
        """Write the averaged weights as a bundle."""
        save_bundle(self.path, self.listener(), card=self.card)

    def listener(self) -> Listener:
        """Return the model with the averaged weights, in eval mode."""
        network = SVDNet(shrink=self.settings.shrink)
        network.load_state_dict(self.average)
        return Listener(
            network,
            self.front_end,
            mean=self.domain_mean,
            std=self.domain_std,
            patch_frames=LENGTH,
            output_names=["singing"],
        ).eval()

    def state(self) -> dict[str, Any]:
        """Return the averaged weights."""
        return dict(self.average)

    def restore(self, state: dict[str, Any]) -> None:
        """Restore the averaged weights."""
        for name, value in self.average.items():
            value.copy_(state[name])

    def _update_average(self, step: int) -> None:
        averaged(self.average, self.network, min(self.settings.average, step / (step + 10)))


def averaged(average: dict[str, Tensor], network: nn.Module, decay: float) -> None:
    """Move an average of weights towards those of a network."""
    with torch.no_grad():
        for name, value in network.state_dict().items():
            average[name].lerp_(value, 1 - decay)


def _digest(songs: Sequence[Song]) -> str:
    """SHA-256 of mixes and of when they are sung."""
    content = hashlib.sha256()
    for song in songs:
        content.update(np.ascontiguousarray(song.mix).tobytes())
        content.update(repr([(float(start), float(end)) for start, end in song.sung]).encode())
    return content.hexdigest()


def _statistics(source: ExcerptSource) -> tuple[Tensor, Tensor]:
    """Compute mean and standard deviation per band over all frames, in float64 with ddof 1."""
    n, total, square = 0, 0.0, 0.0
    for log_mel in source.log_mels():
        frames = log_mel.numpy().astype(np.float64)
        n, total, square = n + len(frames), total + frames.sum(0), square + (frames**2).sum(0)
    mean = total / n
    std = np.sqrt((square - n * mean**2) / (n - 1))
    return torch.from_numpy(mean).float(), torch.from_numpy(std).float()

"""A generator in training against its critic: losses, validation, averaged weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.metrics import frechet_of
from otoscope.models.generator import MelCritic, MelGenerator
from otoscope.models.generator_bundle import TrainedGenerator, save_generator
from otoscope.seeds import numpy_generator
from otoscope.signal import FrontEnd
from otoscope.train.loop import fixed_settings
from otoscope.train.prior.excerpts import MelExcerpts
from otoscope.train.singing.learner import averaged

__all__ = ["PriorLearner", "TrainPriorConfig", "critic_loss", "gradient_penalty", "summaries"]

_CELLS = (8, 8)  # of an excerpt, in frames and bands, for `summaries`
_N_SHOWN = 8  # samples of a picture
_BATCH = 64  # excerpts that are made at once
_VALIDATION = 1 << 40  # key of the random numbers of the validation: no step has it


@dataclass(frozen=True)
class TrainPriorConfig:
    """Settings of a training; ``average`` is ours, the others are the paper's where it states them.

    Parameters
    ----------
    steps, batch : int
        Number of steps of the generator, and excerpts in a batch; the authors made 1.17 million
        steps.
    critic_steps : int
        Steps of the critic for each step of the generator; the authors do not state theirs.
    learning_rate : float
        Learning rate of both; the authors' is 1e-5.
    penalty : float
        Factor of the gradient penalty.
    average : float
        Decay per step of the average of the generator's weights, which is validated and kept; 0 for
        the weights themselves.
    shrink : {1, 2, 4, 8}
        Divisor of the widths of generator and critic: 1 is the paper's.
    seconds : float
        Seconds of each sound that are used.
    n_validation : int
        Number of samples, and of held-out excerpts, that a validation compares.
    validate_every, checkpoint_every : int
        Steps between two validations, and between two checkpoints.
    seed : int
        Random seed of weights, batches and latents.

    Examples
    --------
    >>> TrainPriorConfig().critic_steps
    5
    """

    steps: int = 20000
    batch: int = 16
    critic_steps: int = 5
    learning_rate: float = 1e-4
    penalty: float = 10.0
    average: float = 0.999
    shrink: int = 1
    seconds: float = 180.0
    n_validation: int = 1000
    validate_every: int = 500
    checkpoint_every: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        counts = ("steps", "batch", "critic_steps", "validate_every", "checkpoint_every")
        for name in counts:
            if getattr(self, name) < 1:
                raise ParameterError(f"{name} is {getattr(self, name)}, must be >= 1")
        if self.n_validation <= 2 * math.prod(_CELLS):
            raise ParameterError(f"n_validation is {self.n_validation}, must be > 128 columns")
        if not 0 <= self.average < 1:
            raise ParameterError(f"average is {self.average}, must be in [0, 1)")
        for name in ("learning_rate", "seconds"):
            if not 0 < getattr(self, name) < math.inf:
                raise ParameterError(f"{name} is {getattr(self, name)}, must be finite and > 0")
        if not 0 <= self.penalty < math.inf:
            raise ParameterError(f"penalty is {self.penalty}, must be finite and >= 0")


class PriorLearner:
    """Generator, critic, their optimisers and the averaged weights: a `Trainee`.

    One step is ``critic_steps`` steps of the critic, then one of the generator.
    """

    def __init__(  # noqa: PLR0913 - what is trained, on what, and where it goes
        self,
        train: MelExcerpts,
        valid: MelExcerpts,
        front_end: FrontEnd,
        settings: TrainPriorConfig,
        path: Path,
        *,
        card: Mapping[str, str],
        device: str = "cpu",
        on_samples: Callable[[int, Tensor], None] | None = None,
    ) -> None:
        self.settings, self.path, self.card = settings, path, card
        self._train, self._front_end, self._on_samples = train, front_end, on_samples
        self._device, self._step = torch.device(device), 0
        shape = train.n_frames, front_end.n_mels
        floor = float(front_end.compression.compress(torch.zeros(1, 1)))
        self._generator = MelGenerator(
            *shape, shrink=settings.shrink, floor=floor, seed=settings.seed
        )
        mean = torch.cat([values.mean(0) for values in train.log_mels]).mean()
        nn.init.constant_(cast(Tensor, self._generator.output.bias), float(mean))
        self.critic = MelCritic(*shape, shrink=settings.shrink, seed=settings.seed + 1)
        for network in (self._generator, self.critic):
            network.to(self._device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network: nn.Module = self._generator
        self.optimiser: torch.optim.Optimizer = torch.optim.Adam(
            self.network.parameters(), settings.learning_rate, betas=(0.5, 0.999)
        )
        self._critic_optimiser = torch.optim.Adam(
            self.critic.parameters(), settings.learning_rate, betas=(0.9, 0.999)
        )
        self.average = {name: value.clone() for name, value in self.network.state_dict().items()}
        rng = numpy_generator(settings.seed, _VALIDATION)
        self._real = summaries(valid.batch(rng, settings.n_validation))
        self._losses: list[Tensor] = []
        self.log: list[tuple[int, float, float]] = []
        """Step, mean loss and mean penalty of the critic since the row before."""
        self.identity: Mapping[str, object] = {
            "settings": fixed_settings(settings),
            "sounds": [train.digest, valid.digest],
        }

    def learning_rate(self, step: int) -> float:
        """Return the constant rate."""
        return self.settings.learning_rate

    def loss(self, step: int) -> Tensor:
        """Train the critic; return the generator's loss, minus the critic's mean of its samples."""
        averaged(self.average, self.network, min(self.settings.average, step / (step + 10)))
        self._step, settings = step + 1, self.settings
        rng = numpy_generator(settings.seed, step)
        self.critic.requires_grad_(True)
        for _ in range(settings.critic_steps):
            real = self._train.batch(rng, settings.batch).to(self._device)
            with torch.no_grad():
                made = self.network(self._latents(settings.batch))
            u = torch.rand(settings.batch).to(self._device)
            loss, penalty = critic_loss(self.critic, real, made, u, factor=settings.penalty)
            self._critic_optimiser.zero_grad()
            loss.backward()
            self._critic_optimiser.step()
            self._losses.append(torch.stack([loss.detach(), penalty.detach()]))
        self.critic.requires_grad_(False)
        generated: Tensor = -self.critic(self.network(self._latents(settings.batch))).mean()
        return generated

    def validate(self) -> float:
        """Return the Frechet distance of samples to held-out excerpts, by `summaries`."""
        if self._losses:
            loss, penalty = torch.stack(self._losses).double().mean(0).tolist()
            self.log.append((self._step, loss, penalty))
            self._losses = []
        made = self.samples(self.settings.n_validation)
        if self._on_samples is not None:
            self._on_samples(self._step, made[:_N_SHOWN])
        if not bool(made.isfinite().all()):
            return math.nan
        return float(frechet_of(self._real, summaries(made)))

    def samples(self, n: int) -> Tensor:
        """Make excerpts [n, 1, frame, mel] with the averaged weights; always the same ones."""
        network = self.trained().network
        rng = numpy_generator(self.settings.seed, _VALIDATION, 1)
        latents = torch.from_numpy(rng.standard_normal((n, network.latent_size), np.float32))
        with torch.no_grad():
            return torch.cat([network(part) for part in latents.split(_BATCH)])

    def save_best(self) -> None:
        """Write the averaged weights."""
        save_generator(self.path, self.trained())

    def trained(self) -> TrainedGenerator:
        """Return the generator with the averaged weights, in eval mode, on the CPU."""
        network = MelGenerator(**self._generator.settings, seed=None)  # type: ignore[arg-type]
        network.load_state_dict(self.average)
        return TrainedGenerator(network.eval(), self._front_end, self.card)

    def state(self) -> dict[str, Any]:
        """Return critic, its optimiser, averaged weights and the log."""
        return {
            "critic": self.critic.state_dict(),
            "critic_optimiser": self._critic_optimiser.state_dict(),
            "average": dict(self.average),
            "losses": self._losses,
            "log": self.log,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        self.critic.load_state_dict(state["critic"])
        self._critic_optimiser.load_state_dict(state["critic_optimiser"])
        for name, value in self.average.items():
            value.copy_(state["average"][name])
        self._losses = [losses.to(self._device) for losses in state["losses"]]
        self.log = [(int(step), float(loss), float(grad)) for step, loss, grad in state["log"]]

    def _latents(self, n: int) -> Tensor:
        """Draw latents on the CPU: the same numbers for every device."""
        return torch.randn(n, self._generator.latent_size).to(self._device)


def critic_loss(
    critic: Callable[[Tensor], Tensor], real: Tensor, made: Tensor, u: Tensor, *, factor: float
) -> tuple[Tensor, Tensor]:
    """Return -(E D(real) - E D(made)) + factor * penalty, and the penalty."""
    scores = critic(torch.cat([real, made]))
    penalty = gradient_penalty(critic, real, made, u)
    distance = scores[: len(real)].mean() - scores[len(real) :].mean()
    return factor * penalty - distance, penalty


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Tensor, made: Tensor, u: Tensor
) -> Tensor:
    """Return the mean of (||gradient|| - 1)^2 at real + u (made - real).

    ``u`` [batch] is one number per example; the norm is over all cells of an example.
    """
    points = torch.lerp(real, made, u.view(-1, *[1] * (real.ndim - 1))).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
    penalty: Tensor = (gradient.flatten(1).norm(dim=1) - 1).square().mean()
    return penalty


def summaries(excerpts: Tensor) -> Tensor:
    """Summarise excerpts [batch, 1, frame, mel]: mean and deviation in 8 x 8 cells, [batch, 128].

    They need no model, so that generators for any front end can be validated.
    """
    x = excerpts.double()
    mean = F.adaptive_avg_pool2d(x, _CELLS)
    square = F.adaptive_avg_pool2d(x.square(), _CELLS)
    return torch.cat([mean, (square - mean.square()).clamp(min=0).sqrt()], 1).flatten(1)

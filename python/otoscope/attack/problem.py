"""The problem that an attack solves: the sounds, and the predictions that it aims at."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from otoscope.attack.base import Attack
from otoscope.attack.classifier import kind_of_outputs, predict
from otoscope.attack.objective import Objective, aggregate, check_labels, log_posterior
from otoscope.attack.transforms import Transform
from otoscope.errors import ParameterError
from otoscope.protocols import (
    Sound,
    batch_dependence,
    dependence_text,
    device_of,
    dtype_of,
    read_sound,
)
from otoscope.protocols.layout import SOUND
from otoscope.protocols.patch import as_samples
from otoscope.protocols.signature import with_remedy
from otoscope.seeds import torch_generator
from otoscope.signal.masking import MaskingThreshold, masking_threshold

__all__ = ["Problem", "pose"]


@dataclass(frozen=True, eq=False)
class Problem:
    """Sounds to attack, and everything that decides how good a candidate is; rows are sounds.

    Parameters
    ----------
    x : Tensor [batch, sample]
        Original sounds.
    objective : Objective
        What the model is to predict for each.
    generators : tuple of torch.Generator
        Random generator of each sound.
    threshold : MaskingThreshold, optional
        Masking threshold of each original; needed if ``masking`` > 0.
    masking : float
        Weight of audibility against success.
    transforms : sequence of callable
        Random transforms that the adversary must survive.
    draws : int
        Draws of the transforms per step.
    first : list of (Tensor, Tensor)
        Originals as a leaf, and the model's outputs for them with their graph: at most one pair,
        which the first step takes out.
    """

    x: Tensor
    objective: Objective
    generators: tuple[torch.Generator, ...]
    threshold: MaskingThreshold | None = None
    masking: float = 0.0
    transforms: Sequence[Transform] = ()
    draws: int = 1
    first: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def __getitem__(self, rows: Tensor) -> Problem:
        """Select sounds: Tensor [row], int64."""
        return Problem(
            self.x[rows],
            self.objective[rows],
            tuple(self.generators[i] for i in rows.tolist()),
            None if self.threshold is None else self.threshold[rows],
            self.masking,
            self.transforms,
            self.draws,
        )

    def transformed(self, sound: Tensor) -> Tensor:
        """Apply one draw of all transforms to each sound: Tensor [batch, sample]."""
        rows = []
        for row, generator in zip(sound, self.generators, strict=True):
            for transform in self.transforms:
                row = transform(row.clone(), generator)
            rows.append(row)
        return torch.stack(rows)


def pose(attack: Attack, x: Tensor | Sound, y: int | Tensor | None, first_example: int) -> Problem:
    """Check the arguments of `Attack.run` and pose the problem; the model is in eval mode."""
    x = _check_sounds(_read(attack, x), attack.amplitude)
    threshold = None
    if attack.masking and attack.sample_rate:
        threshold = masking_threshold(x, sr=attack.sample_rate)
    outputs, first = _outputs(attack, x)
    return Problem(
        x=x,
        objective=_objective(attack, x, y, outputs, first_example),
        generators=tuple(torch_generator(attack.seed, first_example + i) for i in range(len(x))),
        threshold=threshold,
        masking=attack.masking,
        transforms=attack.transforms,
        draws=attack.draws,
        first=first,
    )


def _outputs(attack: Attack, x: Tensor) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """Evaluate sounds, warn if the outputs depend on their batch, and return `Problem.first`.

    A single sound is evaluated again, with the graph that the first step needs.
    """
    with torch.no_grad():
        try:
            outputs = predict(attack.model, x)
        except ParameterError as err:
            raise with_remedy(
                err, attack.model, x[:, None, :, None], layout=SOUND
            ) from err.__cause__
    first = []
    if len(x) == 1 and attack.memory_format == "contiguous":
        leaf = x.clone().requires_grad_()
        first = [(leaf, predict(attack.model, leaf))]
        again = first[0][1].detach()
        if not batch_dependence(lambda *_: again, outputs, 1, inputs=x.dtype):
            return outputs, first
    with torch.no_grad():
        dependence = batch_dependence(
            lambda start, end: predict(attack.model, x[start:end]),
            outputs,
            len(x),
            inputs=x.dtype,
        )
    if dependence:
        text = dependence_text(dependence, "a sound")
        remedy = "" if dependence == "random" else "; adversaries may fail when they are alone"
        warnings.warn(f"{text}{remedy}", stacklevel=5)
    return outputs, first


def _objective(
    attack: Attack, x: Tensor, y: int | Tensor | None, outputs: Tensor, first_example: int
) -> Objective:
    kind = kind_of_outputs(attack.model, attack.outputs, outputs)
    posterior = log_posterior(outputs, kind).exp()
    n_labels = posterior.shape[-1]
    if y is None:
        if attack.goal is not None and attack.goal.mode == "truth":
            raise ParameterError("a goal of 'truth' needs the true labels: y=")
        pooled = posterior if posterior.ndim == 2 else aggregate(posterior, attack.aggregation)
        labels = pooled.argmax(-1)
    else:
        labels = torch.as_tensor(y, device=x.device)
        labels = labels.expand(len(x)) if labels.ndim == 0 else labels
        labels = check_labels("y", labels, n_labels=n_labels, n_sounds=len(x))
    if attack.goal is not None:
        labels = attack.goal.labels(labels, n_labels=n_labels, first_example=first_example)
    if labels.ndim == 2 and labels.shape != outputs.shape[:-1]:
        raise ParameterError(
            f"labels have shape {tuple(labels.shape)}, the model's frames are "
            f"{list(outputs.shape[:-1])}: give one label per sound, or one per frame"
        )
    return Objective(
        labels,
        targeted=attack.goal is not None,
        outputs=kind,
        aggregation=attack.aggregation,
        confidence=attack.confidence,
        untargeted_loss=attack.untargeted_loss,
    )


def _read(attack: Attack, x: Tensor | Sound) -> Tensor:
    """Return the sounds given; other things than a Tensor in the model's type, on its device."""
    if isinstance(x, Tensor):
        return x
    is_array = isinstance(x, np.ndarray)
    y = as_samples("x", x) if is_array else read_sound(x, attack.sample_rate, name="x")[0]
    return y.to(device_of(attack.model), dtype_of(attack.model, torch.float32))


def _check_sounds(x: Tensor, amplitude: float | None) -> Tensor:
    """Check sounds [sample] or [batch, sample]; return them as [batch, sample]."""
    if x.dtype not in (torch.float32, torch.float64):
        raise ParameterError(f"x is {x.dtype}, must be a Tensor of float32 or float64")
    if x.ndim not in (1, 2) or x.numel() == 0:
        raise ParameterError(
            f"x has shape {tuple(x.shape)}, must be [sample] or [batch, sample], not empty"
        )
    x = torch.atleast_2d(x.detach().clone())
    bad = int((~x.isfinite()).sum())
    if bad:
        raise ParameterError(f"{bad} of {x.numel()} samples of x are NaN or infinite")
    silent = (x == 0).all(1).nonzero()[:, 0].tolist()
    if silent:
        raise ParameterError(
            f"sound {silent[0]} is silent: no signal-to-noise ratio is defined; leave it out"
        )
    peak = float(x.abs().max())
    if amplitude is not None and peak > amplitude:
        raise ParameterError(
            f"x peaks at {peak:.3f}, beyond the amplitude of {amplitude:g}; "
            "scale it, or pass amplitude=None"
        )
    return x

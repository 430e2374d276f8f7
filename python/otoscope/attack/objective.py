"""The aim of an attack: labels to reach or to leave, and the loss, confidence and success.

A model with one output has two labels: 0, the class is absent, and 1, it is present.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from otoscope.attack.kernels import assess_outputs, on_kernel
from otoscope.errors import ParameterError
from otoscope.protocols import Outputs
from otoscope.seeds import torch_generator

__all__ = [
    "Aggregation",
    "Assessment",
    "Goal",
    "Objective",
    "Outputs",
    "UntargetedLoss",
    "aggregate",
    "check_labels",
    "log_posterior",
]

Aggregation: TypeAlias = Literal["soft", "hard"]
UntargetedLoss: TypeAlias = Literal["strongest_other", "cross_entropy"]


def aggregate(posterior: Tensor, aggregation: Aggregation = "soft") -> Tensor:
    """Pool the posteriors of the frames of a sound.

    Parameters
    ----------
    posterior : Tensor [..., frame, label]
        Probabilities.
    aggregation : {"soft", "hard"}
        Mean of the posteriors, or fraction of frames that vote for a label.

    Returns
    -------
    Tensor [..., label]
        Pooled posterior; sums to 1.

    Raises
    ------
    ParameterError
        If the aggregation is unknown.

    Notes
    -----
    The paper's text says majority vote; its code sums posteriors.

    References
    ----------
    Kereliuk et al. (2015) :cite:`kereliuk2015`, section III.

    Examples
    --------
    >>> frames = torch.tensor([[0.4, 0.6], [0.4, 0.6], [1.0, 0.0]])
    >>> aggregate(frames), aggregate(frames, "hard")
    (tensor([0.6000, 0.4000]), tensor([0.3333, 0.6667]))
    """
    if aggregation not in ("soft", "hard"):
        raise ParameterError(f"aggregation is {aggregation!r}, must be 'soft' or 'hard'")
    if aggregation == "hard":
        posterior = F.one_hot(posterior.argmax(-1), posterior.shape[-1]).to(posterior)
    return posterior.mean(-2)


def log_posterior(values: Tensor, outputs: Outputs) -> Tensor:
    """Convert outputs [..., output] to log probabilities of labels [..., label], at least 2 labels.

    Several outputs are exclusive classes; one output is the probability of label 1.
    """
    if outputs == "probabilities":
        p = torch.cat([1 - values, values], -1) if values.shape[-1] == 1 else values
        return p.clamp(min=torch.finfo(p.dtype).tiny).log()
    if values.shape[-1] == 1:
        return F.logsigmoid(torch.cat([-values, values], -1))
    return F.log_softmax(values, -1)


@dataclass(frozen=True, eq=False)
class Assessment:
    """Loss [batch], confidence in the aim [batch], and success [batch], bool, of candidates."""

    loss: Tensor
    confidence: Tensor
    success: Tensor


@dataclass(frozen=True, eq=False)
class Objective:
    """Predictions that an attack aims at; rows are sounds.

    Parameters
    ----------
    labels : Tensor [batch] or [batch, frame], int64
        Labels to reach, or to leave.
    targeted : bool
        True: reach the labels.
    outputs : {"logits", "probabilities"}
        Kind of the model's outputs.
    aggregation : {"soft", "hard"}
        How outputs per frame are pooled if a label is one of the whole sound.
    confidence : float, optional
        Success means that the aim is the most probable label (of every frame, with labels per
        frame); with this, the confidence in it (the mean over frames) must also be at least this.
    untargeted_loss : {"strongest_other", "cross_entropy"}
        Loss that leaves a label; see `assess`.
    """

    labels: Tensor
    targeted: bool
    outputs: Outputs = "logits"
    aggregation: Aggregation = "soft"
    confidence: float | None = None
    untargeted_loss: UntargetedLoss = "strongest_other"

    def __getitem__(self, rows: Tensor) -> Objective:
        """Select sounds: Tensor [row], int64."""
        return replace(self, labels=self.labels[rows])

    def assess(self, values: Tensor) -> Assessment:
        """Compare outputs [batch, output] or [batch, frame, output] with the aim.

        The loss is the cross-entropy with the aim, averaged over frames. To leave a label is to
        reach the strongest other one ("strongest_other"), or to climb the cross-entropy with the
        label ("cross_entropy", as in torchattacks): its gradient vanishes where the model is most
        confident.
        """
        log_p = log_posterior(values, self.outputs)
        pools = log_p.ndim == 3 and self.labels.ndim == 1
        posterior = log_p.detach().exp()
        if pools:
            posterior = aggregate(posterior, self.aggregation)
        aim = self.labels if self.targeted else _strongest_other(posterior, self.labels)
        confidence = posterior.gather(-1, aim[..., None])[..., 0]
        highest = posterior.argmax(-1)
        success = highest == self.labels if self.targeted else highest != self.labels
        expected = self.labels if self._climbs else aim
        if pools:
            expected = expected[:, None].expand(log_p.shape[:-1])
        loss = F.nll_loss(log_p.flatten(0, -2), expected.flatten(), reduction="none")
        loss = (-loss if self._climbs else loss).view(expected.shape)
        if expected.ndim == 2:
            loss = loss.mean(1)
        if aim.ndim == 2:
            confidence, success = confidence.mean(1), success.all(1)
        if self.confidence is not None:
            success = success & (confidence >= self.confidence)
        return Assessment(loss, confidence, success)

    def assess_with_slope(self, values: Tensor) -> tuple[Assessment, Tensor]:
        """Assess outputs, and differentiate the sum of the losses with respect to them."""
        if type(self).assess is Objective.assess and on_kernel(values):
            is_hard = self.aggregation == "hard"
            flags = (self.outputs == "probabilities", is_hard, self.targeted, self._climbs)
            *parts, slope = assess_outputs(values, self.labels, flags=flags, least=self.confidence)
            return Assessment(*parts), slope
        leaf = values.detach().requires_grad_()
        with torch.enable_grad():
            assessment = self.assess(leaf)
            (slope,) = torch.autograd.grad(assessment.loss.sum(), leaf)
        return replace(assessment, loss=assessment.loss.detach()), slope

    @property
    def _climbs(self) -> bool:
        """True if the loss leaves a label by climbing its cross-entropy."""
        return not self.targeted and self.untargeted_loss == "cross_entropy"


def _strongest_other(posterior: Tensor, labels: Tensor) -> Tensor:
    return posterior.scatter(-1, labels[..., None], -1.0).argmax(-1)


@dataclass(frozen=True, eq=False)
class Goal:
    """Rule that chooses the target label of each sound.

    Parameters
    ----------
    mode : {"all_same", "truth", "random", "all_wrong"}
        Target of each sound: ``label``; its true label (inflates accuracy); a random label; a
        random label other than the true one.
    label : int or Tensor [batch] or [batch, frame], optional
        Target for "all_same": one label, or one per sound (or per frame).
    seed : int
        Random seed; the draw of a sound depends on its index only, not on its batch.

    Raises
    ------
    ParameterError
        If the mode is unknown, or "all_same" comes without a label or another mode with one.

    References
    ----------
    Kereliuk et al. (2015) :cite:`kereliuk2015`, section IV.

    Examples
    --------
    >>> Goal("all_wrong").labels(torch.tensor([0, 1]), n_labels=2)
    tensor([1, 0])
    """

    mode: Literal["all_same", "truth", "random", "all_wrong"]
    label: int | Tensor | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        modes = ("all_same", "truth", "random", "all_wrong")
        if self.mode not in modes:
            raise ParameterError(f"mode is {self.mode!r}, must be one of {', '.join(modes)}")
        if (self.label is not None) != (self.mode == "all_same"):
            raise ParameterError(
                f"mode {self.mode!r} came with label {self.label}; "
                "'all_same' needs a label (0 is one), the others choose it"
            )

    def labels(self, y: Tensor, *, n_labels: int, first_example: int = 0) -> Tensor:
        """Choose the label of each sound.

        Parameters
        ----------
        y : Tensor [batch] or [batch, frame], int64
            True labels.
        n_labels : int
            Number of labels.
        first_example : int
            Index of the first sound of the batch among all that are attacked.

        Returns
        -------
        Tensor [batch] or [batch, frame]
            Target labels, int64.

        Raises
        ------
        ParameterError
            If a label is out of range, or the number of labels is not that of the sounds.

        Examples
        --------
        >>> Goal("all_same", label=0).labels(torch.tensor([3, 1]), n_labels=4)
        tensor([0, 0])
        """
        if self.label is not None:
            label = torch.as_tensor(self.label, device=y.device)
            label = label.expand(len(y)) if label.ndim == 0 else label
            return check_labels("the target", label, n_labels=n_labels, n_sounds=len(y))
        if self.mode == "truth":
            return y
        others = n_labels - (self.mode == "all_wrong")
        draws = torch.stack(
            [
                torch.randint(
                    others, y.shape[1:], generator=torch_generator(self.seed, first_example + i)
                )
                for i in range(len(y))
            ]
        ).to(y.device)
        # The others in a ring: 1 to n_labels - 1 steps from the truth, all equally likely.
        return draws if self.mode == "random" else (y + 1 + draws) % n_labels


def check_labels(name: str, labels: Tensor, *, n_labels: int, n_sounds: int) -> Tensor:
    """Check labels [batch] or [batch, frame]: integers in 0..n_labels - 1, one row per sound."""
    integral = not (labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool)
    if not integral or labels.ndim not in (1, 2) or len(labels) != n_sounds:
        raise ParameterError(
            f"{name} has shape {tuple(labels.shape)} and dtype {labels.dtype}; must be integers, "
            f"[{n_sounds}] (one per sound) or [{n_sounds}, frame]"
        )
    outside = labels[(labels < 0) | (labels >= n_labels)]
    if len(outside):
        raise ParameterError(f"{name} is {int(outside[0])}, must be in 0..{n_labels - 1}")
    return labels.long()

"""Losses of strong attacks: cross-entropy, difference of logits ratio, and margin.

All are to be descended, and all are of the log posterior z of the labels, [batch, label]: adding a
constant to all logits of a sound changes none of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from otoscope.attack.objective import Assessment, Objective, log_posterior
from otoscope.errors import ParameterError

__all__ = ["Loss", "LossObjective", "check_loss", "pooled_log_posterior", "targets_of"]

Loss: TypeAlias = Literal["auto", "ce", "dlr", "margin"]


@dataclass(frozen=True, eq=False)
class LossObjective(Objective):
    """Objective whose loss is one of the losses of strong attacks.

    Parameters
    ----------
    loss : {"auto", "ce", "dlr", "margin"}
        With y the label to leave: log p_y ("ce"); z_y - max_{i != y} z_i ("margin"); the margin
        over z_(1) - z_(3), the largest minus the third largest ("dlr"). With t the label to reach:
        -log p_t; max_{i != t} z_i - z_t; the margin over z_(1) - (z_(3) + z_(4)) / 2. "auto" is
        "dlr" where there are enough labels (3, or 4 with a target), otherwise "margin".
    towards : Tensor [batch], int64, optional
        Label t that the loss leads to while success still is to leave y; then the margin is
        z_y - z_t.

    References
    ----------
    Croce and Hein (2020) :cite:`croce2020`, section 4.

    Notes
    -----
    The paper's targeted ratio has the logit of the true label, as here with ``towards``. With
    labels to reach, it has the strongest label other than the target: then it is negative exactly
    when the target is predicted.
    """

    loss: Loss = "auto"
    towards: Tensor | None = None

    @classmethod
    def of(cls, objective: Objective, loss: Loss) -> LossObjective:
        """Give an objective a loss."""
        if isinstance(objective, cls):
            return replace(objective, loss=loss)
        return cls(
            objective.labels,
            objective.targeted,
            objective.outputs,
            objective.aggregation,
            objective.confidence,
            objective.untargeted_loss,
            loss,
        )

    def __getitem__(self, rows: Tensor) -> LossObjective:
        """Select sounds: Tensor [row], int64."""
        towards = None if self.towards is None else self.towards[rows]
        return replace(self, labels=self.labels[rows], towards=towards)

    def assess(self, values: Tensor) -> Assessment:
        """Compare outputs [batch, output] or [batch, frame, output] with the aim."""
        z, labels = self.scores(values), self.labels
        if z.ndim == 3 and labels.ndim == 1:
            labels = labels[:, None].expand(z.shape[:-1])
        loss = self._loss(z, labels)
        return replace(super().assess(values), loss=loss.mean(1) if loss.ndim == 2 else loss)

    def shortfall(self, values: Tensor) -> Tensor:
        """Return what each sound lacks to success, [batch], in nats; negative where it succeeds.

        It is the margin, or what the aim lacks to the confidence required, whichever is more; with
        labels per frame the largest margin of a frame, with votes per frame the mean.
        """
        z, labels = self.scores(values), self.labels
        is_pooled = z.ndim == 3 and labels.ndim == 1
        each = labels[:, None].expand(z.shape[:-1]) if is_pooled else labels
        margin = replace(self, loss="margin")._loss(z, each)
        if margin.ndim == 2:  # labels per frame: all of them decide
            margin = margin.mean(1) if is_pooled else margin.amax(1)
        if self.confidence is None:
            return margin
        z = pooled_log_posterior(z) if is_pooled else z
        if self.towards is not None or self.targeted:
            aim = labels if self.towards is None else self.towards
            goal = z.gather(-1, aim[..., None])[..., 0]
        else:
            goal = z.scatter(-1, labels[..., None], -math.inf).amax(-1)
        goal = goal.mean(1) if goal.ndim == 2 else goal
        return torch.maximum(margin, math.log(self.confidence) - goal)

    def scores(self, values: Tensor) -> Tensor:
        """Return z: [batch, label], or [batch, frame, label] for labels or votes per frame."""
        z = log_posterior(values, self.outputs)
        pools = z.ndim == 3 and self.labels.ndim == 1 and self.aggregation == "soft"
        return pooled_log_posterior(z) if pools else z

    def _loss(self, z: Tensor, labels: Tensor) -> Tensor:
        own = z.gather(-1, labels[..., None])[..., 0]
        loss = self._applicable(z.shape[-1])
        if self.towards is not None:
            towards = self.towards.view(-1, *[1] * (own.ndim - 1)).expand_as(own)
            goal = z.gather(-1, towards[..., None])[..., 0]
            if loss == "ce":
                return -goal
            margin = own - goal
        else:
            sign = -1 if self.targeted else 1
            if loss == "ce":
                return sign * own
            margin = sign * (own - z.scatter(-1, labels[..., None], -math.inf).amax(-1))
        if loss == "margin":
            return margin
        top = z.topk(4 if self._has_target else 3, dim=-1).values
        span = top[..., 0] - top[..., 2:].mean(-1)
        return margin / span.clamp(min=torch.finfo(z.dtype).eps)

    @property
    def _has_target(self) -> bool:
        return self.targeted or self.towards is not None

    def _applicable(self, n_labels: int) -> Loss:
        least = 4 if self._has_target else 3
        if self.loss == "auto":
            return "dlr" if n_labels >= least else "margin"
        if self.loss == "dlr" and n_labels < least:
            kind = "with a target" if self._has_target else "without a target"
            raise ParameterError(
                f"loss is 'dlr', which needs {least} labels {kind}; the model has {n_labels}: "
                "pass loss='margin', 'ce' or 'auto'"
            )
        return self.loss


def pooled_log_posterior(log_p: Tensor) -> Tensor:
    """Return the logarithm of the mean posterior: [batch, frame, label] -> [batch, label]."""
    pooled: Tensor = log_p.logsumexp(1) - math.log(log_p.shape[1])
    return pooled


def targets_of(objective: LossObjective, values: Tensor, n_targets: int) -> Tensor:
    """List the strongest labels other than those to leave: Tensor [target, batch].

    ``values`` are the outputs for the sounds; there are at most (number of labels - 1) targets.
    """
    z = objective.scores(values)
    if z.ndim == 3:
        z = pooled_log_posterior(z)
    if objective.labels.ndim != 1:
        raise ParameterError("targets are of whole sounds, y has labels per frame: use APGD")
    z = z.scatter(-1, objective.labels[:, None], -math.inf)
    return z.topk(min(n_targets, z.shape[-1] - 1), dim=-1).indices.T


def check_loss(loss: str) -> None:
    """Refuse an unknown loss."""
    if loss not in ("auto", "ce", "dlr", "margin"):
        raise ParameterError(f"loss is {loss!r}, must be 'auto', 'ce', 'dlr' or 'margin'")

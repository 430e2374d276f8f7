"""What an attack wants a model to say, and how far it is: loss, confidence, success.

A model of one column knows two labels: 0, it is not there, and 1, it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from otoscope.errors import ParameterError

__all__ = ["Aggregation", "Objective", "Outputs", "Verdict", "aggregate", "log_posterior"]

Outputs: TypeAlias = Literal["logits", "probabilities"]
Aggregation: TypeAlias = Literal["soft", "hard"]


def aggregate(posterior: Tensor, aggregation: Aggregation = "soft") -> Tensor:
    """Sum up what a model says of the frames of a sound.

    Parameters
    ----------
    posterior : Tensor [..., frame, label]
        Probabilities.
    aggregation : {"soft", "hard"}
        The mean of the posteriors, or the share of frames that vote for a label.

    Returns
    -------
    Tensor [..., label]
        Sums to 1.

    Raises
    ------
    ParameterError
        If the aggregation is unknown.

    Notes
    -----
    The paper's text says majority vote; its code sums posteriors.

    References
    ----------
    Kereliuk, Sturm and Larsen, "Deep learning and music adversaries", IEEE Trans. Multimedia
    17(11), 2015, section III.

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
    """Turn a model's outputs into log probabilities of labels.

    Parameters
    ----------
    values : Tensor [..., output]
        Of several outputs exactly one label holds; one output says whether label 1 does.
    outputs : {"logits", "probabilities"}
        What they are.

    Returns
    -------
    Tensor [..., label]
        At least 2 labels.

    Examples
    --------
    >>> log_posterior(torch.tensor([[0.25]]), "probabilities").exp()
    tensor([[0.7500, 0.2500]])
    """
    if outputs == "probabilities":
        p = torch.cat([1 - values, values], -1) if values.shape[-1] == 1 else values
        return p.clamp(min=torch.finfo(p.dtype).tiny).log()
    if values.shape[-1] == 1:
        return F.logsigmoid(torch.cat([-values, values], -1))
    return F.log_softmax(values, -1)


@dataclass(frozen=True, eq=False)
class Verdict:
    """What a model says of a batch, seen from the attack.

    Parameters
    ----------
    loss : Tensor [batch]
        To be made small; differentiable.
    confidence : Tensor [batch]
        In the aim: the target, or the strongest label other than the one to leave.
    success : Tensor [batch], bool
        Whether the attack has what it wants.

    Examples
    --------
    >>> Verdict(torch.zeros(1), torch.ones(1), torch.ones(1, dtype=torch.bool)).success
    tensor([True])
    """

    loss: Tensor
    confidence: Tensor
    success: Tensor


@dataclass(frozen=True, eq=False)
class Objective:
    """What the model is to say of each sound.

    Parameters
    ----------
    labels : Tensor [batch] or [batch, frame], int64
        To reach, or to leave.
    targeted : bool
        Reach them.
    outputs : {"logits", "probabilities"}
        What the model gives.
    aggregation : {"soft", "hard"}
        How a model of frames is counted where a label is a whole sound's.
    confidence : float, optional
        Success is that the aim is the most probable label (of every frame, where labels are a
        frame's); with this, the confidence in it (the mean over frames) is at least this as well.

    Examples
    --------
    >>> aim = Objective(torch.tensor([1]), targeted=True)
    >>> aim.judge(torch.tensor([[0.0, 2.0]])).success
    tensor([True])
    """

    labels: Tensor
    targeted: bool
    outputs: Outputs = "logits"
    aggregation: Aggregation = "soft"
    confidence: float | None = None

    def __getitem__(self, examples: Tensor) -> Objective:
        return replace(self, labels=self.labels[examples])

    def judge(self, values: Tensor) -> Verdict:
        """Compare a model's outputs with what they should be.

        Parameters
        ----------
        values : Tensor [batch, output] or [batch, frame, output]
            What the model says.

        Returns
        -------
        Verdict
            The loss is the cross-entropy with the aim, meant over frames.

        Notes
        -----
        Leaving a label is reaching the strongest other one: the gradient of the cross-entropy
        with the label to leave vanishes exactly where the model is surest of it.

        Examples
        --------
        >>> aim = Objective(torch.tensor([0]), targeted=False, outputs="probabilities")
        >>> aim.judge(torch.tensor([[0.2]])).confidence
        tensor([0.2000])
        """
        log_p = log_posterior(values, self.outputs)
        pools = log_p.ndim == 3 and self.labels.ndim == 1
        posterior = log_p.detach().exp()
        if pools:
            posterior = aggregate(posterior, self.aggregation)
        aim = self.labels if self.targeted else _strongest_other(posterior, self.labels)
        confidence = posterior.gather(-1, aim[..., None])[..., 0]
        reached = (posterior.argmax(-1) == self.labels) == self.targeted
        each = aim[:, None].expand(log_p.shape[:-1]) if pools else aim
        loss = F.nll_loss(log_p.flatten(0, -2), each.flatten(), reduction="none").view(each.shape)
        if each.ndim == 2:
            loss = loss.mean(1)
        if aim.ndim == 2:
            confidence, reached = confidence.mean(1), reached.all(1)
        if self.confidence is not None:
            reached = reached & (confidence >= self.confidence)
        return Verdict(loss, confidence, reached)


def _strongest_other(posterior: Tensor, labels: Tensor) -> Tensor:
    return posterior.scatter(-1, labels[..., None], -1.0).argmax(-1)

"""Adversaries that training is made against: the paper's single step, and projected descent."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from otoscope.errors import ParameterError, require_integer
from otoscope.protocols import evaluating, weights_digest
from otoscope.train.genre.learner import Adversary, logits_of

__all__ = ["one_step", "pgd"]


def one_step(fixed: nn.Module, epsilon: float) -> Adversary:
    """Perturb each batch by one step along the signs of a fixed network's gradient.

    Parameters
    ----------
    fixed : FrameDNN or ConvDNN
        Network whose loss rises; it is not the one in training, and stays as it is.
    epsilon : float
        Length of the step in each bin, in standard deviations of the bin, > 0.

    Returns
    -------
    callable
        Function (network, standardised batch, labels) -> batch, for ``train_genre(adversary=)``.

    Raises
    ------
    ParameterError
        If ``epsilon`` is not > 0.

    Notes
    -----
    The paper replaces every batch so, and finds that the network trained on it is as easily fooled
    as before: the perturbations are always those of another network.

    References
    ----------
    Kereliuk et al. (2015) :cite:`kereliuk2015`, section V.

    Examples
    --------
    >>> from otoscope.models.genre import FrameDNN
    >>> adversary = one_step(FrameDNN(2), 0.1)
    >>> moved = adversary(FrameDNN(2, seed=1), torch.ones(3, 513), torch.tensor([0, 1, 1]))
    >>> round(float((moved - 1).abs().max()), 3)
    0.1
    """
    _check("epsilon", epsilon)

    def adversary(_: nn.Module, values: Tensor, labels: Tensor) -> Tensor:
        return values + epsilon * _gradient(fixed, values, labels).sign()

    adversary.__name__ = f"one_step of {weights_digest(fixed)} by {epsilon:g}"
    return adversary


def pgd(steps: int, radius: float) -> Adversary:
    """Perturb each batch by projected gradient descent on the network in training.

    Parameters
    ----------
    steps : int
        Number of steps, >= 1; each is 2.5 * radius / steps long.
    radius : float
        Norm of the change of a frame, or of each frame of a window on average, in standard
        deviations of the bins, > 0.

    Returns
    -------
    callable
        Function (network, standardised batch, labels) -> batch, for ``train_genre(adversary=)``.

    Raises
    ------
    ParameterError
        If a number is out of range.

    References
    ----------
    Madry et al. (2018) :cite:`madry2018`.

    Examples
    --------
    >>> from otoscope.models.genre import FrameDNN
    >>> moved = pgd(3, 2.0)(FrameDNN(2), torch.zeros(3, 513), torch.tensor([0, 1, 1]))
    >>> bool((moved.norm(dim=1) <= 2.0001).all())
    True
    """
    require_integer("steps", steps, least=1)
    _check("radius", radius)

    def adversary(network: nn.Module, values: Tensor, labels: Tensor) -> Tensor:
        # a window of n frames has sqrt(n) times the norm of a frame
        reach = radius if values.ndim == 2 else radius * values.shape[-2] ** 0.5
        length, change = 2.5 * reach / steps, torch.zeros_like(values)
        for _ in range(steps):
            gradient = _gradient(network, values + change, labels)
            change = change + length * gradient / _norm(gradient).clamp(min=1e-12)
            change = change / (_norm(change) / reach).clamp(min=1)
        return values + change

    adversary.__name__ = f"pgd of {steps} steps within {radius:g}"
    return adversary


def _norm(values: Tensor) -> Tensor:
    """Norm of each example, with the axes kept."""
    norm: Tensor = values.flatten(1).norm(dim=1).view(-1, *[1] * (values.ndim - 1))
    return norm


def _gradient(network: nn.Module, values: Tensor, labels: Tensor) -> Tensor:
    """Gradient of the loss, without dropout; the gradients of the weights stay as they are."""
    with evaluating(network), torch.enable_grad():
        values = values.detach().requires_grad_()
        loss = F.cross_entropy(logits_of(network, values), labels, reduction="sum")
        gradient: Tensor = torch.autograd.grad(loss, values)[0]
    return gradient


def _check(name: str, value: float) -> None:
    if not 0 < value < float("inf"):
        raise ParameterError(f"{name} is {value}, must be finite and > 0")

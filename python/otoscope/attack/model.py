"""The model under attack: called with checks, in eval mode, and asked for its gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from otoscope.attack.objective import Outputs
from otoscope.errors import ParameterError
from otoscope.protocols import Model, SoundClassifier, call_model

__all__ = ["check_differentiable", "gradient_of", "hear", "kind_of_outputs", "unit"]


def hear(model: Model, sound: Tensor) -> Tensor:
    """Call a model and check what it returns.

    Parameters
    ----------
    model : callable
        Sound [batch, sample] -> [batch, output] or [batch, frame, output].
    sound : Tensor [batch, sample]
        What it hears (or spectra, for a model of these).

    Returns
    -------
    Tensor [batch, output] or [batch, frame, output]
        Floating and finite.

    Raises
    ------
    ParameterError
        If the model returns something else.

    Examples
    --------
    >>> hear(lambda sound: sound.mean(1, keepdim=True), torch.ones(2, 4)).shape
    torch.Size([2, 1])
    """
    return call_model(model, sound, axes="[batch, sample]", frames=True, gradient=True, finite=True)


def check_differentiable(model: object) -> None:
    """Refuse a listening model that says that it has no gradient."""
    if isinstance(model, SoundClassifier) and not model.model.differentiable:
        raise ParameterError(
            f"{type(model.model).__name__} gives no gradient (differentiable is False); attacks "
            "need one: load a copy of the network in torch, not in ONNX"
        )


def kind_of_outputs(model: Model, outputs: Outputs | None, values: Tensor) -> Outputs:
    """Find out whether a model gives logits or probabilities.

    Parameters
    ----------
    model : callable
        May say so in an attribute ``outputs``.
    outputs : {"logits", "probabilities"}, optional
        What the user says.
    values : Tensor [..., output]
        What it gave.

    Returns
    -------
    {"logits", "probabilities"}
        Logits, if nobody says anything.

    Raises
    ------
    ParameterError
        If nobody says anything and the values look like probabilities, or the values are not what
        they are said to be.

    Examples
    --------
    >>> kind_of_outputs(torch.nn.Linear(2, 2), None, torch.tensor([[3.0, -1.0]]))
    'logits'
    """
    said: Outputs | None = outputs or getattr(model, "outputs", None)
    if said not in (None, "logits", "probabilities"):
        raise ParameterError(f"outputs is {said!r}, must be 'logits' or 'probabilities'")
    total = values.sum(-1) if values.shape[-1] > 1 else torch.ones(())
    within = bool(((values >= -1e-6) & (values <= 1 + 1e-6)).all())
    could_be = within and bool(((total - 1).abs() < 1e-3).all())
    if said is None and could_be:
        raise ParameterError(
            "the model's outputs could be probabilities or logits; "
            "say outputs='probabilities' or outputs='logits'"
        )
    if said == "probabilities" and not could_be:
        remedy = "say outputs='logits'"
        if within:
            remedy += ", or choose one of its tags with SoundClassifier(model, classes=...)"
        raise ParameterError(
            f"outputs in {float(values.min()):.3g}..{float(values.max()):.3g} that sum to "
            f"{float(total.flatten()[0]):.3g} are no probabilities of labels of which one holds; "
            f"{remedy}"
        )
    return said or "logits"


def gradient_of(loss: Tensor, at: Tensor) -> Tensor:
    """Differentiate a loss, or say why it cannot be.

    Parameters
    ----------
    loss : Tensor [batch]
        Each entry depends on its own row of ``at`` only.
    at : Tensor [batch, ...]
        Requires its gradient.

    Returns
    -------
    Tensor [batch, ...]
        Like ``at``.

    Raises
    ------
    ParameterError
        If the loss does not depend on it differentiably, or the gradient is not finite.

    Examples
    --------
    >>> at = torch.ones(1, 2, requires_grad=True)
    >>> gradient_of(at.square().sum(1), at)
    tensor([[2., 2.]])
    """
    gradient = None
    if loss.requires_grad:
        (gradient,) = torch.autograd.grad(loss.sum(), at, allow_unused=True)
    if gradient is None:
        raise ParameterError(
            "the model gives no gradient: its outputs do not depend on the sound through torch; "
            "leave out torch.no_grad, .detach() and numpy, or use a copy of the network in torch"
        )
    if not bool(gradient.isfinite().all()):
        raise ParameterError(
            "the model's gradient is NaN or infinite (a square root or a logarithm of 0?); "
            "add a small constant there"
        )
    return gradient


def unit(vector: Tensor, *, order: int = 2) -> Tensor:
    """Scale each row to norm 1.

    Parameters
    ----------
    vector : Tensor [batch, ...]
        Any; rows of zeros stay.
    order : int
        Of the norm.

    Returns
    -------
    Tensor [batch, ...]
        Directions.

    Examples
    --------
    >>> unit(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([[0.6000, 0.8000],
            [0.0000, 0.0000]])
    """
    norm = vector.flatten(1).norm(p=order, dim=1).view(-1, *[1] * (vector.ndim - 1))
    direction: Tensor = vector / norm.where(norm > 0, 1)
    return direction

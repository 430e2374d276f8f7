"""The attacked model: guarded predictions, gradients, and classifiers of magnitude spectra."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from otoscope.attack.kernels import are_finite, divisor_of
from otoscope.attack.objective import Outputs
from otoscope.errors import Advice, Argument, ParameterError
from otoscope.protocols import (
    Model,
    SoundClassifier,
    Target,
    call_model,
    choose_targets,
    declared_outputs,
)
from otoscope.signal.stft import hann, stft

__all__ = [
    "SpectrumClassifier",
    "backpropagate",
    "check_differentiable",
    "classifier_of",
    "gradient_not_finite",
    "gradient_of",
    "kind_of_outputs",
    "predict",
    "unit",
]


class SpectrumClassifier(nn.Module):
    """Differentiable classifier of sounds from a model of magnitude spectra.

    Parameters
    ----------
    model : callable
        Magnitudes [batch, frame, bin] -> [batch, output] or [batch, frame, output].
    n_fft, hop_length : int
        Samples per frame and between frames; the window is a symmetric Hann, without padding.
    outputs : {"logits", "probabilities"}, optional
        Kind of the outputs; by default the model's attribute ``outputs``.
    sample_rate : int
        Sample rate in hertz.

    References
    ----------
    Kereliuk et al. (2015) :cite:`kereliuk2015`, section III.

    Examples
    --------
    >>> import torch
    >>> SpectrumClassifier(nn.Linear(513, 10))(torch.zeros(1, 2048)).shape
    torch.Size([1, 3, 10])
    """

    def __init__(
        self,
        model: Callable[[Tensor], Tensor],
        *,
        n_fft: int = 1024,
        hop_length: int = 512,
        outputs: Outputs | None = None,
        sample_rate: int = 22050,
    ) -> None:
        super().__init__()
        self.model = model
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.outputs = outputs or declared_outputs(model)
        self.sample_rate = sample_rate

    def forward(self, sound: Tensor) -> Tensor:
        """Compute the outputs for sounds.

        Parameters
        ----------
        sound : Tensor [batch, sample]
            At ``sample_rate``, at least one frame long.

        Returns
        -------
        Tensor [batch, output] or [batch, frame, output]
            Outputs, differentiable.

        Examples
        --------
        >>> import torch
        >>> SpectrumClassifier(nn.Linear(513, 2))(torch.zeros(1, 1024)).shape
        torch.Size([1, 1, 2])
        """
        window = hann(self.n_fft, periodic=False)
        return self.model(stft(sound, window=window, hop_length=self.hop_length).abs())


_KIND = "as an attribute of the model, in its file"
_AS_LOGITS = ("if they are logits, give ", Argument("outputs", "logits", _KIND))


def predict(model: Model, sound: Tensor, *, finite: bool = True) -> Tensor:
    """Call a model on sounds [batch, sample] (or on spectra) and check its outputs.

    ``finite``: also that they are finite, for which a GPU must finish first.
    """
    return call_model(
        model, sound, axes="[batch, sample]", frames=True, gradient=True, finite=finite
    )


def check_differentiable(model: object) -> None:
    """Refuse a listening model whose ``differentiable`` is False."""
    if isinstance(model, SoundClassifier) and not model.model.differentiable:
        made = getattr(model.model, "front_end", None)
        if getattr(made, "differentiable", True):
            remedy = "load a copy of the network in torch, not in ONNX"
        else:
            remedy = (
                "compute the spectrogram in torch (its front_end leaves torch, as librosa does)"
            )
        raise ParameterError(
            f"{type(model.model).__name__} gives no gradient (differentiable is False); attacks "
            f"need one: {remedy}; or use Square, which needs none (--method square)"
        )


def kind_of_outputs(model: Model, outputs: Outputs | None, values: Tensor) -> Outputs:
    """Decide whether outputs [..., output] are logits or probabilities.

    ``outputs`` of the user decides, then the model's attribute ``outputs``, else logits; refused if
    the values contradict it, or if nothing is declared and the values could be probabilities.
    """
    declared = outputs or declared_outputs(model)
    if declared == "values":
        raise ParameterError(
            "the model's outputs are values, such as ratings or an embedding, and no probability "
            "of a label; attack a model that decides between labels"
        )
    if declared not in (None, "logits", "probabilities"):
        raise ParameterError(f"outputs is {declared!r}, must be 'logits' or 'probabilities'")
    total = values.sum(-1) if values.shape[-1] > 1 else torch.ones(())
    within = bool(((values >= -1e-6) & (values <= 1 + 1e-6)).all())
    could_be = within and bool(((total - 1).abs() < 1e-3).all())
    if declared is None and could_be:
        raise ParameterError(
            "the model's outputs could be probabilities or logits",
            advice=Advice(
                *("give ", Argument("outputs", "probabilities", _KIND)),
                *(" or ", Argument("outputs", "logits", _KIND)),
            ),
        )
    if declared == "probabilities" and not could_be:
        span = f"outputs in {float(values.min()):.3g}..{float(values.max()):.3g}"
        if values.shape[-1] == 1:
            raise ParameterError(
                f"{span} are no probability of a label",
                advice=Advice(*_AS_LOGITS, ", or attack a model that decides between labels"),
            )
        tags = (", or choose one of its tags with SoundClassifier(model, classes=...)",)
        raise ParameterError(
            f"{span} that sum to {float(total.flatten()[0]):.3g} are not probabilities of "
            "exclusive labels",
            advice=Advice(*_AS_LOGITS, *(tags if within else ())),
        )
    return declared or "logits"


def classifier_of(
    model: Any, x: Tensor, target: str | None, *, padded: bool = False
) -> SoundClassifier:
    """Use all outputs if they are exclusive classes; else the target's tag, or the highest."""
    least = getattr(model, "excerpt_samples", model.patch_frames * model.hop_length)
    n_frames = len(model.prepare(F.pad(x, (0, max(0, least - len(x)))) if padded else x))
    n_hops = max(1, math.ceil(n_frames / model.patch_frames) - 1)
    hop = max(1, (n_frames - model.patch_frames) // n_hops)  # excerpts reach to the end

    def of(classes: Target) -> SoundClassifier:
        return SoundClassifier(model, classes=classes, hop=hop, tail=False, padded=padded)

    names, every = model.output_names, of(None)
    with torch.no_grad():
        values = predict(every, x[None])[0]
    exclusive = every.outputs == "logits" or abs(float(values.sum()) - 1) < 1e-3
    are_tags = len(names) > 1 and not exclusive
    column = int(values.argmax())
    if target is not None:
        name = target.removeprefix("not ")
        if name != target and name in names and len(names) > 1 and exclusive:
            raise ParameterError(
                f"target is {target!r}, and the outputs are exclusive classes; must be one of "
                f"{', '.join(names)}, or none: then the aim is any other than the prediction"
            )
        (column,) = choose_targets(name, len(names), names).values()
    return of(column) if are_tags else every


def gradient_of(loss: Tensor, at: Tensor, *, finite: bool = True) -> Tensor:
    """Differentiate a loss [batch] whose rows depend on their own row of ``at`` only."""
    return backpropagate([loss.sum()], [None], at, finite=finite)


def backpropagate(
    outputs: Sequence[Tensor],
    slopes: Sequence[Tensor | None],
    at: Tensor,
    *,
    finite: bool = True,
) -> Tensor:
    """Differentiate with respect to ``at``, through outputs whose slopes are known.

    A slope of None is 1, of an output that is one number. Refuses outputs without gradients and,
    with ``finite``, gradients that are not finite.
    """
    pairs = zip(outputs, slopes, strict=True)
    known = [(output, slope) for output, slope in pairs if output.requires_grad]
    gradient = None
    if known:
        (gradient,) = torch.autograd.grad(
            [output for output, _ in known], at, [slope for _, slope in known], allow_unused=True
        )
    if gradient is None:
        raise ParameterError(
            "the model gives no gradient: its outputs do not depend on the sound through torch; "
            "leave out torch.no_grad, .detach() and numpy, use a copy of the network in torch, or "
            "use Square, which needs none (--method square)"
        )
    if finite and not are_finite(gradient):
        raise gradient_not_finite()
    return gradient


def gradient_not_finite() -> ParameterError:
    """Make the error of a gradient that is not finite."""
    return ParameterError(
        "the model's gradient is NaN or infinite (a square root or a logarithm of 0?); "
        "add a small constant there"
    )


def unit(vector: Tensor) -> Tensor:
    """Scale each row [batch, ...] to norm 1; rows of zeros stay."""
    direction: Tensor = vector / divisor_of(vector)
    return direction

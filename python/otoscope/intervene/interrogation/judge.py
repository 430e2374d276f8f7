"""A system under interrogation: whatever it is, it is asked for labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.protocols import (
    ListeningModel,
    call_guarded,
    call_model,
    choose_targets,
    device_of,
    evaluating,
)
from otoscope.signal.excerpts import sliding

__all__ = ["Hears", "Judge", "Predict"]

Predict: TypeAlias = "Callable[[Tensor], Sequence[str] | Tensor]"
"""Sounds [item, sample] or features [item, feature] to labels, or scores [item, class]."""


class Hears:
    """A listening model as one that answers with a label: the mean of its outputs over a sound.

    Parameters
    ----------
    model : ListeningModel
        Its ``patch_frames`` are laid side by side over the sound; what is left at the end is
        heard by an excerpt that ends with the sound.
    outputs : sequence of str or int, optional
        The outputs that may be answered with; all by default.
    threshold : float, optional
        Of two answers, "NAME" where the output's mean is above it and "not NAME" else; for one
        output, and 0.5 if the model has just one.

    Examples
    --------
    >>> from otoscope.models import load
    >>> hears = Hears(load("synth-singing"))
    >>> hears.output_names
    ('not singing', 'singing')
    >>> hears(torch.zeros(2, 44100)).argmax(1)
    tensor([0, 0])
    """

    def __init__(
        self,
        model: ListeningModel,
        *,
        outputs: Sequence[str | int] | None = None,
        threshold: float | None = None,
    ) -> None:
        names = model.output_names
        found = choose_targets(outputs or names, len(names), names, called="outputs")
        if len(found) == 1 and threshold is None:
            threshold = 0.5
        if threshold is not None and len(found) != 1:
            raise ParameterError(f"threshold is {threshold} for {len(found)} outputs, give one")
        self.model, self.threshold = model, threshold
        self.sample_rate = model.sample_rate
        self._columns = list(found.values())
        (first, *_) = found
        self.output_names = tuple(found) if threshold is None else (f"not {first}", first)

    @torch.no_grad()
    def __call__(self, sounds: Tensor) -> Tensor:
        """Score sounds.

        Parameters
        ----------
        sounds : Tensor [item, sample]
            At ``sample_rate``.

        Returns
        -------
        Tensor [item, class]
            On the CPU, columns as in ``output_names``.

        Examples
        --------
        >>> from otoscope.models import load
        >>> Hears(load("synth-singing"))(torch.zeros(1, 44100)).shape
        torch.Size([1, 2])
        """
        with evaluating(self.model):
            means = torch.stack([self._mean(y)[self._columns] for y in sounds])
        if self.threshold is None:
            return means
        return torch.cat([torch.full_like(means, self.threshold), means], 1)

    def _mean(self, y: Tensor) -> Tensor:
        values, length = self.model.prepare(y), self.model.patch_frames
        if len(values) < length:
            heard = length * self.model.hop_length / self.sample_rate
            raise ParameterError(
                f"{len(y) / self.sample_rate:g} analysed s are too short: the model hears "
                f"{heard:g} s at a time"
            )
        excerpts = sliding(values, length, hop=length)
        if len(values) % length:
            excerpts = torch.cat([excerpts, values[None, -length:]])
        outputs = [call_model(self.model, part[:, None]).cpu() for part in excerpts.split(64)]
        return torch.cat(outputs).mean(0)


class Judge:
    """Ask a system for labels, and check what it says.

    Parameters
    ----------
    predict : callable or ListeningModel
        See `Predict`. An nn.Module is asked in eval mode, on the device of its weights.
    classes : sequence of str, optional
        Names of the columns where ``predict`` gives scores, and the labels that may be answered;
        by default its ``output_names``.
    labels : iterable of str, optional
        Right answers; what the system says must be among them, if there are no classes.

    Raises
    ------
    ParameterError
        If ``predict`` cannot be called, or can never give one of the labels.

    Examples
    --------
    >>> judge = Judge(lambda sounds: ["loud" if y.abs().max() > 0.5 else "soft" for y in sounds])
    >>> judge(torch.ones(2, 100))
    ['loud', 'loud']
    """

    def __init__(
        self,
        predict: Any,
        *,
        classes: Sequence[str] | None = None,
        labels: Iterable[str] | None = None,
    ) -> None:
        if not callable(predict):
            raise ParameterError(
                f"predict is {type(predict).__name__}, must be a model or a function of sounds"
            )
        self._predict = Hears(predict) if isinstance(predict, ListeningModel) else predict
        self.sample_rate: int | None = getattr(self._predict, "sample_rate", None)
        model = getattr(predict, "model", predict)
        kind = getattr(predict, "__qualname__", type(predict).__name__)
        self.name = str(getattr(model, "name", "") or kind)
        names = getattr(self._predict, "output_names", None) if classes is None else classes
        self._columns = None if names is None else tuple(map(str, names))
        right = set() if labels is None else set(map(str, labels))
        self._known = set(self._columns or right)
        if never := sorted(right - self._known):
            raise ParameterError(
                f"label {never[0]!r} is none of the system's answers "
                f"({', '.join(sorted(self._known))})"
            )

    def __call__(self, batch: Tensor) -> list[str]:
        """Ask for one label an item.

        Parameters
        ----------
        batch : Tensor [item, sample] or [item, feature]
            Items.

        Returns
        -------
        list of str
            Labels.

        Raises
        ------
        ParameterError
            If the number of answers, their form or a label is not what it must be, or the system
            raises something.

        Examples
        --------
        >>> Judge(lambda x: x, classes=["a", "b"])(torch.tensor([[0.1, 0.9]]))
        ['b']
        """
        with torch.no_grad(), evaluating(self._predict):
            said = call_guarded(self._predict, batch.to(device_of(self._predict)), name="predict")
        if isinstance(said, np.ndarray) and said.ndim > 1:
            said = torch.as_tensor(said)
        if isinstance(said, str) or not hasattr(said, "__iter__"):
            raise ParameterError(f"predict gave {said!r}, must be a label an item, or scores")
        labels = self._of_scores(said) if isinstance(said, Tensor) else [str(one) for one in said]
        if len(labels) != len(batch):
            raise ParameterError(f"predict gave {len(labels)} answers to {len(batch)} items")
        if "" in labels:
            raise ParameterError("predict answered with an empty label")
        if self._known and (unknown := sorted(set(labels) - self._known)):
            raise ParameterError(
                f"predict answered {unknown[0]!r}, which is not among the labels "
                f"({', '.join(sorted(self._known))}); name all its answers with classes="
            )
        return labels

    def _of_scores(self, scores: Tensor) -> list[str]:
        if self._columns is None:
            raise ParameterError(
                f"predict gave scores of shape {tuple(scores.shape)}; name their columns with "
                "classes=, or return labels"
            )
        if scores.ndim != 2 or scores.shape[1] != len(self._columns):
            raise ParameterError(
                f"predict gave shape {tuple(scores.shape)}, must be [item, {len(self._columns)}]: "
                f"{', '.join(self._columns)}"
            )
        if not bool(scores.isfinite().all()):
            raise ParameterError("predict gave scores that are NaN or infinite")
        return [self._columns[i] for i in scores.argmax(1).tolist()]

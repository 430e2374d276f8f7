"""A system under interrogation: whatever it is, it is asked for labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from otoscope.errors import Advice, Argument, ParameterError
from otoscope.protocols import (
    ListeningModel,
    SoundClassifier,
    call_guarded,
    device_of,
    evaluating,
)

__all__ = ["Judge", "Predict"]

Predict: TypeAlias = "Callable[[Tensor], Sequence[str] | Tensor]"
"""Sounds [item, sample] or features [item, feature] to labels, or scores [item, class]."""


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
        self._predict = SoundClassifier(predict) if isinstance(predict, ListeningModel) else predict
        self.sample_rate: int | None = getattr(self._predict, "sample_rate", None)
        model = getattr(predict, "model", predict)
        kind = getattr(predict, "__qualname__", type(predict).__name__)
        self.name = str(getattr(model, "name", "") or kind)
        names = classes
        if names is None:
            is_classifier = isinstance(self._predict, SoundClassifier)
            names = getattr(self._predict, "label_names" if is_classifier else "output_names", None)
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
        model = self._predict
        predict = model.label_scores if isinstance(model, SoundClassifier) else model
        with torch.no_grad(), evaluating(model):
            said = call_guarded(predict, batch.to(device_of(model)), name="predict")
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
                f"({', '.join(sorted(self._known))})",
                advice=Advice("name all its answers with ", Argument("classes")),
            )
        return labels

    def _of_scores(self, scores: Tensor) -> list[str]:
        if self._columns is None:
            raise ParameterError(
                f"predict gave scores of shape {tuple(scores.shape)}",
                advice=Advice(
                    "name their columns with ", Argument("classes"), ", or return labels"
                ),
            )
        if scores.ndim != 2 or scores.shape[1] != len(self._columns):
            raise ParameterError(
                f"predict gave shape {tuple(scores.shape)}, must be [item, {len(self._columns)}]: "
                f"{', '.join(self._columns)}"
            )
        if not bool(scores.isfinite().all()):
            raise ParameterError("predict gave scores that are NaN or infinite")
        return [self._columns[i] for i in scores.argmax(1).tolist()]

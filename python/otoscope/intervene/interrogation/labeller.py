"""The system under interrogation: any model or function, reduced to one label per item."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import is_dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from otoscope.errors import Advice, Argument, ParameterError
from otoscope.protocols import (
    ListeningModel,
    SoundClassifier,
    as_outputs,
    batch_dependence,
    call_guarded,
    declared_outputs,
    dependence_text,
    device_of,
    evaluating,
    model_name,
    weights_digest,
)
from otoscope.protocols.layout import SOUND
from otoscope.protocols.listening import require_distinct
from otoscope.protocols.signature import with_remedy

__all__ = ["Labeller", "Predict"]

Predict: TypeAlias = "Callable[[Tensor], Sequence[str] | Tensor]"
"""Function of sounds [item, sample] or features [item, feature]: labels or scores [item, class]."""

_N_CHECKED = 12  # batches; a system that guesses one of two labels agrees in a batch by 1/4
_N_REPEATS = 4  # of a batch that differed


class Labeller:
    """Ask a system for labels, and validate them.

    ``predict`` is a `Predict` or a ListeningModel; an nn.Module is called in eval mode, on the
    device of its weights. ``classes`` names the columns of scores and the permitted labels, by
    default the ``output_names`` of the system; without either, the permitted labels are ``labels``.
    A system with one output, named X, answers "X" or "not X", as a `SoundClassifier` does.
    ``identity`` holds all that is known to decide the answers of a system besides its code.
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
        self.name = model_name(predict)
        names = classes
        if names is None:
            is_classifier = isinstance(self._predict, SoundClassifier)
            names = getattr(self._predict, "label_names" if is_classifier else "output_names", None)
        self.columns = None if names is None else tuple(map(str, names))
        require_distinct("output_names" if classes is None else "classes", self.columns or ())
        self._is_single = classes is None and self.columns is not None and len(self.columns) == 1
        if self._is_single and self.columns:
            self.columns = (f"not {self.columns[0]}", self.columns[0])
        expected = set() if labels is None else set(map(str, labels))
        self._permitted = set(self.columns or expected)
        self.by_scores = False
        """Whether scores were returned to the last call of a function."""
        self._n_unchecked = 0 if isinstance(self._predict, SoundClassifier) else _N_CHECKED
        on_cpu = device_of(self._predict).type == "cpu"
        self.is_stateless = isinstance(self._predict, SoundClassifier) and on_cpu
        """Whether a copy in another process gives the same answers in any order of items."""
        self._is_alone = False  # each rendering in a batch of its own
        self.identity = {"weights": weights_digest(self._predict), "columns": self.columns}
        if isinstance(self._predict, SoundClassifier):
            front_end = getattr(self._predict.model, "front_end", None)
            names_of_settings = ["columns", "pooling", "hop", "tail", "threshold", "outputs"]
            names_of_settings += ["padded"] * self._predict.padded  # as records before it
            self.identity |= {name: getattr(self._predict, name) for name in names_of_settings}
            self.identity["front_end"] = repr(front_end) if is_dataclass(front_end) else None
        if impossible := sorted(expected - self._permitted):
            raise ParameterError(
                f"label {impossible[0]!r} is none of the system's answers "
                f"({', '.join(sorted(self._permitted))})"
            )

    def __call__(self, batch: Tensor) -> list[str]:
        """Return one label per item of a batch [item, sample] or [item, feature]."""
        model = self._predict
        predict = model.label_scores if isinstance(model, SoundClassifier) else model
        with torch.no_grad(), evaluating(model):
            batch = batch.to(device_of(model))
            try:
                response = call_guarded(predict, batch, name="predict")
            except ParameterError as err:
                sounds = batch[:, None, :, None]
                raise with_remedy(err, model, sounds, layout=SOUND) from err.__cause__
        if _holds_scores(response):
            response = as_outputs(response)
        if isinstance(response, str) or not hasattr(response, "__iter__"):
            raise ParameterError(
                f"predict returned {response!r}, must be one label per item, or scores"
            )
        is_scores = isinstance(response, Tensor)
        self.by_scores = is_scores and not isinstance(model, SoundClassifier)
        labels = self._from_scores(response) if is_scores else [str(label) for label in response]
        if len(labels) != len(batch):
            raise ParameterError(f"predict returned {len(labels)} answers to {len(batch)} items")
        if "" in labels:
            raise ParameterError("predict returned an empty label")
        if self._permitted and (unknown := sorted(set(labels) - self._permitted)):
            raise ParameterError(
                f"predict answered {unknown[0]!r}, which is not among the labels "
                f"({', '.join(sorted(self._permitted))})",
                advice=Advice("name all its answers with ", Argument("classes")),
            )
        return labels

    def label_item(
        self, renderings: Tensor, item: int = 0, *, round_name: str = "", max_batch: int = 64
    ) -> list[str]:
        """Return one label per rendering, of at most ``max_batch`` at once; see `Answering`.

        Warns if the labels are random, or depend on the batch; then each rendering is alone.
        """
        if not self._is_alone:
            labels = [label for batch in renderings.split(max_batch) for label in self(batch)]
            self._check_dependence(renderings, labels, max_batch)
        if self._is_alone:
            labels = [label for rendering in renderings.split(1) for label in self(rendering)]
        return labels

    def _check_dependence(self, renderings: Tensor, labels: Sequence[str], max_batch: int) -> None:
        """Compare some labels with those of another batch, for the first items."""
        if not self._n_unchecked:
            return
        self._n_unchecked -= 1
        numbers = {label: number for number, label in enumerate(dict.fromkeys(labels), 1)}

        def numbered(answers: Sequence[str]) -> Tensor:
            return torch.tensor([[numbers.get(label, 0)] for label in answers], dtype=torch.float64)

        dependence = batch_dependence(
            lambda first, last: numbered(self(renderings[first:last])), numbered(labels), max_batch
        )
        if not dependence:
            return
        if len({tuple(self(renderings[:max_batch])) for _ in range(_N_REPEATS)}) > 1:
            dependence = "random"  # and the same in two batches by chance
        self._n_unchecked, self._is_alone = 0, dependence == "batch"
        text = dependence_text(dependence, "a sound")
        remedy = "each is evaluated alone" if self._is_alone else "some of its flips are chance"
        warnings.warn(f"{text}; {remedy}", stacklevel=2)

    def _from_scores(self, scores: Tensor) -> list[str]:
        if self.columns is None:
            is_single = scores.ndim == 1 or scores.shape[1:] == (1,)
            raise ParameterError(
                f"predict returned scores of shape {tuple(scores.shape)}",
                advice=Advice(
                    "name the one output X by output_names = ['X'] of the model, which then "
                    "answers 'X' or 'not X'; or return labels"
                )
                if is_single
                else Advice("name their columns with ", Argument("classes"), ", or return labels"),
            )
        if self._is_single and scores.ndim > 0 and scores.numel() == len(scores):
            scores = self._with_threshold(scores.reshape(-1, 1))
        if scores.ndim != 2 or scores.shape[1] != len(self.columns):
            raise ParameterError(
                f"predict returned shape {tuple(scores.shape)}, must be "
                f"[item, {len(self.columns)}]: {', '.join(self.columns)}",
                advice=Advice("name all its columns, in their order, with ", Argument("classes"))
                if scores.ndim == 2
                else None,
            )
        if not bool(scores.isfinite().all()):
            raise ParameterError("predict returned scores that are NaN or infinite")
        return [self.columns[i] for i in scores.argmax(1).tolist()]

    def _with_threshold(self, scores: Tensor) -> Tensor:
        """Put the decision threshold beside the scores [item, 1] of one output."""
        outputs = declared_outputs(self._predict)
        if outputs is None and not bool(((scores >= 0) & (scores <= 1)).all()):
            raise ParameterError(
                f"predict returned {float(scores.min()):.3g}..{float(scores.max()):.3g}, no "
                "probabilities; set the attribute outputs = 'logits' of the model, or return labels"
            )
        threshold = 0.0 if outputs == "logits" else 0.5
        return torch.cat([torch.full_like(scores, threshold), scores], 1)


def _holds_scores(response: Any) -> bool:
    """Tell whether a response is not a list of labels: it is what `as_outputs` reduces."""
    if isinstance(response, tuple | list) and not hasattr(response, "_fields"):
        return bool(response) and getattr(response[0], "ndim", 0) > 1
    return not isinstance(response, str | Tensor) and getattr(response, "ndim", 2) > 1
